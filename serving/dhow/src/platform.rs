//! Opens the platform as configured; the one place where configuration becomes engine settings.

use std::path::Path;
use std::sync::Arc;

use dhow_commerce::ExchangeRates;
use dhow_engine::{Engine, EngineSettings, Folders, LogPlace, MonitorSettings};
use dhow_events::{Clock, DAY_MICROS, SystemClock, Timestamp};
use dhow_kafka::KafkaSettings;
use dhow_links::LinkSettings;
use dhow_offline::{FolderStorage, LakeStorage, lake_storage};
use dhow_online::OnlineSettings;
use dhow_redis::RedisSettings;
use dhow_streams::{LocalLogSettings, Log};

use crate::configuration::Configuration;
use crate::customs_files::borders;
use crate::failure::Failure;
use crate::model_keys::configured;
use crate::secret_keys;

/// Connections to Redis of one process.
const REDIS_CONNECTIONS: usize = 16;

/// The exchange rates in force, until a shop configures its own: those of the simulated world.
///
/// # Errors
/// A rate that is not positive or a code that is no currency.
pub fn rates(as_of: Timestamp) -> Result<ExchangeRates, Failure> {
    Ok(ExchangeRates::new(as_of, dhow_datasets::units_per_usd_micros()?)?)
}

/// Where the log of `configuration` is.
pub fn log_place(configuration: &Configuration) -> LogPlace {
    let partitions = configuration.log_partitions;
    match &configuration.kafka {
        None => LogPlace::Local(LocalLogSettings { partitions, ..LocalLogSettings::default() }),
        Some(kafka) => LogPlace::Kafka(KafkaSettings::new(&kafka.brokers, &kafka.topic, partitions)),
    }
}

/// Opens the log alone, for commands that only read or fill it.
///
/// # Errors
/// A damaged log, or one that another process holds.
pub fn open_log(configuration: &Configuration, clock: Arc<dyn Clock>) -> Result<Arc<dyn Log>, Failure> {
    let folder = Folders::of(&configuration.data_dir).log;
    Ok(log_place(configuration).open(&folder, clock)?)
}

/// Fails where the data folder does not exist: a mistyped path must not become an empty shop.
///
/// # Errors
/// There is no such folder.
pub fn require_data_dir(configuration: &Configuration) -> Result<(), Failure> {
    let path = &configuration.data_dir;
    if path.is_dir() {
        return Ok(());
    }
    let shown = path.display();
    Err(Failure::Input(format!(
        "there is no data folder `{shown}`; fill one with `dhow demo --data-dir {shown}` or `dhow ingest --data-dir {shown}`"
    )))
}

/// Events up to three days late still correct every window, and duplicates are known for as long.
pub fn online_settings() -> OnlineSettings {
    OnlineSettings { allowed_lateness_micros: 3 * DAY_MICROS, duplicate_horizon_micros: 3 * DAY_MICROS }
}

/// Ten million links among five million accounts, which take about 1.5 GB; one that is not used for 90 days lapses.
pub fn link_settings() -> LinkSettings {
    LinkSettings { retention_micros: 90 * DAY_MICROS, most_links: 10_000_000, most_accounts: 5_000_000 }
}

/// Where workers of a fleet keep feature state, if they do.
///
/// # Errors
/// Redis without Kafka: only partitions of a topic can be shared among workers.
pub fn redis(configuration: &Configuration) -> Result<Option<RedisSettings>, Failure> {
    match (&configuration.redis_url, &configuration.kafka) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(Failure::Input(
            "features.redis_url needs log.kafka_brokers and log.kafka_topic: the workers that keep features in Redis share the partitions of a Kafka topic"
                .to_owned(),
        )),
        (Some(address), Some(kafka)) => Ok(Some(RedisSettings {
            address: address.clone(),
            partitions: kafka.entity_partitions,
            connections: REDIS_CONNECTIONS,
        })),
    }
}

/// Opens the platform.
///
/// # Errors
/// A part that cannot be opened, by its name.
pub async fn open(configuration: &Configuration, clock: Arc<dyn Clock>) -> Result<Arc<Engine>, Failure> {
    create_folder(&configuration.data_dir)?;
    let settings = EngineSettings {
        data: configuration.data_dir.clone(),
        database_url: database_url(configuration),
        lake: lake(configuration)?,
        features: configuration.feature_set()?,
        online: online_settings(),
        links: link_settings(),
        log: log_place(configuration),
        redis: redis(configuration)?,
        checkpoint_records: configuration.checkpoint_records,
        monitor: MonitorSettings { expectations: configuration.expectations()?, ..MonitorSettings::default() },
        storefront: configuration.storefront.clone(),
        borders: borders(&configuration.customs)?,
        carriers: configuration.shipping.carriers()?,
        sea: configuration.shipping.sea()?,
        model_keys: configured(configuration)?,
        secret_keys: secret_keys::configured(&configuration.secret_key_files)?,
        tenants: vec![configuration.tenant],
        rates: rates(clock.now())?,
        rail_secret: configuration.rail_secret.clone(),
        feed_kept_micros: i64::from(configuration.feed_kept_days) * DAY_MICROS,
        webhooks_to_loopback: configuration.webhooks_to_loopback,
        reviews_products: configuration.reviews_products,
        clock,
        stopwatch: Arc::new(SystemClock),
        id_seed: fresh_seed()?,
    };
    Ok(Engine::open(settings).await?)
}

/// Where the lake is: the configured place, or the data folder.
///
/// # Errors
/// A URL that names no place for a lake.
pub fn lake(configuration: &Configuration) -> Result<Arc<dyn LakeStorage>, Failure> {
    match &configuration.lake_url {
        None => Ok(Arc::new(FolderStorage::new(Folders::of(&configuration.data_dir).lake))),
        Some(url) => lake_storage(url, &configuration.lake_s3).map_err(Failure::input),
    }
}

/// The database's URL: the configured one, or the file in the data folder.
pub fn database_url(configuration: &Configuration) -> String {
    let own = || dhow_store::sqlite_url(&Folders::of(&configuration.data_dir).database);
    configuration.database_url.clone().unwrap_or_else(own)
}

fn create_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|error| Failure::Input(format!("data folder `{}`: {error}", path.display())))
}

/// Bits that nobody can guess and no other start of this server has, from the operating system.
///
/// # Errors
/// The system gives none.
pub fn fresh_seed() -> Result<[u8; 32], Failure> {
    use std::io::Read;
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(seed)
}
