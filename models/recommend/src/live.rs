//! What shoppers did since training, so that a click changes the next slate; bounded in memory, and gone when the process ends.

use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use dhow_events::{BuyerId, ProductId, Region, SessionId, Timestamp};
use dhow_sessions::{LiveIndex, MergeSummary, SessionsError};
use parking_lot::{Mutex, RwLock};
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::chain::answer;
use crate::places::region_and_around;
use crate::sequences::half_life_decay;
use crate::settings::KindWeights;
use crate::{Interaction, InteractionKind, RecommendError, RecommendModel, Recommender, Slate, SlateRequest};

/// The last so many distinct products of each session and of each person are kept.
pub const MAX_RECENT_PRODUCTS: usize = 50;
/// At most so many sessions, and so many persons, are kept: those seen last. Full lists for all of them take about 700 MB.
pub const MAX_LIVE_KEYS: usize = 1 << 18;
/// At most so many regions are kept: those seen last.
pub const MAX_LIVE_REGIONS: usize = 1 << 12;
/// Between one and two times so many trending products of each region are kept: the most clicked.
pub const MAX_TRENDING_PRODUCTS: usize = 512;
/// Locks that share the keys between them.
const SHARDS: usize = 16;
/// Clicks further ahead of training than so many half-lives weigh no more than those at this distance.
const MAX_HALF_LIVES: f64 = 100.0;

/// Last products by session and person, and trending products by region. Shared between threads.
pub struct LiveState {
    sessions: Sharded<SessionId, Recent>,
    persons: Sharded<BuyerId, Recent>,
    /// `None` is the whole world.
    regions: Sharded<Option<Region>, Counts>,
    trend: RwLock<Trend>,
    /// Of a model with a second stage.
    visits: RwLock<Option<Arc<LiveVisits>>>,
}

/// Past visits and those since, for one model.
pub(crate) struct LiveVisits {
    pub(crate) index: LiveIndex,
    /// The model's products in ascending order; places are item numbers.
    products: Vec<ProductId>,
    /// Whether orders stand for visits.
    from_baskets: bool,
}

impl LiveVisits {
    fn of(model: &RecommendModel) -> Option<Arc<Self>> {
        let sources = &model.ranking.as_ref()?.sources;
        let (index, from_baskets) = (LiveIndex::new(sources.visits().clone()), sources.from_baskets);
        Some(Arc::new(Self { index, products: model.items.products().to_vec(), from_baskets }))
    }

    /// A click; one on a product that the model does not know says nothing.
    fn observe(&self, session: SessionId, product: ProductId, time: Timestamp) {
        let Ok(item) = self.products.binary_search(&product) else { return };
        if let Err(error) = self.index.observe(session.as_u128(), item as u32, time.micros()) {
            tracing::warn!(%error, "a click was not added to the visits that answers are looked up in");
        }
    }
}

/// How clicks are weighed, so that live counts can be added to the model's.
#[derive(Debug, Clone, Copy)]
struct Trend {
    trained_until: Timestamp,
    half_life_days: f64,
    kind_weights: KindWeights,
}

impl Trend {
    fn of(model: &RecommendModel) -> Self {
        Self {
            trained_until: model.summary.trained_until,
            half_life_days: model.settings.popularity_half_life_days,
            kind_weights: model.settings.kind_weights,
        }
    }

    /// Forward decay (Cormode et al., ICDE 2009): instead of fading old counts, later clicks weigh more.
    fn weight(&self, interaction: &Interaction) -> f64 {
        let age_micros = self.trained_until.micros_since(interaction.time);
        let growth = half_life_decay(age_micros, self.half_life_days).min(MAX_HALF_LIVES.exp2());
        self.kind_weights.of(interaction.kind) * growth
    }
}

/// A product's clicks since training, on the scale of the model's popularity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trending {
    /// The product.
    pub product: ProductId,
    /// Weighted clicks, above 0.
    pub count: f64,
}

impl LiveState {
    /// An empty state beside `model`.
    pub fn new(model: &RecommendModel) -> Self {
        Self {
            sessions: Sharded::new(MAX_LIVE_KEYS),
            persons: Sharded::new(MAX_LIVE_KEYS),
            regions: Sharded::new(MAX_LIVE_REGIONS),
            trend: RwLock::new(Trend::of(model)),
            visits: RwLock::new(LiveVisits::of(model)),
        }
    }

