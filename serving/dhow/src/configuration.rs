//! What was typed, set in the environment and written in `dhow.toml`, joined: flags over environment over file; unknown keys are errors.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use dhow_definitions::{FeatureSet, MARKETPLACE};
use dhow_events::TenantId;
use serde::Deserialize;

use crate::arguments::Arguments;
use crate::failure::Failure;

/// Events from one checkpoint to the next where the configuration does not say.
const CHECKPOINT_RECORDS: u64 = 500_000;
/// Where configuration is looked for when no file is named.
const DEFAULT_FILE: &str = "dhow.toml";
/// Variables that begin with DHOW_ and are not configuration.
const OTHER_VARIABLES: [&str; 4] = ["DHOW_CONFIG", "DHOW_LOG", "DHOW_DATA_DIR", "DHOW_TOOLS"];
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
    /// The tenant of commands that work on one.
    pub tenant: TenantId,
    /// The address to serve on.
    pub bind: SocketAddr,
    /// Partitions of a new log.
    pub log_partitions: u32,
    /// The stream worker takes a checkpoint after so many events, besides those by time.
    pub checkpoint_records: u64,
    /// A file with feature definitions, instead of the built-in ones.
    pub features: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    tenant: Option<TenantId>,
    #[serde(default)]
    database: DatabaseSection,
    #[serde(default)]
    server: ServerSection,
    #[serde(default)]
    log: LogSection,
    #[serde(default)]
    stream: StreamSection,
    #[serde(default)]
    features: FeaturesSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseSection {
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerSection {
    bind: Option<SocketAddr>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogSection {
    partitions: Option<u32>,
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
            tenant: arguments.tenant.or(file.tenant).unwrap_or_default(),
            bind: file.server.bind.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            log_partitions: file.log.partitions.unwrap_or(4),
            checkpoint_records: file.stream.checkpoint_records.map_or(CHECKPOINT_RECORDS, NonZeroU64::get),
            features: file.features.definitions,
        })
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
        "DHOW_SERVER_BIND" => file.server.bind = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_LOG_PARTITIONS" => file.log.partitions = Some(value.parse().map_err(|e| wrong(&e))?),
        "DHOW_STREAM_CHECKPOINT_RECORDS" => {
            file.stream.checkpoint_records = Some(value.parse().map_err(|e| wrong(&e))?);
        }
        "DHOW_FEATURES_DEFINITIONS" => file.features.definitions = Some(value.into()),
        _ if OTHER_VARIABLES.contains(&name) || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) => {}
        _ => {
            let known = "DHOW_HOME, DHOW_TENANT, DHOW_DATABASE_URL, DHOW_SERVER_BIND, DHOW_LOG_PARTITIONS, DHOW_STREAM_CHECKPOINT_RECORDS, DHOW_FEATURES_DEFINITIONS";
            return Err(wrong(&format!("is not known; known are {known}")));
        }
    }
    Ok(())
}
