//! A seller's subscription and its steps: begin, change, renew, end; each gives the invoice that it makes. Keeping them is the caller's.

use std::collections::BTreeMap;

use dhow_commission::Plan;
use dhow_events::{Currency, Timestamp};
use dhow_ledger::divide::{DivideError, share_of_step};
use serde::{Deserialize, Serialize};

use crate::{Cycle, Invoice, InvoiceLine, Limits, LineReason, Period, PriceList, QUANTITY_MAX, period};

/// What a seller takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The plan.
    pub plan: Plan,
    /// How long a period is.
    pub cycle: Cycle,
    /// Add-ons by name, with how many of each.
    #[serde(default)]
    pub add_ons: BTreeMap<String, u32>,
}

/// When a subscription ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At once, with a credit for the rest of the period.
    Now,
    /// When the period ends; nothing is given back.
    WithPeriod,
}

/// An item that is paid for until the period ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// `plan.professional`, `add_on.user`.
    pub item: String,
    /// How many.
    pub quantity: u32,
    /// What all of them cost for the whole of the period, in minor units.
    pub period_minor: i64,
}

/// A seller's subscription as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// What was taken.
    pub terms: Terms,
    /// What the plan allows, by the price list of the last step.
    pub limits: Limits,
    /// The currency of its amounts.
    pub currency: Currency,
    /// Where its periods are counted from.
    pub anchor: Timestamp,
    /// The number of the period, from 0.
    pub index: u32,
    /// The period.
    pub period: Period,
    /// What is paid for until it ends.
    pub running: Vec<Running>,
    /// What was used in the period, by name.
    pub used: BTreeMap<String, u64>,
    /// Whether it ends with the period.
    pub ends_with_period: bool,
    /// When it ended; nothing while it runs.
    pub ended_at: Option<Timestamp>,
}

/// Why a step was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BillingError {
    /// A time that no calendar has.
    #[error("the time lies outside of the calendar")]
    Time,
    /// Amounts beyond 64 bits.
    #[error("the amounts are more than 64 bits hold")]
    Overflow,
    /// A period that the plan does not have.
    #[error("the plan cannot be had by the year")]
    Cycle,
    /// An add-on that is none.
    #[error("`{name}` is no add-on; there are {known}")]
    AddOn {
        /// What was asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// Too many of an add-on, or none.
    #[error("{quantity} of `{name}` were asked for; it can be had from 1 to {most} times")]
    Quantity {
        /// The add-on.
        name: String,
        /// How many were asked for.
        quantity: u32,
        /// The most.
        most: u32,
    },
    /// Usage of something that is not metered.
    #[error("`{name}` is not metered; {known} is")]
    Metric {
        /// What was named.
        name: String,
        /// What is metered.
        known: String,
    },
    /// A step at a time outside of the period.
    #[error("the period runs from {} to {}; it is to be renewed first", .0.begin, .0.end)]
    OutsideOfPeriod(Period),
    /// A step with a subscription that ended.
    #[error("the subscription ended at {0}")]
    Ended(Timestamp),
}

impl From<DivideError> for BillingError {
    fn from(_: DivideError) -> Self {
        Self::Overflow
    }
}

impl Subscription {
    /// Begins a subscription at `at`: its first period is charged.
    ///
    /// # Errors
    /// Terms that the price list does not have.
    pub fn begin(terms: Terms, prices: &PriceList, at: Timestamp) -> Result<(Self, Invoice), BillingError> {
        let running = items(&terms, prices)?;
        let period = period(at, terms.cycle, 0)?;
        let lines = running.iter().map(|item| item.line(LineReason::Period, period, item.period_minor)).collect();
        let begun = Self {
            limits: prices.limits(terms.plan),
            terms,
            currency: prices.currency,
            anchor: at,
            index: 0,
            period,
            running,
            used: BTreeMap::new(),
            ends_with_period: false,
            ended_at: None,
        };
        let invoice = begun.invoice(at, prices, lines)?;
        Ok((begun, invoice))
    }

