//! Suppliers over HTTP: profiles, papers, and what people decided about them; the rules are commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use dhow_commerce::{
    DocumentState, FieldProblem, Page, Supplier, SupplierChange, SupplierDocumentInput, SupplierLevel, SupplierProfile,
    SupplierState, SupplierStorage,
};
use dhow_events::{SellerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::returns::tagged;
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{JsonBody, Parameters, PathId, expected_version, page_request};
use crate::problem::Problem;

/// What a supplier says of itself.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads and writes")]
pub(crate) struct SupplierProfileBody {
    /// The company's name as it is registered.
    #[schema(max_length = 200, example = "Adler & Sons Ltd")]
    legal_name: String,
    /// Where it is registered, by ISO 3166.
    #[schema(example = "GB")]
    country: String,
    /// Its number in that country's register.
    #[schema(max_length = 200, example = "01234567")]
    registration_number: String,
    /// Its number at the tax office.
    #[schema(required = false, max_length = 200)]
    tax_number: String,
    /// What people read.
    #[schema(required = false, max_length = 200)]
    display_name: String,
    #[schema(required = false, max_length = 200, example = "https://adler.example")]
    website: String,
}

/// A paper that is handed in; it is kept elsewhere.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads")]
pub(crate) struct SupplierDocumentBody {
    /// `business_registration`, `tax_registration`, `identity`, `address`, `bank_account`, `licence` or `certificate`.
    #[schema(example = "business_registration")]
    kind: String,
    /// Its number or address.
    #[schema(max_length = 200, example = "papers/17.pdf")]
    reference: String,
    /// The first day on which it no longer counts; null where it does not run out.
    #[schema(format = Date)]
    expires_on: Option<String>,
}

/// A paper with what became of it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct SupplierDocumentAnswer {
    /// Counts the supplier's papers from 1.
    number: u32,
    kind: String,
    reference: String,
    #[schema(required)]
    expires_on: Option<String>,
    /// `submitted`, `accepted` or `rejected`.
    state: String,
    #[schema(required)]
    decided_by: Option<String>,
    note: String,
    added_at: String,
}

/// A line of a supplier's history.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct SupplierLineBody {
    at: String,
    state: String,
    /// Null where the platform did it.
    #[schema(required)]
    by: Option<String>,
    note: String,
}

/// A supplier.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct SupplierBody {
    tenant: String,
    seller: String,
    profile: SupplierProfileBody,
    /// `unverified`, `submitted`, `verified`, `rejected` or `suspended`.
    state: String,
    /// In the order in which they came; at most 50.
    documents: Vec<SupplierDocumentAnswer>,
    /// The last 200 lines, oldest first.
    history: Vec<SupplierLineBody>,
    /// Counts its changes; also its ETag.
    version: i64,
    created_at: String,
    updated_at: String,
    /// What it may show now: `none`, `basic` (the company is registered), `verified` (and known to the tax office, with who acts
    /// for it) or `premium` (and where it is, and whose its account is). A paper that runs out takes its level with it.
    level: String,
}

/// A supplier and what it may show.
#[derive(Serialize)]
pub(crate) struct SupplierAnswer {
    #[serde(flatten)]
    supplier: Supplier,
    level: SupplierLevel,
}

impl SupplierAnswer {
    fn new(supplier: Supplier, now: Timestamp) -> Self {
        let level = supplier.level(now);
        Self { supplier, level }
    }
}

/// A page of suppliers, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct SupplierPage {
    #[schema(value_type = Vec<SupplierBody>)]
    items: Vec<SupplierAnswer>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Which suppliers.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SupplierParameters {
    /// Only in this state.
    #[param(value_type = Option<String>)]
    state: Option<SupplierState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A paper, and who hands it in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupplierDocumentRequest {
    /// The person, 1 to 100 bytes.
    by: String,
    #[schema(value_type = SupplierDocumentBody)]
    document: SupplierDocumentInput,
}

/// Who submits it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubmitRequest {
    /// The person, 1 to 100 bytes.
    by: String,
}

/// What a person decided: about a paper, or about the supplier.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SupplierDecisionRequest {
    /// The person, 1 to 100 bytes.
    by: String,
    /// Words that go with it, at most 1,000 bytes.
    #[serde(default)]
    #[schema(required = false)]
    note: String,
    /// The number of a paper; null for the supplier.
    document: Option<u32>,
    /// Of a paper `accepted` or `rejected`; of the supplier `verified`, `rejected` or `suspended`.
    #[schema(example = "verified")]
    to: String,
}

