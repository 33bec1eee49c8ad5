//! Opens the platform on a data folder and holds its parts together; what it answers stands in the files beside this one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use dhow_billing::PriceLists;
use dhow_commerce::{Commerce, ExchangeRates, IdSource, MarketplaceTables, SimulatedRail};
use dhow_commission::CommissionTables;
use dhow_customs::Borders;
use dhow_definitions::FeatureSet;
use dhow_events::{Clock, Event, SECOND_MICROS, TenantId};
use dhow_inference::Inference;
use dhow_links::LinkSettings;
use dhow_offline::{Lake, LakeStorage, LakeWriter};
use dhow_online::{FeatureReads, OnlineSettings, OnlineStore};
use dhow_redis::{RedisReader, RedisSettings};
use dhow_registry::{ModelKeys, Registry};
use dhow_store::{SecretKeys, Store, StoreSettings};
use dhow_streams::{Log, Offsets, Position, Sink, Watermark, WorkerSettings, run_worker};
use dhow_training::FraudVector;
use dhow_webhooks::WebhookSender;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tracing::Instrument;

use crate::answered::Answered;
use crate::backtests::BACKTESTS_AT_ONCE_MAX;
use crate::catalogue::Catalogue;
use crate::champions::Champions;
use crate::decisions::{Decided, UrgentDecisions, queue};
use crate::deliveries::LiveDeliveries;
use crate::error::failed;
use crate::fraud_rules::FraudRules;
use crate::freshness::Freshness;
use crate::inference::serve_registered;
use crate::links::LiveLinks;
use crate::log_place::LogPlace;
use crate::monitor::{Monitor, MonitorSettings};
use crate::persons::Erased;
use crate::priority::give_way_to_requests;
use crate::promotions::SeenPromotions;
use crate::route_plans::{PLANS_AT_ONCE_MAX, PLANS_QUEUED_MAX};
use crate::sea::SeaChart;
use crate::search::LiveSearch;
use crate::shipping::{CarrierSettings, carriers};
use crate::sink::{PlatformSink, Shared, join};
use crate::storefront::{Storefront, StorefrontSettings};
use crate::watches::{LiveWatches, Watching};
use crate::webhooks::WEBHOOK_TESTS_MAX;
use crate::{EngineError, FraudDesk};

/// Route plans that may be made, checked or explained at once within requests.
const ROUTE_PLANS_MAX: usize = 2;

/// A partition of the log without an event for so long no longer keeps state from being freed.
pub(crate) const IDLE_PARTITION_MICROS: i64 = 10 * SECOND_MICROS;

/// Where the parts of a data folder are.
#[derive(Debug, Clone)]
pub struct Folders {
    /// The event log.
    pub log: PathBuf,
    /// The lake, where no other place is configured.
    pub lake: PathBuf,
    /// The snapshot of the online features.
    pub snapshot: PathBuf,
    /// The snapshot of the links between accounts.
    pub links: PathBuf,
    /// The snapshot of what delivery models follow.
    pub deliveries: PathBuf,
    /// The model registry.
    pub registry: PathBuf,
    /// The SQLite database, where no other is configured.
    pub database: PathBuf,
}

impl Folders {
    /// The parts of `data`.
    pub fn of(data: &Path) -> Self {
        Self {
            log: data.join("log"),
            lake: data.join("lake"),
            snapshot: data.join("online.snapshot"),
            links: data.join("links.snapshot"),
            deliveries: data.join("deliveries.snapshot"),
            registry: data.join("registry"),
            database: data.join("dhow.sqlite"),
        }
    }
}

