//! The registry's folder on disk: its lock, and files that appear whole or not at all; it knows nothing of models.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dhow_events::Timestamp;

use crate::error::RegistryError;

/// How long a process sleeps between two tries to take the lock, in milliseconds.
const LOCK_RETRY_MS: u64 = 10;
/// How long a process tries to take the lock, in seconds.
const LOCK_PATIENCE_S: u64 = 30;

/// Turns the system's error into the registry's, with what was tried and where.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.to_owned();
    move |source| RegistryError::Io { action, path, source }
}

/// Who may hold the lock at the same time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Any number of readers.
    Read,
    /// One writer and nobody else.
    Write,
}

/// The held lock; released when it is dropped, and by the system when the process dies.
pub(crate) struct Lock {
    _file: File,
}

/// A folder with a lock file.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder, its `subfolders` and its lock file where they are missing.
    pub(crate) fn open(path: &Path, subfolders: &[&str]) -> Result<Self, RegistryError> {
        let folder = Self { path: path.to_owned() };
        for subfolder in subfolders {
            let path = folder.path(subfolder);
            fs::create_dir_all(&path).map_err(io_error("making the folder", &path))?;
        }
        sync_folder(path)?;
        Ok(folder)
    }

    /// The path of something inside.
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.path.join(inside)
    }

    /// Waits for the lock, with a bound.
    pub(crate) fn lock(&self, access: Access) -> Result<Lock, RegistryError> {
        let path = self.path("lock");
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path).map_err(io_error("opening", &path))?;
        for _ in 0..LOCK_PATIENCE_S * 1_000 / LOCK_RETRY_MS {
            let outcome = match access {
                Access::Read => file.try_lock_shared(),
                Access::Write => file.try_lock(),
            };
            match outcome {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(LOCK_RETRY_MS)),
                Err(TryLockError::Error(error)) => return Err(io_error("locking", &path)(error)),
            }
        }
        Err(RegistryError::Busy { path, waited_s: LOCK_PATIENCE_S })
    }

    /// Writes a file so that a reader, or whoever comes after a crash, finds all of it or none. An existing file of the
    /// same name is replaced.
    ///
    /// The one temporary file needs the lock; what a killed writer left in it is overwritten by the next.
    pub(crate) fn write_whole(&self, _held: &Lock, inside: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        let temporary = self.path("incoming.tmp");
        let target = self.path(inside);
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&temporary, &target)
        };
        write().map_err(io_error("writing", &target))?;
        sync_folder(target.parent().unwrap_or(&self.path))
    }

    /// Cuts a file to `keep` bytes, appends `line` and waits until it is on the disk. Makes the file if it is missing.
    pub(crate) fn append(&self, _held: &Lock, inside: &str, keep: u64, line: &str) -> Result<(), RegistryError> {
        let path = self.path(inside);
        let append = || {
            let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
            file.set_len(keep)?;
            file.write_all(line.as_bytes())?;
            file.sync_all()
        };
        append().map_err(io_error("appending to", &path))?;
        sync_folder(&self.path)
    }

    /// A file's length; 0 where there is none.
    pub(crate) fn length(&self, inside: impl AsRef<Path>) -> Result<u64, RegistryError> {
        let path = self.path(inside);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(io_error("looking at", &path)(error)),
        }
    }

    /// The names of what is in a subfolder, in order.
    pub(crate) fn names(&self, inside: &str) -> Result<Vec<String>, RegistryError> {
        let path = self.path(inside);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(io_error("listing", &path))? {
            names.push(entry.map_err(io_error("listing", &path))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// When a file was written last, by the clock of the machine that holds it.
    pub(crate) fn written_at(&self, inside: impl AsRef<Path>) -> Result<Timestamp, RegistryError> {
        let path = self.path(inside);
        let metadata = fs::metadata(&path).map_err(io_error("looking at", &path))?;
        Ok(Timestamp::from_micros(metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1_000))
    }

    /// Moves a file; returns when that is on the disk. One of the same name is replaced.
    pub(crate) fn rename(&self, _held: &Lock, from: &Path, to: &Path) -> Result<(), RegistryError> {
        let (from, to) = (self.path(from), self.path(to));
        fs::rename(&from, &to).map_err(io_error("moving", &from))?;
        // The new name first: a file of two names is found, one of none is lost.
        sync_folder(to.parent().unwrap_or(&self.path))?;
        sync_folder(from.parent().unwrap_or(&self.path))
    }

    /// Removes a file, where it is there.
    pub(crate) fn remove(&self, _held: &Lock, inside: &Path) -> Result<(), RegistryError> {
        let path = self.path(inside);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("removing", &path)(error)),
            _ => sync_folder(path.parent().unwrap_or(&self.path)),
        }
    }

    /// A file's bytes, or `None` where there is none.
    pub(crate) fn read(&self, inside: impl AsRef<Path>) -> Result<Option<Vec<u8>>, RegistryError> {
        let path = self.path(inside);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("reading", &path)(error)),
        }
    }
}

/// Makes the folder's own entries durable: a renamed or new file is otherwise lost with the folder's old state.
fn sync_folder(path: &Path) -> Result<(), RegistryError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(io_error("syncing", path))
}
