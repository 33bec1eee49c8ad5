//! Which attributes lead to which: a regression from a person's attributes to items', so that items without behaviour rank.
//!
//! 1. An item's features are its attributes and the frequent pairs of them ("this brand in this category"), each worth
//!    the logarithm of how rare it is, pairs half of that; f is scaled to length 1.
//! 2. A person is the sum of the features of the history. With F the items' features, X the histories (a person of n items
//!    counts `n^-½`), and Z the same histories without the item that is predicted,
//!    `W = argmin ‖X − Z F W Fᵀ‖²` with a ridge on either side, in the separable form
//!    `W = (FᵀXᵀXF + ρI)⁻¹ FᵀXᵀZF (FᵀF + σI)⁻¹`: the bilinear content model of LinMap (Gantner et al. 2010) and of
//!    collective regressions, with attributes on both sides, and EASE's (Steck 2019) rule that nothing predicts itself.
//! 3. A history scores an item by `(Σ f) W fᵀ`. Nothing in it is known of the item but attributes.

use crate::ease::invert;
use crate::error::{FactorsError, check_setting};
use crate::interactions::{Interactions, check_item, check_weight};
use crate::kernels::{add_scaled, padded};
use crate::matrix::multiply;
use crate::score::{Scorer, check_request};
use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Most features of an [`AttributeRegression`], attributes and pairs together.
pub const MAX_FEATURES: usize = 4_096;
/// A pair of attributes is a feature if at least so many items have both.
const PAIR_ITEMS_MIN: u32 = 3;
/// Items with more attributes than this have no pairs: their attributes tell them apart already, and pairs are many.
const PAIR_ATTRIBUTES_MAX: usize = 8;
/// What a pair is worth beside a single attribute of the same rarity.
const PAIR_SHARE: f32 = 0.5;
/// Rows that one task multiplies.
const TASK_ROWS: usize = 64;

/// Settings of [`AttributeRegression::fit`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AttributeSettings {
    /// ρ, as a multiple of the mean diagonal of FᵀXᵀXF; above zero.
    pub person_ridge: f32,
    /// σ, above zero.
    pub item_ridge: f32,
    /// Most features; the attributes come first, then pairs by number of items. 1 to [`MAX_FEATURES`].
    pub features_max: usize,
}

impl Default for AttributeSettings {
    fn default() -> Self {
        Self { person_ridge: 1.0, item_ridge: 3.0, features_max: 2_048 }
    }
}

/// A feature and its value.
type Feature = (u32, f32);

/// What attributes are worth; it turns any item's attributes into features.
#[derive(Debug, Clone, PartialEq)]
struct Vocabulary {
    singles: FxHashMap<u32, Feature>,
    pairs: FxHashMap<(u32, u32), Feature>,
}

/// A fitted regression from attributes to attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeRegression {
    vocabulary: Vocabulary,
    /// Each item's features, of length 1.
    features: Vec<Vec<Feature>>,
    /// W by rows, padded.
    weights: Vec<f32>,
    size: usize,
}

