//! What is written down about a model: its card, with task, format, training, metrics and origin; no artifact bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use dhow_events::{ModelId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

/// The longest name, fingerprint, version, licence or reason, in bytes.
pub const MAX_TEXT_BYTES: usize = 1_000;
/// The most settings, or metrics, of one card.
pub const MAX_ENTRIES: usize = 1_000;

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident $words:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in a fixed order.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The word that stands for it in JSON, on the command line and in paths.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| UnknownWord {
                    found: text.to_owned(),
                    kind: $words,
                    allowed: Self::ALL.iter().map(|value| value.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

/// A word that names no task, alias or format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no {kind}; known are {allowed}")]
pub struct UnknownWord {
    /// The refused word.
    pub found: String,
    /// What was expected.
    pub kind: &'static str,
    /// The words that are known, with commas between them.
    pub allowed: String,
}

word_enum! {
    /// What a model is for.
    Task "task" {
        /// Ranks products for a buyer.
        Recommend = "recommend",
        /// Scores a payment's risk.
        Fraud = "fraud",
        /// Predicts demand.
        Forecast = "forecast",
        /// Predicts how long parcels take.
        Delivery = "delivery",
        /// Tells what customers will spend, whether they come back, and which trade alike.
        Customers = "customers",
        /// Suggests codes of a nomenclature for texts.
        Codes = "codes",
        /// Plans vehicle routes.
        Routes = "routes",
        /// Turns text into vectors.
        Embedding = "embedding",
        /// Whatever a customer brought.
        Custom = "custom",
    }
}

word_enum! {
    /// The role that a model plays for its tenant and task.
    Alias "alias" {
        /// Answers requests.
        Champion = "champion",
        /// Is judged against the champion and may replace it.
        Challenger = "challenger",
        /// Scores live requests beside the champion; its answers are recorded, never used.
        Shadow = "shadow",
    }
}

word_enum! {
    /// How the bytes of an artifact are to be read.
    ModelFormat "format" {
        /// A [`Bundle`](crate::Bundle) with an ONNX graph and, for text, its tokenizer.
        Onnx = "onnx",
        /// Trees in LightGBM's text.
        Lightgbm = "lightgbm",
        /// The trained state of one of Dhow's own engines in postcard's encoding.
        Postcard = "postcard",
        /// The trained state of one of Dhow's own engines as JSON.
        Json = "json",
    }
}

/// A measured quality with its interval of confidence; all three are finite and `low <= value <= high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The estimate.
    pub value: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
}

impl Metric {
    /// A value without an interval: both ends are the value itself.
    pub const fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }
}

/// The events that a model learnt from: `start <= event time < end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSpan {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

/// What a trainer or importer says about a model when it registers it; the registry adds the id and the artifact's hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelDraft {
    /// Whose model it is.
    pub tenant: TenantId,
    /// What it is for.
    pub task: Task,
    /// A short name for people, such as `boosted-trees`.
    pub name: String,
    /// How the artifact is to be read.
    pub format: ModelFormat,
    /// When it was made.
    pub created_at: Timestamp,
    /// The events it learnt from; `None` for a model trained elsewhere.
    pub training_span: Option<TrainingSpan>,
    /// A hash of the training rows, or what else tells two training sets apart.
    pub data_fingerprint: Option<String>,
    /// The hash of the features' names, types and order.
    pub feature_schema_hash: Option<String>,
    /// The settings it was trained or is run with.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Its measured quality on data it has not learnt from.
    pub metrics: BTreeMap<String, Metric>,
    /// The version of the code that made it.
    pub code_version: String,
    /// The licence of the weights: an SPDX expression, or `proprietary`.
    pub licence: String,
    /// The model that it was derived from, of the same tenant.
    pub parent: Option<ModelId>,
}

impl ModelDraft {
    /// A draft with the required entries; training, metrics, settings and parent are empty and can be set on the result.
    pub fn new(
        tenant: TenantId,
        task: Task,
        name: &str,
        format: ModelFormat,
        created_at: Timestamp,
        licence: &str,
    ) -> Self {
        Self {
            tenant,
            task,
            name: name.to_owned(),
            format,
            created_at,
            training_span: None,
            data_fingerprint: None,
            feature_schema_hash: None,
            settings: BTreeMap::new(),
            metrics: BTreeMap::new(),
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            licence: licence.to_owned(),
            parent: None,
        }
    }

    /// What is wrong with the draft, in words, or `Ok`.
    pub(crate) fn check(&self) -> Result<(), String> {
        let required = [("name", &self.name), ("licence", &self.licence), ("code_version", &self.code_version)];
        for (field, text) in required {
            if text.trim().is_empty() {
                return Err(format!("`{field}` must not be empty"));
            }
        }
        let optional =
            [("data_fingerprint", &self.data_fingerprint), ("feature_schema_hash", &self.feature_schema_hash)];
        let optional = optional.iter().filter_map(|(field, text)| Some((*field, text.as_ref()?)));
        for (field, text) in required.into_iter().chain(optional) {
            if text.len() > MAX_TEXT_BYTES {
                return Err(format!("`{field}` has {} bytes; at most {MAX_TEXT_BYTES} are allowed", text.len()));
            }
        }
        if let Some(span) = self.training_span.filter(|span| span.start >= span.end) {
            return Err(format!("`training_span` is empty: it starts at {} and ends at {}", span.start, span.end));
        }
        for (field, entries) in [("settings", self.settings.len()), ("metrics", self.metrics.len())] {
            if entries > MAX_ENTRIES {
                return Err(format!("`{field}` has {entries} entries; at most {MAX_ENTRIES} are allowed"));
            }
        }
        for (name, Metric { value, low, high }) in &self.metrics {
            let finite = [value, low, high].iter().all(|number| number.is_finite());
            if !(finite && low <= value && value <= high) {
                return Err(format!(
                    "metric `{name}` must be finite with low <= value <= high; it is {value} in [{low}, {high}]"
                ));
            }
        }
        Ok(())
    }
}

/// A registered model: what was said about it, its id, and the hash under which its artifact lies. Never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The id: derived from everything else on the card, so registering the same model twice gives one card.
    pub model_id: ModelId,
    /// The artifact's blake3 hash: 64 hexadecimal digits.
    pub artifact_hash: String,
    /// The artifact's size in bytes.
    pub artifact_bytes: u64,
    /// What the trainer or importer said.
    #[serde(flatten)]
    pub draft: ModelDraft,
}
