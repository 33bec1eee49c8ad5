//! Sentence embeddings in the manner of all-MiniLM-L6-v2: tokens, transformer, masked mean, unit length; no index of them.

use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationParams};

use crate::onnx::{OnnxError, OnnxModel};
use dhow_tensors::{Dim, ElementType, NamedTensor, ShapeError, Signature, Tensor, TensorData, TensorSpec};

/// The longest text, in bytes; longer ones are refused rather than tokenized only to be cut.
pub const MAX_EMBEDDED_TEXT_BYTES: usize = 64 << 10;
/// The most tokens that a text may be allowed, the begin and end marks included: BERT has no positions beyond.
pub const MAX_TOKENS: usize = 512;

/// How texts are turned into vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedderSettings {
    /// What is cut off beyond this many tokens, the begin and end marks included: 3 to [`MAX_TOKENS`].
    pub max_tokens: usize,
}

impl Default for EmbedderSettings {
    fn default() -> Self {
        Self { max_tokens: 128 }
    }
}

/// Why a text model could not be loaded or a text not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The graph.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The tokenizer file, or a text that it cannot split.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
    /// Settings outside their ranges.
    #[error("max_tokens is {0}; it must be 3 to {MAX_TOKENS}")]
    BadMaxTokens(usize),
    /// The graph does not take tokens or does not give one vector for each token.
    #[error("the model is no text encoder: {0}")]
    NotAnEncoder(String),
    /// A text beyond [`MAX_EMBEDDED_TEXT_BYTES`].
    #[error("text {index} has {found} bytes; at most {MAX_EMBEDDED_TEXT_BYTES} can be embedded")]
    TextTooLong {
        /// Its place in the call, from 0.
        index: usize,
        /// Its length in bytes.
        found: usize,
    },
    /// A tensor of the wrong shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// A loaded text encoder with its tokenizer. May be shared by threads.
///
/// Reimers and Gurevych, "Sentence-BERT" (2019): the mean of the last layer's token vectors is the sentence's vector.
#[derive(Debug)]
pub struct TextEmbedder {
    model: OnnxModel,
    tokenizer: Tokenizer,
    output: usize,
    dimension: usize,
}

impl TextEmbedder {
    /// Loads graph and tokenizer and embeds one word to see that they fit.
    ///
    /// The graph takes `input_ids` and, if it likes, `attention_mask` and `token_type_ids`, all `[batch, tokens]` of i64 or
    /// i32, and gives `last_hidden_state` (or as its first output) `[batch, tokens, dimension]` of f32. The tokenizer is a
    /// `tokenizer.json`; its own padding and truncation are replaced.
    ///
    /// # Errors
    /// Every variant of [`EmbedError`] but `TextTooLong`.
    pub fn from_parts(onnx: &[u8], tokenizer: &[u8], settings: EmbedderSettings) -> Result<Self, EmbedError> {
        if !(3..=MAX_TOKENS).contains(&settings.max_tokens) {
            return Err(EmbedError::BadMaxTokens(settings.max_tokens));
        }
        let mut tokenizer =
            Tokenizer::from_bytes(tokenizer).map_err(|error| EmbedError::Tokenizer(error.to_string()))?;
        let truncation = TruncationParams { max_length: settings.max_tokens, ..TruncationParams::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| EmbedError::Tokenizer(error.to_string()))?;
        tokenizer.with_padding(None);
        let model = OnnxModel::from_bytes(onnx)?;
        let signature = model.signature();
        if let Some(unknown) = signature.inputs.iter().find(|spec| Role::of(spec).is_none()) {
            return Err(EmbedError::NotAnEncoder(format!("its input {unknown} is none that a tokenizer fills")));
        }
        let output = signature.outputs.iter().position(|spec| spec.name == "last_hidden_state").unwrap_or(0);
        let mut embedder = Self { model, tokenizer, output, dimension: 0 };
        embedder.dimension = embedder.embed_one("probe")?.len();
        Ok(embedder)
    }

    /// The inputs and outputs of the graph.
    pub fn signature(&self) -> &Signature {
        self.model.signature()
    }

    /// The length of every vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The token ids of a text, begin and end marks included, cut to the set length.
    ///
    /// # Errors
    /// [`EmbedError::Tokenizer`].
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, EmbedError> {
        let encoding = self.tokenizer.encode_fast(text, true);
        Ok(encoding.map_err(|error| EmbedError::Tokenizer(error.to_string()))?.get_ids().to_vec())
    }

