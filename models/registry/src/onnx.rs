//! Runs ONNX graphs on the CPU through tract; no training, no other accelerator, and no tract type leaves this file's crate.

use std::sync::Arc;

use parking_lot::Mutex;
use tract_onnx::prelude::{
    Framework, InferenceFact, InferenceModel, TDim, TValue, TVec, TractResult, TypedRunnableModel,
};

use crate::convert::{from_tract, to_tract, tract_type};
use crate::graph::{check_graph, decode, express_is_nan, has_convolution, name_free_dims, signature_of};
use crate::plan::{PlanCache, contained, plan};
use dhow_tensors::{Dim, NamedTensor, Signature, Tensor, TensorData, TensorSpec};

/// The most elements of all inputs of one run together.
pub const MAX_INPUT_ELEMENTS: usize = 1 << 28;

/// Why a file is not a model that can be run, or a run failed.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The bytes are no ONNX model.
    #[error("the file is not an ONNX model: {0}")]
    NotOnnx(String),
    /// The graph uses operators that the runtime does not have.
    #[error("the ONNX model uses operators that are not supported: {0}")]
    UnsupportedOperators(String),
    /// A tensor's values lie in another file.
    #[error("the values of `{0}` lie outside the ONNX file; save the model with its weights inside one file")]
    ExternalData(String),
    /// An input whose number of dimensions is not declared.
    #[error("the ONNX model does not declare the shape of its input `{0}`; export it with input shapes")]
    MissingInputShape(String),
    /// An input or output of a type that cannot cross the border.
    #[error(
        "`{name}` has elements of type {element_type}, which is not supported; use floats of 16 to 64 bits, integers of 8 to \
         64 bits, bool or string"
    )]
    UnsupportedElementType {
        /// The input or output.
        name: String,
        /// Its type, in ONNX's words.
        element_type: String,
    },
    /// The graph contradicts itself, or the runtime cannot prepare it.
    #[error("the ONNX graph cannot be prepared: {0}")]
    BadGraph(String),
    /// The given tensors do not fit the model's inputs.
    #[error("the inputs do not fit the model: {0}")]
    BadInput(String),
    /// The run itself failed.
    #[error("the model failed while it ran: {0}")]
    Run(String),
}

/// How the graph is made ready for a shape.
#[derive(Debug)]
enum Plans {
    /// One plan serves all shapes: free dimensions stay symbols.
    One(Arc<TypedRunnableModel>),
    /// The graph resolves, or runs fast, only with known shapes: one plan for each combination, the last used kept.
    PerShape { graph: Box<InferenceModel>, cache: Mutex<PlanCache> },
}

/// A loaded ONNX model. May be shared by threads; each run uses the calling thread alone.
#[derive(Debug)]
pub struct OnnxModel {
    signature: Signature,
    plans: Plans,
}

