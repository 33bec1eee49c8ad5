//! From a probability to approve, review or decline at the least expected cost; the probability itself comes from a scorer.
//!
//! With probability p, amount a, loss L = a + chargeback fee, gross margin share m, review cost r, catch share c and the share w
//! of held genuine buyers who give up, the expected costs are: approve p·L; review r + p·(1−c)·L + (1−p)·w·m·a; decline
//! (1−p)·m·a. Each is a straight line in p, so the cheapest action changes at two break-even probabilities that depend on the
//! amount. How far the break-even odds are moved (1 = not at all, where the calibration is right) is chosen on validation
//! orders, where they hold enough frauds to tell.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scorer::FraudScore;

/// Factors on the break-even odds that are tried, nearest to 1 first, so that a tie keeps the calibrated decision.
const ODDS_FACTORS: [f64; 9] = [1.0, 1.5, 1.0 / 1.5, 2.0, 0.5, 4.0, 0.25, 8.0, 0.125];

/// Frauds that validation orders need before the break-even odds are moved: the cost of fewer hangs on single orders.
const FRAUDS_TO_MOVE_MIN: usize = 50;

/// What to do with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Let it pass.
    Approve,
    /// Hold it for a person.
    Review,
    /// Refuse it.
    Decline,
}

/// What mistakes and reviews cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Gross margin lost when a genuine order is refused, as a share of its amount, 0..=1.
    pub gross_margin_share: f64,
    /// A person's time for one review, US cents, ≥ 0.
    pub review_cost_usd_minor: i64,
    /// The bank's fee for a chargeback beyond the amount, US cents, ≥ 0.
    pub chargeback_fee_usd_minor: i64,
    /// Share of frauds that a review recognises, 0..=1. Reviewed genuine orders are taken to pass, but for …
    pub review_catch_share: f64,
    /// … the share of their buyers who give up while the order is held, 0..=1.
    pub review_lost_share: f64,
}

impl Default for Costs {
    /// Assumptions to be replaced by the merchant's own: 20 % margin, 4 USD a review, 20 USD a chargeback, 90 % caught,
    /// 5 % of held buyers lost.
    fn default() -> Self {
        Self {
            gross_margin_share: 0.2,
            review_cost_usd_minor: 400,
            chargeback_fee_usd_minor: 2_000,
            review_catch_share: 0.9,
            review_lost_share: 0.05,
        }
    }
}

/// Why costs or orders cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CostsError {
    /// A share outside 0..=1.
    #[error("{name} is {value}; it must lie between 0 and 1")]
    BadShare {
        /// The field.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// A negative cost.
    #[error("{name} is {value} US cents; it must not be negative")]
    NegativeCost {
        /// The field.
        name: &'static str,
        /// Its value.
        value: i64,
    },
    /// Columns of different lengths.
    #[error("{first} probabilities or actions, {labels} labels and {amounts} amounts; each order needs one of each")]
    WrongLength {
        /// Probabilities or actions.
        first: usize,
        /// Labels.
        labels: usize,
        /// Amounts.
        amounts: usize,
    },
    /// There is no order to choose from.
    #[error("thresholds cannot be chosen without orders")]
    NoOrders,
    /// A probability that is none.
    #[error("order {row} has probability {value}; it must lie between 0 and 1")]
    BadProbability {
        /// Row, from 0.
        row: usize,
        /// The value.
        value: f64,
    },
}

/// The bands for one amount: approve up to `review_above`, review up to `decline_above`, decline beyond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bands {
    /// Probabilities above this are reviewed, 0..=1; equal to `decline_above` where a review never pays.
    pub review_above: f64,
    /// Probabilities above this are declined, `review_above`..=1.
    pub decline_above: f64,
}

