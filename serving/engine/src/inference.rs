//! The registry as a source of models that are served by tensors: which names there are, what stands behind them; it runs no queue.

use std::sync::Arc;

use dhow_events::{Clock, ModelId, TenantId};
use dhow_inference::{
    ErrorKind, Inference, InferenceError, InferenceSettings, Model, ModelBounds, ModelFault, ModelSource, Registered,
    ThreadPool,
};
use dhow_registry::{
    Alias, ImportError, ModelCard, ModelFormat, OnnxError, Registry, RegistryError, Servable, Task, open_servable,
};
use dhow_tensors::{Dim, ElementType, NamedTensor, Signature, Tensor, TensorData, TensorSpec};
use dhow_training::{FraudBundle, OpenFraud};

use crate::priority::give_way_to_requests;

/// Models that are loaded at once.
const LOADS_MAX: usize = 1;

/// The registry's models, served by tensors; none is loaded yet.
pub(crate) fn serve_registered(registry: &Registry, clock: Arc<dyn Clock>) -> Inference {
    let runs_max = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let bounds = ModelBounds { runs_max, ..ModelBounds::default() };
    let settings = InferenceSettings { bounds, loads_max: LOADS_MAX, scheduler: Arc::new(ThreadPool), clock };
    Inference::new(Arc::new(RegistrySource(registry.clone())), settings)
}

/// A name is a card's name, behind which the newest of that name stands, or `<task>.<alias>`, behind which the holder of the
/// role stands. A version is a model's id.
struct RegistrySource(Registry);

impl RegistrySource {
    /// Every model that can be served, oldest first.
    fn cards(&self, tenant: TenantId) -> Result<Vec<ModelCard>, InferenceError> {
        Ok(self.0.list(&tenant).map_err(source_failed)?.into_iter().filter(is_servable).collect())
    }
}

/// Whether a model turns tensors into tensors: ONNX, trees, and the fraud models of Dhow itself.
fn is_servable(card: &ModelCard) -> bool {
    match card.draft.format {
        ModelFormat::Onnx | ModelFormat::Lightgbm => true,
        ModelFormat::Postcard => card.draft.task == Task::Fraud,
        ModelFormat::Json => false,
    }
}

/// The name by which the holder of a role is asked for.
pub(crate) fn role_name(task: Task, alias: Alias) -> String {
    format!("{task}.{alias}")
}

fn role_of(name: &str) -> Option<(Task, Alias)> {
    let (task, alias) = name.split_once('.')?;
    Some((task.parse().ok()?, alias.parse().ok()?))
}

impl ModelSource for RegistrySource {
    fn list(&self, tenant: TenantId) -> Result<Vec<Registered>, InferenceError> {
        let (cards, ledger) = (self.cards(tenant)?, self.0.ledger().map_err(source_failed)?);
        let by_name =
            cards.iter().map(|card| Registered { name: card.draft.name.clone(), version: card.model_id.to_string() });
        let roles = Task::ALL.iter().flat_map(|&task| Alias::ALL.iter().map(move |&alias| (task, alias)));
        let by_role = roles.filter_map(|(task, alias)| {
            let holder = ledger.resolve(&tenant, task, alias)?;
            let known = cards.iter().any(|card| card.model_id == holder);
            known.then(|| Registered { name: role_name(task, alias), version: holder.to_string() })
        });
        Ok(by_name.chain(by_role).collect())
    }

    fn find(&self, tenant: TenantId, name: &str, version: Option<&str>) -> Result<String, InferenceError> {
        let nothing = |what: String| InferenceError::not_found(what);
        let cards = self.cards(tenant)?;
        if let Some((task, alias)) = role_of(name) {
            let holder = self.0.resolve(&tenant, task, alias).map_err(source_failed)?;
            if !cards.iter().any(|card| card.model_id == holder) {
                return Err(nothing(format!("the {alias} for {task} is not served by tensors")));
            }
            return match version {
                Some(other) if other != holder.to_string() => {
                    Err(nothing(format!("version `{other}` is not the {alias} for {task}; promote it first")))
                }
                _ => Ok(holder.to_string()),
            };
        }
        let mut named = cards.iter().rev().filter(|card| card.draft.name == name);
        let found = match version {
            None => named.next(),
            Some(version) => named.find(|card| card.model_id.to_string() == version),
        };
        found.map(|card| card.model_id.to_string()).ok_or_else(|| match version {
            None => nothing(format!("no model `{name}` is registered; `GET /v2/repository/index` lists what is")),
            Some(version) => nothing(format!("no model `{name}` of version `{version}` is registered")),
        })
    }

