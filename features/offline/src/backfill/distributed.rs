//! A backfill as a plan of DataFusion, for whoever runs it elsewhere; the one place where types of DataFusion leave this crate.
//!
//! [`Backfill::prepare`] reads the spine and plans; [`Backfill::plan`] can be run by anybody who knows [`codec`] and has
//! registered the same lake by [`register`], wherever he reaches it; [`Backfill::finish`] takes the answers, in any order.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, SendableRecordBatchStream, collect};
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use dhow_events::FactKind;
use futures::TryStreamExt;

use super::BackfilledSet;
use super::codec::BackfillCodec;
use super::observe::{ObserveExec, Role};
use super::recipe::{BackfillRequest, Recipe};
use super::spine::Spine;
use super::sweep::{SweepExec, shuffle_key};
use crate::lake_table::{LAKE_FILES_URL, LakeTable};
use crate::{Lake, LakeStorage, OfflineError};

/// The columns of a table that events are made of, besides those that the views read.
const EVENT_ENVELOPE: [&str; 3] = ["event_id", "event_time", "known_time"];
/// The same for points.
const POINT_ENVELOPE: [&str; 4] = ["event_time", "known_time", "log_partition", "log_offset"];

/// A backfill whose spine is read and whose features are planned.
pub struct Backfill {
    recipe: Arc<Recipe>,
    spine: Spine,
    plan: Option<Arc<dyn ExecutionPlan>>,
}

impl Backfill {
    /// Reads the spine's facts from the lake in `storage` and plans the rest for `partitions` partitions of entities.
    ///
    /// # Errors
    /// Definitions that do not fit the request, or a lake that cannot be read.
    pub async fn prepare(
        storage: Arc<dyn LakeStorage>,
        request: BackfillRequest,
        session: &SessionContext,
        partitions: usize,
    ) -> Result<Self, OfflineError> {
        let recipe = Arc::new(Recipe::new(request)?);
        register(&storage, &session.runtime_env())?;
        let lake = Tables { lake: Lake::open(storage)?, recipe: recipe.clone(), session };
        let mut spine = Spine::default();
        if let Some(scan) = lake.scan(recipe.request.spine, |_| true).await? {
            spine = Spine::read(&recipe, &collect(scan, session.task_ctx()).await.map_err(failed)?)?;
        }
        let plan = if spine.is_empty() { None } else { Some(lake.plan(partitions).await?) };
        Ok(Self { recipe, spine, plan })
    }

    /// The plan of the features; nothing where the spine has no facts.
    pub fn plan(&self) -> Option<Arc<dyn ExecutionPlan>> {
        self.plan.clone()
    }

    /// Puts the answers of the plan beside the spine.
    ///
    /// # Errors
    /// The stream's, or answers that are missing.
    pub async fn finish(mut self, mut answers: SendableRecordBatchStream) -> Result<BackfilledSet, OfflineError> {
        while let Some(batch) = answers.try_next().await.map_err(failed)? {
            self.spine.take(&self.recipe, &batch)?;
        }
        self.spine.finish(&self.recipe)
    }

    /// The set of a backfill without a plan.
    ///
    /// # Errors
    /// Answers that are missing: there is a plan.
    pub fn finish_empty(self) -> Result<BackfilledSet, OfflineError> {
        self.spine.finish(&self.recipe)
    }
}

/// Writes and reads our operators in plans; it knows no others.
pub fn codec() -> Arc<dyn PhysicalExtensionCodec> {
    Arc::new(BackfillCodec)
}

/// Lets whoever runs a plan in `runtime` read the lake in `storage`, which must outlive it.
///
/// # Errors
/// A storage that cannot be read.
pub fn register(storage: &Arc<dyn LakeStorage>, runtime: &RuntimeEnv) -> Result<(), OfflineError> {
    let url = ObjectStoreUrl::parse(LAKE_FILES_URL).map_err(failed)?;
    runtime.register_object_store(url.as_ref(), storage.objects()?);
    Ok(())
}

/// The lake's tables as plans.
struct Tables<'a> {
    lake: Lake,
    recipe: Arc<Recipe>,
    session: &'a SessionContext,
}

impl Tables<'_> {
    /// Observe, shuffle, sweep.
    async fn plan(&self, partitions: usize) -> Result<Arc<dyn ExecutionPlan>, OfflineError> {
        let spine = self.recipe.request.spine;
        let of_entities = self.recipe.entities.iter().flat_map(|entity| entity.columns.iter().copied());
        let names = spine.columns();
        let entity_columns: Vec<&str> = of_entities.map(|column| names[column].name).collect();
        let mut observed = Vec::new();
        observed.extend(self.observe(Role::Points, spine, &POINT_ENVELOPE, &entity_columns).await?);
        for kind in self.recipe.kinds() {
            let columns = self.recipe.columns_of(kind);
            observed.extend(self.observe(Role::Events(kind), kind, &EVENT_ENVELOPE, &columns).await?);
        }
        let union = UnionExec::try_new(observed).map_err(failed)?;
        let partitioning = Partitioning::Hash(shuffle_key().map_err(failed)?, partitions);
        let shuffled = Arc::new(RepartitionExec::try_new(union, partitioning).map_err(failed)?);
        Ok(Arc::new(SweepExec::new(self.recipe.clone(), shuffled).map_err(failed)?))
    }

    async fn observe(
        &self,
        role: Role,
        kind: FactKind,
        envelope: &[&str],
        columns: &[&str],
    ) -> Result<Option<Arc<dyn ExecutionPlan>>, OfflineError> {
        let scan = self.scan(kind, |name| envelope.contains(&name) || columns.contains(&name)).await?;
        Ok(scan.map(|scan| Arc::new(ObserveExec::new(self.recipe.clone(), role, scan)) as Arc<dyn ExecutionPlan>))
    }

    /// The wanted columns of a table; nothing where no fact of the kind was written.
    async fn scan(
        &self,
        kind: FactKind,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>, OfflineError> {
        let tenant = &self.recipe.request.tenant;
        if self.lake.files(tenant, kind).next().is_none() {
            return Ok(None);
        }
        let table = LakeTable::new(&self.lake, tenant, kind)?;
        let schema = table.schema();
        let columns: Vec<usize> =
            (0..schema.fields().len()).filter(|&number| is_wanted(schema.field(number).name())).collect();
        table.scan(&self.session.state(), Some(&columns), &[], None).await.map(Some).map_err(failed)
    }
}

/// The only child of an operator of ours.
pub(super) fn only_child(
    operator: &str,
    children: Vec<Arc<dyn ExecutionPlan>>,
) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
    <[_; 1]>::try_from(children).map(|[child]| child).map_err(|children| {
        let reason = format!("{operator} has one input, not {}", children.len());
        external(OfflineError::Table { table: "a plan".to_owned(), reason })
    })
}

/// An error of ours on its way through DataFusion.
pub(super) fn external(error: OfflineError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A failure of DataFusion in our words.
pub(super) fn failed(error: DataFusionError) -> OfflineError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(reason) => {
            OfflineError::Bound(format!("the backfill needs too much memory: {reason}"))
        }
        _ => OfflineError::Query(error.strip_backtrace()),
    }
}
