//! Routes in VROOM's JSON that are planned, checked and explained at once; solving is the engine's.

use axum::Json;
use axum::extract::{Request, State};
use dhow_engine::RouteFigures;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::answers::ModelPart;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{JSON_TYPE, JsonBody, RawBody, parse_json};
use crate::problem::Problem;

/// A plan in VROOM's JSON, with ours under `dhow`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutesAnswer {
    /// 0: solved.
    code: i64,
    /// VROOM's summary.
    #[schema(value_type = Object)]
    summary: Value,
    /// VROOM's list of stops left out, with a reason.
    unassigned: Vec<Value>,
    /// VROOM's routes.
    routes: Vec<Value>,
    /// What every model's answer carries.
    dhow: RoutesPart,
}

/// What every model's answer carries, and the figures of the plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutesPart {
    #[schema(value_type = String)]
    plan: dhow_events::PlanId,
    /// Cost, distance, durations, utilisation, on-time share, balance of duty, and CO₂e with its factor in grams per kilometre.
    #[schema(value_type = Object)]
    kpis: Value,
    /// The same figures of going to the nearest stop each time.
    #[schema(value_type = Option<Object>, required)]
    nearest_neighbour: Value,
    /// The same figures of the savings plan; null where it does not know the problem's rules.
    #[schema(value_type = Option<Object>, required)]
    savings: Value,
    /// The share of the nearest-neighbour plan's cost that is saved, by the stops that both serve.
    #[schema(required)]
    saved_share: Option<f64>,
    /// How far days are assumed to differ from plans: relative standard deviations of a day's driving, a leg and a service.
    #[schema(value_type = Object)]
    deviations: Value,
    /// When each stop is reached: planned, and before which second on 10, 50 and 90 of 100 days.
    #[schema(value_type = Vec<Object>)]
    arrivals: Value,
    #[serde(flatten)]
    model: ModelPart,
}

impl RoutesPart {
    fn new(plan: dhow_events::PlanId, figures: &RouteFigures, model: ModelPart) -> Self {
        Self {
            plan,
            kpis: json!(figures.kpis),
            nearest_neighbour: json!(figures.nearest_neighbour),
            savings: json!(figures.savings),
            saved_share: figures.saved_share,
            deviations: json!(figures.deviations),
            arrivals: json!(figures.arrivals),
            model,
        }
    }
}

/// Plan vehicle routes at once.
///
/// Takes and gives the JSON of VROOM: `jobs`, `shipments`, `vehicles`, optional `matrices`. At most 2,000 stops; the search
/// takes 5 ms for each stop, 5 seconds at most. What is larger, or may take longer, is for `POST /v1/route-plans`.
#[utoipa::path(
    post, path = "/v1/routes", tag = "routes",
    request_body(content = Value, description = "A VROOM problem."),
    responses((status = 200, body = RoutesAnswer)),
)]
pub(crate) async fn post_routes(
    State(app): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    plan_at_once(&app, caller, request).await
}

/// The same as `POST /v1/routes`, at the path that clients of openrouteservice call below their base URL.
#[utoipa::path(
    post, path = "/v1/optimization", tag = "routes",
    request_body(content = Value, description = "A VROOM problem."),
    responses((status = 200, body = RoutesAnswer)),
)]
pub(crate) async fn post_optimization(
    State(app): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    plan_at_once(&app, caller, request).await
}

async fn plan_at_once(app: &App, caller: Caller, request: Request) -> Result<Json<Value>, Problem> {
    let bytes = RawBody::read(request, &[JSON_TYPE]).await?.bytes;
    parse_json::<serde::de::IgnoredAny>(&bytes)?;
    let (plan, model) = ModelPart::split(app.engine.plan_routes(caller.tenant, bytes.to_vec()).await?);
    let mut response = plan.response;
    response["dhow"] = json!(RoutesPart::new(plan.plan, &plan.figures, model));
    Ok(Json(response))
}

/// A solution to be judged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SolutionRequest {
    /// A VROOM problem.
    #[schema(value_type = Object)]
    problem: Value,
    /// A VROOM answer to it, ours or another planner's. Times are worked out anew; costs and distances that it states are checked.
    #[schema(value_type = Object)]
    solution: Value,
}

impl SolutionRequest {
    fn into_bytes(self) -> (Vec<u8>, Vec<u8>) {
        (self.problem.to_string().into_bytes(), self.solution.to_string().into_bytes())
    }
}

/// One thing that is wrong with a solution.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViolationAnswer {
    /// A JSON Pointer into the plan: its routes in the order of the problem's vehicles.
    path: String,
    message: String,
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouteCheckAnswer {
    /// Whether the solution keeps every rule and states its own figures rightly.
    valid: bool,
    violations: Vec<ViolationAnswer>,
    /// The solution's figures.
    #[schema(value_type = Object)]
    kpis: Value,
}

/// Check a solution.
///
/// The checker shares no code with the planner. At most 2,000 stops.
#[utoipa::path(
    post, path = "/v1/routes/check", tag = "routes", request_body = SolutionRequest,
    responses((status = 200, body = RouteCheckAnswer)),
)]
pub(crate) async fn post_check(
    State(app): State<Shared>,
    _caller: Caller,
    body: JsonBody<SolutionRequest>,
) -> Result<Json<RouteCheckAnswer>, Problem> {
    let (problem, solution) = body.value.into_bytes();
    let found = app.engine.check_routes(problem, solution).await?;
    let violations = found.violations.into_iter();
    let violations: Vec<ViolationAnswer> =
        violations.map(|found| ViolationAnswer { path: found.path, message: found.message }).collect();
    Ok(Json(RouteCheckAnswer { valid: violations.is_empty(), violations, kpis: json!(found.kpis) }))
}

/// Why tasks are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplanationsAnswer {
    /// One for each task left out: `task`, `reason`, `reason_text`, `impossible_alone`, the `vehicle` and `position` where
    /// least is `missing`, the least `relaxation` that lets it in there, and its `added_cost`.
    #[schema(value_type = Vec<Object>)]
    explanations: Value,
}

/// Explain why tasks are left out, and what would let each in.
#[utoipa::path(
    post, path = "/v1/routes/explain", tag = "routes", request_body = SolutionRequest,
    responses((status = 200, body = ExplanationsAnswer)),
)]
pub(crate) async fn post_explain(
    State(app): State<Shared>,
    _caller: Caller,
    body: JsonBody<SolutionRequest>,
) -> Result<Json<ExplanationsAnswer>, Problem> {
    let (problem, solution) = body.value.into_bytes();
    Ok(Json(ExplanationsAnswer { explanations: json!(app.engine.explain_routes(problem, solution).await?) }))
}
