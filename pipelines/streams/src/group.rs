//! Group commit: concurrent callers' requests are carried out together by one of them; it knows nothing of files.

use std::collections::BTreeMap;

use parking_lot::{Condvar, Mutex};

/// The most requests that are carried out together; further ones wait for the next turn.
pub const GROUP_REQUESTS_MAX: usize = 256;

struct Queue<Request, Answer> {
    waiting: Vec<(u64, Request)>,
    answers: BTreeMap<u64, Answer>,
    tickets: u64,
    has_leader: bool,
}

/// Callers that wait for one another. There are never more requests than threads that call [`Group::submit`].
pub struct Group<Request, Answer> {
    queue: Mutex<Queue<Request, Answer>>,
    changed: Condvar,
}

impl<Request, Answer> Group<Request, Answer> {
    /// An empty group.
    pub fn new() -> Self {
        let queue = Queue { waiting: Vec::new(), answers: BTreeMap::new(), tickets: 0, has_leader: false };
        Self { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// Hands `request` in and returns its answer. A caller who finds no leader becomes it and runs `carry_out` on all
    /// that waits, in the order of handing in; `carry_out` gives one answer for each request.
    pub fn submit(&self, request: Request, carry_out: impl Fn(Vec<Request>) -> Vec<Answer>) -> Answer {
        let mut queue = self.queue.lock();
        let ticket = queue.tickets;
        queue.tickets += 1;
        queue.waiting.push((ticket, request));
        loop {
            if let Some(answer) = queue.answers.remove(&ticket) {
                return answer;
            }
            if queue.has_leader {
                self.changed.wait(&mut queue);
                continue;
            }
            queue.has_leader = true;
            let taken = queue.waiting.len().min(GROUP_REQUESTS_MAX);
            let (tickets, requests): (Vec<u64>, Vec<Request>) = queue.waiting.drain(..taken).unzip();
            drop(queue);
            let answers = carry_out(requests);
            queue = self.queue.lock();
            queue.answers.extend(tickets.into_iter().zip(answers));
            queue.has_leader = false;
            self.changed.notify_all();
        }
    }
}
