//! Duty and tax of a consignment by a tariff table, with the reason for every part of the sum; it converts no currency.

use std::collections::BTreeSet;

use dhow_events::Currency;
use dhow_ledger::divide::{DivideError, Rounding, of_rate, ratio};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{Country, HsCode, Provision, ProvisionKind, SpecificRate, SpecificUnit, TariffTable};

/// The most lines of a consignment.
pub const LINES_MAX: usize = 500;
/// The highest value of a line, in minor units, and the highest weight in grams and number of items.
pub const VALUE_MINOR_MAX: i64 = 1_000_000_000_000_000;
const GRAMS_PER_KG: u64 = 1_000;

/// A line of a consignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goods {
    /// What it is, in as many digits as the destination's tariff has.
    pub hs: HsCode,
    /// Where it was made.
    pub origin: Country,
    /// Its customs value in minor units of the table's currency.
    pub value_minor: i64,
    /// Its net weight in grams.
    pub weight_grams: i64,
    /// Pieces, or pairs, or whatever the tariff counts.
    pub items: i64,
}

/// Why there is no quote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// No line, or too many.
    #[error("{0} lines; a consignment has 1 to {LINES_MAX}")]
    Lines(usize),
    /// A value, weight or number that cannot be.
    #[error("line {line}: {what} is {found}; it must be from 0 to {VALUE_MINOR_MAX}")]
    Amount {
        /// Which line, from 0.
        line: usize,
        /// Which amount.
        what: &'static str,
        /// What it is.
        found: i64,
    },
    /// A day that the table knows nothing of.
    #[error("table {version} covers {from} to {until}, not {on}")]
    Day {
        /// The table.
        version: String,
        /// Its first day.
        from: Date,
        /// Its last day.
        until: Date,
        /// The day that was asked for.
        on: Date,
    },
    /// A code that the table has no duty for; it is not free for that.
    #[error("line {line}: table {version} has no duty for {hs} from {origin}")]
    NoRate {
        /// Which line, from 0.
        line: usize,
        /// The table.
        version: String,
        /// The code.
        hs: HsCode,
        /// The origin.
        origin: Country,
    },
    /// A sum beyond 64 bits.
    #[error("the sum does not fit: {0}")]
    Sum(#[from] DivideError),
}

/// What a part of the sum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The tariff's duty.
    Duty,
    /// A duty besides.
    Extra,
    /// A tax.
    Tax,
}

/// A part of a line's sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// The provision.
    pub id: String,
    /// Why, in words.
    pub reason: String,
    /// What the rate was taken of, in minor units.
    pub base_minor: i64,
    /// How much, in minor units; 0 where it was lifted.
    pub amount_minor: i64,
    /// The provision because of which it costs nothing.
    pub lifted_by: Option<String>,
}

/// What a line costs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LineQuote {
    /// The parts; they add up to duty and tax.
    pub parts: Vec<Part>,
    /// Duties, extra ones included, in minor units.
    pub duty_minor: i64,
    /// Taxes, in minor units.
    pub tax_minor: i64,
}

/// What a consignment costs at the border.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomsQuote {
    /// The table that it follows from.
    pub version: String,
    /// The currency of its amounts.
    pub currency: Currency,
    /// The lines, in their order.
    pub lines: Vec<LineQuote>,
    /// The customs value of all lines.
    pub value_minor: i64,
    /// All duties.
    pub duty_minor: i64,
    /// All taxes.
    pub tax_minor: i64,
    /// Duties and taxes.
    pub total_minor: i64,
}

impl TariffTable {
    /// What a consignment that is entered on a day costs.
    ///
    /// # Errors
    /// Amounts out of bounds, a day outside of the table, a code without a duty, a sum beyond 64 bits.
    pub fn quote(&self, goods: &[Goods], on: Date) -> Result<CustomsQuote, QuoteError> {
        let head = self.head();
        if !(head.from..=head.until).contains(&on) {
            let (version, from, until) = (head.version.clone(), head.from, head.until);
            return Err(QuoteError::Day { version, from, until, on });
        }
        check(goods)?;
        let value_minor = goods.iter().map(|line| line.value_minor).sum();
        let mut quote = CustomsQuote {
            version: head.version.clone(),
            currency: head.currency,
            lines: Vec::with_capacity(goods.len()),
            value_minor,
            duty_minor: 0,
            tax_minor: 0,
            total_minor: 0,
        };
        for (number, line) in goods.iter().enumerate() {
            let of_line = self.line(number, line, (value_minor, on))?;
            quote.duty_minor = plus(quote.duty_minor, of_line.duty_minor)?;
            quote.tax_minor = plus(quote.tax_minor, of_line.tax_minor)?;
            quote.lines.push(of_line);
        }
        quote.total_minor = plus(quote.duty_minor, quote.tax_minor)?;
        Ok(quote)
    }

