//! What a bandit believes of an arm after some rewards, and how sure it is that an arm is the best; who is chosen is in `bandit`.

use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, check_all, check_setting};
use crate::special::{beta_below, beta_ln, normal_below};

/// A belief about an arm's mean reward.
pub trait Posterior: Clone {
    /// Takes in a reward.
    ///
    /// # Errors
    /// A reward that the belief is not made for.
    fn observe(&mut self, reward: f64) -> Result<(), ExperimentError>;
    /// The expected mean reward.
    fn mean(&self) -> f64;
    /// The standard deviation of the belief.
    fn deviation(&self) -> f64;
    /// The lowest and the highest mean reward possible.
    fn support(&self) -> (f64, f64);
    /// The density of the belief.
    fn density(&self, value: f64) -> f64;
    /// The probability that the mean reward is below a value.
    fn below(&self, value: f64) -> f64;
}

/// The belief about a probability, from successes and failures: a beta distribution that begins uniform.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BetaPosterior {
    /// Rewards of 1.
    pub successes: u64,
    /// Rewards of 0.
    pub failures: u64,
}

impl BetaPosterior {
    fn parameters(&self) -> (f64, f64) {
        (self.successes as f64 + 1.0, self.failures as f64 + 1.0)
    }
}

impl Posterior for BetaPosterior {
    fn observe(&mut self, reward: f64) -> Result<(), ExperimentError> {
        check_all("reward", &[reward], "0 or 1", |reward| reward == 0.0 || reward == 1.0)?;
        if reward == 1.0 {
            self.successes += 1;
        } else {
            self.failures += 1;
        }
        Ok(())
    }

    fn mean(&self) -> f64 {
        let (a, b) = self.parameters();
        a / (a + b)
    }

    fn deviation(&self) -> f64 {
        let (a, b) = self.parameters();
        (a * b / (a + b + 1.0)).sqrt() / (a + b)
    }

    fn support(&self) -> (f64, f64) {
        (0.0, 1.0)
    }

    fn density(&self, value: f64) -> f64 {
        let (a, b) = self.parameters();
        ((a - 1.0) * value.ln() + (b - 1.0) * (-value).ln_1p() - beta_ln(a, b)).exp()
    }

    fn below(&self, value: f64) -> f64 {
        let (a, b) = self.parameters();
        beta_below(a, b, value)
    }
}

/// The belief about a mean of rewards that scatter with a known standard deviation: a normal distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GaussianPosterior {
    mean: f64,
    /// One over the variance of the belief.
    precision: f64,
    /// One over the variance of a reward.
    reward_precision: f64,
}

impl GaussianPosterior {
    /// A belief before any reward: mean and standard deviation, and the standard deviation of one reward.
    ///
    /// # Errors
    /// A mean that is not finite, or a deviation that is not above 0 and finite.
    pub fn new(mean: f64, deviation: f64, reward_deviation: f64) -> Result<Self, ExperimentError> {
        check_setting("mean", mean, "finite", mean.is_finite())?;
        let [precision, reward_precision] = [deviation, reward_deviation].map(|deviation| deviation.powi(-2));
        let proper = |precision: f64, deviation: f64| precision.is_normal() && deviation > 0.0;
        check_setting("deviation", deviation, "above 0 and finite", proper(precision, deviation))?;
        let right = proper(reward_precision, reward_deviation);
        check_setting("reward_deviation", reward_deviation, "above 0 and finite", right)?;
        Ok(Self { mean, precision, reward_precision })
    }
}

impl Posterior for GaussianPosterior {
    fn observe(&mut self, reward: f64) -> Result<(), ExperimentError> {
        check_all("reward", &[reward], "finite", f64::is_finite)?;
        self.precision += self.reward_precision;
        self.mean += (reward - self.mean) * self.reward_precision / self.precision;
        Ok(())
    }

    fn mean(&self) -> f64 {
        self.mean
    }

    fn deviation(&self) -> f64 {
        self.precision.sqrt().recip()
    }

    fn support(&self) -> (f64, f64) {
        (f64::NEG_INFINITY, f64::INFINITY)
    }

    fn density(&self, value: f64) -> f64 {
        let z = (value - self.mean) / self.deviation();
        (-0.5 * z * z).exp() / (self.deviation() * std::f64::consts::TAU.sqrt())
    }

    fn below(&self, value: f64) -> f64 {
        normal_below((value - self.mean) / self.deviation())
    }
}

/// Where the integration is cut around each belief, in its standard deviations: finely where it changes, and far out for
/// skewed ones.
const CUTS: [f64; 12] = [0.0, 0.5, 1.0, 1.75, 2.5, 3.5, 4.5, 6.0, 9.0, 14.0, 25.0, 40.0];
/// A node that holds less than this of every belief is left out.
const NEGLIGIBLE: f64 = 1e-14;
/// Gauss–Legendre nodes and weights for ten points on −1..1, the positive half.
const NODES: [(f64, f64); 5] = [
    (0.148_874_338_981_631_2, 0.295_524_224_714_752_9),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_3),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_1),
];

/// The probability of each arm that it has the highest mean reward: ∫ density of the arm · Π below of the others, by
/// Gauss–Legendre quadrature between cuts around every belief. The sum is 1; work grows with the square of the arms.
pub(crate) fn best_probabilities<P: Posterior>(arms: &[P]) -> Vec<f64> {
    let mut cuts: Vec<f64> = arms.iter().flat_map(cuts_of).collect();
    cuts.sort_unstable_by(f64::total_cmp);
    cuts.dedup();
    let mut best = vec![0.0; arms.len()];
    for panel in cuts.windows(2) {
        let (middle, half) = ((panel[0] + panel[1]) / 2.0, (panel[1] - panel[0]) / 2.0);
        for (node, weight) in NODES {
            for value in [middle - half * node, middle + half * node] {
                add_node(arms, value, weight * half, &mut best);
            }
        }
    }
    let total: f64 = best.iter().sum();
    best.iter_mut().for_each(|probability| *probability /= total);
    best
}

fn cuts_of<P: Posterior>(arm: &P) -> impl Iterator<Item = f64> + use<P> {
    let (mean, deviation, (low, high)) = (arm.mean(), arm.deviation(), arm.support());
    let sides = CUTS.iter().flat_map(|cut| [-cut, *cut]);
    sides.map(move |cut| (mean + cut * deviation).clamp(low, high))
}

/// Adds what one node of the quadrature gives to every arm.
fn add_node<P: Posterior>(arms: &[P], value: f64, weight: f64, best: &mut [f64]) {
    let densities: Vec<f64> = arms.iter().map(|arm| weight * arm.density(value)).collect();
    if densities.iter().all(|density| *density < NEGLIGIBLE) {
        return;
    }
    let below: Vec<f64> = arms.iter().map(|arm| arm.below(value)).collect();
    // The product over the others, as the product over those before times that over those behind.
    let mut behind = vec![1.0; arms.len() + 1];
    for arm in (0..arms.len()).rev() {
        behind[arm] = behind[arm + 1] * below[arm];
    }
    let mut before = 1.0;
    for (number, density) in densities.iter().enumerate() {
        best[number] += density * before * behind[number + 1];
        before *= below[number];
    }
}
