//! The function that both trained rankers compute, and its derivative: a factorisation machine over standardised features.

use serde::{Deserialize, Serialize};

use crate::groups::MAX_FEATURES;
use crate::{RankingError, RankingGroups};

/// The most dimensions of the features' vectors.
pub const MAX_DIMENSIONS: usize = 32;
/// Standardised features further out than so many standard deviations count as this far, so that one wild value cannot
/// decide a list.
const MAX_DEVIATIONS: f64 = 8.0;
/// A standard deviation of at most this share of the mean is rounding.
const ROUNDING: f64 = 1e-12;

/// From a row of `width` raw features to `2 · width` inputs: the standardised values, 0 where missing or constant in
/// training, then for each feature 1 where it is missing and 0 otherwise. What is not finite is missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Inputs {
    feature_names: Vec<String>,
    means: Vec<f64>,
    /// One over the standard deviation; 0 for a feature that is constant, or too large for its square to be a number.
    scales: Vec<f64>,
}

impl Inputs {
    fn fit(groups: &RankingGroups) -> Self {
        let width = groups.width();
        let (mut counts, mut sums, mut squares) = (vec![0.0f64; width], vec![0.0f64; width], vec![0.0f64; width]);
        let present = || groups.all_rows().iter().enumerate().filter(|(_, value)| value.is_finite());
        for (at, value) in present() {
            counts[at % width] += 1.0;
            // Divided first, so that no sum overflows.
            sums[at % width] += value / groups.all_rows().len() as f64;
        }
        let rows = groups.all_rows().len() as f64;
        let means: Vec<f64> = sums.iter().zip(&counts).map(|(sum, n)| sum * (rows / n.max(1.0))).collect();
        for (at, value) in present() {
            squares[at % width] += (value - means[at % width]).powi(2);
        }
        let scale = |((square, n), mean): ((&f64, &f64), &f64)| {
            let deviation = (square / n.max(1.0)).sqrt();
            // Below that it is the rounding of a constant.
            let varies = deviation.is_finite() && deviation > ROUNDING * mean.abs();
            if varies { (1.0 / deviation).min(f64::MAX) } else { 0.0 }
        };
        let scales = squares.iter().zip(&counts).zip(&means).map(scale).collect();
        Self { feature_names: groups.feature_names().to_vec(), means, scales }
    }

    fn width(&self) -> usize {
        self.feature_names.len()
    }

    /// Calls `input` with the place and the value of each input that is not 0.
    fn for_each(&self, row: &[f64], mut input: impl FnMut(usize, f64)) {
        for (at, &value) in row.iter().enumerate() {
            if value.is_finite() {
                let x = standardised(value, self.means[at], self.scales[at]);
                if x != 0.0 {
                    input(at, x);
                }
            } else {
                input(self.width() + at, 1.0);
            }
        }
    }
}

fn standardised(value: f64, mean: f64, scale: f64) -> f64 {
    ((value - mean) * scale).clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS)
}

/// `w·x + Σ_{i<j} ⟨vᵢ, vⱼ⟩ xᵢ xⱼ` (Rendle, ICDM 2010) without a constant, which would move no order. Without dimensions it
/// is linear.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub(crate) struct Machine {
    inputs: Inputs,
    dimensions: usize,
    /// The weights of the inputs, then their vectors one after the other.
    parameters: Vec<f64>,
    /// The squared length of each input's vector, from `parameters`.
    squared_lengths: Vec<f64>,
}

/// What is written of a machine.
#[derive(Serialize, Deserialize)]
struct Stored {
    inputs: Inputs,
    dimensions: usize,
    parameters: Vec<f64>,
}

impl From<Machine> for Stored {
    fn from(machine: Machine) -> Self {
        Self { inputs: machine.inputs, dimensions: machine.dimensions, parameters: machine.parameters }
    }
}

impl TryFrom<Stored> for Machine {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { inputs, dimensions, parameters } = stored;
        let width = inputs.width();
        if !(1..=MAX_FEATURES).contains(&width) || dimensions > MAX_DIMENSIONS {
            return Err(format!("a ranker of {width} features in {dimensions} dimensions is out of its bounds"));
        }
        let lengths = (inputs.means.len(), inputs.scales.len(), parameters.len());
        if lengths != (width, width, 2 * width * (1 + dimensions)) {
            return Err(format!("a ranker of {width} features in {dimensions} dimensions has parts of {lengths:?}"));
        }
        if !inputs.means.iter().chain(&inputs.scales).chain(&parameters).all(|number| number.is_finite()) {
            return Err("a ranker holds numbers that are not finite".to_owned());
        }
        let mut machine = Self { inputs, dimensions, parameters: Vec::new(), squared_lengths: vec![0.0; 2 * width] };
        machine.set_parameters(&parameters);
        Ok(machine)
    }
}

