//! Between the project's tensors and tract's; element types that only one side has are refused.

use dhow_tensors::{ElementType, Tensor, TensorData};
use tract_onnx::prelude::{Datum, DatumType, TractResult, tract_ndarray};

use crate::onnx::OnnxError;

type TractTensor = tract_onnx::prelude::Tensor;

/// tract's name of an element type.
pub(crate) fn tract_type(element_type: ElementType) -> DatumType {
    match element_type {
        ElementType::F16 => DatumType::F16,
        ElementType::F32 => DatumType::F32,
        ElementType::F64 => DatumType::F64,
        ElementType::I64 => DatumType::I64,
        ElementType::I32 => DatumType::I32,
        ElementType::I16 => DatumType::I16,
        ElementType::I8 => DatumType::I8,
        ElementType::U64 => DatumType::U64,
        ElementType::U32 => DatumType::U32,
        ElementType::U16 => DatumType::U16,
        ElementType::U8 => DatumType::U8,
        ElementType::Bool => DatumType::Bool,
        ElementType::Bytes => DatumType::String,
    }
}

/// Copies a tensor into tract's memory.
pub(crate) fn to_tract(tensor: &Tensor) -> TractResult<TractTensor> {
    let shape = tensor.shape();
    match tensor.data() {
        TensorData::F16(values) => TractTensor::from_shape(shape, values),
        TensorData::F32(values) => TractTensor::from_shape(shape, values),
        TensorData::F64(values) => TractTensor::from_shape(shape, values),
        TensorData::I64(values) => TractTensor::from_shape(shape, values),
        TensorData::I32(values) => TractTensor::from_shape(shape, values),
        TensorData::I16(values) => TractTensor::from_shape(shape, values),
        TensorData::I8(values) => TractTensor::from_shape(shape, values),
        TensorData::U64(values) => TractTensor::from_shape(shape, values),
        TensorData::U32(values) => TractTensor::from_shape(shape, values),
        TensorData::U16(values) => TractTensor::from_shape(shape, values),
        TensorData::U8(values) => TractTensor::from_shape(shape, values),
        TensorData::Bool(values) => TractTensor::from_shape(shape, values),
        TensorData::Bytes(values) => {
            let texts = values.iter().map(|value| Ok(std::str::from_utf8(value)?.to_owned()));
            let texts = texts.collect::<TractResult<Vec<String>>>()?;
            Ok(TractTensor::from(tract_ndarray::ArrayD::from_shape_vec(shape, texts)?))
        }
    }
}

/// Copies an output out of tract's memory. tract's dimensions are widened to i64.
pub(crate) fn from_tract(name: &str, tensor: &TractTensor) -> Result<Tensor, OnnxError> {
    let run = |error: tract_onnx::prelude::TractError| OnnxError::Run(format!("{error:#}"));
    fn values<T: Datum + Clone>(tensor: &TractTensor) -> TractResult<Vec<T>> {
        Ok(tensor.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
    }
    let data = match tensor.datum_type() {
        DatumType::F16 => TensorData::F16(values(tensor).map_err(run)?),
        DatumType::F32 => TensorData::F32(values(tensor).map_err(run)?),
        DatumType::F64 => TensorData::F64(values(tensor).map_err(run)?),
        DatumType::I64 => TensorData::I64(values(tensor).map_err(run)?),
        DatumType::TDim => TensorData::I64(values(&*tensor.cast_to::<i64>().map_err(run)?).map_err(run)?),
        DatumType::I32 => TensorData::I32(values(tensor).map_err(run)?),
        DatumType::I16 => TensorData::I16(values(tensor).map_err(run)?),
        DatumType::I8 => TensorData::I8(values(tensor).map_err(run)?),
        DatumType::U64 => TensorData::U64(values(tensor).map_err(run)?),
        DatumType::U32 => TensorData::U32(values(tensor).map_err(run)?),
        DatumType::U16 => TensorData::U16(values(tensor).map_err(run)?),
        DatumType::U8 => TensorData::U8(values(tensor).map_err(run)?),
        DatumType::Bool => TensorData::Bool(values(tensor).map_err(run)?),
        DatumType::String => {
            let texts: Vec<String> = values(tensor).map_err(run)?;
            TensorData::Bytes(texts.into_iter().map(String::into_bytes).collect())
        }
        other => {
            return Err(OnnxError::UnsupportedElementType {
                name: name.to_owned(),
                element_type: format!("{other:?}"),
            });
        }
    };
    Tensor::new(tensor.shape().to_vec(), data).map_err(|error| OnnxError::Run(format!("`{name}`: {error}")))
}
