//! The protocol's JSON, with tensors in it or as bytes behind it; headers, paths and status numbers are the caller's.

use dhow_tensors::{ElementType, NamedTensor, Tensor, TensorData, f16};
use serde::de::{DeserializeOwned, DeserializeSeed, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::datatype;
use crate::error::InferenceError;
use crate::request::{INPUTS_MAX, InferAnswer, InferRequest, OUTPUTS_MAX, RequestedOutput, checked_routing_key};

/// The header that tells where the JSON ends and the bytes begin.
pub const HEADER_LENGTH: &str = "inference-header-content-length";

/// How deep lists may lie inside each other in an input's `data`.
const NESTING_MAX: usize = 32;

type Parameters = serde_json::Map<String, Value>;

#[derive(Deserialize)]
struct RequestBody<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Vec<InputBody<'a>>,
    #[serde(default)]
    outputs: Vec<OutputBody>,
}

#[derive(Deserialize)]
struct InputBody<'a> {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OutputBody {
    name: String,
    #[serde(default)]
    parameters: Parameters,
}

/// Reads a request's body: JSON alone, or `header_length` bytes of JSON and the inputs' bytes behind it.
///
/// # Errors
/// What is wrong, and where.
pub fn read_request(body: &[u8], header_length: Option<&str>) -> Result<InferRequest, InferenceError> {
    let (json, mut bytes) = match header_length {
        None => (body, &[][..]),
        Some(text) => {
            let length: Option<usize> = text.trim().parse().ok();
            length.and_then(|length| body.split_at_checked(length)).ok_or_else(|| {
                let found = body.len();
                InferenceError::invalid(format!(
                    "Inference-Header-Content-Length is `{text}`; the body has {found} bytes"
                ))
            })?
        }
    };
    let read: RequestBody<'_> = serde_json::from_slice(json)
        .map_err(|error| InferenceError::invalid(format!("the request is not as the protocol says: {error}")))?;
    if read.inputs.len() > INPUTS_MAX || read.outputs.len() > OUTPUTS_MAX {
        let problem = format!("at most {INPUTS_MAX} inputs and {OUTPUTS_MAX} outputs are taken");
        return Err(InferenceError::invalid(problem));
    }
    let mut request = InferRequest { id: read.id, ..InferRequest::default() };
    read_parameters(&read.parameters, &mut request)?;
    for input in &read.inputs {
        request.inputs.push(read_input(input, &mut bytes)?);
    }
    if !bytes.is_empty() {
        let left = bytes.len();
        return Err(InferenceError::invalid(format!(
            "{left} bytes behind the JSON belong to no input; `binary_data_size` says which do"
        )));
    }
    for output in read.outputs {
        let binary = flag(&output.parameters, "binary_data")?;
        refuse_others(&output.parameters, &["binary_data"], &format!("output `{}`", output.name))?;
        request.outputs.push(RequestedOutput { name: output.name, binary });
    }
    Ok(request)
}

fn read_parameters(parameters: &Parameters, request: &mut InferRequest) -> Result<(), InferenceError> {
    request.binary_outputs = flag(parameters, "binary_data_output")?.unwrap_or(false);
    request.timeout_us = match parameters.get("timeout") {
        None => None,
        Some(value) => Some(value.as_u64().ok_or_else(|| {
            InferenceError::invalid(format!(
                "parameter `timeout` is {value}; it must be a whole number of microseconds"
            ))
        })?),
    };
    request.routing_key = match parameters.get("routing_key") {
        None => None,
        Some(Value::String(key)) => Some(checked_routing_key(key)?),
        Some(other) => {
            return Err(InferenceError::invalid(format!("parameter `routing_key` is {other}; it must be a text")));
        }
    };
    refuse_state(parameters.keys().map(String::as_str))
}

/// Refuses parameters of requests that belong together, which no model here keeps state of.
pub(crate) fn refuse_state<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), InferenceError> {
    match names.find(|name| name.starts_with("sequence_")) {
        Some(name) => {
            Err(InferenceError::unsupported(format!("parameter `{name}`: no model keeps state between requests")))
        }
        None => Ok(()),
    }
}

fn flag(parameters: &Parameters, name: &str) -> Result<Option<bool>, InferenceError> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(other) => Err(InferenceError::invalid(format!("parameter `{name}` is {other}; it must be true or false"))),
    }
}

/// Refuses parameters that change what an input or output is, where this server would pass over them.
fn refuse_others(parameters: &Parameters, known: &[&str], of: &str) -> Result<(), InferenceError> {
    refuse_names(parameters.keys().map(String::as_str), known, of)
}