/// How to open the platform.
pub struct EngineSettings {
    /// The data folder.
    pub data: PathBuf,
    /// The database's URL: `sqlite:…` or `postgres:…`.
    pub database_url: String,
    /// Where the lake is.
    pub lake: Arc<dyn LakeStorage>,
    /// The feature definitions.
    pub features: FeatureSet,
    /// Bounds of the online features.
    pub online: OnlineSettings,
    /// Bounds of the links between accounts.
    pub links: LinkSettings,
    /// The Redis where workers of a fleet keep feature state; without it this process keeps it in memory.
    pub redis: Option<RedisSettings>,
    /// Where the log is.
    pub log: LogPlace,
    /// The stream worker takes a checkpoint after so many records, besides those by time.
    pub checkpoint_records: u64,
    /// How served features are watched.
    pub monitor: MonitorSettings,
    /// How slates are arranged.
    pub storefront: StorefrontSettings,
    /// What is known of borders.
    pub borders: Borders,
    /// Who ships.
    pub carriers: Vec<CarrierSettings>,
    /// Where ships go.
    pub sea: SeaChart,
    /// What registered models are signed with, and whose signatures are asked for.
    pub model_keys: ModelKeys,
    /// What signing secrets of webhooks are sealed with in the database.
    pub secret_keys: SecretKeys,
    /// Tenants whose models and catalogue are loaded.
    pub tenants: Vec<TenantId>,
    /// The exchange rates in force.
    pub rates: ExchangeRates,
    /// What the payment rail signs its messages with; without it none are taken.
    pub rail_secret: Option<Vec<u8>>,
    /// For how long the events of the feed, and timelines with them, are kept.
    pub feed_kept_micros: i64,
    /// Whether webhooks may be sent to this machine, by plain HTTP too.
    pub webhooks_to_loopback: bool,
    /// Whether products wait for a review before they are on offer.
    pub reviews_products: bool,
    /// The clock of events and decisions.
    pub clock: Arc<dyn Clock>,
    /// The clock that latencies are measured by.
    pub stopwatch: Arc<dyn Clock>,
    /// Random bits for ids.
    pub id_seed: [u8; 32],
}

type Features = (Arc<dyn FeatureReads>, Option<Arc<OnlineStore>>);

/// Where requests read features, and the state that this process keeps of them, if it keeps any.
fn open_features(
    features: &Arc<FeatureSet>,
    settings: OnlineSettings,
    redis: Option<&RedisSettings>,
    snapshot: &Path,
) -> Result<Features, EngineError> {
    if let Some(redis) = redis {
        let reader = RedisReader::connect(redis, features.clone()).map_err(failed("features in Redis"))?;
        return Ok((Arc::new(reader), None));
    }
    let loaded = OnlineStore::load(features.clone(), settings, snapshot).map_err(failed("feature snapshot"))?;
    let online = Arc::new(loaded.unwrap_or_else(|| OnlineStore::new(features.clone(), settings)));
    Ok((online.clone(), Some(online)))
}

/// The database, its secrets sealed with the key in force, where there is one.
async fn open_store(url: &str, keys: SecretKeys) -> Result<Store, EngineError> {
    let store = Store::connect(url, StoreSettings::default()).await.map_err(failed("database"))?;
    let (store, sealed) = store.with_secret_keys(keys).await.map_err(failed("database"))?;
    match store.secrets_sealed_by() {
        Some(key) => tracing::info!(key, sealed_now = sealed, "signing secrets of webhooks are sealed in the database"),
        None => tracing::warn!(
            "signing secrets of webhooks stand in clear in the database: no key is configured in `secrets.key_files`; \
             `dhow secrets keys new FILE` makes one"
        ),
    }
    Ok(store)
}

/// The running platform.
pub struct Engine {
    folders: Folders,
    lake: Arc<dyn LakeStorage>,
    features: Arc<FeatureSet>,
    online_settings: OnlineSettings,
    checkpoint_records: u64,
    feed_kept_micros: i64,
    webhook_sender: WebhookSender,
    webhook_tests: Semaphore,
    tenants: Vec<TenantId>,
    monitor: Monitor,
    monitor_settings: MonitorSettings,
    storefront: RwLock<Arc<Storefront>>,
    borders: Borders,
    sea: SeaChart,
    log: Arc<dyn Log>,
    store: Store,
    registry: Registry,
    inference: Arc<Inference>,
    seen_promotions: SeenPromotions,
    shared: Arc<Shared>,
    desk: Arc<FraudDesk>,
    commerce: Arc<Commerce<Store, SimulatedRail>>,
    runtime: Handle,
    clock: Arc<dyn Clock>,
    urgent_decisions: UrgentDecisions,
    decision_queue: mpsc::Sender<Decided>,
    decisions: Mutex<Option<mpsc::Receiver<Decided>>>,
    route_permits: Arc<Semaphore>,
    plan_queue: Arc<Semaphore>,
    plan_turns: Arc<Semaphore>,
    backtest_permits: Arc<Semaphore>,
    erased: Erased,
    can_erase: bool,
    /// Held by who stops the worker and starts it again.
    worker_turn: Mutex<()>,
    stop_worker: Arc<AtomicBool>,
    worker: Mutex<Option<JoinHandle<()>>>,
    worker_failure: Arc<Mutex<Option<String>>>,
}

