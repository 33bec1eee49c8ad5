//! Fraud engine: learns a calibrated, explained fraud score from labelled orders and turns it into approve, review or decline; features, rules, cases and storage live elsewhere.
//!
//! The road through the crate:
//! [`TrainingTable`] checks the rows → [`train`] learns [`FraudModel`] (encoding, weights, calibration) →
//! [`FraudScorer::score`] gives a [`FraudScore`] with its reasons → [`Thresholds::decide`] gives an [`Action`] →
//! [`evaluation`] judges the whole beside the [`Baseline`]s.
//!
//! Every other model of fraud (boosted trees, an imported ensemble) takes its place behind [`FraudScorer`].

mod baselines;
mod calibration;
mod costs;
mod encoding;
pub mod evaluation;
mod fit;
mod model;
mod reasons;
mod scorer;
mod table;
mod train;

pub use baselines::Baseline;
pub use costs::{Action, Bands, Costs, CostsError, MoneyReport, Thresholds};
pub use model::{FraudModel, ModelFileError};
pub use reasons::{ReasonBook, ReasonText};
pub use scorer::{DEFAULT_REASONS, FraudScore, FraudScorer, Reason, SchemaHash, SchemaMismatch, ScoreError};
pub use table::{MIN_ROWS, TableError, TrainingTable};
pub use train::{
    Candidate, MAX_CANDIDATES, MAX_KNOTS, MIN_FRAUDS, Settings, TrainError, Trained, TrainingReport, train,
};
