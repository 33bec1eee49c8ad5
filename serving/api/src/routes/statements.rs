//! Sellers' statements over HTTP, as sums and line by line; what is booked is commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{STATEMENT_LINES_MAX, Statement, StatementLine, StatementPeriod, StatementStorage, statement_csv};
use dhow_events::{Currency, SellerId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ledger::NEXT_AFTER;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{Parameters, PathId, accepts};
use crate::problem::Problem;
use crate::schemas;

/// Lines of a part of a statement, where the request does not say.
const LINES_DEFAULT: u32 = 1_000;
const CSV_TYPE: &str = "text/csv";

/// Of which currency and time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatementParameters {
    /// The currency of what is booked.
    #[param(value_type = String, example = "USD")]
    currency: Currency,
    /// Its first instant.
    #[param(value_type = String, format = DateTime)]
    from: Timestamp,
    /// The first instant after it; now where it is absent.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

/// Of which currency and time, and which part.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LineParameters {
    /// The currency of what is booked.
    #[param(value_type = String, example = "USD")]
    currency: Currency,
    /// Its first instant.
    #[param(value_type = String, format = DateTime)]
    from: Timestamp,
    /// The first instant after it; now where it is absent.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// The `next-after` of the part before; from the beginning where it is absent.
    after: Option<i64>,
    /// The most lines, 1 to 10,000; 1,000 where it is absent.
    limit: Option<u32>,
}

/// A part of a statement's lines, in the order in which they were written.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatementLinesAnswer {
    #[schema(value_type = Vec<schemas::StatementLine>)]
    lines: Vec<StatementLine>,
}

fn period(from: Timestamp, until: Option<Timestamp>, now: Timestamp) -> Result<StatementPeriod, Problem> {
    // What is written at this instant is of the period.
    let until = until.unwrap_or(now + 1);
    if from >= until {
        return Err(Problem::parameter("from", format!("is {from}; it must be before the end, {until}")));
    }
    Ok(StatementPeriod { from, until })
}

/// Read what a seller was owed before a period, what changed it, by purpose, and what is owed after.
///
/// The statement of the period that follows begins with what this one ends with.
#[utoipa::path(
    get, path = "/v1/sellers/{id}/statement", tag = "payments",
    params(("id" = String, Path, description = "The seller."), StatementParameters),
    responses((status = 200, body = schemas::Statement)),
)]
pub(crate) async fn get_statement(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    Parameters(parameters): Parameters<StatementParameters>,
) -> Result<Json<Statement>, Problem> {
    let StatementParameters { currency, from, until } = parameters;
    let period = period(from, until, app.engine.clock().now())?;
    Ok(Json(app.engine.store().statement(caller.tenant, seller, currency, period).await?))
}

/// Read the lines of a seller's statement, one for each step of a transfer and for each invoice.
///
/// It is JSON, or CSV with `Accept: text/csv`. The header `next-after` names where the next part begins; it is absent on the
/// last.
#[utoipa::path(
    get, path = "/v1/sellers/{id}/statement/lines", tag = "payments",
    params(("id" = String, Path, description = "The seller."), LineParameters),
    responses((status = 200, content((StatementLinesAnswer = "application/json"), (String = "text/csv")))),
)]
pub(crate) async fn get_statement_lines(
    State(app): State<Shared>,
    caller: Caller,
    PathId(seller): PathId<SellerId>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<LineParameters>,
) -> Result<Response, Problem> {
    let LineParameters { currency, from, until, after, limit } = parameters;
    let period = period(from, until, app.engine.clock().now())?;
    let limit = limit.unwrap_or(LINES_DEFAULT);
    if !(1..=STATEMENT_LINES_MAX).contains(&limit) {
        let message = format!("is {limit}; it must be from 1 to {STATEMENT_LINES_MAX}");
        return Err(Problem::parameter("limit", message));
    }
    let page = (after.unwrap_or(0), limit);
    let lines = app.engine.store().statement_lines(caller.tenant, seller, currency, period, page).await?;
    let last = lines.last().filter(|_| lines.len() == limit as usize).map(|line| line.number);
    let mut response = if accepts(&headers, CSV_TYPE) {
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], statement_csv(currency, &lines)).into_response()
    } else {
        Json(StatementLinesAnswer { lines }).into_response()
    };
    if let Some(number) = last {
        response.headers_mut().insert(NEXT_AFTER, number.into());
    }
    Ok(response)
}
