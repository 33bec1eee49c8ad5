//! The loop that keeps a sink up to date with a log: read, apply, checkpoint, commit; what applying means is the sink's.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use dhow_events::{Clock, SECOND_MICROS, Timestamp};

use crate::{Log, LogError, Offsets, Record, Replay};

/// What went wrong in a sink.
pub type SinkError = Box<dyn Error + Send + Sync>;

/// State that is built from a log, one record after another.
///
/// A worker may die between any two calls. It then starts again from [`Sink::restored_offsets`], so the state that is
/// restored must be exactly that of the checkpoint with these offsets.
pub trait Sink {
    /// Applies one record; those of a partition come in the order of their offsets, none twice, none left out.
    ///
    /// # Errors
    /// What the sink could not do; the worker ends with it.
    fn apply(&mut self, record: &Record) -> Result<(), SinkError>;

    /// Makes the state durable together with `offsets`, atomically: both or neither.
    ///
    /// # Errors
    /// What the sink could not do; the worker ends with it.
    fn checkpoint(&mut self, offsets: &Offsets) -> Result<(), SinkError>;

    /// Told after a checkpoint is durable: what waited for that may be released. Calls can be missing after a crash.
    ///
    /// # Errors
    /// What the sink could not do; the worker ends with it.
    fn commit(&mut self, offsets: &Offsets) -> Result<(), SinkError> {
        let _ = offsets;
        Ok(())
    }

    /// The offsets of the state that the sink holds now, before the first record is applied: those of the last
    /// checkpoint, or [`Offsets::start`].
    fn restored_offsets(&self) -> Offsets;
}

/// How a worker paces itself.
#[derive(Clone)]
pub struct WorkerSettings {
    /// The stop signal is looked at after at most this many records.
    pub stop_check_records: u64,
    /// A checkpoint is taken after this many records …
    pub checkpoint_records: u64,
    /// … or once this many microseconds have passed since the last one, where there are records to save.
    pub checkpoint_interval_micros: i64,
    /// How long a worker that has caught up waits for new records before it looks at the stop signal again.
    pub wait_max: Duration,
    /// Tells when a checkpoint is due.
    pub clock: Arc<dyn Clock>,
}

impl WorkerSettings {
    /// A checkpoint each 500,000 records or 10 seconds; the stop signal is seen within 1,000 records or 50 ms.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            stop_check_records: 1000,
            checkpoint_records: 500_000,
            checkpoint_interval_micros: 10 * SECOND_MICROS,
            wait_max: Duration::from_millis(50),
            clock,
        }
    }
}

/// What a worker did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerReport {
    /// The records applied.
    pub records: u64,
    /// The checkpoints taken.
    pub checkpoints: u64,
    /// How far the sink reaches now; checkpointed.
    pub offsets: Offsets,
}

/// Why a worker ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The log could not be read.
    #[error("the worker could not read the log: {0}")]
    Log(#[from] LogError),
    /// The sink has applied records that the log does not have.
    #[error(
        "the sink's checkpoint has applied offset {applied} of partition {partition}, but the log ends at {end}; they do not belong together"
    )]
    SinkIsAhead {
        /// The partition.
        partition: usize,
        /// The sink's offset.
        applied: u64,
        /// The log's.
        end: u64,
    },
    /// The sink failed.
    #[error("the worker's sink could not {doing}: {source}")]
    Sink {
        /// What the sink was asked to do.
        doing: &'static str,
        /// Its reason.
        source: SinkError,
    },
}

/// Applies `log` to `sink` until `stop` says so, then takes a last checkpoint.
///
/// Records that are there already are applied in the order of [`Replay`]; those that come in later, in the order in
/// which the worker sees them, which is that order within each look at the log.
///
/// # Errors
/// The log's or the sink's failure. The sink's state is then that of its last checkpoint, and more.
pub fn run_worker(
    log: &dyn Log,
    sink: &mut dyn Sink,
    settings: &WorkerSettings,
    stop: &dyn Fn() -> bool,
) -> Result<WorkerReport, WorkerError> {
    let mut worker = Worker::start(log, sink, settings)?;
    while !stop() {
        if log.wait(&worker.offsets, settings.wait_max)? {
            worker.apply_until(&Offsets::ends(log)?, stop)?;
        }
        worker.checkpoint_when_due()?;
    }
    worker.finish()
}

/// Applies the records that `log` holds now to `sink` and takes a checkpoint.
///
/// # Errors
/// As [`run_worker`].
pub fn catch_up(log: &dyn Log, sink: &mut dyn Sink, settings: &WorkerSettings) -> Result<WorkerReport, WorkerError> {
    let mut worker = Worker::start(log, sink, settings)?;
    worker.apply_until(&Offsets::ends(log)?, &|| false)?;
    worker.finish()
}

struct Worker<'a> {
    log: &'a dyn Log,
    sink: &'a mut dyn Sink,
    settings: &'a WorkerSettings,
    offsets: Offsets,
    records: u64,
    records_saved: u64,
    checkpoints: u64,
    last_checkpoint: Timestamp,
}

impl<'a> Worker<'a> {
    fn start(log: &'a dyn Log, sink: &'a mut dyn Sink, settings: &'a WorkerSettings) -> Result<Self, WorkerError> {
        let offsets = sink.restored_offsets();
        offsets.check_partition_count(log.partition_count())?;
        let ends = Offsets::ends(log)?;
        for (partition, (&applied, &end)) in offsets.0.iter().zip(&ends.0).enumerate() {
            if applied > end {
                return Err(WorkerError::SinkIsAhead { partition, applied, end });
            }
        }
        let last_checkpoint = settings.clock.now();
        Ok(Self { log, sink, settings, offsets, records: 0, records_saved: 0, checkpoints: 0, last_checkpoint })
    }

    fn apply_until(&mut self, ends: &Offsets, stop: &dyn Fn() -> bool) -> Result<(), WorkerError> {
        let check_every = self.settings.stop_check_records.max(1);
        for record in Replay::new(self.log, &self.offsets, ends)? {
            let record = record?;
            self.sink.apply(&record).map_err(|source| WorkerError::Sink { doing: "apply a record", source })?;
            self.offsets.advance(&record);
            self.records += 1;
            if self.records.is_multiple_of(check_every) {
                self.checkpoint_when_due()?;
                if stop() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn checkpoint_when_due(&mut self) -> Result<(), WorkerError> {
        let unsaved = self.records - self.records_saved;
        let waited_micros = self.settings.clock.now().micros_since(self.last_checkpoint);
        let is_due = unsaved >= self.settings.checkpoint_records.max(1)
            || (unsaved > 0 && waited_micros >= self.settings.checkpoint_interval_micros);
        if is_due { self.checkpoint() } else { Ok(()) }
    }

    fn checkpoint(&mut self) -> Result<(), WorkerError> {
        let failed = |doing| move |source| WorkerError::Sink { doing, source };
        self.sink.checkpoint(&self.offsets).map_err(failed("take a checkpoint"))?;
        self.sink.commit(&self.offsets).map_err(failed("commit"))?;
        self.records_saved = self.records;
        self.checkpoints += 1;
        self.last_checkpoint = self.settings.clock.now();
        Ok(())
    }

    fn finish(mut self) -> Result<WorkerReport, WorkerError> {
        if self.records > self.records_saved {
            self.checkpoint()?;
        }
        Ok(WorkerReport { records: self.records, checkpoints: self.checkpoints, offsets: self.offsets })
    }
}
