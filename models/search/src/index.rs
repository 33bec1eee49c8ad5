//! The products of one catalogue in memory: batches of changes, each visible at once; answers stand in `query.rs`.

use std::sync::Arc;

use dhow_events::ProductId;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tantivy::columnar::Column;
use tantivy::postings::Postings;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, SegmentReader, TERMINATED, Term};

use crate::bits::Bits;
use crate::document::ProductDocument;
use crate::error::SearchError;
use crate::meaning::{MEANINGS_MAX, Meanings, check_vector};
use crate::schema::Columns;
use crate::settings::{Field, SearchSettings};
use crate::traces::ProductTraces;

/// Changes of one batch.
pub const CHANGES_MAX: usize = 10_000;
/// Products of one index.
pub const PRODUCTS_MAX: usize = 1_000_000;
/// What a batch may take of memory before it becomes a segment, in bytes.
const WRITER_BYTES: usize = 32 << 20;

/// A change of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A product is there now, or is another than before. Its vector stays where its meaning's text does.
    Put(Box<ProductDocument>),
    /// A product is gone.
    Remove(ProductId),
    /// The vector of a product. It is passed over where the product is gone or has another text by now.
    Meaning {
        /// Which.
        product: ProductId,
        /// The text that was embedded.
        of: String,
        /// The vector, of unit length.
        vector: Vec<f32>,
    },
}

/// A product that is held, with the lengths of its fields in words.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub document: Arc<ProductDocument>,
    pub lengths: [u32; 4],
    pub price_minor: i64,
    pub traces: ProductTraces,
}

/// What a search reads; it changes as a whole.
pub(crate) struct State {
    pub searcher: Searcher,
    /// By slot.
    pub products: Vec<Option<Held>>,
    pub present: Bits,
    pub slots: FxHashMap<ProductId, u32>,
    pub meanings: Meanings,
    /// Words of all products together, by field.
    pub words: [u64; 4],
}

impl State {
    pub fn product(&self, slot: u32) -> Option<&Held> {
        self.products.get(slot as usize).and_then(Option::as_ref)
    }

    pub fn id(&self, slot: u32) -> Option<ProductId> {
        self.product(slot).map(|held| held.document.product)
    }
}

/// The index. Searches may run beside each other and beside a change, which they see wholly or not at all.
pub struct SearchIndex {
    columns: Columns,
    settings: SearchSettings,
    reader: IndexReader,
    /// One batch at a time.
    writer: Mutex<IndexWriter>,
    state: RwLock<State>,
}

impl SearchIndex {
    /// An index without a product.
    ///
    /// # Errors
    /// Settings out of their ranges, or no memory for it.
    pub fn new(settings: SearchSettings) -> Result<Self, SearchError> {
        settings.check()?;
        let columns = Columns::new();
        let index = Index::create_in_ram(columns.schema.clone());
        let writer = index.writer_with_num_threads(1, WRITER_BYTES)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let state = State {
            searcher: reader.searcher(),
            products: Vec::new(),
            present: Bits::none(0),
            slots: FxHashMap::default(),
            meanings: Meanings::new(),
            words: [0; 4],
        };
        Ok(Self { columns, settings, reader, writer: Mutex::new(writer), state: RwLock::new(state) })
    }

    /// Weighs words and meanings otherwise from now on.
    ///
    /// # Errors
    /// Settings out of their ranges; those of before then stay.
    pub fn set_settings(&mut self, settings: SearchSettings) -> Result<(), SearchError> {
        settings.check()?;
        self.settings = settings;
        Ok(())
    }