impl Engine {
    /// Restores what the data folder holds, connects the database and starts the stream worker.
    ///
    /// # Errors
    /// Whatever part cannot be opened, by its name.
    pub async fn open(settings: EngineSettings) -> Result<Arc<Self>, EngineError> {
        let folders = Folders::of(&settings.data);
        let features = Arc::new(settings.features);
        let vector = FraudVector::new(&features).map_err(failed("feature definitions"))?;
        let log = settings.log.open(&folders.log, settings.clock.clone()).map_err(failed("log"))?;
        let store = open_store(&settings.database_url, settings.secret_keys).await?;
        let erased = Erased::open(&store).await?;
        let can_erase = matches!(settings.log, LogPlace::Local(_)) && settings.redis.is_none();
        let registry = Registry::open_with(&folders.registry, settings.model_keys).map_err(failed("model registry"))?;

        let (reads, online) = open_features(&features, settings.online, settings.redis.as_ref(), &folders.snapshot)?;
        let shared = Arc::new(Shared {
            features: reads,
            online,
            links: LiveLinks::open(&folders.links, settings.links, log.partition_count())?,
            deliveries: LiveDeliveries::open(&folders.deliveries, log.partition_count())?,
            catalogue: Catalogue::default(),
            search: LiveSearch::default(),
            watches: Arc::new(LiveWatches::default()),
            champions: Champions::default(),
            freshness: Freshness::default(),
            answered: Answered::default(),
            stopwatch: settings.stopwatch.clone(),
            applied: RwLock::new(vec![0; log.partition_count() as usize]),
            applied_count: AtomicU64::new(0),
        });
        let lake = Lake::open(settings.lake.clone()).map_err(failed("lake"))?;
        // What is promoted from here on is taken into force later.
        let promoted = registry.ledger().map_err(failed("model registry"))?.promotions().len();
        for tenant in &settings.tenants {
            shared.catalogue.restore(&lake, *tenant).await.map_err(failed("lake"))?;
            shared.champions.restore_sales(&lake, *tenant).await.map_err(failed("lake"))?;
            shared.champions.reload(&registry, *tenant, &shared.deliveries)?;
        }
        // What the lake knew is found from the first request on; vectors follow beside the requests.
        while shared.search.follow(&shared.catalogue)? {}
        let storefront = Storefront::open(settings.storefront)?;
        let rules = FraudRules::open(&store, vector.names()).await?;
        let desk = Arc::new(FraudDesk { shared: shared.clone(), vector, rules });
        let mut rail = SimulatedRail::new(settings.clock.clone());
        if let Some(secret) = &settings.rail_secret {
            rail = rail.with_secret(secret);
        }
        let ids = IdSource::new(settings.id_seed);
        let tables = MarketplaceTables {
            commission: CommissionTables::marketplace().map_err(failed("commission tables"))?,
            prices: PriceLists::marketplace().map_err(failed("price lists"))?,
        };
        let (rates, clock) = (settings.rates, settings.clock.clone());
        let carriers = carriers(&settings.carriers, &clock)?;
        let commerce =
            Commerce::new(store.clone(), rail, desk.clone(), rates, tables, clock, ids).with_carriers(carriers);
        let commerce = commerce.with_reviews(settings.reviews_products);
        let (decision_queue, decisions) = queue();
        let engine = Arc::new(Self {
            folders,
            lake: settings.lake,
            features,
            online_settings: settings.online,
            checkpoint_records: settings.checkpoint_records,
            feed_kept_micros: settings.feed_kept_micros,
            webhook_sender: WebhookSender::new(settings.webhooks_to_loopback).map_err(failed("webhooks"))?,
            webhook_tests: Semaphore::new(WEBHOOK_TESTS_MAX),
            tenants: settings.tenants,
            monitor: Monitor::default(),
            storefront: RwLock::new(Arc::new(storefront)),
            borders: settings.borders,
            sea: settings.sea,
            monitor_settings: settings.monitor,
            log,
            store,
            seen_promotions: SeenPromotions::new(promoted),
            inference: Arc::new(serve_registered(&registry, settings.stopwatch.clone())),
            registry,
            shared,
            desk,
            commerce: Arc::new(commerce),
            runtime: Handle::current(),
            clock: settings.clock,
            urgent_decisions: UrgentDecisions::default(),
            decision_queue,
            decisions: Mutex::new(Some(decisions)),
            route_permits: Arc::new(Semaphore::new(ROUTE_PLANS_MAX)),
            plan_queue: Arc::new(Semaphore::new(PLANS_QUEUED_MAX)),
            plan_turns: Arc::new(Semaphore::new(PLANS_AT_ONCE_MAX)),
            backtest_permits: Arc::new(Semaphore::new(BACKTESTS_AT_ONCE_MAX)),
            erased,
            can_erase,
            worker_turn: Mutex::default(),
            stop_worker: Arc::new(AtomicBool::new(false)),
            worker: Mutex::new(None),
            worker_failure: Arc::new(Mutex::new(None)),
        });
        engine.start_worker()?;
        Ok(engine)
    }

