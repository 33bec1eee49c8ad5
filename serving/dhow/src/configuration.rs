//! What was typed, set in the environment and written in `dhow.toml`, joined: flags over environment over file; unknown keys are errors.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};

use dhow_commerce::signing_secret;
use dhow_definitions::{FeatureSet, MARKETPLACE};
use dhow_engine::StorefrontSettings;
use dhow_events::TenantId;
use dhow_offline::S3Settings;
use dhow_quality::Expectations;
use dhow_registry::PublicKey;
use serde::Deserialize;

use crate::arguments::Arguments;
use crate::customs_files::CustomsSection;
use crate::failure::Failure;
use crate::login_settings::LoginSection;
use crate::shipping_settings::ShippingSection;

/// Events from one checkpoint to the next where the configuration does not say.
const CHECKPOINT_RECORDS: u64 = 500_000;
/// Days for which the feed's events are kept where the configuration does not say.
const FEED_KEPT_DAYS: u16 = 30;
/// Partitions of the topic by entity where the configuration does not say.
const ENTITY_PARTITIONS: u32 = 16;
/// Where configuration is looked for when no file is named.
const DEFAULT_FILE: &str = "dhow.toml";
/// Where an S3-compatible server is, by the convention of all its clients.
const ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL";
/// Variables that begin with DHOW_ and are not configuration.
const OTHER_VARIABLES: [&str; 4] = ["DHOW_CONFIG", "DHOW_LOG", "DHOW_DATA_DIR", "DHOW_TOOLS"];
/// The share of requests that are traced where nothing else is said.
const TRACED_SHARE: f64 = 0.01;
/// Variables of tests and benchmarks begin so.
const OTHER_PREFIXES: [&str; 2] = ["DHOW_TEST_", "DHOW_BENCH_"];

