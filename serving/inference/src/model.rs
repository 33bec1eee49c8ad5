//! What can be served: something with a signature that turns tensors into tensors; how it does so is its own.

use dhow_tensors::{NamedTensor, Signature};

/// Why a model gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelFault {
    /// The inputs fit the signature, and the model cannot take them all the same.
    #[error("{0}")]
    BadInput(String),
    /// The run failed.
    #[error("{0}")]
    Failed(String),
}

/// A loaded model. Runs of many threads go on at once.
pub trait Model: Send + Sync + 'static {
    /// What runs it, such as `onnx_tract`.
    fn platform(&self) -> &str;

    /// Its inputs and outputs.
    fn signature(&self) -> &Signature;

    /// Whether runs of any number of rows cost the same preparation; in words why not.
    ///
    /// # Errors
    /// The reason, for people.
    fn takes_any_rows(&self) -> Result<(), String>;

    /// Computes all outputs, in the signature's order. The inputs stand in the signature's order and fit it.
    ///
    /// # Errors
    /// [`ModelFault`].
    fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, ModelFault>;
}