    /// The products that are held.
    pub fn len(&self) -> usize {
        self.state.read().slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The products that have a vector.
    pub fn meanings(&self) -> usize {
        self.state.read().meanings.len()
    }

    /// The length of the vectors; nothing where there is none.
    pub fn dimension(&self) -> Option<usize> {
        self.state.read().meanings.dimension()
    }

    /// A product as it is held.
    pub fn product(&self, product: ProductId) -> Option<Arc<ProductDocument>> {
        let state = self.state.read();
        let slot = *state.slots.get(&product)?;
        state.product(slot).map(|held| held.document.clone())
    }

    /// Some products without a vector, at most `count`, with the texts to embed. A text without a word is not among them.
    pub fn without_meaning(&self, count: usize) -> Vec<(ProductId, String)> {
        let state = self.state.read();
        let bare =
            state.present.iter().filter(|slot| !state.meanings.has(*slot)).filter_map(|slot| state.product(slot));
        let texts = bare.map(|held| (held.document.product, held.document.meaning_text().to_owned()));
        texts.filter(|(_, text)| !text.trim().is_empty()).take(count).collect()
    }

    /// Drops every vector: another model makes them from now on.
    pub fn forget_meanings(&self) {
        let _turn = self.writer.lock();
        self.state.write().meanings = Meanings::new();
    }

    /// Takes a batch in; all of it is seen by searches that begin after this returns. Of several changes of a product the
    /// last one counts.
    ///
    /// # Errors
    /// A product or vector out of its bounds, or more than the index holds; then nothing of the batch is taken.
    pub fn apply(&self, changes: Vec<Change>) -> Result<(), SearchError> {
        if changes.len() > CHANGES_MAX {
            return Err(SearchError::TooMany {
                what: "changes of one batch",
                found: changes.len(),
                limit: CHANGES_MAX,
            });
        }
        let mut writer = self.writer.lock();
        let batch = Batch::new(changes, &self.state.read())?;
        let written = batch.write(&self.columns, &mut writer, &self.state.read());
        let added = match written {
            Ok(added) => added,
            Err(error) => {
                writer.rollback()?;
                return Err(error);
            }
        };
        let mut state = self.state.write();
        if batch.products.values().next().is_some() {
            self.reader.reload()?;
            state.searcher = self.reader.searcher();
        }
        batch.keep(added, &mut state);
        Ok(())
    }

    pub(crate) const fn settings(&self) -> &SearchSettings {
        &self.settings
    }

    /// Reads the index as it is at one moment.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&View<'_>) -> Result<T, SearchError>) -> Result<T, SearchError> {
        let state = self.state.read();
        let segment = |reader| Segment::new(reader);
        let segments: Result<Vec<_>, _> = state.searcher.segment_readers().iter().map(segment).collect();
        read(&View { columns: &self.columns, state: &state, segments: segments? })
    }
}

/// What a batch comes to: for each product what it is at last, and vectors.
struct Batch {
    products: FxHashMap<ProductId, Option<Box<ProductDocument>>>,
    /// In the order of the batch, so that slots are given alike wherever it is applied.
    order: Vec<ProductId>,
    meanings: FxHashMap<ProductId, (String, Vec<f32>)>,
}

struct Added {
    slot: u32,
    held: Option<Held>,
}

impl Batch {
    fn new(changes: Vec<Change>, state: &State) -> Result<Self, SearchError> {
        let mut batch = Self { products: FxHashMap::default(), order: Vec::new(), meanings: FxHashMap::default() };
        let mut dimension = state.meanings.dimension();
        for change in changes {
            match change {
                Change::Put(document) => {
                    document.check()?;
                    batch.note(document.product, Some(document));
                }
                Change::Remove(product) => batch.note(product, None),
                Change::Meaning { product, of, vector } => {
                    check_vector(&vector, dimension)?;
                    dimension = Some(vector.len());
                    batch.meanings.insert(product, (of, vector));
                }
            }
        }
        let new = batch.products.iter().filter(|(product, to)| to.is_some() && !state.slots.contains_key(product));
        let found = state.slots.len() + new.count();
        if found > PRODUCTS_MAX {
            return Err(SearchError::TooMany { what: "products", found, limit: PRODUCTS_MAX });
        }
        let found = state.meanings.len() + batch.meanings.len();
        if found > MEANINGS_MAX {
            return Err(SearchError::TooMany { what: "vectors", found, limit: MEANINGS_MAX });
        }
        Ok(batch)
    }

    fn note(&mut self, product: ProductId, to: Option<Box<ProductDocument>>) {
        if self.products.insert(product, to).is_none() {
            self.order.push(product);
        }
    }

