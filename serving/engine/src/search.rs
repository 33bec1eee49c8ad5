//! Product search over the live catalogue: an index for each tenant that follows it, and what is asked of it; ranking is `dhow-search`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_commerce::FieldProblem;
use dhow_events::{ModelId, ProductId, TenantId};
use dhow_search::{
    Change, Correction, Facets, FacetsAsked, Filters, Hit, Mode, ProductDocument, SearchAnswer, SearchError,
    SearchIndex, SearchRequest, SearchSettings,
};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use tokio::sync::Semaphore;

use crate::error::failed;
use crate::sink::Shared;
use crate::{Engine, EngineError, Offer};

/// Products that are taken into the index at once.
const CHANGES_AT_ONCE: usize = 2_000;
/// Titles that are embedded at once, between which changes are taken in.
const EMBEDDED_AT_ONCE: usize = 32;
/// Searches that run at once in this process.
const SEARCHES_AT_ONCE_MAX: usize = 64;
/// What names the method where no model had a part in it.
const WORDS: &str = "words";

/// What somebody searches by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchMode {
    /// Words.
    Keyword,
    /// Words and meanings.
    Hybrid,
}

/// A question.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchAsk {
    /// What was typed.
    pub text: String,
    /// What is searched by.
    pub mode: SearchMode,
    /// Whether the last word may be the beginning of one.
    pub as_you_type: bool,
    /// What is asked of products besides. Prices are in cents of US dollars; where a product ships from is its attribute
    /// `ships_from`.
    pub filters: Filters,
    /// What is counted.
    pub facets: FacetsAsked,
    /// Hits of a page.
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// A page of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundProducts {
    /// The products, best first.
    pub hits: Vec<Hit>,
    /// How many products answer, on all pages.
    pub total: usize,
    /// What was counted of them.
    pub facets: Facets,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Words that no product has, and what was looked for in their place.
    pub corrections: Vec<Correction>,
    /// The embedding model, or `words`.
    pub model: String,
    /// Whether meanings were asked for and no model or no vector was there.
    pub degraded: bool,
    /// How long it took, in microseconds.
    pub latency_us: i64,
}

/// A tenant's products as they are searched.
struct TenantSearch {
    index: SearchIndex,
    /// The model that made the vectors.
    embedded_by: Mutex<Option<ModelId>>,
}

/// Every tenant's index.
pub(crate) struct LiveSearch {
    tenants: RwLock<FxHashMap<TenantId, Arc<TenantSearch>>>,
    permits: Arc<Semaphore>,
}

impl Default for LiveSearch {
    fn default() -> Self {
        Self { tenants: RwLock::default(), permits: Arc::new(Semaphore::new(SEARCHES_AT_ONCE_MAX)) }
    }
}

impl LiveSearch {
    fn of(&self, tenant: TenantId) -> Option<Arc<TenantSearch>> {
        self.tenants.read().get(&tenant).cloned()
    }

    fn of_or_new(&self, tenant: TenantId) -> Result<Arc<TenantSearch>, EngineError> {
        if let Some(found) = self.of(tenant) {
            return Ok(found);
        }
        let index = SearchIndex::new(SearchSettings::default()).map_err(failed("search"))?;
        let made = Arc::new(TenantSearch { index, embedded_by: Mutex::new(None) });
        Ok(self.tenants.write().entry(tenant).or_insert(made).clone())
    }

    /// Takes some of what changed in the catalogue in; whether there may be more.
    ///
    /// # Errors
    /// The index fails; what changed is then taken in another time.
    pub fn follow(&self, catalogue: &crate::Catalogue) -> Result<bool, EngineError> {
        let taken = catalogue.take_changed(CHANGES_AT_ONCE);
        let mut by_tenant: FxHashMap<TenantId, Vec<ProductId>> = FxHashMap::default();
        for (tenant, product) in &taken {
            by_tenant.entry(*tenant).or_default().push(*product);
        }
        for (tenant, products) in by_tenant {
            let applied = self.of_or_new(tenant).and_then(|search| {
                let changes = products.iter().filter_map(|product| {
                    let held = search.index.product(*product);
                    match catalogue.offer(tenant, *product).filter(|offer| offer.offered) {
                        None => held.map(|_| Change::Remove(*product)),
                        Some(offer) => {
                            let document = document_of(*product, &offer);
                            // Stock moves all the time; only what is searched by makes a change.
                            let same = held.is_some_and(|held| *held == document);
                            (!same).then(|| Change::Put(Box::new(document)))
                        }
                    }
                });
                search.index.apply(changes.collect()).map_err(failed("search"))
            });
            if let Err(error) = applied {
                catalogue.give_back_changed(taken);
                return Err(error);
            }
        }
        Ok(!taken.is_empty())
    }

