//! BM25F over the fields of products, for those that the filters let through; it knows nothing of meanings or pages.

use tantivy::Term;

use crate::SearchError;
use crate::bits::Bits;
use crate::index::View;
use crate::query::Correction;
use crate::settings::{Field, KeywordSettings};
use crate::text::Word;
use crate::variants::{Variants, variants};

/// The products that have enough of the words.
pub(crate) struct Scored {
    /// By slot; zero for all others.
    pub scores: Vec<f64>,
    /// Their slots, in rising order.
    pub slots: Vec<u32>,
    /// The most that the words could give.
    pub attainable: f64,
    pub corrections: Vec<Correction>,
}

/// Scores the allowed products. `typed` says that the last word may be a beginning.
pub(crate) fn score(
    view: &View<'_>,
    words: &[Word],
    typed: bool,
    allowed: &Bits,
    settings: &KeywordSettings,
) -> Result<Scored, SearchError> {
    let slots = view.state.products.len();
    let mut scored = Scored { scores: vec![0.0; slots], slots: Vec::new(), attainable: 0.0, corrections: Vec::new() };
    let mut matched = vec![0u16; slots];
    let mut counts = Counts::new(slots);
    let mut known = 0u16;
    let last = words.iter().rposition(|word| word.stands);
    for (at, word) in words.iter().enumerate() {
        let Some(variants) = variants(view, word, typed && Some(at) == last, settings)? else { continue };
        known += 1;
        counts.fill(view, &variants, settings)?;
        let (all, having) = (view.state.slots.len() as f64, counts.touched.len() as f64);
        let rarity = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
        scored.attainable += rarity * (settings.saturation + 1.0);
        for (slot, count) in counts.drain() {
            if allowed.contains(slot) {
                scored.scores[slot as usize] +=
                    rarity * count * (settings.saturation + 1.0) / (count + settings.saturation);
                matched[slot as usize] += 1;
            }
        }
        if variants.corrected {
            let used = variants.words.into_iter().map(|(word, _)| word).collect();
            scored.corrections.push(Correction { word: word.full.clone(), used });
        }
    }
    let required = ((settings.required_share * f64::from(known)).ceil() as u16).max(1);
    for slot in allowed.iter() {
        if matched[slot as usize] >= required {
            scored.slots.push(slot);
        } else {
            scored.scores[slot as usize] = 0.0;
        }
    }
    Ok(scored)
}

/// How often each product has one word of the query: weighted by field, length and variant.
struct Counts {
    by_slot: Vec<f64>,
    touched: Vec<u32>,
}

impl Counts {
    fn new(slots: usize) -> Self {
        Self { by_slot: vec![0.0; slots], touched: Vec::new() }
    }

    fn fill(&mut self, view: &View<'_>, variants: &Variants, settings: &KeywordSettings) -> Result<(), SearchError> {
        let mut in_title = Bits::none(self.by_slot.len());
        for field in Field::ALL {
            for (word, weight) in &variants.words {
                let term = Term::from_field_text(view.columns.words[field as usize], word);
                view.postings(&term, |slot, count| {
                    if field == Field::Title {
                        in_title.insert(slot);
                    }
                    self.add(view, field, slot, f64::from(count) * weight, settings);
                })?;
            }
        }
        if let Some(beginning) = &variants.beginning {
            let term = Term::from_field_text(view.columns.beginnings, beginning);
            // A title that has the word itself gets nothing more for words that begin with it.
            view.postings(&term, |slot, count| {
                if !in_title.contains(slot) {
                    self.add(view, Field::Title, slot, f64::from(count) * settings.prefix_weight, settings);
                }
            })?;
        }
        Ok(())
    }

    fn add(&mut self, view: &View<'_>, field: Field, slot: u32, count: f64, settings: &KeywordSettings) {
        let Some(held) = view.state.product(slot) else { return };
        let mean = view.state.words[field as usize] as f64 / view.state.slots.len() as f64;
        let length = f64::from(held.lengths[field as usize]);
        let of = settings.fields[field as usize];
        let added = of.weight * count / (1.0 - of.length_share + of.length_share * length / mean);
        if added > 0.0 {
            if self.by_slot[slot as usize] == 0.0 {
                self.touched.push(slot);
            }
            self.by_slot[slot as usize] += added;
        }
    }

    /// Gives the counts and is empty again.
    fn drain(&mut self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let by_slot = &mut self.by_slot;
        self.touched.drain(..).map(|slot| (slot, std::mem::take(&mut by_slot[slot as usize])))
    }
}
