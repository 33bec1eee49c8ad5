//! A checked, borrowed table of labelled orders in time order; where the rows come from is the caller's affair.

use dhow_events::Timestamp;
use thiserror::Error;

/// The least number of rows from which anything is learned or judged.
pub const MIN_ROWS: usize = 100;

/// Why a table cannot be learned from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TableError {
    /// No feature is named.
    #[error("the table has no feature; name at least one column")]
    NoFeatures,
    /// A feature stands twice.
    #[error("feature `{name}` stands twice, as column {first} and column {second}; names must differ")]
    RepeatedFeature {
        /// The repeated name.
        name: String,
        /// The first column, from 0.
        first: usize,
        /// The second column, from 0.
        second: usize,
    },
    /// The values do not fill the rows that the labels announce.
    #[error(
        "{labels} rows of {width} features need {wanted} values, but {found} were given; rows are row-major and of equal width"
    )]
    WrongWidth {
        /// Number of labels.
        labels: usize,
        /// Number of features.
        width: usize,
        /// Values needed.
        wanted: usize,
        /// Values given.
        found: usize,
    },
    /// A column beside the labels has another length.
    #[error("{labels} labels but {found} {column}; each row needs one of each")]
    WrongLength {
        /// Number of labels.
        labels: usize,
        /// Which column: `times` or `amounts`.
        column: &'static str,
        /// Its length.
        found: usize,
    },
    /// Too few rows.
    #[error("{found} rows are not enough; at least {MIN_ROWS} are needed")]
    NotEnoughRows {
        /// Number of rows.
        found: usize,
    },
    /// Not one row is a fraud.
    #[error("none of the {rows} rows is labelled a fraud; widen the period or let labels mature")]
    NoFrauds {
        /// Number of rows.
        rows: usize,
    },
    /// Not one row is genuine.
    #[error("all {rows} rows are labelled frauds; genuine orders are needed to compare with")]
    NoGenuine {
        /// Number of rows.
        rows: usize,
    },
    /// A value is infinite. A missing value is written as NaN.
    #[error(
        "row {row}, column {column} (`{feature}`) is {sign}infinite; give a finite number, or NaN where the value is missing"
    )]
    InfiniteValue {
        /// Row, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The feature's name.
        feature: String,
        /// `-` or nothing.
        sign: &'static str,
    },
    /// A row is older than the one before it.
    #[error("row {row} ({time}) is earlier than the row before it ({previous}); sort the rows by time")]
    NotInTimeOrder {
        /// Row, from 0.
        row: usize,
        /// Its time.
        time: Timestamp,
        /// The time of the row before.
        previous: Timestamp,
    },
    /// A share that does not lie strictly between 0 and 1.
    #[error("the share of rows to hold out is {0}; it must lie strictly between 0 and 1")]
    BadShare(String),
}

/// Labelled orders, oldest first: `len` rows of `width` features, borrowed from the caller.
#[derive(Debug, Clone, Copy)]
pub struct TrainingTable<'a> {
    names: &'a [String],
    rows: &'a [f64],
    labels: &'a [bool],
    times: &'a [Timestamp],
    amounts_usd_minor: &'a [i64],
}

impl<'a> TrainingTable<'a> {
    /// Checks and wraps the columns: `rows` is row-major of `names.len() × labels.len()` with NaN for missing, `labels` are true
    /// for fraud, `times` are non-decreasing, `amounts_usd_minor` are the orders' amounts in US cents.
    ///
    /// # Errors
    /// Every [`TableError`] but `BadShare`; each says which row and column is wrong and what would be right.
    pub fn new(
        names: &'a [String],
        rows: &'a [f64],
        labels: &'a [bool],
        times: &'a [Timestamp],
        amounts_usd_minor: &'a [i64],
    ) -> Result<Self, TableError> {
        check_names(names)?;
        check_lengths(names.len(), rows.len(), labels.len(), times.len(), amounts_usd_minor.len())?;
        check_labels(labels)?;
        check_values(names, rows)?;
        check_times(times)?;
        Ok(Self { names, rows, labels, times, amounts_usd_minor })
    }

    /// Splits by time: the last `share` of the rows is the second table. Rows of one instant stay together, in the second.
    ///
    /// # Errors
    /// `BadShare` unless `0 < share < 1`; the errors of [`TrainingTable::new`] where a part is too small or lacks a class.
    pub fn split_last(self, share: f64) -> Result<(Self, Self), TableError> {
        if !(share > 0.0 && share < 1.0) {
            return Err(TableError::BadShare(share.to_string()));
        }
        let wanted = ((self.len() as f64) * (1.0 - share)).round() as usize;
        let border = self.times.get(wanted).copied().unwrap_or(Timestamp::MAX);
        let cut = self.times.partition_point(|&time| time < border);
        let (early_rows, late_rows) = self.rows.split_at(cut * self.width());
        let (early_labels, late_labels) = self.labels.split_at(cut);
        let (early_times, late_times) = self.times.split_at(cut);
        let (early_amounts, late_amounts) = self.amounts_usd_minor.split_at(cut);
        Ok((
            Self::new(self.names, early_rows, early_labels, early_times, early_amounts)?,
            Self::new(self.names, late_rows, late_labels, late_times, late_amounts)?,
        ))
    }

