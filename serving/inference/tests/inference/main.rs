//! Batching, bounds and changes of served models under a scheduler that the tests step through themselves: no thread, no clock runs by itself.

mod rest;
mod trials;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use dhow_events::{ManualClock, TenantId, Timestamp};
use dhow_inference::{
    Batching, ErrorKind, InferAnswer, InferRequest, Inference, InferenceError, InferenceSettings, Model, ModelBounds,
    ModelFault, ModelSource, Registered, Scheduler, Served, Worker,
};
use dhow_tensors::{Dim, ElementType, NamedTensor, Signature, Tensor, TensorData, TensorSpec};
use parking_lot::Mutex;
use proptest::prelude::*;

/// Workers that go on only when a test says so.
#[derive(Default)]
struct Stepped(Mutex<Vec<Worker>>);

impl Scheduler for Stepped {
    fn start(&self, worker: Worker) {
        self.0.lock().push(worker);
    }
}

impl Stepped {
    /// Lets one of the workers take a step; tells whether there was one.
    fn step(&self, which: usize) -> bool {
        let mut worker = {
            let mut workers = self.0.lock();
            if workers.is_empty() {
                return false;
            }
            let place = which % workers.len();
            workers.swap_remove(place)
        };
        if worker.step() {
            self.0.lock().push(worker);
        }
        true
    }

    fn finish(&self) {
        while self.step(0) {}
    }
}

/// What a model does with its rows of two numbers.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    /// Each row's own sums, times a factor that tells versions apart; a row that begins with 13 fails.
    Rows(f32),
    /// Every row beside the mean of all rows.
    Mixed,
    /// Fails where a row begins above 0.
    Failing,
    /// Takes a row that begins above 0 for a wrong request.
    Refusing,
}

struct Toy {
    kind: Kind,
    signature: Signature,
}

fn toy(kind: Kind, first: Dim) -> Arc<dyn Model> {
    let spec = |name: &str| TensorSpec {
        name: name.to_owned(),
        element_type: ElementType::F32,
        dims: Some(vec![first.clone(), Dim::Fixed(2)]),
    };
    Arc::new(Toy { kind, signature: Signature { inputs: vec![spec("x")], outputs: vec![spec("y"), spec("z")] } })
}

fn rows() -> Dim {
    Dim::Free("rows".to_owned())
}

