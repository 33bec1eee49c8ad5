//! Checked files that are replaced as a whole: the old content or the new one is there, never a mixture; what it means is the caller's.
//!
//! A file is the magic [`MAGIC`], the format version (u32), the content's length (u64), its crc32 (u32), all
//! little-endian, and the content.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a checked file begins with.
pub const MAGIC: [u8; 8] = *b"DHOWCHKP";
/// The format version that [`write_atomically`] writes.
pub const VERSION: u32 = 1;
const HEAD_BYTES: usize = 24;

/// Why a checked file could not be written or read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// Not such a file, or not what was written.
    #[error(
        "{path} is damaged: {reason}; restore it from a copy (a worker's checkpoint can also be removed: it is then built anew from the log)"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Written by another version of the program.
    #[error("{path} has format version {found}; this program reads version {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
}

impl CheckpointError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// Replaces the file at `path` by one that holds `bytes`; it is on disk when this returns. One writer at a time.
///
/// # Errors
/// The system's refusal; the old file is then still there.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    replace_file(path, &[&head(bytes), bytes])
}

/// A checked file's bytes with `content` in them, for whoever keeps it elsewhere than in a folder.
pub fn seal(content: &[u8]) -> Vec<u8> {
    [&head(content), content].concat()
}

fn head(content: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    head[12..20].copy_from_slice(&(content.len() as u64).to_le_bytes());
    head[20..].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    head
}

/// The content that [`write_atomically`] wrote, or nothing where there is no file.
///
/// # Errors
/// The system's refusal, a foreign or damaged file, or one of another version.
pub fn read_checked(path: &Path) -> Result<Option<Vec<u8>>, CheckpointError> {
    match fs::read(path) {
        Ok(bytes) => unseal(path, bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CheckpointError::io("cannot read", path)(error)),
    }
}

/// The content of a checked file's bytes; `path` is where they come from, for the error.
///
/// # Errors
/// Foreign or damaged bytes, or those of another version.
pub fn unseal(path: &Path, mut bytes: Vec<u8>) -> Result<Vec<u8>, CheckpointError> {
    let Some((head, content)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return Err(CheckpointError::damaged(path, format!("it has {} bytes, fewer than a head takes", bytes.len())));
    };
    let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, v2, v3, l0, l1, l2, l3, l4, l5, l6, l7, crc @ ..] = *head;
    if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
        return Err(CheckpointError::damaged(path, "it does not begin as a checkpoint does"));
    }
    let found = u32::from_le_bytes([v0, v1, v2, v3]);
    if found != VERSION {
        return Err(CheckpointError::Version { path: path.to_owned(), found });
    }
    let length = u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
    if length != content.len() as u64 {
        let reason = format!("it should hold {length} bytes and holds {}", content.len());
        return Err(CheckpointError::damaged(path, reason));
    }
    if crc32fast::hash(content) != u32::from_le_bytes(crc) {
        return Err(CheckpointError::damaged(path, "its checksum is wrong"));
    }
    bytes.drain(..HEAD_BYTES);
    Ok(bytes)
}

/// What a file is called while it is being written.
pub(crate) const UNFINISHED_SUFFIX: &str = "unfinished";

/// What is synced at once of a large file: a commit of the database on the same disk waits behind no more than this.
const STEP_BYTES: usize = 512 << 10;

/// Writes `bytes` so that other writers of the disk hardly wait: a part is on it before the next is handed over. What is left
/// when this returns is for the caller to sync.
///
/// # Errors
/// The system's refusal to write or to sync.
pub fn write_in_steps(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let mut steps = bytes.chunks(STEP_BYTES).peekable();
    while let Some(step) = steps.next() {
        file.write_all(step)?;
        if steps.peek().is_some() {
            file.sync_data()?;
        }
    }
    Ok(())
}

/// Writes `parts` beside `path`, syncs them, and moves them to `path`.
pub(crate) fn replace_file(path: &Path, parts: &[&[u8]]) -> Result<(), CheckpointError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".");
    unfinished.push(UNFINISHED_SUFFIX);
    let unfinished = PathBuf::from(unfinished);
    let mut file = File::create(&unfinished).map_err(CheckpointError::io("cannot create", &unfinished))?;
    for part in parts {
        write_in_steps(&mut file, part).map_err(CheckpointError::io("cannot write", &unfinished))?;
    }
    file.sync_all().map_err(CheckpointError::io("cannot sync", &unfinished))?;
    fs::rename(&unfinished, path).map_err(CheckpointError::io("cannot move a new file to", path))?;
    sync_parent(path)
}

/// Creates the folder at `path` with its parents, and syncs the entry in its parent.
pub(crate) fn create_folder(path: &Path) -> Result<(), CheckpointError> {
    fs::create_dir_all(path).map_err(CheckpointError::io("cannot create the folder", path))?;
    sync_parent(path)
}

/// A new or moved entry survives a power cut only after its folder is synced.
pub(crate) fn sync_parent(path: &Path) -> Result<(), CheckpointError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let sync = File::open(parent).and_then(|folder| folder.sync_all());
    sync.map_err(CheckpointError::io("cannot sync the folder", parent))
}
