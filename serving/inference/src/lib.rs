//! Models served by the Open Inference Protocol 2, as Triton and KServe speak it; which models there are is their source's to say.
//!
//! [`Inference`] holds the loaded versions of each tenant's models: it loads beside what serves, swaps at once and keeps the
//! version before for the way back; a version can be tried beside the one in force on a share of its requests. A [`Served`] model has a queue of its own, whose requests it may run together where a
//! check at its load found that this changes no bit of an answer. [`rest`] and [`grpc`] are the protocol's two forms of one
//! [`InferRequest`]; routes, keys and listeners are the caller's.

mod arm;
mod check;
mod datatype;
mod describe;
mod error;
mod figures;
pub mod grpc;
mod inference;
mod model;
mod queue;
mod request;
pub mod rest;
mod served;
mod trial;

pub use arm::ArmFigures;
pub use check::{Batching, check_batching};
pub use describe::{
    ConfigInput, ConfigOutput, DynamicBatching, IndexEntry, ModelConfig, ModelMetadata, ServerMetadata, TensorMetadata,
    VersionPolicy,
};
pub use error::{ErrorKind, InferenceError};
pub use figures::{BatchFigures, Duration, FailureReason, InferFigures, ModelStatistics};
pub use inference::{Entry, Inference, InferenceSettings, LOADED_MODELS_MAX, ModelSource, Registered};
pub use model::{Model, ModelFault};
pub use request::{INPUTS_MAX, InferAnswer, InferRequest, OUTPUTS_MAX, RequestedOutput};
pub use served::{ModelBounds, Scheduler, Served, ThreadPool, Worker};
pub use trial::{
    Comparison, Guard, OUTCOMES_MAX, OUTCOMES_WAITING_MAX, Outcome, SHADOW_RUNS_MAX, Stop, TrialKind, TrialReport,
    TrialSettings,
};
