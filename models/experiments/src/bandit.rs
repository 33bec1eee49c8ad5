//! Arms chosen while learning, with the probability of every choice; who gets an arm for a whole test is in `assignment`.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::assignment::MAX_ARMS;
use crate::error::{ExperimentError, check_setting};
use crate::posterior::{Posterior, best_probabilities};
use crate::sample::Sample;

/// Draws an arm by its probability. `number` counts the choices: equal seeds and numbers give equal draws.
///
/// The probabilities are those of [`Thompson::probabilities`] or [`EpsilonGreedy::probabilities`], so that the probability
/// of the drawn arm is exactly the propensity to log.
pub fn draw_arm(probabilities: &[f64], seed: u64, number: u64) -> usize {
    let mut left = uniform(&mut choice_stream(seed, number));
    for (arm, probability) in probabilities.iter().enumerate() {
        left -= probability;
        if left < 0.0 {
            return arm;
        }
    }
    // What rounding leaves goes to the last arm that can be chosen at all.
    probabilities.iter().rposition(|probability| *probability > 0.0).unwrap_or(0)
}

pub(crate) fn choice_stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(number);
    generator
}

/// Uniform in `0.0..1.0`.
pub(crate) fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn check_arms(found: usize) -> Result<(), ExperimentError> {
    if (2..=MAX_ARMS).contains(&found) {
        Ok(())
    } else {
        Err(ExperimentError::Count { what: "arms", found, rule: "2 to 64" })
    }
}

fn check_arm(arm: usize, arms: usize) -> Result<(), ExperimentError> {
    check_setting("arm", arm as f64, "below the number of arms", arm < arms)
}

/// Thompson sampling (Thompson 1933): an arm is chosen as often as it is believed to be the best.
///
/// The usual way draws a value from each belief and takes the largest, which leaves the probability of the choice unknown
/// but for more draws. Here that probability is integrated numerically (to about 1e-8) and the arm is drawn by it: the same
/// policy, and the logged propensity is the probability of the draw itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thompson<P> {
    arms: Vec<P>,
}

impl<P: Posterior> Thompson<P> {
    /// A bandit with a first belief about each arm.
    ///
    /// # Errors
    /// Fewer than 2 arms or more than [`MAX_ARMS`].
    pub fn new(arms: Vec<P>) -> Result<Self, ExperimentError> {
        check_arms(arms.len())?;
        Ok(Self { arms })
    }

    /// The probability that each arm is chosen. To be kept between updates: it costs some milliseconds for five
    /// arms, and grows with their square.
    pub fn probabilities(&self) -> Vec<f64> {
        best_probabilities(&self.arms)
    }

    /// Takes in the reward of an arm.
    ///
    /// # Errors
    /// An arm that does not exist, or a reward that the belief is not made for.
    pub fn observe(&mut self, arm: usize, reward: f64) -> Result<(), ExperimentError> {
        check_arm(arm, self.arms.len())?;
        self.arms[arm].observe(reward)
    }

    /// What is believed of each arm.
    pub fn arms(&self) -> &[P] {
        &self.arms
    }
}

/// ε-greedy: the arm with the highest mean so far, but with probability ε any arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpsilonGreedy {
    epsilon: f64,
    arms: Vec<Sample>,
}

impl EpsilonGreedy {
    /// A bandit that has seen nothing.
    ///
    /// # Errors
    /// Fewer than 2 arms or more than [`MAX_ARMS`]; an ε that is not within 0 to 1.
    pub fn new(arms: usize, epsilon: f64) -> Result<Self, ExperimentError> {
        check_arms(arms)?;
        check_setting("epsilon", epsilon, "0 to 1", (0.0..=1.0).contains(&epsilon))?;
        Ok(Self { epsilon, arms: vec![Sample::default(); arms] })
    }

    /// The probability that each arm is chosen, exactly: ε / arms, and 1 − ε shared by those with the highest mean. An arm
    /// without a reward counts as the highest.
    pub fn probabilities(&self) -> Vec<f64> {
        let means: Vec<f64> = self
            .arms
            .iter()
            .map(|arm| arm.summary())
            .map(|arm| if arm.visitors == 0 { f64::INFINITY } else { arm.mean })
            .collect();
        let highest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ties = means.iter().filter(|mean| **mean == highest).count() as f64;
        let greedy = (1.0 - self.epsilon) / ties;
        let any = self.epsilon / self.arms.len() as f64;
        means.iter().map(|mean| any + if *mean == highest { greedy } else { 0.0 }).collect()
    }

    /// Takes in the reward of an arm.
    ///
    /// # Errors
    /// An arm that does not exist, or a reward that is not finite.
    pub fn observe(&mut self, arm: usize, reward: f64) -> Result<(), ExperimentError> {
        check_arm(arm, self.arms.len())?;
        self.arms[arm].add(reward)
    }
}
