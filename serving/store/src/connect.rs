//! Connecting to a database by its URL, with named bounds; an absent database is an error that names it.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use dhow_commerce::StorageError;
use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, Connection, Executor};

use crate::feature_lists::KnownLists;
use crate::migrations;
use crate::rows::{Fields, storage_error};
use crate::{SecretKeys, WritePoints};

/// Bounds of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreSettings {
    /// The most connections to PostgreSQL, or the most that read from SQLite.
    pub connections_max: u32,
    /// How long a request waits for a connection before the database counts as unavailable.
    pub acquire_timeout: Duration,
    /// How long the first connection may take before the database counts as absent.
    pub connect_timeout: Duration,
    /// How long SQLite waits for another process that holds its lock.
    pub busy_timeout: Duration,
    /// The pages of SQLite's write-ahead file from which [`Store::checkpoint`] makes it begin again. Where nobody calls
    /// that, the commit that brings it to four times as many copies them.
    pub write_ahead_pages: u32,
}

impl Default for StoreSettings {
    /// 16 connections; 10, 5 and 5 seconds; 16,384 pages of 4 KiB.
    fn default() -> Self {
        Self {
            connections_max: 16,
            acquire_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            write_ahead_pages: 16_384,
        }
    }
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL is not one of a database that can be used.
    #[error(
        "`{url}` is not a database URL; it must be sqlite:///path/to/file.db or postgres://user@host/database: {why}"
    )]
    Url {
        /// The refused URL, without its password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database does not answer, or refuses us.
    #[error("cannot connect to {database}: {why}")]
    Connect {
        /// Which database, without its password.
        database: String,
        /// What it said.
        why: String,
    },
    /// Secrets are sealed with keys that are not there.
    #[error(
        "secrets in {database} are sealed with keys that are not configured: {keys}; name their files in \
         `secrets.key_files`, after the one that seals"
    )]
    SecretKeysMissing {
        /// Which database, without its password.
        database: String,
        /// The ids of the keys.
        keys: String,
    },
    /// Secrets could not be brought under the key in force.
    #[error("the secrets in {database} cannot be sealed: {why}")]
    Secrets {
        /// Which database, without its password.
        database: String,
        /// What went wrong.
        why: String,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema of {database} up to date: {why}")]
    Schema {
        /// Which database, without its password.
        database: String,
        /// What it said.
        why: String,
    },
}

/// The two databases that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl DatabaseKind {
    /// What locks the rows of a `SELECT` until the transaction ends; SQLite's one writer needs no lock.
    pub(crate) const fn row_lock(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// What keeps the rows of a `SELECT` as they are until the transaction ends, while others read them, too.
    pub(crate) const fn share_lock(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR SHARE",
        }
    }
}

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is on the disk when the commit returns.
    Synced,
    /// It outlives the process at once and a loss of power a moment later: for what is simply done again.
    Repeatable,
}

/// A connection that rested longer is asked for a sign of life before it is used: its server may have gone.
const IDLE_UNTESTED_MAX: Duration = Duration::from_secs(1);

/// A commerce database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Store {
    kind: DatabaseKind,
    pub(crate) database: String,
    readers: AnyPool,
    writers: AnyPool,
    settings: StoreSettings,
    points: Option<Arc<WritePoints>>,
    known_lists: Arc<KnownLists>,
    pub(crate) secret_keys: Arc<SecretKeys>,
}

/// The URL of the SQLite database in the file `path`.
pub fn sqlite_url(path: &Path) -> String {
    let text = path.to_string_lossy();
    let encoded = text.replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{encoded}")
}

