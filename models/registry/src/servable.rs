//! Registered models as something that turns tensors into tensors: ONNX graphs by tract, trees by Dhow's own evaluator; no queues.

use dhow_events::ModelId;
use dhow_tensors::{Dim, ElementType, NamedTensor, Signature, Tensor, TensorData, TensorSpec};
use dhow_trees::formats::{lightgbm, onnx};
use dhow_trees::{Forest, Output, Predictor};

use crate::bundle::Bundle;
use crate::card::{ModelCard, ModelFormat};
use crate::graph;
use crate::import::{GRAPH_FILE, ImportError};
use crate::onnx::{OnnxError, OnnxModel};
use crate::registry::Registry;

/// The input of every model of trees.
const FEATURES: &str = "features";

/// A model of boosted trees or a forest, of one output.
///
/// Its input is `features`, f64 of `[rows, features]`, with NaN where a value is missing; its outputs are `prediction` and
/// `margin`, f64 of `[rows]`. Trees of an ONNX file compare with thresholds of 32 bits: round features to f32 to reach the
/// leaves that an ONNX runtime reaches.
#[derive(Debug)]
pub struct TreeModel {
    signature: Signature,
    predictor: Predictor,
    output: Output,
}

impl TreeModel {
    /// Lays a forest out for answering.
    ///
    /// # Errors
    /// A forest that breaks its own rules.
    pub fn new(forest: &Forest) -> Result<Self, OnnxError> {
        let predictor = Predictor::compile(forest).map_err(|error| OnnxError::BadGraph(error.to_string()))?;
        let rows = || Dim::Free("rows".to_owned());
        let spec =
            |name: &str, dims| TensorSpec { name: name.to_owned(), element_type: ElementType::F64, dims: Some(dims) };
        let inputs = vec![spec(FEATURES, vec![rows(), Dim::Fixed(predictor.features())])];
        let outputs = vec![spec("prediction", vec![rows()]), spec("margin", vec![rows()])];
        Ok(Self { signature: Signature { inputs, outputs }, predictor, output: forest.output })
    }

    /// Reads LightGBM's text.
    ///
    /// # Errors
    /// A file that is not read as a forest.
    pub fn from_lightgbm(bytes: &[u8]) -> Result<Self, OnnxError> {
        let text = std::str::from_utf8(bytes).map_err(|error| OnnxError::BadGraph(error.to_string()))?;
        Self::new(&lightgbm::import(text).map_err(|error| OnnxError::BadGraph(error.to_string()))?)
    }

    /// The inputs and outputs.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Predicts every row.
    ///
    /// # Errors
    /// [`OnnxError::BadInput`].
    pub fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, OnnxError> {
        let bad = || OnnxError::BadInput(format!("{} must be given once, and nothing else", self.signature.inputs[0]));
        let [input] = inputs else { return Err(bad()) };
        let TensorData::F64(values) = input.tensor.data() else { return Err(bad()) };
        let rows = match input.tensor.shape() {
            [rows, width] if *width == self.predictor.features() && input.name == FEATURES => *rows,
            _ => return Err(bad()),
        };
        let mut margins = vec![0.0; rows];
        self.predictor.margins(values, &mut margins).map_err(|error| OnnxError::BadInput(error.to_string()))?;
        let predictions = margins.iter().map(|&margin| self.output.of(margin)).collect();
        let named = |name: &str, values| {
            let tensor = Tensor::new(vec![rows], TensorData::F64(values));
            tensor.map(|tensor| NamedTensor::new(name, tensor)).map_err(|error| OnnxError::Run(error.to_string()))
        };
        Ok(vec![named("prediction", predictions)?, named("margin", margins)?])
    }
}

/// A model that turns tensors into tensors.
#[derive(Debug)]
pub enum Servable {
    /// A graph that tract runs.
    Onnx(OnnxModel),
    /// Trees that Dhow runs.
    Trees(TreeModel),
}

impl Servable {
    /// Reads an ONNX file: one of a tree ensemble is run by Dhow's own evaluator, every other one by tract.
    ///
    /// # Errors
    /// A file that is no model, or one that the evaluator which it falls to cannot run.
    pub fn from_onnx(bytes: &[u8]) -> Result<Self, OnnxError> {
        if !graph::has_trees(&graph::decode(bytes)?) {
            return OnnxModel::from_bytes(bytes).map(Self::Onnx);
        }
        let forest = onnx::import(bytes).map_err(|error| OnnxError::BadGraph(error.to_string()))?;
        TreeModel::new(&forest).map(Self::Trees)
    }

    /// The inputs and outputs.
    pub fn signature(&self) -> &Signature {
        match self {
            Self::Onnx(model) => model.signature(),
            Self::Trees(model) => model.signature(),
        }
    }

    /// Computes all outputs.
    ///
    /// # Errors
    /// Those of [`OnnxModel::run`].
    pub fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, OnnxError> {
        match self {
            Self::Onnx(model) => model.run(inputs),
            Self::Trees(model) => model.run(inputs),
        }
    }

    /// Whether runs of any number of rows cost no preparation of their own.
    pub fn has_one_plan(&self) -> bool {
        match self {
            Self::Onnx(model) => model.has_one_plan(),
            Self::Trees(_) => true,
        }
    }
}

/// Opens a registered model for running on tensors.
///
/// # Errors
/// [`ImportError::WrongKind`] for a format that is none of tensors; the registry's and the runtimes' errors.
pub fn open_servable(registry: &Registry, model_id: ModelId) -> Result<(ModelCard, Servable), ImportError> {
    let (card, artifact) = registry.load(model_id)?;
    let runtime = |source| ImportError::Onnx { path: model_id.to_string(), source };
    let servable = match card.draft.format {
        ModelFormat::Onnx => {
            let bundle = Bundle::from_bytes(&artifact)?;
            Servable::from_onnx(bundle.get(GRAPH_FILE)?).map_err(runtime)?
        }
        ModelFormat::Lightgbm => TreeModel::from_lightgbm(&artifact).map(Servable::Trees).map_err(runtime)?,
        other => {
            let why = format!("its format is {other}, not {} or {}", ModelFormat::Onnx, ModelFormat::Lightgbm);
            return Err(ImportError::WrongKind { model_id, why });
        }
    };
    Ok((card, servable))
}
