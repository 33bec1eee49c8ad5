//! How likely a product is opened when it is shown, learned from slates that were served; what comes next unasked is the ranker's.
//!
//! Logistic regression over the candidates' rows, fitted by Newton's method with ridge regularisation (Hoerl and Kennard 1970)
//! over standardised columns. The position at which a product stood is one more column, so that what its place did is not
//! credited to the product (position as a feature; Haldar et al., KDD 2020); at serving it is the first for everybody.

use serde::{Deserialize, Serialize};

/// Newton steps; the loss is convex, so few are enough.
const STEPS: usize = 12;
/// Weight of half the squared coefficients, beside the sum of losses.
const RIDGE: f64 = 10.0;
/// Standardised values beyond this many deviations count as this many.
const DEVIATIONS_MAX: f64 = 6.0;
/// Below so many slates nothing is learned.
pub(super) const MIN_SLATES: usize = 300;

/// A product that was shown.
pub(super) struct Showing {
    pub(super) row: Vec<f64>,
    /// Its place, the first is 0.
    pub(super) position: usize,
    pub(super) opened: bool,
}

/// The fitted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attraction {
    means: Vec<f64>,
    deviations: Vec<f64>,
    /// One for each column.
    weights: Vec<f64>,
    /// The log odds of an average product at the first place.
    base: f64,
}

impl Attraction {
    /// Fits to showings; none where nothing was opened, or everything.
    pub(super) fn fit(showings: &[Showing]) -> Option<Self> {
        let opened = showings.iter().filter(|showing| showing.opened).count();
        let width = showings.first()?.row.len();
        if opened == 0 || opened == showings.len() {
            return None;
        }
        let (means, deviations) = standards(showings, width);
        let model = Self { means, deviations, weights: vec![0.0; width], base: 0.0 };
        let inputs: Vec<Vec<f64>> = showings
            .iter()
            .map(|showing| {
                let mut input: Vec<f64> = model.standardised(&showing.row).collect();
                input.extend([(1.0 + showing.position as f64).ln(), 1.0]);
                input
            })
            .collect();
        let labels: Vec<f64> = showings.iter().map(|showing| f64::from(u8::from(showing.opened))).collect();
        let coefficients = newton(&inputs, &labels)?;
        Some(Self { weights: coefficients[..width].to_vec(), base: coefficients[width + 1], ..model })
    }

    /// The probability that a product with this row is opened when it is shown first.
    pub(super) fn probability(&self, row: &[f64]) -> f64 {
        let odds: f64 = self.standardised(row).zip(&self.weights).map(|(value, weight)| value * weight).sum();
        logistic(self.base + odds)
    }

    pub(super) fn is_sound(&self, width: usize) -> bool {
        let finite = |values: &[f64]| values.len() == width && values.iter().all(|value| value.is_finite());
        finite(&self.means) && finite(&self.deviations) && finite(&self.weights) && self.base.is_finite()
    }

    fn standardised<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let scale = |((value, mean), deviation): ((&f64, &f64), &f64)| {
            if *deviation > 0.0 { ((value - mean) / deviation).clamp(-DEVIATIONS_MAX, DEVIATIONS_MAX) } else { 0.0 }
        };
        row.iter().zip(&self.means).zip(&self.deviations).map(scale)
    }
}

fn logistic(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

fn standards(showings: &[Showing], width: usize) -> (Vec<f64>, Vec<f64>) {
    let count = showings.len() as f64;
    let mean = |column: usize| showings.iter().map(|showing| showing.row[column]).sum::<f64>() / count;
    let means: Vec<f64> = (0..width).map(mean).collect();
    let deviation = |column: usize| {
        let squares = showings.iter().map(|showing| (showing.row[column] - means[column]).powi(2)).sum::<f64>();
        (squares / count).sqrt()
    };
    let deviations = (0..width).map(deviation).collect();
    (means, deviations)
}

/// The coefficients of least loss; none where the normal equations cannot be solved. The last one, the base, and the one
/// before it, of the position, are not regularised.
fn newton(inputs: &[Vec<f64>], labels: &[f64]) -> Option<Vec<f64>> {
    let width = inputs[0].len();
    let mut coefficients = vec![0.0; width];
    for _ in 0..STEPS {
        let mut gradient = vec![0.0; width];
        let mut hessian = vec![vec![0.0; width]; width];
        for (input, label) in inputs.iter().zip(labels) {
            let odds: f64 = input.iter().zip(&coefficients).map(|(value, weight)| value * weight).sum();
            let probability = logistic(odds);
            let curvature = (probability * (1.0 - probability)).max(1e-9);
            for (at, value) in input.iter().enumerate() {
                gradient[at] += (label - probability) * value;
                for (other, entry) in input[..=at].iter().zip(&mut hessian[at]) {
                    *entry += curvature * value * other;
                }
            }
        }
        for at in 0..width {
            let ridge = if at + 2 < width { RIDGE } else { 1e-6 };
            gradient[at] -= ridge * coefficients[at];
            hessian[at][at] += ridge;
        }
        let step = solve(hessian, gradient)?;
        coefficients.iter_mut().zip(&step).for_each(|(coefficient, step)| *coefficient += step);
    }
    coefficients.iter().all(|coefficient| coefficient.is_finite()).then_some(coefficients)
}

/// Solves a positive definite system, given by its lower triangle, by Cholesky's decomposition.
fn solve(mut lower: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let width = right.len();
    for row in 0..width {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| lower[row][k] * lower[column][k]).sum();
            let rest = lower[row][column] - known;
            if row == column {
                if rest <= 0.0 {
                    return None;
                }
                lower[row][row] = rest.sqrt();
            } else {
                lower[row][column] = rest / lower[column][column];
            }
        }
    }
    for row in 0..width {
        let known: f64 = (0..row).map(|k| lower[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / lower[row][row];
    }
    for row in (0..width).rev() {
        let known: f64 = (row + 1..width).map(|k| lower[k][row] * right[k]).sum();
        right[row] = (right[row] - known) / lower[row][row];
    }
    Some(right)
}
