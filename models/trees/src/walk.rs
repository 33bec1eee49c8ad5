//! The plain walk of a forest, one row at a time: what every faster predictor and every format is checked against; it leaves out speed.

use crate::forest::{Forest, Missing, Node, Output, Rule, Tree};

/// Values this near to 0 count as zero for [`Missing::ZeroLeft`] and [`Missing::ZeroRight`]: LightGBM's `kZeroThreshold`, which is an `f32`.
pub const ZERO_REACH: f64 = 1e-35_f32 as f64;

impl Forest {
    /// The row's margin: the base and the trees' values added up in order, each step rounded to `f64` as LightGBM does.
    /// The row has one value per feature, NaN where it is missing. A row that is too short counts as missing what it lacks.
    pub fn margin(&self, row: &[f64]) -> f64 {
        self.trees.iter().fold(self.base_margin, |sum, tree| sum + tree.value(row))
    }

    /// The row's prediction: its margin as [`Output`] turns it.
    pub fn prediction(&self, row: &[f64]) -> f64 {
        self.output.of(self.margin(row))
    }
}

impl Output {
    /// What a margin is as a prediction.
    pub fn of(self, margin: f64) -> f64 {
        match self {
            Output::Identity => margin,
            Output::Logistic => 1.0 / (1.0 + (-margin).exp()),
            Output::Exponential => margin.exp(),
        }
    }
}

impl Tree {
    /// The value of the leaf that the row reaches.
    pub fn value(&self, row: &[f64]) -> f64 {
        match self.nodes.get(self.leaf(row)) {
            Some(Node::Leaf { value, .. }) => *value,
            _ => f64::NAN,
        }
    }

    /// The index in `nodes` of the leaf that the row reaches; out of range where a child's index is.
    pub fn leaf(&self, row: &[f64]) -> usize {
        let mut place = 0;
        while let Some(Node::Split { feature, rule, missing, left, right, .. }) = self.nodes.get(place) {
            let value = row.get(*feature as usize).copied().unwrap_or(f64::NAN);
            place = if goes_left(value, rule, *missing) { *left } else { *right } as usize;
        }
        place
    }
}

/// Whether a value goes to the left child of a split.
pub fn goes_left(value: f64, rule: &Rule, missing: Missing) -> bool {
    match missing {
        Missing::Left if value.is_nan() => true,
        Missing::Right if value.is_nan() => false,
        Missing::ZeroLeft if value.is_nan() || value.abs() <= ZERO_REACH => true,
        Missing::ZeroRight if value.is_nan() || value.abs() <= ZERO_REACH => false,
        Missing::AsZero if value.is_nan() => keeps(0.0, rule),
        _ => keeps(value, rule),
    }
}

/// Whether a present value keeps the rule.
fn keeps(value: f64, rule: &Rule) -> bool {
    match rule {
        Rule::AtMost(threshold) => value <= *threshold,
        Rule::Below(threshold) => value < *threshold,
        Rule::OneOf(categories) => {
            let whole = value.trunc();
            // What lies outside u32 is no category; the cast of what lies inside is exact, and -0.0 becomes 0.
            (0.0..=f64::from(u32::MAX)).contains(&whole) && categories.binary_search(&(whole as u32)).is_ok()
        }
    }
}
