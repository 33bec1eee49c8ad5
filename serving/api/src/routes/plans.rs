//! Route plans in VROOM's JSON; solving is the engine's.

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::answers::ModelPart;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JSON_TYPE, RawBody, parse_json};
use crate::problem::Problem;

/// A plan in VROOM's JSON, with ours under `dhow`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutePlanAnswer {
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
    dhow: RoutePlanPart,
}

/// What every model's answer carries, and the figures of the plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutePlanPart {
    #[schema(value_type = String)]
    plan: dhow_events::PlanId,
    /// Cost, distance, duration and more.
    #[schema(value_type = Object)]
    kpis: Value,
    /// The same figures of going to the nearest stop each time.
    #[schema(value_type = Object)]
    nearest_neighbour: Value,
    #[serde(flatten)]
    model: ModelPart,
}

/// Plan vehicle routes.
///
/// Takes and gives the JSON of VROOM: `jobs`, `vehicles`, optional `matrices`. At most 2,000 stops; solving ends after
/// 5 seconds with the best plan found.
#[utoipa::path(
    post, path = "/v1/routes", tag = "models",
    request_body(content = Value, description = "A VROOM problem."),
    responses((status = 200, body = RoutePlanAnswer)),
)]
pub(crate) async fn post_routes(
    State(app): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let bytes = RawBody::read(request, &[JSON_TYPE]).await?.bytes;
    parse_json::<serde::de::IgnoredAny>(&bytes)?;
    let (plan, model) = ModelPart::split(app.engine.plan_routes(caller.tenant, bytes.to_vec()).await?);
    let part = RoutePlanPart {
        plan: plan.plan,
        kpis: json!(plan.kpis),
        nearest_neighbour: json!(plan.nearest_neighbour),
        model,
    };
    let mut response = plan.response;
    response["dhow"] = json!(part);
    Ok(Json(response))
}
