//! Several models' scores as one, with weights learned on a validation part cut from train; no model is fitted here.
//!
//! 1. Each part scores the history with its items weighted by age; the scores are divided by their deviation over all
//!    items, so that parts of any scale compare.
//! 2. Each part's recency exponent is the one of its grid that does best alone on the validation part.
//! 3. Weights are found by coordinate ascent on the validation part's √(Recall · NDCG), over the candidates that any part
//!    puts among its best.

use crate::error::{FactorsError, check_setting};
use crate::evaluation::{Split, accuracy_of, best_unseen};
use crate::interactions::Interactions;
use crate::score::{Scorer, recency_weights};
use crate::top_k::Scored;
use rayon::prelude::*;

/// Most persons whose validation part weights are learned from; of more, evenly spaced ones are taken.
pub const MAX_LEARNING_PEOPLE: usize = 4_000;
/// Candidates that each part proposes per person while weights are learned.
const CANDIDATES: usize = 200;
/// Passes of the coordinate ascent.
const ROUNDS: usize = 4;
/// Weights that are tried, relative to the strongest part's 1.
const WEIGHTS: [f32; 13] = [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0, 1.3, 1.8, 2.5, 4.0];
/// Recency exponents that are tried for each part.
const RECENCY_EXPONENTS: [f32; 6] = [0.0, 0.2, 0.4, 0.6, 0.8, 1.1];

/// One model of a blend.
pub struct Part {
    /// What reports call it.
    pub name: String,
    /// The model.
    pub scorer: Box<dyn Scorer>,
    /// How fast items of a history lose weight with age, see [`recency_weights`].
    pub recency_exponent: f32,
    /// Its share; zero leaves it out.
    pub weight: f32,
}

/// A weighted sum of standardised scores.
pub struct Blend {
    parts: Vec<Part>,
    items: usize,
}

impl Blend {
    /// Blends parts with the weights and exponents that they carry.
    ///
    /// # Errors
    /// No part, parts of different numbers of items, or a weight or exponent that is negative or not finite.
    pub fn new(parts: Vec<Part>) -> Result<Self, FactorsError> {
        let items =
            parts.first().ok_or(FactorsError::WrongLength { what: "the blend", got: 0, expected: 1 })?.scorer.items();
        for part in &parts {
            if part.scorer.items() != items {
                return Err(FactorsError::WrongLength {
                    what: "a part's items",
                    got: part.scorer.items(),
                    expected: items,
                });
            }
            check_setting("weight", part.weight.into(), 0.0..=f64::from(f32::MAX), "a finite number, zero or above")?;
            check_setting("recency_exponent", part.recency_exponent.into(), 0.0..=10.0, "0 to 10")?;
        }
        Ok(Self { parts, items })
    }

    /// Learns exponents and weights for models that were fitted on `validation.train`, from `validation.test`; the
    /// answer's [`Blend::parts`] tell what was learned.
    ///
    /// # Errors
    /// As [`Blend::new`]; a validation part without any target; an unknown item.
    pub fn learn(
        models: Vec<(String, Box<dyn Scorer>)>,
        validation: &Split,
        count: usize,
    ) -> Result<Self, FactorsError> {
        let parts = models
            .into_iter()
            .map(|(name, scorer)| Part { name, scorer, recency_exponent: 0.0, weight: 1.0 })
            .collect();
        let mut blend = Self::new(parts)?;
        let people = learning_people(validation);
        if people.is_empty() {
            return Err(FactorsError::NoInteractions);
        }
        let alone = blend.learn_exponents(validation, &people, count)?;
        blend.learn_weights(validation, &people, count, &alone)?;
        Ok(blend)
    }

    /// The models with their exponents and weights.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The same weights and exponents over models fitted on more data, in the order of [`Blend::parts`].
    ///
    /// # Errors
    /// Another number of models, or as [`Blend::new`].
    pub fn with_models(&self, models: Vec<Box<dyn Scorer>>) -> Result<Self, FactorsError> {
        if models.len() != self.parts.len() {
            let (got, expected) = (models.len(), self.parts.len());
            return Err(FactorsError::WrongLength { what: "the blend", got, expected });
        }
        let parts = self.parts.iter().zip(models).map(|(part, scorer)| Part {
            name: part.name.clone(),
            scorer,
            recency_exponent: part.recency_exponent,
            weight: part.weight,
        });
        Self::new(parts.collect())
    }

