//! Invoices: lines that add up; how they come about is in `subscription`.

use dhow_events::{Currency, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{BillingError, Period};

/// Why a line stands on an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineReason {
    /// A period that begins.
    Period,
    /// What is new within a period, for the rest of it.
    Added,
    /// What was taken away within a period, for the rest of it: a credit.
    Removed,
    /// What was used in a period that ended.
    Usage,
}

/// A line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// `plan.professional`, `add_on.user`, `usage.api_calls`.
    pub item: String,
    /// Why it stands there.
    pub reason: LineReason,
    /// How many: units of an add-on, blocks of usage.
    pub quantity: u64,
    /// The time that it is for.
    pub span: Period,
    /// Minor units; a credit is below zero.
    pub amount_minor: i64,
}

/// What a seller is to pay, or to get back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    /// When it was made.
    pub at: Timestamp,
    /// The version of the price list by which new lines were priced.
    pub price_list_version: u32,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Its lines; those of no amount are left out.
    pub lines: Vec<InvoiceLine>,
    /// The sum of the lines; below zero it is a credit.
    pub total_minor: i64,
}

impl Invoice {
    pub(crate) fn new(
        at: Timestamp,
        price_list_version: u32,
        currency: Currency,
        mut lines: Vec<InvoiceLine>,
    ) -> Result<Self, BillingError> {
        lines.retain(|line| line.amount_minor != 0);
        let sum: i128 = lines.iter().map(|line| i128::from(line.amount_minor)).sum();
        let total_minor = i64::try_from(sum).map_err(|_| BillingError::Overflow)?;
        Ok(Self { at, price_list_version, currency, lines, total_minor })
    }
}
