//! What a person picks by what products are: their words and categories; it needs no other person to have picked the same product.
//!
//! 1. **Words.** A product is the set of its text's words and of its category with the parents, as a vector of length one.
//!    Words of fewer than [`MIN_WORD_PRODUCTS`] products say nothing about others; the most frequent [`MAX_WORDS`] are kept.
//! 2. **Picks.** A person chooses among what a seller offers; what they pick of a seller is compared with what everybody picks
//!    of that seller, else a taste would be taken for what the seller happens to offer. A pick is the product's vector
//!    less the seller's mean.
//! 3. **Directions.** The [`DIRECTIONS`] in which persons differ most, by subspace iteration (Halko, Martinsson and Tropp, SIAM
//!    Review 2011) on the covariance of different picks of one person.
//! 4. **Taste.** A conditional logit of each pick among its seller's products, with a taste drawn from one normal
//!    distribution for everybody (mixed logit; Train, Discrete Choice Methods with Simulation, 2009, ch. 6 and 12). The
//!    taste's posterior mean is one Newton step from zero: `(P + Σ C_s)⁻¹ Σ (x - m_s)` over the picks, with the seller's mean m and
//!    covariance C and the prior's precision P, which is learned by expectation maximisation. Few picks move a taste little.
//! 5. **Score.** The inner product of the taste and the product's vector, both in those directions: how much the log odds of
//!    a pick differ from everybody's.

use dhow_events::SellerId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::cholesky::{inverse, solve};
use crate::RecommendModel;

const MIN_WORD_PRODUCTS: usize = 3;
const MAX_WORDS: usize = 512;
pub(super) const DIRECTIONS: usize = 12;
const SQUARE: usize = DIRECTIONS * DIRECTIONS;
/// Directions are learned from at most so many persons, spread evenly, of at least so many picks each.
const MAX_PERSONS: usize = 20_000;
const MIN_PICKS: usize = 5;
const ITERATIONS: usize = 20;
/// Rounds in which the prior is learned; it hardly moves after these.
const PRIOR_ROUNDS: usize = 12;
/// Added to a product's picks, so that what was never picked is an option too.
const PICKS_PRIOR: f32 = 0.5;

pub(crate) type Direction = [f32; DIRECTIONS];

/// Products, sellers and persons in the learned directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ContentTastes {
    items: Vec<Direction>,
    /// The number of each item's seller.
    sellers: Vec<u32>,
    /// What is picked of each seller: the mean.
    means: Vec<Direction>,
    /// The covariance of the same, row-major.
    covariances: Vec<Vec<f64>>,
    /// The precision of tastes among persons, row-major.
    precision: Vec<f64>,
}

impl ContentTastes {
    /// Learns from what each person picked; none where products have no words in common or nobody picked enough.
    pub(super) fn fit(model: &RecommendModel, picked: &[&[u32]]) -> Option<Self> {
        let vectors = word_vectors(model);
        let width = vectors.first()?.len();
        let (sellers, picks, counts) = picks(model, &vectors, picked);
        let enough: Vec<&&[u32]> = picked.iter().filter(|items| items.len() >= MIN_PICKS).collect();
        let sample: Vec<&&[u32]> = enough.iter().step_by(enough.len().div_ceil(MAX_PERSONS).max(1)).copied().collect();
        if width == 0 || sample.len() < DIRECTIONS {
            return None;
        }
        let basis = directions(&sample, &picks, width);
        let project = |vector: &Vec<f32>| -> Direction { std::array::from_fn(|at| dot(&basis[at], vector)) };
        let items: Vec<Direction> = vectors.par_iter().map(project).collect();
        let (means, covariances) = moments(&items, &sellers, &counts);
        let mut tastes = Self { items, sellers, means, covariances, precision: identity() };
        tastes.learn_precision(&sample)?;
        Some(tastes)
    }

    /// The taste of whoever picked these items.
    pub(super) fn of(&self, picked: &[u32]) -> Direction {
        let (score, information) = self.evidence(picked);
        let system = information.iter().zip(&self.precision).map(|(of_picks, prior)| of_picks + prior).collect();
        // The prior's precision is positive definite, so the sum is.
        let mean = solve(system, score).unwrap_or_else(|| vec![0.0; DIRECTIONS]);
        std::array::from_fn(|at| mean[at] as f32)
    }

    /// Each item in the learned directions.
    pub(super) fn items(&self) -> &[Direction] {
        &self.items
    }

    pub(super) fn score(&self, taste: &Direction, item: u32) -> f64 {
        f64::from(dot_of_directions(taste, &self.items[item as usize]))
    }

    pub(super) fn is_sound(&self, items: usize) -> bool {
        let (sellers, finite) = (self.means.len(), |values: &[f64]| values.iter().all(|value| value.is_finite()));
        self.items.len() == items
            && self.sellers.len() == items
            && self.sellers.iter().all(|seller| (*seller as usize) < sellers)
            && self.covariances.len() == sellers
            && self.covariances.iter().all(|covariance| covariance.len() == SQUARE && finite(covariance))
            && self.precision.len() == SQUARE
            && inverse(self.precision.clone(), DIRECTIONS).is_some()
    }