impl Model for Toy {
    fn platform(&self) -> &str {
        "toy"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn takes_any_rows(&self) -> Result<(), String> {
        Ok(())
    }

    fn run(&self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, ModelFault> {
        let values = inputs[0].tensor.as_f32().unwrap();
        if values.chunks(2).any(|row| row[0] == 13.0) {
            return Err(ModelFault::BadInput("13 brings bad luck".to_owned()));
        }
        if self.kind == Kind::Failing && values.chunks(2).any(|row| row[0] > 0.0) {
            return Err(ModelFault::Failed("it broke".to_owned()));
        }
        if self.kind == Kind::Refusing && values.chunks(2).any(|row| row[0] > 0.0) {
            return Err(ModelFault::BadInput("it is above 0".to_owned()));
        }
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let of = |factor: f32| {
            let each = |row: &[f32]| match self.kind {
                Kind::Rows(own) => [(row[0] + row[1]) * own * factor, (row[0] - row[1]) / 3.0],
                Kind::Failing | Kind::Refusing => [(row[0] + row[1]) * factor, (row[0] - row[1]) / 3.0],
                Kind::Mixed => [row[0] - mean, row[1] - mean],
            };
            let values = values.chunks(2).flat_map(each).collect();
            Tensor::new(inputs[0].tensor.shape().to_vec(), TensorData::F32(values)).unwrap()
        };
        Ok(vec![NamedTensor::new("y", of(1.0)), NamedTensor::new("z", of(0.1))])
    }
}

struct World {
    served: Arc<Served>,
    scheduler: Arc<Stepped>,
    clock: Arc<ManualClock>,
}

fn world(model: Arc<dyn Model>, bounds: ModelBounds) -> World {
    let (scheduler, clock) = (Arc::new(Stepped::default()), Arc::new(ManualClock::new(Timestamp::from_micros(0))));
    let served = Served::new("toy", "1", model, bounds, scheduler.clone(), clock.clone());
    World { served, scheduler, clock }
}

fn request(values: &[[f32; 2]]) -> InferRequest {
    let tensor = Tensor::new(vec![values.len(), 2], TensorData::F32(values.concat())).unwrap();
    InferRequest { inputs: vec![NamedTensor::new("x", tensor)], ..InferRequest::default() }
}

type Asked = Pin<Box<dyn Future<Output = Result<InferAnswer, InferenceError>>>>;

/// Sends a request: it waits in the queue when this returns, or has failed.
fn ask(served: &Arc<Served>, request: InferRequest) -> (Asked, Option<Result<InferAnswer, InferenceError>>) {
    let served = served.clone();
    let mut asked: Asked = Box::pin(async move { served.infer(request).await });
    let answer = poll(&mut asked);
    (asked, answer)
}

fn poll(asked: &mut Asked) -> Option<Result<InferAnswer, InferenceError>> {
    match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn bytes(outputs: &[NamedTensor]) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let one = |output: &NamedTensor| {
        let mut bytes = Vec::new();
        output.tensor.data().write_bytes(&mut bytes);
        (output.name.clone(), output.tensor.shape().to_vec(), bytes)
    };
    outputs.iter().map(one).collect()
}

/// What the next step of a test is.
#[derive(Debug, Clone)]
enum Act {
    Ask(Vec<[f32; 2]>),
    Step(usize),
    Forget(usize),
    Wait(i64),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let value = prop_oneof![8 => -4.0f32..4.0, 1 => Just(13.0f32), 1 => Just(f32::NAN), 1 => Just(-0.0f32)];
    let row = [value.clone(), value];
    let act = prop_oneof![
        6 => prop::collection::vec(row, 1..5).prop_map(Act::Ask),
        6 => (0usize..4).prop_map(Act::Step),
        1 => (0usize..16).prop_map(Act::Forget),
        1 => (0i64..40).prop_map(Act::Wait),
    ];
    prop::collection::vec(act, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn for_any_interleaving_an_answer_from_a_batch_is_the_one_that_the_request_gets_alone(
        acts in acts(), batch_rows_max in 2usize..9, runs_max in 1usize..4, queued in 1usize..12,
    ) {
        let bounds = ModelBounds { queued_requests_max: queued, batch_rows_max, runs_max, ..ModelBounds::default() };
        let World { served, scheduler, clock } = world(toy(Kind::Rows(0.7), rows()), bounds);
        prop_assert_eq!(served.batching(), &Batching::Rows(batch_rows_max));
        let mut waiting: Vec<Option<(Asked, Vec<[f32; 2]>)>> = Vec::new();
        let (mut asked_for, mut answered) = (0, 0);
        for act in acts {
            match act {
                Act::Ask(values) => {
                    let timed = InferRequest { timeout_us: Some(50), ..request(&values) };
                    let (asked, answer) = ask(&served, timed);
                    asked_for += 1;
                    match answer {
                        None => waiting.push(Some((asked, values))),
                        Some(refused) => prop_assert_eq!(refused.unwrap_err().kind, ErrorKind::Busy),
                    }
                    prop_assert!(served.waiting() <= queued);
                }
                Act::Step(which) => { scheduler.step(which); }
                Act::Forget(which) => if let Some(slot) = waiting.get_mut(which) { *slot = None },
                Act::Wait(micros) => clock.advance(micros),
            }
        }
        scheduler.finish();
        for (mut asked, values) in waiting.into_iter().flatten() {
            let alone = served.model().run(&request(&values).inputs);
            match (poll(&mut asked).expect("everybody is answered"), alone) {
                (Ok(answer), Ok(alone)) => {
                    prop_assert_eq!(bytes(&answer.outputs), bytes(&alone));
                    answered += 1;
                }
                (Err(error), Err(_)) if error.kind == ErrorKind::Invalid => {}
                (Err(error), _) => prop_assert_eq!(error.kind, ErrorKind::Deadline),
                (Ok(_), Err(fault)) => prop_assert!(false, "a neighbour's answer hid {fault}"),
            }
        }
        let figures = served.statistics();
        let times = &figures.inference_stats;
        prop_assert_eq!(times.success.count + times.fail.count, asked_for, "each counts once, who went away too");
        prop_assert_eq!(figures.failures.iter().sum::<u64>(), times.fail.count);
        prop_assert!(times.success.count >= answered);
        prop_assert!(figures.batch_stats.iter().all(|batch| batch.batch_size <= batch_rows_max.max(4) as u64));
    }
}

#[test]
fn requests_that_wait_run_together_and_the_figures_say_so() {
    let World { served, scheduler, .. } =
        world(toy(Kind::Rows(1.0), rows()), ModelBounds { runs_max: 1, ..ModelBounds::default() });
    let mut asked: Vec<Asked> = (0..5).map(|number| ask(&served, request(&[[number as f32, 1.0]])).0).collect();
    scheduler.finish();
    for (number, asked) in asked.iter_mut().enumerate() {
        let answer = poll(asked).unwrap().unwrap();
        assert_eq!(answer.outputs[0].tensor.as_f32().unwrap()[0], number as f32 + 1.0);
    }
    let figures = served.statistics();
    assert_eq!((figures.inference_count, figures.execution_count, figures.inference_stats.success.count), (5, 1, 5));
    assert_eq!(figures.batch_stats[0].batch_size, 5);
}

#[test]
fn a_model_whose_rows_touch_each_other_is_served_alone_and_says_why() {
    let bounds = ModelBounds::default();
    for (model, why) in [
        (toy(Kind::Mixed, rows()), "gets other bytes than alone"),
        (toy(Kind::Rows(1.0), Dim::Fixed(1)), "is not free"),
    ] {
        let World { served, scheduler, .. } = world(model, bounds);
        assert!(
            matches!(served.batching(), Batching::Alone(reason) if reason.contains(why)),
            "{:?}",
            served.batching()
        );
        let mut asked: Vec<Asked> = (0..3).map(|_| ask(&served, request(&[[1.0, 2.0]])).0).collect();
        scheduler.finish();
        assert!(asked.iter_mut().all(|asked| poll(asked).unwrap().is_ok()));
        assert_eq!(served.statistics().execution_count, 3);
    }
    let off = world(toy(Kind::Rows(1.0), rows()), ModelBounds { batch_rows_max: 1, ..bounds });
    assert!(matches!(off.served.batching(), Batching::Alone(_)));
}

#[test]
fn a_full_queue_refuses_and_a_passed_deadline_runs_nothing() {
    let bounds = ModelBounds { queued_requests_max: 2, runs_max: 1, ..ModelBounds::default() };
    let World { served, scheduler, clock } = world(toy(Kind::Rows(1.0), rows()), bounds);
    let timed = |micros| InferRequest { timeout_us: Some(micros), ..request(&[[1.0, 2.0]]) };
    let (mut late, _) = ask(&served, timed(10));
    let (mut in_time, _) = ask(&served, timed(11));
    let refused = ask(&served, timed(10)).1.unwrap().unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Busy);
    clock.advance(10);
    scheduler.finish();
    assert_eq!(poll(&mut late).unwrap().unwrap_err().kind, ErrorKind::Deadline);
    assert!(poll(&mut in_time).unwrap().is_ok());
    let figures = served.statistics();
    assert_eq!((figures.inference_stats.fail.count, figures.execution_count), (2, 1));
    assert_eq!(figures.failures, [2, 0, 0, 0], "both were rejected");

    let small = ModelBounds { queued_bytes_max: 20, runs_max: 1, ..ModelBounds::default() };
    let World { served, .. } = world(toy(Kind::Rows(1.0), rows()), small);
    let (_first, answer) = ask(&served, request(&[[0.0; 2]; 9]));
    assert!(answer.is_none(), "one request may be of any size");
    assert_eq!(ask(&served, request(&[[0.0; 2]])).1.unwrap().unwrap_err().kind, ErrorKind::Busy);
}

#[test]
fn a_failure_counts_under_its_reason_and_who_went_away_before_his_answer_counts_once() {
    let World { served, scheduler, .. } = world(toy(Kind::Rows(1.0), rows()), ModelBounds::default());
    let (waits, _) = ask(&served, request(&[[1.0, 2.0]]));
    drop(waits);
    let (mut fails, _) = ask(&served, request(&[[13.0, 2.0]]));
    let (answered, _) = ask(&served, request(&[[1.0, 2.0]]));
    let unfit = InferRequest { inputs: Vec::new(), ..request(&[[1.0, 2.0]]) };
    assert!(ask(&served, unfit).1.unwrap().is_err());
    scheduler.finish();
    assert!(poll(&mut fails).unwrap().is_err());
    // The answer was counted when it was sent; that nobody fetched it changes nothing.
    drop(answered);
    let figures = served.statistics();
    assert_eq!(figures.failures, [0, 1, 1, 1]);
    assert_eq!((figures.inference_stats.success.count, figures.inference_stats.fail.count), (1, 3));
}

#[test]
fn what_does_not_fit_is_refused_before_it_waits() {
    let World { served, .. } = world(toy(Kind::Rows(1.0), rows()), ModelBounds::default());
    let refused = |request: InferRequest| ask(&served, request).1.expect("at once").unwrap_err();
    let input = |name: &str, shape: &[usize], data| {
        let tensor = Tensor::new(shape.to_vec(), data).unwrap();
        InferRequest { inputs: vec![NamedTensor::new(name, tensor)], ..InferRequest::default() }
    };
    for (request, words) in [
        (InferRequest::default(), "0 inputs were given"),
        (input("q", &[1, 2], TensorData::F32(vec![0.0; 2])), "input `x` of FP32 [-1,2] is missing"),
        (input("x", &[1, 2], TensorData::F64(vec![0.0; 2])), "another datatype"),
        (input("x", &[2], TensorData::F32(vec![0.0; 2])), "another number of dimensions"),
        (input("x", &[1, 3], TensorData::F32(vec![0.0; 3])), "another length"),
        (input("x", &[0, 2], TensorData::F32(vec![])), "length 0"),
    ] {
        let error = refused(request);
        assert!(error.kind == ErrorKind::Invalid && error.message.contains(words), "{error}");
    }
    let named = |names: &[&str]| {
        let outputs =
            names.iter().map(|name| dhow_inference::RequestedOutput { name: (*name).to_owned(), binary: None });
        InferRequest { outputs: outputs.collect(), ..request(&[[1.0, 2.0]]) }
    };
    assert!(refused(named(&["w"])).message.contains("no output"));
    assert!(refused(named(&["y", "y"])).message.contains("named twice"));
}

/// Versions `1` to `4` of one model; the fourth has another signature.
struct Shelf;

impl ModelSource for Shelf {
    fn list(&self, _: TenantId) -> Result<Vec<Registered>, InferenceError> {
        Ok((1..=4).map(|version| Registered { name: "toy".to_owned(), version: version.to_string() }).collect())
    }

    fn find(&self, _: TenantId, name: &str, version: Option<&str>) -> Result<String, InferenceError> {
        let known = name == "toy" && version.is_none_or(|version| ["1", "2", "3", "4", "broken"].contains(&version));
        known.then(|| version.unwrap_or("1").to_owned()).ok_or_else(|| InferenceError::not_found("none"))
    }

    fn open(&self, _: TenantId, version: &str) -> Result<Arc<dyn Model>, InferenceError> {
        match version {
            "4" => Ok(toy(Kind::Rows(4.0), Dim::Fixed(1))),
            "broken" => Err(InferenceError::invalid("it is broken")),
            other => Ok(toy(Kind::Rows(other.parse().unwrap()), rows())),
        }
    }

    fn run_load(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_request_ends_on_the_version_that_it_began_with_and_a_refused_load_changes_nothing() {
    let tenant = TenantId::default();
    let scheduler = Arc::new(Stepped::default());
    let settings = InferenceSettings {
        bounds: ModelBounds::default(),
        loads_max: 1,
        scheduler: scheduler.clone(),
        clock: Arc::new(ManualClock::new(Timestamp::from_micros(0))),
    };
    let inference = Arc::new(Inference::new(Arc::new(Shelf), settings));
    let load = |version: &str| now(inference.load(tenant, "toy", Some(version)));
    let begin = || {
        let inference = inference.clone();
        let mut asked: Asked =
            Box::pin(async move { inference.infer(tenant, "toy", None, request(&[[1.0, 0.0]])).await });
        assert!(poll(&mut asked).is_none());
        asked
    };
    let first_of = |asked: &mut Asked| {
        let answer = poll(asked).unwrap().unwrap();
        (answer.model_version, answer.outputs[0].tensor.as_f32().unwrap()[0])
    };
    assert_eq!(
        now(inference.infer(tenant, "toy", None, request(&[[1.0, 0.0]]))).unwrap_err().kind,
        ErrorKind::NotFound
    );
    load("1").unwrap();
    let mut on_one = begin();
    load("2").unwrap();
    let mut on_two = begin();
    load("3").unwrap();
    assert_eq!(load("4").unwrap_err().kind, ErrorKind::Invalid, "another signature");
    assert!(load("broken").is_err() && load("5").is_err());
    let mut on_three = begin();
    scheduler.finish();
    assert_eq!(first_of(&mut on_one), ("1".to_owned(), 1.0));
    assert_eq!(first_of(&mut on_two), ("2".to_owned(), 2.0));
    assert_eq!(first_of(&mut on_three), ("3".to_owned(), 3.0));

    // The version before is still there: under its own name at once, and again in force by a load that loads nothing.
    let before = inference.served(tenant, "toy", Some("2")).unwrap();
    assert!(inference.served(tenant, "toy", Some("1")).is_err());
    load("2").unwrap();
    assert!(Arc::ptr_eq(&before, &inference.served(tenant, "toy", None).unwrap()));
    let ready = |only| inference.index(tenant, only).unwrap().into_iter().filter(|entry| entry.is_ready()).count();
    assert_eq!((ready(true), ready(false), inference.index(tenant, false).unwrap().len()), (2, 2, 4));
    let other: TenantId = "ten_other".parse().unwrap();
    assert_eq!(inference.served(other, "toy", None).err().unwrap().kind, ErrorKind::NotFound);

    let mut under_way = begin();
    inference.unload(tenant, "toy").unwrap();
    assert_eq!(inference.unload(tenant, "toy").unwrap_err().kind, ErrorKind::NotFound);
    scheduler.finish();
    assert_eq!(first_of(&mut under_way), ("2".to_owned(), 2.0));
    load("4").unwrap();
}
