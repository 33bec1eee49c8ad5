//! What a seller was owed, got and paid in a period, line by line out of the books; it moves no money.

use std::future::Future;

use dhow_events::{Currency, OrderId, SellerId, TenantId, Timestamp};
use dhow_ledger::Asset;
use serde::{Deserialize, Serialize};

use crate::StorageError;

/// The most lines that are read of a statement at once.
pub const STATEMENT_LINES_MAX: u32 = 10_000;

/// The time that a statement is of: what was written from `from` on and before `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementPeriod {
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

/// All lines of one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSum {
    /// What was done, for example `capture done` or `payout asked`.
    pub purpose: String,
    /// How many lines there are.
    pub lines_count: i64,
    /// Before commission, in minor units; what the seller has to give back is below zero.
    pub gross_minor: i64,
    /// The marketplace's commission in it; below zero where it was given back.
    pub commission_minor: i64,
    /// What it changed of what the seller is owed: gross less commission.
    pub net_minor: i64,
}

/// What was booked for a seller in a currency within a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The seller.
    pub seller: SellerId,
    /// The currency of all amounts.
    pub currency: Currency,
    /// Its first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
    /// What was owed before, in minor units; below zero where the seller owed.
    pub opening_minor: i64,
    /// The lines by what was done, in the alphabet's order; their nets lead from `opening_minor` to `closing_minor`.
    pub sums: Vec<StatementSum>,
    /// What was owed after.
    pub closing_minor: i64,
}

/// What one step changed of what a seller is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementLine {
    /// The number of its batch in the journal; rises from line to line.
    pub number: i64,
    /// When it was written.
    pub at: Timestamp,
    /// What was done.
    pub purpose: String,
    /// What it is about: a transfer's id, or the seller's and the number of an invoice.
    pub reference: String,
    /// The seller's order that the transfer belongs to; nothing for payouts and invoices.
    pub order: Option<OrderId>,
    /// Before commission, in minor units.
    pub gross_minor: i64,
    /// The marketplace's commission in it.
    pub commission_minor: i64,
    /// What it changed: gross less commission.
    pub net_minor: i64,
}

/// Where statements are read from.
pub trait StatementStorage {
    /// The sums of what was booked for a seller in a currency within a period.
    fn statement(
        &self,
        tenant: TenantId,
        seller: SellerId,
        currency: Currency,
        period: StatementPeriod,
    ) -> impl Future<Output = Result<Statement, StorageError>> + Send;

    /// The lines of the same after the one numbered `after`, in the order in which they were written.
    fn statement_lines(
        &self,
        tenant: TenantId,
        seller: SellerId,
        currency: Currency,
        period: StatementPeriod,
        page: (i64, u32),
    ) -> impl Future<Output = Result<Vec<StatementLine>, StorageError>> + Send;
}

/// `lines` as CSV with a header: number, at, purpose, reference, order, gross, commission, net; amounts in whole units of
/// `currency`.
#[must_use]
pub fn statement_csv(currency: Currency, lines: &[StatementLine]) -> String {
    let asset = Asset::from(currency);
    let mut csv = format!("number,at,purpose,reference,order,gross_{currency},commission_{currency},net_{currency}\n");
    for line in lines {
        let order = line.order.map(|order| order.to_string()).unwrap_or_default();
        let [gross, commission, net] =
            [line.gross_minor, line.commission_minor, line.net_minor].map(|minor| asset.shown(minor));
        let StatementLine { number, at, purpose, reference, .. } = line;
        // No field holds a comma or a quote: purposes are the books' own words, references are ids.
        csv.push_str(&format!("{number},{at},{purpose},{reference},{order},{gross},{commission},{net}\n"));
    }
    csv
}
