//! Between the crate's tensors and tract's; element types that only one side has are refused.

use tract_onnx::prelude::{Datum, DatumType, TractResult};

use crate::onnx::OnnxError;
use crate::tensor::{ElementType, Tensor, TensorData};

type TractTensor = tract_onnx::prelude::Tensor;

/// tract's name of an element type.
pub(crate) fn tract_type(element_type: ElementType) -> DatumType {
    match element_type {
        ElementType::F32 => f32::datum_type(),
        ElementType::F64 => f64::datum_type(),
        ElementType::I64 => i64::datum_type(),
        ElementType::I32 => i32::datum_type(),
        ElementType::I8 => i8::datum_type(),
        ElementType::U8 => u8::datum_type(),
        ElementType::Bool => bool::datum_type(),
    }
}

/// Copies a tensor into tract's memory.
pub(crate) fn to_tract(tensor: &Tensor) -> TractResult<TractTensor> {
    let shape = tensor.shape();
    match tensor.data() {
        TensorData::F32(values) => TractTensor::from_shape(shape, values),
        TensorData::F64(values) => TractTensor::from_shape(shape, values),
        TensorData::I64(values) => TractTensor::from_shape(shape, values),
        TensorData::I32(values) => TractTensor::from_shape(shape, values),
        TensorData::I8(values) => TractTensor::from_shape(shape, values),
        TensorData::U8(values) => TractTensor::from_shape(shape, values),
        TensorData::Bool(values) => TractTensor::from_shape(shape, values),
    }
}

/// Copies an output out of tract's memory. Half precision is widened to f32 and tract's dimensions to i64.
pub(crate) fn from_tract(name: &str, tensor: &TractTensor) -> Result<Tensor, OnnxError> {
    let run = |error: tract_onnx::prelude::TractError| OnnxError::Run(format!("{error:#}"));
    fn values<T: Datum + Copy>(tensor: &TractTensor) -> TractResult<Vec<T>> {
        let plain = tensor.cast_to::<T>()?;
        Ok(plain.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
    }
    let data = match tensor.datum_type() {
        DatumType::F32 | DatumType::F16 => TensorData::F32(values(tensor).map_err(run)?),
        DatumType::F64 => TensorData::F64(values(tensor).map_err(run)?),
        DatumType::I64 | DatumType::TDim => TensorData::I64(values(tensor).map_err(run)?),
        DatumType::I32 => TensorData::I32(values(tensor).map_err(run)?),
        DatumType::I8 => TensorData::I8(values(tensor).map_err(run)?),
        DatumType::U8 => TensorData::U8(values(tensor).map_err(run)?),
        DatumType::Bool => TensorData::Bool(values(tensor).map_err(run)?),
        other => {
            return Err(OnnxError::UnsupportedElementType {
                name: name.to_owned(),
                element_type: format!("{other:?}"),
            });
        }
    };
    Tensor::new(tensor.shape().to_vec(), data).map_err(|error| OnnxError::Run(format!("`{name}`: {error}")))
}