    /// Takes one interaction in: the next slate knows it. Give each event once; late ones find their place by event time.
    pub fn observe(&self, interaction: &Interaction) {
        let Interaction { product, time, .. } = *interaction;
        let mut repeats = false;
        self.sessions.update(interaction.session, time, |recent| {
            repeats = recent.is_last(product);
            recent.insert(time, product);
        });
        // What follows on the same product, a cart after its view, is no step of the visit.
        let of_visit = |visits: &Arc<LiveVisits>| interaction.kind != InteractionKind::Purchase || visits.from_baskets;
        if let Some(visits) = self.visits().filter(|visits| !repeats && of_visit(visits)) {
            visits.observe(interaction.session, product, time);
        }
        if let Some(person) = interaction.person {
            self.persons.update(person, time, |recent| recent.insert(time, product));
        }
        // Held until the counts are changed, so that a click is never weighed for one model and counted beside another.
        let trend = self.trend.read();
        if time > trend.trained_until {
            let weight = trend.weight(interaction);
            let around = interaction.region.into_iter().flat_map(region_and_around).map(Some);
            for region in around.chain([None]) {
                self.regions.update(region, time, |counts| counts.add(product, weight));
            }
        }
    }

    /// Goes on beside a newly trained model: trending counts start again from its training's end, sessions and persons stay.
    /// Interactions between that end and now count as trending only when they are observed again.
    pub fn rebase(&self, model: &RecommendModel) {
        let visits = LiveVisits::of(model);
        if let Some(visits) = &visits {
            self.replay(visits, model.summary.trained_until);
        }
        *self.visits.write() = visits;
        let mut trend = self.trend.write();
        *trend = Trend::of(model);
        self.regions.forget(|_| true);
    }

    /// Tells `visits` of the sessions since, as far as they are kept. A click that comes in meanwhile is known to its own
    /// session and person, and missing only as a neighbour of other visits; orders are left out, they are no visits.
    fn replay(&self, visits: &LiveVisits, since: Timestamp) {
        let mut clicks: Vec<(Timestamp, SessionId, ProductId)> = Vec::new();
        self.sessions.for_each(|session, recent| {
            let later = recent.0.iter().filter(|(time, _)| *time > since);
            clicks.extend(later.map(|(time, product)| (*time, *session, *product)));
        });
        clicks.sort_unstable();
        clicks.into_iter().for_each(|(time, session, product)| visits.observe(session, product, time));
    }

    pub(crate) fn visits(&self) -> Option<Arc<LiveVisits>> {
        self.visits.read().clone()
    }

    /// Moves the visits whose last click is before `idle_since` from the small index of fresh ones into the large one, beside
    /// the answers. How many moved and how many stayed; none for a model without a second stage.
    ///
    /// # Errors
    /// More visits than an index holds; the old index then stays.
    pub fn merge_visits(&self, idle_since: Timestamp) -> Result<Option<MergeSummary>, SessionsError> {
        self.visits().map(|visits| visits.index.merge(idle_since.micros())).transpose()
    }

    /// Visits that wait to be merged.
    pub fn fresh_visits(&self) -> usize {
        self.visits().map_or(0, |visits| visits.index.delta_sessions())
    }

    /// Frees the sessions and persons last seen before `time`.
    pub fn expire_before(&self, time: Timestamp) {
        self.sessions.forget(|last_seen| last_seen < time);
        self.persons.forget(|last_seen| last_seen < time);
    }

    /// The last distinct products of a session, most recent last; empty when it is not known.
    pub fn session(&self, session: SessionId) -> Vec<ProductId> {
        self.sessions.read(&session, Recent::products).unwrap_or_default()
    }

    /// The last distinct products of a person, most recent last; empty when they are not known.
    pub fn person(&self, person: BuyerId) -> Vec<ProductId> {
        self.persons.read(&person, Recent::products).unwrap_or_default()
    }

    /// What was clicked since training in a region, or anywhere, by product.
    pub fn trending(&self, region: Option<Region>) -> Vec<Trending> {
        self.regions.read(&region, Counts::all).unwrap_or_default()
    }

    /// How many sessions and persons are kept.
    pub fn sizes(&self) -> (usize, usize) {
        (self.sessions.len(), self.persons.len())
    }
}

/// A model together with what happened since it was trained.
pub struct LiveRecommender {
    model: Arc<RecommendModel>,
    live: Arc<LiveState>,
}

impl LiveRecommender {
    /// Joins the two; `live` must have been made for, or rebased to, `model`.
    pub fn new(model: Arc<RecommendModel>, live: Arc<LiveState>) -> Self {
        Self { model, live }
    }
}

