//! Which settings of a model do best on a validation part: a first choice and seeded random draws; nothing is blended here.

use crate::blend::{learning_people, objective};
use crate::error::FactorsError;
use crate::evaluation::{Split, accuracy_of, best_unseen};
use crate::ials::{FactorModel, FactorSettings};
use crate::interactions::Interactions;
use crate::neighbours::{Bm25Settings, Neighbours, OrderedSettings};
use crate::score::{Scorer, recency_weights};
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

type Random = rand_chacha::ChaCha8Rng;

/// Settings of a model that can be drawn at random and fitted.
pub(crate) trait Tunable: Sized {
    /// How a history is weighted while settings are compared; the blend learns its own weighting afterwards.
    const RECENCY_EXPONENT: f32;
    /// What is tried first.
    fn first() -> Self;
    fn draw(random: &mut Random) -> Self;
    fn fit(&self, data: &Interactions) -> Result<Box<dyn Scorer>, FactorsError>;
}

impl Tunable for FactorSettings {
    const RECENCY_EXPONENT: f32 = 0.0;

    /// Sparse histories want more dimensions and a smaller weight of what was not taken than the general defaults.
    fn first() -> Self {
        Self { dimensions: 128, iterations: 10, unobserved_weight: 0.04, ..Self::default() }
    }

    fn draw(random: &mut Random) -> Self {
        Self {
            dimensions: one_of(random, &[64, 96, 128, 192]),
            iterations: one_of(random, &[6, 10, 15]),
            unobserved_weight: log_uniform(random, 0.005, 0.3),
            regularization: log_uniform(random, 0.0005, 0.02),
            frequency_exponent: one_of(random, &[0.5, 0.75, 1.0]),
            ..Self::default()
        }
    }

    fn fit(&self, data: &Interactions) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(FactorModel::fit(data, self)?))
    }
}

impl Tunable for OrderedSettings {
    const RECENCY_EXPONENT: f32 = 0.6;

    fn first() -> Self {
        Self::default()
    }

    fn draw(random: &mut Random) -> Self {
        Self {
            gap_exponent: random.random::<f32>() * 1.2,
            backward_share: random.random(),
            window: one_of(random, &[10, 30, 100]),
            source_damping: random.random::<f32>() * 0.6,
            target_damping: 0.2 + random.random::<f32>() * 0.6,
            neighbours: one_of(random, &[200, 500, 1000]),
        }
    }

    fn fit(&self, data: &Interactions) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(Neighbours::ordered(data, self)?))
    }
}

impl Tunable for Bm25Settings {
    const RECENCY_EXPONENT: f32 = 0.0;

    fn first() -> Self {
        Self { k1: 100.0, b: 0.1, neighbours: 500 }
    }

    fn draw(random: &mut Random) -> Self {
        Self {
            k1: log_uniform(random, 0.1, 200.0),
            b: random.random(),
            neighbours: one_of(random, &[20, 50, 100, 200, 500, 1000]),
        }
    }

    fn fit(&self, data: &Interactions) -> Result<Box<dyn Scorer>, FactorsError> {
        Ok(Box::new(Neighbours::bm25(data, self)?))
    }
}

/// On what settings are judged.
pub(crate) struct Tuning<'a> {
    /// What models are fitted on.
    pub(crate) seen: &'a Interactions,
    /// What came after.
    pub(crate) validation: &'a Split,
    /// Items recommended.
    pub(crate) count: usize,
    /// Seed of the draws.
    pub(crate) seed: u64,
}

impl Tuning<'_> {
    /// The settings with the best √(Recall · NDCG) on the validation part, among the first ones and `trials − 1` draws; the
    /// first ones, unjudged, for one trial.
    pub(crate) fn best<T: Tunable>(&self, trials: usize) -> Result<T, FactorsError> {
        let mut random = Random::seed_from_u64(self.seed);
        let mut best = (f64::NEG_INFINITY, T::first());
        if trials <= 1 {
            return Ok(best.1);
        }
        for trial in 0..trials {
            let settings = if trial == 0 { T::first() } else { T::draw(&mut random) };
            let value = self.alone(settings.fit(self.seen)?.as_ref(), T::RECENCY_EXPONENT)?;
            if value > best.0 {
                best = (value, settings);
            }
        }
        Ok(best.1)
    }

    fn alone(&self, model: &dyn Scorer, exponent: f32) -> Result<f64, FactorsError> {
        let split = self.validation;
        let each: Vec<(f64, f64)> = learning_people(split)
            .into_par_iter()
            .map(|person| {
                let history = &split.train[person];
                let mut scores = vec![0.0; model.items()];
                model.add_scores(&recency_weights(history, exponent), &mut scores)?;
                let list = best_unseen(&mut scores, history, model.items(), self.count)?;
                Ok(accuracy_of(list.iter().map(|scored| scored.item), &split.test[person], self.count))
            })
            .collect::<Result<_, FactorsError>>()?;
        Ok(objective(&each))
    }
}

fn log_uniform(random: &mut Random, low: f32, high: f32) -> f32 {
    low * (high / low).powf(random.random::<f32>())
}

fn one_of<T: Copy>(random: &mut Random, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}
