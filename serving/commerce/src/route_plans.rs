//! Route plans as people handle them: asked for, made, changed while they are live, accepted; the planning itself is elsewhere.
//!
//! ```text
//! queued ─► running ─► finished ─► accepted
//!    │         │  └► failed  ▲         │
//!    └─────────┴► cancelled  └─────────┘ (changed)
//! ```

use dhow_events::facts::ShipmentPlanned;
use dhow_events::{PlanId, SECOND_MICROS, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::idempotency::{claim, save_answer};
use crate::words::worded;
use crate::{
    Answered, Commerce, CommerceError, Idempotency, OutboxEvent, PaymentRail, States, Step, Storage,
    StorageTransaction, transition,
};

/// Plans that are kept for a tenant besides those that are accepted or under way; a new one takes the place of the oldest.
pub const ROUTE_PLANS_KEPT_MAX: i64 = 200;
/// Earlier versions of a plan that are kept.
pub const ROUTE_PLAN_VERSIONS_KEPT_MAX: i64 = 20;
/// A plan under way without progress for so long was interrupted: its server ended.
pub const ROUTE_PLAN_SILENT_MICROS: i64 = 60 * SECOND_MICROS;

worded! {
    /// How far a route plan is.
    RoutePlanState {
        /// It waits for its turn.
        Queued = "queued",
        /// It is being made.
        Running = "running",
        /// It is made, and waits for a person.
        Finished = "finished",
        /// A person accepted it; its stops became events.
        Accepted = "accepted",
        /// It ended without a plan.
        Failed = "failed",
        /// Somebody ended it.
        Cancelled = "cancelled",
        /// Its server ended before it did.
        Interrupted = "interrupted",
    }
}

impl RoutePlanState {
    /// Whether planning is still to end.
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

impl States for RoutePlanState {
    const SUBJECT: &'static str = "route plan";
    const TRANSITIONS: &'static [(Self, &'static [Self])] = &[
        (Self::Queued, &[Self::Running, Self::Cancelled, Self::Failed]),
        (Self::Running, &[Self::Finished, Self::Cancelled, Self::Failed]),
        (Self::Finished, &[Self::Accepted]),
        (Self::Accepted, &[Self::Finished]),
    ];
}

/// How far the planning is, and the best plan so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RoutePlanProgress {
    /// The share of its time that is over, 0 to 1.
    pub share: f64,
    /// Plans found so far of which each was better than the one before.
    pub incumbents: u64,
    /// Cost of the best one; nothing before the first.
    pub cost: Option<i64>,
    /// Metres driven by it.
    pub distance_m: Option<i64>,
    /// Vehicles that it uses.
    pub vehicles: Option<u64>,
    /// Stops that it leaves out.
    pub unassigned: Option<u64>,
}

/// A route plan with its request and, once there is one, its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoutePlan {
    /// Whose it is.
    pub tenant: TenantId,
    /// Which.
    pub id: PlanId,
    /// Counts its changes from 1; progress is none.
    pub version: i64,
    /// How far it is.
    pub state: RoutePlanState,
    /// What made this version, in words.
    pub change: String,
    /// Seconds that may be searched.
    pub seconds: f64,
    /// The seed of the search.
    pub seed: u64,
    /// The plan that its figures are compared with.
    pub previous: Option<PlanId>,
    /// Stops asked for.
    pub stops: u64,
    /// The request in VROOM's JSON, with what was inserted since.
    pub request: Json,
    /// The answer in VROOM's JSON.
    pub plan: Option<Json>,
    /// The answer's figures beside those of other plans, and predicted times.
    pub figures: Option<Json>,
    /// How far the planning is; kept beside the rest, because it changes often.
    #[serde(skip)]
    pub progress: RoutePlanProgress,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed or progressed.
    pub updated_at: Timestamp,
}

