//! Categories as numbers by the labels seen before each row (ordered target statistics), so that no row sees its own label; the trees that read them are elsewhere.
//!
//! After CatBoost (Prokhorenkova et al. 2018), with the rows' own times as the order instead of random permutations, and
//! with the delay after which a label is known. A split by category looks at the labels of the very rows that it splits: a
//! column of very many categories then remembers instead of learning. Here a category with few labels stays near the mean
//! of all.

use std::collections::HashMap;

use crate::error::LearnError;
use crate::settings::setting;

/// Rows of one column of categories, in the order of their times.
#[derive(Debug, Clone, Copy)]
pub struct CategoryHistory<'a> {
    /// The category of each row.
    pub categories: &'a [u64],
    /// What is to be predicted of each row, finite.
    pub labels: &'a [f64],
    /// When each row happened, microseconds, ascending.
    pub times: &'a [i64],
}

/// What is known of each category once all labels of a history are: turns the categories of later rows into numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderedTargets {
    smoothing: f64,
    all: Sum,
    of_category: HashMap<u64, Sum>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sum {
    labels: f64,
    rows: f64,
}

impl Sum {
    fn add(&mut self, label: f64) {
        self.labels += label;
        self.rows += 1.0;
    }
}

impl OrderedTargets {
    /// Encodes every row of `history` by the labels that were known before it: those of rows that happened more than
    /// `delay_micros` (at least 0) before. `smoothing` (above 0) is how many labels of its own a category needs to count as
    /// much as all others together. Gives a number for each row and the encoder for later rows.
    ///
    /// A row with no known label before it gets NaN, which trees take as missing.
    ///
    /// # Errors
    /// Columns of different lengths, times that fall, a label that is not finite, a smoothing or delay out of its range.
    pub fn learn(history: &CategoryHistory, smoothing: f64, delay_micros: i64) -> Result<(Self, Vec<f64>), LearnError> {
        setting("smoothing", smoothing, smoothing > 0.0, "finite and above 0")?;
        setting("delay_micros", delay_micros as f64, delay_micros >= 0, "at least 0")?;
        history.check()?;
        let mut targets = Self { smoothing, all: Sum::default(), of_category: HashMap::new() };
        let mut encoded = Vec::with_capacity(history.labels.len());
        let mut known = 0;
        for (category, time) in history.categories.iter().zip(history.times) {
            while history.times[known] < time.saturating_sub(delay_micros) {
                targets.count(history.categories[known], history.labels[known]);
                known += 1;
            }
            encoded.push(targets.encode(*category));
        }
        for (category, label) in history.categories.iter().zip(history.labels).skip(known) {
            targets.count(*category, *label);
        }
        Ok((targets, encoded))
    }

    /// The number of a category: the mean of its labels, drawn towards the mean of all; NaN before any label.
    pub fn encode(&self, category: u64) -> f64 {
        let own = self.of_category.get(&category).copied().unwrap_or_default();
        let mean = self.all.labels / self.all.rows;
        (own.labels + self.smoothing * mean) / (own.rows + self.smoothing)
    }

    fn count(&mut self, category: u64, label: f64) {
        self.all.add(label);
        self.of_category.entry(category).or_default().add(label);
    }
}

impl CategoryHistory<'_> {
    fn check(&self) -> Result<(), LearnError> {
        let expected = self.labels.len();
        for (name, got) in [("categories", self.categories.len()), ("times", self.times.len())] {
            if got != expected {
                return Err(LearnError::Length { name: name.to_owned(), expected, got });
            }
        }
        let wrong =
            |name: &str, row: usize, got: f64, range| Err(LearnError::Value { name: name.to_owned(), row, got, range });
        if let Some(row) = self.labels.iter().position(|label| !label.is_finite()) {
            return wrong("labels", row, self.labels[row], "finite");
        }
        match self.times.windows(2).position(|pair| pair[1] < pair[0]) {
            Some(row) => wrong("times", row + 1, self.times[row + 1] as f64, "at least the time of the row before"),
            None => Ok(()),
        }
    }
}
