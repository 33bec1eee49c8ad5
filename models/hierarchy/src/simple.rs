//! The simple ways to add up: bottom-up, and top-down by historical proportions; no weights are estimated.

use crate::error::{HierarchyError, check_not_negative, check_vector};
use crate::structure::Hierarchy;

/// How a total is shared out (Gross and Sohl 1990).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proportions {
    /// The mean over periods of a row's share in the period's total; periods whose total is 0 are left out.
    AverageOfShares,
    /// A row's mean over the mean of the totals.
    ShareOfAverages,
}

/// Each bottom row's share of the total, adding up to 1, from one vector of all bottom rows' values, at least 0, per period.
///
/// # Errors
/// Values of a wrong length, negative or not finite, and a history that is zero throughout.
pub fn proportions(hierarchy: &Hierarchy, history: &[Vec<f64>], kind: Proportions) -> Result<Vec<f64>, HierarchyError> {
    let mut shares = vec![0.0; hierarchy.bottoms()];
    for period in history {
        check_not_negative("a period of the history", period, hierarchy.bottoms())?;
        let divisor = match kind {
            Proportions::AverageOfShares => period.iter().sum::<f64>(),
            Proportions::ShareOfAverages => 1.0,
        };
        if divisor > 0.0 {
            shares.iter_mut().zip(period).for_each(|(share, value)| *share += value / divisor);
        }
    }
    let all: f64 = shares.iter().sum();
    if all <= 0.0 {
        return Err(HierarchyError::AllZero { what: "the history's values" });
    }
    shares.iter_mut().for_each(|share| *share /= all);
    Ok(shares)
}

/// The values of all nodes from those of the bottom rows; the same as [`Hierarchy::sum`].
///
/// # Errors
/// A wrong length, and a value that is not finite.
pub fn bottom_up(hierarchy: &Hierarchy, bottom: &[f64]) -> Result<Vec<f64>, HierarchyError> {
    hierarchy.sum(bottom)
}

/// The values of all nodes from the total of all bottom rows, shared out by `proportions`, one per bottom row.
///
/// # Errors
/// Proportions of a wrong length, negative or not finite, and a total that is not finite.
pub fn top_down(hierarchy: &Hierarchy, total: f64, proportions: &[f64]) -> Result<Vec<f64>, HierarchyError> {
    check_vector("the total", &[total], 1)?;
    check_not_negative("the proportions", proportions, hierarchy.bottoms())?;
    Ok(hierarchy.with_uppers(proportions.iter().map(|share| share * total).collect()))
}
