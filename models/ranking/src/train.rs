//! Training by listwise softmax loss, with early stopping and choice of settings on validation groups.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::check_range;
use crate::machine::Machine;
use crate::quality::accuracy;
use crate::{MAX_PLACES, RankingError, RankingGroups};

/// The most epochs of one fit.
pub const MAX_EPOCHS: usize = 1_000;
/// The most settings that one choice is made from.
pub const MAX_TRIALS: usize = 100;
/// Groups between two steps of the optimiser.
const BATCH_GROUPS: usize = 128;
/// Groups that one task of a batch adds up; fixed, so that sums do not depend on the number of threads.
const TASK_GROUPS: usize = 16;
/// Vectors start between minus and plus this number.
const START_RANGE: f64 = 0.05;
/// Adam's decay of the mean and of the mean square of the gradient, and what keeps its quotient finite.
const ADAM: (f64, f64, f64) = (0.9, 0.999, 1e-8);

/// How a ranker is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TrainingSettings {
    /// Weight of half the squared parameters beside the mean loss of a group, 0 to 1,000.
    pub l2: f64,
    /// Step size, above 0 and at most 1.
    pub learning_rate: f64,
    /// Passes over the groups at most, 1 to [`MAX_EPOCHS`].
    pub max_epochs: usize,
    /// Passes without a better validation loss before training ends, at least 1.
    pub patience: usize,
    /// Decides the order of the groups and where vectors start.
    pub seed: u64,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self { l2: 1e-4, learning_rate: 0.02, max_epochs: 60, patience: 3, seed: 1 }
    }
}

impl TrainingSettings {
    fn check(&self) -> Result<(), RankingError> {
        check_range("l2", self.l2, 0.0..=1_000.0, "0 to 1,000")?;
        check_range("learning_rate", self.learning_rate, 1e-9..=1.0, "above 0 and at most 1")?;
        check_range("max_epochs", self.max_epochs as f64, 1.0..=MAX_EPOCHS as f64, "1 to 1,000")?;
        check_range("patience", self.patience as f64, 1.0..=MAX_EPOCHS as f64, "1 to 1,000")
    }
}

/// What one fit came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// How it was trained.
    pub settings: TrainingSettings,
    /// The length of the features' vectors; 0 for a linear ranker.
    pub dimensions: usize,
    /// Passes made.
    pub epochs: usize,
    /// The pass whose parameters were kept; 0 where no pass was better than none.
    pub best_epoch: usize,
    /// Mean loss of the validation groups there.
    pub validation_loss: f64,
    /// Mean NDCG of the validation groups there.
    pub validation_ndcg: f64,
}

/// How a ranker was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingReport {
    /// All fits, in the order of their settings.
    pub trials: Vec<Trial>,
    /// Which of them was chosen: the highest validation NDCG, then the lowest loss, then the first.
    pub chosen: usize,
    /// Groups that were learned from: those with different gains.
    pub train_groups: usize,
    /// Groups that were validated by.
    pub validation_groups: usize,
    /// The cutoff of the NDCG.
    pub cutoff: usize,
}

/// One fit to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) settings: TrainingSettings,
    pub(crate) dimensions: usize,
}

/// Groups with the places of those that are used.
struct Part<'a> {
    groups: &'a RankingGroups,
    usable: Vec<usize>,
}

impl Part<'_> {
    fn loss(&self, machine: &Machine) -> f64 {
        let of_task = |task: &[usize]| {
            let loss = |g: &usize| {
                self.groups.weight(*g) * machine.group_loss(self.groups.rows(*g), self.groups.gains(*g), None)
            };
            task.iter().map(loss).sum::<f64>()
        };
        let losses: Vec<f64> = self.usable.par_chunks(TASK_GROUPS).map(of_task).collect();
        losses.iter().sum::<f64>() / self.weight(&self.usable)
    }

    fn weight(&self, groups: &[usize]) -> f64 {
        groups.iter().map(|group| self.groups.weight(*group)).sum()
    }

    /// The gradient of the mean loss of these groups.
    fn gradient(&self, machine: &Machine, batch: &[usize]) -> Vec<f64> {
        let weight = self.weight(batch);
        let of_task = |task: &[usize]| {
            let mut gradient = vec![0.0; machine.parameters().len()];
            for &group in task {
                let factor = self.groups.weight(group) / weight;
                machine.group_loss(self.groups.rows(group), self.groups.gains(group), Some((factor, &mut gradient)));
            }
            gradient
        };
        let parts: Vec<Vec<f64>> = batch.par_chunks(TASK_GROUPS).map(of_task).collect();
        let mut sum = vec![0.0; machine.parameters().len()];
        for part in parts {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        sum
    }
}

