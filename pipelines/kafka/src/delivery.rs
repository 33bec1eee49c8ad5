//! Hands messages to the client and waits for the acknowledgements of one append; it does not say what is sent.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message, ToBytes};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

/// How long a message waits for room in the client's queue before it is tried again.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(50);

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

/// Queues a message, waiting for room no longer than `timeout`.
pub fn queue<K: ToBytes + ?Sized>(
    producer: &ThreadedProducer<Acknowledgements>,
    message: BaseRecord<'_, K, [u8], Box<Ticket>>,
    timeout: Duration,
) -> Result<(), KafkaError> {
    let tries = timeout.as_millis() / QUEUE_FULL_WAIT.as_millis() + 1;
    let mut message = message;
    let mut last = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    for _ in 0..tries {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((error, returned)) => {
                let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                (last, message) = (error, returned);
                if !is_full {
                    break;
                }
                producer.poll(QUEUE_FULL_WAIT);
            }
        }
    }
    Err(last)
}