impl Machine {
    /// A machine for these groups' features whose parameters are all 0.
    pub(crate) fn new(groups: &RankingGroups, dimensions: usize) -> Self {
        let inputs = Inputs::fit(groups);
        let parameters = vec![0.0; 2 * inputs.width() * (1 + dimensions)];
        let squared_lengths = vec![0.0; 2 * inputs.width()];
        Self { inputs, dimensions, parameters, squared_lengths }
    }

    pub(crate) fn feature_names(&self) -> &[String] {
        &self.inputs.feature_names
    }

    pub(crate) fn parameters(&self) -> &[f64] {
        &self.parameters
    }

    /// Takes as many numbers as the machine has parameters.
    pub(crate) fn set_parameters(&mut self, parameters: &[f64]) {
        self.parameters.clear();
        self.parameters.extend_from_slice(parameters);
        for input in 0..2 * self.inputs.width() {
            self.squared_lengths[input] = self.vector(input).iter().map(|v| v * v).sum();
        }
    }

    fn vector(&self, input: usize) -> &[f64] {
        let start = 2 * self.inputs.width() + input * self.dimensions;
        self.parameters.get(start..start + self.dimensions).unwrap_or_default()
    }

    pub(crate) fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError> {
        scores.clear();
        let width = self.inputs.width();
        if !rows.len().is_multiple_of(width) {
            let expected = format!("a multiple of the {width} features");
            return Err(RankingError::WrongLength { what: "the rows to score", got: rows.len(), expected });
        }
        match self.dimensions {
            0 => scores.extend(rows.chunks_exact(width).map(|row| self.linear_score(row))),
            4 => scores.extend(rows.chunks_exact(width).map(|row| self.fixed_score::<4>(row))),
            8 => scores.extend(rows.chunks_exact(width).map(|row| self.fixed_score::<8>(row))),
            _ => scores.extend(rows.chunks_exact(width).map(|row| self.score_row(row).0)),
        }
        Ok(())
    }

    /// The score without dimensions, in one pass without branches: several times as fast as the general one.
    fn linear_score(&self, row: &[f64]) -> f64 {
        let (of_values, of_missing) = self.parameters.split_at(self.inputs.width());
        let standards = self.inputs.means.iter().zip(&self.inputs.scales);
        let weights = of_values.iter().zip(of_missing);
        let terms = row.iter().zip(standards).zip(weights).map(|((value, (mean, scale)), (weight, missing))| {
            let term = weight * standardised(*value, *mean, *scale);
            if value.is_finite() { term } else { *missing }
        });
        terms.sum()
    }

    /// The score in a number of dimensions that the compiler knows, several times as fast as the general one.
    fn fixed_score<const D: usize>(&self, row: &[f64]) -> f64 {
        let width = self.inputs.width();
        let (weights, vectors) = self.parameters.split_at(2 * width);
        let vectors = vectors.as_chunks::<D>().0;
        let (weights, squared_lengths) = (weights.split_at(width), self.squared_lengths.split_at(width));
        let vectors = vectors.split_at(width);
        let present = weights.0.iter().zip(squared_lengths.0).zip(vectors.0);
        let missing = weights.1.iter().zip(squared_lengths.1).zip(vectors.1);
        let standards = self.inputs.means.iter().zip(&self.inputs.scales);
        let (mut linear, mut squares, mut sums) = (0.0, 0.0, [0.0; D]);
        for (((value, (mean, scale)), present), missing) in row.iter().zip(standards).zip(present).zip(missing) {
            let is_present = value.is_finite();
            let x = if is_present { standardised(*value, *mean, *scale) } else { 1.0 };
            let ((weight, squared_length), vector) = if is_present { present } else { missing };
            linear += weight * x;
            squares += squared_length * x * x;
            for at in 0..D {
                sums[at] += vector[at] * x;
            }
        }
        let square_of_sums: f64 = sums.iter().map(|sum| sum * sum).sum();
        linear + (square_of_sums - squares) / 2.0
    }

    /// The score, and the sum of the inputs' vectors that its derivative needs.
    fn score_row(&self, row: &[f64]) -> (f64, [f64; MAX_DIMENSIONS]) {
        let mut sums = [0.0; MAX_DIMENSIONS];
        let (mut linear, mut squares) = (0.0, 0.0);
        self.inputs.for_each(row, |input, x| {
            linear += self.parameters[input] * x;
            squares += self.squared_lengths[input] * x * x;
            for (at, v) in self.vector(input).iter().enumerate() {
                sums[at] += v * x;
            }
        });
        let square_of_sums: f64 = sums[..self.dimensions].iter().map(|sum| sum * sum).sum();
        (linear + (square_of_sums - squares) / 2.0, sums)
    }