impl Store {
    /// Connects to `url` and brings the schema up to date. A missing SQLite file is made.
    ///
    /// # Errors
    /// Not a database URL, no connection within the settings' time, or a schema of a newer or foreign program.
    pub async fn connect(url: &str, settings: StoreSettings) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let (kind, options) = parse(url)?;
        let database = describe(kind, &options);
        let first = first_connection(&options, &database, settings).await?;
        migrations::run(first, kind)
            .await
            .map_err(|error| StoreError::Schema { database: database.clone(), why: error.to_string() })?;
        let pool = |most: u32| {
            AnyPoolOptions::new()
                .max_connections(most)
                .acquire_timeout(settings.acquire_timeout)
                .test_before_acquire(false)
                .before_acquire(|connection, is| {
                    Box::pin(async move {
                        if is.idle_for > IDLE_UNTESTED_MAX {
                            // A connection that does not answer is replaced by a new one.
                            connection.ping().await?;
                        }
                        Ok(true)
                    })
                })
                .after_connect(move |connection, _| Box::pin(prepare(connection, kind, settings)))
        };
        let refused = |error: &sqlx::Error| StoreError::Connect { database: database.clone(), why: error.to_string() };
        let readers = pool(settings.connections_max).connect_lazy_with(options.clone());
        let writers = match kind {
            DatabaseKind::Sqlite => pool(1).idle_timeout(None).max_lifetime(None).connect_lazy_with(options),
            DatabaseKind::Postgres => readers.clone(),
        };
        if kind == DatabaseKind::Sqlite {
            // It works on a thread with the priority of whoever made it, which is not to be a task beside the requests.
            drop(writers.acquire().await.map_err(|error| refused(&error))?);
        }
        Ok(Self {
            kind,
            database,
            readers,
            writers,
            settings,
            points: None,
            known_lists: Arc::default(),
            secret_keys: Arc::default(),
        })
    }

    /// Copies what SQLite's transactions wrote ahead into the database's file, beside them, so that no commit has to,
    /// behind which all others wait. Call it several times a second where much is written; PostgreSQL does it by itself.
    ///
    /// # Errors
    /// The database's refusal; one that still reads an old state is none, its pages are copied by a later call.
    pub async fn checkpoint(&self) -> Result<(), StorageError> {
        if self.kind == DatabaseKind::Postgres {
            return Ok(());
        }
        let pages = checkpoint(&mut *self.reader().await?, "PASSIVE").await?;
        if pages >= i64::from(self.settings.write_ahead_pages) {
            // While transactions follow each other without a pause the file never ends; between two of them, what the
            // pass before left is little. Readers are not waited for.
            let mut writer = self.writers.acquire().await.map_err(storage_error)?;
            writer.execute("PRAGMA busy_timeout = 0").await.map_err(storage_error)?;
            let restarted = checkpoint(&mut writer, "RESTART").await;
            set_busy_timeout(&mut writer, self.settings.busy_timeout).await.map_err(storage_error)?;
            restarted?;
        }
        Ok(())
    }

    /// The same store, whose transactions pass `points`; for tests of what a process leaves behind that ends there.
    pub fn with_write_points(self, points: Arc<WritePoints>) -> Self {
        Self { points: Some(points), ..self }
    }

    pub(crate) fn points(&self) -> Option<Arc<WritePoints>> {
        self.points.clone()
    }

    /// Passes a write point where a test has set some.
    pub(crate) async fn pass(&self) {
        if let Some(points) = &self.points {
            points.pass().await;
        }
    }

    /// A connection that may write, outside any transaction.
    pub(crate) async fn writing_connection(&self) -> Result<PoolConnection<Any>, StorageError> {
        self.writers.acquire().await.map_err(storage_error)
    }

    pub(crate) fn known_lists(&self) -> Arc<KnownLists> {
        Arc::clone(&self.known_lists)
    }

    pub(crate) fn secret_keys(&self) -> Arc<SecretKeys> {
        Arc::clone(&self.secret_keys)
    }

    /// Which kind of database it is.
    pub const fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// The database in words, without its password.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// It gives none.
    pub async fn ping(&self) -> Result<(), StorageError> {
        sqlx::query("SELECT 1").execute(&mut *self.reader().await?).await.map_err(storage_error)?;
        Ok(())
    }

    /// Closes all connections, after those in use are given back.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }

    pub(crate) async fn reader(&self) -> Result<PoolConnection<Any>, StorageError> {
        self.readers.acquire().await.map_err(storage_error)
    }

    /// A connection whose statements all see the same state: what is read from several tables fits together, whatever
    /// is committed meanwhile.
    pub(crate) async fn snapshot(&self) -> Result<sqlx::Transaction<'static, Any>, StorageError> {
        let statement = match self.kind {
            DatabaseKind::Sqlite => "BEGIN",
            DatabaseKind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.readers.begin_with(statement).await.map_err(storage_error)
    }

    pub(crate) async fn writer(&self, durability: Durability) -> Result<sqlx::Transaction<'static, Any>, StorageError> {
        // SQLite's setting outlives a transaction, so each one says what it wants; a write lock must be taken at once,
        // since a reader that becomes a writer fails when another wrote meanwhile.
        let statement = match (self.kind, durability) {
            (DatabaseKind::Sqlite, Durability::Synced) => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            (DatabaseKind::Sqlite, Durability::Repeatable) => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
            (DatabaseKind::Postgres, Durability::Synced) => "BEGIN",
            (DatabaseKind::Postgres, Durability::Repeatable) => "BEGIN; SET LOCAL synchronous_commit = off",
        };
        self.writers.begin_with(statement).await.map_err(storage_error)
    }
}

