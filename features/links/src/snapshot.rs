//! The index as bytes and back; writing them to a disk, and checking that they came back whole, is the caller's.

use crate::LinkIndex;

/// The format that [`LinkIndex::snapshot`] writes; it stands in the first byte.
const VERSION: u8 = 1;

/// Why bytes could not be made, or are no index.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Another version of the program wrote it.
    #[error(
        "the snapshot of links has format version {found}; this program reads version {VERSION}; remove it to build the links anew from the log"
    )]
    Version {
        /// The version found.
        found: u8,
    },
    /// It is no snapshot of links, or a damaged one.
    #[error("not a snapshot of links, or a damaged one: {0}; remove it to build the links anew from the log")]
    Malformed(String),
}

impl From<postcard::Error> for SnapshotError {
    fn from(error: postcard::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl LinkIndex {
    /// All of it as bytes; the same index always gives the same.
    ///
    /// # Errors
    /// The encoder refuses, which it does not of what an index holds.
    pub fn snapshot(&self) -> Result<Vec<u8>, SnapshotError> {
        Ok(postcard::to_extend(self, vec![VERSION])?)
    }

    /// The index that [`LinkIndex::snapshot`] gave these bytes of, with the settings that it had.
    ///
    /// # Errors
    /// Another format version, or bytes that are no index, too short, or do not fit together.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let Some((version, body)) = bytes.split_first() else {
            return Err(SnapshotError::Malformed("it is empty".to_owned()));
        };
        if *version != VERSION {
            return Err(SnapshotError::Version { found: *version });
        }
        let (mut index, rest): (Self, &[u8]) = postcard::take_from_bytes(body)?;
        if !rest.is_empty() {
            return Err(SnapshotError::Malformed(format!("{} bytes follow its end", rest.len())));
        }
        index.rebuild().map_err(|problem| SnapshotError::Malformed(problem.to_owned()))?;
        Ok(index)
    }
}
