//! Fraud rules: the draft is checked and kept, tried on recorded decisions, published and rolled back; judging is the engine's.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{BacktestRecord, BacktestState, TimeSpan};
use dhow_events::Timestamp;
use dhow_rules::{BacktestReport, BookEntry, Hash, Rule};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::fraud_schemas;
use crate::input::{JsonBody, PathText};
use crate::problem::Problem;

/// Rules that are being written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleDraftAnswer {
    /// The version that they would have.
    #[schema(value_type = String)]
    version: Hash,
    #[schema(value_type = Vec<fraud_schemas::FraudRule>)]
    rules: Vec<Rule>,
    #[schema(value_type = String)]
    saved_at: Timestamp,
}

/// The rules in force and the draft.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FraudRulesAnswer {
    /// The version in force: the hash over its rules; that of no rules where nothing was published.
    #[schema(value_type = String)]
    version: Hash,
    #[schema(value_type = Vec<fraud_schemas::FraudRule>)]
    rules: Vec<Rule>,
    #[schema(required)]
    draft: Option<RuleDraftAnswer>,
}

/// Read the rules in force and the draft.
#[utoipa::path(get, path = "/v1/fraud/rules", tag = "fraud", responses((status = 200, body = FraudRulesAnswer)))]
pub(crate) async fn get_rules(State(app): State<Shared>, caller: Caller) -> Result<Json<FraudRulesAnswer>, Problem> {
    let found = app.engine.fraud_rules(caller.tenant).await?;
    let draft =
        found.draft.map(|(version, draft)| RuleDraftAnswer { version, rules: draft.rules, saved_at: draft.saved_at });
    Ok(Json(FraudRulesAnswer { version: found.version, rules: found.rules, draft }))
}

/// Rules to be kept as the draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleDraftRequest {
    /// All rules of the set, at most 500.
    #[schema(value_type = Vec<fraud_schemas::FraudRule>)]
    rules: Vec<Rule>,
}

/// The version of a draft.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleVersionAnswer {
    /// The hash over the rules: what a backtest and a publication name.
    #[schema(value_type = String)]
    version: Hash,
}

/// Check rules and keep them as the draft.
///
/// 422 names every wrong rule: its place, and the line and column of what does not type-check. Nothing changes in what is
/// decided until a version is published.
#[utoipa::path(
    put, path = "/v1/fraud/rules", tag = "fraud", request_body = RuleDraftRequest,
    responses((status = 200, body = RuleVersionAnswer)),
)]
pub(crate) async fn put_rules(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<RuleDraftRequest>,
) -> Result<Json<RuleVersionAnswer>, Problem> {
    let version = app.engine.draft_fraud_rules(caller.tenant, body.value.rules).await?;
    Ok(Json(RuleVersionAnswer { version }))
}

/// A version to be put into force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishRequest {
    #[schema(value_type = String)]
    version: Hash,
    /// A finished backtest of this version.
    backtest: u64,
    /// Who publishes it, 1 to 1,000 bytes; no card number.
    author: String,
}

/// Put a version into force that a backtest tried.
#[utoipa::path(
    post, path = "/v1/fraud/rules/publish", tag = "fraud", request_body = PublishRequest,
    responses((status = 200, body = fraud_schemas::RuleLogLine)),
)]
pub(crate) async fn post_publish(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<PublishRequest>,
) -> Result<Json<BookEntry>, Problem> {
    let PublishRequest { version, backtest, author } = body.value;
    Ok(Json(app.engine.publish_fraud_rules(caller.tenant, version, backtest, &author).await?))
}

/// An earlier version to be put into force again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackRequest {
    #[schema(value_type = String)]
    version: Hash,
    /// Who does it, 1 to 1,000 bytes; no card number.
    author: String,
    /// Why, 1 to 1,000 bytes; no card number.
    reason: String,
}

/// Put an earlier version into force again.
#[utoipa::path(
    post, path = "/v1/fraud/rules/rollback", tag = "fraud", request_body = RollbackRequest,
    responses((status = 200, body = fraud_schemas::RuleLogLine)),
)]
pub(crate) async fn post_rollback(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<RollbackRequest>,
) -> Result<Json<BookEntry>, Problem> {
    let RollbackRequest { version, author, reason } = body.value;
    Ok(Json(app.engine.roll_back_fraud_rules(caller.tenant, version, &author, &reason).await?))
}

