//! The rule itself: a sale and the table in force give a rate and an amount, with what decided them.

use dhow_events::{Category, DAY_MICROS, Money, Timestamp};
use dhow_ledger::divide::{DivideError, RatePpm, Rounding, ratio, share_of_step};
use serde::{Deserialize, Serialize};

use crate::{CommissionTable, CommissionTables, Margin, Plan};

/// One whole, in millionths.
const WHOLE_PPM: i128 = 1_000_000;

/// What a currency was worth when the order was placed: so many cents of USD for so many of its minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsdRate {
    /// Cents of USD, above zero.
    pub usd_minor: u64,
    /// Minor units of the order's currency, above zero.
    pub for_minor: u64,
}

/// A seller's order as it was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// The seller's plan.
    pub plan: Plan,
    /// The seller's settled sales of [`previous_month`], in cents of USD.
    pub settled_usd_minor: i64,
    /// Points off that the seller's contract names.
    pub contract: Option<RatePpm>,
    /// What the buyer pays for it.
    pub amount: Money,
    /// What was sold, by category: each with its minor units, which sum to the amount.
    pub categories: Vec<(Category, i64)>,
    /// The day's stored rate of its currency.
    pub usd: UsdRate,
    /// When it was placed.
    pub placed_at: Timestamp,
}

/// What made a commission as large as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The category costs nothing for a time.
    Strategic,
    /// The rate.
    Rate,
    /// The least commission.
    Minimum,
    /// The order is smaller than the least commission.
    WholeOrder,
}

/// What the marketplace takes of one seller's order; it stands on the order and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commission {
    /// Minor units of the order's currency.
    pub amount: Money,
    /// The order's amount.
    pub of: Money,
    /// The rate after discounts, points and floor; of several categories the mean by amount, rounded down.
    pub rate: RatePpm,
    /// What decided the amount.
    pub decided_by: DecidedBy,
    /// The version of the table.
    pub table_version: u32,
}

/// Why there is no commission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommissionError {
    /// No table counted yet.
    #[error("no commission table counts at {0}")]
    NoTable(Timestamp),
    /// An order of a negative amount.
    #[error("an order of {0} has no commission; its amount is below zero")]
    Negative(Money),
    /// Categories that do not sum to the order.
    #[error("the categories of an order of {0} do not sum to it")]
    Categories(Money),
    /// A rate of exchange of nothing.
    #[error("the rate of exchange is {0:?}; both of its sides are above zero")]
    Rate(UsdRate),
    /// Amounts beyond 64 bits, or a refund outside of its order.
    #[error(transparent)]
    Divide(#[from] DivideError),
}

impl CommissionTables {
    /// The commission on a seller's order; see the crate's rule.
    ///
    /// # Errors
    /// No table counts at the order's time, its amount is negative, its categories do not sum to it, or its rate of exchange
    /// has a zero.
    pub fn commission(&self, sale: &Sale) -> Result<Commission, CommissionError> {
        let table = self.at(sale.placed_at).ok_or(CommissionError::NoTable(sale.placed_at))?;
        if sale.amount.amount_minor < 0 {
            return Err(CommissionError::Negative(sale.amount));
        }
        if sale.usd.usd_minor == 0 || sale.usd.for_minor == 0 {
            return Err(CommissionError::Rate(sale.usd));
        }
        let decided = |amount_minor, rate, decided_by| Commission {
            amount: Money::new(amount_minor, sale.amount.currency),
            of: sale.amount,
            rate,
            decided_by,
            table_version: table.version,
        };
        let parts = sale.categories.iter().map(|(category, minor)| (table.rate(sale, *category), *minor));
        let parts: Vec<(RatePpm, i64)> = parts.collect();
        let sum: i128 = parts.iter().map(|(_, minor)| i128::from(*minor)).sum();
        if sum != i128::from(sale.amount.amount_minor) || parts.iter().any(|(_, minor)| *minor < 0) {
            return Err(CommissionError::Categories(sale.amount));
        }
        if sale.categories.iter().all(|(category, _)| table.is_strategic(sale, *category)) {
            return Ok(decided(0, RatePpm(0), DecidedBy::Strategic));
        }
        let (by_rate, rate) = of_parts(&parts)?;
        let minimum = ratio(table.minimum_usd_minor, sale.usd.for_minor, sale.usd.usd_minor, Rounding::Up)?;
        Ok(if by_rate >= minimum {
            decided(by_rate, rate, DecidedBy::Rate)
        } else if minimum <= sale.amount.amount_minor {
            decided(minimum, rate, DecidedBy::Minimum)
        } else {
            decided(sale.amount.amount_minor, rate, DecidedBy::WholeOrder)
        })
    }
}

