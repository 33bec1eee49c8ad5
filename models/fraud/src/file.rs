//! The file form that every fraud model shares: magic, version, checksum, content; what the content means is the model's affair.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::boosted::{self, BoostedFraud};
use crate::model::{self, FraudModel};
use crate::scorer::FraudScorer;

/// The format's version; raised with every change of a layout.
const VERSION: u8 = 2;
const MAGIC_LEN: usize = 8;
const HASH_LEN: usize = 32;
const HEADER_LEN: usize = MAGIC_LEN + 1 + HASH_LEN;
/// Bound on a model file.
const MAX_FILE_BYTES: usize = 64 << 20;

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelFileError {
    /// The file does not begin as the wanted fraud model does.
    #[error("this is not a Dhow fraud model of the wanted kind: it does not begin with `{wanted}`")]
    Foreign {
        /// What its first eight bytes should be.
        wanted: &'static str,
    },
    /// Another version wrote it.
    #[error("the fraud model has format version {found}, this program reads version {VERSION}; train it again")]
    Version {
        /// The file's version.
        found: u8,
    },
    /// The file ends too early or was changed.
    #[error("the fraud model is truncated or damaged: {bytes} bytes whose checksum does not match")]
    Damaged {
        /// Length of the file.
        bytes: usize,
    },
    /// The file is larger than any model.
    #[error("{bytes} bytes are more than a fraud model can have ({MAX_FILE_BYTES})")]
    TooLarge {
        /// Length of the file.
        bytes: usize,
    },
    /// The content contradicts itself or cannot be decoded.
    #[error("the fraud model's content is unsound: {0}")]
    Unsound(String),
}

/// Reads the file of any fraud model, linear or boosted, as its first bytes say.
///
/// # Errors
/// [`ModelFileError`]: a foreign file, another version, a damaged or unsound one.
pub fn read_scorer(bytes: &[u8]) -> Result<Arc<dyn FraudScorer>, ModelFileError> {
    if bytes.starts_with(boosted::MAGIC.as_bytes()) {
        return Ok(Arc::new(BoostedFraud::from_bytes(bytes)?));
    }
    if bytes.starts_with(model::MAGIC.as_bytes()) {
        return Ok(Arc::new(FraudModel::from_bytes(bytes)?));
    }
    Err(ModelFileError::Foreign { wanted: "DHOWFRBT` or `DHOWFRML" })
}

/// The file form of `content`; the same content gives the same bytes on every machine.
pub(crate) fn write(magic: &'static str, content: &impl Serialize) -> Result<Vec<u8>, ModelFileError> {
    let content = postcard::to_stdvec(content).map_err(unsound)?;
    let mut bytes = Vec::with_capacity(HEADER_LEN + content.len());
    bytes.extend_from_slice(magic.as_bytes());
    bytes.push(VERSION);
    bytes.extend_from_slice(blake3::hash(&content).as_bytes());
    bytes.extend_from_slice(&content);
    Ok(bytes)
}

/// The content of a file that begins with `magic`.
pub(crate) fn read<T: DeserializeOwned>(magic: &'static str, bytes: &[u8]) -> Result<T, ModelFileError> {
    let damaged = ModelFileError::Damaged { bytes: bytes.len() };
    if bytes.len() > MAX_FILE_BYTES {
        return Err(ModelFileError::TooLarge { bytes: bytes.len() });
    }
    let rest = bytes.strip_prefix(magic.as_bytes()).ok_or(ModelFileError::Foreign { wanted: magic })?;
    let (&version, rest) = rest.split_first().ok_or(damaged.clone())?;
    if version != VERSION {
        return Err(ModelFileError::Version { found: version });
    }
    let (hash, content) = rest.split_at_checked(HASH_LEN).ok_or(damaged.clone())?;
    if blake3::hash(content).as_bytes() != hash {
        return Err(damaged);
    }
    postcard::from_bytes(content).map_err(unsound)
}

pub(crate) fn unsound(problem: impl ToString) -> ModelFileError {
    ModelFileError::Unsound(problem.to_string())
}
