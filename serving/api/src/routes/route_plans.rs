//! Route plans that take longer: asked for, watched by server-sent events, cancelled, accepted; planning is the engine's.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{ExpectedVersion, FieldProblem, Page, RoutePlan, RoutePlanProgress, RoutePlanState, Storage};
use dhow_engine::{RouteInsertion, RouteOrder, RoutePlanAsk, RouteReoptimisation};
use dhow_events::{PlanId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{
    JSON_TYPE, JsonBody, Parameters, PathId, RawBody, etag, expected_version, idempotency, page_request, parse_json,
};
use crate::problem::Problem;
use crate::schemas;
use crate::settings::{EVENT_PAUSE, EVENT_STREAM_TIME_MAX, EVENT_STREAMS_MAX};

/// Seconds of a search where the request does not say.
const SECONDS_DEFAULT: f64 = 30.0;

/// How a plan is to be made.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RoutePlanParameters {
    /// Seconds that may be searched, 0.1 to 600; 30 where it is absent.
    seconds: Option<f64>,
    /// The seed of the search; 0 where it is absent.
    seed: Option<u64>,
    /// A plan whose figures stand beside the new one's.
    #[param(value_type = Option<String>)]
    previous: Option<PlanId>,
}

/// How far the planning is, and the best plan so far.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RouteProgressAnswer {
    /// The share of its time that is over, 0 to 1.
    share: f64,
    /// Plans found so far of which each was better than the one before.
    incumbents: u64,
    /// Cost of the best one; null before the first.
    #[schema(required)]
    cost: Option<i64>,
    /// Metres driven by it.
    #[schema(required)]
    distance_m: Option<i64>,
    /// Vehicles that it uses.
    #[schema(required)]
    vehicles: Option<u64>,
    /// Stops that it leaves out.
    #[schema(required)]
    unassigned: Option<u64>,
}

impl From<RoutePlanProgress> for RouteProgressAnswer {
    fn from(progress: RoutePlanProgress) -> Self {
        let RoutePlanProgress { share, incumbents, cost, distance_m, vehicles, unassigned } = progress;
        Self { share, incumbents, cost, distance_m, vehicles, unassigned }
    }
}

/// A route plan without its request and answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutePlanSummary {
    #[schema(value_type = String)]
    id: PlanId,
    /// Counts its changes; also its ETag.
    version: i64,
    /// `queued`, `running`, `finished`, `accepted`, `failed`, `cancelled`, or `interrupted`: its server ended before it did.
    #[schema(value_type = String)]
    state: RoutePlanState,
    /// What made this version.
    change: String,
    /// Seconds that may be searched.
    seconds: f64,
    seed: u64,
    /// The plan that its figures are compared with.
    #[schema(value_type = Option<String>, required)]
    previous: Option<PlanId>,
    stops: u64,
    progress: RouteProgressAnswer,
    /// Why it failed.
    #[schema(required)]
    failure: Option<String>,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    updated_at: Timestamp,
}

/// A route plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoutePlanAnswer {
    #[serde(flatten)]
    summary: RoutePlanSummary,
    /// VROOM's problem, with what was inserted since.
    #[schema(value_type = Object)]
    request: Value,
    /// VROOM's answer; null before there is one.
    #[schema(value_type = Option<Object>, required)]
    plan: Option<Value>,
    /// `kpis` of the plan beside those of the `nearest_neighbour` plan, the `savings` plan and the `previous` one, and the
    /// `arrivals` that are predicted; null before there is a plan.
    #[schema(value_type = Option<Object>, required)]
    figures: Option<Value>,
}

impl From<RoutePlan> for RoutePlanAnswer {
    fn from(mut plan: RoutePlan) -> Self {
        let (request, answer, figures) = (plan.request.take(), plan.plan.take(), plan.figures.take());
        Self { summary: plan.into(), request, plan: answer, figures }
    }
}

impl From<RoutePlan> for RoutePlanSummary {
    fn from(plan: RoutePlan) -> Self {
        Self {
            id: plan.id,
            version: plan.version,
            state: plan.state,
            change: plan.change,
            seconds: plan.seconds,
            seed: plan.seed,
            previous: plan.previous,
            stops: plan.stops,
            progress: plan.progress.into(),
            failure: plan.failure,
            created_at: plan.created_at,
            updated_at: plan.updated_at,
        }
    }
}

