//! Where a lake's files are: what any place must promise, and the local folder; object stores stand in the file beside.

use std::fmt::Debug;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_streams::checkpoint::{read_checked, write_atomically, write_in_steps};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use crate::OfflineError;
use crate::lake::object_storage::{ObjectStorage, S3Settings};

/// The name of the one file that says which files the lake consists of.
pub(crate) const MANIFEST: &str = "manifest.dhow";
/// The file whose lock a folder's writer holds.
const LOCK: &str = "writer.lock";

/// A place that holds a lake. Paths are relative to the lake and have `/` between their parts.
///
/// A file is written once and never changed; only the manifest is replaced, as a whole, and of two writers that replace
/// the same manifest one fails.
pub trait LakeStorage: Send + Sync + Debug {
    /// The place, for messages.
    fn location(&self) -> &str;

    /// Keeps other writers of this machine out for as long as the lock lives, where the place can do that.
    ///
    /// # Errors
    /// Another writer is at work.
    fn lock(&self) -> Result<WriterLock, OfflineError>;

    /// A file's content; nothing where there is no such file.
    ///
    /// # Errors
    /// The place cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OfflineError>;

    /// Writes a new file; it is durable when this returns.
    ///
    /// # Errors
    /// The place cannot be written.
    fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), OfflineError>;

    /// Removes a file; one that is gone already counts as removed.
    ///
    /// # Errors
    /// The place cannot be written.
    fn remove(&self, path: &str) -> Result<(), OfflineError>;

    /// The paths of all files but the manifest and the lock.
    ///
    /// # Errors
    /// The place cannot be read.
    fn list(&self) -> Result<Vec<String>, OfflineError>;

    /// The manifest's content and its tag; nothing where there is none.
    ///
    /// # Errors
    /// The place cannot be read, or the manifest is damaged.
    fn read_manifest(&self) -> Result<Option<(Vec<u8>, ManifestTag)>, OfflineError>;

    /// Replaces the manifest that has the tag `expected` (`None`: there is none yet) in one step.
    ///
    /// # Errors
    /// [`OfflineError::OtherWriter`] where it is no longer that manifest; or the place cannot be written.
    fn replace_manifest(&self, content: &[u8], expected: Option<&ManifestTag>) -> Result<ManifestTag, OfflineError>;

    /// The same files, as queries scan them.
    ///
    /// # Errors
    /// The place cannot be reached.
    fn objects(&self) -> Result<Arc<dyn ObjectStore>, OfflineError>;
}

/// Tells one state of a manifest from every other. Empty where a lock already keeps other writers out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ManifestTag {
    pub(crate) e_tag: Option<String>,
    pub(crate) version: Option<String>,
}

/// Keeps other writers out until it is dropped.
#[derive(Debug, Default)]
pub struct WriterLock(Option<File>);

impl Drop for WriterLock {
    /// Gives the lock up by name: closing the file alone would keep it while a process started meanwhile has a copy.
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(File::unlock) {
            tracing::warn!(%error, "could not unlock the lake; its lock ends with this process");
        }
    }
}

/// The lake at `url`: `s3://bucket/prefix`, or the path of a folder.
///
/// # Errors
/// Another scheme, no bucket, or settings that no S3 client can be made of.
pub fn lake_storage(url: &str, settings: &S3Settings) -> Result<Arc<dyn LakeStorage>, OfflineError> {
    match url.split_once("://") {
        None => Ok(Arc::new(FolderStorage::new(url))),
        Some(("file", path)) => Ok(Arc::new(FolderStorage::new(path))),
        Some(("s3", _)) => Ok(Arc::new(ObjectStorage::s3(url, settings)?)),
        Some((scheme, _)) => Err(OfflineError::Storage {
            place: url.to_owned(),
            reason: format!(
                "no lake can be kept at `{scheme}://`; known are s3://bucket/prefix and the path of a folder"
            ),
        }),
    }
}

/// A lake in a local folder.
#[derive(Debug)]
pub struct FolderStorage {
    folder: PathBuf,
    location: String,
}

impl FolderStorage {
    /// The lake in `folder`, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        Self { location: folder.display().to_string(), folder }
    }

    /// Creates the folders down to `folder` and makes their entries durable.
    fn create_folders(&self, folder: &Path) -> Result<(), OfflineError> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::create_dir_all(folder).map_err(|e| OfflineError::file(folder, e))?;
        folder.ancestors().skip(1).take_while(|above| above.starts_with(&self.folder)).try_for_each(sync_folder)
    }
}

fn sync_folder(folder: &Path) -> Result<(), OfflineError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| OfflineError::file(folder, e))
}

impl LakeStorage for FolderStorage {
    fn location(&self) -> &str {
        &self.location
    }

    fn lock(&self) -> Result<WriterLock, OfflineError> {
        self.create_folders(&self.folder)?;
        let path = self.folder.join(LOCK);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|e| OfflineError::file(&path, e))?;
        match file.try_lock() {
            Ok(()) => Ok(WriterLock(Some(file))),
            Err(TryLockError::WouldBlock) => Err(OfflineError::OtherWriter {
                place: self.location.clone(),
                reason: "it is being written by another process, which holds its lock".to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(OfflineError::file(path, error)),
        }
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OfflineError> {
        let path = self.folder.join(path);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OfflineError::file(path, error)),
        }
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), OfflineError> {
        let path = self.folder.join(path);
        let folder = path.parent().unwrap_or(&self.folder);
        self.create_folders(folder)?;
        let written =
            File::create(&path).and_then(|mut file| write_in_steps(&mut file, &bytes).and_then(|()| file.sync_all()));
        written.map_err(|e| OfflineError::file(&path, e))?;
        sync_folder(folder)
    }

    fn remove(&self, path: &str) -> Result<(), OfflineError> {
        let path = self.folder.join(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(OfflineError::file(path, error)),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<String>, OfflineError> {
        let (mut paths, mut folders) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(current) = folders.pop() {
            for entry in fs::read_dir(&current).map_err(|e| OfflineError::file(&current, e))? {
                let path = entry.map_err(|e| OfflineError::file(&current, e))?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let relative = path.strip_prefix(&self.folder).unwrap_or(&path);
                let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
                paths.push(parts.join("/"));
            }
        }
        paths.retain(|path| path != MANIFEST && path != LOCK);
        Ok(paths)
    }

    fn read_manifest(&self) -> Result<Option<(Vec<u8>, ManifestTag)>, OfflineError> {
        Ok(read_checked(&self.folder.join(MANIFEST))?.map(|content| (content, ManifestTag::default())))
    }

    fn replace_manifest(&self, content: &[u8], _expected: Option<&ManifestTag>) -> Result<ManifestTag, OfflineError> {
        write_atomically(&self.folder.join(MANIFEST), content)?;
        Ok(ManifestTag::default())
    }

    fn objects(&self) -> Result<Arc<dyn ObjectStore>, OfflineError> {
        let store = LocalFileSystem::new_with_prefix(&self.folder)
            .map_err(|e| OfflineError::Storage { place: self.location.clone(), reason: e.to_string() })?;
        Ok(Arc::new(store))
    }
}
