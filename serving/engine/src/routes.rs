//! Route plans that are answered at once: VROOM's JSON in and out, bounded in stops, time and number; checks and explanations of plans.

use std::sync::Arc;

use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::RoutesPlanned;
use dhow_events::{DecisionId, PlanId, SECOND_MICROS, TenantId};
use dhow_routes::{
    Arrival, Budget, Deviations, Kpis, MAX_ITERATIONS, Plan, SolveError, UnassignedReason, Violation, arrivals, check,
    explain, kpis, nearest_neighbour, saved_share, savings, vroom,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::decisions::Question;
use crate::error::failed;
use crate::{Answer, Engine, EngineError};

/// Stops that one synchronous request may have; more are planned by `POST /v1/route-plans`.
pub const ROUTE_STOPS_MAX: usize = 2_000;
/// A synchronous search ends after so long, with the best plan found.
pub const ROUTE_TIME_MAX_MICROS: i64 = 5 * SECOND_MICROS;
/// How long a synchronous search takes for each stop.
pub const ROUTE_TIME_PER_STOP_MICROS: i64 = 5_000;
/// The nearest-neighbour plan is made for problems of at most so many stops: it takes time in their square.
const BASELINE_STOPS_MAX: usize = 2_000;
/// The speed between places that are given by coordinates, km/h.
const SPEED_KMH: f64 = 40.0;
/// The name that answers carry.
pub(crate) const MODEL: &str = concat!("ruin-and-recreate@", env!("CARGO_PKG_VERSION"));

/// A plan's figures, and those of the plans that it is compared with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteFigures {
    /// The plan's.
    pub kpis: Kpis,
    /// Those of going to the nearest stop each time; nothing above 2,000 stops, and for a live plan
    /// that was changed.
    pub nearest_neighbour: Option<Kpis>,
    /// Those of the savings plan; nothing where the problem has rules that it does not know, and for a live plan
    /// that was changed.
    pub savings: Option<Kpis>,
    /// Those of the previous plan, where there is one.
    pub previous: Option<Kpis>,
    /// The share of the nearest-neighbour plan's cost that is saved, by the stops that both serve; nothing where there is none.
    pub saved_share: Option<f64>,
    /// How far days are assumed to differ from plans.
    pub deviations: Deviations,
    /// When each stop will be reached, in the order of the routes.
    pub arrivals: Vec<TaskArrival>,
}

/// When a stop will be reached, in the request's own names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskArrival {
    /// The vehicle's id.
    pub vehicle: String,
    /// `job 12`, `pickup 3` or `delivery 3`.
    pub task: String,
    /// The stop's place in the vehicle's round, from 1.
    pub sequence: i64,
    /// Planned and predicted seconds, and how likely it is to be on time.
    #[serde(flatten)]
    pub arrival: Arrival,
}

/// A plan with what a planner asks about it.
#[derive(Debug, Clone)]
pub struct RouteAnswer {
    /// The plan's id.
    pub plan: PlanId,
    /// VROOM's response.
    pub response: Json,
    /// The plan's figures.
    pub figures: RouteFigures,
}

/// What a check of a solution finds.
#[derive(Debug, Clone)]
pub struct RouteCheck {
    /// Everything that is wrong; nothing where the solution keeps all rules and its own figures are right.
    pub violations: Vec<Violation>,
    /// The solution's figures.
    pub kpis: Kpis,
}

/// Why a task is left out, and what would let it in.
#[derive(Debug, Clone, Serialize)]
pub struct TaskExplanation {
    /// `job 12`, `pickup 3` or `delivery 3`.
    pub task: String,
    /// A stable word.
    pub reason: Json,
    /// The same for people.
    pub reason_text: &'static str,
    /// Whether no vehicle could serve it even alone.
    pub impossible_alone: bool,
    /// The vehicle where least is missing; nothing where every place breaks an order of tasks.
    pub vehicle: Option<String>,
    /// The task's place in that vehicle's round, from 1.
    pub position: Option<usize>,
    /// Which rules are broken there, and by how much.
    pub missing: Json,
    /// The least change of the request with which it would be served there, in words.
    pub relaxation: Vec<String>,
    /// What serving it there adds to the cost.
    pub added_cost: i64,
}

