//! What a person likes over months, from implicit-feedback factors; folding a person in takes one small solve of the request's thread.

use dhow_factors::{FactorModel, FactorSettings, FactorsError, FoldIn, Interactions, ItemIndex, recency_weights};
use dhow_ranking::{ItemVectors, RankingError};
use serde::{Deserialize, Serialize};

use crate::model::TrainError;

/// An item that the person turned to as the nth from the last weighs n to the power of minus this.
const RECENCY_EXPONENT: f32 = 0.3;

/// Item factors, ready to fold anybody in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "FoldIn", into = "FoldIn")]
pub(crate) struct Tastes {
    factors: FoldIn,
    index: ItemIndex,
    directions: ItemVectors,
    /// The length of each item's factors.
    norms: Vec<f32>,
}

impl TryFrom<FoldIn> for Tastes {
    type Error = RankingError;

    fn try_from(factors: FoldIn) -> Result<Self, RankingError> {
        let items = factors.items();
        let norm = |row: &[f32]| row.iter().map(|value| value * value).sum::<f32>().sqrt();
        let norms = (0..items.rows()).map(|item| norm(items.row(item))).collect();
        let values = (0..items.rows()).flat_map(|item| items.row(item).iter().copied()).collect();
        let directions = ItemVectors::new(items.columns(), values)?;
        Ok(Self { index: ItemIndex::new(items), directions, norms, factors })
    }
}

impl From<Tastes> for FoldIn {
    fn from(tastes: Tastes) -> Self {
        tastes.factors
    }
}

impl PartialEq for Tastes {
    fn eq(&self, other: &Self) -> bool {
        self.factors == other.factors
    }
}

impl Tastes {
    /// Learns from histories, oldest item first.
    pub(crate) fn fit(histories: &[Vec<u32>], items: usize, settings: &FactorSettings) -> Result<Self, TrainError> {
        let interactions = Interactions::from_histories(histories, items)?;
        Ok(FactorModel::fit(&interactions, settings)?.to_fold_in().try_into()?)
    }

    /// The factors of whoever turned to `history`, oldest first, which is not empty.
    pub(crate) fn of(&self, history: &[u32]) -> Result<Vec<f32>, FactorsError> {
        self.factors.fold_in(&recency_weights(history, RECENCY_EXPONENT))
    }

    /// The inner product with each item's factors, and the cosine; 0 for an item without factors.
    pub(crate) fn scores(&self, taste: &[f32], items: &[u32]) -> Result<Vec<(f64, f64)>, FactorsError> {
        let own = taste.iter().map(|value| value * value).sum::<f32>().sqrt();
        let products = self.factors.scores(taste, items)?;
        let scored = products.into_iter().zip(items).map(|(product, item)| {
            let lengths = own * self.norms[*item as usize];
            let cosine = if lengths > 0.0 { product / lengths } else { 0.0 };
            (f64::from(product), f64::from(cosine))
        });
        Ok(scored.collect())
    }

    /// The items with the inner products alone.
    pub(crate) fn products(&self, taste: &[f32], items: &[u32]) -> Result<Vec<(u32, f32)>, FactorsError> {
        Ok(items.iter().copied().zip(self.factors.scores(taste, items)?).collect())
    }

    /// The items liked most that `admits` lets through, best first.
    pub(crate) fn liked(
        &self,
        taste: &[f32],
        count: usize,
        admits: &dyn Fn(u32) -> bool,
    ) -> Result<Vec<(u32, f32)>, FactorsError> {
        let top = self.index.top_where(taste, count, admits)?;
        Ok(top.into_iter().map(|scored| (scored.item, scored.score)).collect())
    }

    /// How alike two items' directions are, 0 to 1.
    pub(crate) fn similarity(&self, a: u32, b: u32) -> f64 {
        self.directions.similarity(a, b)
    }

    pub(crate) fn items(&self) -> usize {
        self.index.items()
    }
}
