//! From raw to calibrated log-odds: a line (Platt) or steps that only rise (isotonic), whichever tells held-out labels better; scores are judged elsewhere.
//!
//! The line is fitted by Newton's method after Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support
//! vector machines" (2007). The steps are those of pool-adjacent-violators (Ayer et al. 1955), joined by straight lines
//! between their middles (Oron and Flournoy, "Centered isotonic regression", 2017), so that the order of scores stays
//! strict. Validation rows are dealt to two halves; each half is calibrated by what the other half teaches, and the steps
//! are taken where their log loss is clearly lower.
//!
//! Reasons stay exact under both: the shares of the raw margin, all stretched by the one factor by which the calibration
//! stretches the way from the base to the margin, sum to the calibrated margin ([`Calibration::stretch`]).

use serde::{Deserialize, Serialize};

use crate::evaluation::expected_calibration_error;
use crate::train::TrainError;

/// Bound on Newton steps.
const MAX_STEPS: usize = 100;
/// Bound on halvings of one step.
const MAX_HALVINGS: usize = 40;
/// Converged when the gradient is this small, in frauds.
const TOLERANCE: f64 = 1e-8;
/// Keeps the Hessian invertible.
const RIDGE: f64 = 1e-10;
/// The steps are taken where their held-out log loss is below this share of the line's.
const STEPS_LOSS_SHARE: f64 = 0.99;
/// A pool's share of frauds rises where it is this many times the one before.
const LEAST_RISE: f64 = 1.0 + 1e-9;
/// Probabilities whose logarithm is taken stay this far from 0 and 1.
const LEAST_PROBABILITY: f64 = 1e-12;

/// How raw log-odds become calibrated ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Calibration {
    Line(Platt),
    Steps(Steps),
}

/// Which calibration was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// A straight line through the log-odds (Platt).
    Line,
    /// Steps that only rise (isotonic regression), joined by straight lines.
    Steps,
}

/// How scores were calibrated on validation rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// What was taken.
    pub method: CalibrationMethod,
    /// Calibrated log-odds of the line = this × raw log-odds + shift. Near 1 where the fit was already calibrated.
    pub slope: f64,
    /// See `slope`.
    pub shift: f64,
    /// Mean log loss of the line, each half of the rows calibrated by the other half.
    pub line_log_loss: f64,
    /// The same of the steps; none where a half gives no two steps.
    pub steps_log_loss: Option<f64>,
    /// Expected calibration error of what was taken, each half calibrated by the other half.
    pub error: f64,
}

impl Calibration {
    /// Calibrates raw log-odds on rows that the fit has not seen.
    ///
    /// # Errors
    /// Scores that say nothing about the labels.
    pub(crate) fn choose(margins: &[f64], labels: &[bool]) -> Result<(Self, CalibrationReport), TrainError> {
        let line = rising_line(margins, labels)?;
        let line_probabilities = cross_fitted(margins, labels, |m, l| rising_line(m, l).map(Self::Line))?;
        let line_log_loss = mean_log_loss(&line_probabilities, labels);
        let of_half = |m: &[f64], l: &[bool]| {
            let steps = Steps::fit(m, l, rising_line(m, l)?.slope);
            steps.map(Self::Steps).ok_or_else(|| TrainError::NotCalibrated("there are no two steps".to_owned()))
        };
        let stepped = cross_fitted(margins, labels, of_half).ok();
        let steps_log_loss = stepped.as_ref().map(|probabilities| mean_log_loss(probabilities, labels));
        let better = steps_log_loss.is_some_and(|loss| loss < STEPS_LOSS_SHARE * line_log_loss);
        let steps = if better { Steps::fit(margins, labels, line.slope) } else { None };
        let (chosen, method, probabilities) = match (steps, stepped) {
            (Some(steps), Some(stepped)) => (Self::Steps(steps), CalibrationMethod::Steps, stepped),
            _ => (Self::Line(line), CalibrationMethod::Line, line_probabilities),
        };
        let Platt { slope, shift } = line;
        let error = expected_calibration_error(&probabilities, labels)?;
        Ok((chosen, CalibrationReport { method, slope, shift, line_log_loss, steps_log_loss, error }))
    }

    /// Calibrated log-odds.
    pub(crate) fn apply(&self, margin: f64) -> f64 {
        match self {
            Self::Line(line) => line.apply(margin),
            Self::Steps(steps) => steps.apply(margin),
        }
    }

    /// How many times longer the way from `base` to `margin` is after calibration; above 0.
    pub(crate) fn stretch(&self, base: f64, margin: f64) -> f64 {
        match self {
            Self::Line(line) => line.slope,
            Self::Steps(_) if base == margin => 1.0,
            Self::Steps(steps) => (steps.apply(margin) - steps.apply(base)) / (margin - base),
        }
    }

