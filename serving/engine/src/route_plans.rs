//! Route plans that take longer: queued, searched on a thread of their own with incumbents told, kept in the database, accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhow_commerce::{
    Answered, Idempotency, MadePlan, RoutePlan, RoutePlanEnd, RoutePlanProgress, RoutePlanState, Storage,
};
use dhow_events::facts::ShipmentPlanned;
use dhow_events::{Clock, PlanId, ShipmentId, TenantId, Timestamp};
use dhow_routes::{Budget, Kpis, MAX_ITERATIONS, Plan, SolveError, vroom};
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::failed;
use crate::priority::beside_requests;
use crate::routes::{Baselines, RouteFigures, TaskArrival, figures, parse};
use crate::{Engine, EngineError};

/// Stops that a plan may have.
pub const PLAN_STOPS_MAX: usize = 10_000;
/// Seconds that a plan may be searched.
pub const PLAN_SECONDS: std::ops::RangeInclusive<f64> = 0.1..=600.0;
/// Plans that are searched at once in this process.
pub(crate) const PLANS_AT_ONCE_MAX: usize = 1;
/// Plans that are searched or wait for their turn in this process.
pub(crate) const PLANS_QUEUED_MAX: usize = 32;
/// How often progress is written.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);
/// How often a plan that waits for its turn says that it still does.
const QUEUE_PAUSE: Duration = Duration::from_secs(5);

/// A route plan that is asked for.
#[derive(Debug, Clone)]
pub struct RoutePlanAsk {
    /// The request in VROOM's JSON.
    pub request: Vec<u8>,
    /// Seconds that may be searched.
    pub seconds: f64,
    /// The seed of the search.
    pub seed: u64,
    /// The plan that its figures are to be compared with.
    pub previous: Option<PlanId>,
}

impl Engine {
    /// Queues a plan; it is made whether anybody waits for it or not.
    ///
    /// # Errors
    /// A wrong request with the place of the mistake, no such previous plan, as many plans in the queue as may be, a key that
    /// is in use; the database fails.
    pub async fn start_route_plan(
        self: &Arc<Self>,
        tenant: TenantId,
        ask: RoutePlanAsk,
        key: Option<&Idempotency>,
    ) -> Result<Answered<RoutePlan>, EngineError> {
        let RoutePlanAsk { request, seconds, seed, previous } = ask;
        if !PLAN_SECONDS.contains(&seconds) {
            let message = format!("is {seconds}; it must be from {} to {}", PLAN_SECONDS.start(), PLAN_SECONDS.end());
            return Err(EngineError::invalid("/seconds", message));
        }
        let previous_kpis = self.kpis_of(tenant, previous).await?;
        let parsed = parse(&request)?;
        check_size(&parsed)?;
        let place = self.plan_queue().try_acquire_owned();
        let place = place.map_err(|_| EngineError::Busy(format!("{PLANS_QUEUED_MAX} route plans")))?;
        let now = self.clock().now();
        let plan = RoutePlan {
            tenant,
            id: PlanId::at(now, self.random()),
            version: 1,
            state: RoutePlanState::Queued,
            change: "asked for".to_owned(),
            seconds,
            seed,
            previous,
            stops: parsed.problem.stops().len() as u64,
            request: serde_json::from_slice(&request).map_err(failed("route plans"))?,
            plan: None,
            figures: None,
            progress: RoutePlanProgress::default(),
            failure: None,
            created_at: now,
            updated_at: now,
        };
        let queued = self.commerce().queue_route_plan(plan, key).await?;
        if !queued.replayed {
            let run = Run { engine: self.clone(), plan: queued.value.clone(), previous: previous_kpis };
            tokio::spawn(run.finish(parsed, place));
        }
        Ok(queued)
    }

    /// The figures of the plan that another is compared with.
    async fn kpis_of(&self, tenant: TenantId, plan: Option<PlanId>) -> Result<Option<Kpis>, EngineError> {
        let Some(id) = plan else { return Ok(None) };
        let found = self.store().route_plan(tenant, id).await.map_err(dhow_commerce::CommerceError::from)?;
        let kpis = found.and_then(|plan| serde_json::from_value(plan.figures?["kpis"].clone()).ok());
        let missing = || EngineError::invalid("/previous", format!("is {id}, which is no plan that was made"));
        kpis.map(Some).ok_or_else(missing)
    }

