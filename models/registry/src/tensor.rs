//! Tensors and their descriptions as they cross the crate's border; no arithmetic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// Signed 64-bit integer.
    I64,
    /// Signed 32-bit integer.
    I32,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 8-bit integer.
    U8,
    /// Truth value.
    Bool,
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElementType::F32 => "f32",
            ElementType::F64 => "f64",
            ElementType::I64 => "i64",
            ElementType::I32 => "i32",
            ElementType::I8 => "i8",
            ElementType::U8 => "u8",
            ElementType::Bool => "bool",
        })
    }
}

/// A tensor's elements in row-major order: the last axis varies fastest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TensorData {
    /// 32-bit floating point.
    F32(Vec<f32>),
    /// 64-bit floating point.
    F64(Vec<f64>),
    /// Signed 64-bit integers.
    I64(Vec<i64>),
    /// Signed 32-bit integers.
    I32(Vec<i32>),
    /// Signed 8-bit integers.
    I8(Vec<i8>),
    /// Unsigned 8-bit integers.
    U8(Vec<u8>),
    /// Truth values.
    Bool(Vec<bool>),
}

impl TensorData {
    /// The type of the elements.
    pub fn element_type(&self) -> ElementType {
        match self {
            TensorData::F32(_) => ElementType::F32,
            TensorData::F64(_) => ElementType::F64,
            TensorData::I64(_) => ElementType::I64,
            TensorData::I32(_) => ElementType::I32,
            TensorData::I8(_) => ElementType::I8,
            TensorData::U8(_) => ElementType::U8,
            TensorData::Bool(_) => ElementType::Bool,
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            TensorData::F32(values) => values.len(),
            TensorData::F64(values) => values.len(),
            TensorData::I64(values) => values.len(),
            TensorData::I32(values) => values.len(),
            TensorData::I8(values) => values.len(),
            TensorData::U8(values) => values.len(),
            TensorData::Bool(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `length` zeros (`false` for truth values).
    pub fn zeros(element_type: ElementType, length: usize) -> Self {
        match element_type {
            ElementType::F32 => TensorData::F32(vec![0.0; length]),
            ElementType::F64 => TensorData::F64(vec![0.0; length]),
            ElementType::I64 => TensorData::I64(vec![0; length]),
            ElementType::I32 => TensorData::I32(vec![0; length]),
            ElementType::I8 => TensorData::I8(vec![0; length]),
            ElementType::U8 => TensorData::U8(vec![0; length]),
            ElementType::Bool => TensorData::Bool(vec![false; length]),
        }
    }
}

/// A shape that does not fit the number of elements.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tensor of shape {shape:?} needs {needed} elements; {found} were given")]
pub struct ShapeError {
    /// The shape.
    pub shape: Vec<usize>,
    /// The product of its dimensions, in words where it is too large for this machine.
    pub needed: String,
    /// The number of elements.
    pub found: usize,
}

/// A dense tensor whose number of elements fits its shape. The empty shape is a scalar with one element.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

impl Tensor {
    /// Checks the shape against the number of elements.
    ///
    /// # Errors
    /// They do not fit.
    pub fn new(shape: Vec<usize>, data: TensorData) -> Result<Self, ShapeError> {
        let needed = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        if needed != Some(data.len()) {
            let needed = needed.map_or("too many".to_owned(), |needed| needed.to_string());
            return Err(ShapeError { shape, needed, found: data.len() });
        }
        Ok(Self { shape, data })
    }

    /// The dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements if they are 32-bit floating point.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            TensorData::F32(values) => Some(values),
            _ => None,
        }
    }

    /// The shape and the elements.
    pub fn into_parts(self) -> (Vec<usize>, TensorData) {
        (self.shape, self.data)
    }
}

/// A tensor with the name of the model's input or output that it is.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The name in the model.
    pub name: String,
    /// The tensor.
    pub tensor: Tensor,
}

impl NamedTensor {
    /// Joins name and tensor.
    pub fn new(name: &str, tensor: Tensor) -> Self {
        Self { name: name.to_owned(), tensor }
    }
}

/// One dimension of a model's input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// Always this long.
    Fixed(usize),
    /// As long as the caller likes; equal names are equally long, [`Dim::UNNAMED`] excepted.
    Free(String),
}

impl Dim {
    /// The name of a free dimension to which the model gives none.
    pub const UNNAMED: &str = "?";
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(length) => length.fmt(f),
            Dim::Free(name) => f.write_str(name),
        }
    }
}

/// What a model says about one input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element_type: ElementType,
    /// Its dimensions, outermost first; `None` for an output whose rank the model leaves open.
    pub dims: Option<Vec<Dim>>,
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dims = self
            .dims
            .as_ref()
            .map_or("…".to_owned(), |dims| dims.iter().map(Dim::to_string).collect::<Vec<_>>().join(", "));
        write!(f, "{}: {}[{dims}]", self.name, self.element_type)
    }
}

/// A model's inputs and outputs, in its own order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What it takes.
    pub inputs: Vec<TensorSpec>,
    /// What it gives.
    pub outputs: Vec<TensorSpec>,
}
