//! SQL over one tenant's tables by DataFusion: reading only, bounded in time, memory and rows.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use dhow_events::{FactKind, TenantId};
use futures::StreamExt;
use tokio::sync::oneshot;

use crate::table::schema;
use crate::{Lake, OfflineError};

/// Threads of one query; operators run for long without giving way, so they must not share the server's.
const THREADS_PER_QUERY: usize = 2;

/// What one query may use.
#[derive(Debug, Clone, Copy)]
pub struct QueryBounds {
    /// Memory of operators.
    pub memory_bytes_max: usize,
    /// Wall time.
    pub time_max: Duration,
    /// Rows of the answer.
    pub rows_max: usize,
}

impl Default for QueryBounds {
    /// 1 GiB, 60 seconds, 1,000,000 rows.
    fn default() -> Self {
        Self { memory_bytes_max: 1 << 30, time_max: Duration::from_secs(60), rows_max: 1_000_000 }
    }
}

/// A tenant's tables, as they were at the lake's last checkpoint.
pub struct SqlSession {
    context: SessionContext,
    bounds: QueryBounds,
}

impl SqlSession {
    /// A session over the tables of `tenant`: one for each kind of fact, empty where nothing was written.
    ///
    /// # Errors
    /// A file of the lake that cannot be opened.
    pub fn open(lake: &Lake, tenant: &TenantId, bounds: QueryBounds) -> Result<Self, OfflineError> {
        let runtime =
            RuntimeEnvBuilder::new().with_memory_limit(bounds.memory_bytes_max, 1.0).build_arc().map_err(refused)?;
        let config = SessionConfig::new().with_information_schema(true).with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime);
        for kind in FactKind::ALL {
            let table = provider(lake, tenant, *kind)?;
            context.register_table(kind.name(), table).map_err(refused)?;
        }
        Ok(Self { context, bounds })
    }

    /// Adds the Parquet file at `path` as a table.
    ///
    /// # Errors
    /// A file that is missing or no Parquet file.
    pub async fn add_parquet(&self, name: &str, path: &Path) -> Result<(), OfflineError> {
        let shown = path.display().to_string();
        let options = datafusion::prelude::ParquetReadOptions::default();
        self.context.register_parquet(name, &shown, options).await.map_err(refused)
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
    let (mut batches, mut rows) = (Vec::new(), 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(refused)?;
        rows += batch.num_rows();
        if rows > bounds.rows_max {
            return Err(OfflineError::Bound(format!("it has more than {} rows; add a LIMIT", bounds.rows_max)));
        }
        batches.push(batch);
    }
    if batches.is_empty() {
        // An answer without rows still has its columns.
        batches.push(RecordBatch::new_empty(stream.schema()));
    }
    Ok(batches)
}

fn provider(lake: &Lake, tenant: &TenantId, kind: FactKind) -> Result<Arc<dyn TableProvider>, OfflineError> {
    let files = lake.files(tenant, kind);
    if files.is_empty() {
        return Ok(Arc::new(MemTable::try_new(schema(kind), vec![vec![]]).map_err(refused)?));
    }
    let urls: Result<Vec<_>, _> = files.iter().map(|file| ListingTableUrl::parse(file.display().to_string())).collect();
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls.map_err(refused)?)
        .with_listing_options(options)
        .with_schema(schema(kind));
    Ok(Arc::new(ListingTable::try_new(config).map_err(refused)?))
}

fn refused(error: DataFusionError) -> OfflineError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(reason) => {
            OfflineError::Bound(format!("it needs too much memory: {reason}"))
        }
        _ => OfflineError::Query(error.strip_backtrace()),
    }
}