    /// Accepts version `expected` of a plan: each of its stops becomes an event.
    ///
    /// # Errors
    /// No such plan, another version, or one that is not made; the database fails.
    pub async fn accept_route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
        expected: i64,
    ) -> Result<RoutePlan, EngineError> {
        let plan = self.commerce().route_plan(tenant, id).await?;
        let stops = planned_shipments(&plan)?;
        Ok(self.commerce().accept_route_plan(tenant, id, expected, stops).await?)
    }
}

/// Refuses what is too large to be planned.
pub(crate) fn check_size(request: &vroom::Request) -> Result<(), EngineError> {
    let stops = request.problem.stops().len();
    if stops <= PLAN_STOPS_MAX {
        return Ok(());
    }
    Err(EngineError::invalid("/jobs", format!("has {stops} stops; at most {PLAN_STOPS_MAX} are allowed")))
}

/// The events that a plan's stops become; one whose description is a parcel's id names the parcel.
fn planned_shipments(plan: &RoutePlan) -> Result<Vec<ShipmentPlanned>, EngineError> {
    let Some(figures) = &plan.figures else { return Ok(Vec::new()) };
    let arrivals: Vec<TaskArrival> =
        serde_json::from_value(figures["arrivals"].clone()).map_err(failed("route plans"))?;
    let described = descriptions(&plan.request);
    let event = |stop: TaskArrival| ShipmentPlanned {
        plan: plan.id,
        shipment: described.get(&stop.task).and_then(|text| text.parse::<ShipmentId>().ok()),
        task: stop.task,
        vehicle: stop.vehicle,
        sequence: stop.sequence,
        arrival_s: stop.arrival.planned_s,
        arrival_p10_s: stop.arrival.p10_s,
        arrival_p90_s: stop.arrival.p90_s,
    };
    Ok(arrivals.into_iter().map(event).collect())
}

/// The descriptions of a request's tasks by the tasks' names.
fn descriptions<'r>(request: &'r Json) -> BTreeMap<String, &'r str> {
    let list = |name: &str| -> std::iter::Flatten<std::option::IntoIter<&'r Vec<Json>>> {
        request[name].as_array().into_iter().flatten()
    };
    let jobs = list("jobs").map(|job| ("job", job));
    let steps = list("shipments").flat_map(|one| [("pickup", &one["pickup"]), ("delivery", &one["delivery"])]);
    let described =
        |(kind, task): (&str, &'r Json)| Some((format!("{kind} {}", task["id"]), task["description"].as_str()?));
    jobs.chain(steps).filter_map(described).collect()
}

/// What the thread that searches and the task that tells of it share.
#[derive(Default)]
struct Live {
    ended: AtomicBool,
    progress: Mutex<RoutePlanProgress>,
}

/// Ends the search when the task that waits for it is gone, for example because the server stops.
struct EndsWith(Arc<Live>);

