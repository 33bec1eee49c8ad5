//! The function that both trained rankers compute, and its derivative: a factorisation machine over standardised features.

use serde::{Deserialize, Serialize};

use crate::groups::MAX_FEATURES;
use crate::{RankingError, RankingGroups};

/// The lengths that the features' vectors may have: those for which scoring is compiled.
pub const DIMENSIONS: [usize; 3] = [4, 8, 16];
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

    /// The inputs that may not be 0, one for each feature: their places and values.
    fn of<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = (usize, f64)> + 'a {
        let width = self.width();
        row.iter().enumerate().map(move |(at, value)| match value.is_finite() {
            true => {
                let standardised = (value - self.means[at]) * self.scales[at];
                (at, standardised.clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS))
            }
            false => (width + at, 1.0),
        })
    }
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
        if !(1..=MAX_FEATURES).contains(&width) || !(dimensions == 0 || DIMENSIONS.contains(&dimensions)) {
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
        let (inputs, dimensions) = (2 * self.inputs.width(), self.dimensions);
        for (input, squared_length) in self.squared_lengths.iter_mut().enumerate() {
            let vector = &self.parameters[inputs + input * dimensions..inputs + (input + 1) * dimensions];
            *squared_length = vector.iter().map(|v| v * v).sum();
        }
    }

    /// The vector of an input; `D` is the number of dimensions.
    fn vector<const D: usize>(&self, input: usize) -> [f64; D] {
        let vectors = &self.parameters[2 * self.inputs.width()..];
        vectors.get(input * D..).and_then(|from| from.first_chunk()).copied().unwrap_or([0.0; D])
    }

    pub(crate) fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError> {
        scores.clear();
        let width = self.inputs.width();
        if !rows.len().is_multiple_of(width) {
            let expected = format!("a multiple of the {width} features");
            return Err(RankingError::WrongLength { what: "the rows to score", got: rows.len(), expected });
        }
        let rows = rows.chunks_exact(width);
        match self.dimensions {
            4 => scores.extend(rows.map(|row| self.score_row::<4>(row).0)),
            8 => scores.extend(rows.map(|row| self.score_row::<8>(row).0)),
            16 => scores.extend(rows.map(|row| self.score_row::<16>(row).0)),
            _ => scores.extend(rows.map(|row| self.score_row::<0>(row).0)),
        }
        Ok(())
    }

    /// The score, and the sum of the inputs' vectors that its derivative needs.
    fn score_row<const D: usize>(&self, row: &[f64]) -> (f64, [f64; D]) {
        let (mut linear, mut squares, mut sums) = (0.0, 0.0, [0.0; D]);
        for (input, x) in self.inputs.of(row) {
            linear += self.parameters[input] * x;
            squares += self.squared_lengths[input] * x * x;
            let vector = self.vector::<D>(input);
            for at in 0..D {
                sums[at] += vector[at] * x;
            }
        }
        let square_of_sums: f64 = sums.iter().map(|sum| sum * sum).sum();
        (linear + (square_of_sums - squares) / 2.0, sums)
    }

    /// The listwise softmax loss of one group (ListNet's top-one loss, Cao et al., ICML 2007): the cross entropy between the
    /// shares of the gains and the softmax of the scores. Adds `factor` times its gradient where one is wanted.
    pub(crate) fn group_loss(&self, rows: &[f64], gains: &[f64], gradient: Option<(f64, &mut [f64])>) -> f64 {
        match self.dimensions {
            4 => self.loss_of::<4>(rows, gains, gradient),
            8 => self.loss_of::<8>(rows, gains, gradient),
            16 => self.loss_of::<16>(rows, gains, gradient),
            _ => self.loss_of::<0>(rows, gains, gradient),
        }
    }

    fn loss_of<const D: usize>(&self, rows: &[f64], gains: &[f64], gradient: Option<(f64, &mut [f64])>) -> f64 {
        let width = self.inputs.width();
        let scored: Vec<(f64, [f64; D])> = rows.chunks_exact(width).map(|row| self.score_row(row)).collect();
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
    fn add_gradient<const D: usize>(&self, row: &[f64], sums: &[f64; D], slope: f64, gradient: &mut [f64]) {
        let (weights, vectors) = gradient.split_at_mut(2 * self.inputs.width());
        for (input, x) in self.inputs.of(row) {
            let step = slope * x;
            weights[input] += step;
            let vector = self.vector::<D>(input);
            if let Some(own) = vectors.get_mut(input * D..).and_then(|from| from.first_chunk_mut::<D>()) {
                for at in 0..D {
                    own[at] += step * (sums[at] - vector[at] * x);
                }
            }
        }
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
        for (width, dimensions) in [(1, 0), (3, 0), (4, 4), (5, 8), (2, 16)] {
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
        for dimensions in [0, 4, 8, 16] {
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
            machine.inputs.of(row).for_each(|(input, value)| x[input] = value);
            let mut plain: f64 = (0..6).map(|i| parameters[i] * x[i]).sum();
            for i in 0..6 {
                for j in i + 1..6 {
                    let vector = |input: usize| &parameters[6 + input * dimensions..6 + (input + 1) * dimensions];
                    let product: f64 = vector(i).iter().zip(vector(j)).map(|(a, b)| a * b).sum();
                    plain += product * x[i] * x[j];
                }
            }
            assert!((plain - score).abs() < 1e-9, "{plain} {score}");
        }
    }
}