/// The plan with its version as ETag.
pub(super) fn tagged(plan: RoutePlan) -> Response {
    ([(header::ETAG, etag(plan.version))], Json(RoutePlanAnswer::from(plan))).into_response()
}

/// The version that a change is for; it must be given.
pub(super) fn wanted_version(headers: &HeaderMap) -> Result<i64, Problem> {
    match expected_version(headers)? {
        ExpectedVersion::Exactly(version) => Ok(version),
        ExpectedVersion::Absent | ExpectedVersion::Any => {
            let detail = "a plan that is there is changed with If-Match and the ETag that GET gave";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, "stale_version", detail))
        }
    }
}

/// Ask for a plan that may take longer.
///
/// Takes the JSON of VROOM as `POST /v1/routes` does, of at most 10,000 stops. Answers at once; `Location` tells how far it is,
/// its `/events` tells by itself. With an `Idempotency-Key` the same request gives the same plan. Of the plans that nobody
/// accepted the last 200 are kept.
#[utoipa::path(
    post, path = "/v1/route-plans", tag = "routes",
    request_body(content = Value, description = "A VROOM problem."),
    params(RoutePlanParameters, ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 202, body = RoutePlanAnswer)),
)]
pub(crate) async fn post_route_plans(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<RoutePlanParameters>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let route = format!("POST /v1/route-plans?{}", request.uri().query().unwrap_or_default());
    let bytes = RawBody::read(request, &[JSON_TYPE]).await?.bytes;
    parse_json::<serde::de::IgnoredAny>(&bytes)?;
    let key = idempotency(&headers, &route, &bytes)?;
    let ask = RoutePlanAsk {
        request: bytes.to_vec(),
        seconds: parameters.seconds.unwrap_or(SECONDS_DEFAULT),
        seed: parameters.seed.unwrap_or_default(),
        previous: parameters.previous,
    };
    let queued = app.engine.start_route_plan(caller.tenant, ask, key.as_ref()).await?;
    let place = [(header::LOCATION, format!("/v1/route-plans/{}", queued.value.id))];
    Ok((StatusCode::ACCEPTED, place, replayed(queued.replayed), tagged(queued.value)).into_response())
}

/// Which plans.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanListParameters {
    /// Only in this state: `queued`, `running`, `finished`, `accepted`, `failed` or `cancelled`.
    #[param(value_type = Option<String>)]
    state: Option<RoutePlanState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List plans, newest first.
#[utoipa::path(
    get, path = "/v1/route-plans", tag = "routes", params(PlanListParameters),
    responses((status = 200, body = schemas::RoutePlanPage)),
)]
pub(crate) async fn get_route_plans(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<PlanListParameters>,
) -> Result<Json<Value>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), PlanId::KIND.prefix)?;
    let Page { items, next } = app.engine.store().route_plans(caller.tenant, parameters.state, &page).await?;
    let now = app.engine.clock().now();
    let items: Vec<RoutePlanSummary> = items.into_iter().map(|plan| plan.at(now).into()).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

/// Which version of a plan.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionParameters {
    /// An earlier version; the last 20 are kept.
    version: Option<i64>,
}

/// Read a plan: how far it is, and the plan once it is made.
#[utoipa::path(
    get, path = "/v1/route-plans/{id}", tag = "routes",
    params(("id" = String, Path, description = "The plan."), VersionParameters),
    responses((status = 200, body = RoutePlanAnswer)),
)]
pub(crate) async fn get_route_plan(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PlanId>,
    Parameters(VersionParameters { version }): Parameters<VersionParameters>,
) -> Result<Response, Problem> {
    let Some(version) = version else { return Ok(tagged(app.engine.commerce().route_plan(caller.tenant, id).await?)) };
    let found = app.engine.store().route_plan_version(caller.tenant, id, version).await?;
    found.map(tagged).ok_or_else(|| Problem::not_found(format!("version {version} of route plan {id}")))
}

