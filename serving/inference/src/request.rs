//! A request and its answer, whichever form they came in, and what a request must be to fit a model; nothing runs here.

use dhow_tensors::{Dim, NamedTensor, Signature, TensorSpec};

use crate::datatype;
use crate::error::InferenceError;

/// The most inputs of a request.
pub const INPUTS_MAX: usize = 256;
/// The most outputs that a request may name.
pub const OUTPUTS_MAX: usize = 256;
/// The longest key of a trial, in bytes.
pub const ROUTING_KEY_BYTES_MAX: usize = 256;

/// An output that a request names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether it is wanted as bytes behind the JSON; nothing where the request's own wish holds.
    pub binary: Option<bool>,
}

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct InferRequest {
    /// The caller's own word for it, which the answer repeats; empty where there is none.
    pub id: String,
    /// The inputs, in the caller's order.
    pub inputs: Vec<NamedTensor>,
    /// The outputs that are wanted; all where it is empty.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs that do not say are wanted as bytes behind the JSON.
    pub binary_outputs: bool,
    /// How long the answer may take, in microseconds.
    pub timeout_us: Option<u64>,
    /// What says which side of a trial it is on, such as a shopper's id; its own word where there is none.
    pub routing_key: Option<String>,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq)]
pub struct InferAnswer {
    /// The name by which it was asked.
    pub model_name: String,
    /// The version that answered.
    pub model_version: String,
    /// The request's own word.
    pub id: String,
    /// The outputs that were wanted, in the order in which they were named.
    pub outputs: Vec<NamedTensor>,
}

/// A tensor's description in the protocol's words.
pub(crate) fn shown(spec: &TensorSpec) -> String {
    let dims = spec
        .dims
        .iter()
        .flatten()
        .map(|dim| if let Dim::Fixed(length) = dim { length.to_string() } else { "-1".to_owned() });
    format!("`{}` of {} [{}]", spec.name, datatype::word(spec.element_type), dims.collect::<Vec<_>>().join(","))
}

/// A routing key that is not too long.
///
/// # Errors
/// It is.
pub(crate) fn checked_routing_key(key: &str) -> Result<String, InferenceError> {
    if key.len() > ROUTING_KEY_BYTES_MAX {
        let problem =
            format!("parameter `routing_key` has {} bytes; at most {ROUTING_KEY_BYTES_MAX} are allowed", key.len());
        return Err(InferenceError::invalid(problem));
    }
    Ok(key.to_owned())
}

impl InferRequest {
    /// The inputs in the signature's order, where each is there once and fits.
    ///
    /// # Errors
    /// What does not fit, and what would.
    pub(crate) fn fitted(&mut self, signature: &Signature) -> Result<Vec<NamedTensor>, InferenceError> {
        let mut inputs = std::mem::take(&mut self.inputs);
        if inputs.len() != signature.inputs.len() {
            let wanted: Vec<String> = signature.inputs.iter().map(shown).collect();
            let found = inputs.len();
            return Err(InferenceError::invalid(format!(
                "{found} inputs were given; the model takes {}",
                wanted.join(", ")
            )));
        }
        let mut lengths: Vec<(&str, usize)> = Vec::new();
        let mut fitted = Vec::with_capacity(inputs.len());
        for spec in &signature.inputs {
            let place = inputs.iter().position(|input| input.name == spec.name);
            let place = place.ok_or_else(|| InferenceError::invalid(format!("input {} is missing", shown(spec))))?;
            let input = inputs.swap_remove(place);
            fits(spec, &input, &mut lengths)?;
            fitted.push(input);
        }
        Ok(fitted)
    }

    /// Refuses outputs that the model does not have, or that are named twice.
    pub(crate) fn check_outputs(&self, signature: &Signature) -> Result<(), InferenceError> {
        for (place, output) in self.outputs.iter().enumerate() {
            if !signature.outputs.iter().any(|spec| spec.name == output.name) {
                let known: Vec<&str> = signature.outputs.iter().map(|spec| spec.name.as_str()).collect();
                let problem = format!("`{}` is no output; the model has {}", output.name, known.join(", "));
                return Err(InferenceError::invalid(problem));
            }
            if self.outputs[..place].iter().any(|earlier| earlier.name == output.name) {
                return Err(InferenceError::invalid(format!("output `{}` is named twice", output.name)));
            }
        }
        Ok(())
    }

    /// Those of `outputs` that are wanted, in the order in which they were named.
    pub(crate) fn wanted(&self, mut outputs: Vec<NamedTensor>) -> Vec<NamedTensor> {
        if self.outputs.is_empty() {
            return outputs;
        }
        let place = |outputs: &[NamedTensor], name: &str| outputs.iter().position(|output| output.name == name);
        let named = self.outputs.iter();
        named.filter_map(|wanted| place(&outputs, &wanted.name).map(|place| outputs.swap_remove(place))).collect()
    }
}

fn fits<'a>(
    spec: &'a TensorSpec,
    input: &NamedTensor,
    lengths: &mut Vec<(&'a str, usize)>,
) -> Result<(), InferenceError> {
    let (shape, element_type) = (input.tensor.shape(), input.tensor.data().element_type());
    let refused = |what: &str| {
        let given = format!("{} {shape:?}", datatype::word(element_type));
        InferenceError::invalid(format!("input {} was given as {given}: {what}", shown(spec)))
    };
    let dims = spec.dims.as_deref().unwrap_or_default();
    if element_type != spec.element_type {
        return Err(refused("another datatype"));
    }
    if dims.len() != shape.len() {
        return Err(refused("another number of dimensions"));
    }
    for (dim, &length) in dims.iter().zip(shape) {
        match dim {
            _ if length == 0 => return Err(refused("a dimension of length 0")),
            Dim::Fixed(wanted) if *wanted != length => return Err(refused("another length")),
            Dim::Fixed(_) => {}
            Dim::Free(name) if name == Dim::UNNAMED => {}
            Dim::Free(name) => match lengths.iter().find(|(known, _)| known == name) {
                None => lengths.push((name, length)),
                Some((_, earlier)) if *earlier == length => {}
                Some((_, earlier)) => {
                    return Err(refused(&format!("`{name}` is {earlier} in an input before")));
                }
            },
        }
    }
    Ok(())
}
