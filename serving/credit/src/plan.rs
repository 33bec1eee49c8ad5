//! The terms of a plan and what they make of an amount; who may have it is the score card's to say.

use dhow_events::{Currency, DAY_MICROS, Money, Timestamp};
use dhow_ledger::divide::{DivideError, RatePpm, Rounding, of_rate, split};
use serde::{Deserialize, Serialize};

use crate::Instalment;

/// The most instalments of a plan, the down payment not counted.
pub const INSTALMENTS_MAX: u32 = 24;
/// The longest time between two instalments, in days.
pub const INTERVAL_DAYS_MAX: u32 = 92;
/// The largest down payment, in millionths of the amount.
pub const DOWN_PAYMENT_PPM_MAX: u32 = 900_000;
/// The largest fee, in millionths of what is financed.
pub const FEE_PPM_MAX: u32 = 500_000;
/// The most currencies of a plan.
pub const OFFERS_MAX: usize = 32;
/// The longest title, in bytes.
pub const TITLE_BYTES_MAX: usize = 100;
/// The largest amount of a plan, in minor units.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000;
/// An amount has at least so many minor units for each instalment, so that none is empty after the largest down payment.
const LEAST_MINOR_PER_INSTALMENT: i64 = 20;

/// What a plan finances in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The currency.
    pub currency: Currency,
    /// The least amount, in minor units; at least 20 for each instalment.
    pub least_minor: i64,
    /// The most, in minor units, up to [`AMOUNT_MINOR_MAX`].
    pub most_minor: i64,
    /// A fee beside the rate, in minor units, up to the least amount.
    #[serde(default)]
    pub fixed_fee_minor: i64,
}

/// A plan as an agreement takes it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTerms {
    /// What buyers read, 1 to [`TITLE_BYTES_MAX`] bytes.
    pub title: String,
    /// Instalments after the down payment, 1 to [`INSTALMENTS_MAX`].
    pub instalments: u32,
    /// Days from one to the next, 1 to [`INTERVAL_DAYS_MAX`]; the first is due so many days after the purchase.
    pub interval_days: u32,
    /// The share that is paid at once, in millionths, up to [`DOWN_PAYMENT_PPM_MAX`].
    #[serde(default)]
    pub down_payment_ppm: u32,
    /// The fee, in millionths of what is not paid at once, up to [`FEE_PPM_MAX`].
    #[serde(default)]
    pub fee_ppm: u32,
    /// What it finances, each currency once.
    pub offers: Vec<Offer>,
    /// Whether new agreements may be made of it.
    #[serde(default = "offered")]
    pub offered: bool,
}

const fn offered() -> bool {
    true
}

/// A field of a plan that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProblem {
    /// A JSON Pointer into the plan.
    pub pointer: String,
    /// What would be right.
    pub message: String,
}

/// Why a plan does not finance an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefusal {
    /// It is no longer offered.
    #[error("is no longer offered")]
    NotOffered,
    /// Not in this currency.
    #[error("finances nothing in {0}")]
    Currency(Currency),
    /// Too little or too much.
    #[error("finances from {least_minor} to {most_minor} minor units, not {asked_minor}")]
    Amount {
        /// What was asked for.
        asked_minor: i64,
        /// The least.
        least_minor: i64,
        /// The most.
        most_minor: i64,
    },
    /// The amounts do not fit.
    #[error(transparent)]
    Divide(#[from] DivideError),
}