    /// A score for every item, for a history in time order; zeros for an empty one.
    ///
    /// # Errors
    /// An unknown item.
    pub fn scores(&self, history: &[u32]) -> Result<Vec<f32>, FactorsError> {
        let mut sums = vec![0.0; self.items];
        for part in self.parts.iter().filter(|part| part.weight > 0.0) {
            let scores = standardised(part, part.recency_exponent, history)?;
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += part.weight * score);
        }
        Ok(sums)
    }

    /// The best `count` items that the history does not hold, best first.
    ///
    /// # Errors
    /// An unknown item.
    pub fn top(&self, history: &[u32], count: usize) -> Result<Vec<Scored>, FactorsError> {
        best_unseen(&mut self.scores(history)?, history, self.items, count)
    }

    /// Sets each part's best exponent; returns how each does alone.
    fn learn_exponents(&mut self, split: &Split, people: &[usize], count: usize) -> Result<Vec<f64>, FactorsError> {
        let items = self.items;
        let mut alone = Vec::new();
        for part in &mut self.parts {
            let mut best = (f64::NEG_INFINITY, 0.0);
            for exponent in RECENCY_EXPONENTS {
                let each: Vec<(f64, f64)> = people
                    .par_iter()
                    .map(|&person| {
                        let history = &split.train[person];
                        let mut scores = standardised(part, exponent, history)?;
                        let list = best_unseen(&mut scores, history, items, count)?;
                        Ok(accuracy_of(list.iter().map(|scored| scored.item), &split.test[person], count))
                    })
                    .collect::<Result<_, FactorsError>>()?;
                let value = objective(&each);
                if value > best.0 {
                    best = (value, exponent);
                }
            }
            part.recency_exponent = best.1;
            alone.push(best.0);
        }
        Ok(alone)
    }

    /// Sets the parts' weights, starting from the part that is best alone.
    fn learn_weights(
        &mut self,
        split: &Split,
        people: &[usize],
        count: usize,
        alone: &[f64],
    ) -> Result<(), FactorsError> {
        let candidates: Vec<Candidates> = people
            .par_iter()
            .map(|&person| self.candidates(&split.train[person], &split.test[person]))
            .collect::<Result<_, _>>()?;
        let strongest = (0..alone.len()).fold(0, |best, at| if alone[at] > alone[best] { at } else { best });
        let mut weights: Vec<f32> = (0..alone.len()).map(|at| if at == strongest { 1.0 } else { 0.0 }).collect();
        let value_of = |weights: &[f32]| {
            let each: Vec<(f64, f64)> = candidates.par_iter().map(|known| known.accuracy(weights, count)).collect();
            objective(&each)
        };
        let mut best = value_of(&weights);
        for _ in 0..ROUNDS {
            let before = best;
            for at in (0..weights.len()).filter(|at| *at != strongest) {
                for weight in WEIGHTS {
                    let mut tried = weights.clone();
                    tried[at] = weight;
                    let value = value_of(&tried);
                    if value > best {
                        (best, weights) = (value, tried);
                    }
                }
            }
            if best == before {
                break;
            }
        }
        self.parts.iter_mut().zip(weights).for_each(|(part, weight)| part.weight = weight);
        Ok(())
    }

    fn candidates(&self, history: &[u32], test: &[u32]) -> Result<Candidates, FactorsError> {
        let mut scores = Vec::new();
        let mut items = Vec::new();
        for part in &self.parts {
            let mut own = standardised(part, part.recency_exponent, history)?;
            items.extend(best_unseen(&mut own, history, self.items, CANDIDATES)?.iter().map(|scored| scored.item));
            scores.push(own);
        }
        items.sort_unstable();
        items.dedup();
        let rows = items.iter().flat_map(|item| scores.iter().map(|own| own[*item as usize])).collect();
        Ok(Candidates { items, scores: rows, test: test.to_vec() })
    }
}

/// One person's candidates while weights are learned.
struct Candidates {
    items: Vec<u32>,
    /// Per candidate, one score of each part.
    scores: Vec<f32>,
    test: Vec<u32>,
}

impl Candidates {
    fn accuracy(&self, weights: &[f32], count: usize) -> (f64, f64) {
        let mut best = crate::top_k::Best::new(count);
        for (item, scores) in self.items.iter().zip(self.scores.chunks_exact(weights.len())) {
            let score = scores.iter().zip(weights).map(|(score, weight)| score * weight).sum();
            if score > best.worst() {
                best.offer(*item, score);
            }
        }
        accuracy_of(best.into_list().iter().map(|scored| scored.item), &self.test, count)
    }
}

/// √(mean Recall · mean NDCG): a gain of one per cent in either counts the same.
pub(crate) fn objective(each: &[(f64, f64)]) -> f64 {
    let sum = each.iter().fold((0.0, 0.0), |sum, each| (sum.0 + each.0, sum.1 + each.1));
    (sum.0 * sum.1).sqrt() / each.len() as f64
}

/// Persons with something to predict, at most [`MAX_LEARNING_PEOPLE`].
pub(crate) fn learning_people(split: &Split) -> Vec<usize> {
    let with_target: Vec<usize> = (0..split.test.len().min(split.train.len()))
        .filter(|person| !split.test[*person].is_empty() && !split.train[*person].is_empty())
        .collect();
    let taken = with_target.len().min(MAX_LEARNING_PEOPLE);
    (0..taken).map(|at| with_target[at * with_target.len() / taken]).collect()
}

/// A part's scores over their standard deviation; all zero where they are all equal.
fn standardised(part: &Part, exponent: f32, history: &[u32]) -> Result<Vec<f32>, FactorsError> {
    let mut scores = vec![0.0; part.scorer.items()];
    part.scorer.add_scores(&recency_weights(history, exponent), &mut scores)?;
    let count = scores.len() as f64;
    let (sum, squares) = scores.iter().fold((0.0, 0.0), |(sum, squares), score| {
        let score = f64::from(*score);
        (sum + score, squares + score * score)
    });
    let deviation = (squares / count - (sum / count).powi(2)).max(0.0).sqrt();
    let scale = if deviation > 0.0 { (1.0 / deviation) as f32 } else { 0.0 };
    scores.iter_mut().for_each(|score| *score *= scale);
    Ok(scores)
}

/// Cuts a validation part off histories that are themselves a train part, and gives what models may then be fitted on.
///
/// # Errors
/// As [`Interactions::from_histories`].
pub fn validation_of(train: &[Vec<u32>], items: usize) -> Result<(Split, Interactions), FactorsError> {
    let validation = crate::evaluation::split_last_fifth(train);
    let interactions = Interactions::from_histories(&validation.train, items)?;
    Ok((validation, interactions))
}
