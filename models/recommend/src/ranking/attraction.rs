//! How likely a product is opened when it is shown, learned from slates that were served; what comes next unasked is the ranker's.
//!
//! Logistic regression over a few traits of a product and of how it meets the shopper, fitted by Newton's method with ridge regularisation (Hoerl and Kennard 1970)
//! over standardised columns. The position at which a product stood is one more column, so that what its place did is not
//! credited to the product (position as a feature; Haldar et al., KDD 2020); at serving it is the first for everybody.

use serde::{Deserialize, Serialize};

use super::Sources;
use super::cholesky::solve;
use super::content::Direction;
use super::features::nearness;

/// Newton steps; the loss is convex, so few are enough.
const STEPS: usize = 12;
/// Weight of half the squared coefficients, beside the sum of losses.
const RIDGE: f64 = 10.0;
/// Standardised values beyond this many deviations count as this many.
const DEVIATIONS_MAX: f64 = 6.0;
/// Below so many slates nothing is learned.
pub(super) const MIN_SLATES: usize = 300;

/// How many traits there are: few, so that the best of many candidates is not the one that noise favours most.
const TRAITS: usize = 5;

/// What opening is told by: views, orders, popularity now, the taste for words and categories, when it was seen last.
pub(super) type Traits = [f64; TRAITS];

/// The traits of an item for a shopper with this taste and history.
pub(super) fn traits(sources: &Sources, taste: Option<&Direction>, history: &[u32], item: u32) -> Traits {
    let (views, orders) = sources.demand_of(item);
    let content = taste.map_or(0.0, |taste| sources.content_score(taste, item));
    [views, orders, sources.popularity_of(item), content, nearness(history, item)]
}

/// A product that was shown.
pub(super) struct Showing {
    pub(super) traits: Traits,
    /// Its place, the first is 0.
    pub(super) position: usize,
    pub(super) opened: bool,
}

/// The fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attraction {
    means: Traits,
    deviations: Traits,
    weights: Traits,
    /// The log odds of an average product at the first place.
    base: f64,
}

impl Attraction {
    /// Fits to showings; none where nothing was opened, or everything.
    pub(super) fn fit(showings: &[Showing]) -> Option<Self> {
        let opened = showings.iter().filter(|showing| showing.opened).count();
        if opened == 0 || opened == showings.len() {
            return None;
        }
        let (means, deviations) = standards(showings);
        let model = Self { means, deviations, weights: [0.0; TRAITS], base: 0.0 };
        let inputs: Vec<Vec<f64>> = showings
            .iter()
            .map(|showing| {
                let mut input: Vec<f64> = model.standardised(&showing.traits).collect();
                input.extend([(1.0 + showing.position as f64).ln(), 1.0]);
                input
            })
            .collect();
        let labels: Vec<f64> = showings.iter().map(|showing| f64::from(u8::from(showing.opened))).collect();
        let coefficients = newton(&inputs, &labels)?;
        let weights = std::array::from_fn(|at| coefficients[at]);
        Some(Self { weights, base: coefficients[TRAITS + 1], ..model })
    }

    /// The probability that a product with these traits is opened when it is shown first.
    pub(super) fn probability(&self, traits: &Traits) -> f64 {
        let odds: f64 = self.standardised(traits).zip(&self.weights).map(|(value, weight)| value * weight).sum();
        logistic(self.base + odds)
    }

    pub(super) fn is_sound(&self) -> bool {
        let mut values = self.means.iter().chain(&self.deviations).chain(&self.weights);
        values.all(|value| value.is_finite()) && self.base.is_finite()
    }

    fn standardised<'a>(&'a self, traits: &'a Traits) -> impl Iterator<Item = f64> + 'a {
        let scale = |((value, mean), deviation): ((&f64, &f64), &f64)| {
            if *deviation > 0.0 { ((value - mean) / deviation).clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX) } else { 0.0 }
        };
        traits.iter().zip(&self.means).zip(&self.deviations).map(scale)
    }
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

fn standards(showings: &[Showing]) -> (Traits, Traits) {
    let count = showings.len() as f64;
    let mean = |at: usize| showings.iter().map(|showing| showing.traits[at]).sum::<f64>() / count;
    let means: Traits = std::array::from_fn(mean);
    let deviation = |at: usize| {
        let squares = showings.iter().map(|showing| (showing.traits[at] - means[at]).powi(2)).sum::<f64>();
        (squares / count).sqrt()
    };
    (means, std::array::from_fn(deviation))
}

/// The coefficients of least loss; none where the normal equations cannot be solved. The last one, the base, and the one
/// before it, of the position, are not regularised.
fn newton(inputs: &[Vec<f64>], labels: &[f64]) -> Option<Vec<f64>> {
    let width = inputs[0].len();
    let mut coefficients = vec![0.0; width];
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; width];
        let mut hessian = vec![0.0; width * width];
        for (input, label) in inputs.iter().zip(labels) {
            let odds: f64 = input.iter().zip(&coefficients).map(|(value, weight)| value * weight).sum();
            let probability = logistic(odds);
            let curvature = (probability * (1.0 - probability)).max(1e-9);
            for (at, value) in input.iter().enumerate() {
                gradient[at] += (label - probability) * value;
                for (other, entry) in input[..=at].iter().zip(&mut hessian[at * width..]) {
                    *entry += curvature * value * other;
                }
            }
        }
        for at in 0..width {
            let ridge = if at + 2 < width { RIDGE } else { 1e-6 };
            gradient[at] -= ridge * coefficients[at];
            hessian[at * (width + 1)] += ridge;
        }
        let step = solve(hessian, gradient)?;
        coefficients.iter_mut().zip(&step).for_each(|(coefficient, step)| *coefficient += step);
    }
    coefficients.iter().all(|coefficient| coefficient.is_finite()).then_some(coefficients)
}
