//! Between the protocol's messages and requests, answers and descriptions; what is wrong is told in the words of the JSON form.

use dhow_tensors::{ElementType, NamedTensor, Tensor, TensorData, f16};
use tonic::{Code, Status};

use super::messages::*;
use crate::datatype;
use crate::describe::{self, ServerMetadata};
use crate::error::{ErrorKind, InferenceError};
use crate::figures::{self, Duration};
use crate::request::{INPUTS_MAX, InferAnswer, InferRequest, OUTPUTS_MAX, RequestedOutput, checked_routing_key};
use crate::rest::{element_type, refuse_names, refuse_state, shape_of};

impl From<InferenceError> for Status {
    fn from(error: InferenceError) -> Self {
        let code = match error.kind {
            ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Unauthenticated => Code::Unauthenticated,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::Busy | ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Deadline => Code::DeadlineExceeded,
            ErrorKind::Unsupported => Code::Unimplemented,
            ErrorKind::Failed => Code::Internal,
        };
        Self::new(code, error.message)
    }
}

/// A name that may be left empty.
pub(super) fn named(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Reads a request; its name and version are read by the caller.
pub(super) fn request(message: ModelInferRequest) -> Result<InferRequest, InferenceError> {
    let ModelInferRequest { id, parameters, inputs, outputs, raw_input_contents: raw, .. } = message;
    if inputs.len() > INPUTS_MAX || outputs.len() > OUTPUTS_MAX {
        let problem = format!("at most {INPUTS_MAX} inputs and {OUTPUTS_MAX} outputs are taken");
        return Err(InferenceError::invalid(problem));
    }
    refuse_state(parameters.keys().map(String::as_str))?;
    let timeout_us = parameters.get("timeout").map(micros).transpose()?;
    let routing_key = parameters.get("routing_key").map(key).transpose()?;
    if !raw.is_empty() && raw.len() != inputs.len() {
        let problem = format!("{} raw contents were given for {} inputs; each must have one", raw.len(), inputs.len());
        return Err(InferenceError::invalid(problem));
    }
    let mut raw = raw.into_iter();
    let inputs = inputs.into_iter().map(|tensor| input(tensor, raw.next())).collect::<Result<_, _>>()?;
    let output = |output: InferRequestedOutputTensor| {
        refuse_names(output.parameters.keys().map(String::as_str), &[], &format!("output `{}`", output.name))?;
        Ok(RequestedOutput { name: output.name, binary: None })
    };
    let outputs = outputs.into_iter().map(output).collect::<Result<_, InferenceError>>()?;
    Ok(InferRequest { id, inputs, outputs, binary_outputs: true, timeout_us, routing_key })
}

fn key(parameter: &InferParameter) -> Result<String, InferenceError> {
    match &parameter.choice {
        Some(InferParameterChoice::Text(key)) => checked_routing_key(key),
        _ => Err(InferenceError::invalid("parameter `routing_key` must be a text")),
    }
}

fn micros(parameter: &InferParameter) -> Result<u64, InferenceError> {
    let micros = match parameter.choice {
        Some(InferParameterChoice::Int(micros)) => u64::try_from(micros).ok(),
        Some(InferParameterChoice::Unsigned(micros)) => Some(micros),
        _ => None,
    };
    micros.ok_or_else(|| InferenceError::invalid("parameter `timeout` must be a whole number of microseconds"))
}

fn input(tensor: InferTensor, raw: Option<Vec<u8>>) -> Result<NamedTensor, InferenceError> {
    let InferTensor { name, datatype, shape, parameters, contents } = tensor;
    let wrong = |problem: String| InferenceError::invalid(format!("input `{name}`: {problem}"));
    refuse_names(parameters.keys().map(String::as_str), &[], &format!("input `{name}`"))?;
    let element_type = element_type(&name, &datatype)?;
    // A negative length becomes one that no tensor has.
    let shape = shape_of(&name, shape.iter().map(|&length| u64::try_from(length).unwrap_or(u64::MAX)))?;
    let data = match (raw, contents) {
        (Some(_), Some(_)) => {
            return Err(wrong("it has raw contents and contents; one of them must be absent".to_owned()));
        }
        (Some(raw), None) => TensorData::from_bytes(element_type, &raw).map_err(|error| wrong(error.to_string()))?,
        (None, contents) => elements(element_type, contents.unwrap_or_default()).map_err(wrong)?,
    };
    let tensor = Tensor::new(shape, data).map_err(|error| wrong(error.to_string()))?;
    Ok(NamedTensor { name, tensor })
}

/// Narrow integers travel in 32 bits; half precision has no field and is given as raw contents.
fn elements(element_type: ElementType, contents: InferTensorContents) -> Result<TensorData, String> {
    fn narrow<W: Copy + std::fmt::Display, N: TryFrom<W>>(values: &[W]) -> Result<Vec<N>, String> {
        let one = |value: &W| N::try_from(*value).map_err(|_| format!("{value} is beyond the input's datatype"));
        values.iter().map(one).collect()
    }
    Ok(match element_type {
        ElementType::F16 if contents.fp32_contents.is_empty() => return Err("FP16 is given as raw contents".to_owned()),
        ElementType::F16 => TensorData::F16(contents.fp32_contents.into_iter().map(f16::from_f32).collect()),
        ElementType::F32 => TensorData::F32(contents.fp32_contents),
        ElementType::F64 => TensorData::F64(contents.fp64_contents),
        ElementType::I64 => TensorData::I64(contents.int64_contents),
        ElementType::I32 => TensorData::I32(contents.int_contents),
        ElementType::I16 => TensorData::I16(narrow(&contents.int_contents)?),
        ElementType::I8 => TensorData::I8(narrow(&contents.int_contents)?),
        ElementType::U64 => TensorData::U64(contents.uint64_contents),
        ElementType::U32 => TensorData::U32(contents.uint_contents),
        ElementType::U16 => TensorData::U16(narrow(&contents.uint_contents)?),
        ElementType::U8 => TensorData::U8(narrow(&contents.uint_contents)?),
        ElementType::Bool => TensorData::Bool(contents.bool_contents),
        ElementType::Bytes => TensorData::Bytes(contents.bytes_contents),
    })
}

fn shape(dims: &[usize]) -> Vec<i64> {
    dims.iter().map(|&length| i64::try_from(length).unwrap_or(i64::MAX)).collect()
}

/// Writes an answer; outputs go as raw contents.
pub(super) fn answer(answer: InferAnswer) -> ModelInferResponse {
    let mut message = ModelInferResponse {
        model_name: answer.model_name,
        model_version: answer.model_version,
        id: answer.id,
        ..ModelInferResponse::default()
    };
    for output in answer.outputs {
        let datatype = datatype::word(output.tensor.data().element_type()).to_owned();
        let mut raw = Vec::new();
        output.tensor.data().write_bytes(&mut raw);
        let shape = shape(output.tensor.shape());
        message.outputs.push(InferTensor { name: output.name, datatype, shape, ..InferTensor::default() });
        message.raw_output_contents.push(raw);
    }
    message
}

impl From<ServerMetadata> for ServerMetadataResponse {
    fn from(of: ServerMetadata) -> Self {
        let extensions = of.extensions.iter().map(|&name| name.to_owned()).collect();
        Self { name: of.name.to_owned(), version: of.version.to_owned(), extensions }
    }
}

impl From<describe::TensorMetadata> for TensorMetadata {
    fn from(of: describe::TensorMetadata) -> Self {
        Self { name: of.name, datatype: of.datatype.to_owned(), shape: of.shape }
    }
}

impl From<describe::ModelMetadata> for ModelMetadataResponse {
    fn from(of: describe::ModelMetadata) -> Self {
        let (inputs, outputs) = (of.inputs.into_iter(), of.outputs.into_iter());
        Self {
            name: of.name,
            versions: of.versions,
            platform: of.platform,
            inputs: inputs.map(Into::into).collect(),
            outputs: outputs.map(Into::into).collect(),
        }
    }
}

impl From<describe::ModelConfig> for ModelConfig {
    fn from(of: describe::ModelConfig) -> Self {
        let input =
            |of: describe::ConfigInput| ConfigInput { name: of.name, data_type: of.data_type_number, dims: of.dims };
        let output =
            |of: describe::ConfigOutput| ConfigOutput { name: of.name, data_type: of.data_type_number, dims: of.dims };
        let parameter = |(name, value): (&str, describe::ConfigParameter)| {
            (name.to_owned(), ModelParameter { string_value: value.string_value })
        };
        let batching = |of: describe::DynamicBatching| ModelDynamicBatching {
            max_queue_delay_microseconds: of.max_queue_delay_microseconds,
        };
        Self {
            name: of.name,
            platform: of.platform,
            backend: of.backend,
            version_policy: Some(ModelVersionPolicy {
                latest: Some(Latest { num_versions: of.version_policy.latest.num_versions }),
            }),
            max_batch_size: of.max_batch_size,
            input: of.input.into_iter().map(input).collect(),
            output: of.output.into_iter().map(output).collect(),
            dynamic_batching: of.dynamic_batching.map(batching),
            parameters: of.parameters.into_iter().map(parameter).collect(),
        }
    }
}

impl From<describe::IndexEntry> for ModelIndex {
    fn from(of: describe::IndexEntry) -> Self {
        Self { name: of.name, version: of.version, state: of.state.to_owned(), reason: of.reason.to_owned() }
    }
}

fn duration(of: Duration) -> Option<StatisticDuration> {
    Some(StatisticDuration { count: of.count, ns: of.ns })
}

impl From<figures::ModelStatistics> for ModelStatistics {
    fn from(of: figures::ModelStatistics) -> Self {
        let times = of.inference_stats;
        let batch = |of: figures::BatchFigures| InferBatchStatistics {
            batch_size: of.batch_size,
            compute_input: duration(of.compute_input),
            compute_infer: duration(of.compute_infer),
            compute_output: duration(of.compute_output),
        };
        Self {
            name: of.name,
            version: of.version,
            last_inference: of.last_inference,
            inference_count: of.inference_count,
            execution_count: of.execution_count,
            inference_stats: Some(InferStatistics {
                success: duration(times.success),
                fail: duration(times.fail),
                queue: duration(times.queue),
                compute_input: duration(times.compute_input),
                compute_infer: duration(times.compute_infer),
                compute_output: duration(times.compute_output),
                cache_hit: duration(times.cache_hit),
                cache_miss: duration(times.cache_miss),
            }),
            batch_stats: of.batch_stats.into_iter().map(batch).collect(),
        }
    }
}
