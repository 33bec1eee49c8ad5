//! Platt scaling: a straight line from raw to calibrated log-odds, fitted by Newton's method; it judges nothing itself.
//!
//! After Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines" (2007). A straight line is
//! chosen over steps (isotonic regression) because it keeps the order of scores strict and the reasons additive.

use serde::{Deserialize, Serialize};

/// Bound on Newton steps.
const MAX_STEPS: usize = 100;
/// Bound on halvings of one step.
const MAX_HALVINGS: usize = 40;
/// Converged when the gradient is this small, in frauds.
const TOLERANCE: f64 = 1e-8;
/// Keeps the Hessian invertible.
const RIDGE: f64 = 1e-10;

/// Calibrated log-odds = `slope` × raw log-odds + `shift`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Platt {
    pub(crate) slope: f64,
    pub(crate) shift: f64,
}

impl Platt {
    /// Fits to raw log-odds and labels with both classes present; none where no step improves before convergence.
    pub(crate) fn fit(margins: &[f64], labels: &[bool]) -> Option<Self> {
        let targets = smoothed_targets(labels);
        let mut line = Self { slope: 1.0, shift: 0.0 };
        let mut loss = line.loss(margins, &targets);
        for _ in 0..MAX_STEPS {
            let (step, gradient_size) = line.newton_step(margins, &targets);
            if gradient_size < TOLERANCE {
                return Some(line);
            }
            let next = (0..MAX_HALVINGS)
                .map(|halvings| 0.5_f64.powi(halvings as i32))
                .map(|part| Self { slope: line.slope + part * step.0, shift: line.shift + part * step.1 })
                .map(|next| (next, next.loss(margins, &targets)))
                .find(|(_, next_loss)| *next_loss < loss);
            match next {
                Some((better, better_loss)) => (line, loss) = (better, better_loss),
                // Rounding hides any further improvement of a flat loss: converged as far as numbers go.
                None => return (gradient_size < TOLERANCE.sqrt()).then_some(line),
            }
        }
        None
    }

    /// Calibrated log-odds.
    pub(crate) fn apply(&self, margin: f64) -> f64 {
        self.slope * margin + self.shift
    }

    fn loss(&self, margins: &[f64], targets: &[f64]) -> f64 {
        margins
            .iter()
            .zip(targets)
            .map(|(&margin, target)| {
                let z = self.apply(margin);
                // −t·ln σ(z) − (1−t)·ln(1−σ(z)), without overflow.
                z.max(0.0) - target * z + (-z.abs()).exp().ln_1p()
            })
            .sum()
    }

    fn newton_step(&self, margins: &[f64], targets: &[f64]) -> ((f64, f64), f64) {
        let (mut h11, mut h12, mut h22, mut g1, mut g2) = (RIDGE, 0.0, RIDGE, 0.0, 0.0);
        for (&margin, target) in margins.iter().zip(targets) {
            let p = sigmoid(self.apply(margin));
            let curvature = p * (1.0 - p);
            h11 += curvature * margin * margin;
            h12 += curvature * margin;
            h22 += curvature;
            g1 += (p - target) * margin;
            g2 += p - target;
        }
        let determinant = h11 * h22 - h12 * h12;
        let step = ((h12 * g2 - h22 * g1) / determinant, (h12 * g1 - h11 * g2) / determinant);
        (step, g1.abs().max(g2.abs()))
    }
}

/// Targets a little short of 0 and 1, so that few frauds do not claim certainty.
fn smoothed_targets(labels: &[bool]) -> Vec<f64> {
    let frauds = labels.iter().filter(|&&label| label).count() as f64;
    let genuine = labels.len() as f64 - frauds;
    let (high, low) = ((frauds + 1.0) / (frauds + 2.0), 1.0 / (genuine + 2.0));
    labels.iter().map(|&label| if label { high } else { low }).collect()
}

/// The probability of log-odds `z`, without overflow.
pub(crate) fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 {
        1.0 / (1.0 + (-z).exp())
    } else {
        let e = z.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platt_finds_the_line_that_made_the_labels() {
        // Each margin stands 10,000 times with exactly the share of frauds that the true line gives.
        let truth = Platt { slope: 0.6, shift: -1.5 };
        let (mut margins, mut labels) = (Vec::new(), Vec::new());
        for margin in [-4.0, -2.0, 0.0, 1.0, 3.0, 5.0] {
            let frauds = (10_000.0 * sigmoid(truth.apply(margin))).round() as usize;
            for i in 0..10_000 {
                margins.push(margin);
                labels.push(i < frauds);
            }
        }
        let found = Platt::fit(&margins, &labels).unwrap();
        assert!((found.slope - truth.slope).abs() < 0.005, "{found:?}");
        assert!((found.shift - truth.shift).abs() < 0.005, "{found:?}");
    }

    #[test]
    fn platt_stays_finite_where_the_classes_part_perfectly() {
        let margins: Vec<f64> = (0..200).map(|i| f64::from(i) - 190.5).collect();
        let labels: Vec<bool> = margins.iter().map(|&margin| margin > 0.0).collect();
        let found = Platt::fit(&margins, &labels).unwrap();
        assert!(found.slope > 0.0 && found.slope.is_finite() && found.shift.is_finite());
        assert!(sigmoid(found.apply(10.0)) < 1.0);
    }
}