    fn start_worker(&self) -> Result<(), EngineError> {
        let partition_count = self.log.partition_count();
        let watermark = Watermark::new(partition_count, IDLE_PARTITION_MICROS, self.shared.stopwatch.now());
        let lake = LakeWriter::open(self.lake.clone(), self.shared.stopwatch.clone()).map_err(failed("lake"))?;
        let online_at = match &self.shared.online {
            Some(online) => online.offsets(partition_count),
            None => Offsets(vec![u64::MAX; partition_count as usize]),
        };
        let begun_at = join(&online_at, &lake.restored_offsets(), u64::min);
        let (shared, snapshot) = (self.shared.clone(), self.folders.snapshot.clone());
        let watching = Watching {
            watches: shared.watches.clone(),
            shop: self.commerce.clone(),
            runtime: self.runtime.clone(),
            stop: self.stop_worker.clone(),
        };
        let mut sink = PlatformSink { shared, lake, watching, snapshot, begun_at, watermark };
        self.shared.applied.write().clone_from(&sink.restored_offsets().0);
        let (log, stop, failure) = (self.log.clone(), self.stop_worker.clone(), self.worker_failure.clone());
        let checkpoint_records = self.checkpoint_records;
        let settings = WorkerSettings { checkpoint_records, ..WorkerSettings::new(self.shared.stopwatch.clone()) };
        let work = move || {
            give_way_to_requests();
            let stopping = || stop.load(Ordering::Acquire);
            let ended = run_worker(&*log, &mut sink, &settings, &stopping).map_err(|error| error.to_string());
            let save = || sink.shared.links.save().and_then(|()| sink.shared.deliveries.save());
            let saved = ended.and_then(|_| save().map_err(|error| error.to_string()));
            if let Err(error) = saved {
                tracing::error!(error, "the stream worker ended");
                *failure.lock() = Some(error);
            }
        };
        let thread = std::thread::Builder::new()
            .name("stream-worker".to_owned())
            .spawn(work)
            .map_err(failed("stream worker"))?;
        *self.worker.lock() = Some(thread);
        Ok(())
    }

    /// Adds checked events to the log; they are durable when this returns.
    ///
    /// # Errors
    /// The log fails.
    pub async fn append(&self, events: Vec<Event>) -> Result<Vec<Position>, EngineError> {
        let (log, events) = (self.log.clone(), self.erased.admit(events)?);
        let span = tracing::info_span!(target: "dhow::trace", "append", events = events.len());
        let appended = tokio::task::spawn_blocking(move || log.append(&events)).instrument(span).await;
        let appended = appended.map_err(failed("log"))?;
        let positions = appended.map_err(failed("log"))?;
        let applied = self.shared.applied.read().clone();
        self.shared.freshness.acknowledged(&positions, self.shared.stopwatch.now(), &applied);
        Ok(positions)
    }

    /// Takes promotions since the last load into force.
    ///
    /// # Errors
    /// A champion that cannot be read; the models in force then stay.
    pub fn reload_models(&self, tenant: TenantId) -> Result<(), EngineError> {
        self.shared.champions.reload(&self.registry, tenant, &self.shared.deliveries)
    }

    /// Makes everything applied so far durable, in features and lake, and goes on. Blocks until it is.
    ///
    /// # Errors
    /// The worker failed, or cannot be started again.
    pub fn checkpoint(&self) -> Result<(), EngineError> {
        let _alone = self.worker_turn.lock();
        // A worker's last act is a checkpoint; the state in memory stays where it is.
        self.stop()?;
        self.start_again()
    }

    /// Starts the worker that was stopped.
    pub(crate) fn start_again(&self) -> Result<(), EngineError> {
        self.stop_worker.store(false, Ordering::Release);
        self.start_worker()
    }

    /// Held by who stops the worker and starts it again.
    pub(crate) const fn worker_turn(&self) -> &Mutex<()> {
        &self.worker_turn
    }

    /// Who was erased.
    pub(crate) const fn erased(&self) -> &Erased {
        &self.erased
    }

    /// Whether persons can be taken out of the log and the features.
    pub(crate) const fn can_erase(&self) -> bool {
        self.can_erase
    }

