//! One loaded version of a model: its queue, its workers and its figures; which version answers a name is not its business.

use std::sync::Arc;

use dhow_events::{Clock, Timestamp};
use dhow_tensors::{NamedTensor, TensorData};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::check::{Batching, check_batching, join};
use crate::error::{ErrorKind, InferenceError};
use crate::figures::{FailureReason, Figures, ModelStatistics, Run};
use crate::model::{Model, ModelFault};
use crate::queue::{Full, Queue, Taken, Waiting};
use crate::request::{InferAnswer, InferRequest};

/// The bounds of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelBounds {
    /// Requests that may wait.
    pub queued_requests_max: usize,
    /// Bytes of inputs that may wait; a request that waits alone may have more.
    pub queued_bytes_max: usize,
    /// Rows that run together; 1 turns batching off.
    pub batch_rows_max: usize,
    /// Runs at once.
    pub runs_max: usize,
}

impl Default for ModelBounds {
    /// 256 requests, 64 MiB, 16 rows, 2 runs.
    fn default() -> Self {
        Self { queued_requests_max: 256, queued_bytes_max: 64 << 20, batch_rows_max: 16, runs_max: 2 }
    }
}

/// Where a model's workers run.
pub trait Scheduler: Send + Sync + 'static {
    /// Lets the worker take its steps, one after the other, until one says that there are no more.
    fn start(&self, worker: Worker);
}

/// Workers on the threads that tokio keeps for work that blocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadPool;

impl Scheduler for ThreadPool {
    fn start(&self, mut worker: Worker) {
        tokio::task::spawn_blocking(move || while worker.step() {});
    }
}

type Answer = Result<Vec<NamedTensor>, InferenceError>;
type Reply = oneshot::Sender<Answer>;

struct State {
    queue: Queue<Reply>,
    workers: usize,
}

/// A loaded version of a model.
pub struct Served {
    name: String,
    version: String,
    model: Arc<dyn Model>,
    batching: Batching,
    bounds: ModelBounds,
    state: Mutex<State>,
    figures: Mutex<Figures>,
    scheduler: Arc<dyn Scheduler>,
    clock: Arc<dyn Clock>,
}

