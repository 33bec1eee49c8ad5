//! Boosting: round after round a tree on the loss's derivatives, with early stopping; trees are grown in `grow`.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::bins::{Binned, Scale};
use crate::data::{Column, Kind, TrainingData};
use crate::error::LearnError;
use crate::forest::{Forest, Node, Tree};
use crate::grow::{Grower, Grown};
use crate::histogram::{Derivatives, Quantised};
use crate::loss::{Loss, weighted_quantile};
use crate::metric::Metric;
use crate::settings::{RowSampling, Settings};

/// Rows of one task that walk a tree.
const WALKED_ROWS: usize = 1 << 10;

/// Rows that early stopping judges by: later ones than the training set's, where time matters.
#[derive(Debug, Clone, Copy)]
pub struct Validation<'a> {
    /// The same columns as the training set's, in the same order.
    pub data: TrainingData<'a>,
    /// What is judged.
    pub metric: Metric,
    /// Learning ends after this many rounds without a new best, at least 1.
    pub patience: usize,
}

/// A learned forest, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    /// The forest; with validation, the trees up to the best round.
    pub forest: Forest,
    /// The metric after each round that was learned; empty without validation.
    pub history: Vec<f64>,
}

/// Learns a forest from `data` by gradient boosting on histograms, in the steps that the crate's documentation tells. The
/// result depends on the arguments alone, and on no number of threads. Without validation all rounds are learned; a round
/// in which no split is worth its cost ends learning early where no sampling could make the next one differ.
///
/// # Errors
/// A setting out of its range; no rows or columns; lengths that differ; an infinite value, a label that the loss cannot
/// have, or a negative weight, with its place; labels of one class only; no column that has two values.
pub fn learn(settings: &Settings, data: &TrainingData, validation: Option<&Validation>) -> Result<Learned, LearnError> {
    settings.check()?;
    data.check(&settings.loss)?;
    let kinds: Vec<Kind> = data.columns.iter().map(|column| column.kind).collect();
    check_combination(settings, &kinds)?;
    let mut judge = validation.map(|validation| Judge::new(validation, settings, data)).transpose()?;
    let base_margin = settings.loss.first_margin(data)?;
    let binned = Binned::new(data, settings.max_bins);
    check_columns_differ(&binned, data)?;
    let mut boosting = Boosting::new(settings, data, base_margin);
    let mut grower = Grower::new(&binned, &kinds, settings);
    let mut forest = Forest {
        features: data.columns.iter().map(|column| column.name.to_owned()).collect(),
        base_margin,
        output: settings.loss.output(),
        trees: Vec::new(),
    };
    // All rounds run on one thread of the pool, from which the others take work: entering it anew costs more than a node.
    rayon::scope(|_| {
        for _ in 0..settings.rounds {
            let tree = boosting.round(&mut grower);
            let ended = tree.nodes.len() == 1 && boosting.is_settled();
            let stop = judge.as_mut().is_some_and(|judge| judge.stops_after(&tree, base_margin));
            forest.trees.push(tree);
            if stop || ended {
                break;
            }
        }
    });
    let history = judge.map_or_else(Vec::new, |judge| {
        forest.trees.truncate(judge.best_rounds);
        judge.history
    });
    Ok(Learned { forest, history })
}

fn check_combination(settings: &Settings, kinds: &[Kind]) -> Result<(), LearnError> {
    let monotone = kinds.iter().any(|kind| matches!(kind, Kind::Increasing | Kind::Decreasing));
    if monotone && matches!(settings.loss, Loss::Quantile { .. }) {
        let why = "quantile loss gives leaves the quantiles of their rows, which may break a monotone column";
        return Err(LearnError::Mismatch(why.to_owned()));
    }
    Ok(())
}

