//! What a person picks by what products are: their words and categories; it needs no other person to have picked the same product.
//!
//! 1. **Words.** A product is the set of its title's words and of its category with the parents, as a vector of length one.
//!    Words of fewer than [`MIN_WORD_PRODUCTS`] products say nothing about others; the most frequent [`MAX_WORDS`] are kept.
//! 2. **Picks.** What a person buys of a seller is compared with what everybody buys of that seller: otherwise a taste would
//!    be taken for what the seller happens to offer. A pick is the product's vector less the seller's mean.
//! 3. **Directions.** The [`DIRECTIONS`] in which persons differ most, by subspace iteration (Halko, Martinsson and Tropp, SIAM
//!    Review 2011) on the covariance of different picks of one person.
//! 4. **Taste.** In each direction the mean of a person's n picks is shrunk by `s / (s + e / n)`, with the variance s between
//!    persons and e within: the posterior mean (Efron and Morris, JASA 1973), so that few picks move a taste little.
//! 5. **Score.** The inner product of the taste and the product's vector, both in those directions.

use dhow_events::SellerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::RecommendModel;

const MIN_WORD_PRODUCTS: usize = 3;
const MAX_WORDS: usize = 512;
const DIRECTIONS: usize = 16;
/// Directions are learned from at most so many persons, spread evenly, of at least so many picks each.
const MAX_PERSONS: usize = 20_000;
const MIN_PICKS: usize = 5;
const ITERATIONS: usize = 20;

type Direction = [f32; DIRECTIONS];

/// Products and picks in the learned directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ContentTastes {
    items: Vec<Direction>,
    picks: Vec<Direction>,
    /// Variance between persons, and of single picks, in each direction.
    between: Direction,
    within: Direction,
}

impl ContentTastes {
    /// Learns from what each person bought; none where products have no words in common or nobody bought enough.
    pub(super) fn fit(model: &RecommendModel, bought: &[&[u32]]) -> Option<Self> {
        let vectors = word_vectors(model);
        let width = vectors.first()?.len();
        let picks = picks(model, &vectors, bought);
        let enough: Vec<&&[u32]> = bought.iter().filter(|items| items.len() >= MIN_PICKS).collect();
        let sample: Vec<&&[u32]> = enough.iter().step_by(enough.len().div_ceil(MAX_PERSONS).max(1)).copied().collect();
        if width == 0 || sample.len() < DIRECTIONS {
            return None;
        }
        let basis = directions(&sample, &picks, width);
        let project = |vector: &Vec<f32>| -> Direction { std::array::from_fn(|at| dot(&basis[at], vector)) };
        let items = vectors.par_iter().map(project).collect();
        let picks: Vec<Direction> = picks.par_iter().map(project).collect();
        let (between, within) = variances(&sample, &picks);
        Some(Self { items, picks, between, within })
    }

    /// The taste of whoever picked these items.
    pub(super) fn of(&self, picked: &[u32]) -> Direction {
        let count = picked.len() as f32;
        let mean = mean_pick(&self.picks, picked);
        std::array::from_fn(|at| {
            let (between, within) = (self.between[at], self.within[at]);
            if between > 0.0 { mean[at] * between / (between + within / count) } else { 0.0 }
        })
    }

    pub(super) fn score(&self, taste: &Direction, item: u32) -> f64 {
        f64::from(dot(taste, &self.items[item as usize]))
    }

