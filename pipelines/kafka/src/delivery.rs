//! Waits for the acknowledgements of one append; it sends nothing itself.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rdkafka::client::ClientContext;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;

/// The messages of one append that are on their way.
pub struct Deliveries {
    state: Mutex<State>,
    settled: Condvar,
}

struct State {
    offsets: Vec<u64>,
    outstanding: usize,
    /// The index and the reason of the first message that failed.
    failure: Option<(usize, String)>,
}

/// Names a message in its acknowledgement.
pub struct Ticket {
    /// The append that the message belongs to.
    pub deliveries: Arc<Deliveries>,
    /// The message's index in the append.
    pub index: usize,
}

impl Deliveries {
    /// An append of `count` messages.
    pub fn new(count: usize) -> Self {
        let state = State { offsets: vec![0; count], outstanding: count, failure: None };
        Self { state: Mutex::new(state), settled: Condvar::new() }
    }

    /// The offsets of all messages, once they are acknowledged.
    pub fn wait(&self, timeout: Duration) -> Result<Vec<u64>, String> {
        let mut state = self.state.lock();
        self.settled.wait_while_for(&mut state, |state| state.outstanding > 0, timeout);
        if let Some((index, reason)) = &state.failure {
            return Err(format!("event {index} was not acknowledged: {reason}"));
        }
        if state.outstanding > 0 {
            return Err(format!("{} events were not acknowledged within {timeout:?}", state.outstanding));
        }
        Ok(std::mem::take(&mut state.offsets))
    }

    fn settle(&self, index: usize, outcome: Result<i64, String>) {
        let mut state = self.state.lock();
        match outcome {
            Ok(offset) if offset >= 0 => state.offsets[index] = offset as u64,
            Ok(offset) => state.fail(index, format!("the broker gave it the offset {offset}")),
            Err(reason) => state.fail(index, reason),
        }
        state.outstanding -= 1;
        if state.outstanding == 0 {
            self.settled.notify_all();
        }
    }
}

impl State {
    fn fail(&mut self, index: usize, reason: String) {
        self.failure.get_or_insert((index, reason));
    }
}

/// Hands acknowledgements to the appends that wait for them.
pub struct Acknowledgements;

impl ClientContext for Acknowledgements {}

impl ProducerContext for Acknowledgements {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        ticket.deliveries.settle(ticket.index, outcome);
    }
}