impl Costs {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `BadShare` or `NegativeCost` naming the field.
    pub fn check(&self) -> Result<(), CostsError> {
        for (name, value) in [
            ("gross_margin_share", self.gross_margin_share),
            ("review_catch_share", self.review_catch_share),
            ("review_lost_share", self.review_lost_share),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(CostsError::BadShare { name, value });
            }
        }
        for (name, value) in [
            ("review_cost_usd_minor", self.review_cost_usd_minor),
            ("chargeback_fee_usd_minor", self.chargeback_fee_usd_minor),
        ] {
            if value < 0 {
                return Err(CostsError::NegativeCost { name, value });
            }
        }
        Ok(())
    }

    /// Expected cost in US cents of `action` on an order of `amount_usd_minor` (below 0 counts as 0) with fraud probability
    /// `probability`; with 0 or 1, the realised cost.
    pub fn expected_usd_minor(&self, action: Action, probability: f64, amount_usd_minor: i64) -> f64 {
        let amount = amount_usd_minor.max(0) as f64;
        let loss = amount + self.chargeback_fee_usd_minor as f64;
        let refused = (1.0 - probability) * self.gross_margin_share * amount;
        match action {
            Action::Approve => probability * loss,
            Action::Review => {
                let missed = probability * (1.0 - self.review_catch_share) * loss;
                self.review_cost_usd_minor as f64 + missed + self.review_lost_share * refused
            }
            Action::Decline => refused,
        }
    }

    /// The bands in which each action is the cheapest for a calibrated probability.
    pub fn break_even(&self, amount_usd_minor: i64) -> Bands {
        let amount = amount_usd_minor.max(0) as f64;
        let loss = amount + self.chargeback_fee_usd_minor as f64;
        if loss == 0.0 {
            // Nothing can be lost, so nothing is worth stopping.
            return Bands { review_above: 1.0, decline_above: 1.0 };
        }
        let margin = self.gross_margin_share * amount;
        let given_up = self.review_lost_share * margin;
        // What a review costs beyond the frauds that it misses, where the order is genuine.
        let review = self.review_cost_usd_minor as f64 + given_up;
        let approve_or_decline = margin / (loss + margin);
        // A catch share of 0 makes this 1 or more: then a review never pays.
        let approve_or_review = review / (self.review_catch_share * loss + given_up);
        if approve_or_review >= approve_or_decline || approve_or_review.is_nan() {
            return Bands { review_above: approve_or_decline, decline_above: approve_or_decline };
        }
        let missed = (1.0 - self.review_catch_share) * loss;
        let review_or_decline = (margin - review) / (missed + margin - given_up);
        Bands { review_above: approve_or_review, decline_above: review_or_decline.clamp(approve_or_review, 1.0) }
    }

    /// The money of decisions whose outcome is known: one action, label (true = fraud) and amount in US cents per order.
    ///
    /// # Errors
    /// Wrong costs, or `WrongLength`.
    pub fn money(
        &self,
        actions: &[Action],
        labels: &[bool],
        amounts_usd_minor: &[i64],
    ) -> Result<MoneyReport, CostsError> {
        self.check()?;
        check_lengths(actions.len(), labels.len(), amounts_usd_minor.len())?;
        let mut report = MoneyReport::default();
        let (mut lost, mut lost_without) = (0.0, 0.0);
        for ((&action, &label), &amount) in actions.iter().zip(labels).zip(amounts_usd_minor) {
            let truth = f64::from(u8::from(label));
            lost += self.expected_usd_minor(action, truth, amount);
            lost_without += self.expected_usd_minor(Action::Approve, truth, amount);
            let (count, frauds) = match action {
                Action::Approve => (&mut report.approved, &mut report.frauds_approved),
                Action::Review => (&mut report.reviewed, &mut report.frauds_reviewed),
                Action::Decline => (&mut report.declined, &mut report.frauds_declined),
            };
            *count += 1;
            *frauds += u64::from(label);
        }
        report.cost_usd_minor = lost.round() as i64;
        report.cost_if_all_approved_usd_minor = lost_without.round() as i64;
        report.saved_usd_minor = report.cost_if_all_approved_usd_minor - report.cost_usd_minor;
        Ok(report)
    }
}

/// What decisions cost, beside approving everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoneyReport {
    /// Orders approved.
    pub approved: u64,
    /// Orders sent to review.
    pub reviewed: u64,
    /// Orders declined.
    pub declined: u64,
    /// Frauds among the approved.
    pub frauds_approved: u64,
    /// Frauds among the reviewed.
    pub frauds_reviewed: u64,
    /// Frauds among the declined.
    pub frauds_declined: u64,
    /// Cost of these decisions: frauds passed, reviews, genuine orders refused; US cents.
    pub cost_usd_minor: i64,
    /// Cost had every order been approved; US cents.
    pub cost_if_all_approved_usd_minor: i64,
    /// The difference; negative where the decisions cost more than they saved.
    pub saved_usd_minor: i64,
}

/// The bands in force: costs, and how far the break-even odds are moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// The costs from which the bands follow.
    pub costs: Costs,
    /// Factor on the odds from which orders are reviewed; 1 trusts the calibration.
    pub review_odds_factor: f64,
    /// Factor on the odds from which orders are declined; 1 trusts the calibration.
    pub decline_odds_factor: f64,
}

