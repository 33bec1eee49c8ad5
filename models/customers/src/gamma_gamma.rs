//! What a purchase of a customer is worth: the gamma-gamma model by maximum likelihood; it counts no purchases.
//!
//! Fader and Hardie, "The Gamma-Gamma Model of Monetary Value" (2013): amounts vary around a mean of each customer's own,
//! which is drawn from an inverse gamma distribution and does not depend on how often they buy.

use libm::lgamma;
use serde::{Deserialize, Serialize};

use crate::CustomersError;
use crate::history::Summary;
use crate::search::minimum;

/// Customers with a repeated purchase that are needed to fit it.
const CUSTOMERS_MIN: usize = 20;

/// A fitted model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GammaGamma {
    /// Shape of the amounts.
    pub p: f64,
    /// Shape of the customers' scales.
    pub q: f64,
    /// Scale of the customers' scales, in money.
    pub gamma: f64,
}

impl GammaGamma {
    /// Fits it to those of the customers who bought more than once.
    ///
    /// # Errors
    /// Fewer than 20 of them, or no maximum.
    pub fn fit(customers: &[Summary]) -> Result<Self, CustomersError> {
        let repeated: Vec<Summary> =
            customers.iter().copied().filter(|one| one.repeats > 0.0 && one.mean_amount > 0.0).collect();
        if repeated.len() < CUSTOMERS_MIN {
            let found = repeated.len();
            return Err(CustomersError::TooFew { what: "customers who bought again", found, needed: CUSTOMERS_MIN });
        }
        let mean = repeated.iter().map(|one| one.mean_amount).sum::<f64>() / repeated.len() as f64;
        let of = |point: &[f64]| Self { p: point[0].exp(), q: point[1].exp(), gamma: point[2].exp() * mean };
        let loss = |point: &[f64]| -of(point).log_likelihood(&repeated) / repeated.len() as f64;
        let (point, value) = minimum(&[1.0, 1.0, 0.0], loss);
        if value.is_finite() { Ok(of(&point)) } else { Err(CustomersError::NoMaximum("gamma-gamma")) }
    }

    fn log_likelihood(&self, customers: &[Summary]) -> f64 {
        let Self { p, q, gamma } = *self;
        let of = |one: &Summary| {
            let (x, m) = (one.repeats, one.mean_amount);
            lgamma(p * x + q) - lgamma(p * x) - lgamma(q) + q * gamma.ln() + (p * x - 1.0) * m.ln() + p * x * x.ln()
                - (p * x + q) * (gamma + m * x).ln()
        };
        customers.iter().map(of).sum()
    }

    /// What a purchase of a customer is worth on average: their own mean, drawn towards everybody's the less is known.
    pub fn expected_amount(&self, customer: &Summary) -> f64 {
        let Self { p, q, gamma } = *self;
        p * (gamma + customer.mean_amount * customer.repeats) / (p * customer.repeats + q - 1.0)
    }
}
