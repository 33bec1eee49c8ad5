//! SQL over one tenant's tables by DataFusion: reading only, bounded in time, memory and rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use dhow_events::{FactKind, TenantId};
use futures::StreamExt;
use object_store::ObjectStore;
use tokio::sync::oneshot;
use url::Url;

use crate::lake_table::{LAKE_FILES_URL, LakeTable};
use crate::typed_table::UserTable;
use crate::{Lake, LakeStorage, OfflineError};

/// Functions that make a value of any size out of a few words. Operators' memory is counted and bounded; that of a value
/// is not, so these are not offered. `generate_series` as a table is: its rows come one batch after another.
const FUNCTIONS_LEFT_OUT: [&str; 9] = [
    "repeat",
    "lpad",
    "rpad",
    "array_repeat",
    "list_repeat",
    "array_resize",
    "list_resize",
    "range",
    "generate_series",
];

/// Threads of one query; operators run for long without giving way, so they must not share the server's.
const THREADS_PER_QUERY: usize = 2;

/// What one query may use.
#[derive(Debug, Clone, Copy)]
pub struct QueryBounds {
    /// Memory of operators, and of the answer.
    pub memory_bytes_max: usize,
    /// Disk that operators may use instead of memory.
    pub spill_bytes_max: u64,
    /// Wall time.
    pub time_max: Duration,
    /// Rows of the answer.
    pub rows_max: usize,
}

impl Default for QueryBounds {
    /// 1 GiB, 4 GiB on disk, 60 seconds, 1,000,000 rows.
    fn default() -> Self {
        Self {
            memory_bytes_max: 1 << 30,
            spill_bytes_max: 4 << 30,
            time_max: Duration::from_secs(60),
            rows_max: 1_000_000,
        }
    }
}

/// A tenant's tables, as they were at the lake's last checkpoint.
pub struct SqlSession {
    context: SessionContext,
    bounds: QueryBounds,
    /// Keeps the lake within reach while queries read it.
    storage: Arc<dyn LakeStorage>,
}

impl SqlSession {
    /// A session over the tables of `tenant`: one for each kind of fact, empty where nothing was written.
    ///
    /// # Errors
    /// A file of the lake that cannot be opened.
    pub fn open(lake: &Lake, tenant: &TenantId, bounds: QueryBounds) -> Result<Self, OfflineError> {
        // The place of an empty lake need not exist.
        let files = if lake.is_empty() { None } else { Some(lake.storage().objects()?) };
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_limit(bounds.memory_bytes_max, 1.0)
            .with_max_temp_directory_size(bounds.spill_bytes_max)
            .with_object_store_registry(Arc::new(LakeOnly(files)));
        let config = SessionConfig::new().with_information_schema(true).with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime.build_arc().map_err(refused)?);
        FUNCTIONS_LEFT_OUT.iter().for_each(|name| context.deregister_udf(name));
        for kind in FactKind::ALL {
            let table = LakeTable::new(lake, tenant, *kind)?;
            context.register_table(kind.name(), Arc::new(table)).map_err(refused)?;
        }
        Ok(Self { context, bounds, storage: lake.storage().clone() })
    }

    /// Adds the rows of the Parquet file at `path`, which are read into memory, as a table.
    ///
    /// # Errors
    /// A name that is taken, or a file that is missing or no Parquet file.
    pub fn add_parquet(&self, name: &str, path: &Path) -> Result<(), OfflineError> {
        let taken = self.context.table_exist(name).map_err(refused)?;
        if taken {
            return Err(OfflineError::Query(format!("there is a table `{name}` already; name the file's otherwise")));
        }
        let batch = UserTable::read(path)?.batch;
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(refused)?;
        self.context.register_table(name, Arc::new(table)).map_err(refused)?;
        Ok(())
    }

    /// Answers one SELECT.
    ///
    /// # Errors
    /// Anything but a single SELECT, an unknown name, or a bound that was reached.
    pub async fn query(&self, sql: &str) -> Result<Vec<RecordBatch>, OfflineError> {
        self.query_holding(sql, ()).await
    }

    /// Answers one SELECT and drops `place` when the last of its work has ended, which can be long after this returned:
    /// operators need not give way when the time is over or nobody waits any more. Whoever bounds the queries at once
    /// gives each one its permit here.
    ///
    /// # Errors
    /// As [`SqlSession::query`].
    pub async fn query_holding(&self, sql: &str, place: impl Send + 'static) -> Result<Vec<RecordBatch>, OfflineError> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS_PER_QUERY)
            .thread_name("sql")
            .enable_all()
            .build()
            .map_err(no_threads)?;
        let running = answer(self.context.clone(), self.bounds, sql.to_owned());
        let storage = self.storage.clone();
        let (sender, receiver) = oneshot::channel();
        let work = move || {
            let mut sender = sender;
            let answered = threads.block_on(async {
                tokio::select! {
                    () = sender.closed() => None,
                    answered = running => Some(answered),
                }
            });
            // Waits for operators that have not given way. Whoever has the answer may ask again at once, so the place
            // is free before.
            drop(threads);
            drop(storage);
            drop(place);
            if let Some(answered) = answered {
                // Nobody waits any more where sending fails.
                let _given_up = sender.send(answered);
            }
        };
        std::thread::Builder::new().name("sql-query".to_owned()).spawn(work).map_err(no_threads)?;
        match tokio::time::timeout(self.bounds.time_max, receiver).await {
            Err(_) => Err(OfflineError::Bound(format!("it took longer than {} s", self.bounds.time_max.as_secs_f64()))),
            Ok(Err(_)) => Err(OfflineError::Query("its threads ended early".to_owned())),
            Ok(Ok(answered)) => answered,
        }
    }
}

fn no_threads(error: std::io::Error) -> OfflineError {
    OfflineError::Bound(format!("its threads could not be started: {error}"))
}

async fn answer(context: SessionContext, bounds: QueryBounds, sql: String) -> Result<Vec<RecordBatch>, OfflineError> {
    let reading_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    let frame = context.sql_with_options(&sql, reading_only).await.map_err(refused)?;
    // Rows are counted as they come: a limit in the plan would turn a sort into one that holds so many rows in memory.
    let mut stream = frame.execute_stream().await.map_err(refused)?;
    let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(refused)?;
        rows += batch.num_rows();
        if rows > bounds.rows_max {
            return Err(OfflineError::Bound(format!("it has more than {} rows; add a LIMIT", bounds.rows_max)));
        }
        bytes += batch.get_array_memory_size();
        if bytes > bounds.memory_bytes_max {
            let reason = format!("its answer has more than {} bytes", bounds.memory_bytes_max);
            return Err(OfflineError::Bound(reason));
        }
        batches.push(batch);
    }
    if batches.is_empty() {
        // An answer without rows still has its columns.
        batches.push(RecordBatch::new_empty(stream.schema()));
    }
    Ok(batches)
}

/// The only files that a query can reach, whatever it says: those of the lake.
#[derive(Debug)]
struct LakeOnly(Option<Arc<dyn ObjectStore>>);

impl ObjectStoreRegistry for LakeOnly {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>, DataFusionError> {
        let nothing = || DataFusionError::Plan(format!("no query reads `{url}`: there are the tables of the lake"));
        match url.as_str().trim_end_matches('/') == LAKE_FILES_URL {
            true => self.0.clone().ok_or_else(nothing),
            false => Err(nothing()),
        }
    }
}

fn refused(error: DataFusionError) -> OfflineError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(reason) => {
            OfflineError::Bound(format!("it needs too much memory: {reason}"))
        }
        _ => OfflineError::Query(error.strip_backtrace()),
    }
}
