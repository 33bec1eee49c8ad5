//! Fraud engine: learns a calibrated, explained fraud score from labelled orders and turns it into approve, review or decline; features, rules, cases and storage live elsewhere.
//!
//! The road through the crate:
//! [`TrainingTable`] checks the rows → [`train`] learns [`FraudModel`] (encoding, weights, calibration) →
//! [`FraudScorer::score`] gives a [`FraudScore`] with its reasons → [`Thresholds::decide`] gives an [`Action`] →
//! [`evaluation`] judges the whole beside the [`Baseline`]s.
//!
//! [`train_boosted`] learns [`BoostedFraud`] from the same tables: boosted trees, which find thresholds and pairs of features
//! that the linear model cannot express, with exact reasons too. Every model stands behind [`FraudScorer`];
//! [`read_scorer`] reads the file of any.
//!
//! Beside payment fraud: [`KindScores`] for account takeover, card testing and return abuse, and a [`TrustScore`] with badges
//! and flags from a buyer's or a seller's history ([`BuyerEvidence`], [`SellerEvidence`]), which is not learned. [`Derived`]
//! adds to a checkout's vector what follows from it.

mod baselines;
mod boosted;
mod boosting;
mod calibration;
mod costs;
mod derived;
mod encoding;
pub mod evaluation;
mod file;
mod fit;
mod frame;
mod kinds;
mod model;
mod reasons;
mod scorer;
mod table;
mod train;
mod trust;

pub use baselines::Baseline;
pub use boosted::BoostedFraud;
pub use boosting::{Boosting, BoostingReport, BoostingSettings, MAX_BOOSTING_CANDIDATES, TriedBoosting, train_boosted};
pub use calibration::{CalibrationMethod, CalibrationReport};
pub use costs::{Action, Bands, Costs, CostsError, MoneyReport, Thresholds};
pub use derived::{DERIVED_FEATURES, DERIVED_WORDS, Derived};
pub use file::{ModelFileError, read_scorer};
pub use frame::{FitReport, Trained};
pub use kinds::{KindError, KindModel, KindScores, KindTable, RiskKind};
pub use model::FraudModel;
pub use reasons::{ReasonBook, ReasonText};
pub use scorer::{DEFAULT_REASONS, FraudScore, FraudScorer, Reason, SchemaHash, SchemaMismatch, ScoreError};
pub use table::{GatheredRows, MIN_ROWS, TableError, TrainingTable};
pub use train::{Candidate, MAX_CANDIDATES, MAX_KNOTS, MIN_FRAUDS, Settings, TrainError, TrainingReport, train};
pub use trust::{
    Badge, BuyerEvidence, MissingFeature, NEUTRAL_OUTCOMES, NEUTRAL_SCORE, NEW_BELOW_ORDERS, RING_MEMBER_SCORE,
    RiskFlag, SellerEvidence, TrustFactor, TrustPart, TrustScore,
};