    /// Takes other terms from `at` on. Where the cycle changes, the period ends at `at` and a new one begins there; else what
    /// differs is credited and charged for the rest of the period. What ends with the period no longer does.
    ///
    /// # Errors
    /// Terms that the price list does not have, a time outside of the period, a subscription that ended.
    pub fn change(&self, terms: Terms, prices: &PriceList, at: Timestamp) -> Result<(Self, Invoice), BillingError> {
        self.check_runs(at)?;
        if terms.cycle != self.terms.cycle {
            let mut lines = self.credits(&self.running, at)?;
            lines.extend(self.usage_lines(prices, at)?);
            let (begun, first) = Self::begin(terms, prices, at)?;
            lines.extend(first.lines);
            let invoice = begun.invoice(at, prices, lines)?;
            return Ok((begun, invoice));
        }
        let asked = items(&terms, prices)?;
        // What stays as it is keeps the price at which it was charged.
        let stays = |item: &Running| {
            let same = |other: &Running| other.item == item.item && other.quantity == item.quantity;
            self.running.iter().find(|other| same(other)).cloned()
        };
        let running: Vec<Running> = asked.into_iter().map(|item| stays(&item).unwrap_or(item)).collect();
        let (gone, new) = (without(&self.running, &running), without(&running, &self.running));
        let mut lines = self.credits(&gone, at)?;
        for item in &new {
            lines.push(item.line(LineReason::Added, self.rest(at), self.rest_minor(item, at)?));
        }
        let limits = prices.limits(terms.plan);
        let changed = Self { terms, limits, running, ends_with_period: false, ..self.clone() };
        let invoice = changed.invoice(at, prices, lines)?;
        Ok((changed, invoice))
    }

    /// Closes the period at its end: usage is charged, and the next period, by the price list of then, unless it ends here.
    ///
    /// # Errors
    /// Terms that the price list no longer has, a subscription that ended.
    pub fn renew(&self, prices: &PriceList) -> Result<(Self, Invoice), BillingError> {
        if let Some(ended_at) = self.ended_at {
            return Err(BillingError::Ended(ended_at));
        }
        let at = self.period.end;
        let mut lines = self.usage_lines(prices, at)?;
        let mut next = Self { used: BTreeMap::new(), ..self.clone() };
        if self.ends_with_period {
            (next.running, next.ended_at, next.limits) = (Vec::new(), Some(at), prices.limits(Plan::Free));
        } else {
            next.running = items(&self.terms, prices)?;
            next.limits = prices.limits(self.terms.plan);
            next.index = self.index.checked_add(1).ok_or(BillingError::Time)?;
            next.period = period(self.anchor, self.terms.cycle, next.index)?;
            lines.extend(next.running.iter().map(|item| item.line(LineReason::Period, next.period, item.period_minor)));
        }
        let invoice = next.invoice(at, prices, lines)?;
        Ok((next, invoice))
    }

    /// Ends it: at once, with a credit and its usage charged, or with the period. From then on the free plan's limits hold.
    ///
    /// # Errors
    /// A time outside of the period, a subscription that ended.
    pub fn end(&self, when: End, prices: &PriceList, at: Timestamp) -> Result<(Self, Invoice), BillingError> {
        self.check_runs(at)?;
        if when == End::WithPeriod {
            let ending = Self { ends_with_period: true, ..self.clone() };
            let invoice = ending.invoice(at, prices, Vec::new())?;
            return Ok((ending, invoice));
        }
        let mut lines = self.credits(&self.running, at)?;
        lines.extend(self.usage_lines(prices, at)?);
        let (limits, ended_at) = (prices.limits(Plan::Free), Some(at));
        let ended = Self { running: Vec::new(), used: BTreeMap::new(), limits, ended_at, ..self.clone() };
        let invoice = ended.invoice(at, prices, lines)?;
        Ok((ended, invoice))
    }

    /// Counts usage of the period.
    ///
    /// # Errors
    /// Something that is not metered, more than 64 bits hold, a subscription that ended.
    pub fn count(&self, name: &str, units: u64, prices: &PriceList) -> Result<Self, BillingError> {
        if let Some(ended_at) = self.ended_at {
            return Err(BillingError::Ended(ended_at));
        }
        if !prices.usage.contains_key(name) {
            let known = prices.usage.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(BillingError::Metric { name: name.to_owned(), known });
        }
        let mut counted = self.clone();
        let used = counted.used.entry(name.to_owned()).or_default();
        *used = used.checked_add(units).ok_or(BillingError::Overflow)?;
        Ok(counted)
    }

