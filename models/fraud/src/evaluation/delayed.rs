//! Which rows may be learned from and which are judged where labels come late, as in the Fraud Detection Handbook; it trains nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use dhow_events::{DAY_MICROS, Timestamp};

use super::EvaluationError;

/// Training before a delay, testing after it. All bounds are instants at which a UTC day begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DelayedSplit {
    /// The first instant of the training rows.
    pub train_from: Timestamp,
    /// The first instant of the test rows; training rows end `delay_days` before it.
    pub test_from: Timestamp,
    /// The first instant after the test rows.
    pub test_until: Timestamp,
    /// Days until a label is known.
    pub delay_days: u32,
    /// A card with a known fraud since this instant is taken to be blocked and is left out of the test. The book takes the
    /// first day of its training week, so that models that learn from longer are judged on the same rows.
    pub blocked_from: Timestamp,
}

/// Row numbers, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitRows {
    /// Rows to learn from.
    pub train: Range<usize>,
    /// Rows to judge: those of the test days whose card is not blocked on that day.
    pub test: Vec<usize>,
}

impl DelayedSplit {
    /// The book's week: trained on `train_days` that end `delay_days` before `test_from`, tested on `test_days` from there; cards
    /// are blocked for frauds of the seven days before the delay and later.
    pub fn handbook(test_from: Timestamp, train_days: u32, delay_days: u32, test_days: u32) -> Self {
        let days = |count: u32| i64::from(count) * DAY_MICROS;
        Self {
            train_from: test_from - days(delay_days) - days(train_days),
            test_from,
            test_until: test_from + days(test_days),
            delay_days,
            blocked_from: test_from - days(delay_days) - days(7),
        }
    }

    /// The rows of both parts, of rows in time order. A fraud blocks its card on test days that begin `delay_days` or more after
    /// the end of the fraud's own day.
    ///
    /// # Errors
    /// Columns of different lengths.
    pub fn rows(&self, times: &[Timestamp], cards: &[u128], labels: &[bool]) -> Result<SplitRows, EvaluationError> {
        for (column, found) in [("cards", cards.len()), ("labels", labels.len())] {
            if found != times.len() {
                return Err(EvaluationError::WrongLength { scores: times.len(), column, found });
            }
        }
        let before = |instant: Timestamp| times.partition_point(|&time| time < instant);
        let delay = i64::from(self.delay_days);
        let train = before(self.train_from)..before(self.test_from - delay * DAY_MICROS);
        let mut first_fraud_day = BTreeMap::new();
        for row in before(self.blocked_from)..before(self.test_until) {
            if labels[row] {
                first_fraud_day.entry(cards[row]).or_insert(times[row].day());
            }
        }
        let blocked = |row: usize| first_fraud_day.get(&cards[row]).is_some_and(|day| day + delay < times[row].day());
        let test = (before(self.test_from)..before(self.test_until)).filter(|&row| !blocked(row)).collect();
        Ok(SplitRows { train, test })
    }
}