impl Engine {
    /// Plans routes for a request in VROOM's JSON.
    ///
    /// # Errors
    /// A wrong request with the place of the mistake, too many stops, or as many plans under way as may be.
    pub async fn plan_routes(&self, tenant: TenantId, request: Vec<u8>) -> Result<Answer<RouteAnswer>, EngineError> {
        let permit =
            self.route_permits().try_acquire_owned().map_err(|_| EngineError::Busy("route plans".to_owned()))?;
        let begin = self.stopwatch().now();
        let parsed = parse(&request)?;
        let stops = parsed.problem.stops().len();
        if stops > ROUTE_STOPS_MAX {
            let message = format!(
                "has {stops} stops; at most {ROUTE_STOPS_MAX} are planned at once, more by POST /v1/route-plans"
            );
            return Err(EngineError::invalid("/jobs", message));
        }
        let stopwatch = Arc::clone(self.stopwatch());
        let work = move || {
            let _permit = permit;
            let time_us = (stops as i64 * ROUTE_TIME_PER_STOP_MICROS).min(ROUTE_TIME_MAX_MICROS);
            let progress = || stopwatch.now().micros_since(begin) as f64 / time_us.max(1) as f64;
            let plan = parsed.solve_paced(&Budget { iterations: MAX_ITERATIONS, seed: 0 }, &progress)?;
            Ok::<_, SolveError>((parsed.response(&plan), figures(&parsed, &plan, None, Baselines::Made), plan))
        };
        let solved = tokio::task::spawn_blocking(work).await.map_err(failed("route planner"))?;
        let (response, figures, plan) = solved.map_err(failed("route planner"))?;
        let id = PlanId::at(self.clock().now(), self.random());
        let latency_us = self.stopwatch().now().micros_since(begin);
        let (decision, reasons) = self.record_routes(tenant, id, stops, (&plan, &figures), latency_us).await?;
        let value = RouteAnswer { plan: id, response, figures };
        Ok(Answer { value, model: MODEL.to_owned(), decision, reasons, degraded: false, latency_us })
    }

    /// Records that a plan was made; gives the decision and what speaks for the plan.
    pub(crate) async fn record_routes(
        &self,
        tenant: TenantId,
        id: PlanId,
        stops: usize,
        (plan, figures): (&Plan, &RouteFigures),
        latency_us: i64,
    ) -> Result<(DecisionId, Vec<Reason>), EngineError> {
        let now = self.clock().now();
        let decision = DecisionId::at(now, self.random());
        let reason = |saved: f64| Reason {
            code: "cost_against_nearest_neighbour".to_owned(),
            text: format!("{:.1} % cheaper than going to the nearest stop each time", 100.0 * saved),
            contribution: 100.0 * saved,
        };
        let reasons: Vec<Reason> = figures.saved_share.map(reason).into_iter().collect();
        let fact = RoutesPlanned {
            plan: id,
            decision,
            model: MODEL.to_owned(),
            stop_count: stops as i64,
            unassigned_count: plan.unassigned.len() as i64,
            vehicle_count: plan.routes.len() as i64,
            distance_m: plan.distance_m,
        };
        let question = Question {
            tenant,
            kind: DecisionKind::Route,
            subject: id.to_string(),
            request: json!({ "stops": stops }),
            answer: json!({ "cost": plan.cost, "distance_m": plan.distance_m, "unassigned": plan.unassigned.len() }),
            at: now,
        };
        let answer = Answer { value: (), model: MODEL.to_owned(), decision, reasons, degraded: false, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok((decision, answer.reasons))
    }

    /// Checks a solution in VROOM's JSON against its problem, with none of the planner's own code.
    ///
    /// # Errors
    /// A wrong problem or solution, with the place of the mistake below `/problem` or `/solution`; too many stops.
    pub async fn check_routes(&self, problem: Vec<u8>, solution: Vec<u8>) -> Result<RouteCheck, EngineError> {
        self.judge_routes(problem, solution, |request, plan| RouteCheck {
            violations: check(&request.problem, plan),
            kpis: kpis(&request.problem, plan),
        })
        .await
    }

    /// Explains every task that a solution leaves out.
    ///
    /// # Errors
    /// Those of [`check_routes`](Self::check_routes).
    pub async fn explain_routes(
        &self,
        problem: Vec<u8>,
        solution: Vec<u8>,
    ) -> Result<Vec<TaskExplanation>, EngineError> {
        self.judge_routes(problem, solution, explanations).await
    }

    async fn judge_routes<T: Send + 'static>(
        &self,
        problem: Vec<u8>,
        solution: Vec<u8>,
        judge: impl FnOnce(&vroom::Request, &Plan) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let permit =
            self.route_permits().try_acquire_owned().map_err(|_| EngineError::Busy("route plans".to_owned()))?;
        let work = move || {
            let _permit = permit;
            let within = |place: &str, error: vroom::VroomError| {
                EngineError::invalid(format!("{place}{}", error.path()), error.to_string())
            };
            let request = vroom::parse(&problem, SPEED_KMH).map_err(|error| within("/problem", error))?;
            let stops = request.problem.stops().len();
            if stops > ROUTE_STOPS_MAX {
                let message = format!("has {stops} stops; at most {ROUTE_STOPS_MAX} are judged at once");
                return Err(EngineError::invalid("/problem/jobs", message));
            }
            let plan = request.plan_of_response(&solution).map_err(|error| within("/solution", error))?;
            Ok(judge(&request, &plan))
        };
        tokio::task::spawn_blocking(work).await.map_err(failed("route planner"))?
    }
}