    /// Takes changes in, then embeds some titles of every tenant with an embedding model; whether there may be more.
    ///
    /// # Errors
    /// The index or the model fails.
    pub fn follow_all(&self, shared: &Shared) -> Result<bool, EngineError> {
        let mut more = self.follow(&shared.catalogue)?;
        let tenants: Vec<_> = self.tenants.read().iter().map(|(tenant, search)| (*tenant, search.clone())).collect();
        for (tenant, search) in tenants {
            let Some(embedder) = shared.champions.of(tenant).embedder.clone() else { continue };
            {
                let mut embedded_by = search.embedded_by.lock();
                if *embedded_by != Some(embedder.id) {
                    search.index.forget_meanings();
                    *embedded_by = Some(embedder.id);
                }
            }
            let bare = search.index.without_meaning(EMBEDDED_AT_ONCE);
            if bare.is_empty() {
                continue;
            }
            let texts: Vec<&str> = bare.iter().map(|(_, text)| text.as_str()).collect();
            let vectors = embedder.model.embed(&texts).map_err(failed("embedding model"))?;
            let meaning = |((product, of), vector)| Change::Meaning { product, of, vector };
            search.index.apply(bare.into_iter().zip(vectors).map(meaning).collect()).map_err(failed("search"))?;
            more = true;
        }
        Ok(more)
    }
}

/// A product as it is searched. Texts that are longer than the index takes are found by their beginnings.
pub(crate) fn document_of(product: ProductId, offer: &Offer) -> ProductDocument {
    let begin = |text: &str, bytes: usize| text[..text.floor_char_boundary(bytes)].to_owned();
    ProductDocument {
        product,
        title: begin(&offer.title, dhow_search::TITLE_BYTES_MAX),
        description: begin(&offer.description, dhow_search::DESCRIPTION_BYTES_MAX),
        category: offer.category.to_string(),
        attributes: BTreeMap::from([("ships_from".to_owned(), offer.region.to_string())]),
        seller: offer.seller,
        price_minor: offer.price_usd_minor,
        sale_regions: offer.sale_regions.clone(),
        available: offer.available(),
    }
}

impl Engine {
    /// Finds products by words, and by meaning where that is asked for and a model is there.
    ///
    /// # Errors
    /// A request out of its bounds, as many searches as may be are under way, or the index or the model fails.
    pub async fn search(&self, tenant: TenantId, ask: SearchAsk) -> Result<FoundProducts, EngineError> {
        let begin = self.stopwatch().now();
        let shared = self.shared().clone();
        let _permit = shared
            .search
            .permits
            .clone()
            .try_acquire_owned()
            .map_err(|_| EngineError::Busy(format!("{SEARCHES_AT_ONCE_MAX} searches")))?;
        let embedder = match ask.mode {
            SearchMode::Hybrid => shared.champions.of(tenant).embedder.clone(),
            SearchMode::Keyword => None,
        };
        let search = shared.search.of_or_new(tenant)?;
        let mode = ask.mode;
        let work = move || -> Result<(SearchAnswer, Option<String>), EngineError> {
            let in_force = embedder
                .filter(|embedder| *search.embedded_by.lock() == Some(embedder.id) && search.index.meanings() > 0);
            let vectors = match &in_force {
                Some(embedder) => embedder.model.embed(&[ask.text.as_str()]).map_err(failed("embedding model"))?,
                None => Vec::new(),
            };
            let request = SearchRequest {
                text: &ask.text,
                mode: vectors.first().map_or(Mode::Keyword, |vector| Mode::Hybrid(vector)),
                as_you_type: ask.as_you_type,
                filters: ask.filters,
                facets: ask.facets,
                limit: ask.limit,
                cursor: ask.cursor.as_deref(),
            };
            let answer = search.index.search(&request).map_err(refused)?;
            Ok((answer, in_force.map(|embedder| embedder.label.to_string())))
        };
        let (answer, model) = tokio::task::spawn_blocking(work).await.map_err(failed("search"))??;
        Ok(FoundProducts {
            hits: answer.hits,
            total: answer.total,
            facets: answer.facets,
            next: answer.next,
            corrections: answer.corrections,
            degraded: mode == SearchMode::Hybrid && model.is_none(),
            model: model.unwrap_or_else(|| WORDS.to_owned()),
            latency_us: self.stopwatch().now().micros_since(begin),
        })
    }
}

/// What the index says of a request, at the places of the request.
fn refused(error: SearchError) -> EngineError {
    match error {
        SearchError::Invalid(problems) => {
            let problem =
                |problem: dhow_search::SearchProblem| FieldProblem::new(format!("/{}", problem.part), problem.detail);
            EngineError::Invalid(problems.into_iter().map(problem).collect())
        }
        other => failed("search")(other),
    }
}