impl OnnxModel {
    /// Reads and prepares a model.
    ///
    /// Free input dimensions stay free in the one plan that is made here. A graph with convolutions, or one that cannot
    /// be prepared so, is planned anew for each combination of input shapes when it first runs; the
    /// [`MAX_CACHED_PLANS`](crate::MAX_CACHED_PLANS) last used plans are kept.
    ///
    /// # Errors
    /// Every variant of [`OnnxError`] but `BadInput` and `Run`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OnnxError> {
        let mut proto = decode(bytes)?;
        check_graph(&proto)?;
        let signature = signature_of(&proto)?;
        name_free_dims(&mut proto);
        proto.graph.iter_mut().for_each(express_is_nan);
        // What other tools recorded about inner tensors may contradict the shapes of a run, so it is left out.
        let framework = tract_onnx::onnx().with_ignore_value_info(true);
        let graph = contained(|| framework.model_for_proto_model(&proto)).map_err(OnnxError::BadGraph)?;
        let free = signature.inputs.iter().flat_map(|spec| spec.dims.iter().flatten());
        let has_free_dims = free.into_iter().any(|dim| matches!(dim, Dim::Free(_)));
        let per_shape = |graph| Plans::PerShape { graph: Box::new(graph), cache: Mutex::default() };
        if has_free_dims && has_convolution(&proto) {
            // With unknown lengths tract runs convolutions several times slower, by way of general matrix products.
            return Ok(Self { signature, plans: per_shape(graph) });
        }
        let plans = match contained(|| plan(graph.clone())) {
            Ok(plan) => Plans::One(plan),
            Err(detail) if !has_free_dims => return Err(OnnxError::BadGraph(detail)),
            Err(detail) => {
                tracing::debug!(%detail, "the graph needs a plan for each combination of input shapes");
                per_shape(graph)
            }
        };
        Ok(Self { signature, plans })
    }

    /// The inputs and outputs.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Whether one plan serves every shape: then a run of many rows costs no planning.
    pub fn has_one_plan(&self) -> bool {
        matches!(self.plans, Plans::One(_))
    }

    /// Computes all outputs. The inputs may come in any order; each must be there once.
    ///
    /// # Errors
    /// [`OnnxError::BadInput`], [`OnnxError::Run`]; [`OnnxError::BadGraph`] where the graph cannot take these shapes;
    /// [`OnnxError::UnsupportedElementType`].
    pub fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, OnnxError> {
        let ordered = self.checked_inputs(inputs)?;
        let plan = self.plan_for(&ordered)?;
        let outputs = contained(|| {
            let values: TractResult<TVec<TValue>> = ordered.iter().map(|tensor| Ok(to_tract(tensor)?.into())).collect();
            plan.run(values?)
        });
        let outputs = outputs.map_err(OnnxError::Run)?;
        let named = self.signature.outputs.iter().zip(outputs);
        named.map(|(spec, value)| Ok(NamedTensor::new(&spec.name, from_tract(&spec.name, &value)?))).collect()
    }

    /// The given tensors in the model's order, each fitting its description.
    fn checked_inputs<'a>(&self, inputs: &'a [NamedTensor]) -> Result<Vec<&'a Tensor>, OnnxError> {
        let specs = &self.signature.inputs;
        let known = |name: &str| specs.iter().any(|spec| spec.name == name);
        if let Some(unknown) = inputs.iter().find(|input| !known(&input.name)) {
            let wanted = specs.iter().map(TensorSpec::to_string).collect::<Vec<_>>().join(", ");
            return Err(OnnxError::BadInput(format!("`{}` is no input; there are {wanted}", unknown.name)));
        }
        let mut lengths: Vec<(&str, usize)> = Vec::new();
        let mut ordered = Vec::with_capacity(specs.len());
        for spec in specs {
            let mut of_this_name = inputs.iter().filter(|input| input.name == spec.name);
            let (Some(input), None) = (of_this_name.next(), of_this_name.next()) else {
                return Err(OnnxError::BadInput(format!("{spec} must be given once")));
            };
            check_input(spec, &input.tensor, &mut lengths)?;
            ordered.push(&input.tensor);
        }
        let elements: usize = ordered.iter().map(|tensor| tensor.data().len()).sum();
        if elements > MAX_INPUT_ELEMENTS {
            return Err(OnnxError::BadInput(format!(
                "{elements} elements are more than the {MAX_INPUT_ELEMENTS} allowed in one run"
            )));
        }
        Ok(ordered)
    }

    fn plan_for(&self, inputs: &[&Tensor]) -> Result<Arc<TypedRunnableModel>, OnnxError> {
        let (graph, cache) = match &self.plans {
            Plans::One(plan) => return Ok(Arc::clone(plan)),
            Plans::PerShape { graph, cache } => (graph, cache),
        };
        let shapes: Vec<Vec<usize>> = inputs.iter().map(|tensor| tensor.shape().to_vec()).collect();
        if let Some(plan) = cache.lock().get(&shapes) {
            return Ok(plan);
        }
        // Planning takes long, so it happens outside the lock; two threads may both do it once.
        let planned = contained(|| {
            let mut graph = graph.as_ref().clone();
            for (index, tensor) in inputs.iter().enumerate() {
                let dims: TVec<TDim> = tensor.shape().iter().map(|&dim| TDim::from(dim)).collect();
                graph.set_input_fact(index, InferenceFact::dt_shape(tract_type(tensor.data().element_type()), dims))?;
            }
            plan(graph)
        });
        let planned = planned.map_err(OnnxError::BadGraph)?;
        cache.lock().insert(shapes, Arc::clone(&planned));
        Ok(planned)
    }
}

fn check_input<'a>(
    spec: &'a TensorSpec,
    tensor: &Tensor,
    lengths: &mut Vec<(&'a str, usize)>,
) -> Result<(), OnnxError> {
    let found = (tensor.data().element_type(), tensor.shape());
    let bad = || OnnxError::BadInput(format!("{spec} was given as {}{:?}", found.0, found.1));
    let dims = spec.dims.as_deref().unwrap_or_default();
    if found.0 != spec.element_type || dims.len() != found.1.len() || found.1.contains(&0) {
        return Err(bad());
    }
    if let TensorData::Bytes(values) = tensor.data()
        && let Some(at) = values.iter().position(|value| std::str::from_utf8(value).is_err())
    {
        return Err(OnnxError::BadInput(format!("{spec} was given a string that is not UTF-8 at place {at}")));
    }
    for (dim, &length) in dims.iter().zip(found.1) {
        match dim {
            Dim::Fixed(wanted) if *wanted != length => return Err(bad()),
            Dim::Fixed(_) => {}
            Dim::Free(name) if name == Dim::UNNAMED => {}
            Dim::Free(name) => match lengths.iter().find(|(known, _)| known == name) {
                None => lengths.push((name, length)),
                Some((_, earlier)) if *earlier == length => {}
                Some((_, earlier)) => {
                    return Err(OnnxError::BadInput(format!(
                        "{spec} was given as {}{:?}, but `{name}` is {earlier} in an input before",
                        found.0, found.1
                    )));
                }
            },
        }
    }
    Ok(())
}
