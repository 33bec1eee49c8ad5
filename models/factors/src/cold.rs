//! The cold items part of the protocol: items that training never saw, ranked among themselves; baselines by similarity.

use crate::attribute_regression::{AttributeSettings, once_each};
use crate::cold_items::{ColdItems, ColdSettings};
use crate::content::ContentMap;
use crate::error::FactorsError;
use crate::evaluation::{Accuracy, ColdSplit, EvaluationOfCold, evaluate_cold, split_cold};
use crate::ials::{FactorModel, FactorSettings};
use crate::interactions::Interactions;
use crate::intervals::{Estimate, lift_estimate, mean_estimate};
use crate::protocol::ProtocolSettings;
use crate::score::recency_weights;
use serde::{Deserialize, Serialize};

/// Ridges of the regression's two sides, of which the best on a validation tenth is taken.
const RIDGES: [(f32, f32); 4] = [(1.0, 1.0), (0.5, 1.0), (1.0, 3.0), (0.5, 0.3)];
/// Shares of the stand-ins, likewise.
const SHARES: [f32; 5] = [0.0, 0.2, 0.4, 0.7, 1.0];
/// Recency exponents, likewise.
const RECENCY_EXPONENTS: [f32; 3] = [0.0, 0.2, 0.4];
/// The ridge of [`ContentMap`] as a baseline; the trust does not matter to items without behaviour.
const CONTENT_RIDGE: f32 = 1.0;

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
    /// [`ColdItems`], then the baselines.
    pub methods: Vec<ColdMethod>,
    /// The settings that were chosen.
    pub settings: ColdSettings,
    /// How fast items of a history lose weight with age, chosen likewise; see [`recency_weights`].
    pub recency_exponent: f32,
    /// Recall of the chosen settings on the validation tenth.
    pub recall_of_validation: f64,
}

/// One way to rank cold items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColdMethod {
    /// Its name. The similarities are the mean over the history of the cosine, of the Jaccard index, and of the cosine with
    /// rare attributes weighted up, between the attributes of the history's items and the cold item's. "Attribute popularity"
    /// knows nobody: the mean over an item's attributes of the mean number of persons of the known items that have it.
    /// "Attributes to factors" is [`ContentMap`] on [`FactorModel`].
    pub name: String,
    /// Recall with its interval.
    pub recall: Estimate,
    /// NDCG with its interval.
    pub ndcg: Estimate,
    /// By how much the recall of [`ColdItems`] is above this one's, 1.0 for twice as much; none for itself.
    pub recall_lift: Option<Estimate>,
}

/// Holds out, chooses, fits and judges; the fourth step of [`evaluate_interactions`](crate::evaluate_interactions) alone.
///
/// # Errors
/// A setting out of range, an item that has no entry in `attributes`, no attribute at all, or no interaction outside the
/// held out part.
pub fn evaluate_cold_items(
    histories: &[Vec<u32>],
    attributes: &[Vec<u32>],
    settings: &ProtocolSettings,
    seed: u64,
) -> Result<ColdReport, FactorsError> {
    settings.check()?;
    let items = attributes.len();
    let histories = Interactions::from_histories(histories, items)?.histories();
    let test = split_cold(&histories, items, settings.cold_share, seed);
    let validation = split_cold(&test.train, items, settings.cold_share, seed.wrapping_add(1));
    let chosen = choose(&validation, attributes, settings.count)?;
    let known = Interactions::from_histories(&test.train, items)?;
    let model = ColdItems::fit(attributes, &known, &chosen.settings)?;
    let ours = judged(&model, &test, chosen.recency_exponent, settings.count)?;

    let mut methods = vec![method("cold items", &ours, None, settings, seed)?];
    for (name, theirs) in baselines(&test, attributes, &known, settings.count)? {
        methods.push(method(name, &theirs, Some(&ours), settings, seed)?);
    }
    Ok(ColdReport {
        cold_items: test.cold.len(),
        people: ours.overall.people,
        recall_random: (settings.count as f64 / test.cold.len().max(1) as f64).min(1.0),
        methods,
        settings: chosen.settings,
        recency_exponent: chosen.recency_exponent,
        recall_of_validation: chosen.overall.recall,
    })
}

/// What did best on a validation part.
struct Chosen {
    settings: ColdSettings,
    recency_exponent: f32,
    overall: Accuracy,
}

