//! The trivial judges that every model must be printed beside: approve everything, and rank by amount; they learn nothing.

use crate::table::TrainingTable;

/// A judge that needs no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Baseline {
    /// Calls every order genuine. Where fraud is rare, its accuracy is already above 99 %.
    ApproveEverything,
    /// Suspects large amounts: the score is the share of rows with a smaller amount.
    AmountRank,
}

impl Baseline {
    /// A score in 0..1 for each row; higher is more suspicious. These are ranks, not calibrated probabilities.
    pub fn scores(self, table: &TrainingTable<'_>) -> Vec<f64> {
        match self {
            Self::ApproveEverything => vec![0.0; table.len()],
            Self::AmountRank => {
                let mut sorted = table.amounts_usd_minor().to_vec();
                sorted.sort_unstable();
                table
                    .amounts_usd_minor()
                    .iter()
                    .map(|&amount| sorted.partition_point(|&other| other < amount) as f64 / table.len() as f64)
                    .collect()
            }
        }
    }
}