/// What a run works with.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The data folder.
    pub data_dir: PathBuf,
    /// Whether the data folder was named rather than taken by default.
    pub data_dir_named: bool,
    /// The database, where another than the embedded one is wanted.
    pub database_url: Option<String>,
    /// Where the lake is, where not in the data folder: `s3://bucket/prefix` or the path of a folder.
    pub lake_url: Option<String>,
    /// How the lake's object store is reached.
    pub lake_s3: S3Settings,
    /// The tenant of commands that work on one.
    pub tenant: TenantId,
    /// The address to serve on.
    pub bind: SocketAddr,
    /// The address to serve gRPC on, where it is served.
    pub grpc_bind: Option<SocketAddr>,
    /// Models that are loaded at the start.
    pub load: Vec<String>,
    /// Requests of one caller per second, where not as by default.
    pub requests_per_second: Option<u32>,
    /// Partitions of a new log, or of the Kafka topic.
    pub log_partitions: u32,
    /// The Kafka topic that is the log, where it is not kept in the data folder.
    pub kafka: Option<Kafka>,
    /// The Redis that workers of a fleet keep feature state in, where it is not kept in memory.
    pub redis_url: Option<String>,
    /// The stream worker takes a checkpoint after so many events, besides those by time.
    pub checkpoint_records: u64,
    /// A file with feature definitions, instead of the built-in ones.
    pub features: Option<PathBuf>,
    /// A file with what is expected of served features.
    pub expectations: Option<PathBuf>,
    /// How slates are arranged, who pays for places, which experiment runs.
    pub storefront: StorefrontSettings,
    /// Where tariff tables and rules of borders are.
    pub customs: CustomsSection,
    /// Who ships.
    pub shipping: ShippingSection,
    /// Where traces go, where they are kept.
    pub telemetry: Option<Telemetry>,
    /// What the payment rail signs its messages with.
    pub rail_secret: Option<Vec<u8>>,
    /// Whether products wait for a review before they are on offer.
    pub reviews_products: bool,
    /// Days for which the feed's events are kept.
    pub feed_kept_days: u16,
    /// Whether webhooks may be sent to this machine.
    pub webhooks_to_loopback: bool,
    /// Keys of which one must have signed a model for it to be loaded; where there are none, any model is.
    pub trusted_keys: Vec<PublicKey>,
    /// The key that registered models are signed with.
    pub signing_key_file: Option<PathBuf>,
    /// Where people log in, if they do.
    pub login: Option<LoginSection>,
    /// Keys of secrets in the database: the first seals, all unseal.
    pub secret_key_files: Vec<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    tenant: Option<TenantId>,
    #[serde(default)]
    database: DatabaseSection,
    #[serde(default)]
    lake: LakeSection,
    #[serde(default)]
    server: ServerSection,
    #[serde(default)]
    log: LogSection,
    #[serde(default)]
    stream: StreamSection,
    #[serde(default)]
    features: FeaturesSection,
    #[serde(default)]
    storefront: StorefrontSettings,
    #[serde(default)]
    customs: CustomsSection,
    #[serde(default)]
    shipping: ShippingSection,
    #[serde(default)]
    payments: PaymentsSection,
    #[serde(default)]
    feed: FeedSection,
    #[serde(default)]
    catalogue: CatalogueSection,
    #[serde(default)]
    telemetry: TelemetrySection,
    #[serde(default)]
    webhooks: WebhooksSection,
    #[serde(default)]
    inference: InferenceSection,
    #[serde(default)]
    registry: RegistrySection,
    #[serde(default)]
    secrets: SecretsSection,
    login: Option<LoginSection>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretsSection {
    #[serde(default)]
    key_files: Vec<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistrySection {
    #[serde(default)]
    trusted_keys: Vec<String>,
    signing_key_file: Option<PathBuf>,
}

impl RegistrySection {
    fn trusted(&self) -> Result<Vec<PublicKey>, Failure> {
        let key =
            |text: &String| text.parse().map_err(|error| Failure::Input(format!("registry.trusted_keys: {error}")));
        self.trusted_keys.iter().map(key).collect()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct InferenceSection {
    #[serde(default)]
    load: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhooksSection {
    allow_loopback: Option<bool>,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq)]
pub struct Telemetry {
    /// An OpenTelemetry collector that speaks OTLP over gRPC.
    pub otlp_endpoint: String,
    /// The share of requests without a caller's trace that are traced, 0 to 1.
    pub sample_ratio: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TelemetrySection {
    otlp_endpoint: Option<String>,
    sample_ratio: Option<f64>,
}

impl TelemetrySection {
    fn telemetry(self) -> Result<Option<Telemetry>, Failure> {
        let sample_ratio = self.sample_ratio.unwrap_or(TRACED_SHARE);
        if !(0.0..=1.0).contains(&sample_ratio) {
            let problem = format!("telemetry.sample_ratio is {sample_ratio}; it must be from 0 to 1");
            return Err(Failure::Input(problem));
        }
        Ok(self.otlp_endpoint.map(|otlp_endpoint| Telemetry { otlp_endpoint, sample_ratio }))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueSection {
    reviews_products: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedSection {
    kept_days: Option<NonZeroU16>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentsSection {
    webhook_secret: Option<String>,
}

impl PaymentsSection {
    fn secret(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(text) = &self.webhook_secret else { return Ok(None) };
        signing_secret(text).map(Some).ok_or_else(|| {
            Failure::Input("payments.webhook_secret must be `whsec_` and at least 16 bytes in base64".to_owned())
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseSection {
    url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LakeSection {
    url: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSection {
    bind: Option<SocketAddr>,
    grpc_bind: Option<SocketAddr>,
    requests_per_second: Option<NonZeroU32>,
}

/// A Kafka topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kafka {
    /// Addresses of brokers to begin with.
    pub brokers: String,
    /// The topic of events.
    pub topic: String,
    /// Partitions of the topics that hold the same events by entity, which workers of a fleet share.
    pub entity_partitions: u32,
    /// Brokers that keep each of those partitions.
    pub entity_replicas: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    partitions: Option<u32>,
    kafka_brokers: Option<String>,
    kafka_topic: Option<String>,
    kafka_entity_partitions: Option<u32>,
    kafka_entity_replicas: Option<u32>,
}

impl LogSection {
    fn kafka(&self) -> Result<Option<Kafka>, Failure> {
        match (&self.kafka_brokers, &self.kafka_topic) {
            (None, None) => Ok(None),
            (Some(brokers), Some(topic)) => Ok(Some(Kafka {
                brokers: brokers.clone(),
                topic: topic.clone(),
                entity_partitions: self.kafka_entity_partitions.unwrap_or(ENTITY_PARTITIONS),
                entity_replicas: self.kafka_entity_replicas.unwrap_or(1),
            })),
            _ => Err(Failure::Input(
                "log.kafka_brokers and log.kafka_topic belong together: name both, or neither for a log of local files"
                    .to_owned(),
            )),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamSection {
    checkpoint_records: Option<NonZeroU64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FeaturesSection {
    definitions: Option<PathBuf>,
    expectations: Option<PathBuf>,
    redis_url: Option<String>,
}

impl Configuration {
    /// Joins the sources.
    ///
    /// # Errors
    /// A file that was named and cannot be read, an unknown key or variable, a value of the wrong kind.
    pub fn load(arguments: &Arguments) -> Result<Self, Failure> {
        let mut file = read_file(arguments.config.as_deref())?;
        for (name, value) in std::env::vars().filter(|(name, _)| name.starts_with("DHOW_")) {
            apply_variable(&mut file, &name, &value)?;
        }
        let data_dir = arguments.data_dir.clone().or(file.data_dir);
        Ok(Self {
            data_dir_named: data_dir.is_some(),
            data_dir: data_dir.unwrap_or_else(|| PathBuf::from("dhow-data")),
            database_url: arguments.database_url.clone().or(file.database.url),
            lake_url: file.lake.url,
            lake_s3: S3Settings {
                endpoint: file.lake.endpoint.or_else(|| std::env::var(ENDPOINT_VARIABLE).ok()),
                region: file.lake.region,
                access_key_id: file.lake.access_key_id,
                secret_access_key: file.lake.secret_access_key,
            },
            tenant: arguments.tenant.or(file.tenant).unwrap_or_default(),
            grpc_bind: file.server.grpc_bind,
            load: file.inference.load,
            bind: file.server.bind.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            requests_per_second: file.server.requests_per_second.map(NonZeroU32::get),
            kafka: file.log.kafka()?,
            log_partitions: file.log.partitions.unwrap_or(4),
            redis_url: file.features.redis_url,
            checkpoint_records: file.stream.checkpoint_records.map_or(CHECKPOINT_RECORDS, NonZeroU64::get),
            features: file.features.definitions,
            expectations: file.features.expectations,
            storefront: file.storefront,
            customs: file.customs,
            shipping: file.shipping,
            telemetry: file.telemetry.telemetry()?,
            trusted_keys: file.registry.trusted()?,
            signing_key_file: file.registry.signing_key_file,
            secret_key_files: file.secrets.key_files,
            login: file.login,
            rail_secret: file.payments.secret()?,
            webhooks_to_loopback: file.webhooks.allow_loopback.unwrap_or(false),
            reviews_products: file.catalogue.reviews_products.unwrap_or(false),
            feed_kept_days: file.feed.kept_days.map_or(FEED_KEPT_DAYS, NonZeroU16::get),
        })
    }

    /// What is expected of served features, where anything is.
    ///
    /// # Errors
    /// A file that cannot be read or is wrong.
    pub fn expectations(&self) -> Result<Option<Expectations>, Failure> {
        self.expectations.as_deref().map(read_expectations).transpose()
    }

    /// The feature definitions in force.
    ///
    /// # Errors
    /// A definitions file that cannot be read or is wrong, with line and column.
    pub fn feature_set(&self) -> Result<FeatureSet, Failure> {
        match &self.features {
            None => Ok(FeatureSet::marketplace()?),
            Some(path) => {
                let set = read_features(path)?;
                // The log holds the marketplace's facts; tables of the user's own are for `dhow features compute`.
                set.require_facts().map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
                Ok(set)
            }
        }
    }

    /// The text of the feature definitions in force.
    ///
    /// # Errors
    /// A definitions file that cannot be read.
    pub fn feature_text(&self) -> Result<String, Failure> {
        self.features.as_deref().map_or_else(|| Ok(MARKETPLACE.to_owned()), read_text)
    }
}

/// The text of a definitions file.
fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

/// Reads a file of expectations.
///
/// # Errors
/// The file is missing, or says something else than expectations.
pub fn read_expectations(path: &Path) -> Result<Expectations, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Input(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Expectations::from_toml(&text).map_err(|error| wrong(&error))
}

/// Reads a definitions file.
///
/// # Errors
/// The file is missing, or wrong at a line and column.
pub fn read_features(path: &Path) -> Result<FeatureSet, Failure> {
    FeatureSet::from_toml(&read_text(path)?).map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

fn read_file(named: Option<&Path>) -> Result<File, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    match std::fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map_err(|error| Failure::Input(format!("{}: {error}", path.display()))),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
        Err(error) => Err(Failure::Input(format!("{}: {error}", path.display()))),
    }
}

fn apply_variable(file: &mut File, name: &str, value: &str) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::Input(format!("environment variable {name}: {error}"));
    match name {
        "DHOW_HOME" => file.data_dir = Some(value.into()),
        "DHOW_TENANT" => file.tenant = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_DATABASE_URL" => file.database.url = Some(value.to_owned()),
        "DHOW_LAKE_URL" => file.lake.url = Some(value.to_owned()),
        "DHOW_LAKE_ENDPOINT" => file.lake.endpoint = Some(value.to_owned()),
        "DHOW_LAKE_REGION" => file.lake.region = Some(value.to_owned()),
        "DHOW_SERVER_REQUESTS_PER_SECOND" => {
            file.server.requests_per_second = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_TELEMETRY_OTLP_ENDPOINT" => file.telemetry.otlp_endpoint = Some(value.to_owned()),
        "DHOW_TELEMETRY_SAMPLE_RATIO" => {
            file.telemetry.sample_ratio = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_SERVER_GRPC_BIND" => file.server.grpc_bind = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_INFERENCE_LOAD" => file.inference.load = value.split(',').map(|name| name.trim().to_owned()).collect(),
        "DHOW_REGISTRY_TRUSTED_KEYS" => {
            file.registry.trusted_keys = value.split(',').map(|key| key.trim().to_owned()).collect();
        }
        "DHOW_REGISTRY_SIGNING_KEY_FILE" => file.registry.signing_key_file = Some(value.into()),
        "DHOW_SECRETS_KEY_FILES" => {
            file.secrets.key_files = value.split(',').map(|path| PathBuf::from(path.trim())).collect();
        }
        "DHOW_SERVER_BIND" => file.server.bind = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_LOG_PARTITIONS" => file.log.partitions = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_LOG_KAFKA_BROKERS" => file.log.kafka_brokers = Some(value.to_owned()),
        "DHOW_LOG_KAFKA_TOPIC" => file.log.kafka_topic = Some(value.to_owned()),
        "DHOW_FEATURES_EXPECTATIONS" => file.features.expectations = Some(value.into()),
        "DHOW_LOG_KAFKA_ENTITY_REPLICAS" => {
            file.log.kafka_entity_replicas = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_LOG_KAFKA_ENTITY_PARTITIONS" => {
            file.log.kafka_entity_partitions = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_FEATURES_REDIS_URL" => file.features.redis_url = Some(value.to_owned()),
        "DHOW_STREAM_CHECKPOINT_RECORDS" => {
            file.stream.checkpoint_records = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_WEBHOOKS_ALLOW_LOOPBACK" => {
            file.webhooks.allow_loopback = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_CATALOGUE_REVIEWS_PRODUCTS" => {
            file.catalogue.reviews_products = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_FEED_KEPT_DAYS" => file.feed.kept_days = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_PAYMENTS_WEBHOOK_SECRET" => file.payments.webhook_secret = Some(value.to_owned()),
        "DHOW_FEATURES_DEFINITIONS" => file.features.definitions = Some(value.into()),
        _ if OTHER_VARIABLES.contains(&name) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {}
        _ => {
            let known = "DHOW_HOME, DHOW_TENANT, DHOW_DATABASE_URL, DHOW_LAKE_URL, DHOW_LAKE_ENDPOINT, DHOW_LAKE_REGION, DHOW_SERVER_BIND, DHOW_SERVER_REQUESTS_PER_SECOND, DHOW_LOG_PARTITIONS, DHOW_LOG_KAFKA_BROKERS, DHOW_LOG_KAFKA_TOPIC, DHOW_LOG_KAFKA_ENTITY_PARTITIONS, DHOW_LOG_KAFKA_ENTITY_REPLICAS, DHOW_STREAM_CHECKPOINT_RECORDS, DHOW_FEATURES_DEFINITIONS, DHOW_FEATURES_EXPECTATIONS, DHOW_FEATURES_REDIS_URL, DHOW_FEED_KEPT_DAYS, DHOW_PAYMENTS_WEBHOOK_SECRET, DHOW_WEBHOOKS_ALLOW_LOOPBACK, DHOW_REGISTRY_TRUSTED_KEYS, DHOW_REGISTRY_SIGNING_KEY_FILE, DHOW_SECRETS_KEY_FILES";
            return Err(wrong(&format!("is not known; known are {known}")));
        }
    }
    Ok(())
}
