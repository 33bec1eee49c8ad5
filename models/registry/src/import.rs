//! Brings ONNX files and LightGBM's text into the registry and opens registered ones for running; it promotes nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use dhow_events::{ModelId, TenantId, Timestamp};

use crate::bundle::{Bundle, BundleError};
use crate::card::{ModelCard, ModelDraft, ModelFormat, Task};
use crate::embed::{EmbedError, EmbedderSettings, TextEmbedder};
use crate::error::RegistryError;
use crate::onnx::{OnnxError, OnnxModel};
use crate::registry::Registry;
use crate::servable::{Servable, TreeModel};
use dhow_tensors::{Dim, NamedTensor, Signature, Tensor, TensorData};

/// The largest file that can be imported, in bytes: protobuf itself ends there.
pub const MAX_IMPORT_BYTES: u64 = 2 << 30;

pub(crate) const GRAPH_FILE: &str = "model.onnx";
const TOKENIZER_FILE: &str = "tokenizer.json";
const MAX_TOKENS_SETTING: &str = "max_tokens";

/// Why files were not imported, or a registered model not opened.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file could not be read.
    #[error("reading {path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file beyond [`MAX_IMPORT_BYTES`].
    #[error("{0} has more than the {MAX_IMPORT_BYTES} bytes allowed")]
    TooLarge(PathBuf),
    /// The graph cannot be run.
    #[error("{path}: {source}")]
    Onnx {
        /// Which file, or which registered model.
        path: String,
        /// Why not.
        source: OnnxError,
    },
    /// The text model cannot be run.
    #[error("{path}: {source}")]
    Embed {
        /// Which file, or which registered model.
        path: String,
        /// Why not.
        source: EmbedError,
    },
    /// The registered model is not of the needed kind.
    #[error("model {model_id} cannot be opened so: {why}")]
    WrongKind {
        /// The model.
        model_id: ModelId,
        /// What it is and what is needed.
        why: String,
    },
    /// The bundle of files.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What a user brings.
#[derive(Debug, Clone)]
pub struct OnnxImport<'a> {
    /// A short name: by it the model is asked for.
    pub name: &'a str,
    /// The ONNX file, with its weights inside.
    pub onnx: &'a Path,
    /// The `tokenizer.json` of a text model.
    pub tokenizer: Option<&'a Path>,
    /// What the model is for; usually [`Task::Embedding`] with a tokenizer and [`Task::Custom`] without.
    pub task: Task,
    /// The licence of the weights, as the user states it.
    pub licence: &'a str,
    /// When it is imported.
    pub at: Timestamp,
    /// How texts are cut; used with a tokenizer only.
    pub embedder: EmbedderSettings,
}

/// What came of the trial that every imported model is put to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// A word was embedded: the length of its vector.
    Embedded {
        /// The length of the vectors.
        dimension: usize,
    },
    /// It ran on zeros, free dimensions being 1: names and shapes of the outputs.
    RanOnZeros(Vec<(String, Vec<usize>)>),
    /// It loads, but does not run on zeros; it may well run on real inputs.
    RefusedZeros(String),
}

/// An imported model.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedModel {
    /// Its card in the registry.
    pub card: ModelCard,
    /// Its inputs and outputs.
    pub signature: Signature,
    /// What came of its trial.
    pub trial: Trial,
}

/// What LightGBM's text begins with.
const LIGHTGBM_BEGIN: &[u8] = b"tree\n";

