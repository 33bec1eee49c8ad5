//! Scores beside payment fraud: account takeover, card testing and return abuse, each learned from its own labels over the same features; actions are not decided here.
//!
//! A label of a kind comes from whoever knows it: a reviewer's verdict, the reason of a chargeback, a returns desk. Each kind
//! is learned against everything else, other frauds included, so that a high score says which playbook to open. It is learned
//! from those features alone that can be read when it is asked for: an account has no amount, a return no device.

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

    /// The kind's name, as labels have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AccountTakeover => "account_takeover",
            Self::CardTesting => "card_testing",
            Self::ReturnAbuse => "return_abuse",
        }
    }

    /// The kind that a label names; none where there is no score of that kind.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The same for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AccountTakeover => "account takeover",
            Self::CardTesting => "card testing",
            Self::ReturnAbuse => "return abuse",
        }
    }

    /// What is scored for it.
    pub const fn subject(self) -> &'static str {
        match self {
            Self::AccountTakeover => "account",
            Self::CardTesting => "payment",
            Self::ReturnAbuse => "return",
        }
    }
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

/// The model of one kind, and what it does not see.
#[derive(Debug, Clone)]
pub struct KindModel {
    model: BoostedFraud,
    /// The columns that are missing in every row when the kind is asked for.
    hidden: Vec<usize>,
}

impl KindModel {
    /// How it was learned.
    pub fn report(&self) -> &BoostingReport {
        self.model.report()
    }

    /// The features of a row, those that are hidden too.
    pub fn feature_names(&self) -> &[String] {
        self.model.feature_names()
    }

    /// The score of a row with its strongest reasons. What the kind does not see is made missing in `row` first, so that
    /// it holds what the score is made of.
    ///
    /// # Errors
    /// [`ScoreError`] where the row has the wrong width or an infinite value.
    pub fn score(&self, row: &mut [f64], reason_limit: usize) -> Result<FraudScore, ScoreError> {
        hide(row, &self.hidden);
        self.model.score_with_reasons(row, reason_limit)
    }

    /// The probabilities of rows, row-major, as the kind sees them.
    ///
    /// # Errors
    /// [`ScoreError`] where a row has the wrong width or an infinite value.
    pub fn probabilities(&self, rows: &[f64]) -> Result<Vec<f64>, ScoreError> {
        self.model.probabilities(&seen(rows, self.feature_names().len(), &self.hidden))
    }
}

/// Rows of `width` values as they are without the hidden columns.
fn seen(rows: &[f64], width: usize, hidden: &[usize]) -> Vec<f64> {
    let mut rows = rows.to_vec();
    rows.chunks_exact_mut(width).for_each(|row| hide(row, hidden));
    rows
}

fn hide(row: &mut [f64], hidden: &[usize]) {
    for &column in hidden {
        if let Some(value) = row.get_mut(column) {
            *value = f64::NAN;
        }
    }
}

/// The models of the kinds that were learned, over the same features.
#[derive(Debug, Clone, Default)]
pub struct KindScores {
    models: BTreeMap<RiskKind, KindModel>,
}

impl KindScores {
    /// Learns the model of `kind`, as [`train_boosted`] learns one of fraud, from all columns but `hidden`. Gives the
    /// calibrated probabilities of the validation rows from a fit that has not seen them.
    ///
    /// # Errors
    /// [`KindError`]; a kind with too few labels is named.
    pub fn learn(
        &mut self,
        kind: RiskKind,
        train: &KindTable<'_>,
        validation: &KindTable<'_>,
        hidden: &[usize],
        settings: &BoostingSettings,
    ) -> Result<Vec<f64>, KindError> {
        let failed = |problem| KindError::Train { kind, problem };
        let of_table = |problem: TableError| failed(TrainError::Table(problem));
        let (early, late) =
            (SeenRows::of(train, kind, hidden, "training")?, SeenRows::of(validation, kind, hidden, "validation")?);
        let (early, late) =
            (early.table(&train.rows).map_err(of_table)?, late.table(&validation.rows).map_err(of_table)?);
        let trained = train_boosted(&early, &late, settings).map_err(failed)?;
        self.models.insert(kind, KindModel { model: trained.model, hidden: hidden.to_vec() });
        Ok(trained.validation_probabilities)
    }

    /// The models that were learned.
    pub fn iter(&self) -> impl Iterator<Item = (RiskKind, &KindModel)> {
        self.models.iter().map(|(kind, model)| (*kind, model))
    }

    /// The model of a kind, where one was learned.
    pub fn model(&self, kind: RiskKind) -> Option<&KindModel> {
        self.models.get(&kind)
    }

    /// Forgets the model of a kind.
    pub fn remove(&mut self, kind: RiskKind) {
        self.models.remove(&kind);
    }

    /// The file form: magic, version, checksum, content.
    ///
    /// # Errors
    /// `Unsound` where the content cannot be encoded.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelFileError> {
        let file =
            |(kind, model): (&RiskKind, &KindModel)| Ok((*kind, (model.model.to_bytes()?, model.hidden.clone())));
        file::write(MAGIC, &self.models.iter().map(file).collect::<Result<Files, ModelFileError>>()?)
    }

    /// Reads the file form.
    ///
    /// # Errors
    /// [`ModelFileError`]: a foreign file, another version, a damaged or unsound one.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let files: Files = file::read(MAGIC, bytes)?;
        let model = |(kind, (bytes, hidden)): (RiskKind, (Vec<u8>, Vec<usize>))| {
            Ok((kind, KindModel { model: BoostedFraud::from_bytes(&bytes)?, hidden }))
        };
        let models = files.into_iter().map(model).collect::<Result<BTreeMap<_, _>, ModelFileError>>()?;
        let mut features = models.values().map(KindModel::feature_names);
        let first = features.next();
        if features.any(|names| Some(names) != first) {
            return Err(unsound("the models of the kinds read different features"));
        }
        Ok(Self { models })
    }
}

/// What the file holds: of each kind the model's own file and the hidden columns.
type Files = BTreeMap<RiskKind, (Vec<u8>, Vec<usize>)>;

/// The rows of a table as a kind sees them.
struct SeenRows {
    values: Vec<f64>,
    labels: Vec<bool>,
}

impl SeenRows {
    fn of(table: &KindTable<'_>, kind: RiskKind, hidden: &[usize], name: &'static str) -> Result<Self, KindError> {
        table.check(name)?;
        let values = seen(table.rows.values(), table.rows.width(), hidden);
        Ok(Self { values, labels: table.labels(kind) })
    }

    fn table<'a>(&'a self, of: &TrainingTable<'a>) -> Result<TrainingTable<'a>, TableError> {
        TrainingTable::new(of.names(), &self.values, &self.labels, of.times(), of.amounts_usd_minor())
    }
}
