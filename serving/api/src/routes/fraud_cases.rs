//! The review queue: cases are listed, claimed, given back, noted and decided; who the reviewer is, the caller vouches for.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dhow_commerce::{CaseFilter, CaseState, Finding, FraudCase, FraudKind, FraudLabel, Page, Storage, Verdict};
use dhow_events::{DecisionId, Timestamp};
use dhow_links::{Account, LinkQuery, Ring, RingAccount, RingThing};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::fraud_schemas;
use crate::input::{JsonBody, Parameters, PathId, page_request};
use crate::problem::Problem;

/// Which cases.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CaseParameters {
    /// Only in this state: `open`, `claimed` or `decided`. A claim that ran out reads as `claimed` until the next claim.
    #[param(value_type = Option<String>)]
    state: Option<CaseState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Who does it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewerRequest {
    /// The person, 1 to 100 bytes; no card number.
    reviewer: String,
}

/// A note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoteRequest {
    /// The person, 1 to 100 bytes; no card number.
    reviewer: String,
    /// 1 to 4,000 bytes; no card number.
    note: String,
}

/// A verdict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerdictRequest {
    /// The person who holds the case.
    reviewer: String,
    /// What is to be done: `approve` or `decline`.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// What was found: `fraud` or `genuine`. Models learn from it.
    #[schema(value_type = String)]
    label: FraudLabel,
    /// Which kind of fraud, where the person can tell: `stolen_card`, `account_takeover`, `card_testing`, `ring` or
    /// `return_abuse`. Scores of kinds are learned from it.
    #[schema(value_type = Option<String>)]
    kind: Option<FraudKind>,
    /// At most 4,000 bytes; no card number.
    #[serde(default)]
    #[schema(required = false)]
    note: String,
}

/// List cases, newest first.
#[utoipa::path(
    get, path = "/v1/fraud/cases", tag = "fraud", params(CaseParameters),
    responses((status = 200, body = fraud_schemas::FraudCasePage)),
)]
pub(crate) async fn get_cases(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<CaseParameters>,
) -> Result<Json<Page<FraudCase>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), DecisionId::KIND.prefix)?;
    let filter = CaseFilter { state: parameters.state };
    Ok(Json(app.engine.store().fraud_cases(caller.tenant, &filter, &page).await?))
}

/// A case with those whom the buyer shares things with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudCaseAnswer {
    #[serde(flatten)]
    #[schema(value_type = fraud_schemas::FraudCase)]
    case: FraudCase,
    links: CaseLinks,
}

/// Accounts that are joined with the buyer's by what they share, as of now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CaseLinks {
    /// How much they look like a ring.
    #[schema(minimum = 0, maximum = 1)]
    ring_score: f64,
    /// Whether the score reaches that of a ring, 0.6.
    flagged: bool,
    /// The same in words.
    words: String,
    /// The buyer first.
    accounts: Vec<LinkedAccount>,
    /// What they share, most accounts first. What very many share, such as the network of an office, is left out.
    things: Vec<LinkedThing>,
    /// Whether there may be more.
    truncated: bool,
}

/// An account that is joined.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkedAccount {
    account: String,
    /// When it began to share something.
    #[schema(value_type = Option<String>, required)]
    joined_at: Option<Timestamp>,
    /// When it was opened, where that is known.
    #[schema(value_type = Option<String>, required)]
    registered_at: Option<Timestamp>,
    /// Whether one of its checkouts is known as fraud.
    known_fraud: bool,
}

/// What several of them use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkedThing {
    /// `card`, `device`, `address` or `payout account`.
    kind: &'static str,
    id: String,
    /// How many of the accounts use it.
    accounts: usize,
}

impl From<Ring> for CaseLinks {
    fn from(ring: Ring) -> Self {
        let account = |one: &RingAccount| LinkedAccount {
            account: one.account.to_string(),
            joined_at: one.joined,
            registered_at: one.registered,
            known_fraud: one.known_fraud,
        };
        let thing = |one: &RingThing| LinkedThing {
            kind: one.thing.kind().words().0,
            id: one.thing.to_string(),
            accounts: one.accounts,
        };
        Self {
            ring_score: ring.features.ring_score,
            flagged: ring.is_flagged(),
            words: ring.words(),
            accounts: ring.accounts.iter().map(account).collect(),
            things: ring.things.iter().map(thing).collect(),
            truncated: ring.truncated,
        }
    }
}

