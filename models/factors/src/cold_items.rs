//! Items that nobody has taken yet, ranked by two opinions: the attribute regression, and neighbours of items alike; it tunes nothing.
//!
//! 1. [`AttributeRegression`] says what a person's attributes lead to.
//! 2. The stand-ins of an item are the taken items most alike: with s the cosine of their features, each weighs s⁴, and all
//!    together at most one. [`Neighbours`] score the stand-ins for the history, as if they were offered themselves; the
//!    weighted sum is the item's. This is the item-kNN with attribute neighbourhoods of Gantner et al. 2010, and it keeps
//!    what the behaviour of single items tells, which step 1 has averaged out.
//! 3. Both are divided by their deviation over the items that are ranked, and added, the second one times a share.

use crate::attribute_regression::{AttributeRegression, AttributeSettings};
use crate::error::{FactorsError, check_setting};
use crate::interactions::{Interactions, check_item};
use crate::neighbours::{Neighbours, OrderedSettings};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most stand-ins of an item.
const STAND_INS_MAX: usize = 200;

/// Settings of [`ColdItems::fit`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ColdSettings {
    /// Those of the regression.
    pub regression: AttributeSettings,
    /// Those of the neighbours that score the stand-ins.
    pub neighbours: OrderedSettings,
    /// What the stand-ins' opinion is worth beside the regression's 1; zero or above.
    pub stand_in_share: f32,
}

impl Default for ColdSettings {
    fn default() -> Self {
        let neighbours = OrderedSettings { target_damping: 0.3, neighbours: 1_000, ..OrderedSettings::default() };
        Self { regression: AttributeSettings::default(), neighbours, stand_in_share: 0.5 }
    }
}

/// Ranks items that were known by their attributes alone when it was fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct ColdItems {
    regression: AttributeRegression,
    neighbours: Neighbours,
    /// By item: its stand-ins and their weights; none for an item that somebody took.
    stand_ins: Vec<Vec<(u32, f32)>>,
    share: f32,
}

impl ColdItems {
    /// Fits from the items' attributes (entry i: those of item i) and who took what; items that nobody took are the cold
    /// ones.
    ///
    /// # Errors
    /// A setting out of range, and what [`AttributeRegression::fit`] and [`Neighbours::ordered`] refuse.
    pub fn fit(
        attributes: &[Vec<u32>],
        interactions: &Interactions,
        settings: &ColdSettings,
    ) -> Result<Self, FactorsError> {
        let range = 0.0..=f64::from(f32::MAX);
        check_setting("stand_in_share", settings.stand_in_share.into(), range, "a finite number, zero or above")?;
        let regression = AttributeRegression::fit(attributes, interactions, &settings.regression)?;
        let neighbours = Neighbours::ordered(interactions, &settings.neighbours)?;
        let (taken, cold): (Vec<u32>, Vec<u32>) =
            (0_u32..).take(interactions.items()).partition(|item| interactions.support(*item) > 0);
        let mut stand_ins = vec![Vec::new(); interactions.items()];
        let found: Vec<Vec<(u32, f32)>> =
            cold.par_iter().map(|item| stand_ins_of(&regression, *item, &taken)).collect();
        for (item, found) in cold.iter().zip(found) {
            stand_ins[*item as usize] = found;
        }
        Ok(Self { regression, neighbours, stand_ins, share: settings.stand_in_share })
    }

    /// The same model with another [`ColdSettings::stand_in_share`], without fitting anything again.
    ///
    /// # Errors
    /// A share that is negative or not finite.
    pub fn with_share(self, share: f32) -> Result<Self, FactorsError> {
        let range = 0.0..=f64::from(f32::MAX);
        check_setting("stand_in_share", share.into(), range, "a finite number, zero or above")?;
        Ok(Self { share, ..self })
    }

    /// One score for each of `items`, comparable among them, for a history of items and weights. Without a history, or for
    /// an item of which no attribute is known, there is nothing to say and the score is zero.
    ///
    /// # Errors
    /// An unknown item, or a weight that is not finite and above zero.
    pub fn scores(&self, history: &[(u32, f32)], items: &[u32]) -> Result<Vec<f32>, FactorsError> {
        for (row, item) in items.iter().enumerate() {
            check_item(row, *item, self.stand_ins.len())?;
        }
        let profile = self.regression.profile(history)?;
        let mut near = vec![0.0; self.stand_ins.len()];
        self.neighbours.add_scores(history, &mut near)?;
        let mut scores: Vec<f32> = items.iter().map(|item| self.regression.score_item(&profile, *item)).collect();
        let mut second: Vec<f32> = items
            .iter()
            .map(|item| {
                self.stand_ins[*item as usize].iter().map(|(other, weight)| weight * near[*other as usize]).sum()
            })
            .collect();
        divide_by_deviation(&mut scores);
        divide_by_deviation(&mut second);
        scores.iter_mut().zip(second).for_each(|(score, second)| *score += self.share * second);
        Ok(scores)
    }
}

/// The taken items most alike to `item`, and what each weighs.
fn stand_ins_of(regression: &AttributeRegression, item: u32, taken: &[u32]) -> Vec<(u32, f32)> {
    let likeness = regression.likeness_to(item);
    let weight = |other: &u32| (*other, likeness(*other).powi(4));
    let mut all: Vec<(u32, f32)> = taken.iter().map(weight).filter(|(_, weight)| *weight > 0.0).collect();
    let total = all.iter().map(|(_, weight)| weight).sum::<f32>().max(1.0);
    all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(STAND_INS_MAX);
    all.iter_mut().for_each(|(_, weight)| *weight /= total);
    all
}

/// Leaves equal values as they are.
fn divide_by_deviation(values: &mut [f32]) {
    let count = values.len().max(1) as f32;
    let mean = values.iter().sum::<f32>() / count;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
    if deviation > 0.0 {
        values.iter_mut().for_each(|value| *value /= deviation);
    }
}
