//! What can be asked of feature state wherever it lies, and the answers; the state itself is elsewhere.

use std::sync::Arc;

use dhow_definitions::{FeatureSet, PlannedView, VectorPlan};
use dhow_events::{Fact, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Share;

/// A read that cannot be answered exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// State that the instant needs was freed.
    #[error("features at {at} are gone: state is kept for reads from {reads_from} on")]
    Expired {
        /// The instant asked for.
        at: Timestamp,
        /// The earliest that can be read.
        reads_from: Timestamp,
    },
    /// The set has no such view.
    #[error("there is no view number {view}; the set has {count}")]
    NoView {
        /// The number asked for.
        view: usize,
        /// How many there are.
        count: usize,
    },
    /// The view is not of facts, so the log never fills it.
    #[error("view `{view}` is of a table, not of events: its features are computed from files and cannot be read here")]
    OfTable {
        /// The view's name.
        view: String,
    },
    /// The plan was made for another set of features.
    #[error("the vector's plan does not belong to this store's set of features")]
    ForeignPlan,
    /// The store keeps other entities.
    #[error("the entity does not belong to share {share}, which is all that is kept here")]
    OtherShare {
        /// What is kept.
        share: Share,
    },
    /// More entities than one read may ask for.
    #[error("{found} entities were asked for in one read; at most {limit} are allowed")]
    TooMany {
        /// How many were asked for.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// The state lies elsewhere and cannot be had, or is not what it should be.
    #[error("the feature state cannot be read: {0}")]
    Unavailable(String),
}

/// How far the log was applied to what was read together from one share of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The entities that it speaks of.
    pub share: Share,
    /// For each partition of the log applied so far: the offset of the next record. Computing from the log as of these
    /// offsets gives the same values.
    pub offsets: Vec<(u32, u64)>,
    /// The latest event time of all that was applied.
    pub freshest_event_time: Option<Timestamp>,
    /// The earliest instant that can be read; nothing where every one can.
    pub reads_from: Option<Timestamp>,
}

impl Cut {
    /// Checks that `at` can still be read.
    ///
    /// # Errors
    /// What it needs was freed.
    pub fn check(&self, at: Timestamp) -> Result<(), ReadError> {
        match self.reads_from {
            Some(reads_from) if at < reads_from => Err(ReadError::Expired { at, reads_from }),
            _ => Ok(()),
        }
    }
}

/// The numbers of one request and the state that they were read from.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureVector {
    /// One for each of the plan's names; NaN where there is no value.
    pub values: Vec<f64>,
    /// One for each share of the state that was read: one for all where the state is whole.
    pub as_of: Vec<Cut>,
    /// The latest event time of all that was applied to them.
    pub freshest_event_time: Option<Timestamp>,
}

/// What is known of values that were read together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// For each ask when the latest of the entity's events that are kept happened; nothing where none is kept.
    pub latest_event_times: Vec<Option<Timestamp>>,
    /// One for each share of the state that was read: one for all where the state is whole.
    pub as_of: Vec<Cut>,
}

/// Feature state that can be read: in this process, or kept by a fleet of workers.
///
/// Every value read from one share is of one consistent cut of the log, and equal bit for bit wherever it is read.
pub trait FeatureReads: Send + Sync {
    /// The features that are kept.
    fn features(&self) -> Arc<FeatureSet>;

    /// Appends the features of each view and entity of `asks`, one after another, to `out`. Entities are 128 bits as
    /// [`dhow_definitions::entity_id`] gives them.
    ///
    /// # Errors
    /// No such view, a view of a table, an entity of another share, `at` lies before what is kept, too many asks, or the
    /// state cannot be had; `out` is then unchanged.
    fn read_many(
        &self,
        tenant: TenantId,
        asks: &[(usize, u128)],
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<Readings, ReadError>;

    /// The latest event time of all that was applied.
    ///
    /// # Errors
    /// The state cannot be had.
    fn freshest_event_time(&self) -> Result<Option<Timestamp>, ReadError>;

    /// Appends the features of view number `view` for entity `id` at `at` to `out`.
    ///
    /// # Errors
    /// As [`FeatureReads::read_many`].
    fn read(
        &self,
        tenant: TenantId,
        view: usize,
        id: u128,
        at: Timestamp,
        out: &mut Vec<f64>,
    ) -> Result<(), ReadError> {
        self.read_many(tenant, &[(view, id)], at, out).map(drop)
    }

    /// The vector of a request about `fact` at `at`.
    ///
    /// # Errors
    /// The plan is of another set, or what [`FeatureReads::read_many`] refuses.
    fn vector(
        &self,
        plan: &VectorPlan,
        tenant: TenantId,
        fact: &Fact,
        at: Timestamp,
    ) -> Result<FeatureVector, ReadError> {
        check_plan(&self.features(), plan)?;
        let keys = plan.views().iter().zip(plan.keys(fact));
        let asked: Vec<(&PlannedView, u128)> = keys.filter_map(|(planned, id)| Some((planned, id?))).collect();
        let asks: Vec<(usize, u128)> = asked.iter().map(|(planned, id)| (planned.view, *id)).collect();
        let width: usize = plan.views().iter().map(|planned| planned.width).sum();
        let mut read = Vec::with_capacity(width);
        let Readings { as_of, .. } = self.read_many(tenant, &asks, at, &mut read)?;
        let mut values = Vec::with_capacity(plan.names().len());
        values.resize(width, f64::NAN);
        let mut first = 0;
        for (planned, _) in asked {
            values[planned.offset..planned.offset + planned.width].copy_from_slice(&read[first..first + planned.width]);
            first += planned.width;
        }
        plan.complete(fact, &mut values);
        let freshest_event_time = as_of.iter().filter_map(|cut| cut.freshest_event_time).max();
        Ok(FeatureVector { values, as_of, freshest_event_time })
    }
}

fn check_plan(features: &FeatureSet, plan: &VectorPlan) -> Result<(), ReadError> {
    let belongs = |planned: &PlannedView| {
        features.views().get(planned.view).is_some_and(|view| view.features().len() == planned.width)
    };
    if plan.views().iter().all(belongs) { Ok(()) } else { Err(ReadError::ForeignPlan) }
}

/// Checks that a set has view number `view` and that the log fills it.
///
/// # Errors
/// It has not, or the view is of a table.
pub(crate) fn check_view(features: &FeatureSet, view: usize) -> Result<(), ReadError> {
    let count = features.views().len();
    let definition = features.views().get(view).ok_or(ReadError::NoView { view, count })?;
    match definition.source().fact() {
        Some(_) => Ok(()),
        None => Err(ReadError::OfTable { view: definition.name().to_owned() }),
    }
}
