//! Requests that wait for a model, first come first served, and which of them run together; it runs nothing and reads no clock.

use std::collections::VecDeque;

use dhow_events::Timestamp;
use dhow_tensors::NamedTensor;

/// A request that waits; `R` is where its answer goes.
pub(crate) struct Waiting<R> {
    /// Its inputs, checked, in the signature's order.
    pub inputs: Vec<NamedTensor>,
    /// Rows of each input, where the model is one whose requests may run together; 1 otherwise.
    pub rows: usize,
    /// The bytes of its inputs, about.
    pub bytes: usize,
    /// When it came.
    pub came_at: Timestamp,
    /// When its answer comes too late.
    pub deadline: Option<Timestamp>,
    /// Where its answer goes.
    pub reply: R,
}

/// Why a request may not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// As many as may wait already.
    Requests,
    /// The inputs of those that wait already fill what they may.
    Bytes,
}

/// What a worker takes from the queue at once.
pub(crate) struct Taken<R> {
    /// What runs together; empty where nothing waits.
    pub batch: Vec<Waiting<R>>,
    /// What waited beyond its deadline.
    pub late: Vec<Waiting<R>>,
}

/// The queue of one model.
pub(crate) struct Queue<R> {
    waiting: VecDeque<Waiting<R>>,
    bytes: usize,
    requests_max: usize,
    bytes_max: usize,
}

impl<R> Queue<R> {
    /// An empty queue.
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, requests_max, bytes_max }
    }

    /// Lets a request wait. One alone may be of any size.
    pub(crate) fn offer(&mut self, request: Waiting<R>) -> Result<(), Full> {
        if self.waiting.len() >= self.requests_max {
            return Err(Full::Requests);
        }
        let bytes = self.bytes.saturating_add(request.bytes);
        if bytes > self.bytes_max && !self.waiting.is_empty() {
            return Err(Full::Bytes);
        }
        self.bytes = bytes;
        self.waiting.push_back(request);
        Ok(())
    }

    /// Takes the first request and those behind it that fit into `rows_max` together with it, up to the first that does not:
    /// nobody is overtaken. Requests that came too late, or whose caller is `gone`, run no more.
    pub(crate) fn take(&mut self, now: Timestamp, rows_max: usize, gone: impl Fn(&R) -> bool) -> Taken<R> {
        let (mut batch, mut late, mut rows) = (Vec::new(), Vec::new(), 0);
        while let Some(next) = self.waiting.front() {
            let is_late = next.deadline.is_some_and(|deadline| deadline <= now);
            let is_dropped = is_late || gone(&next.reply);
            if !is_dropped && !batch.is_empty() && rows + next.rows > rows_max {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            self.bytes -= next.bytes;
            if is_late {
                late.push(next);
            } else if !is_dropped {
                rows += next.rows;
                batch.push(next);
            }
            if rows >= rows_max {
                break;
            }
        }
        Taken { batch, late }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }
}
