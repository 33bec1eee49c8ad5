//! What every model here does: turn a history into a score per item; and how a history's items are weighted by age.

use crate::ease::Ease;
use crate::error::FactorsError;
use crate::ials::FactorModel;
use crate::interactions::{Interactions, check_item, check_weight};
use crate::kernels::{dot, simd_kernel};
use crate::matrix::Matrix;
use crate::neighbours::Neighbours;

/// A model that scores every item for a history, of a known person or of a new one.
pub trait Scorer: Send + Sync {
    /// How many items it knows; scores have this length.
    fn items(&self) -> usize;

    /// Adds the scores of a history of items and weights to `scores`, one per item; an empty history adds nothing
    /// unless the model needs none.
    ///
    /// # Errors
    /// An unknown item, a weight that is not finite and above zero, or scores of another length.
    fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError>;
}

/// Weights for a history in time order: the last item has 1, the one r places before it `(r + 1)^-exponent`.
pub fn recency_weights(history: &[u32], exponent: f32) -> Vec<(u32, f32)> {
    let count = history.len();
    history.iter().enumerate().map(|(at, item)| (*item, ((count - at) as f32).powf(-exponent))).collect()
}

/// Refuses a history or scores that do not fit a model of `items` items.
pub(crate) fn check_request(history: &[(u32, f32)], items: usize, scores: &[f32]) -> Result<(), FactorsError> {
    if scores.len() != items {
        return Err(FactorsError::WrongLength { what: "scores", got: scores.len(), expected: items });
    }
    for (row, (item, weight)) in history.iter().enumerate() {
        check_item(row, *item, items)?;
        check_weight(row, *weight)?;
    }
    Ok(())
}

impl Scorer for FactorModel {
    fn items(&self) -> usize {
        self.items().rows()
    }

    fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        check_request(history, self.items().rows(), scores)?;
        let mut person = self.fold_in(history)?;
        person.resize(self.items().stride(), 0.0);
        add_inner_products(self.items(), &person, scores);
        Ok(())
    }
}

simd_kernel! {
    fn add_inner_products<'a>(simd, items: &'a Matrix, person: &'a [f32], scores: &'a mut [f32]) {
        for (row, score) in items.values().chunks_exact(items.stride()).zip(scores) {
            *score += dot(simd, row, person);
        }
    }
}

impl Scorer for Ease {
    fn items(&self) -> usize {
        self.items()
    }

    fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        self.add_scores(history, scores)
    }
}

impl Scorer for Neighbours {
    fn items(&self) -> usize {
        self.items()
    }

    fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        self.add_scores(history, scores)
    }
}

/// How many persons took each item: the baseline that knows nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct Popularity {
    counts: Vec<f32>,
}

impl Popularity {
    /// Counts the persons of each item.
    pub fn fit(interactions: &Interactions) -> Self {
        Self { counts: (0_u32..).take(interactions.items()).map(|item| interactions.support(item) as f32).collect() }
    }
}

impl Scorer for Popularity {
    fn items(&self) -> usize {
        self.counts.len()
    }

    fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        check_request(history, self.counts.len(), scores)?;
        scores.iter_mut().zip(&self.counts).for_each(|(score, count)| *score += count);
        Ok(())
    }
}