/// Cancel a plan that is not made yet, whichever server makes it. 409 where it is made already.
#[utoipa::path(
    delete, path = "/v1/route-plans/{id}", tag = "routes",
    params(("id" = String, Path, description = "The plan.")),
    responses((status = 200, body = RoutePlanAnswer)),
)]
pub(crate) async fn delete_route_plan(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PlanId>,
) -> Result<Response, Problem> {
    Ok(tagged(app.engine.commerce().cancel_route_plan(caller.tenant, id).await?))
}

/// Accept a plan: each of its stops becomes a `shipment_planned` event, in the transaction of the acceptance.
///
/// A job whose `description` is a parcel's id (`shp_…`) names the parcel in its event. A plan that is changed afterwards is
/// accepted again, and its later events stand in the place of the earlier ones.
#[utoipa::path(
    post, path = "/v1/route-plans/{id}/accept", tag = "routes",
    params(
        ("id" = String, Path, description = "The plan."),
        ("If-Match" = String, Header, description = "The plan's ETag."),
    ),
    responses((status = 200, body = RoutePlanAnswer)),
)]
pub(crate) async fn post_accept(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PlanId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let version = wanted_version(&headers)?;
    Ok(tagged(app.engine.accept_route_plan(caller.tenant, id, version).await?))
}

/// Watch a plan being made.
///
/// Server-sent events, whichever server makes it: `progress` when its state changes, `incumbent` with each better plan's
/// figures, and `end` when it is made or ended. Each holds `state`, `version` and `progress`. Ends after 11 minutes.
#[utoipa::path(
    get, path = "/v1/route-plans/{id}/events", tag = "routes",
    params(("id" = String, Path, description = "The plan.")),
    responses((status = 200, content_type = "text/event-stream", body = String)),
)]
pub(crate) async fn get_plan_events(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PlanId>,
) -> Result<Response, Problem> {
    app.engine.commerce().route_plan_head(caller.tenant, id).await?;
    let place = app.stream_places.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::busy("busy", format!("{EVENT_STREAMS_MAX} streams of events are open already")))?;
    let until = app.tick() + EVENT_STREAM_TIME_MAX.as_micros() as i64;
    let watch = Watch { app, tenant: caller.tenant, id, until, seen: None, ended: false, _place: place };
    let alive = KeepAlive::new().interval(Duration::from_secs(10));
    Ok(Sse::new(futures::stream::unfold(watch, next_event)).keep_alive(alive).into_response())
}

/// Somebody who watches a plan.
struct Watch {
    app: Shared,
    tenant: TenantId,
    id: PlanId,
    until: Timestamp,
    /// State and number of incumbents that were told of last.
    seen: Option<(RoutePlanState, u64)>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

/// The next event, once there is news; nothing after the last one.
async fn next_event(mut watch: Watch) -> Option<(Result<Event, Infallible>, Watch)> {
    while !watch.ended && watch.app.tick() < watch.until {
        let head = match watch.app.engine.commerce().route_plan_head(watch.tenant, watch.id).await {
            Ok(head) => head,
            Err(error) => {
                tracing::error!(id = %watch.id, %error, "a stream of events ended early");
                return None;
            }
        };
        let now = (head.state, head.progress.incumbents);
        if watch.seen == Some(now) {
            tokio::time::sleep(EVENT_PAUSE).await;
            continue;
        }
        let more = watch.seen.map_or(now.1 > 0, |(_, incumbents)| incumbents < now.1);
        watch.ended = !head.state.is_under_way();
        watch.seen = Some(now);
        let name = if watch.ended {
            "end"
        } else if more {
            "incumbent"
        } else {
            "progress"
        };
        let progress = RouteProgressAnswer::from(head.progress);
        let data = json!({ "state": head.state, "version": head.version, "progress": progress });
        return Some((Ok(Event::default().event(name).data(data.to_string())), watch));
    }
    None
}

/// One more order for a live plan: a job or a shipment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InsertRequest {
    /// A VROOM job.
    #[schema(value_type = Option<Object>)]
    job: Option<Value>,
    /// A VROOM shipment.
    #[schema(value_type = Option<Object>)]
    shipment: Option<Value>,
    /// Whether only the price is asked for, and the plan stays as it is; false where it is absent.
    #[serde(default)]
    #[schema(required = false)]
    price_only: bool,
}