pub(crate) fn refuse_names<'a>(
    mut names: impl Iterator<Item = &'a str>,
    known: &[&str],
    of: &str,
) -> Result<(), InferenceError> {
    match names.find(|name| !known.contains(name)) {
        Some(name) => Err(InferenceError::unsupported(format!("parameter `{name}` of {of} is not supported"))),
        None => Ok(()),
    }
}

fn read_input(input: &InputBody<'_>, rest: &mut &[u8]) -> Result<NamedTensor, InferenceError> {
    let InputBody { name, shape, datatype, parameters, data } = input;
    let wrong = |problem: String| InferenceError::invalid(format!("input `{name}`: {problem}"));
    let element_type = element_type(name, datatype)?;
    let shape = shape_of(name, shape.iter().copied())?;
    refuse_others(parameters, &["binary_data_size"], &format!("input `{name}`"))?;
    let size = match parameters.get("binary_data_size") {
        None => None,
        Some(value) => {
            let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
            Some(size.ok_or_else(|| wrong(format!("`binary_data_size` is {value}; it must be a number of bytes")))?)
        }
    };
    let elements = match (size, data) {
        (Some(_), Some(_)) => {
            return Err(wrong("it has `data` and `binary_data_size`; one of them must be absent".to_owned()));
        }
        (None, None) => return Err(wrong("it has neither `data` nor `binary_data_size`".to_owned())),
        (None, Some(data)) => read_data(element_type, data.get()).map_err(|error| wrong(format!("`data`: {error}")))?,
        (Some(size), None) => {
            let (own, others) = rest.split_at_checked(size).ok_or_else(|| {
                wrong(format!("`binary_data_size` is {size}, and {} bytes are left behind the JSON", rest.len()))
            })?;
            *rest = others;
            TensorData::from_bytes(element_type, own).map_err(|error| wrong(error.to_string()))?
        }
    };
    let tensor = Tensor::new(shape, elements).map_err(|error| wrong(error.to_string()))?;
    Ok(NamedTensor::new(name, tensor))
}

/// The type behind a name of the protocol.
pub(crate) fn element_type(input: &str, word: &str) -> Result<ElementType, InferenceError> {
    datatype::from_word(word).ok_or_else(|| {
        let what = if word == "BF16" { "no model here takes BF16" } else { "it is no datatype of the protocol" };
        InferenceError::invalid(format!("input `{input}`: datatype `{word}`: {what}"))
    })
}

pub(crate) fn shape_of(input: &str, dims: impl Iterator<Item = u64>) -> Result<Vec<usize>, InferenceError> {
    let shape: Option<Vec<usize>> = dims.map(|dim| usize::try_from(dim).ok()).collect();
    shape.ok_or_else(|| InferenceError::invalid(format!("input `{input}`: a dimension is beyond this machine")))
}

fn read_data(element_type: ElementType, json: &str) -> Result<TensorData, serde_json::Error> {
    Ok(match element_type {
        ElementType::F16 => TensorData::F16(flat::<f32>(json)?.into_iter().map(f16::from_f32).collect()),
        ElementType::F32 => TensorData::F32(flat(json)?),
        ElementType::F64 => TensorData::F64(flat(json)?),
        ElementType::I64 => TensorData::I64(flat(json)?),
        ElementType::I32 => TensorData::I32(flat(json)?),
        ElementType::I16 => TensorData::I16(flat(json)?),
        ElementType::I8 => TensorData::I8(flat(json)?),
        ElementType::U64 => TensorData::U64(flat(json)?),
        ElementType::U32 => TensorData::U32(flat(json)?),
        ElementType::U16 => TensorData::U16(flat(json)?),
        ElementType::U8 => TensorData::U8(flat(json)?),
        ElementType::Bool => TensorData::Bool(flat(json)?),
        ElementType::Bytes => TensorData::Bytes(flat::<String>(json)?.into_iter().map(String::into_bytes).collect()),
    })
}

/// Elements of a list, whether it is flat or lists within lists.
fn flat<T: DeserializeOwned>(json: &str) -> Result<Vec<T>, serde_json::Error> {
    // The common form first: a flat list of elements is read without asking each what it is.
    if let Ok(read) = serde_json::from_str(json) {
        return Ok(read);
    }
    let mut elements = Vec::new();
    append_list(json, &mut elements, NESTING_MAX)?;
    Ok(elements)
}

fn append_list<T: DeserializeOwned>(json: &str, to: &mut Vec<T>, depth: usize) -> Result<(), serde_json::Error> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(serde_json::Error::custom(format!("lists lie more than {NESTING_MAX} deep")));
    };
    Flat { to, depth }.deserialize(&mut serde_json::Deserializer::from_str(json))
}