impl Drop for EndsWith {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// A plan under way.
struct Run {
    engine: Arc<Engine>,
    plan: RoutePlan,
    previous: Option<Kpis>,
}

impl Run {
    async fn finish(self, request: vroom::Request, _place: OwnedSemaphorePermit) {
        let (tenant, id) = (self.plan.tenant, self.plan.id);
        let end = match self.make(request).await {
            Ok(Some(made)) => RoutePlanEnd::Made(Box::new(made)),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%id, %error, "a route plan failed");
                RoutePlanEnd::Failed(error.to_string())
            }
        };
        // Where even this cannot be written, the plan falls silent and reads as interrupted.
        if let Err(error) = self.engine.commerce().end_route_plan(tenant, id, end).await {
            tracing::error!(%id, %error, "the end of a route plan could not be written");
        }
    }

    /// Waits for its turn and plans; nothing where somebody ended it meanwhile.
    async fn make(&self, request: vroom::Request) -> Result<Option<MadePlan>, EngineError> {
        let engine = &self.engine;
        let mut turn = std::pin::pin!(engine.plan_turns().acquire_owned());
        let turn = loop {
            tokio::select! {
                turn = &mut turn => break turn.map_err(failed("route planner"))?,
                () = tokio::time::sleep(QUEUE_PAUSE) => {
                    if !self.tell(RoutePlanState::Queued, &RoutePlanProgress::default()).await? { return Ok(None); }
                }
            }
        };
        if !self.tell(RoutePlanState::Running, &RoutePlanProgress::default()).await? {
            return Ok(None);
        }
        let live = Arc::new(Live::default());
        let _end = EndsWith(live.clone());
        let begin = engine.stopwatch().now();
        let search = Search { live: live.clone(), stopwatch: engine.stopwatch().clone(), begin };
        let (plan, previous) = (self.plan.clone(), self.previous.clone());
        let mut work = std::pin::pin!(beside_requests(move || {
            let _turn = turn;
            let best = search.best(&request, plan.seconds, plan.seed)?;
            let figures = figures(&request, &best, previous, Baselines::Made);
            let made = MadePlan {
                stops: plan.stops,
                request: plan.request,
                plan: request.response(&best),
                figures: json!(figures),
                change: "planned".to_owned(),
            };
            Ok::<_, SolveError>((made, best, figures))
        }));
        let solved = loop {
            tokio::select! {
                solved = &mut work => break solved.map_err(failed("route planner"))?,
                () = tokio::time::sleep(PROGRESS_PAUSE) => {
                    let progress = *live.progress.lock();
                    if !self.tell(RoutePlanState::Running, &progress).await? { return Ok(None); }
                }
            }
        };
        let (made, best, figures) = solved.map_err(failed("route planner"))?;
        self.record(&best, &figures, engine.stopwatch().now().micros_since(begin)).await?;
        Ok(Some(made))
    }

    /// Writes how far it is; false where somebody ended it.
    async fn tell(&self, state: RoutePlanState, progress: &RoutePlanProgress) -> Result<bool, EngineError> {
        let (tenant, id) = (self.plan.tenant, self.plan.id);
        Ok(self.engine.commerce().progress_route_plan(tenant, id, state, progress).await?)
    }

    async fn record(&self, best: &Plan, figures: &RouteFigures, latency_us: i64) -> Result<(), EngineError> {
        let stops = self.plan.stops as usize;
        self.engine.record_routes(self.plan.tenant, self.plan.id, stops, (best, figures), latency_us).await?;
        Ok(())
    }
}

/// The search of one plan.
struct Search {
    live: Arc<Live>,
    stopwatch: Arc<dyn Clock>,
    begin: Timestamp,
}

impl Search {
    /// The best plan found in time; each better one is told of at once.
    fn best(&self, request: &vroom::Request, seconds: f64, seed: u64) -> Result<Plan, SolveError> {
        let budget = Budget { iterations: MAX_ITERATIONS, seed };
        let plan = request.solve_watched(&budget, &|| self.share(seconds), &mut |plan| self.tell(plan))?;
        if self.live.progress.lock().cost != Some(plan.cost) {
            self.tell(&plan);
        }
        Ok(plan)
    }

    /// The share of the time that is over.
    fn share(&self, seconds: f64) -> f64 {
        let elapsed_us = self.stopwatch.now().micros_since(self.begin) as f64;
        let share = (elapsed_us / (seconds * 1e6)).min(1.0);
        self.live.progress.lock().share = share;
        if self.live.ended.load(Ordering::Acquire) { 1.0 } else { share }
    }

    fn tell(&self, plan: &Plan) {
        let mut progress = self.live.progress.lock();
        progress.incumbents += 1;
        progress.cost = Some(plan.cost);
        progress.distance_m = Some(plan.distance_m);
        progress.vehicles = Some(plan.routes.len() as u64);
        progress.unassigned = Some(plan.unassigned.len() as u64);
    }
}
