//! The books: trial balance, and the journal as CSV; what is written in them is commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dhow_commerce::Storage;
use dhow_ledger::{TrialBalance, journal_csv};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::input::Parameters;
use crate::problem::Problem;

/// Batches of a part of the journal, where the request does not say.
const JOURNAL_BATCHES_DEFAULT: u32 = 1_000;
/// The most batches of a part of the journal.
const JOURNAL_BATCHES_MAX: u32 = 10_000;
/// The header with the number after which the next part of the journal begins.
const NEXT_AFTER: &str = "next-after";

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

/// Which part of the journal.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct JournalParameters {
    /// The `next-after` of the part before; from the beginning where it is absent.
    after: Option<i64>,
    /// The most batches, 1 to 10,000; 1,000 where it is absent.
    limit: Option<u32>,
}

/// Read the trial balance as it is now.
#[utoipa::path(
    get, path = "/v1/ledger/trial-balance", tag = "ledger", responses((status = 200, body = TrialBalanceAnswer)),
)]
pub(crate) async fn get_trial_balance(
    State(app): State<Shared>,
    caller: Caller,
) -> Result<Json<TrialBalanceAnswer>, Problem> {
    let trial = TrialBalance::of(&app.engine.store().balances(caller.tenant).await?);
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

/// Read the journal as CSV, a line for each entry, in the order in which it was written.
///
/// The header `next-after` names where the next part begins; it is absent on the last.
#[utoipa::path(
    get, path = "/v1/ledger/journal", tag = "ledger", params(JournalParameters),
    responses((status = 200, body = String, content_type = "text/csv")),
)]
pub(crate) async fn get_journal(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<JournalParameters>,
) -> Result<Response, Problem> {
    let limit = parameters.limit.unwrap_or(JOURNAL_BATCHES_DEFAULT);
    if !(1..=JOURNAL_BATCHES_MAX).contains(&limit) {
        let message = format!("is {limit}; it must be from 1 to {JOURNAL_BATCHES_MAX}");
        return Err(Problem::parameter("limit", message));
    }
    let batches = app.engine.store().journal(caller.tenant, parameters.after.unwrap_or(0), limit).await?;
    let last = batches.last().filter(|_| batches.len() == limit as usize).map(|(number, _)| *number);
    let csv = journal_csv(batches.iter().map(|(_, batch)| batch));
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response();
    if let Some(number) = last {
        response.headers_mut().insert(NEXT_AFTER, number.into());
    }
    Ok(response)
}