impl Served {
    /// Makes a model ready: it is checked, and thereby warmed.
    pub fn new(
        name: &str,
        version: &str,
        model: Arc<dyn Model>,
        bounds: ModelBounds,
        scheduler: Arc<dyn Scheduler>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let batching = check_batching(&*model, bounds.batch_rows_max);
        let queue = Queue::new(bounds.queued_requests_max, bounds.queued_bytes_max);
        Arc::new(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            model,
            batching,
            bounds,
            state: Mutex::new(State { queue, workers: 0 }),
            figures: Mutex::default(),
            scheduler,
            clock,
        })
    }

    /// The name by which it is served.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }

    /// Whether its requests run together.
    pub fn batching(&self) -> &Batching {
        &self.batching
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// What it counted since it was loaded.
    pub fn statistics(&self) -> ModelStatistics {
        self.figures.lock().read(&self.name, &self.version)
    }

    /// Answers a request, after those that came before it. Whoever drops the future is not answered, and what did not begin
    /// for him does not.
    ///
    /// # Errors
    /// Inputs or outputs that do not fit, a full queue, a deadline that passed, or a run that failed.
    pub async fn infer(self: &Arc<Self>, mut request: InferRequest) -> Result<InferAnswer, InferenceError> {
        let came_at = self.clock.now();
        let answered = match self.enqueue(&mut request, came_at) {
            Ok(answer) => Awaited { served: self, came_at, answer, is_over: false }.end().await,
            Err(error) => {
                let is_busy = error.kind == ErrorKind::Busy;
                Err((error, if is_busy { FailureReason::Rejected } else { FailureReason::Other }))
            }
        };
        match answered {
            Ok(outputs) => Ok(InferAnswer {
                model_name: self.name.clone(),
                model_version: self.version.clone(),
                outputs: request.wanted(outputs),
                id: request.id,
            }),
            Err((error, reason)) => {
                self.figures.lock().failed(reason, self.clock.now().micros_since(came_at));
                Err(error)
            }
        }
    }

    fn enqueue(
        self: &Arc<Self>,
        request: &mut InferRequest,
        came_at: Timestamp,
    ) -> Result<oneshot::Receiver<Answer>, InferenceError> {
        request.check_outputs(self.model.signature())?;
        let inputs = request.fitted(self.model.signature())?;
        let rows = match &self.batching {
            Batching::Rows(_) => common_rows(&inputs)?,
            Batching::Alone(_) => 1,
        };
        let deadline = request.timeout_us.map(|micros| {
            let micros = i64::try_from(micros).unwrap_or(i64::MAX);
            Timestamp::from_micros(came_at.micros().saturating_add(micros))
        });
        let bytes = inputs.iter().map(|input| bytes_of(input.tensor.data())).sum();
        let (reply, answer) = oneshot::channel();
        let mut state = self.state.lock();
        state.queue.offer(Waiting { inputs, rows, bytes, came_at, deadline, reply }).map_err(|full| self.full(full))?;
        if state.workers < self.bounds.runs_max {
            state.workers += 1;
            drop(state);
            self.scheduler.start(Worker { served: self.clone(), taken: None, ended: false });
        }
        Ok(answer)
    }

    fn full(&self, full: Full) -> InferenceError {
        let what = match full {
            Full::Requests => format!("{} requests wait", self.bounds.queued_requests_max),
            Full::Bytes => format!("inputs of {} bytes wait", self.bounds.queued_bytes_max),
        };
        InferenceError::new(ErrorKind::Busy, format!("{what} for model `{}` already; try again shortly", self.name))
    }

    /// Runs requests together where there are several, and each alone where that fails: nobody fails for a neighbour.
    fn run(&self, batch: Vec<Waiting<Reply>>) {
        let begun_at = self.clock.now();
        if batch.len() > 1 {
            match self.run_together(&batch) {
                Ok((answers, run)) => return self.answer(batch, answers, run, begun_at),
                Err(fault) => tracing::debug!(model = self.name, %fault, "a batch failed and its requests run alone"),
            }
        }
        for request in batch {
            let begun_at = self.clock.now();
            match self.model.run(&request.inputs) {
                Ok(outputs) => {
                    let infer_us = self.clock.now().micros_since(begun_at);
                    let run = Run { rows: request.rows, infer_us, ..Run::default() };
                    self.answer(vec![request], vec![outputs], run, begun_at);
                }
                Err(fault) => send(request.reply, Err(self.fault(&fault))),
            }
        }
    }

    /// One run for all; the outputs of each.
    fn run_together(&self, batch: &[Waiting<Reply>]) -> Result<(Vec<Vec<NamedTensor>>, Run), ModelFault> {
        let begin = self.clock.now();
        let inputs =
            join(&batch.iter().map(|request| &request.inputs).collect::<Vec<_>>()).map_err(ModelFault::Failed)?;
        let joined = self.clock.now();
        let outputs = self.model.run(&inputs)?;
        let ran = self.clock.now();
        let rows: usize = batch.iter().map(|request| request.rows).sum();
        let mut from = 0;
        let mut answers = Vec::with_capacity(batch.len());
        for request in batch {
            let part = |output: &NamedTensor| {
                let rows_fit = output.tensor.rows() == Some(rows);
                let part = output.tensor.rows_from(from, request.rows).filter(|_| rows_fit);
                let wrong = || ModelFault::Failed(format!("`{}` does not have the batch's {rows} rows", output.name));
                part.map(|part| NamedTensor::new(&output.name, part)).ok_or_else(wrong)
            };
            answers.push(outputs.iter().map(part).collect::<Result<Vec<_>, _>>()?);
            from += request.rows;
        }
        let (input_us, infer_us) = (joined.micros_since(begin), ran.micros_since(joined));
        Ok((answers, Run { rows, input_us, infer_us, output_us: self.clock.now().micros_since(ran) }))
    }

    fn answer(&self, batch: Vec<Waiting<Reply>>, answers: Vec<Vec<NamedTensor>>, run: Run, begun_at: Timestamp) {
        let now = self.clock.now();
        let wait =
            |request: &Waiting<Reply>| (begun_at.micros_since(request.came_at), now.micros_since(request.came_at));
        // Counted and told in one step: who is answered finds himself in the figures, who went away counts as gone.
        let mut figures = self.figures.lock();
        let waits: Vec<(i64, i64)> = batch.iter().filter(|request| !request.reply.is_closed()).map(wait).collect();
        figures.answered(run, &waits, now.micros() / 1_000);
        for (request, outputs) in batch.into_iter().zip(answers) {
            send(request.reply, Ok(outputs));
        }
    }

    fn fault(&self, fault: &ModelFault) -> InferenceError {
        match fault {
            ModelFault::BadInput(what) => InferenceError::invalid(format!("model `{}`: {what}", self.name)),
            ModelFault::Failed(what) => {
                tracing::error!(model = self.name, version = self.version, what, "a model failed");
                InferenceError::failed(format!("model `{}` failed: {what}", self.name))
            }
        }
    }
}

