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

/// The end of a run.
pub struct Limit {
    deadline: Option<Timestamp>,
    cpu_deadline_micros: Option<i64>,
    /// Processor time cannot be used up before this time, as it never passes faster than the clock.
    next_look: Cell<Timestamp>,
    ended: Cell<bool>,
}

impl Limit {
    /// A run that begins now, on this thread.
    ///
    /// # Errors
    /// Where processor time is asked for and the system does not tell it.
    pub fn starting_now(seconds: Option<f64>, cpu_seconds: Option<f64>) -> Result<Limit, Failure> {
        let now = SystemClock.now();
        let micros = |seconds: f64| (seconds * 1e6) as i64;
        let cpu_deadline_micros = match cpu_seconds {
            None => None,
            Some(seconds) => Some(cpu_micros()? + micros(seconds)),
        };
        Ok(Limit {
            deadline: seconds.map(|seconds| now + micros(seconds)),
            cpu_deadline_micros,
            next_look: Cell::new(now),
            ended: Cell::new(false),
        })
    }

    /// True when the time is over.
    pub fn is_over(&self) -> bool {
        if self.ended.get() {
            return true;
        }
        let now = SystemClock.now();
        let mut over = self.deadline.is_some_and(|deadline| now > deadline);
        if let Some(deadline) = self.cpu_deadline_micros
            && now >= self.next_look.get()
        {
            match cpu_micros() {
                Ok(used) if used < deadline => self.next_look.set(now + (deadline - used)),
                // A time that can no longer be read ends the run as one that is over does.
                Ok(_) | Err(_) => over = true,
            }
        }
        self.ended.set(over);
        over
    }
}
