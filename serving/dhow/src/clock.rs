//! The demo's clock: it shows what the replay sets, and runs on in real time once the replay is over.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use dhow_events::{Clock, SystemClock, Timestamp};

/// A clock that follows a replay and then the machine's clock, without ever going back.
#[derive(Debug)]
pub struct ReplayClock {
    shown: AtomicI64,
    runs: AtomicBool,
    /// What to add to the machine's clock once it runs.
    offset_micros: AtomicI64,
}

impl ReplayClock {
    /// A clock that stands at `start`.
    pub fn new(start: Timestamp) -> Self {
        Self { shown: AtomicI64::new(start.micros()), runs: AtomicBool::new(false), offset_micros: AtomicI64::new(0) }
    }

    /// Moves on to `now`; an earlier time changes nothing.
    pub fn reach(&self, now: Timestamp) {
        self.shown.fetch_max(now.micros(), Ordering::AcqRel);
    }

    /// Runs in real time from what it shows.
    pub fn run(&self) {
        let offset = self.shown.load(Ordering::Acquire) - SystemClock.now().micros();
        self.offset_micros.store(offset, Ordering::Release);
        self.runs.store(true, Ordering::Release);
    }
}

impl Clock for ReplayClock {
    fn now(&self) -> Timestamp {
        if self.runs.load(Ordering::Acquire) {
            self.reach(SystemClock.now() + self.offset_micros.load(Ordering::Acquire));
        }
        Timestamp::from_micros(self.shown.load(Ordering::Acquire))
    }
}