/// A column of one value without missing ones can be no help; where all are such, the caller should know.
fn check_columns_differ(binned: &Binned, data: &TrainingData) -> Result<(), LearnError> {
    let differs = |(scale, values): (&Scale, &[f64])| {
        let bins = match scale {
            Scale::Cuts(cuts) => cuts.len() + 1,
            Scale::Categories(categories) => categories.len(),
        };
        bins > 1 || values.iter().any(|value| value.is_nan() != values[0].is_nan())
    };
    if binned.scales.iter().zip(data.columns.iter().map(|column| column.values)).any(differs) {
        return Ok(());
    }
    let (columns, first) = (data.columns.len(), data.columns[0].name);
    Err(LearnError::Empty(format!("each of the {columns} columns (the first is {first}) has one value in all rows")))
}

/// The state between rounds.
struct Boosting<'a> {
    settings: &'a Settings,
    data: &'a TrainingData<'a>,
    margins: Vec<f64>,
    derivatives: Vec<Derivatives>,
    quantised: Quantised,
    /// The rows with a weight above 0, in order.
    weighted: Vec<u32>,
    rng: ChaCha8Rng,
}

impl<'a> Boosting<'a> {
    fn new(settings: &'a Settings, data: &'a TrainingData, base_margin: f64) -> Boosting<'a> {
        Boosting {
            settings,
            data,
            margins: vec![base_margin; data.rows()],
            derivatives: vec![Derivatives::default(); data.rows()],
            quantised: Quantised::default(),
            weighted: (0..data.rows() as u32).filter(|row| data.weight(*row as usize) > 0.0).collect(),
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
        }
    }

    /// Grows the next tree and adds it to the margins.
    fn round(&mut self, grower: &mut Grower) -> Tree {
        self.settings.loss.derive(self.data, &self.margins, &mut self.derivatives);
        let mut rows = self.sample_rows();
        let asked = self.sample_features();
        self.quantised.fill(&self.derivatives, &rows);
        let mut grown = grower.grow(&self.quantised, &mut rows, &asked);
        self.finish_leaves(&mut grown, &rows);
        self.add_to_margins(&grown, &rows);
        grown.tree
    }

    /// Whether a round without a split will be followed by others alike.
    fn is_settled(&self) -> bool {
        self.settings.rows == RowSampling::All && self.settings.feature_share == 1.0
    }

    fn sample_rows(&mut self) -> Vec<u32> {
        match self.settings.rows {
            RowSampling::All => self.weighted.clone(),
            RowSampling::Share(share) => {
                let drawn: Vec<u32> = self.weighted.iter().copied().filter(|_| self.rng.random_bool(share)).collect();
                if drawn.is_empty() { self.weighted.clone() } else { drawn }
            }
            RowSampling::Goss { top, other } => self.one_side_sample(top, other),
        }
    }

    /// The rows of the largest gradients, and some of the others, which count for those that are left out.
    fn one_side_sample(&mut self, top: f64, other: f64) -> Vec<u32> {
        let mut order = self.weighted.clone();
        let kept = ((order.len() as f64 * top).ceil() as usize).min(order.len() - 1);
        let size = |row: u32| self.derivatives[row as usize].gradient.abs();
        order.select_nth_unstable_by(kept, |one, next| size(*next).total_cmp(&size(*one)).then(one.cmp(next)));
        let (largest, others) = order.split_at_mut(kept);
        others.sort_unstable();
        let share = (other / (1.0 - top)).min(1.0);
        let mut rows = largest.to_vec();
        for row in others {
            if self.rng.random_bool(share) {
                let of = &mut self.derivatives[*row as usize];
                *of = Derivatives { gradient: of.gradient / share, hessian: of.hessian / share };
                rows.push(*row);
            }
        }
        rows.sort_unstable();
        rows
    }

    fn sample_features(&mut self) -> Vec<bool> {
        let features = self.data.columns.len();
        let wanted = ((features as f64 * self.settings.feature_share).ceil() as usize).clamp(1, features);
        // Each feature is drawn with the chance that fills what is still wanted (Knuth's algorithm S).
        let mut drawn = 0;
        let draw = |feature: usize| {
            let take = wanted - drawn == features - feature
                || (wanted > drawn && self.rng.random_range(0..features - feature) < wanted - drawn);
            drawn += usize::from(take);
            take
        };
        (0..features).map(draw).collect()
    }

    /// Quantile leaves get the quantile of what is left of their rows; then values are multiplied by the learning rate,
    /// and covers become sums of weights, where rows have weights.
    fn finish_leaves(&self, grown: &mut Grown, rows: &[u32]) {
        for (node, places) in &grown.leaves {
            let rows = rows[places.clone()].iter().map(|row| *row as usize);
            let Node::Leaf { value, cover } = &mut grown.tree.nodes[*node] else { continue };
            if let Loss::Quantile { alpha } = self.settings.loss {
                let left = rows.clone().map(|row| (self.data.labels[row] - self.margins[row], self.data.weight(row)));
                *value = weighted_quantile(left.collect(), alpha);
            }
            *value *= self.settings.learning_rate;
            if let Some(weights) = self.data.weights {
                *cover = rows.map(|row| weights[row]).sum();
            }
        }
        if self.data.weights.is_some() {
            sum_covers(&mut grown.tree);
        }
    }

    /// Adds the tree's values; rows that it was not grown on walk it.
    fn add_to_margins(&mut self, grown: &Grown, rows: &[u32]) {
        if rows.len() < self.margins.len() {
            return add_tree(&grown.tree, self.data.columns, &mut self.margins);
        }
        for (node, places) in &grown.leaves {
            let Node::Leaf { value, .. } = &grown.tree.nodes[*node] else { continue };
            for row in &rows[places.clone()] {
                self.margins[*row as usize] += value;
            }
        }
    }
}