impl RoutePlan {
    /// The same as it stands at `now`: one under way that was silent for [`ROUTE_PLAN_SILENT_MICROS`] was interrupted.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        Self { state: state_at(self.state, self.updated_at, now), ..self }
    }

    fn moved(&mut self, to: RoutePlanState, change: &str, now: Timestamp) -> Result<Step, CommerceError> {
        let step = transition(self.state, to)?;
        if step == Step::Changes {
            self.state = to;
            self.renewed(change, now);
        }
        Ok(step)
    }

    fn renewed(&mut self, change: &str, now: Timestamp) {
        (self.version, self.change, self.updated_at) = (self.version + 1, change.to_owned(), now);
    }

    fn must_be_version(&self, expected: i64) -> Result<(), CommerceError> {
        if self.version == expected {
            return Ok(());
        }
        Err(CommerceError::StaleVersion { expected: expected.to_string(), found: Some(self.version) })
    }
}

/// How far a plan is, without what it is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoutePlanHead {
    /// Counts its changes from 1.
    pub version: i64,
    /// How far it is.
    pub state: RoutePlanState,
    /// How far its planning is.
    pub progress: RoutePlanProgress,
    /// When it last changed or progressed.
    pub updated_at: Timestamp,
}

/// The state at `now`: one under way that was silent for [`ROUTE_PLAN_SILENT_MICROS`] was interrupted.
fn state_at(state: RoutePlanState, updated_at: Timestamp, now: Timestamp) -> RoutePlanState {
    let silent = now.micros_since(updated_at) > ROUTE_PLAN_SILENT_MICROS;
    if state.is_under_way() && silent { RoutePlanState::Interrupted } else { state }
}

/// What a plan that was made or changed consists of.
#[derive(Debug, Clone, PartialEq)]
pub struct MadePlan {
    /// The request in VROOM's JSON.
    pub request: Json,
    /// Stops of it.
    pub stops: u64,
    /// The answer in VROOM's JSON.
    pub plan: Json,
    /// The answer's figures.
    pub figures: Json,
    /// What was done, in words.
    pub change: String,
}