/// Fits every spec and keeps the best by validation.
pub(crate) fn fit(
    train: &RankingGroups,
    validation: &RankingGroups,
    specs: &[Spec],
    cutoff: usize,
) -> Result<(Machine, TrainingReport), RankingError> {
    check_range("number of trials", specs.len() as f64, 1.0..=MAX_TRIALS as f64, "1 to 100")?;
    check_range("cutoff", cutoff as f64, 1.0..=MAX_PLACES as f64, "1 to 100")?;
    specs.iter().try_for_each(|spec| spec.settings.check())?;
    if train.feature_names() != validation.feature_names() {
        return Err(RankingError::OtherFeatures { what: "the validation groups" });
    }
    if !validation.is_after(train) {
        return Err(RankingError::ValidationNotNewer);
    }
    let train = Part { groups: train, usable: train.usable("training", 2)? };
    let validation = Part { groups: validation, usable: validation.usable("validation", 1)? };
    let mut trials: Vec<Trial> = Vec::with_capacity(specs.len());
    let mut best: Option<(Machine, usize)> = None;
    for (at, spec) in specs.iter().enumerate() {
        let (machine, trial) = fit_one(&train, &validation, *spec, cutoff)?;
        let better = |old: &Trial| {
            let (ndcg, loss) = (trial.validation_ndcg, trial.validation_loss);
            ndcg > old.validation_ndcg || (ndcg == old.validation_ndcg && loss < old.validation_loss)
        };
        if best.as_ref().is_none_or(|(_, chosen)| better(&trials[*chosen])) {
            best = Some((machine, at));
        }
        trials.push(trial);
    }
    let (machine, chosen) = best.expect("the number of trials was checked to be at least 1");
    let (train_groups, validation_groups) = (train.usable.len(), validation.usable.len());
    Ok((machine, TrainingReport { trials, chosen, train_groups, validation_groups, cutoff }))
}

fn fit_one(train: &Part, validation: &Part, spec: Spec, cutoff: usize) -> Result<(Machine, Trial), RankingError> {
    let Spec { settings, dimensions } = spec;
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut machine = Machine::new(train.groups, dimensions);
    let linear = 2 * train.groups.width();
    let mut parameters = machine.parameters().to_vec();
    parameters[linear..].iter_mut().for_each(|v| *v = random.random_range(-START_RANGE..START_RANGE));
    machine.set_parameters(&parameters);
    let mut optimiser = Adam::new(parameters.len(), settings.learning_rate);
    let mut order = train.usable.clone();
    let (mut best, mut best_epoch, mut lowest) = (machine.clone(), 0, validation.loss(&machine));
    let mut epochs = 0;
    while epochs < settings.max_epochs && epochs < best_epoch + settings.patience {
        epochs += 1;
        order.shuffle(&mut random);
        for batch in order.chunks(BATCH_GROUPS) {
            let mut gradient = train.gradient(&machine, batch);
            gradient.iter_mut().zip(&parameters).for_each(|(g, p)| *g += settings.l2 * p);
            optimiser.step(&mut parameters, &gradient);
            machine.set_parameters(&parameters);
        }
        let loss = validation.loss(&machine);
        if !loss.is_finite() {
            return Err(RankingError::Diverged { epoch: epochs, learning_rate: settings.learning_rate });
        }
        if loss < lowest {
            (best, best_epoch, lowest) = (machine.clone(), epochs, loss);
        }
    }
    let scores = |rows: &[f64], scores: &mut Vec<f64>| best.score(rows, scores);
    let validation_ndcg = accuracy(validation.groups, &validation.usable, cutoff, scores)?.ndcg;
    let trial = Trial { settings, dimensions, epochs, best_epoch, validation_loss: lowest, validation_ndcg };
    Ok((best, trial))
}

/// Adam, without its first steps' bias.
struct Adam {
    learning_rate: f64,
    steps: i32,
    means: Vec<f64>,
    squares: Vec<f64>,
}

impl Adam {
    fn new(parameters: usize, learning_rate: f64) -> Self {
        Self { learning_rate, steps: 0, means: vec![0.0; parameters], squares: vec![0.0; parameters] }
    }

    fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        let (mean_decay, square_decay, epsilon) = ADAM;
        self.steps = self.steps.saturating_add(1);
        let mean_share = 1.0 - mean_decay.powi(self.steps);
        let square_share = 1.0 - square_decay.powi(self.steps);
        let moments = self.means.iter_mut().zip(&mut self.squares);
        for ((parameter, g), (mean, square)) in parameters.iter_mut().zip(gradient).zip(moments) {
            *mean += (1.0 - mean_decay) * (g - *mean);
            *square += (1.0 - square_decay) * (g * g - *square);
            *parameter -= self.learning_rate * (*mean / mean_share) / ((*square / square_share).sqrt() + epsilon);
        }
    }
}
