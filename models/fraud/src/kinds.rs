//! Scores beside payment fraud: account takeover, card testing and return abuse, each learned from its own labels over the same features; actions are not decided here.
//!
//! A label of a kind comes from whoever knows it: a reviewer's verdict, the reason of a chargeback, a returns desk. Each kind
//! is learned against everything else, other frauds included, so that a high score says which playbook to open.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::boosted::BoostedFraud;
use crate::boosting::{BoostingReport, BoostingSettings, train_boosted};
use crate::file::{self, ModelFileError, unsound};
use crate::scorer::{FraudScore, FraudScorer, ScoreError};
use crate::table::{TableError, TrainingTable};
use crate::train::TrainError;

/// The first bytes of the file.
const MAGIC: &str = "DHOWFRKD";

/// What somebody does who is no ordinary customer, beside paying with what is not theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskKind {
    /// Somebody else uses the account of a customer.
    AccountTakeover,
    /// Small payments find out which stolen cards work.
    CardTesting,
    /// Orders are made in order to be used and sent back, or claimed never to have come.
    ReturnAbuse,
}

impl RiskKind {
    /// Every kind, in the order of the scores.
    pub const ALL: [Self; 3] = [Self::AccountTakeover, Self::CardTesting, Self::ReturnAbuse];
}

/// Why no scores were learned.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum KindError {
    /// Kinds of another number than the rows.
    #[error("{rows} rows but {kinds} kinds in the {table} table; each row needs its kind, or none")]
    WrongLength {
        /// `training` or `validation`.
        table: &'static str,
        /// Rows.
        rows: usize,
        /// Kinds.
        kinds: usize,
    },
    /// A kind cannot be learned.
    #[error("{kind:?} cannot be learned: {problem}")]
    Train {
        /// The kind.
        kind: RiskKind,
        /// Why.
        #[source]
        problem: TrainError,
    },
}

/// Rows with the kind that each is known as; none for genuine rows and frauds of other kinds.
#[derive(Debug, Clone, Copy)]
pub struct KindTable<'a> {
    /// The rows. Their own labels are not looked at.
    pub rows: TrainingTable<'a>,
    /// The kind of each row.
    pub kinds: &'a [Option<RiskKind>],
}

impl KindTable<'_> {
    fn check(&self, table: &'static str) -> Result<(), KindError> {
        let (rows, kinds) = (self.rows.len(), self.kinds.len());
        if rows == kinds { Ok(()) } else { Err(KindError::WrongLength { table, rows, kinds }) }
    }

    fn labels(&self, kind: RiskKind) -> Vec<bool> {
        self.kinds.iter().map(|known| *known == Some(kind)).collect()
    }
}

/// One model for each kind that was asked for, over the same features.
#[derive(Debug, Clone)]
pub struct KindScores {
    models: BTreeMap<RiskKind, BoostedFraud>,
}

impl KindScores {
    /// Learns a model of each of `kinds`, as [`train_boosted`] learns one of fraud.
    ///
    /// # Errors
    /// [`KindError`]; a kind with too few labels is named.
    pub fn train(
        kinds: &[RiskKind],
        train: &KindTable<'_>,
        validation: &KindTable<'_>,
        settings: &BoostingSettings,
    ) -> Result<Self, KindError> {
        train.check("training")?;
        validation.check("validation")?;
        let mut models = BTreeMap::new();
        for &kind in kinds {
            let failed = |problem| KindError::Train { kind, problem };
            let of_table = |problem: TableError| failed(TrainError::Table(problem));
            let (early, late) = (train.labels(kind), validation.labels(kind));
            let early = train.rows.with_labels(&early).map_err(of_table)?;
            let late = validation.rows.with_labels(&late).map_err(of_table)?;
            models.insert(kind, train_boosted(&early, &late, settings).map_err(failed)?.model);
        }
        Ok(Self { models })
    }

    /// How each kind was learned.
    pub fn reports(&self) -> impl Iterator<Item = (RiskKind, &BoostingReport)> {
        self.models.iter().map(|(kind, model)| (*kind, model.report()))
    }

    /// The model of a kind, where one was learned.
    pub fn model(&self, kind: RiskKind) -> Option<&BoostedFraud> {
        self.models.get(&kind)
    }

    /// The score of each learned kind for one row, with its strongest reasons.
    ///
    /// # Errors
    /// [`ScoreError`] where the row has the wrong width or an infinite value.
    pub fn score(&self, row: &[f64], reason_limit: usize) -> Result<Vec<(RiskKind, FraudScore)>, ScoreError> {
        let of = |(kind, model): (&RiskKind, &BoostedFraud)| Ok((*kind, model.score_with_reasons(row, reason_limit)?));
        self.models.iter().map(of).collect()
    }

    /// The file form: magic, version, checksum, content.
    ///
    /// # Errors
    /// `Unsound` where the content cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelFileError> {
        let files = self.models.iter().map(|(kind, model)| Ok((*kind, model.to_bytes()?)));
        file::write(MAGIC, &files.collect::<Result<BTreeMap<_, _>, ModelFileError>>()?)
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// [`ModelFileError`]: a foreign file, another version, a damaged or unsound one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let files: BTreeMap<RiskKind, Vec<u8>> = file::read(MAGIC, bytes)?;
        let models = files.into_iter().map(|(kind, bytes)| Ok((kind, BoostedFraud::from_bytes(&bytes)?)));
        let models = models.collect::<Result<BTreeMap<_, _>, ModelFileError>>()?;
        let mut features = models.values().map(FraudScorer::feature_names);
        let first = features.next();
        if features.any(|names| Some(names) != first) {
            return Err(unsound("the models of the kinds read different features"));
        }
        Ok(Self { models })
    }
}