/// Reads the files, loads and tries the model, and registers both files as one bundle; LightGBM's text in place of a graph
/// is registered as it is. Nothing is registered on an error.
///
/// # Errors
/// [`ImportError`], naming the file.
pub fn import_onnx(
    registry: &Registry,
    tenant: &TenantId,
    import: &OnnxImport<'_>,
) -> Result<ImportedModel, ImportError> {
    let path = import.onnx.display().to_string();
    let graph = read_bounded(import.onnx)?;
    let tokenizer = import.tokenizer.map(read_bounded).transpose()?;
    let mut draft = ModelDraft::new(*tenant, import.task, import.name, ModelFormat::Onnx, import.at, import.licence);
    let (signature, trial) = match &tokenizer {
        Some(tokenizer) => {
            let embedder = TextEmbedder::from_parts(&graph, tokenizer, import.embedder)
                .map_err(|source| ImportError::Embed { path, source })?;
            draft.settings = BTreeMap::from([(MAX_TOKENS_SETTING.to_owned(), import.embedder.max_tokens.into())]);
            (embedder.signature().clone(), Trial::Embedded { dimension: embedder.dimension() })
        }
        None => {
            let is_lightgbm = graph.starts_with(LIGHTGBM_BEGIN);
            let opened = if is_lightgbm {
                draft.format = ModelFormat::Lightgbm;
                TreeModel::from_lightgbm(&graph).map(Servable::Trees)
            } else {
                Servable::from_onnx(&graph)
            };
            let model = opened.map_err(|source| ImportError::Onnx { path, source })?;
            (model.signature().clone(), run_on_zeros(&model))
        }
    };
    if draft.format == ModelFormat::Lightgbm {
        return Ok(ImportedModel { card: registry.register(draft, &graph)?, signature, trial });
    }
    let mut bundle = Bundle::new();
    bundle.add(GRAPH_FILE, graph)?;
    if let Some(tokenizer) = tokenizer {
        bundle.add(TOKENIZER_FILE, tokenizer)?;
    }
    let card = registry.register(draft, &bundle.to_bytes()?)?;
    Ok(ImportedModel { card, signature, trial })
}

/// Opens a registered ONNX model for running on tensors.
///
/// # Errors
/// [`ImportError::WrongKind`] for another format; the registry's and the runtime's errors.
pub fn open_onnx(registry: &Registry, model_id: ModelId) -> Result<OnnxModel, ImportError> {
    let (_, bundle) = load_bundle(registry, model_id)?;
    OnnxModel::from_bytes(bundle.get(GRAPH_FILE)?)
        .map_err(|source| ImportError::Onnx { path: model_id.to_string(), source })
}

/// Opens a registered text model, with the settings it was imported with.
///
/// # Errors
/// [`ImportError::WrongKind`] for another format or a model without a tokenizer; the registry's and the runtime's errors.
pub fn open_embedder(registry: &Registry, model_id: ModelId) -> Result<TextEmbedder, ImportError> {
    let (card, bundle) = load_bundle(registry, model_id)?;
    let max_tokens = card.draft.settings.get(MAX_TOKENS_SETTING).and_then(|value| value.as_u64());
    let max_tokens = max_tokens.and_then(|tokens| usize::try_from(tokens).ok()).ok_or_else(|| {
        let why = format!("its card has no setting `{MAX_TOKENS_SETTING}`; import it with its tokenizer");
        ImportError::WrongKind { model_id, why }
    })?;
    TextEmbedder::from_parts(bundle.get(GRAPH_FILE)?, bundle.get(TOKENIZER_FILE)?, EmbedderSettings { max_tokens })
        .map_err(|source| ImportError::Embed { path: model_id.to_string(), source })
}

fn load_bundle(registry: &Registry, model_id: ModelId) -> Result<(ModelCard, Bundle), ImportError> {
    let (card, artifact) = registry.load(model_id)?;
    if card.draft.format != ModelFormat::Onnx {
        let why = format!("its format is {}, not {}", card.draft.format, ModelFormat::Onnx);
        return Err(ImportError::WrongKind { model_id, why });
    }
    let bundle = Bundle::from_bytes(&artifact)?;
    Ok((card, bundle))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, ImportError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_IMPORT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| ImportError::Io { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_IMPORT_BYTES {
        return Err(ImportError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

fn run_on_zeros(model: &Servable) -> Trial {
    let zeros = model.signature().inputs.iter().map(|spec| {
        let length = |dim: &Dim| if let Dim::Fixed(length) = dim { *length } else { 1 };
        let shape: Vec<usize> = spec.dims.iter().flatten().map(length).collect();
        let elements = shape.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim));
        let elements = elements.filter(|&elements| elements <= crate::onnx::MAX_INPUT_ELEMENTS);
        let elements = elements.ok_or_else(|| OnnxError::BadInput(format!("{spec} is too large to try")))?;
        let tensor = Tensor::new(shape, TensorData::zeros(spec.element_type, elements));
        tensor
            .map(|tensor| NamedTensor::new(&spec.name, tensor))
            .map_err(|error| OnnxError::BadInput(error.to_string()))
    });
    match zeros.collect::<Result<Vec<_>, _>>().and_then(|zeros| model.run(&zeros)) {
        Ok(outputs) => {
            Trial::RanOnZeros(outputs.into_iter().map(|output| (output.name, output.tensor.shape().to_vec())).collect())
        }
        Err(error) => Trial::RefusedZeros(error.to_string()),
    }
}