/// Where the order went, or would go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InsertAnswer {
    /// The id of the vehicle that takes it.
    vehicle: String,
    /// Its place in the vehicle's round, from 1; of a shipment the pickup's.
    position: usize,
    /// What it adds to the plan's cost.
    added_cost: i64,
    /// The plan with the order; as it was where only the price was asked for.
    plan: RoutePlanAnswer,
}

/// Put one order into a live plan.
///
/// It goes where it costs least; no other task changes its vehicle or its order. 409 where it has no place, with what would
/// make one. An accepted plan waits to be accepted again afterwards. Sent again it is refused (412): nothing is put in twice.
#[utoipa::path(
    post, path = "/v1/route-plans/{id}/insert", tag = "routes", request_body = InsertRequest,
    params(
        ("id" = String, Path, description = "The plan."),
        ("If-Match" = String, Header, description = "The plan's ETag."),
    ),
    responses((status = 200, body = InsertAnswer)),
)]
pub(crate) async fn post_insert(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PlanId>,
    headers: HeaderMap,
    body: JsonBody<InsertRequest>,
) -> Result<Response, Problem> {
    let version = wanted_version(&headers)?;
    let InsertRequest { job, shipment, price_only } = body.value;
    let order = match (job, shipment) {
        (Some(job), None) => RouteOrder::Job(job),
        (None, Some(shipment)) => RouteOrder::Shipment(shipment),
        _ => return Err(Problem::invalid([FieldProblem::new("", "must have either `job` or `shipment`")])),
    };
    let found = app.engine.insert_into_route_plan(caller.tenant, id, version, order, price_only).await?;
    let RouteInsertion { plan, vehicle, position, added_cost } = found;
    let tag = [(header::ETAG, etag(plan.version))];
    Ok((tag, Json(InsertAnswer { vehicle, position, added_cost, plan: plan.into() })).into_response())
}

/// How a live plan may change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReoptimiseRequest {
    /// What it costs that a task changes its vehicle, in the plan's unit of cost.
    stability_price: i64,
    /// Seconds that may be searched, 0.05 to 5; 0.25 where it is absent.
    seconds: Option<f64>,
}

/// What the search came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReoptimiseAnswer {
    /// Tasks that another vehicle serves than before.
    moved: Vec<String>,
    /// What their moves are counted with: their number times the price of stability.
    stability_cost: i64,
    cost_before: i64,
    cost: i64,
    /// The plan as it is now; its version stays where nothing better was found.
    plan: RoutePlanAnswer,
}

/// Seconds of a search in a live plan where the request does not say.
const REOPTIMISE_SECONDS_DEFAULT: f64 = 0.25;

/// Make a live plan better with few changes.
///
/// A task changes its vehicle only where that saves more than the price of stability. What was left out is served where it can
/// be. Sent again it is refused (412) where the plan changed.
#[utoipa::path(
    post, path = "/v1/route-plans/{id}/reoptimise", tag = "routes", request_body = ReoptimiseRequest,
    params(
        ("id" = String, Path, description = "The plan."),
        ("If-Match" = String, Header, description = "The plan's ETag."),
    ),
    responses((status = 200, body = ReoptimiseAnswer)),
)]
pub(crate) async fn post_reoptimise(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<PlanId>,
    headers: HeaderMap,
    body: JsonBody<ReoptimiseRequest>,
) -> Result<Response, Problem> {
    let version = wanted_version(&headers)?;
    let ReoptimiseRequest { stability_price, seconds } = body.value;
    let seconds = seconds.unwrap_or(REOPTIMISE_SECONDS_DEFAULT);
    let found = app.engine.reoptimise_route_plan(caller.tenant, id, version, stability_price, seconds).await?;
    let RouteReoptimisation { plan, moved, cost_before, cost } = found;
    let stability_cost = stability_price.saturating_mul(moved.len() as i64);
    let tag = [(header::ETAG, etag(plan.version))];
    let answer = ReoptimiseAnswer { moved, stability_cost, cost_before, cost, plan: plan.into() };
    Ok((tag, Json(answer)).into_response())
}