impl Thresholds {
    /// The break-even bands as the costs give them.
    ///
    /// # Errors
    /// Wrong costs.
    pub fn at_break_even(costs: Costs) -> Result<Self, CostsError> {
        costs.check()?;
        Ok(Self { costs, review_odds_factor: 1.0, decline_odds_factor: 1.0 })
    }

    /// Chooses the factors that cost least on validation orders: calibrated probabilities, labels and amounts in US cents. With
    /// fewer than 50 frauds among them the calibration is trusted and the break-even bands stay.
    ///
    /// # Errors
    /// Wrong costs, `WrongLength`, `NoOrders` or `BadProbability`.
    pub fn choose(
        costs: Costs,
        probabilities: &[f64],
        labels: &[bool],
        amounts_usd_minor: &[i64],
    ) -> Result<Self, CostsError> {
        let mut best = Self::at_break_even(costs)?;
        check_lengths(probabilities.len(), labels.len(), amounts_usd_minor.len())?;
        if probabilities.is_empty() {
            return Err(CostsError::NoOrders);
        }
        if let Some(row) = probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
            return Err(CostsError::BadProbability { row, value: probabilities[row] });
        }
        if labels.iter().filter(|label| **label).count() < FRAUDS_TO_MOVE_MIN {
            return Ok(best);
        }
        let mut best_cost = f64::INFINITY;
        for review_odds_factor in ODDS_FACTORS {
            for decline_odds_factor in ODDS_FACTORS {
                let tried = Self { costs, review_odds_factor, decline_odds_factor };
                let cost = tried.realised_cost(probabilities, labels, amounts_usd_minor);
                if cost < best_cost {
                    (best, best_cost) = (tried, cost);
                }
            }
        }
        Ok(best)
    }

    /// The bands for an amount in US cents.
    pub fn bands(&self, amount_usd_minor: i64) -> Bands {
        let even = self.costs.break_even(amount_usd_minor);
        let review_above = scale_odds(even.review_above, self.review_odds_factor);
        let decline_above = scale_odds(even.decline_above, self.decline_odds_factor);
        if even.review_above == even.decline_above {
            return Bands { review_above: decline_above, decline_above };
        }
        Bands { review_above: review_above.min(decline_above), decline_above }
    }

    /// What to do with an order of this score and amount in US cents.
    pub fn decide(&self, score: &FraudScore, amount_usd_minor: i64) -> Action {
        self.decide_probability(score.probability, amount_usd_minor)
    }

    /// What to do with an order of this calibrated probability and amount in US cents.
    pub fn decide_probability(&self, probability: f64, amount_usd_minor: i64) -> Action {
        let bands = self.bands(amount_usd_minor);
        if probability > bands.decline_above {
            Action::Decline
        } else if probability > bands.review_above {
            Action::Review
        } else {
            Action::Approve
        }
    }

    /// The money of deciding by these thresholds where the outcome is known: calibrated probabilities, labels (true = fraud)
    /// and amounts in US cents.
    ///
    /// # Errors
    /// Wrong costs, or `WrongLength`.
    pub fn money(
        &self,
        probabilities: &[f64],
        labels: &[bool],
        amounts_usd_minor: &[i64],
    ) -> Result<MoneyReport, CostsError> {
        check_lengths(probabilities.len(), labels.len(), amounts_usd_minor.len())?;
        let decided = probabilities.iter().zip(amounts_usd_minor);
        let actions: Vec<Action> = decided.map(|(p, amount)| self.decide_probability(*p, *amount)).collect();
        self.costs.money(&actions, labels, amounts_usd_minor)
    }

    fn realised_cost(&self, probabilities: &[f64], labels: &[bool], amounts: &[i64]) -> f64 {
        probabilities
            .iter()
            .zip(labels)
            .zip(amounts)
            .map(|((&probability, &label), &amount)| {
                let action = self.decide_probability(probability, amount);
                self.costs.expected_usd_minor(action, f64::from(u8::from(label)), amount)
            })
            .sum()
    }
}

/// The probability whose odds are `factor` times those of `probability`.
fn scale_odds(probability: f64, factor: f64) -> f64 {
    probability * factor / (1.0 - probability + probability * factor)
}

fn check_lengths(first: usize, labels: usize, amounts: usize) -> Result<(), CostsError> {
    if first == labels && labels == amounts { Ok(()) } else { Err(CostsError::WrongLength { first, labels, amounts }) }
}