    /// Writes the products; what is held of them from now on.
    fn write(&self, columns: &Columns, writer: &mut IndexWriter, state: &State) -> Result<Vec<Added>, SearchError> {
        if self.order.is_empty() {
            return Ok(Vec::new());
        }
        let mut free = (0..u32::MAX).filter(|slot| state.product(*slot).is_none());
        let mut added = Vec::with_capacity(self.order.len());
        for product in &self.order {
            let to = self.products.get(product).and_then(Option::as_ref);
            let old = state.slots.get(product).copied();
            if let Some(slot) = old {
                writer.delete_term(columns.slot_term(slot));
            }
            let Some(document) = to else {
                added.extend(old.map(|slot| Added { slot, held: None }));
                continue;
            };
            let slot = match old.or_else(|| free.next()) {
                Some(slot) => slot,
                None => return Err(SearchError::Index("no slot is free".to_owned())),
            };
            let words = Field::ALL.map(|field| document.words(field));
            writer.add_document(columns.document(slot, document, &words))?;
            let lengths = words.map(|words| words.len() as u32);
            let held = Held {
                document: Arc::new((**document).clone()),
                lengths,
                price_minor: document.price_minor,
                traces: ProductTraces::of(document),
            };
            added.push(Added { slot, held: Some(held) });
        }
        writer.commit()?;
        Ok(added)
    }

    /// Puts what was written where searches read it.
    fn keep(self, added: Vec<Added>, state: &mut State) {
        for Added { slot, held } in added {
            let place = slot as usize;
            if state.products.len() <= place {
                state.products.resize(place + 1, None);
                state.present.grow(place + 1);
            }
            let before = state.products[place].take();
            if let Some(before) = &before {
                state.words.iter_mut().zip(before.lengths).for_each(|(sum, length)| *sum -= u64::from(length));
                state.slots.remove(&before.document.product);
                state.present.remove(slot);
            }
            let text = |held: &Option<Held>| held.as_ref().map(|held| held.document.meaning_text().to_owned());
            if text(&before) != text(&held) {
                state.meanings.remove(slot);
            }
            if let Some(held) = &held {
                state.words.iter_mut().zip(held.lengths).for_each(|(sum, length)| *sum += u64::from(length));
                state.slots.insert(held.document.product, slot);
                state.present.insert(slot);
            }
            state.products[place] = held;
        }
        let slots = state.products.len();
        for (product, (of, vector)) in self.meanings {
            let slot = state.slots.get(&product).copied();
            let fits = |slot: &u32| state.product(*slot).is_some_and(|held| held.document.meaning_text() == of);
            if let Some(slot) = slot.filter(fits) {
                state.meanings.put(slot, &vector, slots);
            }
        }
    }
}

/// A segment of the index and its documents' slots.
pub(crate) struct Segment<'a> {
    pub reader: &'a SegmentReader,
    slots: Column<u64>,
}

impl<'a> Segment<'a> {
    fn new(reader: &'a SegmentReader) -> Result<Self, SearchError> {
        Ok(Self { reader, slots: reader.fast_fields().u64("slot")? })
    }
}

/// The index at one moment.
pub(crate) struct View<'a> {
    pub columns: &'a Columns,
    pub state: &'a State,
    pub segments: Vec<Segment<'a>>,
}

impl View<'_> {
    /// Calls `each` with the slot of every product that has the term, and how often it does.
    pub fn postings(&self, term: &Term, mut each: impl FnMut(u32, u32)) -> Result<(), SearchError> {
        for segment in &self.segments {
            let inverted = segment.reader.inverted_index(term.field())?;
            let Some(mut postings) = inverted.read_postings(term, IndexRecordOption::WithFreqs)? else { continue };
            let alive = segment.reader.alive_bitset();
            let mut document = postings.doc();
            while document != TERMINATED {
                if alive.is_none_or(|alive| alive.is_alive(document))
                    && let Some(slot) = segment.slots.first(document)
                {
                    each(slot as u32, postings.term_freq());
                }
                document = postings.advance();
            }
        }
        Ok(())
    }

    /// Whether any product has the term.
    pub fn has(&self, term: &Term) -> Result<bool, SearchError> {
        let mut found = false;
        self.postings(term, |_, _| found = true)?;
        Ok(found)
    }
}
