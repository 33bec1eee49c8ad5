//! What a training found, for people and for programs; it prints nothing.

use dhow_events::{ModelId, Timestamp};
use serde::{Deserialize, Serialize};

/// One measure of a model beside the same measure of baselines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: String,
    /// The model's value.
    pub value: f64,
    /// The 95 % interval, where one was computed.
    pub interval: Option<(f64, f64)>,
    /// The baselines' values by name.
    pub baselines: Vec<(String, f64)>,
    /// Whether larger is better.
    pub larger_is_better: bool,
}

impl Figure {
    /// A measure without an interval.
    pub fn new(name: &str, value: f64, larger_is_better: bool) -> Self {
        Self { name: name.to_owned(), value, interval: None, baselines: Vec::new(), larger_is_better }
    }

    /// The same with a baseline's value beside it.
    #[must_use]
    pub fn beside(mut self, name: &str, value: f64) -> Self {
        self.baselines.push((name.to_owned(), value));
        self
    }

    /// Whether `value` is at least as good as `other`, by this measure.
    pub fn is_as_good(&self, value: f64, other: f64) -> bool {
        if self.larger_is_better { value >= other } else { value <= other }
    }

    /// The same with its 95 % interval.
    #[must_use]
    pub fn within(mut self, low: f64, high: f64) -> Self {
        self.interval = Some((low, high));
        self
    }
}

/// What a training of one task found. All figures are of the test part, which nothing was chosen on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskReport {
    /// The task.
    pub task: String,
    /// The registered model.
    pub model: ModelId,
    /// Whether it became the champion.
    pub promoted: bool,
    /// Why, or why not.
    pub verdict: String,
    /// Rows learned from.
    pub training_rows: u64,
    /// Rows judged on.
    pub test_rows: u64,
    /// The measures; the first one decides promotions.
    pub figures: Vec<Figure>,
    /// What else should be known, one sentence each.
    pub notes: Vec<String>,
}

/// What an evaluation of a model in force found, on what happened after everything that it learned from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The task.
    pub task: String,
    /// The judged model.
    pub model: ModelId,
    /// The first instant that counts: the end of the model's training data.
    pub from: Timestamp,
    /// The first instant that no longer counts.
    pub until: Timestamp,
    /// Rows judged on: sessions' views, checkouts or series.
    pub rows: u64,
    /// The measures.
    pub figures: Vec<Figure>,
}
