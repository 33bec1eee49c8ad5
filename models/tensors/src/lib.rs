//! Tensors as models take and give them, and what a model says about its own; it computes nothing and runs no model.

mod bytes;
mod tensor;

pub use bytes::{BytesError, MAX_BYTES_ELEMENT};
pub use half::f16;
pub use tensor::{Dim, ElementType, NamedTensor, ShapeError, Signature, Tensor, TensorData, TensorSpec};