    pub(super) fn is_sound(&self, items: usize) -> bool {
        self.items.len() == items && self.picks.len() == items
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Each product's words as a vector of length one; products without any known word have zeros.
fn word_vectors(model: &RecommendModel) -> Vec<Vec<f32>> {
    let items = 0..model.items.len() as u32;
    let words: Vec<FxHashSet<String>> = items.map(|item| words(model, item)).collect();
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    words.iter().flatten().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut frequent: Vec<(usize, &str)> = counts
        .into_iter()
        .map(|(word, count)| (count, word))
        .filter(|(count, _)| *count >= MIN_WORD_PRODUCTS)
        .collect();
    frequent.sort_unstable_by(|a, b| b.cmp(a));
    frequent.truncate(MAX_WORDS);
    let places: FxHashMap<&str, usize> = frequent.iter().enumerate().map(|(at, (_, word))| (*word, at)).collect();
    let vector = |words: &FxHashSet<String>| {
        let mut vector = vec![0.0; places.len()];
        words.iter().filter_map(|word| places.get(word.as_str())).for_each(|at| vector[*at] = 1.0);
        let length = vector.iter().sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
        vector
    };
    words.iter().map(vector).collect()
}

fn words(model: &RecommendModel, item: u32) -> FxHashSet<String> {
    let title = model.items.title(item).split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let categories = model.items.category_names(item).map(|category| format!("/{category}"));
    title.filter(|word| !word.is_empty()).chain(categories).collect()
}

/// Each product's vector less the mean of what is bought of its seller.
fn picks(model: &RecommendModel, vectors: &[Vec<f32>], bought: &[&[u32]]) -> Vec<Vec<f32>> {
    let width = vectors[0].len();
    let mut means: FxHashMap<SellerId, (f32, Vec<f32>)> = FxHashMap::default();
    for item in bought.iter().copied().flatten() {
        let (count, sum) = means.entry(model.items.seller(*item)).or_insert_with(|| (0.0, vec![0.0; width]));
        *count += 1.0;
        sum.iter_mut().zip(&vectors[*item as usize]).for_each(|(sum, value)| *sum += value);
    }
    let pick = |(item, vector): (usize, &Vec<f32>)| match means.get(&model.items.seller(item as u32)) {
        Some((count, sum)) => vector.iter().zip(sum).map(|(value, sum)| value - sum / count).collect(),
        None => vec![0.0; width],
    };
    vectors.iter().enumerate().map(pick).collect()
}

fn mean_pick<const N: usize>(picks: &[[f32; N]], picked: &[u32]) -> [f32; N] {
    let mut mean = [0.0; N];
    for item in picked {
        mean.iter_mut().zip(&picks[*item as usize]).for_each(|(mean, value)| *mean += value / picked.len() as f32);
    }
    mean
}

/// Orthonormal directions in which the persons' tastes differ most. The covariance between persons is estimated from pairs of
/// different picks of one person, in which the picks' own noise cancels; persons weigh by their picks.
fn directions(persons: &[&&[u32]], picks: &[Vec<f32>], width: usize) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut basis: Vec<Vec<f32>> =
        (0..DIRECTIONS).map(|_| (0..width).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
    for _ in 0..ITERATIONS {
        orthonormalise(&mut basis);
        basis = basis.par_iter().map(|direction| times_covariance(direction, persons, picks)).collect();
    }
    orthonormalise(&mut basis);
    basis
}

/// The covariance between persons times `direction`.
fn times_covariance(direction: &[f32], persons: &[&&[u32]], picks: &[Vec<f32>]) -> Vec<f32> {
    let along: Vec<f32> = picks.iter().map(|pick| dot(direction, pick)).collect();
    // What each product's pick adds: for every person who picked it, what the person's other picks say.
    let mut weights = vec![0.0_f32; picks.len()];
    for items in persons {
        let sum: f32 = items.iter().map(|item| along[*item as usize]).sum();
        for item in items.iter() {
            weights[*item as usize] += (sum - along[*item as usize]) / (items.len() - 1) as f32;
        }
    }
    let mut product = vec![0.0; direction.len()];
    for (pick, weight) in picks.iter().zip(&weights).filter(|(_, weight)| **weight != 0.0) {
        product.iter_mut().zip(pick).for_each(|(sum, value)| *sum += weight * value);
    }
    product
}

/// Gram and Schmidt; what is left of a dependent vector becomes zero.
fn orthonormalise(basis: &mut [Vec<f32>]) {
    for at in 0..basis.len() {
        let (before, rest) = basis.split_at_mut(at);
        for earlier in before.iter() {
            let along = dot(earlier, &rest[0]);
            rest[0].iter_mut().zip(earlier).for_each(|(value, other)| *value -= along * other);
        }
        let length = dot(&rest[0], &rest[0]).sqrt();
        let scale = if length > 1e-12 { 1.0 / length } else { 0.0 };
        rest[0].iter_mut().for_each(|value| *value *= scale);
    }
}

/// By the method of moments: what the means of n picks vary beyond what the picks alone explain is between persons.
fn variances(persons: &[&&[u32]], picks: &[Direction]) -> (Direction, Direction) {
    let (mut of_means, mut within, mut one_over_n) = ([0.0_f32; DIRECTIONS], [0.0_f32; DIRECTIONS], 0.0_f32);
    for items in persons {
        let mean = mean_pick(picks, items);
        one_over_n += 1.0 / items.len() as f32 / persons.len() as f32;
        for at in 0..DIRECTIONS {
            of_means[at] += mean[at] * mean[at] / persons.len() as f32;
            let squares: f32 = items.iter().map(|item| (picks[*item as usize][at] - mean[at]).powi(2)).sum();
            within[at] += squares / (items.len() - 1) as f32 / persons.len() as f32;
        }
    }
    let between = std::array::from_fn(|at| (of_means[at] - within[at] * one_over_n).max(0.0));
    (between, within)
}
