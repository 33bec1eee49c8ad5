//! Customs declarations: drafted, completed with papers, submitted, answered; their rules are in `dhow-customs`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{
    CustomsDeclaration, DeclarationChange, DeclarationFilter, DeclarationInput, DeclarationStorage, Page,
};
use dhow_customs::{Country, DeclarationState, Document, Goods};
use dhow_events::{DeclarationId, OrderId};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use super::customs::{CustomsGoods, in_units, refused, today};
use super::returns::tagged;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, expected_version, idempotency, page_request};
use crate::problem::Problem;

/// A paper that goes with a declaration; it is kept elsewhere.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what customs reads")]
pub(crate) struct DocumentBody {
    /// What it is, in the word of the rules.
    #[schema(example = "commercial_invoice")]
    kind: String,
    /// Its number or address.
    reference: String,
}

/// A declaration that is to be drafted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclarationRequest {
    /// The order whose goods they are.
    #[schema(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Where they come to: two letters of ISO 3166-1.
    #[schema(value_type = String, example = "US")]
    destination: Country,
    /// The lines, 1 to 500.
    goods: Vec<CustomsGoods>,
    /// The papers that are there, at most 100.
    #[serde(default)]
    #[schema(value_type = Option<Vec<DocumentBody>>)]
    documents: Vec<Document>,
}

/// A step of a declaration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct DeclarationStepBody {
    /// `attach`, `review`, `submit` or `answer`.
    step: String,
    /// Of `attach`: which papers.
    documents: Option<Vec<DocumentBody>>,
    /// Of `answer`: `held`, `cleared`, `refused` or `withdrawn`.
    to: Option<String>,
}

/// A step, and who takes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclarationStepRequest {
    /// Who takes it.
    by: String,
    /// Which.
    #[schema(value_type = DeclarationStepBody)]
    change: DeclarationChange,
}

/// A line of goods.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what customs writes")]
pub(crate) struct DeclaredGoods {
    hs: String,
    origin: String,
    /// In minor units of the currency of the destination's table.
    value_minor: i64,
    weight_grams: i64,
    items: i64,
}

/// A part of what a line costs, in minor units.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what customs writes")]
pub(crate) struct DeclaredPart {
    /// `duty`, `extra` or `tax`.
    kind: String,
    id: String,
    reason: String,
    base_minor: i64,
    amount_minor: i64,
    #[schema(required)]
    lifted_by: Option<String>,
}

/// What a line costs, in minor units.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what customs writes")]
pub(crate) struct DeclaredLine {
    parts: Vec<DeclaredPart>,
    duty_minor: i64,
    tax_minor: i64,
}

/// What all of it costs, as of the last time that it was submitted.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what customs writes")]
pub(crate) struct DeclaredQuote {
    /// The version of the tariff table.
    version: String,
    currency: String,
    lines: Vec<DeclaredLine>,
    value_minor: i64,
    duty_minor: i64,
    tax_minor: i64,
    total_minor: i64,
}

/// A customs declaration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct DeclarationAnswer {
    tenant: String,
    id: String,
    /// The order whose goods they are; null where it is none.
    #[schema(required)]
    order: Option<String>,
    destination: String,
    goods: Vec<DeclaredGoods>,
    /// `draft`, `submitted`, `held`, `cleared`, `refused` or `withdrawn`.
    state: String,
    documents: Vec<DocumentBody>,
    /// Whether a person has let go on what is restricted.
    reviewed: bool,
    /// Null before it is submitted.
    #[schema(required)]
    quote: Option<DeclaredQuote>,
    /// The day by whose tables it was submitted last.
    #[schema(required)]
    submitted_on: Option<String>,
    /// Who took the last step.
    #[schema(required)]
    changed_by: Option<String>,
    /// Counts its changes; also its ETag.
    version: u64,
    created_at: String,
    updated_at: String,
}

/// A page of declarations.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct DeclarationPage {
    items: Vec<DeclarationAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Draft a customs declaration.
///
/// Goods that cannot be quoted today are refused (422); what they cost is worked out when it is submitted. With an
/// `Idempotency-Key` the same request drafts once.
#[utoipa::path(
    post, path = "/v1/customs/declarations", tag = "customs", request_body = DeclarationRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = DeclarationAnswer)),
)]
pub(crate) async fn post_declarations(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<DeclarationRequest>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/customs/declarations", &body.bytes)?;
    let DeclarationRequest { order, destination, goods, documents } = body.value;
    let today = today(app.engine.clock().as_ref()).map_err(Problem::internal)?;
    let borders = app.engine.borders();
    let currency = borders.table(destination, today).map_err(refused)?.head().currency;
    let goods = goods.into_iter().enumerate().map(|(line, goods)| in_units(line, goods, currency));
    let goods: Vec<Goods> = goods.collect::<Result<_, _>>()?;
    borders.assess(&goods, destination, today, &Default::default()).map_err(refused)?;
    let input = DeclarationInput { order, destination, goods, documents };
    let drafted = app.engine.commerce().draft_declaration(caller.tenant, input, key.as_ref()).await?;
    let place = [(header::LOCATION, format!("/v1/customs/declarations/{}", drafted.value.id))];
    let answer = tagged(drafted.value.version(), drafted.value);
    Ok((StatusCode::CREATED, place, replayed(drafted.replayed), answer).into_response())
}

/// Which declarations.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeclarationParameters {
    /// Only of this order.
    #[param(value_type = Option<String>)]
    order: Option<OrderId>,
    /// Only in this state.
    #[param(value_type = Option<String>)]
    state: Option<DeclarationState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List customs declarations, newest first.
#[utoipa::path(
    get, path = "/v1/customs/declarations", tag = "customs", params(DeclarationParameters),
    responses((status = 200, body = DeclarationPage)),
)]
pub(crate) async fn get_declarations(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<DeclarationParameters>,
) -> Result<Json<Page<CustomsDeclaration>>, Problem> {
    let DeclarationParameters { order, state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), DeclarationId::KIND.prefix)?;
    Ok(Json(app.engine.store().declarations(caller.tenant, &DeclarationFilter { order, state }, &page).await?))
}

/// Read a customs declaration.
#[utoipa::path(
    get, path = "/v1/customs/declarations/{id}", tag = "customs",
    params(("id" = String, Path, description = "The declaration.")),
    responses((status = 200, body = DeclarationAnswer)),
)]
pub(crate) async fn get_declaration(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DeclarationId>,
) -> Result<Response, Problem> {
    let found = app.engine.commerce().find_declaration(caller.tenant, id).await?;
    Ok(tagged(found.version(), found))
}

/// Take a step with a customs declaration.
///
/// Add papers, let go on what is restricted, submit it by the tables and rules of today, or write the authority's answer. One
/// that was taken already changes nothing; 409 where it does not follow or rules are not met, 412 where the version is another.
#[utoipa::path(
    post, path = "/v1/customs/declarations/{id}/steps", tag = "customs", request_body = DeclarationStepRequest,
    params(
        ("id" = String, Path, description = "The declaration."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = DeclarationAnswer)),
)]
pub(crate) async fn post_declaration_steps(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DeclarationId>,
    headers: HeaderMap,
    body: JsonBody<DeclarationStepRequest>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let DeclarationStepRequest { by, change } = &body.value;
    let borders = (app.engine.borders(), today(app.engine.clock().as_ref()).map_err(Problem::internal)?);
    let moved = app.engine.commerce().move_declaration(caller.tenant, id, expected, (change, by), borders).await?;
    Ok(tagged(moved.version(), moved))
}