/// The ridges that do best without stand-ins, then the best share and recency with those ridges.
fn choose(validation: &ColdSplit, attributes: &[Vec<u32>], count: usize) -> Result<Chosen, FactorsError> {
    let known = Interactions::from_histories(&validation.train, attributes.len())?;
    let better = |overall: &Accuracy, than: &Accuracy| overall.recall * overall.ndcg > than.recall * than.ndcg;
    let mut best: Option<(Chosen, ColdItems)> = None;
    for (person_ridge, item_ridge) in RIDGES {
        let regression = AttributeSettings { person_ridge, item_ridge, ..AttributeSettings::default() };
        let settings = ColdSettings { regression, stand_in_share: 0.0, ..ColdSettings::default() };
        let model = ColdItems::fit(attributes, &known, &settings)?;
        let overall = judged(&model, validation, 0.0, count)?.overall;
        if best.as_ref().is_none_or(|(best, _)| better(&overall, &best.overall)) {
            best = Some((Chosen { settings, recency_exponent: 0.0, overall }, model));
        }
    }
    let Some((mut chosen, mut model)) = best else { return Err(FactorsError::NoInteractions) };
    for stand_in_share in SHARES {
        model = model.with_share(stand_in_share)?;
        for recency_exponent in RECENCY_EXPONENTS {
            let overall = judged(&model, validation, recency_exponent, count)?.overall;
            if better(&overall, &chosen.overall) {
                let settings = ColdSettings { stand_in_share, ..chosen.settings };
                chosen = Chosen { settings, recency_exponent, overall };
            }
        }
    }
    Ok(chosen)
}

fn judged(
    model: &ColdItems,
    split: &ColdSplit,
    recency_exponent: f32,
    count: usize,
) -> Result<EvaluationOfCold, FactorsError> {
    evaluate_cold(split, count, |person| {
        model.scores(&recency_weights(&split.train[person], recency_exponent), &split.cold)
    })
}

/// What needs no regression: three similarities, popularity of attributes, attributes mapped to factors.
fn baselines(
    test: &ColdSplit,
    attributes: &[Vec<u32>],
    known: &Interactions,
    count: usize,
) -> Result<Vec<(&'static str, EvaluationOfCold)>, FactorsError> {
    let alike = Alike::of(attributes);
    let similarities: [(&str, Similarity); 3] = [
        ("attribute cosine", Alike::cosine),
        ("attribute Jaccard index", Alike::jaccard),
        ("rare attribute cosine", Alike::rare_cosine),
    ];
    let mut found = Vec::new();
    for (name, similarity) in similarities {
        let judged = evaluate_cold(test, count, |person| {
            let score = |item: &u32| test.train[person].iter().map(|own| similarity(&alike, *own, *item)).sum();
            Ok(test.cold.iter().map(score).collect())
        })?;
        found.push((name, judged));
    }
    let popularity = alike.popularity(known);
    let popular: Vec<f32> = test.cold.iter().map(|item| popularity[*item as usize]).collect();
    found.push(("attribute popularity", evaluate_cold(test, count, |_| Ok(popular.clone()))?));

    let factors = FactorModel::fit(known, &FactorSettings::default())?;
    let content = ContentMap::fit(attributes, known, factors.items(), CONTENT_RIDGE, 1.0)?;
    let predicted: Vec<Vec<f32>> = test.cold.iter().map(|item| content.predict(&attributes[*item as usize])).collect();
    let mapped = evaluate_cold(test, count, |person| {
        let own = factors.people().row(person);
        Ok(predicted.iter().map(|item| own.iter().zip(item).map(|(a, b)| a * b).sum()).collect())
    })?;
    found.push(("attributes to factors", mapped));
    Ok(found)
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

    /// By item: the mean over its attributes of the mean number of persons of the known items that have the attribute.
    fn popularity(&self, known: &Interactions) -> Vec<f32> {
        let mut means = vec![(0.0_f32, 0.0_f32); self.rarity.len()];
        for (item, own) in (0_u32..).zip(&self.sets).filter(|(item, _)| known.support(*item) > 0) {
            for attribute in own {
                let (sum, count) = &mut means[*attribute as usize];
                *sum += known.support(item) as f32;
                *count += 1.0;
            }
        }
        let of_attribute = |attribute: &u32| {
            let (sum, count) = means[*attribute as usize];
            sum / count.max(1.0)
        };
        let of_item = |own: &Vec<u32>| own.iter().map(of_attribute).sum::<f32>() / own.len().max(1) as f32;
        self.sets.iter().map(of_item).collect()
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
