//! One worker: both stages beside each other until one fails or it is told to stop; restarting it is for whoever runs it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dhow_definitions::FeatureSet;
use dhow_events::{Clock, Timestamp};
use dhow_kafka::{Committed, Group};

use crate::{FeatureReport, FeatureStage, FleetError, FleetSettings, PartitionStates, RouteReport, Router};

/// Groups are told how far their members have come so often.
const COMMIT_INTERVAL_MICROS: i64 = 200_000;

/// What a worker did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerReport {
    /// In the route stage.
    pub route: RouteReport,
    /// In the feature stage.
    pub features: FeatureReport,
}

/// Takes part in both stages for `features`, until `stop` says so. The topics must be there; see
/// [`FleetSettings::create_rekeyed_topic`].
///
/// # Errors
/// The first stage that failed says why; the other one is then stopped. What was written stands, and what was not is
/// done again by other workers, or by this one when it is run again.
pub fn run_worker<S: PartitionStates>(
    settings: FleetSettings,
    features: Arc<FeatureSet>,
    states: S,
    clock: Arc<dyn Clock>,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<WorkerReport, FleetError> {
    let mut router = Router::join(settings.clone(), Arc::clone(&features), Arc::clone(&clock))?;
    let mut stage = FeatureStage::join(settings, &features, states, clock)?;
    let ended = AtomicBool::new(false);
    let must_stop = || stop() || ended.load(Ordering::Relaxed);
    let (route, features) = thread::scope(|scope| {
        let routing = scope.spawn(|| {
            let _ends_the_other = EndsTheOther(&ended);
            router.run(&must_stop)
        });
        let applied = {
            let _ends_the_other = EndsTheOther(&ended);
            stage.run(&must_stop)
        };
        (routing.join(), applied)
    });
    let (route, features) = (route.map_err(|_| FleetError::BrokeDown { stage: "route" })??, features?);
    Ok(WorkerReport { route, features })
}

/// Tells the other stage that this one ended, also by a panic.
struct EndsTheOther<'a>(&'a AtomicBool);

impl Drop for EndsTheOther<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What is done and not yet told to the group.
pub(crate) struct Commits {
    clock: Arc<dyn Clock>,
    nexts: BTreeMap<u32, u64>,
    told_at: Timestamp,
}

impl Commits {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let told_at = clock.now();
        Self { clock, nexts: BTreeMap::new(), told_at }
    }

    /// Everything before these offsets is done.
    pub(crate) fn note(&mut self, nexts: impl IntoIterator<Item = (u32, u64)>) {
        self.nexts.extend(nexts);
    }

    /// The partitions are another member's.
    pub(crate) fn forget(&mut self, partitions: &[u32]) {
        self.nexts.retain(|partition, _| !partitions.contains(partition));
    }

    pub(crate) fn commit_when_due(&mut self, group: &mut Group) -> Result<(), FleetError> {
        let is_due = self.clock.now().micros_since(self.told_at) >= COMMIT_INTERVAL_MICROS;
        if is_due { self.commit(group) } else { Ok(()) }
    }

    /// Tells the group. While it shares out anew it takes nothing, and what stays untold is only done again.
    pub(crate) fn commit(&mut self, group: &mut Group) -> Result<(), FleetError> {
        let nexts: Vec<(u32, u64)> = self.nexts.iter().map(|(&partition, &next)| (partition, next)).collect();
        if group.commit(&nexts)? == Committed::Taken {
            self.nexts.clear();
        }
        self.told_at = self.clock.now();
        Ok(())
    }
}