    /// The listwise softmax loss of one group (ListNet's top-one loss, Cao et al., ICML 2007): the cross entropy between the
    /// shares of the gains and the softmax of the scores. Adds `factor` times its gradient where one is wanted.
    pub(crate) fn group_loss(&self, rows: &[f64], gains: &[f64], gradient: Option<(f64, &mut [f64])>) -> f64 {
        let width = self.inputs.width();
        let scored: Vec<(f64, [f64; MAX_DIMENSIONS])> = rows.chunks_exact(width).map(|r| self.score_row(r)).collect();
        let greatest = scored.iter().map(|(score, _)| *score).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scored.iter().map(|(score, _)| (score - greatest).exp()).sum();
        let gain_total: f64 = gains.iter().sum();
        let log_total = greatest + total.ln();
        if let Some((factor, gradient)) = gradient {
            for ((row, gain), (score, sums)) in rows.chunks_exact(width).zip(gains).zip(&scored) {
                let slope = factor * ((score - log_total).exp() - gain / gain_total);
                self.add_gradient(row, sums, slope, gradient);
            }
        }
        gains.iter().zip(&scored).map(|(gain, (score, _))| gain / gain_total * (log_total - score)).sum()
    }

    /// Adds `slope` times the derivative of a row's score.
    fn add_gradient(&self, row: &[f64], sums: &[f64; MAX_DIMENSIONS], slope: f64, gradient: &mut [f64]) {
        let (weights, vectors) = gradient.split_at_mut(2 * self.inputs.width());
        self.inputs.for_each(row, |input, x| {
            weights[input] += slope * x;
            let own = &mut vectors[input * self.dimensions..(input + 1) * self.dimensions];
            let vector = self.vector(input);
            for (at, g) in own.iter_mut().enumerate() {
                *g += slope * x * (sums[at] - vector[at] * x);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (width, dimensions) in [(1, 0), (3, 0), (4, 1), (5, 3)] {
            let names = (0..width).map(|i| format!("f{i}")).collect();
            let mut groups = RankingGroups::new(names).unwrap();
            for time in 0..4 {
                let value = |random: &mut ChaCha8Rng| {
                    if random.random_bool(0.2) { f64::NAN } else { random.random_range(-3.0..3.0) }
                };
                let rows: Vec<f64> = (0..6 * width).map(|_| value(&mut random)).collect();
                let gains: Vec<f64> =
                    (0..6).map(|at| if at == 0 { 1.0 } else { random.random_range(0.0..2.0) }).collect();
                groups.push(time, 1.0, &rows, &gains).unwrap();
            }
            let mut machine = Machine::new(&groups, dimensions);
            let at: Vec<f64> = machine.parameters().iter().map(|_| random.random_range(-0.5..0.5)).collect();
            let mut loss_at = |parameters: &[f64]| {
                machine.set_parameters(parameters);
                let mut gradient = vec![0.0; parameters.len()];
                let loss = (0..groups.len())
                    .map(|g| machine.group_loss(groups.rows(g), groups.gains(g), Some((1.0, &mut gradient))))
                    .sum::<f64>();
                (loss, gradient)
            };
            let (_, gradient) = loss_at(&at);
            for parameter in 0..at.len() {
                let step = 1e-5;
                let (mut above, mut below) = (at.clone(), at.clone());
                above[parameter] += step;
                below[parameter] -= step;
                let difference = (loss_at(&above).0 - loss_at(&below).0) / (2.0 * step);
                let error = (difference - gradient[parameter]).abs();
                assert!(error < 1e-6 * (1.0 + difference.abs()), "{parameter}: {difference} {}", gradient[parameter]);
            }
        }
    }

    #[test]
    fn the_score_is_the_sum_over_all_pairs() {
        let mut groups = RankingGroups::new(vec!["a".into(), "b".into(), "c".into()]).unwrap();
        groups.push(0, 1.0, &[1.0, -2.0, f64::NAN, 4.0, 5.0, 2.0, 0.0, 1.0, 1.0], &[1.0, 0.0, 0.0]).unwrap();
        // Each way to compute the score.
        for dimensions in [0, 2, 4, 8] {
            compare_with_all_pairs(&groups, dimensions);
        }
    }

    fn compare_with_all_pairs(groups: &RankingGroups, dimensions: usize) {
        let mut machine = Machine::new(groups, dimensions);
        let parameters: Vec<f64> = (0..machine.parameters().len()).map(|at| ((at * 7) % 5) as f64 - 1.5).collect();
        machine.set_parameters(&parameters);
        let mut scores = Vec::new();
        machine.score(groups.rows(0), &mut scores).unwrap();
        for (row, score) in groups.rows(0).chunks(3).zip(scores) {
            let mut x = [0.0; 6];
            machine.inputs.for_each(row, |input, value| x[input] = value);
            let mut plain: f64 = (0..6).map(|i| parameters[i] * x[i]).sum();
            for i in 0..6 {
                for j in i + 1..6 {
                    let product: f64 = machine.vector(i).iter().zip(machine.vector(j)).map(|(a, b)| a * b).sum();
                    plain += product * x[i] * x[j];
                }
            }
            assert!((plain - score).abs() < 1e-9, "{plain} {score}");
        }
    }
}
