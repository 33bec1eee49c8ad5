//! Point-in-time training sets computed from the lake instead of replayed from the log: same rows, same order, same bits.
//!
//! 1. **Observe.** Each table of the lake that a view is made of is scanned, and each of its rows becomes what the views
//!    keep of it: whose it is, when it happened and became known, its id and the values of the view's cells. The spine's
//!    facts become points: whose, and as of when.
//! 2. **Shuffle.** Both go to the partition that a hash of the entity names, so that all about an entity is in one place.
//! 3. **Sweep.** Each partition answers every window of every view in one linear pass (`dhow_sweep`).
//! 4. **Join.** The answers come back with the place of their spine fact in the log and are put beside it.
//!
//! DataFusion scans and shuffles, in this process ([`backfill`]) or on a cluster ([`distributed`]); steps 1 and 3 are
//! operators of ours. The lake holds what the stream worker wrote up to its last checkpoint, so a backfill knows the log
//! only so far. A record counts as a duplicate of another if it says the same; an id that comes again with another time
//! later than the duplicate horizon is beyond what the engines agree on.

mod codec;
pub mod distributed;
mod facts;
mod observe;
mod recipe;
mod spine;
mod sweep;

use std::path::Path;
use std::sync::Arc;

use datafusion::execution::context::{SessionConfig, SessionContext};
use datafusion::physical_plan::execute_stream;
use dhow_events::{EventId, Timestamp};

pub use recipe::BackfillRequest;

use crate::training_set::write_rows;
use crate::{LakeStorage, OfflineError, TableFormat};
use distributed::Backfill;

/// Partitions of a backfill in this process; each is swept by all cores, and all of them are in memory at once.
const LOCAL_PARTITIONS: usize = 4;

/// Rows of one kind of spine fact in the order in which they became known; row-major values, NaN where nothing is known.
#[derive(Debug, Clone, Default)]
pub struct BackfilledSet {
    /// The names of the columns, in order.
    pub names: Vec<String>,
    /// The values: `names.len()` for each row.
    pub values: Vec<f64>,
    /// The id and time of each spine fact.
    pub spine: Vec<(EventId, Timestamp)>,
    /// Spine facts left out because they became known later than the feature state reaches back.
    pub too_late_count: u64,
}

impl BackfilledSet {
    /// The number of rows.
    pub fn row_count(&self) -> usize {
        self.spine.len()
    }

    /// Writes the set as [`crate::TrainingSet::write`] does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path, format: TableFormat) -> Result<(), OfflineError> {
        write_rows(path, format, &self.names, self.spine.iter().copied(), &self.values)
    }
}

/// Computes a training set from the lake in `storage`, in this process.
///
/// # Errors
/// Definitions that do not fit the request, a lake that cannot be read, or more rows of one partition than a sweep takes.
pub async fn backfill(storage: Arc<dyn LakeStorage>, request: BackfillRequest) -> Result<BackfilledSet, OfflineError> {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(LOCAL_PARTITIONS));
    let backfill = Backfill::prepare(storage, request, &session, LOCAL_PARTITIONS).await?;
    let Some(plan) = backfill.plan() else { return backfill.finish_empty() };
    let answers = execute_stream(plan, session.task_ctx()).map_err(distributed::failed)?;
    backfill.finish(answers).await
}