/// A request that waits for its answer. Who drops it before went away, and is counted so.
struct Awaited<'a> {
    served: &'a Served,
    came_at: Timestamp,
    answer: oneshot::Receiver<Answer>,
    is_over: bool,
}

impl Awaited<'_> {
    async fn end(mut self) -> Result<Vec<NamedTensor>, (InferenceError, FailureReason)> {
        let answered = (&mut self.answer).await;
        self.is_over = true;
        let answer = answered.unwrap_or_else(|_| Err(InferenceError::failed("the model's worker ended in a fault")));
        answer.map_err(|error| {
            let reason = failure_of_run(&error);
            (error, reason)
        })
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // Under the lock under which answers are counted and sent: what was sent before this is counted already.
        let mut figures = self.served.figures.lock();
        self.answer.close();
        let reason = match self.answer.try_recv() {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => failure_of_run(&error),
            Err(_) => FailureReason::Canceled,
        };
        figures.failed(reason, self.served.clock.now().micros_since(self.came_at));
    }
}

/// Why a request failed that a worker took.
fn failure_of_run(error: &InferenceError) -> FailureReason {
    if error.kind == ErrorKind::Deadline { FailureReason::Rejected } else { FailureReason::Backend }
}

fn send(reply: Reply, answer: Answer) {
    // Who went away meanwhile wants no answer.
    let _gone = reply.send(answer);
}

/// The rows that all inputs have.
fn common_rows(inputs: &[NamedTensor]) -> Result<usize, InferenceError> {
    let mut rows = inputs.iter().filter_map(|input| input.tensor.rows());
    let first = rows.next().unwrap_or(1);
    match rows.find(|&rows| rows != first) {
        None => Ok(first),
        Some(other) => {
            Err(InferenceError::invalid(format!("inputs have {first} and {other} rows; all must have as many")))
        }
    }
}

/// The bytes of a tensor in memory, about.
fn bytes_of(data: &TensorData) -> usize {
    match data {
        TensorData::Bytes(values) => values.iter().map(|value| value.len() + size_of::<Vec<u8>>()).sum(),
        other => other.len() * other.element_type().size().unwrap_or(1),
    }
}

/// A worker of one model. A step takes what runs next, or runs it and answers.
pub struct Worker {
    served: Arc<Served>,
    taken: Option<Vec<Waiting<Reply>>>,
    ended: bool,
}

impl Worker {
    /// Takes one step; false when there is nothing left, and the worker has ended.
    pub fn step(&mut self) -> bool {
        if let Some(batch) = self.taken.take() {
            self.served.run(batch);
            return true;
        }
        let served = &self.served;
        let mut state = served.state.lock();
        let Taken { batch, late } = state.queue.take(served.clock.now(), served.batching.rows_max(), Reply::is_closed);
        if batch.is_empty() && late.is_empty() && state.queue.len() == 0 {
            state.workers -= 1;
            self.ended = true;
        }
        drop(state);
        for request in late {
            let message = format!("the request's time ran out in the queue of model `{}`", served.name);
            send(request.reply, Err(InferenceError::new(ErrorKind::Deadline, message)));
        }
        self.taken = (!batch.is_empty()).then_some(batch);
        !self.ended
    }
}

impl Drop for Worker {
    /// A worker that a fault ended makes place for the next, which goes on with what waits.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.served.state.lock();
        if state.queue.len() == 0 {
            state.workers -= 1;
            return;
        }
        drop(state);
        self.served.scheduler.start(Worker { served: self.served.clone(), taken: None, ended: false });
    }
}