    fn check_runs(&self, at: Timestamp) -> Result<(), BillingError> {
        match self.ended_at {
            Some(ended_at) => Err(BillingError::Ended(ended_at)),
            None if self.period.holds(at) => Ok(()),
            None => Err(BillingError::OutsideOfPeriod(self.period)),
        }
    }

    fn invoice(&self, at: Timestamp, prices: &PriceList, lines: Vec<InvoiceLine>) -> Result<Invoice, BillingError> {
        Invoice::new(at, prices.version, self.currency, lines)
    }

    const fn rest(&self, at: Timestamp) -> Period {
        Period { begin: at, end: self.period.end }
    }

    /// What an item costs from `at` to the period's end. Shares of a period are cut at instants, each at one place for all, so
    /// that those of times that follow each other sum to the whole.
    fn rest_minor(&self, item: &Running, at: Timestamp) -> Result<i64, BillingError> {
        let whole = self.period.micros();
        Ok(share_of_step(item.period_minor, at.micros_since(self.period.begin), whole, whole)?)
    }

    fn credits(&self, gone: &[Running], at: Timestamp) -> Result<Vec<InvoiceLine>, BillingError> {
        let credit = |item: &Running| Ok(item.line(LineReason::Removed, self.rest(at), -self.rest_minor(item, at)?));
        gone.iter().map(credit).collect()
    }

    fn usage_lines(&self, prices: &PriceList, until: Timestamp) -> Result<Vec<InvoiceLine>, BillingError> {
        let span = Period { begin: self.period.begin, end: until };
        let mut lines = Vec::new();
        for (name, used) in &self.used {
            // What is no longer metered costs nothing any more.
            let Some(price) = prices.usage.get(name) else { continue };
            let quantity = used.saturating_sub(price.included).div_ceil(u64::from(price.block));
            let amount = i128::from(quantity) * i128::from(price.block_minor);
            let amount_minor = i64::try_from(amount).map_err(|_| BillingError::Overflow)?;
            let item = format!("usage.{name}");
            lines.push(InvoiceLine { item, reason: LineReason::Usage, quantity, span, amount_minor });
        }
        Ok(lines)
    }
}

impl Running {
    fn line(&self, reason: LineReason, span: Period, amount_minor: i64) -> InvoiceLine {
        InvoiceLine { item: self.item.clone(), reason, quantity: u64::from(self.quantity), span, amount_minor }
    }
}

/// What is in `these` and not in `those`.
fn without(these: &[Running], those: &[Running]) -> Vec<Running> {
    these.iter().filter(|item| !those.contains(item)).cloned().collect()
}

/// What the terms cost for a whole period, by the price list.
fn items(terms: &Terms, prices: &PriceList) -> Result<Vec<Running>, BillingError> {
    let plan = prices.plans.get(&terms.plan).and_then(|price| price.of(terms.cycle)).ok_or(BillingError::Cycle)?;
    let name = match terms.plan {
        Plan::Free => "plan.free",
        Plan::Professional => "plan.professional",
        Plan::Enterprise => "plan.enterprise",
    };
    let mut items = vec![Running { item: name.to_owned(), quantity: 1, period_minor: plan }];
    for (name, quantity) in &terms.add_ons {
        let price = prices.add_ons.get(name).ok_or_else(|| {
            let known = prices.add_ons.keys().cloned().collect::<Vec<_>>().join(", ");
            BillingError::AddOn { name: name.clone(), known }
        })?;
        let most = price.quantity_max.min(QUANTITY_MAX);
        if !(1..=most).contains(quantity) {
            return Err(BillingError::Quantity { name: name.clone(), quantity: *quantity, most });
        }
        let period = i128::from(price.month_minor) * i128::from(terms.cycle.months()) * i128::from(*quantity);
        let period_minor = i64::try_from(period).map_err(|_| BillingError::Overflow)?;
        items.push(Running { item: format!("add_on.{name}"), quantity: *quantity, period_minor });
    }
    Ok(items)
}
