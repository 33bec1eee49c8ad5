//! A list of named files as one artifact, such as an ONNX graph with its tokenizer; no compression.

use serde::{Deserialize, Serialize};

/// What the bytes of every bundle begin with.
const MAGIC: &[u8; 8] = b"dhowbnd1";
/// The most files of one bundle.
pub const MAX_BUNDLE_FILES: usize = 64;

/// Why bytes are not a bundle, or a bundle lacks something.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The bytes are no bundle, or were cut or changed.
    #[error("the artifact is no bundle of files: {0}")]
    NotABundle(String),
    /// More files than [`MAX_BUNDLE_FILES`], two of one name, or a name that is empty.
    #[error("the bundle's files cannot be named so: {0}")]
    Names(String),
    /// A file that the reader needs is not inside.
    #[error("the bundle holds no file `{wanted}`; it holds {found}")]
    Missing {
        /// The wanted file.
        wanted: String,
        /// The names of what is inside.
        found: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct BundledFile {
    name: String,
    bytes: Vec<u8>,
}

/// Files by name, in the order in which they were added; names are unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: Vec<BundledFile>,
}

impl Bundle {
    /// An empty bundle.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`BundleError::Names`]: an empty or repeated name, or the bundle is full.
    pub fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), BundleError> {
        if name.is_empty() || self.names().any(|known| known == name) {
            return Err(BundleError::Names(format!("`{name}` is empty or already there")));
        }
        if self.files.len() == MAX_BUNDLE_FILES {
            return Err(BundleError::Names(format!("`{name}` would be more than the {MAX_BUNDLE_FILES} allowed")));
        }
        self.files.push(BundledFile { name: name.to_owned(), bytes });
        Ok(())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// [`BundleError::Missing`].
    pub fn get(&self, name: &str) -> Result<&[u8], BundleError> {
        match self.files.iter().find(|file| file.name == name) {
            Some(file) => Ok(&file.bytes),
            None => Err(BundleError::Missing {
                wanted: name.to_owned(),
                found: self.names().collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// The bytes to register; the same files in the same order always give the same bytes.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] if encoding fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        postcard::to_extend(&self.files, MAGIC.to_vec()).map_err(|error| BundleError::NotABundle(error.to_string()))
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`BundleError::NotABundle`] or [`BundleError::Names`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BundleError> {
        let not_a_bundle = |what: &str| BundleError::NotABundle(what.to_owned());
        let body = bytes.strip_prefix(MAGIC).ok_or_else(|| not_a_bundle("it does not begin with `dhowbnd1`"))?;
        let (files, rest): (Vec<BundledFile>, _) =
            postcard::take_from_bytes(body).map_err(|error| not_a_bundle(&error.to_string()))?;
        if !rest.is_empty() {
            return Err(not_a_bundle(&format!("{} bytes follow its last file", rest.len())));
        }
        let mut bundle = Self::new();
        for file in files {
            bundle.add(&file.name, file.bytes)?;
        }
        Ok(bundle)
    }
}