/// Walks every row down a tree and adds the values.
fn add_tree(tree: &Tree, columns: &[Column], margins: &mut [f64]) {
    margins.par_chunks_mut(WALKED_ROWS).enumerate().for_each(|(task, margins)| {
        let mut row = vec![0.0; columns.len()];
        for (at, margin) in margins.iter_mut().enumerate() {
            for (value, column) in row.iter_mut().zip(columns) {
                *value = column.values[task * WALKED_ROWS + at];
            }
            *margin += tree.value(&row);
        }
    });
}

/// Sets each split's cover to the sum of its children's, from the last node to the first.
fn sum_covers(tree: &mut Tree) {
    for at in (0..tree.nodes.len()).rev() {
        let Node::Split { left, right, .. } = &tree.nodes[at] else { continue };
        let sum = tree.nodes[*left as usize].cover() + tree.nodes[*right as usize].cover();
        if let Node::Split { cover, .. } = &mut tree.nodes[at] {
            *cover = sum;
        }
    }
}

/// Early stopping.
struct Judge<'a> {
    validation: &'a Validation<'a>,
    loss: &'a Loss,
    margins: Vec<f64>,
    history: Vec<f64>,
    best_rounds: usize,
}

impl<'a> Judge<'a> {
    fn new(validation: &'a Validation, settings: &'a Settings, data: &TrainingData) -> Result<Judge<'a>, LearnError> {
        let judged = &validation.data;
        judged.check(&settings.loss)?;
        validation.metric.check(&settings.loss, judged)?;
        let names = |data: &TrainingData| data.columns.iter().map(|column| column.name.to_owned()).collect::<Vec<_>>();
        if names(judged) != names(data) {
            let (got, expected) = (names(judged).join(", "), names(data).join(", "));
            return Err(LearnError::Validation(format!("its columns are {got}; they must be {expected}")));
        }
        if validation.patience == 0 {
            return Err(LearnError::Validation("patience is 0; it must be at least 1".to_owned()));
        }
        Ok(Judge { validation, loss: &settings.loss, margins: Vec::new(), history: Vec::new(), best_rounds: 0 })
    }

    /// Adds a tree, judges, and tells whether learning ends.
    fn stops_after(&mut self, tree: &Tree, base_margin: f64) -> bool {
        let Validation { data, metric, patience } = self.validation;
        self.margins.resize(data.rows(), base_margin);
        add_tree(tree, data.columns, &mut self.margins);
        let value = metric.value(self.loss, data, &self.margins);
        let best = self.best_rounds.checked_sub(1).map(|round| self.history[round]);
        self.history.push(value);
        if best.is_none_or(|best| if metric.rises() { value > best } else { value < best }) {
            self.best_rounds = self.history.len();
        }
        self.history.len() - self.best_rounds >= *patience
    }
}