/// How the planning ended.
#[derive(Debug, Clone, PartialEq)]
pub enum RoutePlanEnd {
    /// With a plan.
    Made(Box<MadePlan>),
    /// Without one, for this reason.
    Failed(String),
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// Stores a plan that is to be made. The same request with the same key gives the plan that it made before.
    ///
    /// # Errors
    /// The key is in use for another request; the database fails.
    pub async fn queue_route_plan(
        &self,
        plan: RoutePlan,
        key: Option<&Idempotency>,
    ) -> Result<Answered<RoutePlan>, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let earlier: Option<PlanId> = claim(&mut transaction, plan.tenant, key, plan.created_at).await?;
        if let Some(id) = earlier {
            transaction.rollback().await?;
            return Ok(Answered { value: self.route_plan(plan.tenant, id).await?, replayed: true });
        }
        transaction.put_route_plan(&plan).await?;
        save_answer(&mut transaction, plan.tenant, key.map(Idempotency::key), &plan.id).await?;
        transaction.commit().await?;
        Ok(Answered { value: plan, replayed: false })
    }

    /// A plan as it stands.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn route_plan(&self, tenant: TenantId, id: PlanId) -> Result<RoutePlan, CommerceError> {
        let found = self.storage.route_plan(tenant, id).await?;
        found.map(|plan| plan.at(self.clock.now())).ok_or_else(|| missing(id))
    }

    /// How far a plan is.
    ///
    /// # Errors
    /// The tenant has none of this id; the database fails.
    pub async fn route_plan_head(&self, tenant: TenantId, id: PlanId) -> Result<RoutePlanHead, CommerceError> {
        let head = self.storage.route_plan_head(tenant, id).await?.ok_or_else(|| missing(id))?;
        Ok(RoutePlanHead { state: state_at(head.state, head.updated_at, self.clock.now()), ..head })
    }

    /// Writes that a plan is waited for or being made, and how far it is; `false`, and no change, where it is no longer wanted.
    ///
    /// # Errors
    /// The database fails.
    pub async fn progress_route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
        state: RoutePlanState,
        progress: &RoutePlanProgress,
    ) -> Result<bool, CommerceError> {
        let mut transaction = self.storage.begin().await?;
        let wanted = transaction.progress_route_plan(tenant, id, state, progress, self.clock.now()).await?;
        transaction.commit().await?;
        Ok(wanted)
    }

    /// Ends the planning; `false`, and no change, where somebody ended it before.
    ///
    /// # Errors
    /// The database fails.
    pub async fn end_route_plan(&self, tenant: TenantId, id: PlanId, end: RoutePlanEnd) -> Result<bool, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut plan = transaction.route_plan(tenant, id).await?.ok_or_else(|| missing(id))?;
        if !plan.state.is_under_way() {
            transaction.rollback().await?;
            return Ok(false);
        }
        match end {
            RoutePlanEnd::Made(made) => {
                plan.moved(RoutePlanState::Finished, &made.change, now)?;
                (plan.request, plan.stops) = (made.request, made.stops);
                (plan.plan, plan.figures) = (Some(made.plan), Some(made.figures));
                plan.progress.share = 1.0;
            }
            RoutePlanEnd::Failed(reason) => {
                plan.moved(RoutePlanState::Failed, "failed", now)?;
                plan.failure = Some(reason);
            }
        }
        transaction.put_route_plan(&plan).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends the planning without a plan, whichever server does it.
    ///
    /// # Errors
    /// No such plan, or it is made already; the database fails.
    pub async fn cancel_route_plan(&self, tenant: TenantId, id: PlanId) -> Result<RoutePlan, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut plan = transaction.route_plan(tenant, id).await?.ok_or_else(|| missing(id))?;
        if plan.moved(RoutePlanState::Cancelled, "cancelled", now)? == Step::AlreadyThere {
            return Ok(plan);
        }
        transaction.put_route_plan(&plan).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    /// Puts a changed plan in the place of version `expected`; it waits for a person again.
    ///
    /// # Errors
    /// No such plan, another version, or one without a plan; the database fails.
    pub async fn change_route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
        expected: i64,
        made: MadePlan,
    ) -> Result<RoutePlan, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut plan = transaction.route_plan(tenant, id).await?.ok_or_else(|| missing(id))?;
        plan.must_be_version(expected)?;
        if plan.state != RoutePlanState::Finished {
            transition(plan.state, RoutePlanState::Finished)?;
            plan.state = RoutePlanState::Finished;
        }
        plan.renewed(&made.change, now);
        (plan.request, plan.stops) = (made.request, made.stops);
        (plan.plan, plan.figures) = (Some(made.plan), Some(made.figures));
        transaction.put_route_plan(&plan).await?;
        transaction.commit().await?;
        Ok(plan)
    }

    /// Accepts version `expected` of a plan: its stops become events in the same transaction. What is accepted already is
    /// given as it is.
    ///
    /// # Errors
    /// No such plan, another version, or one that is not made; the database fails.
    pub async fn accept_route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
        expected: i64,
        stops: Vec<ShipmentPlanned>,
    ) -> Result<RoutePlan, CommerceError> {
        let now = self.clock.now();
        let mut transaction = self.storage.begin().await?;
        let mut plan = transaction.route_plan(tenant, id).await?.ok_or_else(|| missing(id))?;
        let accepted_before = plan.state == RoutePlanState::Accepted && plan.version == expected + 1;
        if accepted_before {
            return Ok(plan);
        }
        plan.must_be_version(expected)?;
        if plan.moved(RoutePlanState::Accepted, "accepted", now)? == Step::AlreadyThere {
            return Ok(plan);
        }
        let event = |stop: ShipmentPlanned| self.event(tenant, id.to_string(), now, stop);
        let events: Vec<OutboxEvent> = stops.into_iter().map(event).collect();
        transaction.append_events(&events, now).await?;
        transaction.put_route_plan(&plan).await?;
        transaction.commit().await?;
        Ok(plan)
    }
}

fn missing(id: PlanId) -> CommerceError {
    CommerceError::NotFound(format!("route plan {id}"))
}