    fn line(&self, number: usize, goods: &Goods, (total, on): (i64, Date)) -> Result<LineQuote, QuoteError> {
        let matching = |kind| self.matching(kind, &goods.hs, goods.origin, on);
        let under = |kind| {
            let narrowest = matching(kind).into_iter().next();
            narrowest.filter(|limit| total <= limit.limit_minor).map(|limit| limit.id.clone())
        };
        let free = under(ProvisionKind::DeMinimis);
        let duty_free = free.clone().or_else(|| under(ProvisionKind::DeMinimisDuty));
        let mut quote = LineQuote::default();
        let duty = matching(ProvisionKind::Duty).into_iter().next().ok_or_else(|| QuoteError::NoRate {
            line: number,
            version: self.head().version.clone(),
            hs: goods.hs.clone(),
            origin: goods.origin,
        })?;
        quote.add(PartKind::Duty, duty, goods, duty_free.clone())?;
        let extras = matching(ProvisionKind::Extra);
        let exempts = matching(ProvisionKind::Exempt);
        let mut counted = BTreeSet::new();
        for extra in extras.iter().filter(|extra| counted.insert(extra.id.as_str())) {
            let lifts = |other: &&&Provision| other.lifts.contains(&extra.id);
            let lifted = exempts.iter().chain(&extras).find(lifts).map(|by| by.id.clone());
            quote.add(PartKind::Extra, extra, goods, duty_free.clone().or(lifted))?;
        }
        if let Some(tax) = matching(ProvisionKind::Tax).into_iter().next() {
            quote.add(PartKind::Tax, tax, goods, free)?;
        }
        Ok(quote)
    }
}

impl LineQuote {
    fn add(
        &mut self,
        kind: PartKind,
        provision: &Provision,
        goods: &Goods,
        lifted_by: Option<String>,
    ) -> Result<(), QuoteError> {
        let base_minor = match kind {
            PartKind::Tax => plus(goods.value_minor, self.duty_minor)?,
            PartKind::Duty | PartKind::Extra => goods.value_minor,
        };
        let by_value = of_rate(base_minor, provision.ad_valorem, Rounding::HalfUp)?;
        let by_units = provision.specific.map_or(Ok(0), |rate| specific(rate, goods))?;
        let amount_minor = if lifted_by.is_some() { 0 } else { plus(by_value, by_units)? };
        let sum = match kind {
            PartKind::Tax => &mut self.tax_minor,
            PartKind::Duty | PartKind::Extra => &mut self.duty_minor,
        };
        *sum = plus(*sum, amount_minor)?;
        let (id, reason) = (provision.id.clone(), provision.reason.clone());
        self.parts.push(Part { kind, id, reason, base_minor, amount_minor, lifted_by });
        Ok(())
    }
}

fn specific(rate: SpecificRate, goods: &Goods) -> Result<i64, DivideError> {
    let (units, per_unit) = match rate.unit {
        SpecificUnit::Kg => (goods.weight_grams, GRAMS_PER_KG),
        SpecificUnit::Item => (goods.items, 1),
    };
    ratio(units, u64::from(rate.amount_minor), u64::from(rate.per) * per_unit, Rounding::HalfUp)
}

fn check(goods: &[Goods]) -> Result<(), QuoteError> {
    if goods.is_empty() || goods.len() > LINES_MAX {
        return Err(QuoteError::Lines(goods.len()));
    }
    for (line, goods) in goods.iter().enumerate() {
        let amounts =
            [("value_minor", goods.value_minor), ("weight_grams", goods.weight_grams), ("items", goods.items)];
        for (what, found) in amounts {
            if !(0..=VALUE_MINOR_MAX).contains(&found) {
                return Err(QuoteError::Amount { line, what, found });
            }
        }
    }
    Ok(())
}

fn plus(a: i64, b: i64) -> Result<i64, QuoteError> {
    a.checked_add(b).ok_or(QuoteError::Sum(DivideError::Overflow))
}