/// Reads a request in VROOM's JSON.
pub(crate) fn parse(request: &[u8]) -> Result<vroom::Request, EngineError> {
    vroom::parse(request, SPEED_KMH).map_err(|error| EngineError::invalid(error.path(), error.to_string()))
}

/// What a stop is called in the request: a job's id in the problem is the bare number.
pub(crate) fn task_name(request: &vroom::Request, stop: usize) -> String {
    let id = &request.problem.stops()[stop].id;
    if id.contains(' ') { id.clone() } else { format!("job {id}") }
}

/// Why each task that the plan leaves out is left out.
pub(crate) fn explanations(request: &vroom::Request, plan: &Plan) -> Vec<TaskExplanation> {
    let problem = &request.problem;
    let explained = explain(problem, plan);
    let in_words = explained.into_iter().map(|found| TaskExplanation {
        task: task_name(request, found.stop),
        reason: json!(found.reason),
        reason_text: found.reason.words(),
        impossible_alone: !matches!(found.reason, UnassignedReason::NoRoomLeft | UnassignedReason::PrizeTooLow),
        vehicle: found.vehicle.map(|vehicle| problem.vehicles()[vehicle].id.clone()),
        position: found
            .steps
            .iter()
            .filter_map(|step| if let dhow_routes::Step::Stop(stop) = step { Some(*stop) } else { None })
            .position(|stop| stop == found.stop)
            .map(|position| position + 1),
        missing: json!(found.broken),
        relaxation: found.relaxation.iter().map(|change| change.words(problem)).collect(),
        added_cost: found.added_cost,
    });
    in_words.collect()
}

/// Whether simple plans are made to compare with, which takes longer than a change of a live plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Baselines {
    /// They are.
    Made,
    /// They are not.
    Skipped,
}

/// The figures of a plan beside those of simple plans and of the previous one.
pub(crate) fn figures(
    request: &vroom::Request,
    plan: &Plan,
    previous: Option<Kpis>,
    baselines: Baselines,
) -> RouteFigures {
    let problem = &request.problem;
    let made = baselines == Baselines::Made;
    let small = made && problem.stops().len() <= BASELINE_STOPS_MAX;
    let nearest = small.then(|| nearest_neighbour(problem));
    let deviations = Deviations::default();
    let predicted = arrivals(problem, plan, &deviations, 0);
    let of_route = |(route, arrivals): (&dhow_routes::Route, Vec<Arrival>)| {
        let vehicle = problem.vehicles()[route.vehicle].id.clone();
        arrivals.into_iter().enumerate().map(move |(index, arrival)| TaskArrival {
            vehicle: vehicle.clone(),
            task: task_name(request, arrival.stop),
            sequence: index as i64 + 1,
            arrival,
        })
    };
    RouteFigures {
        saved_share: nearest.as_ref().and_then(|nearest| saved_share(problem, plan, nearest)),
        kpis: kpis(problem, plan),
        nearest_neighbour: nearest.as_ref().map(|nearest| kpis(problem, nearest)),
        savings: made.then(|| savings(problem)).flatten().map(|plan| kpis(problem, &plan)),
        previous,
        deviations,
        arrivals: plan.routes.iter().zip(predicted).flat_map(of_route).collect(),
    }
}
