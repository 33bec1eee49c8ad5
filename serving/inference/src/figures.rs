//! What a served model counted since it was loaded, with the meanings that Triton gives its statistics; no latency quantiles.

use std::collections::BTreeMap;

use serde::Serialize;

/// How often something happened, and how long it took in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Duration {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all; measured in whole microseconds.
    pub ns: u64,
}

impl Duration {
    fn add(&mut self, count: u64, micros: i64) {
        self.count += count;
        self.ns += u64::try_from(micros).unwrap_or(0).saturating_mul(1_000).saturating_mul(count);
    }
}

/// Why a request failed, in Triton's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// The queue was full, or the request's time ran out in it.
    Rejected,
    /// Its caller went away before its answer.
    Canceled,
    /// The model failed, or refused what it was given.
    Backend,
    /// It did not fit the model's signature.
    Other,
}

impl FailureReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Rejected, Self::Canceled, Self::Backend, Self::Other];

    /// Triton's word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rejected => "REJECTED",
            Self::Canceled => "CANCELED",
            Self::Backend => "BACKEND",
            Self::Other => "OTHER",
        }
    }
}

/// Where the time of requests went.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct InferFigures {
    /// Requests that were answered, from their coming to their answer.
    pub success: Duration,
    /// Requests that failed, those refused by a full queue and those whose caller went away included.
    pub fail: Duration,
    /// Time in the queue.
    pub queue: Duration,
    /// Putting inputs together.
    pub compute_input: Duration,
    /// Running the model; a request of a batch counts the batch's whole time.
    pub compute_infer: Duration,
    /// Taking outputs apart.
    pub compute_output: Duration,
    /// Answers from a cache: none, for there is no cache.
    pub cache_hit: Duration,
    /// Answers that were not in a cache: none.
    pub cache_miss: Duration,
}

/// Runs of one number of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchFigures {
    /// The rows.
    pub batch_size: u64,
    /// Putting inputs together.
    pub compute_input: Duration,
    /// Running the model.
    pub compute_infer: Duration,
    /// Taking outputs apart.
    pub compute_output: Duration,
}

/// What one version of a model counted since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelStatistics {
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
    /// When the last request was answered, in milliseconds since 1970; 0 where none was.
    pub last_inference: u64,
    /// Rows that were answered; a request to a model that is not batched is one.
    pub inference_count: u64,
    /// Runs of the model.
    pub execution_count: u64,
    /// Requests that failed, by [`FailureReason::ALL`]; together `inference_stats.fail.count`. The protocol's answer tells the sum.
    #[serde(skip)]
    pub failures: [u64; FailureReason::ALL.len()],
    /// Where the time went.
    pub inference_stats: InferFigures,
    /// The same by the number of rows of a run.
    pub batch_stats: Vec<BatchFigures>,
}

/// One run of a model.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run {
    pub rows: usize,
    pub input_us: i64,
    pub infer_us: i64,
    pub output_us: i64,
}

/// The figures while they grow. Runs of a number of rows beyond those of a batch count as one kind with the largest number.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    last_inference_ms: u64,
    rows: u64,
    runs: u64,
    failures: [u64; FailureReason::ALL.len()],
    times: InferFigures,
    by_rows: BTreeMap<usize, [Duration; 3]>,
}

/// The most numbers of rows that are told apart.
const BATCH_SIZES_MAX: usize = 64;

impl Figures {
    /// Counts a run that answered requests which waited for `queue_us` and took `total_us` each.
    pub(crate) fn answered(&mut self, run: Run, waits: &[(i64, i64)], at_ms: i64) {
        self.last_inference_ms = u64::try_from(at_ms).unwrap_or(0);
        self.rows += run.rows as u64;
        self.runs += 1;
        let requests = waits.len() as u64;
        for (queue_us, total_us) in waits {
            self.times.queue.add(1, *queue_us);
            self.times.success.add(1, *total_us);
        }
        self.times.compute_input.add(requests, run.input_us);
        self.times.compute_infer.add(requests, run.infer_us);
        self.times.compute_output.add(requests, run.output_us);
        let sizes = &mut self.by_rows;
        let key = if sizes.len() < BATCH_SIZES_MAX || sizes.contains_key(&run.rows) { run.rows } else { usize::MAX };
        let [input, infer, output] = sizes.entry(key).or_default();
        input.add(1, run.input_us);
        infer.add(1, run.infer_us);
        output.add(1, run.output_us);
    }

    /// Counts a request that failed after so long.
    pub(crate) fn failed(&mut self, reason: FailureReason, total_us: i64) {
        self.failures[reason as usize] += 1;
        self.times.fail.add(1, total_us);
    }

    /// The figures of now.
    pub(crate) fn read(&self, name: &str, version: &str) -> ModelStatistics {
        let batch = |(&rows, &[compute_input, compute_infer, compute_output]): (&usize, &[Duration; 3])| BatchFigures {
            batch_size: rows as u64,
            compute_input,
            compute_infer,
            compute_output,
        };
        ModelStatistics {
            name: name.to_owned(),
            version: version.to_owned(),
            last_inference: self.last_inference_ms,
            inference_count: self.rows,
            execution_count: self.runs,
            failures: self.failures,
            inference_stats: self.times.clone(),
            batch_stats: self.by_rows.iter().map(batch).collect(),
        }
    }
}