impl AttributeRegression {
    /// Fits from the items' attributes (entry i: those of item i; repetitions count once) and who took what.
    ///
    /// # Errors
    /// A setting out of range, attributes of another number of items, no attribute at all, or more different attributes
    /// than [`MAX_FEATURES`].
    pub fn fit(
        attributes: &[Vec<u32>],
        interactions: &Interactions,
        settings: &AttributeSettings,
    ) -> Result<Self, FactorsError> {
        let positive = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
        check_setting("person_ridge", settings.person_ridge.into(), positive.clone(), "a finite number above zero")?;
        check_setting("item_ridge", settings.item_ridge.into(), positive, "a finite number above zero")?;
        check_setting("features_max", settings.features_max as f64, 1.0..=MAX_FEATURES as f64, "1 to 4096")?;
        if attributes.len() != interactions.items() {
            let (got, expected) = (attributes.len(), interactions.items());
            return Err(FactorsError::WrongLength { what: "attributes", got, expected });
        }
        let vocabulary = Vocabulary::of(attributes, settings.features_max)?;
        let size = padded(vocabulary.singles.len() + vocabulary.pairs.len());
        let features: Vec<Vec<Feature>> = attributes.iter().map(|own| vocabulary.features(own)).collect();

        let mut people = vec![0.0_f32; size * size];
        let mut itself = vec![0.0_f32; size * size];
        add_people(&mut people, &mut itself, size, interactions, &features);
        let together: Vec<f32> = people.iter().zip(&itself).map(|(all, own)| all - own).collect();
        let mean = (0..size).map(|at| people[at * size + at]).sum::<f32>() / size as f32;
        add_diagonal(&mut people, size, settings.person_ridge * mean.max(f32::MIN_POSITIVE));
        invert(&mut people, size)?;

        let mut items = itself;
        items.fill(0.0);
        for (_, own) in (0_u32..).zip(&features).filter(|(item, _)| interactions.support(*item) > 0) {
            add_product(&mut items, size, own, 1.0);
        }
        add_diagonal(&mut items, size, settings.item_ridge);
        invert(&mut items, size)?;
        let weights = product(&product(&people, &together, size), &items, size);
        Ok(Self { vocabulary, features, weights, size })
    }

    /// `(Σ f) W` of a history of items and weights, for [`AttributeRegression::score`].
    ///
    /// # Errors
    /// An unknown item, or a weight that is not finite and above zero.
    pub fn profile(&self, history: &[(u32, f32)]) -> Result<Vec<f32>, FactorsError> {
        for (row, (item, weight)) in history.iter().enumerate() {
            check_item(row, *item, self.features.len())?;
            check_weight(row, *weight)?;
        }
        let mut sums: FxHashMap<u32, f32> = FxHashMap::default();
        for (item, weight) in history {
            for (feature, value) in &self.features[*item as usize] {
                *sums.entry(*feature).or_default() += weight * value;
            }
        }
        let mut sums: Vec<Feature> = sums.into_iter().collect();
        sums.sort_unstable_by_key(|sum| sum.0);
        let mut profile = vec![0.0; self.size];
        for (feature, value) in sums {
            add_scaled(&mut profile, value, &self.weights[feature as usize * self.size..][..self.size]);
        }
        Ok(profile)
    }

    /// What a profile gives an item of these attributes, which need not be an item that was there when this was fitted;
    /// attributes never seen say nothing.
    pub fn score(&self, profile: &[f32], attributes: &[u32]) -> f32 {
        inner(profile, &self.vocabulary.features(attributes))
    }

    /// [`AttributeRegression::score`] of an item whose attributes were there when this was fitted.
    pub(crate) fn score_item(&self, profile: &[f32], item: u32) -> f32 {
        inner(profile, &self.features[item as usize])
    }

    /// The cosine of an item's features with any other item's.
    pub(crate) fn likeness_to(&self, item: u32) -> impl Fn(u32) -> f32 {
        let mut dense = vec![0.0; self.size];
        self.features[item as usize].iter().for_each(|(feature, value)| dense[*feature as usize] = *value);
        move |other| inner(&dense, &self.features[other as usize])
    }
}

impl Scorer for AttributeRegression {
    fn items(&self) -> usize {
        self.features.len()
    }

    fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        check_request(history, self.features.len(), scores)?;
        let profile = self.profile(history)?;
        scores.iter_mut().zip(&self.features).for_each(|(score, own)| *score += inner(&profile, own));
        Ok(())
    }
}