    /// Stops the stream worker after a last checkpoint. Blocks until it ended.
    ///
    /// # Errors
    /// The worker failed earlier, or panicked.
    pub fn stop(&self) -> Result<(), EngineError> {
        self.stop_worker.store(true, Ordering::Release);
        let thread = self.worker.lock().take();
        if let Some(thread) = thread {
            thread
                .join()
                .map_err(|_| EngineError::Failed { part: "stream worker", reason: "it panicked".to_owned() })?;
        }
        match self.worker_failure() {
            Some(reason) => Err(EngineError::Failed { part: "stream worker", reason }),
            None => Ok(()),
        }
    }

    /// Why the stream worker ended, if it did.
    pub fn worker_failure(&self) -> Option<String> {
        self.worker_failure.lock().clone()
    }

    /// The commerce use cases.
    pub fn commerce(&self) -> &Commerce<Store, SimulatedRail> {
        &self.commerce
    }

    /// The database.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The event log.
    pub fn log(&self) -> &dyn Log {
        &*self.log
    }

    pub(crate) fn shared_log(&self) -> Arc<dyn Log> {
        self.log.clone()
    }

    pub(crate) const fn webhook_sender(&self) -> &WebhookSender {
        &self.webhook_sender
    }

    pub(crate) const fn webhook_tests(&self) -> &Semaphore {
        &self.webhook_tests
    }

    pub(crate) const fn feed_kept_micros(&self) -> i64 {
        self.feed_kept_micros
    }

    pub(crate) fn tenants(&self) -> &[TenantId] {
        &self.tenants
    }

    pub(crate) const fn seen_promotions(&self) -> &SeenPromotions {
        &self.seen_promotions
    }

    pub(crate) const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub(crate) const fn monitor_settings(&self) -> &MonitorSettings {
        &self.monitor_settings
    }

    /// The model registry.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The models that are served by tensors.
    pub const fn inference(&self) -> &Arc<Inference> {
        &self.inference
    }

    /// The feature definitions in force.
    pub const fn features(&self) -> &Arc<FeatureSet> {
        &self.features
    }

    /// The bounds of the online features.
    pub const fn online_settings(&self) -> &OnlineSettings {
        &self.online_settings
    }

    /// Where the parts of the data folder are.
    pub const fn folders(&self) -> &Folders {
        &self.folders
    }

    /// Where the lake is.
    pub const fn lake(&self) -> &Arc<dyn LakeStorage> {
        &self.lake
    }

    /// What is on offer.
    pub fn catalogue(&self) -> &Catalogue {
        &self.shared.catalogue
    }

    /// The models in force.
    pub fn champions(&self) -> &Champions {
        &self.shared.champions
    }

    /// The clock of events and decisions.
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The clock that latencies are measured by.
    pub fn stopwatch(&self) -> &Arc<dyn Clock> {
        &self.shared.stopwatch
    }

    /// Random bits for an id.
    pub fn random(&self) -> u128 {
        self.commerce.ids().random()
    }

    /// Puts other settings for slates in force; what campaigns have spent is forgotten.
    ///
    /// # Errors
    /// Settings out of their bounds; those in force then stay.
    pub fn set_storefront(&self, settings: StorefrontSettings) -> Result<(), EngineError> {
        *self.storefront.write() = Arc::new(Storefront::open(settings)?);
        Ok(())
    }

    /// Where ships go.
    pub(crate) const fn sea(&self) -> &SeaChart {
        &self.sea
    }

    /// What is known of borders.
    pub fn borders(&self) -> &Borders {
        &self.borders
    }

    pub(crate) fn storefront(&self) -> Arc<Storefront> {
        self.storefront.read().clone()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn fraud_desk(&self) -> &FraudDesk {
        &self.desk
    }

    pub(crate) fn rules(&self) -> &FraudRules {
        &self.desk.rules
    }

    pub(crate) fn backtest_permits(&self) -> Arc<Semaphore> {
        self.backtest_permits.clone()
    }

    pub(crate) const fn urgent_decisions(&self) -> &UrgentDecisions {
        &self.urgent_decisions
    }

    pub(crate) const fn decision_queue(&self) -> &mpsc::Sender<Decided> {
        &self.decision_queue
    }

    pub(crate) fn route_permits(&self) -> Arc<Semaphore> {
        self.route_permits.clone()
    }

    pub(crate) fn plan_queue(&self) -> Arc<Semaphore> {
        self.plan_queue.clone()
    }

    pub(crate) fn plan_turns(&self) -> Arc<Semaphore> {
        self.plan_turns.clone()
    }

    pub(crate) fn take_decisions(&self) -> Result<mpsc::Receiver<Decided>, EngineError> {
        self.decisions
            .lock()
            .take()
            .ok_or_else(|| EngineError::Failed { part: "tasks", reason: "they run already".to_owned() })
    }
}