    /// The gradient of the picks' log likelihood at no taste at all, and its information.
    fn evidence(&self, picked: &[u32]) -> (Vec<f64>, Vec<f64>) {
        let (mut score, mut information) = (vec![0.0; DIRECTIONS], vec![0.0; SQUARE]);
        for item in picked {
            let seller = self.sellers[*item as usize] as usize;
            let pairs = self.items[*item as usize].iter().zip(&self.means[seller]);
            score.iter_mut().zip(pairs).for_each(|(sum, (value, mean))| *sum += f64::from(value - mean));
            information.iter_mut().zip(&self.covariances[seller]).for_each(|(sum, value)| *sum += value);
        }
        (score, information)
    }

    /// Expectation maximisation: the prior's covariance is the mean of the posteriors' second moments. None where it degenerates.
    fn learn_precision(&mut self, persons: &[&&[u32]]) -> Option<()> {
        let evidence: Vec<(Vec<f64>, Vec<f64>)> = persons.par_iter().map(|items| self.evidence(items)).collect();
        for _ in 0..PRIOR_ROUNDS {
            let posterior = |(score, information): &(Vec<f64>, Vec<f64>)| {
                let precision = information.iter().zip(&self.precision).map(|(of_picks, prior)| of_picks + prior);
                let mut moment = inverse(precision.collect(), DIRECTIONS)?;
                let mean: Vec<f64> = moment
                    .chunks_exact(DIRECTIONS)
                    .map(|row| row.iter().zip(score).map(|(value, score)| value * score).sum())
                    .collect();
                for (at, value) in moment.iter_mut().enumerate() {
                    *value += mean[at / DIRECTIONS] * mean[at % DIRECTIONS];
                }
                Some(moment)
            };
            let moments: Vec<Option<Vec<f64>>> = evidence.par_iter().map(posterior).collect();
            let mut covariance = vec![0.0; SQUARE];
            for moment in moments {
                let count = persons.len() as f64;
                covariance.iter_mut().zip(moment?).for_each(|(sum, value)| *sum += value / count);
            }
            self.precision = inverse(covariance, DIRECTIONS)?;
        }
        Some(())
    }
}

fn identity() -> Vec<f64> {
    (0..SQUARE).map(|at| if at % (DIRECTIONS + 1) == 0 { 1.0 } else { 0.0 }).collect()
}

/// Of each seller, the mean and the covariance of what is picked.
fn moments(items: &[Direction], sellers: &[u32], counts: &[f32]) -> (Vec<Direction>, Vec<Vec<f64>>) {
    let number = sellers.iter().max().map_or(0, |last| *last as usize + 1);
    let (mut totals, mut means) = (vec![0.0_f32; number], vec![[0.0_f32; DIRECTIONS]; number]);
    for ((item, seller), count) in items.iter().zip(sellers).zip(counts) {
        totals[*seller as usize] += count;
        means[*seller as usize].iter_mut().zip(item).for_each(|(sum, value)| *sum += count * value);
    }
    for (mean, total) in means.iter_mut().zip(&totals) {
        mean.iter_mut().for_each(|value| *value /= total);
    }
    let mut covariances = vec![vec![0.0; SQUARE]; number];
    for ((item, seller), count) in items.iter().zip(sellers).zip(counts) {
        let seller = *seller as usize;
        let off: Direction = std::array::from_fn(|at| item[at] - means[seller][at]);
        let share = count / totals[seller];
        for (at, value) in covariances[seller].iter_mut().enumerate() {
            *value += f64::from(share * off[at / DIRECTIONS] * off[at % DIRECTIONS]);
        }
    }
    (means, covariances)
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The same of two directions, in a few independent sums.
fn dot_of_directions(a: &Direction, b: &Direction) -> f32 {
    let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
    let mut sums = [0.0_f32; 4];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
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
    let text = model.items.text(item).split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let categories = model.items.category_names(item).map(|category| format!("/{category}"));
    text.filter(|word| !word.is_empty()).chain(categories).collect()
}

/// The number of each product's seller, each product's vector less the mean of what is picked of that seller, and how
/// often each was picked.
fn picks(model: &RecommendModel, vectors: &[Vec<f32>], picked: &[&[u32]]) -> (Vec<u32>, Vec<Vec<f32>>, Vec<f32>) {
    let width = vectors.first().map_or(0, Vec::len);
    let mut counts = vec![PICKS_PRIOR; vectors.len()];
    picked.iter().copied().flatten().for_each(|item| counts[*item as usize] += 1.0);
    let mut numbers: FxHashMap<SellerId, u32> = FxHashMap::default();
    let mut sums: Vec<(f32, Vec<f32>)> = Vec::new();
    let mut sellers = Vec::with_capacity(vectors.len());
    for (item, (vector, count)) in vectors.iter().zip(&counts).enumerate() {
        let next = numbers.len() as u32;
        let number = *numbers.entry(model.items.seller(item as u32)).or_insert(next);
        if number == next {
            sums.push((0.0, vec![0.0; width]));
        }
        let (total, sum) = &mut sums[number as usize];
        *total += count;
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += count * value);
        sellers.push(number);
    }
    let pick = |(vector, seller): (&Vec<f32>, &u32)| {
        let (total, sum) = &sums[*seller as usize];
        vector.iter().zip(sum).map(|(value, sum)| value - sum / total).collect()
    };
    let picks = vectors.iter().zip(&sellers).map(pick).collect();
    (sellers, picks, counts)
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