/// Read a case with its history and with whom the buyer shares things.
#[utoipa::path(
    get, path = "/v1/fraud/cases/{id}", tag = "fraud",
    params(("id" = String, Path, description = "The decision that opened it.")),
    responses((status = 200, body = FraudCaseAnswer)),
)]
pub(crate) async fn get_case(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
) -> Result<Json<FraudCaseAnswer>, Problem> {
    let found = app.engine.store().fraud_case(caller.tenant, id).await?;
    let case = found.ok_or_else(|| Problem::not_found(format!("case {id}")))?;
    let account = LinkQuery::account(caller.tenant, Account::Buyer(case.buyer));
    let query = LinkQuery { card: case.card, device: case.device, address: case.address, ..account };
    let links = app.engine.ring(&query).into();
    Ok(Json(FraudCaseAnswer { case, links }))
}

/// Claim the most pressing case.
///
/// By expected loss over the time left on the payment's authorisation. However many ask at once, each gets another case, for 15
/// minutes. 204: none waits that this reviewer may decide.
#[utoipa::path(
    post, path = "/v1/fraud/cases/claim", tag = "fraud", request_body = ReviewerRequest,
    responses((status = 200, body = fraud_schemas::FraudCase), (status = 204)),
)]
pub(crate) async fn post_next_claim(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ReviewerRequest>,
) -> Result<Response, Problem> {
    let claimed = app.engine.commerce().claim_next_case(caller.tenant, &body.value.reviewer).await?;
    Ok(claimed.map_or_else(|| StatusCode::NO_CONTENT.into_response(), |case| Json(case).into_response()))
}

/// Claim one case, or hold it for another 15 minutes.
#[utoipa::path(
    post, path = "/v1/fraud/cases/{id}/claim", tag = "fraud", request_body = ReviewerRequest,
    params(("id" = String, Path, description = "The decision that opened it.")),
    responses((status = 200, body = fraud_schemas::FraudCase)),
)]
pub(crate) async fn post_claim(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
    body: JsonBody<ReviewerRequest>,
) -> Result<Json<FraudCase>, Problem> {
    Ok(Json(app.engine.commerce().claim_case(caller.tenant, id, &body.value.reviewer).await?))
}

/// Give a claimed case back.
#[utoipa::path(
    post, path = "/v1/fraud/cases/{id}/release", tag = "fraud", request_body = ReviewerRequest,
    params(("id" = String, Path, description = "The decision that opened it.")),
    responses((status = 200, body = fraud_schemas::FraudCase)),
)]
pub(crate) async fn post_release(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
    body: JsonBody<ReviewerRequest>,
) -> Result<Json<FraudCase>, Problem> {
    Ok(Json(app.engine.commerce().release_case(caller.tenant, id, &body.value.reviewer).await?))
}

/// Add a note to a case.
#[utoipa::path(
    post, path = "/v1/fraud/cases/{id}/notes", tag = "fraud", request_body = NoteRequest,
    params(("id" = String, Path, description = "The decision that opened it.")),
    responses((status = 200, body = fraud_schemas::FraudCase)),
)]
pub(crate) async fn post_note(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
    body: JsonBody<NoteRequest>,
) -> Result<Json<FraudCase>, Problem> {
    let NoteRequest { reviewer, note } = &body.value;
    Ok(Json(app.engine.commerce().note_case(caller.tenant, id, reviewer, note).await?))
}

/// Give a verdict on a case that the reviewer holds.
///
/// A final verdict writes its label as the event `fraud_labelled`. To decline more than 1,000 US dollars takes a second person:
/// the case then goes back to the queue with its first verdict, and the second person's verdict is final.
#[utoipa::path(
    post, path = "/v1/fraud/cases/{id}/verdict", tag = "fraud", request_body = VerdictRequest,
    params(("id" = String, Path, description = "The decision that opened it.")),
    responses((status = 200, body = fraud_schemas::FraudCase)),
)]
pub(crate) async fn post_verdict(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<DecisionId>,
    body: JsonBody<VerdictRequest>,
) -> Result<Json<FraudCase>, Problem> {
    let VerdictRequest { reviewer, verdict, label, kind, note } = &body.value;
    let finding = Finding { verdict: *verdict, label: *label, kind: *kind };
    Ok(Json(app.engine.commerce().decide_case(caller.tenant, id, reviewer, finding, note).await?))
}
