//! The cold items part of the protocol: items that training never saw, ranked among themselves; baselines by similarity.

use crate::attribute_regression::{AttributeRegression, AttributeSettings, once_each};
use crate::error::FactorsError;
use crate::evaluation::{ColdSplit, EvaluationOfCold, evaluate_cold, split_cold};
use crate::interactions::Interactions;
use crate::intervals::{Estimate, lift_estimate, mean_estimate};
use crate::protocol::ProtocolSettings;
use crate::score::{Scorer, recency_weights};
use serde::{Deserialize, Serialize};

/// Settings of which the best on a validation tenth is taken.
const CANDIDATES: [(f32, f32); 4] = [(1.0, 3.0), (0.3, 3.0), (1.0, 1.0), (3.0, 10.0)];

/// How well items are ranked of which only attributes are known, for persons who took one of them and have other history.
///
/// A seeded tenth of the items is taken out of all histories. Settings are chosen on another tenth, taken out of what is
/// left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColdReport {
    /// How many items were held out.
    pub cold_items: usize,
    /// Persons who took one of them and have other history.
    pub people: usize,
    /// Recall of a random order: the number recommended over that of cold items.
    pub recall_random: f64,
    /// The attribute regression, then the baselines.
    pub methods: Vec<ColdMethod>,
    /// The settings of the regression that were chosen.
    pub settings: AttributeSettings,
}

/// One way to rank cold items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColdMethod {
    /// Its name. The baselines are the mean over the history of the cosine, of the Jaccard index, and of the cosine with rare
    /// attributes weighted up, between the attributes of the history's items and the cold item's.
    pub name: String,
    /// Recall with its interval.
    pub recall: Estimate,
    /// NDCG with its interval.
    pub ndcg: Estimate,
    /// By how much the regression's recall is above this one's; none for itself.
    pub recall_lift: Option<Estimate>,
}

/// Holds out, chooses, fits and judges.
pub(crate) fn evaluate_cold_items(
    histories: &[Vec<u32>],
    attributes: &[Vec<u32>],
    settings: &ProtocolSettings,
    seed: u64,
) -> Result<ColdReport, FactorsError> {
    let items = attributes.len();
    let test = split_cold(histories, items, settings.cold_share, seed);
    let validation = split_cold(&test.train, items, settings.cold_share, seed.wrapping_add(1));
    let mut best: Option<(f64, AttributeSettings)> = None;
    for (person_ridge, item_ridge) in CANDIDATES {
        let tried = AttributeSettings { person_ridge, item_ridge, ..AttributeSettings::default() };
        let overall = regression(&validation, attributes, &tried, settings.count)?.overall;
        if best.is_none_or(|(value, _)| overall.recall * overall.ndcg > value) {
            best = Some((overall.recall * overall.ndcg, tried));
        }
    }
    let chosen = best.map_or_else(AttributeSettings::default, |best| best.1);
    let ours = regression(&test, attributes, &chosen, settings.count)?;

    let alike = Alike::of(attributes);
    let mut methods = vec![method("attribute regression", &ours, None, settings, seed)?];
    let similarities: [(&str, Similarity); 3] = [
        ("attribute cosine", Alike::cosine),
        ("attribute Jaccard index", Alike::jaccard),
        ("rare attribute cosine", Alike::rare_cosine),
    ];
    for (name, similarity) in similarities {
        let theirs = evaluate_cold(&test, settings.count, |person| {
            let score = |item: &u32| test.train[person].iter().map(|own| similarity(&alike, *own, *item)).sum();
            Ok(test.cold.iter().map(score).collect())
        })?;
        methods.push(method(name, &theirs, Some(&ours), settings, seed)?);
    }
    Ok(ColdReport {
        cold_items: test.cold.len(),
        people: ours.overall.people,
        recall_random: (settings.count as f64 / test.cold.len().max(1) as f64).min(1.0),
        methods,
        settings: chosen,
    })
}

fn regression(
    split: &ColdSplit,
    attributes: &[Vec<u32>],
    settings: &AttributeSettings,
    count: usize,
) -> Result<EvaluationOfCold, FactorsError> {
    let known = Interactions::from_histories(&split.train, attributes.len())?;
    let model = AttributeRegression::fit(attributes, &known, settings)?;
    evaluate_cold(split, count, |person| {
        let mut scores = vec![0.0; attributes.len()];
        model.add_scores(&recency_weights(&split.train[person], 0.0), &mut scores)?;
        Ok(split.cold.iter().map(|item| scores[*item as usize]).collect())
    })
}

fn method(
    name: &str,
    found: &EvaluationOfCold,
    ours: Option<&EvaluationOfCold>,
    settings: &ProtocolSettings,
    seed: u64,
) -> Result<ColdMethod, FactorsError> {
    let resamples = settings.resamples;
    let lift =
        |ours: &EvaluationOfCold| lift_estimate(&ours.recall_by_person, &found.recall_by_person, resamples, seed);
    Ok(ColdMethod {
        name: name.into(),
        recall: mean_estimate(&found.recall_by_person, resamples, seed)?,
        ndcg: mean_estimate(&found.ndcg_by_person, resamples, seed)?,
        recall_lift: ours.map(lift).transpose()?,
    })
}

/// How alike two items are.
type Similarity = fn(&Alike, u32, u32) -> f32;

/// The items' attributes, to compare.
struct Alike {
    /// Each item's attributes, sorted, each once.
    sets: Vec<Vec<u32>>,
    /// ln(items / items with the attribute), squared, by attribute.
    rarity: Vec<f32>,
}

impl Alike {
    fn of(attributes: &[Vec<u32>]) -> Self {
        let sets: Vec<Vec<u32>> = attributes.iter().map(|own| once_each(own)).collect();
        let mut counts = vec![0_u32; sets.iter().flatten().max().map_or(0, |most| *most as usize + 1)];
        sets.iter().flatten().for_each(|attribute| counts[*attribute as usize] += 1);
        let rarity = counts.iter().map(|count| (sets.len() as f32 / (*count).max(1) as f32).ln().powi(2)).collect();
        Self { sets, rarity }
    }

    fn cosine(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (&self.sets[a as usize], &self.sets[b as usize]);
        shared(a, b).count() as f32 / ((a.len() * b.len()).max(1) as f32).sqrt()
    }

    fn jaccard(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (&self.sets[a as usize], &self.sets[b as usize]);
        let both = shared(a, b).count();
        both as f32 / (a.len() + b.len() - both).max(1) as f32
    }

    fn rare_cosine(&self, a: u32, b: u32) -> f32 {
        let (a, b) = (&self.sets[a as usize], &self.sets[b as usize]);
        let sum = |attributes: &mut dyn Iterator<Item = u32>| -> f32 {
            attributes.map(|attribute| self.rarity[attribute as usize]).sum()
        };
        let lengths = sum(&mut a.iter().copied()) * sum(&mut b.iter().copied());
        sum(&mut shared(a, b)) / lengths.sqrt().max(f32::MIN_POSITIVE)
    }
}

/// What two sorted lists have in common.
fn shared(a: &[u32], b: &[u32]) -> impl Iterator<Item = u32> {
    a.iter().copied().filter(|attribute| b.binary_search(attribute).is_ok())
}
