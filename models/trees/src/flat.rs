//! Rules as one number and some flags, for prediction and reasons; the plain walk, which they equal, is in `walk`.

use crate::forest::{Missing, Rule};
use crate::walk::goes_left;

/// Set where a missing value goes left.
pub(crate) const MISSING_LEFT: u32 = 1 << 31;
const BY_RULE: u32 = 1 << 30;
const FEATURE: u32 = BY_RULE - 1;

/// A feature and its flags; what is asked of it is a threshold, or, by rule, a rule's number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked(pub u32);

/// The rules that are no comparison with `<=`.
#[derive(Debug, Clone, Default)]
pub(crate) struct OtherRules(Vec<(Rule, Missing)>);

impl OtherRules {
    /// What is asked of a feature, and its threshold, or the number of the rule, which is kept.
    pub fn flatten(&mut self, feature: u32, rule: &Rule, missing: Missing) -> (Asked, f64) {
        let threshold = match rule {
            Rule::AtMost(threshold) => Some(*threshold),
            Rule::Below(threshold) => Some(threshold.next_down()),
            Rule::OneOf(_) => None,
        };
        let missing_left = match missing {
            Missing::Left => Some(true),
            Missing::Right => Some(false),
            Missing::AsZero => Some(goes_left(0.0, rule, missing)),
            Missing::ZeroLeft | Missing::ZeroRight => None,
        };
        match threshold.zip(missing_left) {
            Some((threshold, missing_left)) => {
                (Asked(feature | if missing_left { MISSING_LEFT } else { 0 }), threshold)
            }
            None => {
                self.0.push((rule.clone(), missing));
                (Asked(feature | BY_RULE), (self.0.len() - 1) as f64)
            }
        }
    }

    /// Whether a row goes left.
    #[inline]
    pub fn goes_left(&self, asked: Asked, threshold: f64, row: &[f64]) -> bool {
        let value = row[(asked.0 & FEATURE) as usize];
        if asked.0 & BY_RULE == 0 {
            // NaN is at most nothing.
            (value <= threshold) | (value.is_nan() & (asked.0 & MISSING_LEFT != 0))
        } else {
            let (rule, missing) = &self.0[threshold as usize];
            goes_left(value, rule, *missing)
        }
    }
}

impl Asked {
    /// The feature alone.
    pub fn feature(self) -> usize {
        (self.0 & FEATURE) as usize
    }
}
