//! When planning ends: after seconds of the wall clock or of the thread's own processor time.

use std::cell::Cell;

use dhow_events::{Clock, SystemClock, Timestamp};

use crate::failure::Failure;

/// Where Linux counts the processor time of the thread that reads it.
const CPU_TIME_FILE: &str = "/proc/thread-self/schedstat";

/// Processor time of this thread.
fn cpu_micros() -> Result<i64, Failure> {
    let text = std::fs::read_to_string(CPU_TIME_FILE)
        .map_err(|error| Failure::Input(format!("--cpu-seconds needs {CPU_TIME_FILE}, which Linux has: {error}")))?;
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse::<i64>().ok());
    nanos.map(|nanos| nanos / 1_000).ok_or_else(|| Failure::Failed(format!("{CPU_TIME_FILE} holds no time: {text:?}")))
}

/// How long a look at the processor time holds, microseconds.
const LOOK_MICROS: i64 = 1_000;

/// The end of a run.
pub struct Limit {
    begin: Timestamp,
    seconds: Option<f64>,
    cpu_begin_micros: i64,
    cpu_seconds: Option<f64>,
    /// When the processor time is read again, and the share of it that was over the last time.
    next_look: Cell<Timestamp>,
    cpu_share: Cell<f64>,
}

impl Limit {
    /// A run that begins now, on this thread.
    ///
    /// # Errors
    /// Where processor time is asked for and the system does not tell it.
    pub fn starting_now(seconds: Option<f64>, cpu_seconds: Option<f64>) -> Result<Limit, Failure> {
        let begin = SystemClock.now();
        let cpu_begin_micros = if cpu_seconds.is_some() { cpu_micros()? } else { 0 };
        let (next_look, cpu_share) = (Cell::new(begin), Cell::new(0.0));
        Ok(Limit { begin, seconds, cpu_begin_micros, cpu_seconds, next_look, cpu_share })
    }

    /// The share of the time that is over; 1 and more is the end.
    pub fn share(&self) -> f64 {
        let now = SystemClock.now();
        let share = |used_micros: i64, seconds: f64| used_micros as f64 / (seconds * 1e6).max(1.0);
        let wall = self.seconds.map_or(0.0, |seconds| share(now.micros_since(self.begin), seconds));
        if let Some(seconds) = self.cpu_seconds
            && now >= self.next_look.get()
        {
            // A time that can no longer be read ends the run as one that is over does.
            let used = cpu_micros().map_or(1.0, |micros| share(micros - self.cpu_begin_micros, seconds));
            self.cpu_share.set(used);
            self.next_look.set(now + LOOK_MICROS);
        }
        wall.max(self.cpu_share.get())
    }
}