    /// One vector of unit length for each text, in the same order. Each text runs alone, without padding, so its vector
    /// depends neither on its neighbours nor on the number of threads.
    ///
    /// # Errors
    /// [`EmbedError::TextTooLong`], [`EmbedError::Tokenizer`], [`EmbedError::Onnx`].
    pub fn embed<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let too_long = texts.iter().map(|text| text.as_ref().len()).enumerate();
        if let Some((index, found)) = too_long.into_iter().find(|&(_, bytes)| bytes > MAX_EMBEDDED_TEXT_BYTES) {
            return Err(EmbedError::TextTooLong { index, found });
        }
        texts.par_iter().map(|text| self.embed_one(text.as_ref())).collect()
    }

    fn embed_one(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let ids = self.token_ids(text)?;
        let inputs = self.model.signature().inputs.iter().map(|spec| token_input(spec, &ids));
        let outputs = self.model.run(&inputs.collect::<Result<Vec<_>, _>>()?)?;
        let hidden = outputs.get(self.output).map(|output| &output.tensor);
        match hidden.map(|tensor| (tensor.shape(), tensor.as_f32())) {
            Some((&[1, tokens, dimension], Some(values))) if tokens == ids.len() && dimension > 0 => {
                Ok(unit_length(mean_of_rows(values, dimension)))
            }
            other => Err(EmbedError::NotAnEncoder(format!(
                "for {} tokens it gave {:?} instead of f32[1, {}, dimension]",
                ids.len(),
                other.map(|(shape, _)| shape),
                ids.len()
            ))),
        }
    }
}

/// The similarity of two vectors of unit length: their cosine, -1 to 1. Vectors of different lengths are not comparable
/// and give `None`.
pub fn similarity(left: &[f32], right: &[f32]) -> Option<f32> {
    (left.len() == right.len()).then(|| left.iter().zip(right).map(|(a, b)| a * b).sum())
}

/// What the tokenizer puts into an input.
#[derive(Clone, Copy)]
enum Role {
    Ids,
    Mask,
    Segments,
}

impl Role {
    fn of(spec: &TensorSpec) -> Option<Self> {
        let takes_tokens = matches!(spec.element_type, ElementType::I64 | ElementType::I32)
            && spec.dims.as_deref().is_some_and(|dims| matches!(dims, [_, Dim::Free(_)]));
        match spec.name.as_str() {
            _ if !takes_tokens => None,
            "input_ids" => Some(Role::Ids),
            "attention_mask" => Some(Role::Mask),
            "token_type_ids" => Some(Role::Segments),
            _ => None,
        }
    }
}

fn token_input(spec: &TensorSpec, ids: &[u32]) -> Result<NamedTensor, EmbedError> {
    let values: Vec<i64> = match Role::of(spec) {
        Some(Role::Ids) => ids.iter().map(|&id| i64::from(id)).collect(),
        // A text runs alone, so no token is padding; and it is one text, so it has one segment.
        Some(Role::Mask) => vec![1; ids.len()],
        Some(Role::Segments) => vec![0; ids.len()],
        None => return Err(EmbedError::NotAnEncoder(format!("its input {spec} is none that a tokenizer fills"))),
    };
    let data = match spec.element_type {
        // Vocabularies have far fewer than 2³¹ entries, and the other values are 0 and 1.
        ElementType::I32 => TensorData::I32(values.iter().map(|&value| value as i32).collect()),
        _ => TensorData::I64(values),
    };
    Ok(NamedTensor::new(&spec.name, Tensor::new(vec![1, ids.len()], data)?))
}

/// The mean over tokens, all of which count; summed in f64 so that long texts lose nothing.
fn mean_of_rows(values: &[f32], dimension: usize) -> Vec<f64> {
    let mut sums = vec![0.0; dimension];
    for row in values.chunks_exact(dimension) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    let rows = (values.len() / dimension) as f64;
    sums.iter_mut().for_each(|sum| *sum /= rows);
    sums
}

/// Scales to length 1; a zero vector stays zero.
fn unit_length(vector: Vec<f64>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.into_iter().map(|value| (value * scale) as f32).collect()
}