    /// The same rows with other labels.
    ///
    /// # Errors
    /// `WrongWidth` where there is not one label for each row; `NoFrauds` or `NoGenuine`.
    pub fn with_labels<'b>(&self, labels: &'b [bool]) -> Result<TrainingTable<'b>, TableError>
    where
        'a: 'b,
    {
        check_lengths(self.width(), self.rows.len(), labels.len(), self.times.len(), self.amounts_usd_minor.len())?;
        check_labels(labels)?;
        Ok(TrainingTable { labels, ..*self })
    }

    /// Number of rows, at least 100.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Always false: a checked table has rows.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Number of features.
    pub fn width(&self) -> usize {
        self.names.len()
    }

    /// Feature names in column order.
    pub fn names(&self) -> &'a [String] {
        self.names
    }

    /// All values, row-major.
    pub fn values(&self) -> &'a [f64] {
        self.rows
    }

    /// The rows in order, each of `width` values.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f64> {
        self.rows.chunks_exact(self.names.len())
    }

    /// True for fraud, one per row.
    pub fn labels(&self) -> &'a [bool] {
        self.labels
    }

    /// Event times, non-decreasing.
    pub fn times(&self) -> &'a [Timestamp] {
        self.times
    }

    /// Amounts in US cents, one per row.
    pub fn amounts_usd_minor(&self) -> &'a [i64] {
        self.amounts_usd_minor
    }

    /// Number of frauds, at least one.
    pub fn frauds(&self) -> usize {
        self.labels.iter().filter(|&&label| label).count()
    }
}

/// Owned columns of a table, row after row, for who gathers rows from elsewhere.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GatheredRows {
    /// Row-major values.
    pub values: Vec<f64>,
    /// True for fraud, one per row.
    pub labels: Vec<bool>,
    /// Event times.
    pub times: Vec<Timestamp>,
    /// Amounts in US cents.
    pub amounts_usd_minor: Vec<i64>,
}

impl GatheredRows {
    /// Adds a row.
    pub fn push(&mut self, values: impl Iterator<Item = f64>, label: bool, time: Timestamp, amount_usd_minor: i64) {
        self.values.extend(values);
        self.labels.push(label);
        self.times.push(time);
        self.amounts_usd_minor.push(amount_usd_minor);
    }

    /// The rows as a table with these features.
    ///
    /// # Errors
    /// Those of [`TrainingTable::new`].
    pub fn table<'a>(&'a self, names: &'a [String]) -> Result<TrainingTable<'a>, TableError> {
        TrainingTable::new(names, &self.values, &self.labels, &self.times, &self.amounts_usd_minor)
    }

    /// Number of frauds.
    pub fn frauds(&self) -> usize {
        self.labels.iter().filter(|fraud| **fraud).count()
    }
}

fn check_names(names: &[String]) -> Result<(), TableError> {
    if names.is_empty() {
        return Err(TableError::NoFeatures);
    }
    for (second, name) in names.iter().enumerate() {
        if let Some(first) = names[..second].iter().position(|earlier| earlier == name) {
            return Err(TableError::RepeatedFeature { name: name.clone(), first, second });
        }
    }
    Ok(())
}

fn check_lengths(width: usize, values: usize, labels: usize, times: usize, amounts: usize) -> Result<(), TableError> {
    let wanted = labels * width;
    if values != wanted {
        return Err(TableError::WrongWidth { labels, width, wanted, found: values });
    }
    for (column, found) in [("times", times), ("amounts", amounts)] {
        if found != labels {
            return Err(TableError::WrongLength { labels, column, found });
        }
    }
    if labels < MIN_ROWS {
        return Err(TableError::NotEnoughRows { found: labels });
    }
    Ok(())
}

fn check_labels(labels: &[bool]) -> Result<(), TableError> {
    let rows = labels.len();
    match labels.iter().filter(|&&label| label).count() {
        0 => Err(TableError::NoFrauds { rows }),
        frauds if frauds == rows => Err(TableError::NoGenuine { rows }),
        _ => Ok(()),
    }
}

fn check_values(names: &[String], rows: &[f64]) -> Result<(), TableError> {
    match rows.iter().position(|value| value.is_infinite()) {
        None => Ok(()),
        Some(at) => {
            let (row, column) = (at / names.len(), at % names.len());
            let sign = if rows[at] < 0.0 { "-" } else { "" };
            Err(TableError::InfiniteValue { row, column, feature: names[column].clone(), sign })
        }
    }
}

fn check_times(times: &[Timestamp]) -> Result<(), TableError> {
    match times.windows(2).position(|pair| pair[1] < pair[0]) {
        None => Ok(()),
        Some(at) => Err(TableError::NotInTimeOrder { row: at + 1, time: times[at + 1], previous: times[at] }),
    }
}