impl Recommender for LiveRecommender {
    /// The products that the state knows come before those that the request names, which count as more recent; of one that
    /// both know only the latter counts.
    fn recommend(&self, request: &SlateRequest, eligible: &dyn Fn(ProductId) -> bool) -> Result<Slate, RecommendError> {
        let session = request.session.map(|session| self.live.session(session)).unwrap_or_default();
        let history = request.person.map(|person| self.live.person(person)).unwrap_or_default();
        let session = joined(session, &request.session_items);
        let history = joined(history, &request.person_history);
        answer(&self.model, Some(&self.live), request, &session, &history, eligible)
    }
}

fn joined(mut known: Vec<ProductId>, named: &[ProductId]) -> Vec<ProductId> {
    known.retain(|product| !named.contains(product));
    known.extend(named);
    known
}

/// Distinct products by the time of their last action, oldest first.
#[derive(Debug, Default)]
struct Recent(Vec<(Timestamp, ProductId)>);

impl Recent {
    fn insert(&mut self, time: Timestamp, product: ProductId) {
        if let Some(known) = self.0.iter().position(|(_, p)| *p == product) {
            if self.0[known].0 > time {
                return;
            }
            self.0.remove(known);
        }
        let place = self.0.partition_point(|(t, _)| *t <= time);
        self.0.insert(place, (time, product));
        if self.0.len() > MAX_RECENT_PRODUCTS {
            self.0.remove(0);
        }
    }

    fn is_last(&self, product: ProductId) -> bool {
        self.0.last().is_some_and(|(_, last)| *last == product)
    }

    fn products(&self) -> Vec<ProductId> {
        self.0.iter().map(|(_, product)| *product).collect()
    }
}

/// Weighted clicks by product; the least clicked go when there are too many.
#[derive(Debug, Default)]
struct Counts(FxHashMap<ProductId, f64>);

impl Counts {
    fn add(&mut self, product: ProductId, weight: f64) {
        if weight > 0.0 {
            *self.0.entry(product).or_default() += weight;
        }
        if self.0.len() > 2 * MAX_TRENDING_PRODUCTS {
            let mut all = self.all();
            all.sort_unstable_by(|a, b| b.count.total_cmp(&a.count).then(a.product.cmp(&b.product)));
            self.0 = all[..MAX_TRENDING_PRODUCTS].iter().map(|t| (t.product, t.count)).collect();
        }
    }

    fn all(&self) -> Vec<Trending> {
        self.0.iter().map(|(product, count)| Trending { product: *product, count: *count }).collect()
    }
}

/// A shared map that keeps at most `capacity` keys: those last seen by event time.
struct Sharded<K, V> {
    shards: Vec<Mutex<FxHashMap<K, (Timestamp, V)>>>,
    shard_capacity: usize,
}

impl<K: Hash + Eq + Ord + Copy, V: Default> Sharded<K, V> {
    fn new(capacity: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), shard_capacity: (capacity / SHARDS).max(1) }
    }

    fn shard(&self, key: &K) -> &Mutex<FxHashMap<K, (Timestamp, V)>> {
        &self.shards[(FxBuildHasher.hash_one(key) >> 32) as usize % SHARDS]
    }

    fn update(&self, key: K, time: Timestamp, change: impl FnOnce(&mut V)) {
        let mut shard = self.shard(&key).lock();
        match shard.entry(key) {
            Entry::Occupied(mut known) => {
                let (last_seen, value) = known.get_mut();
                *last_seen = time.max(*last_seen);
                change(value);
            }
            Entry::Vacant(new) => change(&mut new.insert((time, V::default())).1),
        }
        if shard.len() > self.shard_capacity {
            forget_oldest_quarter(&mut shard);
        }
    }

    fn read<R>(&self, key: &K, read: impl FnOnce(&V) -> R) -> Option<R> {
        self.shard(key).lock().get(key).map(|(_, value)| read(value))
    }

    fn for_each(&self, mut tell: impl FnMut(&K, &V)) {
        for shard in &self.shards {
            shard.lock().iter().for_each(|(key, (_, value))| tell(key, value));
        }
    }

    fn forget(&self, old: impl Fn(Timestamp) -> bool) {
        for shard in &self.shards {
            shard.lock().retain(|_, (last_seen, _)| !old(*last_seen));
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

/// Frees a quarter at once, so that the cost per key stays constant.
fn forget_oldest_quarter<K: Hash + Eq + Ord + Copy, V>(shard: &mut FxHashMap<K, (Timestamp, V)>) {
    let mut ages: Vec<(Timestamp, K)> = shard.iter().map(|(key, (last_seen, _))| (*last_seen, *key)).collect();
    ages.sort_unstable();
    for (_, key) in &ages[..ages.len().div_ceil(4)] {
        shard.remove(key);
    }
}
