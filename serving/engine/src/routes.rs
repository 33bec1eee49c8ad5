//! Route plans on request: VROOM's JSON in and out, bounded in stops, time and number at once.

use std::sync::Arc;

use dhow_commerce::{DecisionKind, Reason};
use dhow_events::facts::RoutesPlanned;
use dhow_events::{DecisionId, PlanId, SECOND_MICROS, TenantId};
use dhow_routes::{Budget, Kpis, kpis, nearest_neighbour, vroom};

use crate::decisions::Question;
use crate::error::failed;
use crate::{Answer, Engine, EngineError};

/// Stops that one synchronous request may have.
pub const ROUTE_STOPS_MAX: usize = 2_000;
/// Solving ends after so long, with the best plan found.
pub const ROUTE_TIME_MAX_MICROS: i64 = 5 * SECOND_MICROS;
/// Iterations for each stop; small problems end long before the time is over.
const ITERATIONS_PER_STOP: u64 = 200;
/// The speed between places that are given by coordinates, km/h.
const SPEED_KMH: f64 = 40.0;
/// The name that answers carry.
const MODEL: &str = concat!("local-search@", env!("CARGO_PKG_VERSION"));

/// A plan with what a planner asks about it.
#[derive(Debug, Clone)]
pub struct RouteAnswer {
    /// The plan's id.
    pub plan: PlanId,
    /// VROOM's response.
    pub response: serde_json::Value,
    /// The plan's figures.
    pub kpis: Kpis,
    /// The same figures of the nearest-neighbour plan.
    pub nearest_neighbour: Kpis,
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
        let parsed =
            vroom::parse(&request, SPEED_KMH).map_err(|error| EngineError::invalid(error.path(), error.to_string()))?;
        let stop_count = parsed.problem.stops().len();
        if stop_count > ROUTE_STOPS_MAX {
            return Err(EngineError::invalid(
                "/jobs",
                format!("has {stop_count} stops; at most {ROUTE_STOPS_MAX} are allowed"),
            ));
        }
        let stopwatch = Arc::clone(self.stopwatch());
        let work = move || {
            let _permit = permit;
            let budget = Budget { iterations: ITERATIONS_PER_STOP * stop_count as u64, ..Budget::default() };
            let out_of_time = || stopwatch.now().micros_since(begin) > ROUTE_TIME_MAX_MICROS;
            let plan = parsed.solve(&budget, &out_of_time)?;
            let baseline = kpis(&parsed.problem, &nearest_neighbour(&parsed.problem));
            Ok::<_, dhow_routes::SolveError>((parsed.response(&plan), kpis(&parsed.problem, &plan), baseline, plan))
        };
        let solved = tokio::task::spawn_blocking(work).await.map_err(failed("route planner"))?;
        let (response, figures, baseline, plan) = solved.map_err(failed("route planner"))?;
        let latency_us = self.stopwatch().now().micros_since(begin);
        let now = self.clock().now();
        let (plan_id, decision) = (PlanId::at(now, self.random()), DecisionId::at(now, self.random()));
        let saved = 100.0 * (1.0 - figures.cost as f64 / (baseline.cost as f64).max(1.0));
        let reasons = vec![Reason {
            code: "cost_against_nearest_neighbour".to_owned(),
            text: format!("{saved:.1} % cheaper than going to the nearest stop each time"),
            contribution: saved,
        }];
        let fact = RoutesPlanned {
            plan: plan_id,
            decision,
            model: MODEL.to_owned(),
            stop_count: stop_count as i64,
            unassigned_count: plan.unassigned.len() as i64,
            vehicle_count: plan.routes.len() as i64,
            distance_m: plan.distance_m,
        };
        let question = Question {
            tenant,
            kind: DecisionKind::Route,
            subject: plan_id.to_string(),
            request: serde_json::json!({ "stops": stop_count }),
            answer: serde_json::json!({ "cost": plan.cost, "distance_m": plan.distance_m, "unassigned": plan.unassigned.len() }),
            at: now,
        };
        let value = RouteAnswer { plan: plan_id, response, kpis: figures, nearest_neighbour: baseline };
        let answer = Answer { value, model: MODEL.to_owned(), decision, reasons, degraded: false, latency_us };
        self.record_soon(answer.record(question), fact.into()).await?;
        Ok(answer)
    }
}
