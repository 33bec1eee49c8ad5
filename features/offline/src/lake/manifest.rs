//! The one file that says what a lake consists of, replaced as a whole in one step; it reads and writes no tables.

use std::path::PathBuf;

use arrow::datatypes::Schema;
use dhow_events::{FactKind, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::OfflineError;
use crate::lake::evolution::{FileColumn, file_columns};
use crate::lake::storage::{LakeStorage, MANIFEST, ManifestTag};

/// The version of the format that this program reads and writes.
const VERSION: u32 = 2;

/// One file of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LakeFile {
    /// Whose.
    pub tenant: TenantId,
    /// Of which kind.
    pub kind: FactKind,
    /// Where, relative to the lake, with `/` between the parts.
    pub path: String,
    /// How many rows.
    pub row_count: u64,
    /// How large it is.
    pub byte_count: u64,
    /// The earliest event time of its rows.
    #[serde(with = "micros")]
    pub event_time_min: Timestamp,
    /// The latest event time of its rows.
    #[serde(with = "micros")]
    pub event_time_max: Timestamp,
    /// Which of the manifest's lists of columns it has.
    pub(crate) columns: usize,
}

/// A file that is no part of the lake any more and is kept for readers that opened the lake before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RetiredFile {
    pub path: String,
    #[serde(with = "micros")]
    pub retired_at: Timestamp,
}

/// Times as microseconds: an event may lie outside of the years that have a date.
mod micros {
    use dhow_events::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.micros())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp::from_micros)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub version: u32,
    /// How many writers have opened the lake; a part of the names of the files that one writes.
    pub writer: u64,
    /// The next offset to read, for each partition.
    pub offsets: Vec<u64>,
    pub duplicate_count: u64,
    /// The lists of columns that files have.
    pub columns: Vec<Vec<FileColumn>>,
    pub files: Vec<LakeFile>,
    pub retired: Vec<RetiredFile>,
    /// The file with the recent ids, if there is one.
    pub recent_ids: Option<String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            version: VERSION,
            writer: 0,
            offsets: Vec::new(),
            duplicate_count: 0,
            columns: Vec::new(),
            files: Vec::new(),
            retired: Vec::new(),
            recent_ids: None,
        }
    }
}

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Manifest {
    /// Reads the manifest with its tag; a place without one is an empty lake.
    pub fn read(storage: &dyn LakeStorage) -> Result<(Self, Option<ManifestTag>), OfflineError> {
        let Some((bytes, tag)) = storage.read_manifest()? else {
            return Ok((Self::default(), None));
        };
        let path = || PathBuf::from(format!("{}/{MANIFEST}", storage.location()));
        let damaged = |e: serde_json::Error| OfflineError::Manifest { path: path(), reason: e.to_string() };
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if version != VERSION {
            return Err(OfflineError::ManifestVersion { path: path(), found: version, known: VERSION });
        }
        Ok((serde_json::from_slice(&bytes).map_err(damaged)?, Some(tag)))
    }

    /// Puts this manifest in the place of the one with the tag `expected`.
    pub fn write(
        &self,
        storage: &dyn LakeStorage,
        expected: Option<&ManifestTag>,
    ) -> Result<ManifestTag, OfflineError> {
        let bytes = serde_json::to_vec_pretty(self).map_err(|e| OfflineError::Manifest {
            path: PathBuf::from(format!("{}/{MANIFEST}", storage.location())),
            reason: e.to_string(),
        })?;
        storage.replace_manifest(&bytes, expected)
    }

    /// The number of the list of columns of `schema`, which is added where it is new.
    pub fn columns_of(&mut self, schema: &Schema) -> usize {
        let columns = file_columns(schema);
        self.columns.iter().position(|known| *known == columns).unwrap_or_else(|| {
            self.columns.push(columns);
            self.columns.len() - 1
        })
    }

    /// The files of one table, in the order of the manifest.
    pub fn table(&self, tenant: &TenantId, kind: FactKind) -> impl Iterator<Item = &LakeFile> {
        self.files.iter().filter(move |file| file.tenant == *tenant && file.kind == kind)
    }

    /// The paths of all files that must not be removed.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|file| file.path.as_str());
        files.chain(self.retired.iter().map(|file| file.path.as_str())).chain(self.recent_ids.as_deref())
    }
}
