//! What the protocol tells of a server and its models: metadata, configuration, index; the figures are elsewhere.

use dhow_tensors::{Dim, TensorSpec};
use serde::Serialize;

use crate::check::Batching;
use crate::datatype;
use crate::inference::Registered;
use crate::served::Served;

/// What the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerMetadata {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The extensions of the protocol that it has.
    pub extensions: &'static [&'static str],
}

impl ServerMetadata {
    /// What this server is.
    pub const fn this() -> Self {
        let extensions: &[&str] =
            &["binary_tensor_data", "model_configuration", "model_repository", "statistics", "parameters"];
        Self { name: "dhow", version: env!("CARGO_PKG_VERSION"), extensions }
    }
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TensorMetadata {
    /// Its name.
    pub name: String,
    /// The type of its elements, such as `FP32`.
    pub datatype: &'static str,
    /// Its dimensions; −1 is any length.
    pub shape: Vec<i64>,
}

/// What a model takes and gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelMetadata {
    /// Its name.
    pub name: String,
    /// Its loaded versions; the first answers where none is named.
    pub versions: Vec<String>,
    /// What runs it.
    pub platform: String,
    /// What it takes.
    pub inputs: Vec<TensorMetadata>,
    /// What it gives.
    pub outputs: Vec<TensorMetadata>,
}

impl ModelMetadata {
    pub(crate) fn of(served: &Served, versions: Vec<String>) -> Self {
        let signature = served.model().signature();
        let tensor = |spec: &TensorSpec| TensorMetadata {
            name: spec.name.clone(),
            datatype: datatype::word(spec.element_type),
            shape: shape(spec),
        };
        Self {
            name: served.name().to_owned(),
            versions,
            platform: served.model().platform().to_owned(),
            inputs: signature.inputs.iter().map(tensor).collect(),
            outputs: signature.outputs.iter().map(tensor).collect(),
        }
    }
}

/// The protocol's shape; an output whose rank the model leaves open is told as one free dimension.
fn shape(spec: &TensorSpec) -> Vec<i64> {
    let length = |dim: &Dim| if let Dim::Fixed(length) = dim { i64::try_from(*length).unwrap_or(-1) } else { -1 };
    spec.dims.as_ref().map_or_else(|| vec![-1], |dims| dims.iter().map(length).collect())
}

/// An input as a configuration tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigInput {
    /// Its name.
    pub name: String,
    /// The type of its elements, such as `TYPE_FP32`.
    pub data_type: &'static str,
    /// The number of that type in the protocol's messages.
    #[serde(skip)]
    pub data_type_number: i32,
    /// Its dimensions, without that of the rows where the model is batched.
    pub dims: Vec<i64>,
}

/// An output as a configuration tells it.
pub type ConfigOutput = ConfigInput;

/// Which versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VersionPolicy {
    /// The one in force and the one before it.
    pub latest: Latest,
}

/// So many versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latest {
    /// How many.
    pub num_versions: u32,
}

/// Requests run together as they come; none waits for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DynamicBatching {
    /// Always 0.
    pub max_queue_delay_microseconds: u64,
}

/// How a model is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelConfig {
    /// Its name.
    pub name: String,
    /// What runs it.
    pub platform: String,
    /// The same.
    pub backend: String,
    /// Which versions are kept.
    pub version_policy: VersionPolicy,
    /// The most rows that run together; 0 where every request runs alone.
    pub max_batch_size: i32,
    /// What it takes.
    pub input: Vec<ConfigInput>,
    /// What it gives.
    pub output: Vec<ConfigOutput>,
    /// How requests run together; absent where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_batching: Option<DynamicBatching>,
    /// What else is to be said: `batching` tells why requests run alone.
    pub parameters: std::collections::BTreeMap<&'static str, ConfigParameter>,
}

/// A parameter of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigParameter {
    /// Its value.
    pub string_value: String,
}

impl ModelConfig {
    pub(crate) fn of(served: &Served) -> Self {
        let signature = served.model().signature();
        let (max_batch_size, words) = match served.batching() {
            Batching::Rows(rows) => (i32::try_from(*rows).unwrap_or(i32::MAX), "rows run together".to_owned()),
            Batching::Alone(reason) => (0, format!("every request runs alone: {reason}")),
        };
        let tensor = |spec: &TensorSpec| {
            let mut dims = shape(spec);
            if max_batch_size > 0 {
                dims.remove(0);
            }
            ConfigInput {
                name: spec.name.clone(),
                data_type: datatype::config_word(spec.element_type),
                data_type_number: datatype::config_number(spec.element_type),
                dims,
            }
        };
        Self {
            name: served.name().to_owned(),
            platform: served.model().platform().to_owned(),
            backend: served.model().platform().to_owned(),
            version_policy: VersionPolicy { latest: Latest { num_versions: 2 } },
            max_batch_size,
            input: signature.inputs.iter().map(tensor).collect(),
            output: signature.outputs.iter().map(tensor).collect(),
            dynamic_batching: (max_batch_size > 0).then_some(DynamicBatching { max_queue_delay_microseconds: 0 }),
            parameters: [("batching", ConfigParameter { string_value: words })].into(),
        }
    }
}

/// A model in the repository's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IndexEntry {
    /// The name by which it is asked for.
    pub name: String,
    /// The version.
    pub version: String,
    /// `READY` where it is loaded, else `UNAVAILABLE`.
    pub state: &'static str,
    /// Why it is not ready.
    pub reason: &'static str,
}

impl IndexEntry {
    pub(crate) fn of(loaded: bool, model: Registered) -> Self {
        let (state, reason) = if loaded { ("READY", "") } else { ("UNAVAILABLE", "unloaded") };
        Self { name: model.name, version: model.version, state, reason }
    }

    /// Whether it is loaded.
    pub fn is_ready(&self) -> bool {
        self.reason.is_empty()
    }
}
