//! The books: trial balance, and the journal as CSV or Parquet; what is written in them is commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::Storage;
use dhow_events::Timestamp;
use dhow_ledger::{TrialBalance, journal_csv, journal_parquet};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{Parameters, accepts};
use crate::problem::Problem;

/// Batches of a part of the journal, where the request does not say.
const JOURNAL_BATCHES_DEFAULT: u32 = 1_000;
/// The most batches of a part of the journal.
const JOURNAL_BATCHES_MAX: u32 = 10_000;
/// The media type of Parquet files.
const PARQUET_TYPE: &str = "application/vnd.apache.parquet";
/// The header with the number after which the next part of the journal begins.
pub(super) const NEXT_AFTER: &str = "next-after";

/// An account's totals in one asset, in its minor units, as texts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialLineAnswer {
    /// `seller:sel_…`, or `commission` for the marketplace's own.
    account: String,
    /// An ISO 4217 code, or BTC, ETH, USDC, USDT.
    asset: String,
    debits: String,
    credits: String,
    debits_pending: String,
    credits_pending: String,
    /// What it has, on the side on which it grows.
    balance: String,
}

/// The totals of an asset over all accounts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialSumAnswer {
    asset: String,
    debits: String,
    credits: String,
}

/// Every account's totals, and their sums.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialBalanceAnswer {
    /// Whether debits and credits are equal in every asset.
    balanced: bool,
    sums: Vec<TrialSumAnswer>,
    accounts: Vec<TrialLineAnswer>,
}

/// As of when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TrialParameters {
    /// The totals after what was written until this time, added up from the journal; as they are now where it is absent.
    #[param(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
}

/// Which part of the journal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JournalParameters {
    /// The `next-after` of the part before; from the beginning where it is absent.
    after: Option<i64>,
    /// The most batches, 1 to 10,000; 1,000 where it is absent.
    limit: Option<u32>,
}

/// Read the trial balance as it is now, or as it was at a time.
#[utoipa::path(
    get, path = "/v1/ledger/trial-balance", tag = "ledger", params(TrialParameters),
    responses((status = 200, body = TrialBalanceAnswer)),
)]
pub(crate) async fn get_trial_balance(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<TrialParameters>,
) -> Result<Json<TrialBalanceAnswer>, Problem> {
    let balances = match parameters.at {
        Some(at) => app.engine.store().balances_at(caller.tenant, at).await?,
        None => app.engine.store().balances(caller.tenant).await?,
    };
    let trial = TrialBalance::of(&balances);
    let sum = |(asset, (debits, credits)): (&dhow_ledger::Asset, &(i128, i128))| TrialSumAnswer {
        asset: asset.to_string(),
        debits: debits.to_string(),
        credits: credits.to_string(),
    };
    let line = |line: &dhow_ledger::TrialLine| TrialLineAnswer {
        account: line.account.to_string(),
        asset: line.asset.to_string(),
        debits: line.balance.debits.to_string(),
        credits: line.balance.credits.to_string(),
        debits_pending: line.balance.debits_pending.to_string(),
        credits_pending: line.balance.credits_pending.to_string(),
        balance: line.balance.posted(line.account.kind().side()).to_string(),
    };
    Ok(Json(TrialBalanceAnswer {
        balanced: trial.is_balanced(),
        sums: trial.sums.iter().map(sum).collect(),
        accounts: trial.lines.iter().map(line).collect(),
    }))
}

/// Read the journal, a line for each entry, in the order in which it was written.
///
/// It is CSV, or Parquet with `Accept: application/vnd.apache.parquet`. The header `next-after` names where the next part begins; it is absent on the last.
#[utoipa::path(
    get, path = "/v1/ledger/journal", tag = "ledger", params(JournalParameters),
    responses((status = 200, content((String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")))),
)]
pub(crate) async fn get_journal(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(parameters): Parameters<JournalParameters>,
) -> Result<Response, Problem> {
    let limit = parameters.limit.unwrap_or(JOURNAL_BATCHES_DEFAULT);
    if !(1..=JOURNAL_BATCHES_MAX).contains(&limit) {
        let message = format!("is {limit}; it must be from 1 to {JOURNAL_BATCHES_MAX}");
        return Err(Problem::parameter("limit", message));
    }
    let batches = app.engine.store().journal(caller.tenant, parameters.after.unwrap_or(0), limit).await?;
    let last = batches.last().filter(|_| batches.len() == limit as usize).map(|(number, _)| *number);
    let batches = batches.iter().map(|(_, batch)| batch);
    let mut response = if accepts(&headers, PARQUET_TYPE) {
        let file = journal_parquet(batches).map_err(Problem::internal)?;
        ([(header::CONTENT_TYPE, PARQUET_TYPE)], file).into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], journal_csv(batches)).into_response()
    };
    if let Some(number) = last {
        response.headers_mut().insert(NEXT_AFTER, number.into());
    }
    Ok(response)
}