    /// Whether it rises everywhere and is finite.
    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::Line(line) => line.slope.is_finite() && line.slope > 0.0 && line.shift.is_finite(),
            Self::Steps(steps) => steps.is_sound(),
        }
    }
}

fn rising_line(margins: &[f64], labels: &[bool]) -> Result<Platt, TrainError> {
    let line = Platt::fit(margins, labels)
        .ok_or_else(|| TrainError::NotCalibrated("Newton's method did not converge on validation rows".to_owned()))?;
    if line.slope > 0.0 {
        return Ok(line);
    }
    Err(TrainError::NotCalibrated(format!(
        "validation frauds score no higher than genuine rows (slope {:.3}); the features say nothing about later frauds",
        line.slope
    )))
}

/// Frauds and genuine rows are dealt alternately to two halves; each half gets its probabilities from what `fit` makes of the
/// other one.
fn cross_fitted(
    margins: &[f64],
    labels: &[bool],
    fit: impl Fn(&[f64], &[bool]) -> Result<Calibration, TrainError>,
) -> Result<Vec<f64>, TrainError> {
    let mut dealt = [0_usize; 2];
    let half: Vec<usize> = labels
        .iter()
        .map(|&label| {
            let count = &mut dealt[usize::from(label)];
            *count += 1;
            *count % 2
        })
        .collect();
    let mut probabilities = vec![0.0; margins.len()];
    for judged in [0, 1] {
        let others = || (0..margins.len()).filter(|&row| half[row] != judged);
        let fitted_margins: Vec<f64> = others().map(|row| margins[row]).collect();
        let fitted_labels: Vec<bool> = others().map(|row| labels[row]).collect();
        let calibration = fit(&fitted_margins, &fitted_labels)?;
        for row in (0..margins.len()).filter(|&row| half[row] == judged) {
            probabilities[row] = sigmoid(calibration.apply(margins[row]));
        }
    }
    Ok(probabilities)
}

fn mean_log_loss(probabilities: &[f64], labels: &[bool]) -> f64 {
    let losses = probabilities.iter().zip(labels).map(|(p, &label)| {
        let of_truth = if label { *p } else { 1.0 - p };
        -of_truth.max(LEAST_PROBABILITY).ln()
    });
    losses.sum::<f64>() / labels.len() as f64
}

/// Calibrated log-odds at the middles of pooled groups of rows, straight between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Steps {
    /// Raw and calibrated log-odds, both rising.
    middles: Vec<(f64, f64)>,
    /// How calibrated log-odds rise beyond the first and the last middle.
    outer_slope: f64,
}

/// Rows of neighbouring margins that are taken together.
#[derive(Clone, Copy)]
struct Pool {
    margins: f64,
    rows: f64,
    frauds: f64,
}

impl Pool {
    fn join(self, other: Self) -> Self {
        let Self { margins, rows, frauds } = other;
        Self { margins: self.margins + margins, rows: self.rows + rows, frauds: self.frauds + frauds }
    }

    /// The share of frauds as if one more row of the usual rate were there, so that no pool claims certainty.
    fn share(&self, rate: f64) -> f64 {
        (self.frauds + rate) / (self.rows + 1.0)
    }
}

/// Neighbouring rows pooled until the share of frauds rises from pool to pool: the rising shares nearest to the labels.
fn pooled(margins: &[f64], labels: &[bool]) -> Vec<Pool> {
    let mut rows: Vec<usize> = (0..margins.len()).collect();
    rows.sort_by(|&a, &b| margins[a].total_cmp(&margins[b]));
    let tied = rows.chunk_by(|&a, &b| margins[a] == margins[b]).map(|tied| {
        let frauds = tied.iter().filter(|&&row| labels[row]).count() as f64;
        Pool { margins: tied.iter().map(|&row| margins[row]).sum(), rows: tied.len() as f64, frauds }
    });
    joined_until_rising(tied, |pool| pool.frauds / pool.rows)
}

fn joined_until_rising(pools: impl Iterator<Item = Pool>, share: impl Fn(&Pool) -> f64) -> Vec<Pool> {
    let mut rising: Vec<Pool> = Vec::new();
    for mut pool in pools {
        while let Some(before) = rising.pop_if(|before| share(before) * LEAST_RISE >= share(&pool)) {
            pool = before.join(pool);
        }
        rising.push(pool);
    }
    rising
}

impl Steps {
    /// Joins the middles of the pooled rows; none where all rows end in one pool.
    fn fit(margins: &[f64], labels: &[bool], outer_slope: f64) -> Option<Self> {
        let rate = labels.iter().filter(|&&label| label).count() as f64 / labels.len() as f64;
        let pools = joined_until_rising(pooled(margins, labels).into_iter(), |pool| pool.share(rate));
        let log_odds = |share: f64| (share / (1.0 - share)).ln();
        let middles = pools.iter().map(|pool| (pool.margins / pool.rows, log_odds(pool.share(rate))));
        let steps = Self { middles: middles.collect(), outer_slope };
        (steps.middles.len() > 1 && steps.is_sound()).then_some(steps)
    }