/// List suppliers, newest first.
#[utoipa::path(
    get, path = "/v1/suppliers", tag = "suppliers", params(SupplierParameters),
    responses((status = 200, body = SupplierPage)),
)]
pub(crate) async fn get_suppliers(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<SupplierParameters>,
) -> Result<Json<SupplierPage>, Problem> {
    let SupplierParameters { state, limit, cursor } = parameters;
    let page = page_request(limit, cursor.as_deref(), SellerId::KIND.prefix)?;
    let Page { items, next } = app.engine.store().suppliers(caller.tenant, state, &page).await?;
    let now = app.engine.clock().now();
    let items = items.into_iter().map(|supplier| SupplierAnswer::new(supplier, now)).collect();
    Ok(Json(SupplierPage { items, next }))
}

/// Read a supplier with its papers and history.
#[utoipa::path(
    get, path = "/v1/suppliers/{id}", tag = "suppliers", params(("id" = String, Path, description = "The seller.")),
    responses((status = 200, body = SupplierBody)),
)]
pub(crate) async fn get_supplier(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
) -> Result<Response, Problem> {
    let found = app.engine.commerce().find_supplier(caller.tenant, seller).await?;
    Ok(answered(&app, found))
}

/// Write what a supplier says of itself.
///
/// `If-None-Match: *` creates, `If-Match` names the version that is changed. Another name, country or number is another company:
/// what was verified is so no longer, and its papers are to be looked at again.
#[utoipa::path(
    put, path = "/v1/suppliers/{id}", tag = "suppliers", request_body = SupplierProfileBody,
    params(
        ("id" = String, Path, description = "The seller."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that is changed."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none yet."),
    ),
    responses((status = 200, body = SupplierBody)),
)]
pub(crate) async fn put_supplier(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    body: JsonBody<SupplierProfile>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let kept = app.engine.commerce().put_supplier(caller.tenant, seller, &body.value, expected).await?;
    Ok(answered(&app, kept))
}

/// Hand a supplier's paper in.
#[utoipa::path(
    post, path = "/v1/suppliers/{id}/documents", tag = "suppliers", request_body = SupplierDocumentRequest,
    params(
        ("id" = String, Path, description = "The seller."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = SupplierBody)),
)]
pub(crate) async fn post_documents(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    body: JsonBody<SupplierDocumentRequest>,
) -> Result<Response, Problem> {
    let SupplierDocumentRequest { by, document } = body.value;
    step(&app, (caller, seller), &headers, SupplierChange::Attach { document }, (&by, "")).await
}

/// Submit a supplier for verification.
#[utoipa::path(
    post, path = "/v1/suppliers/{id}/submit", tag = "suppliers", request_body = SubmitRequest,
    params(
        ("id" = String, Path, description = "The seller."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = SupplierBody)),
)]
pub(crate) async fn post_submit(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    body: JsonBody<SubmitRequest>,
) -> Result<Response, Problem> {
    let change = SupplierChange::Move { to: SupplierState::Submitted };
    step(&app, (caller, seller), &headers, change, (&body.value.by, "")).await
}

/// Decide about a supplier's paper, or about the supplier.
///
/// It is verified only where an accepted paper that has not run out shows that the company is registered (409).
#[utoipa::path(
    post, path = "/v1/suppliers/{id}/decisions", tag = "suppliers", request_body = SupplierDecisionRequest,
    params(
        ("id" = String, Path, description = "The seller."),
        ("If-Match" = Option<String>, Header, description = "The ETag that GET gave; required."),
    ),
    responses((status = 200, body = SupplierBody)),
)]
pub(crate) async fn post_supplier_decisions(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    body: JsonBody<SupplierDecisionRequest>,
) -> Result<Response, Problem> {
    let SupplierDecisionRequest { by, note, document, to } = body.value;
    let change = match document {
        Some(document) => DocumentState::from_word(&to).map(|to| SupplierChange::Decide { document, to }),
        None => SupplierState::from_word(&to)
            .filter(|to| *to != SupplierState::Submitted)
            .map(|to| SupplierChange::Move { to }),
    };
    let allowed = if document.is_some() { "accepted or rejected" } else { "verified, rejected or suspended" };
    let wrong = || Problem::invalid([FieldProblem::new("/to", format!("is `{to}`; it must be {allowed}"))]);
    step(&app, (caller, seller), &headers, change.ok_or_else(wrong)?, (&by, &note)).await
}

async fn step(
    app: &App,
    (caller, seller): (Caller, SellerId),
    headers: &HeaderMap,
    change: SupplierChange,
    words: (&str, &str),
) -> Result<Response, Problem> {
    let expected = expected_version(headers)?;
    let moved = app.engine.commerce().move_supplier(caller.tenant, seller, expected, &change, words).await?;
    Ok(answered(app, moved))
}

fn answered(app: &App, supplier: Supplier) -> Response {
    tagged(supplier.version, SupplierAnswer::new(supplier, app.engine.clock().now()))
}