fn parse(url: &str) -> Result<(DatabaseKind, AnyConnectOptions), StoreError> {
    let refuse = |why: &str| StoreError::Url { url: without_password(url), why: why.to_owned() };
    let mut options = AnyConnectOptions::from_str(url).map_err(|error| refuse(&error.to_string()))?;
    match options.database_url.scheme() {
        "sqlite" if url.contains(":memory:") => Err(refuse("each connection would have a memory of its own")),
        "sqlite" => {
            if !options.database_url.query().is_some_and(|query| query.contains("mode=")) {
                options.database_url.query_pairs_mut().append_pair("mode", "rwc");
            }
            Ok((DatabaseKind::Sqlite, options))
        }
        "postgres" | "postgresql" => Ok((DatabaseKind::Postgres, options)),
        _ => Err(refuse("its scheme is neither sqlite nor postgres")),
    }
}

/// The URL as it may be shown: what stands before `@` is left out.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

fn describe(kind: DatabaseKind, options: &AnyConnectOptions) -> String {
    let url = &options.database_url;
    match kind {
        DatabaseKind::Sqlite => format!("the SQLite file {}{}", url.host_str().unwrap_or_default(), url.path()),
        DatabaseKind::Postgres => {
            let host = url.host_str().filter(|host| !host.is_empty()).unwrap_or("the local socket");
            format!("PostgreSQL at {host}:{}{}", url.port().unwrap_or(5432), url.path())
        }
    }
}

async fn first_connection(
    options: &AnyConnectOptions,
    database: &str,
    settings: StoreSettings,
) -> Result<AnyConnection, StoreError> {
    let refused = |why: String| StoreError::Connect { database: database.to_owned(), why };
    match tokio::time::timeout(settings.connect_timeout, AnyConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(|error| refused(error.to_string())),
        Err(_) => Err(refused(format!("no answer within {} ms", settings.connect_timeout.as_millis()))),
    }
}

async fn prepare(
    connection: &mut AnyConnection,
    kind: DatabaseKind,
    settings: StoreSettings,
) -> Result<(), sqlx::Error> {
    if kind == DatabaseKind::Postgres {
        return Ok(());
    }
    set_busy_timeout(connection, settings.busy_timeout).await?;
    connection.execute("PRAGMA journal_mode = WAL").await?;
    let most = format!("PRAGMA wal_autocheckpoint = {}", u64::from(settings.write_ahead_pages) * 4);
    connection.execute(sqlx::AssertSqlSafe(most)).await?;
    connection.execute("PRAGMA foreign_keys = ON").await?;
    Ok(())
}

async fn set_busy_timeout(connection: &mut AnyConnection, busy: Duration) -> Result<(), sqlx::Error> {
    let statement = format!("PRAGMA busy_timeout = {}", busy.as_millis());
    connection.execute(sqlx::AssertSqlSafe(statement)).await?;
    Ok(())
}

/// Copies pages of SQLite's write-ahead file and gives how many it holds.
async fn checkpoint(connection: &mut AnyConnection, how: &str) -> Result<i64, StorageError> {
    let statement = format!("PRAGMA wal_checkpoint({how})");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_one(connection).await.map_err(storage_error)?;
    Fields::new("a checkpoint of the database", &row).integer("log")
}
