//! A table of the lake as DataFusion scans it: only files whose event times can fit the query; it knows nothing of tenants.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, TimestampMicrosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, ScalarValue, Statistics, project_schema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use dhow_events::{FactKind, TenantId};

use crate::{Lake, LakeFile, OfflineError};

/// The URL by which sessions know the lake's files; whoever runs a plan registers the lake's object store for it.
pub(crate) const LAKE_FILES_URL: &str = "lake://files";

/// The column whose bounds the manifest keeps for each file.
const TIME: &str = "event_time";

/// The files of one table, read by one schema.
#[derive(Debug)]
pub(crate) struct LakeTable {
    schema: SchemaRef,
    files: Vec<LakeFile>,
    store: ObjectStoreUrl,
}

impl LakeTable {
    /// The table of `tenant` and `kind`, as it was when the lake was opened.
    ///
    /// # Errors
    /// A file whose columns do not fit the table.
    pub fn new(lake: &Lake, tenant: &TenantId, kind: FactKind) -> Result<Self, OfflineError> {
        let refused = |e: DataFusionError| OfflineError::Table { table: kind.name().to_owned(), reason: e.to_string() };
        let store = ObjectStoreUrl::parse(LAKE_FILES_URL).map_err(refused)?;
        let files = lake.files(tenant, kind).cloned().collect();
        Ok(Self { schema: lake.table_schema(tenant, kind)?, files, store })
    }

    /// The files that can have rows for which all `filters` hold.
    fn fitting(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&LakeFile>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(self.files.iter().collect()) };
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(self.schema.clone())?)?;
        let Some(predicate) = PruningPredicateBuilder::new().with_file_schema(self.schema.clone()).build(filter) else {
            return Ok(self.files.iter().collect());
        };
        let fits = predicate.prune(&EventTimes(&self.files))?;
        Ok(self.files.iter().zip(fits).filter_map(|(file, fits)| fits.then_some(file)).collect())
    }

    fn statistics(&self, files: &[&LakeFile]) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(files.iter().map(|file| file.row_count as usize).sum());
        if let Ok(time) = self.schema.index_of(TIME) {
            let bounds = |micros: Option<i64>| {
                let micros = ScalarValue::TimestampMicrosecond(micros, Some("UTC".into()));
                if micros.is_null() { Precision::Absent } else { Precision::Exact(micros) }
            };
            let column = &mut statistics.column_statistics[time];
            column.min_value = bounds(files.iter().map(|file| file.event_time_min.micros()).min());
            column.max_value = bounds(files.iter().map(|file| file.event_time_max.micros()).max());
            column.null_count = Precision::Exact(0);
        }
        statistics
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.fitting(state, filters)?;
        if files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(project_schema(&self.schema, projection)?)));
        }
        let statistics = self.statistics(&files);
        let parts = files.iter().map(|file| {
            let statistics = Arc::new(self.statistics(&[file]));
            PartitionedFile::new(file.path.clone(), file.byte_count).with_statistics(statistics)
        });
        let groups = FileGroup::new(parts.collect()).split_files(state.config().target_partitions());
        let source =
            ParquetSource::new(self.schema.clone()).with_table_parquet_options(state.default_table_options().parquet);
        let scan = FileScanConfigBuilder::new(self.store.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }
}

/// The bounds of the files' event times, as DataFusion asks for them.
struct EventTimes<'a>(&'a [LakeFile]);

impl EventTimes<'_> {
    fn times(&self, column: &Column, micros: impl Fn(&LakeFile) -> i64) -> Option<ArrayRef> {
        let times = || TimestampMicrosecondArray::from_iter_values(self.0.iter().map(micros)).with_timezone("UTC");
        (column.name == TIME).then(|| Arc::new(times()) as ArrayRef)
    }
}

impl PruningStatistics for EventTimes<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |file| file.event_time_min.micros())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.times(column, |file| file.event_time_max.micros())
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let zeros = || UInt64Array::from_iter_values(self.0.iter().map(|_| 0));
        (column.name == TIME).then(|| Arc::new(zeros()) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.0.iter().map(|file| file.row_count))))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