impl Vocabulary {
    fn of(attributes: &[Vec<u32>], features_max: usize) -> Result<Self, FactorsError> {
        let rarity = |count: u32| (attributes.len() as f32 / (count as f32 + 1.0)).ln().max(0.0);
        let (mut singles, mut pairs) = (FxHashMap::<u32, u32>::default(), FxHashMap::<(u32, u32), u32>::default());
        for own in attributes.iter().map(|own| once_each(own)) {
            own.iter().for_each(|attribute| *singles.entry(*attribute).or_default() += 1);
            pairs_of(&own).for_each(|pair| *pairs.entry(pair).or_default() += 1);
        }
        if singles.is_empty() || singles.len() > MAX_FEATURES {
            return Err(FactorsError::TooMany { what: "attributes", count: singles.len(), limit: MAX_FEATURES });
        }
        let mut frequent: Vec<((u32, u32), u32)> =
            pairs.into_iter().filter(|(_, count)| *count >= PAIR_ITEMS_MIN).collect();
        frequent.sort_unstable_by_key(|(pair, count)| (std::cmp::Reverse(*count), *pair));
        frequent.truncate(features_max.saturating_sub(singles.len()));
        let first_pair = singles.len() as u32;
        let mut singles: Vec<(u32, u32)> = singles.into_iter().collect();
        singles.sort_unstable();
        Ok(Self {
            singles: singles.into_iter().zip(0..).map(|((own, count), at)| (own, (at, rarity(count)))).collect(),
            pairs: frequent
                .into_iter()
                .zip(first_pair..)
                .map(|((pair, count), at)| (pair, (at, PAIR_SHARE * rarity(count))))
                .collect(),
        })
    }

    /// An item's features, scaled to length 1; none where it has no known attribute.
    fn features(&self, attributes: &[u32]) -> Vec<Feature> {
        let own = once_each(attributes);
        let singles = own.iter().filter_map(|attribute| self.singles.get(attribute));
        let pairs = pairs_of(&own).filter_map(|pair| self.pairs.get(&pair));
        let mut features: Vec<Feature> = singles.chain(pairs).filter(|feature| feature.1 > 0.0).copied().collect();
        let length = features.iter().map(|feature| feature.1 * feature.1).sum::<f32>().sqrt();
        features.iter_mut().for_each(|feature| feature.1 /= length);
        features
    }
}

pub(crate) fn once_each(attributes: &[u32]) -> Vec<u32> {
    let mut own = attributes.to_vec();
    own.sort_unstable();
    own.dedup();
    own
}

fn pairs_of(sorted: &[u32]) -> impl Iterator<Item = (u32, u32)> {
    let sorted = if sorted.len() > PAIR_ATTRIBUTES_MAX { &[] } else { sorted };
    sorted.iter().enumerate().flat_map(|(at, first)| sorted[at + 1..].iter().map(|second| (*first, *second)))
}

/// Adds FᵀXᵀXF to `people` and, to `itself`, the part of it in which an item meets itself.
fn add_people(
    people: &mut [f32],
    itself: &mut [f32],
    size: usize,
    interactions: &Interactions,
    features: &[Vec<Feature>],
) {
    let mut shares = vec![0.0_f32; features.len()];
    let mut dense = vec![0.0_f32; size];
    for person in 0..interactions.people() as u32 {
        let history = interactions.history(person);
        let share = (history.len().max(1) as f32).powf(-0.5);
        for item in history {
            shares[*item as usize] += share;
            features[*item as usize].iter().for_each(|(feature, value)| dense[*feature as usize] += value);
        }
        let profile: Vec<Feature> =
            (0_u32..).zip(&dense).filter(|(_, value)| **value != 0.0).map(|(at, value)| (at, *value)).collect();
        add_product(people, size, &profile, share);
        dense.fill(0.0);
    }
    for (own, share) in features.iter().zip(shares) {
        add_product(itself, size, own, share);
    }
}

/// `into += share · v vᵀ`.
fn add_product(into: &mut [f32], size: usize, vector: &[Feature], share: f32) {
    for (row, left) in vector {
        let row = &mut into[*row as usize * size..][..size];
        for (column, right) in vector {
            row[*column as usize] += share * left * right;
        }
    }
}

fn add_diagonal(matrix: &mut [f32], size: usize, value: f32) {
    (0..size).for_each(|at| matrix[at * size + at] += value);
}

fn product(left: &[f32], right: &[f32], size: usize) -> Vec<f32> {
    let mut out = vec![0.0; size * size];
    out.par_chunks_mut(TASK_ROWS * size)
        .zip(left.par_chunks(TASK_ROWS * size))
        .for_each(|(out, left)| multiply(left, size, right, size, out));
    out
}

fn inner(profile: &[f32], features: &[Feature]) -> f32 {
    features.iter().map(|(feature, value)| profile[*feature as usize] * value).sum()
}
