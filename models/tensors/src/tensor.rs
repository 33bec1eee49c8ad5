//! Tensors, cut and joined along their first dimension, and what a model says about them; no arithmetic.

use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

macro_rules! element_types {
    ($($(#[$doc:meta])* $name:ident($element:ty) = $word:literal, $zero:expr;)*) => {
        /// The type of a tensor's elements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum ElementType { $($(#[$doc])* $name,)* }

        impl ElementType {
            /// Every type, in a fixed order.
            pub const ALL: &[ElementType] = &[$(ElementType::$name,)*];

            /// Its short name, such as `f32`.
            pub const fn as_str(self) -> &'static str {
                match self { $(ElementType::$name => $word,)* }
            }
        }

        /// A tensor's elements in row-major order: the last axis varies fastest.
        #[derive(Debug, Clone, PartialEq)]
        pub enum TensorData { $($(#[$doc])* $name(Vec<$element>),)* }

        impl TensorData {
            /// The type of the elements.
            pub fn element_type(&self) -> ElementType {
                match self { $(TensorData::$name(_) => ElementType::$name,)* }
            }

            /// How many elements there are.
            pub fn len(&self) -> usize {
                match self { $(TensorData::$name(values) => values.len(),)* }
            }

            /// `length` zeros: `false` for truth values, nothing for byte strings.
            pub fn zeros(element_type: ElementType, length: usize) -> Self {
                match element_type { $(ElementType::$name => TensorData::$name(vec![$zero; length]),)* }
            }

            /// The elements from `begin` on, `length` of them.
            fn part(&self, begin: usize, length: usize) -> Self {
                match self { $(TensorData::$name(values) => TensorData::$name(values[begin..begin + length].to_vec()),)* }
            }

            /// Appends elements of the same type; tells whether they were of the same type.
            fn append(&mut self, other: &Self) -> bool {
                match (self, other) {
                    $((TensorData::$name(values), TensorData::$name(more)) => {
                        values.extend_from_slice(more);
                        true
                    })*
                    _ => false,
                }
            }
        }
    };
}

element_types! {
    /// 16-bit floating point, with 11 bits of precision.
    F16(f16) = "f16", f16::ZERO;
    /// 32-bit floating point.
    F32(f32) = "f32", 0.0;
    /// 64-bit floating point.
    F64(f64) = "f64", 0.0;
    /// Signed 64-bit integer.
    I64(i64) = "i64", 0;
    /// Signed 32-bit integer.
    I32(i32) = "i32", 0;
    /// Signed 16-bit integer.
    I16(i16) = "i16", 0;
    /// Signed 8-bit integer.
    I8(i8) = "i8", 0;
    /// Unsigned 64-bit integer.
    U64(u64) = "u64", 0;
    /// Unsigned 32-bit integer.
    U32(u32) = "u32", 0;
    /// Unsigned 16-bit integer.
    U16(u16) = "u16", 0;
    /// Unsigned 8-bit integer.
    U8(u8) = "u8", 0;
    /// Truth value.
    Bool(bool) = "bool", false;
    /// Byte strings, each of a length of its own; ONNX's strings are those that are UTF-8.
    Bytes(Vec<u8>) = "bytes", Vec::new();
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TensorData {
    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// The length of the first dimension; nothing where there is none.
    pub fn rows(&self) -> Option<usize> {
        self.shape.first().copied()
    }

    /// Tensors of one type that differ in their first dimension alone, one after the other along it; nothing where they
    /// are none, are scalars, or differ otherwise.
    pub fn join(parts: &[&Tensor]) -> Option<Self> {
        let (first, rest) = parts.split_first()?;
        let (shape, data) = (first.shape.clone(), first.data.clone());
        let mut joined = Self { shape, data };
        for part in rest {
            let (rows, more) = (joined.rows()?, part.rows()?);
            if part.shape[1..] != joined.shape[1..] || !joined.data.append(&part.data) {
                return None;
            }
            joined.shape[0] = rows.checked_add(more)?;
        }
        joined.rows().map(|_| joined)
    }

    /// `count` rows from `begin` on; nothing where there are not so many.
    pub fn rows_from(&self, begin: usize, count: usize) -> Option<Self> {
        let rows = self.rows()?;
        if begin.checked_add(count)? > rows {
            return None;
        }
        let row: usize = self.shape[1..].iter().product();
        let mut shape = self.shape.clone();
        shape[0] = count;
        Some(Self { shape, data: self.data.part(begin * row, count * row) })
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