/// What was in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleLogAnswer {
    /// Oldest first.
    #[schema(value_type = Vec<fraud_schemas::RuleLogLine>)]
    items: Vec<BookEntry>,
}

/// Read who put which rules into force, and when.
#[utoipa::path(get, path = "/v1/fraud/rules/log", tag = "fraud", responses((status = 200, body = RuleLogAnswer)))]
pub(crate) async fn get_rule_log(State(app): State<Shared>, caller: Caller) -> Result<Json<RuleLogAnswer>, Problem> {
    Ok(Json(RuleLogAnswer { items: app.engine.fraud_rules(caller.tenant).await?.log }))
}

/// A backtest to be run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BacktestRequest {
    /// The version; the draft's where it is absent.
    #[schema(value_type = Option<String>)]
    version: Option<Hash>,
    /// The first instant whose decisions are repeated.
    #[schema(value_type = String)]
    from: Timestamp,
    /// The first instant whose decisions no longer are.
    #[schema(value_type = String)]
    to: Timestamp,
}

/// A backtest as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BacktestAnswer {
    id: u64,
    #[schema(value_type = String)]
    version: Hash,
    #[schema(value_type = String)]
    from: Timestamp,
    #[schema(value_type = String)]
    to: Timestamp,
    #[schema(value_type = String)]
    started_at: Timestamp,
    /// `running`, `finished`, `failed`, `cancelled`, or `interrupted`: its server ended before it did.
    #[schema(value_type = String)]
    state: BacktestState,
    /// Fraud decisions of the span when it began.
    total: u64,
    /// Those repeated so far.
    repeated: u64,
    /// Those that cannot be repeated: made before rules were recorded, or with other features.
    skipped: u64,
    /// Why it failed.
    #[schema(required)]
    failure: Option<String>,
    /// What the rules would have done; labels are those of verdicts.
    #[schema(value_type = Option<Object>, required)]
    report: Option<Box<BacktestReport>>,
}

impl From<BacktestRecord> for BacktestAnswer {
    fn from(record: BacktestRecord) -> Self {
        Self {
            id: record.number,
            version: record.version,
            from: record.span.from,
            to: record.span.to,
            started_at: record.started_at,
            state: record.state,
            total: record.total,
            repeated: record.repeated,
            skipped: record.skipped,
            failure: record.failure,
            report: record.report,
        }
    }
}

/// Try rules on recorded decisions.
///
/// Answers at once; `Location` tells how far it is. The last 50 backtests are kept.
#[utoipa::path(
    post, path = "/v1/fraud/backtests", tag = "fraud", request_body = BacktestRequest,
    responses((status = 202, body = BacktestAnswer)),
)]
pub(crate) async fn post_backtests(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<BacktestRequest>,
) -> Result<Response, Problem> {
    let BacktestRequest { version, from, to } = body.value;
    let started = app.engine.start_backtest(caller.tenant, version, TimeSpan { from, to }).await?;
    let place = [(header::LOCATION, format!("/v1/fraud/backtests/{}", started.number))];
    Ok((StatusCode::ACCEPTED, place, Json(BacktestAnswer::from(started))).into_response())
}

/// Read how far a backtest is, and its report.
#[utoipa::path(
    get, path = "/v1/fraud/backtests/{id}", tag = "fraud",
    params(("id" = String, Path, description = "Its number.")),
    responses((status = 200, body = BacktestAnswer)),
)]
pub(crate) async fn get_backtest(
    State(app): State<Shared>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Json<BacktestAnswer>, Problem> {
    Ok(Json(app.engine.backtest(caller.tenant, backtest_number(&id)?).await?.into()))
}

/// Cancel a running backtest.
///
/// It stops within a thousand decisions, whichever server runs it. 409 where it does not run.
#[utoipa::path(
    delete, path = "/v1/fraud/backtests/{id}", tag = "fraud",
    params(("id" = String, Path, description = "Its number.")),
    responses((status = 200, body = BacktestAnswer)),
)]
pub(crate) async fn delete_backtest(
    State(app): State<Shared>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Json<BacktestAnswer>, Problem> {
    Ok(Json(app.engine.cancel_backtest(caller.tenant, backtest_number(&id)?).await?.into()))
}

fn backtest_number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::parameter("id", "is not the number of a backtest"))
}
