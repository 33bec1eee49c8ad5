//! Model registry on a local folder, and the runtime for ONNX models and text embeddings; training lives elsewhere.

mod bundle;
mod card;
mod collect;
mod convert;
mod embed;
mod error;
mod folder;
mod graph;
mod import;
mod ledger;
mod onnx;
mod plan;
mod registry;
mod sealed;
mod servable;
mod signatures;

pub use bundle::{Bundle, BundleError, MAX_BUNDLE_FILES};
pub use card::{
    Alias, MAX_ENTRIES, MAX_TEXT_BYTES, Metric, ModelCard, ModelDraft, ModelFormat, Task, TrainingSpan, UnknownWord,
};
pub use collect::{Collection, CollectionRules, Kept, Leftover, Reason, Removed};
pub use dhow_tensors::{Dim, ElementType, NamedTensor, ShapeError, Signature, Tensor, TensorData, TensorSpec};
pub use embed::{EmbedError, EmbedderSettings, MAX_EMBEDDED_TEXT_BYTES, MAX_TOKENS, TextEmbedder, similarity};
pub use error::RegistryError;
pub use import::{
    ImportError, ImportedModel, MAX_IMPORT_BYTES, OnnxImport, Trial, import_onnx, open_embedder, open_onnx,
};
pub use ledger::{CorruptLine, Ledger, Promotion};
pub use onnx::{MAX_INPUT_ELEMENTS, OnnxError, OnnxModel};
pub use plan::MAX_CACHED_PLANS;
pub use registry::{MAX_ARTIFACT_BYTES, Registry};
pub use servable::{Servable, TreeModel, open_servable};
pub use signatures::{KeyError, MAX_TRUSTED_KEYS, ModelKeys, PublicKey, SigningKey};