/// Appends the elements of a list and of the lists in it.
struct Flat<'a, T> {
    to: &'a mut Vec<T>,
    depth: usize,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Flat<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Flat<'_, T> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of elements of the input's datatype, or lists of lists of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<Box<RawValue>>()? {
            let text = value.get();
            if text.starts_with('[') {
                append_list(text, self.to, self.depth).map_err(A::Error::custom)?;
            } else {
                self.to.push(serde_json::from_str(text).map_err(A::Error::custom)?);
            }
        }
        Ok(())
    }
}

/// An answer's JSON and the outputs' bytes behind it, which are empty where all outputs stand in the JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerBody {
    /// The JSON, with the bytes behind it.
    pub bytes: Vec<u8>,
    /// The length of the JSON, where bytes follow.
    pub header_length: Option<usize>,
}

/// Writes an answer, each output as the request wants it.
///
/// # Errors
/// Values that JSON lacks: not-a-number, infinities, byte strings that are not UTF-8.
pub fn write_answer(
    answer: &InferAnswer,
    outputs: &[RequestedOutput],
    binary: bool,
) -> Result<AnswerBody, InferenceError> {
    let (mut json, mut tail) = (Vec::with_capacity(256), Vec::new());
    json.extend_from_slice(b"{");
    if !answer.id.is_empty() {
        write_field(&mut json, "id", &answer.id)?;
        json.push(b',');
    }
    write_field(&mut json, "model_name", &answer.model_name)?;
    json.push(b',');
    write_field(&mut json, "model_version", &answer.model_version)?;
    json.extend_from_slice(b",\"outputs\":[");
    let mut any_binary = false;
    for (place, output) in answer.outputs.iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        json.push(b'{');
        write_field(&mut json, "name", &output.name)?;
        json.push(b',');
        write_field(&mut json, "datatype", datatype::word(output.tensor.data().element_type()))?;
        json.push(b',');
        write_field(&mut json, "shape", output.tensor.shape())?;
        json.push(b',');
        let wish = outputs.iter().find(|wanted| wanted.name == output.name).and_then(|wanted| wanted.binary);
        if wish.unwrap_or(binary) {
            any_binary = true;
            let begin = tail.len();
            output.tensor.data().write_bytes(&mut tail);
            write_field(&mut json, "parameters", &serde_json::json!({ "binary_data_size": tail.len() - begin }))?;
        } else {
            json.extend_from_slice(b"\"data\":");
            write_data(&mut json, output)?;
        }
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    let header_length = any_binary.then_some(json.len());
    json.append(&mut tail);
    Ok(AnswerBody { bytes: json, header_length })
}

fn write_field<T: serde::Serialize + ?Sized>(json: &mut Vec<u8>, name: &str, value: &T) -> Result<(), InferenceError> {
    write_json(json, name)?;
    json.push(b':');
    write_json(json, value)
}

fn write_json<T: serde::Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) -> Result<(), InferenceError> {
    serde_json::to_writer(json, value).map_err(|error| InferenceError::failed(error.to_string()))
}

fn write_data(json: &mut Vec<u8>, output: &NamedTensor) -> Result<(), InferenceError> {
    let lacks = |what: &str| {
        let problem = format!("output `{}` has {what}, which JSON lacks; ask for it as binary data", output.name);
        InferenceError::invalid(problem)
    };
    let endless = || lacks("a value that is infinite or no number");
    match output.tensor.data() {
        TensorData::F16(values) if values.iter().any(|value| !value.is_finite()) => Err(endless()),
        TensorData::F32(values) if values.iter().any(|value| !value.is_finite()) => Err(endless()),
        TensorData::F64(values) if values.iter().any(|value| !value.is_finite()) => Err(endless()),
        TensorData::F16(values) => write_json(json, &values.iter().map(|value| value.to_f32()).collect::<Vec<_>>()),
        TensorData::F32(values) => write_json(json, values),
        TensorData::F64(values) => write_json(json, values),
        TensorData::I64(values) => write_json(json, values),
        TensorData::I32(values) => write_json(json, values),
        TensorData::I16(values) => write_json(json, values),
        TensorData::I8(values) => write_json(json, values),
        TensorData::U64(values) => write_json(json, values),
        TensorData::U32(values) => write_json(json, values),
        TensorData::U16(values) => write_json(json, values),
        TensorData::U8(values) => write_json(json, values),
        TensorData::Bool(values) => write_json(json, values),
        TensorData::Bytes(values) => {
            let texts: Result<Vec<&str>, _> = values.iter().map(|value| std::str::from_utf8(value)).collect();
            write_json(json, &texts.map_err(|_| lacks("a byte string that is not UTF-8"))?)
        }
    }
}