    fn open(&self, _tenant: TenantId, version: &str) -> Result<Arc<dyn Model>, InferenceError> {
        let id: ModelId = version.parse().map_err(|_| InferenceError::failed(format!("`{version}` is no model id")))?;
        let card = self.0.card(id).map_err(source_failed)?;
        if card.draft.format == ModelFormat::Postcard {
            let (_, bytes) = self.0.load(id).map_err(source_failed)?;
            let fraud = FraudBundle::open(&bytes).map_err(|error| refused(id, &error))?;
            return Ok(Arc::new(FraudModel::new(fraud)));
        }
        match open_servable(&self.0, id) {
            Ok((_, servable)) => Ok(Arc::new(TensorModel(servable))),
            Err(ImportError::Registry(error)) => Err(source_failed(error)),
            Err(error) => Err(refused(id, &error)),
        }
    }

    fn run_load(&self, work: Box<dyn FnOnce() + Send>) {
        let run = move || {
            give_way_to_requests();
            work();
        };
        if let Err(error) = std::thread::Builder::new().name("model-load".to_owned()).spawn(run) {
            // Dropping the work tells who waits for it.
            tracing::error!(%error, "the system gives no thread to load a model");
        }
    }
}

fn refused(id: ModelId, error: &dyn std::fmt::Display) -> InferenceError {
    InferenceError::invalid(format!("model {id} cannot be served: {error}"))
}

fn source_failed(error: RegistryError) -> InferenceError {
    match error {
        RegistryError::NoSuchAlias { .. } | RegistryError::UnknownModel(_) | RegistryError::Collected { .. } => {
            InferenceError::not_found(error.to_string())
        }
        RegistryError::Busy { .. } => InferenceError::new(ErrorKind::Unavailable, error.to_string()),
        other => InferenceError::failed(other.to_string()),
    }
}

/// A graph or trees.
struct TensorModel(Servable);

impl Model for TensorModel {
    fn platform(&self) -> &str {
        match &self.0 {
            Servable::Onnx(_) => "onnx_tract",
            Servable::Trees(_) => "dhow_trees",
        }
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn takes_any_rows(&self) -> Result<(), String> {
        let reason = || "every combination of shapes is planned anew".to_owned();
        self.0.has_one_plan().then_some(()).ok_or_else(reason)
    }

    fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, ModelFault> {
        self.0.run(inputs).map_err(|error| match error {
            OnnxError::BadInput(_) | OnnxError::BadGraph(_) => ModelFault::BadInput(error.to_string()),
            other => ModelFault::Failed(other.to_string()),
        })
    }
}

/// A fraud model of Dhow itself: feature vectors in, calibrated probabilities out; no rules, no costs, nothing recorded.
struct FraudModel {
    fraud: OpenFraud,
    signature: Signature,
}

impl FraudModel {
    fn new(fraud: OpenFraud) -> Self {
        let rows = || Dim::Free("rows".to_owned());
        let spec =
            |name: &str, dims| TensorSpec { name: name.to_owned(), element_type: ElementType::F64, dims: Some(dims) };
        let width = fraud.model.feature_names().len();
        let signature = Signature {
            inputs: vec![spec("features", vec![rows(), Dim::Fixed(width)])],
            outputs: vec![spec("probability", vec![rows()])],
        };
        Self { fraud, signature }
    }
}

impl Model for FraudModel {
    fn platform(&self) -> &str {
        "dhow_fraud"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn takes_any_rows(&self) -> Result<(), String> {
        Ok(())
    }

    fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, ModelFault> {
        let bad = || ModelFault::BadInput("`features` must be FP64".to_owned());
        let [input] = inputs else { return Err(bad()) };
        let TensorData::F64(values) = input.tensor.data() else { return Err(bad()) };
        let scored = self.fraud.model.probabilities(values);
        let probabilities = scored.map_err(|error| ModelFault::BadInput(error.to_string()))?;
        let tensor = Tensor::new(vec![probabilities.len()], TensorData::F64(probabilities));
        let tensor = tensor.map_err(|error| ModelFault::Failed(error.to_string()))?;
        Ok(vec![NamedTensor::new("probability", tensor)])
    }
}