impl PlanTerms {
    /// Every field that is out of its bounds.
    pub fn problems(&self) -> Vec<PlanProblem> {
        let mut problems = Vec::new();
        let mut wrong = |is_wrong: bool, pointer: &str, message: String| {
            if is_wrong {
                problems.push(PlanProblem { pointer: pointer.to_owned(), message });
            }
        };
        let title = (1..=TITLE_BYTES_MAX).contains(&self.title.trim().len()) && self.title.len() <= TITLE_BYTES_MAX;
        wrong(!title, "/title", format!("must have 1 to {TITLE_BYTES_MAX} bytes"));
        let instalments = (1..=INSTALMENTS_MAX).contains(&self.instalments);
        wrong(!instalments, "/instalments", format!("must be from 1 to {INSTALMENTS_MAX}"));
        let interval = (1..=INTERVAL_DAYS_MAX).contains(&self.interval_days);
        wrong(!interval, "/interval_days", format!("must be from 1 to {INTERVAL_DAYS_MAX}"));
        let down = self.down_payment_ppm <= DOWN_PAYMENT_PPM_MAX;
        wrong(!down, "/down_payment_ppm", format!("must be at most {DOWN_PAYMENT_PPM_MAX}"));
        wrong(self.fee_ppm > FEE_PPM_MAX, "/fee_ppm", format!("must be at most {FEE_PPM_MAX}"));
        let offers = (1..=OFFERS_MAX).contains(&self.offers.len());
        wrong(!offers, "/offers", format!("must be from 1 to {OFFERS_MAX}"));
        let least = LEAST_MINOR_PER_INSTALMENT * i64::from(self.instalments.min(INSTALMENTS_MAX));
        for (index, offer) in self.offers.iter().take(OFFERS_MAX).enumerate() {
            let at = |field: &str| format!("/offers/{index}/{field}");
            let again = self.offers[..index].iter().any(|other| other.currency == offer.currency);
            wrong(again, &at("currency"), format!("{} stands there twice", offer.currency));
            let message = format!("must be at least {least}, {LEAST_MINOR_PER_INSTALMENT} for each instalment");
            wrong(offer.least_minor < least, &at("least_minor"), message);
            let most = (offer.least_minor..=AMOUNT_MINOR_MAX).contains(&offer.most_minor);
            wrong(!most, &at("most_minor"), format!("must be from the least to {AMOUNT_MINOR_MAX}"));
            let fee = (0..=offer.least_minor).contains(&offer.fixed_fee_minor);
            wrong(!fee, &at("fixed_fee_minor"), "must be from 0 to the least amount".to_owned());
        }
        problems
    }

    /// What is paid at once of an amount.
    ///
    /// # Errors
    /// What the plan does not finance.
    pub fn down_payment_minor(&self, amount: Money) -> Result<i64, PlanRefusal> {
        self.offer(amount)?;
        Ok(of_rate(amount.amount_minor, RatePpm(self.down_payment_ppm), Rounding::HalfUp)?)
    }

    /// The schedule of an amount that is bought at `from`: the down payment, where there is one, then the instalments.
    /// Its principals sum to the amount, its fees to the fee.
    ///
    /// # Errors
    /// What the plan does not finance.
    pub fn schedule(&self, amount: Money, from: Timestamp) -> Result<Vec<Instalment>, PlanRefusal> {
        let offer = self.offer(amount)?;
        let down = self.down_payment_minor(amount)?;
        let financed = amount.amount_minor - down;
        let fee = of_rate(financed, RatePpm(self.fee_ppm), Rounding::HalfUp)? + offer.fixed_fee_minor;
        let weights = vec![1; self.instalments as usize];
        let (principals, fees) = (split(financed, &weights)?, split(fee, &weights)?);
        let first = (down > 0).then_some(Instalment { number: 1, due_at: from, principal_minor: down, fee_minor: 0 });
        let mut schedule: Vec<Instalment> = first.into_iter().collect();
        for (step, (principal_minor, fee_minor)) in (1_i64..).zip(principals.into_iter().zip(fees)) {
            let number = schedule.len() as u32 + 1;
            let due_at = from + step * i64::from(self.interval_days) * DAY_MICROS;
            schedule.push(Instalment { number, due_at, principal_minor, fee_minor });
        }
        Ok(schedule)
    }

    fn offer(&self, amount: Money) -> Result<&Offer, PlanRefusal> {
        if !self.offered {
            return Err(PlanRefusal::NotOffered);
        }
        let offer = self.offers.iter().find(|offer| offer.currency == amount.currency);
        let offer = offer.ok_or(PlanRefusal::Currency(amount.currency))?;
        let (least_minor, most_minor, asked_minor) = (offer.least_minor, offer.most_minor, amount.amount_minor);
        if !(least_minor..=most_minor).contains(&asked_minor) {
            return Err(PlanRefusal::Amount { asked_minor, least_minor, most_minor });
        }
        Ok(offer)
    }
}
