//! How often customers buy and when that ends: the BG/NBD model by maximum likelihood; it knows no money.
//!
//! Fader, Hardie and Lee, "Counting Your Customers the Easy Way: An Alternative to the Pareto/NBD Model" (2005). Somebody
//! buys at a rate of their own, drawn from a gamma distribution (r, α), and after each purchase leaves with a probability
//! of their own, drawn from a beta distribution (a, b).

use libm::lgamma;
use serde::{Deserialize, Serialize};

use crate::CustomersError;
use crate::history::Summary;
use crate::search::minimum;

/// Customers that are needed to fit it.
const CUSTOMERS_MIN: usize = 20;
/// Terms of the hypergeometric series; it converges like a geometric one with the ratio of the forecast's days to all.
const SERIES_TERMS_MAX: usize = 20_000;

/// A fitted model. Times are in days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BgNbd {
    /// Shape of the rates.
    pub r: f64,
    /// Scale of the rates, in days.
    pub alpha: f64,
    /// First parameter of the chance to leave.
    pub a: f64,
    /// Second parameter of the chance to leave.
    pub b: f64,
}

impl BgNbd {
    /// Fits it to customers.
    ///
    /// # Errors
    /// Fewer than 20 customers, or no maximum.
    pub fn fit(customers: &[Summary]) -> Result<Self, CustomersError> {
        if customers.len() < CUSTOMERS_MIN {
            return Err(CustomersError::TooFew { what: "customers", found: customers.len(), needed: CUSTOMERS_MIN });
        }
        let days = customers.iter().map(|customer| customer.age).sum::<f64>() / customers.len() as f64;
        // Logarithms keep the parameters above nothing; time is measured by its mean, so that all are of like size.
        let of = |point: &[f64]| Self {
            r: point[0].exp(),
            alpha: point[1].exp() * days,
            a: point[2].exp(),
            b: point[3].exp(),
        };
        let loss = |point: &[f64]| -of(point).log_likelihood(customers) / customers.len() as f64;
        let (point, value) = minimum(&[0.0; 4], loss);
        if value.is_finite() { Ok(of(&point)) } else { Err(CustomersError::NoMaximum("BG/NBD")) }
    }

    /// The logarithm of the likelihood of all customers.
    pub fn log_likelihood(&self, customers: &[Summary]) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let of = |customer: &Summary| {
            let Summary { repeats: x, recency, age, .. } = *customer;
            let rates = lgamma(r + x) - lgamma(r) + r * alpha.ln();
            let stays = lgamma(a + b) + lgamma(b + x) - lgamma(b) - lgamma(a + b + x);
            let still_there = -(r + x) * (alpha + age).ln();
            if x == 0.0 {
                return rates + stays + still_there;
            }
            let left = a.ln() - (b + x - 1.0).ln() - (r + x) * (alpha + recency).ln();
            let larger = still_there.max(left);
            rates + stays + larger + ((still_there - larger).exp() + (left - larger).exp()).ln()
        };
        customers.iter().map(of).sum()
    }

    /// The probability that a customer has not left.
    pub fn alive(&self, customer: &Summary) -> f64 {
        1.0 / (1.0 + self.odds_of_having_left(customer))
    }

    /// The probability that nothing is bought in the next `days`: the customer has left, or stays and waits that long.
    pub fn silent(&self, customer: &Summary, days: f64) -> f64 {
        let (alive, since) = (self.alive(customer), self.alpha + customer.age);
        1.0 - alive + alive * (since / (since + days)).powf(self.r + customer.repeats)
    }

    /// The days of purchase that are to be expected in the next `days`.
    pub fn expected_purchases(&self, customer: &Summary, days: f64) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let Summary { repeats: x, age, .. } = *customer;
        let series = hypergeometric(r + x, b + x, a + b + x - 1.0, days / (alpha + age + days));
        let rest = 1.0 - ((alpha + age) / (alpha + age + days)).powf(r + x) * series;
        (a + b + x - 1.0) / (a - 1.0) * rest * self.alive(customer)
    }

    fn odds_of_having_left(&self, customer: &Summary) -> f64 {
        let Self { r, alpha, a, b } = *self;
        let Summary { repeats: x, recency, age, .. } = *customer;
        if x == 0.0 { 0.0 } else { a / (b + x - 1.0) * ((alpha + age) / (alpha + recency)).powf(r + x) }
    }
}

/// Gauss's ₂F₁(a, b; c; z) for z from 0 to below 1, by its series.
fn hypergeometric(a: f64, b: f64, c: f64, z: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for step in 0..SERIES_TERMS_MAX {
        let n = step as f64;
        term *= (a + n) * (b + n) / ((c + n) * (n + 1.0)) * z;
        sum += term;
        if term.abs() < 1e-13 * sum.abs() {
            break;
        }
    }
    sum
}
