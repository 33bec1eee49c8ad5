//! Which arm a person is in: a hash decides, so that no assignment is ever stored; what the arms do is the caller's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{ExperimentError, check_all, check_setting};

/// An experiment and a bandit have at most so many arms.
pub const MAX_ARMS: usize = 64;
/// The longest name of an experiment or an arm.
pub const MAX_NAME_BYTES: usize = 128;

/// One of the ways that are compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Its name within the experiment.
    pub name: String,
    /// Its part of the people, relative to the other arms' weights; 0 gives it nobody new.
    pub weight: f64,
}

/// An experiment: the share of the people who take part, and the arms, the first of which is the control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Experiment {
    name: String,
    share: f64,
    arms: Vec<Arm>,
}

/// The written form of an experiment, before it is checked.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    name: String,
    share: f64,
    arms: Vec<Arm>,
}

impl TryFrom<Parts> for Experiment {
    type Error = ExperimentError;
    fn try_from(parts: Parts) -> Result<Self, ExperimentError> {
        Self::new(parts.name, parts.share, parts.arms)
    }
}

impl From<Experiment> for Parts {
    fn from(experiment: Experiment) -> Self {
        Self { name: experiment.name, share: experiment.share, arms: experiment.arms }
    }
}

impl Experiment {
    /// An experiment on a `share` (0 to 1) of the people. Its name is part of every hash: a new name mixes people anew.
    ///
    /// # Errors
    /// An empty, long or repeated name; fewer than 2 or more than [`MAX_ARMS`] arms; a weight that is negative or not
    /// finite; weights that are all 0; a share out of 0 to 1.
    pub fn new(name: String, share: f64, arms: Vec<Arm>) -> Result<Self, ExperimentError> {
        check_name("the experiment", &name)?;
        if !(2..=MAX_ARMS).contains(&arms.len()) {
            return Err(ExperimentError::Count { what: "arms", found: arms.len(), rule: "2 to 64, the control first" });
        }
        let mut names = BTreeSet::new();
        for arm in &arms {
            check_name("an arm", &arm.name)?;
            if !names.insert(&arm.name) {
                return Err(ExperimentError::RepeatedArm(arm.name.clone()));
            }
        }
        let weights: Vec<f64> = arms.iter().map(|arm| arm.weight).collect();
        check_all("the weight of arm", &weights, "at least 0 and finite", |weight| {
            weight >= 0.0 && weight.is_finite()
        })?;
        let total: f64 = weights.iter().sum();
        check_setting("the sum of the weights", total, "above 0 and finite", total > 0.0 && total.is_finite())?;
        check_setting("share", share, "0 to 1", (0.0..=1.0).contains(&share))?;
        Ok(Self { name, share, arms })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The share of the people who take part, 0 to 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// The arms; the first is the control.
    pub fn arms(&self) -> &[Arm] {
        &self.arms
    }

    /// The share of the participants that each arm gets.
    pub fn shares(&self) -> Vec<f64> {
        let total: f64 = self.arms.iter().map(|arm| arm.weight).sum();
        self.arms.iter().map(|arm| arm.weight / total).collect()
    }

    /// The number of the arm of a person (by the bits of the id); nothing for those who do not take part.
    ///
    /// Arms are drawn by weighted rendezvous hashing: each arm draws for each person an exponential time with its weight
    /// as rate, and the earliest wins. So arm i wins with its share of the weights, and when a weight grows or an arm is
    /// added, people move to that arm only; nobody moves between the others. Likewise, who takes part at a share of the
    /// people takes part at every larger one.
    pub fn assign(&self, person: u128) -> Option<usize> {
        if self.uniform("share", "", person) >= self.share {
            return None;
        }
        let mut earliest: Option<(f64, usize)> = None;
        for (number, arm) in self.arms.iter().enumerate().filter(|(_, arm)| arm.weight > 0.0) {
            let time = -(1.0 - self.uniform("arm", &arm.name, person)).ln() / arm.weight;
            if earliest.is_none_or(|(best, _)| time < best) {
                earliest = Some((time, number));
            }
        }
        earliest.map(|(_, number)| number)
    }

    /// A number in `0.0..1.0` that belongs to a person and a purpose of this experiment.
    fn uniform(&self, purpose: &str, arm: &str, person: u128) -> f64 {
        let mut hasher = blake3::Hasher::new();
        for text in [self.name.as_str(), purpose, arm] {
            // The length before each text keeps ("ab", "c") and ("a", "bc") apart.
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        hasher.update(&person.to_le_bytes());
        let mut first = [0; 8];
        hasher.finalize_xof().fill(&mut first);
        (u64::from_le_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn check_name(what: &'static str, name: &str) -> Result<(), ExperimentError> {
    let bytes = name.len();
    if (1..=MAX_NAME_BYTES).contains(&bytes) {
        Ok(())
    } else {
        Err(ExperimentError::Name { what, bytes, limit: MAX_NAME_BYTES })
    }
}
