//! Counts the answers of models since the start, by task and model, for metrics; it keeps none of them.

use std::collections::BTreeMap;

use dhow_commerce::DecisionKind;
use dhow_events::TenantId;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::Serialize;

/// The most models and methods that are told apart for one tenant; further ones count together.
pub const COUNTED_MODELS_MAX: usize = 256;
/// What the models beyond [`COUNTED_MODELS_MAX`] are called.
const FURTHER_MODELS: &str = "further models";

/// How long something took, counted in buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LatencyHistogram {
    counts: [u64; Self::BOUNDS_US.len()],
    count: u64,
    sum_us: u64,
}

impl LatencyHistogram {
    /// The upper bounds of the buckets, in microseconds; the last bucket has none.
    pub const BOUNDS_US: [i64; 14] =
        [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

    /// Counts one.
    pub fn observe(&mut self, latency_us: i64) {
        if let Some(place) = Self::BOUNDS_US.iter().position(|bound| latency_us <= *bound) {
            self.counts[place] += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(u64::try_from(latency_us).unwrap_or(0));
    }

    /// Each bound with how many took no longer.
    pub fn cumulative(&self) -> impl Iterator<Item = (i64, u64)> {
        let below = self.counts.iter().scan(0, |below, count| {
            *below += count;
            Some(*below)
        });
        Self::BOUNDS_US.into_iter().zip(below)
    }

    /// How many there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How long they took together, in microseconds.
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }
}

/// The answers of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TaskAnswers {
    /// By the model, or the method, that answered.
    pub by_model: BTreeMap<String, u64>,
    /// Those that a fallback gave.
    pub degraded: u64,
    /// How long they took.
    pub latency: LatencyHistogram,
}

/// The answers that a tenant was given, by task.
pub type AnswerFigures = BTreeMap<DecisionKind, TaskAnswers>;

/// The figures while they grow.
#[derive(Default)]
pub(crate) struct Answered(Mutex<FxHashMap<TenantId, AnswerFigures>>);

impl Answered {
    /// Counts an answer.
    pub(crate) fn count(&self, tenant: TenantId, kind: DecisionKind, model: &str, degraded: bool, latency_us: i64) {
        let mut all = self.0.lock();
        let figures = all.entry(tenant).or_default();
        let known: usize = figures.values().map(|task| task.by_model.len()).sum();
        let task = figures.entry(kind).or_default();
        match task.by_model.get_mut(model) {
            Some(count) => *count += 1,
            None => {
                let model = if known < COUNTED_MODELS_MAX { model } else { FURTHER_MODELS };
                *task.by_model.entry(model.to_owned()).or_default() += 1;
            }
        }
        task.degraded += u64::from(degraded);
        task.latency.observe(latency_us);
    }

    /// The figures of now.
    pub(crate) fn of(&self, tenant: TenantId) -> AnswerFigures {
        self.0.lock().get(&tenant).cloned().unwrap_or_default()
    }
}
