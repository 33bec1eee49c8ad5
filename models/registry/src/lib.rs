//! Model registry on a local folder, and the runtime for ONNX models and text embeddings; training lives elsewhere.

mod bundle;
mod card;
mod convert;
mod error;
mod folder;
mod graph;
mod ledger;
mod onnx;
mod registry;
mod sealed;
mod tensor;

pub use bundle::{Bundle, BundleError, MAX_BUNDLE_FILES};
pub use card::{
    Alias, MAX_ENTRIES, MAX_TEXT_BYTES, Metric, ModelCard, ModelDraft, ModelFormat, Task, TrainingSpan, UnknownWord,
};
pub use error::RegistryError;
pub use ledger::{CorruptLine, Ledger, Promotion};
pub use onnx::{MAX_CACHED_PLANS, MAX_INPUT_ELEMENTS, OnnxError, OnnxModel};
pub use registry::{MAX_ARTIFACT_BYTES, Registry};
pub use tensor::{Dim, ElementType, NamedTensor, ShapeError, Signature, Tensor, TensorData, TensorSpec};