    fn apply(&self, margin: f64) -> f64 {
        let right = self.middles.partition_point(|(raw, _)| *raw <= margin);
        let outside = |(raw, calibrated): (f64, f64)| calibrated + self.outer_slope * (margin - raw);
        match (right.checked_sub(1).map(|left| self.middles[left]), self.middles.get(right)) {
            (Some(left), Some(right)) => left.1 + (right.1 - left.1) * (margin - left.0) / (right.0 - left.0),
            (Some(last), None) => outside(last),
            (None, Some(first)) => outside(*first),
            (None, None) => margin,
        }
    }

    fn is_sound(&self) -> bool {
        let finite = self.middles.iter().all(|(raw, calibrated)| raw.is_finite() && calibrated.is_finite());
        let rising = self.middles.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        finite && rising && !self.middles.is_empty() && self.outer_slope.is_finite() && self.outer_slope > 0.0
    }
}

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

    #[test]
    fn pools_give_every_row_the_rising_share_that_is_nearest_to_the_labels() {
        for pattern in 0..1024_u32 {
            let labels: Vec<bool> = (0..10).map(|row| pattern & (1 << row) != 0).collect();
            let margins: Vec<f64> = (0..10).map(|row| f64::from(row / 2) + f64::from(row % 3)).collect();
            let mean = |from: f64, to: f64| {
                let inside = |row: &usize| (from..=to).contains(&margins[*row]);
                let rows: Vec<usize> = (0..10).filter(inside).collect();
                rows.iter().filter(|&&row| labels[row]).count() as f64 / rows.len() as f64
            };
            // The largest, over where a stretch begins, of the smallest, over where it ends, of its means.
            let nearest = |at: f64| {
                let ends = |from: f64| margins.iter().filter(|&&to| to >= at).map(move |&to| mean(from, to));
                let begins = margins.iter().filter(|&&from| from <= at);
                begins.map(|&from| ends(from).fold(f64::INFINITY, f64::min)).fold(f64::NEG_INFINITY, f64::max)
            };
            let mut sorted = margins.clone();
            sorted.sort_by(f64::total_cmp);
            let mut next = 0;
            for pool in pooled(&margins, &labels) {
                for at in &sorted[next..next + pool.rows as usize] {
                    assert!((pool.frauds / pool.rows - nearest(*at)).abs() < 1e-12, "{labels:?}");
                }
                next += pool.rows as usize;
            }
        }
    }

    #[test]
    fn steps_rise_everywhere_and_are_finite() {
        for pattern in 1..1023_u32 {
            let labels: Vec<bool> = (0..10).map(|row| pattern & (1 << row) != 0).collect();
            let margins: Vec<f64> = (0..10).map(f64::from).collect();
            let Some(steps) = Steps::fit(&margins, &labels, 0.7) else { continue };
            let at: Vec<f64> = (-50..150).map(|tenth| steps.apply(f64::from(tenth) / 10.0)).collect();
            assert!(at.windows(2).all(|pair| pair[0] < pair[1] && pair[1].is_finite()), "{labels:?}");
            let (base, margin) = (2.5, 7.0);
            let way = steps.apply(margin) - steps.apply(base);
            assert!((Calibration::Steps(steps).stretch(base, margin) * (margin - base) - way).abs() < 1e-12);
        }
    }

    /// Margins from −5 to 5, each 40 times, with exactly the share of frauds that `truth` gives.
    fn drawn(truth: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<bool>) {
        let (mut margins, mut labels) = (Vec::new(), Vec::new());
        for step in 0..=100 {
            let margin = f64::from(step) / 10.0 - 5.0;
            let frauds = (40.0 * truth(margin)).round() as usize;
            for row in 0..40 {
                margins.push(margin);
                labels.push(row < frauds);
            }
        }
        (margins, labels)
    }

    #[test]
    fn steps_are_taken_where_no_line_fits_and_the_line_where_one_does() {
        let (margins, labels) = drawn(|margin| sigmoid(if margin < 0.0 { 2.5 * margin } else { 0.2 * margin } - 1.0));
        let (_, bent) = Calibration::choose(&margins, &labels).unwrap();
        assert_eq!(bent.method, CalibrationMethod::Steps);
        assert!(bent.steps_log_loss.unwrap() < bent.line_log_loss && bent.error < 0.02, "{bent:?}");
        let (margins, labels) = drawn(|margin| sigmoid(0.8 * margin - 1.0));
        let (_, straight) = Calibration::choose(&margins, &labels).unwrap();
        assert_eq!(straight.method, CalibrationMethod::Line);
    }
}
