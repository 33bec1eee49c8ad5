//! How long events take from acknowledgement to being visible in a feature read; the last few thousand are kept.

use std::collections::VecDeque;

use dhow_events::Timestamp;
use dhow_streams::{Position, Record};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// Samples kept.
const SAMPLES_MAX: usize = 4096;
/// Acknowledged events waited for at once; more are not measured.
const WAITING_MAX: usize = 65_536;

/// Quantiles of a sample of durations in microseconds; all zero where the sample is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// How many were measured.
    pub count: usize,
    /// The median.
    pub p50: i64,
    /// The 90 % quantile.
    pub p90: i64,
    /// The 99 % quantile.
    pub p99: i64,
    /// The largest.
    pub max: i64,
}

impl Quantiles {
    /// The quantiles of `sample`.
    pub fn of(mut sample: Vec<i64>) -> Self {
        sample.sort_unstable();
        let Some(max) = sample.last().copied() else { return Self::default() };
        let at = |share: f64| sample[((sample.len() as f64 * share) as usize).min(sample.len() - 1)];
        Self { count: sample.len(), p50: at(0.50), p90: at(0.90), p99: at(0.99), max }
    }
}

#[derive(Default)]
struct Inner {
    waiting: FxHashMap<(u32, u64), Timestamp>,
    samples: VecDeque<i64>,
}

/// Joins acknowledgements to applications.
#[derive(Default)]
pub(crate) struct Freshness(Mutex<Inner>);

impl Freshness {
    /// Notes that these positions were acknowledged at `at`; positions below `applied` were visible before that already.
    pub fn acknowledged(&self, positions: &[Position], at: Timestamp, applied: &[u64]) {
        let mut inner = self.0.lock();
        for position in positions {
            let visible = applied.get(position.partition as usize).is_some_and(|next| position.offset < *next);
            if visible {
                inner.push(0);
            } else if inner.waiting.len() < WAITING_MAX {
                inner.waiting.insert((position.partition, position.offset), at);
            }
        }
    }

    /// Notes that `record` is visible since `at`.
    pub fn applied(&self, record: &Record, at: Timestamp) {
        let mut inner = self.0.lock();
        if let Some(since) = inner.waiting.remove(&(record.partition, record.offset)) {
            inner.push(at.micros_since(since));
        }
    }

    /// The quantiles of the samples kept.
    pub fn quantiles(&self) -> Quantiles {
        Quantiles::of(self.0.lock().samples.iter().copied().collect())
    }
}

impl Inner {
    fn push(&mut self, micros: i64) {
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(micros);
    }
}
