//! A lake in an object store: S3 and what speaks its protocol, or memory; of two writers the store itself lets one win.

use std::fmt::{self, Debug};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use dhow_streams::checkpoint::{seal, unseal};
use futures::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::client::SpawnedReqwestConnector;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig, UpdateVersion};
use tokio::runtime::{Handle, Runtime};

use crate::OfflineError;
use crate::lake::storage::{LakeStorage, MANIFEST, ManifestTag, WriterLock};

/// A request that fails is tried again this often …
const REQUEST_RETRIES_MAX: usize = 5;
/// … and for so long at most.
const REQUEST_RETRY_TIME_MAX: Duration = Duration::from_secs(30);

/// How to reach an S3-compatible store. What is not set here comes from the usual variables `AWS_ENDPOINT_URL`,
/// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and their like.
#[derive(Clone, Default)]
pub struct S3Settings {
    /// The server's URL where it is not Amazon's; `http://` only if it is written here.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The key's name.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<String>,
}

impl Debug for S3Settings {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, .. } = self;
        f.debug_struct("S3Settings").field("endpoint", endpoint).field("region", region).finish_non_exhaustive()
    }
}

/// A lake in an object store.
///
/// The manifest is created with `If-None-Match: *` and replaced with `If-Match: <its tag>`, so a writer that has not
/// seen the last manifest cannot replace it.
#[derive(Debug)]
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    location: String,
    threads: IoThreads,
}

impl ObjectStorage {
    /// The lake at `url`, which is `s3://bucket` or `s3://bucket/prefix`. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// No bucket in the URL, or settings that no client can be made of.
    pub fn s3(url: &str, settings: &S3Settings) -> Result<Self, OfflineError> {
        let refused = |reason: String| OfflineError::Storage { place: url.to_owned(), reason };
        let (bucket, prefix) = match url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            Some((bucket, prefix)) if !bucket.is_empty() => (bucket, prefix),
            _ => return Err(refused("an object store's URL is s3://bucket or s3://bucket/prefix".to_owned())),
        };
        let threads = IoThreads::start().map_err(|e| refused(e.to_string()))?;
        let retry = RetryConfig {
            max_retries: REQUEST_RETRIES_MAX,
            retry_timeout: REQUEST_RETRY_TIME_MAX,
            ..RetryConfig::default()
        };
        // Connections live on threads of their own: a query's threads end with the query.
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(retry)
            .with_http_connector(SpawnedReqwestConnector::new(threads.handle.clone()));
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let Some(id) = &settings.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(key) = &settings.secret_access_key {
            builder = builder.with_secret_access_key(key);
        }
        let store = builder.build().map_err(|e| refused(e.to_string()))?;
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(|e| refused(e.to_string()))?;
        let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store, prefix));
        Ok(Self { store, location: url.trim_end_matches('/').to_owned(), threads })
    }

    /// An empty lake in memory, which ends with this value and its clones.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn memory() -> Result<Self, OfflineError> {
        let location = "memory".to_owned();
        let threads =
            IoThreads::start().map_err(|e| OfflineError::Storage { place: location.clone(), reason: e.to_string() })?;
        Ok(Self { store: Arc::new(InMemory::new()), location, threads })
    }

    /// Runs requests to their end, from any thread, whether or not it belongs to an asynchronous runtime.
    fn wait<T, F>(&self, path: &str, request: impl FnOnce(Arc<dyn ObjectStore>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        let request = request(self.store.clone());
        let work = async move {
            // The receiver waits below, so sending cannot fail.
            let _waiting = sender.send(request.await);
        };
        self.threads.handle.spawn(work);
        let ended = || Error::Generic { store: "lake", source: format!("{path}: its request was dropped").into() };
        receiver.recv().map_err(|_| ended())?
    }

    fn refused(&self, path: &str) -> impl FnOnce(Error) -> OfflineError {
        let place = format!("{}/{path}", self.location);
        move |error| OfflineError::Storage { place, reason: with_causes(&error) }
    }
}

/// An error with what it comes from: the outermost seldom says that nobody listens at the endpoint.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

impl LakeStorage for ObjectStorage {
    fn location(&self) -> &str {
        &self.location
    }

    fn lock(&self) -> Result<WriterLock, OfflineError> {
        // There is no lock in an object store: the manifest's tag decides between writers.
        Ok(WriterLock::default())
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, OfflineError> {
        let at = Path::from(path);
        match self.wait(path, |store| async move { store.get(&at).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused(path)(error)),
        }
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> Result<(), OfflineError> {
        let at = Path::from(path);
        let put = self.wait(path, |store| async move { store.put(&at, bytes.into()).await });
        put.map(|_| ()).map_err(self.refused(path))
    }

    fn remove(&self, path: &str) -> Result<(), OfflineError> {
        let at = Path::from(path);
        match self.wait(path, |store| async move { store.delete(&at).await }) {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.refused(path)(error)),
        }
    }

    fn list(&self) -> Result<Vec<String>, OfflineError> {
        let objects = self.wait("", |store| async move { store.list(None).try_collect::<Vec<_>>().await });
        let paths = objects.map_err(self.refused(""))?.into_iter().map(|object| object.location.to_string());
        Ok(paths.filter(|path| path != MANIFEST).collect())
    }

    fn read_manifest(&self) -> Result<Option<(Vec<u8>, ManifestTag)>, OfflineError> {
        let get = |store: Arc<dyn ObjectStore>| async move {
            let found = store.get(&Path::from(MANIFEST)).await?;
            let tag = ManifestTag { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?, tag))
        };
        match self.wait(MANIFEST, get) {
            Ok((bytes, tag)) => {
                let place = format!("{}/{MANIFEST}", self.location);
                Ok(Some((unseal(FilePath::new(&place), bytes.into())?, tag)))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.refused(MANIFEST)(error)),
        }
    }

    fn replace_manifest(&self, content: &[u8], expected: Option<&ManifestTag>) -> Result<ManifestTag, OfflineError> {
        let mode = match expected {
            None => PutMode::Create,
            Some(tag) => PutMode::Update(UpdateVersion { e_tag: tag.e_tag.clone(), version: tag.version.clone() }),
        };
        let (bytes, options) = (seal(content), PutOptions::from(mode));
        let put = |store: Arc<dyn ObjectStore>| async move {
            store.put_opts(&Path::from(MANIFEST), bytes.into(), options).await
        };
        match self.wait(MANIFEST, put) {
            Ok(put) => Ok(ManifestTag { e_tag: put.e_tag, version: put.version }),
            Err(Error::Precondition { .. } | Error::AlreadyExists { .. }) => Err(OfflineError::OtherWriter {
                place: self.location.clone(),
                reason: format!("its {MANIFEST} is no longer the one that this writer has read or written"),
            }),
            Err(error) => Err(self.refused(MANIFEST)(error)),
        }
    }

    fn objects(&self) -> Result<Arc<dyn ObjectStore>, OfflineError> {
        Ok(self.store.clone())
    }
}

/// The threads that requests run on. They are told to end, and not waited for, when the storage is dropped, because that
/// may happen where nothing may wait.
#[derive(Debug)]
struct IoThreads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl IoThreads {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("lake-io")
            .enable_all()
            .build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for IoThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