impl CommissionTable {
    fn is_strategic(&self, sale: &Sale, category: Category) -> bool {
        let counts =
            |s: &crate::Strategic| s.category == category && s.from <= sale.placed_at && sale.placed_at < s.until;
        self.strategic.iter().any(counts)
    }

    fn rate(&self, sale: &Sale, category: Category) -> RatePpm {
        if self.is_strategic(sale, category) {
            return RatePpm(0);
        }
        let discount = self.volume_discount(sale).max(self.plan_discount(sale));
        let points = match self.margins.get(category.as_str()) {
            Some(Margin::High) => self.high_margin_ppm,
            Some(Margin::Low) => self.low_margin_ppm,
            None => 0,
        };
        let rate = i64::from(self.base(sale.plan).0) - i64::from(discount) + i64::from(points);
        RatePpm(u32::try_from(rate).unwrap_or(0).max(self.floor_ppm))
    }

    fn volume_discount(&self, sale: &Sale) -> u32 {
        let band = self.volume.iter().rev().find(|band| band.from_usd_minor <= sale.settled_usd_minor);
        band.map_or(0, |band| match sale.contract {
            Some(contract) if band.contract => contract.0,
            _ => band.discount_ppm,
        })
    }

    fn plan_discount(&self, sale: &Sale) -> u32 {
        let counts = self.plan.iter().filter(|d| d.plan == sale.plan && d.from_usd_minor <= sale.settled_usd_minor);
        counts.map(|discount| discount.discount_ppm).max().unwrap_or(0)
    }
}

/// The amount of rates that each count for a part, rounded once, and their mean.
fn of_parts(parts: &[(RatePpm, i64)]) -> Result<(i64, RatePpm), CommissionError> {
    let whole: i128 = parts.iter().map(|(_, minor)| i128::from(*minor)).sum();
    let weighed: i128 = parts.iter().map(|(rate, minor)| i128::from(rate.0) * i128::from(*minor)).sum();
    let rounded = (weighed + WHOLE_PPM / 2) / WHOLE_PPM;
    let first = parts.first().map_or(0, |(rate, _)| i128::from(rate.0));
    let mean = if whole == 0 { first } else { weighed / whole };
    let amount = i64::try_from(rounded).map_err(|_| DivideError::Overflow)?;
    Ok((amount, RatePpm(u32::try_from(mean).map_err(|_| DivideError::Overflow)?)))
}

impl Commission {
    /// What a refund gives back of it: `before` was refunded until now and `after` will be, in minor units of the order's
    /// amount. Refunds of the whole order in any parts give back the whole commission.
    ///
    /// # Errors
    /// Refunds that do not rise, or that exceed the order.
    pub fn of_refund(&self, before_minor: i64, after_minor: i64) -> Result<Money, CommissionError> {
        let back = share_of_step(self.amount.amount_minor, before_minor, after_minor, self.of.amount_minor)?;
        Ok(Money::new(back, self.amount.currency))
    }
}

/// The calendar month before that of `time`, in UTC: from its first instant to the first of the next.
pub fn previous_month(time: Timestamp) -> (Timestamp, Timestamp) {
    let this = time.first_day_of_month() * DAY_MICROS;
    let last_of_previous = Timestamp::from_micros(this - 1);
    (Timestamp::from_micros(last_of_previous.first_day_of_month() * DAY_MICROS), Timestamp::from_micros(this))
}
