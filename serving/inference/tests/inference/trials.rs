//! A version on trial beside the one in force: who is on which side, what is compared, and what takes it off by itself.

use std::sync::Arc;

use dhow_events::{Clock, ManualClock, TenantId, Timestamp};
use dhow_inference::{
    ErrorKind, Guard, InferRequest, Inference, InferenceError, InferenceSettings, Model, ModelBounds, ModelSource,
    Outcome, Registered, ThreadPool, TrialKind, TrialReport, TrialSettings,
};

use crate::{Asked, Kind, Stepped, now, poll, request, rows, toy};

/// `1` in force in most tests, `same` answers like it, `higher` does not; where a row begins above 0, `failing` fails and
/// `refusing` takes it for a wrong request.
struct Shelf;

impl ModelSource for Shelf {
    fn list(&self, _: TenantId) -> Result<Vec<Registered>, InferenceError> {
        Ok(vec![])
    }

    fn find(&self, _: TenantId, name: &str, version: Option<&str>) -> Result<String, InferenceError> {
        match (name, version) {
            ("toy", version) => Ok(version.unwrap_or("1").to_owned()),
            ("other", None) => Ok("higher".to_owned()),
            _ => Err(InferenceError::not_found("none")),
        }
    }

    fn open(&self, _: TenantId, version: &str) -> Result<Arc<dyn Model>, InferenceError> {
        Ok(match version {
            "1" | "same" => toy(Kind::Rows(1.0), rows()),
            "higher" => toy(Kind::Rows(1.3), rows()),
            "failing" => toy(Kind::Failing, rows()),
            "refusing" => toy(Kind::Refusing, rows()),
            "another" => toy(Kind::Rows(1.0), dhow_tensors::Dim::Fixed(1)),
            _ => return Err(InferenceError::not_found("none")),
        })
    }

    fn run_load(&self, work: Box<dyn FnOnce() + Send>) {
        work();
    }
}

struct World {
    inference: Arc<Inference>,
    scheduler: Arc<Stepped>,
    clock: Arc<ManualClock>,
}

const TENANT: fn() -> TenantId = TenantId::default;

fn world() -> World {
    let (scheduler, clock) = (Arc::new(Stepped::default()), Arc::new(ManualClock::new(Timestamp::from_micros(0))));
    let bounds = ModelBounds::default();
    let settings = InferenceSettings { bounds, loads_max: 1, scheduler: scheduler.clone(), clock: clock.clone() };
    let inference = Arc::new(Inference::new(Arc::new(Shelf), settings));
    now(inference.load(TENANT(), "toy", Some("1"))).unwrap();
    World { inference, scheduler, clock }
}

fn settings(kind: TrialKind, share: f64) -> TrialSettings {
    TrialSettings { kind, share, guard: Guard { requests_min: 50, ..Guard::default() } }
}

fn keyed(key: usize) -> InferRequest {
    let value = (key as f32 * 0.37).sin();
    InferRequest { routing_key: Some(format!("buyer {key}")), id: format!("r{key}"), ..request(&[[value, 0.25]]) }
}

impl World {
    fn try_version(&self, version: &str, settings: TrialSettings) -> Result<TrialReport, InferenceError> {
        now(self.inference.begin_trial(TENANT(), "toy", ("toy", Some(version)), settings))
    }

    /// Asks for a key while the model takes as long as `latency_us` says of the version that will answer; the version, or the failure.
    fn ask(&self, key: usize, latency_us: impl Fn(&str) -> i64) -> Result<String, InferenceError> {
        let begin = || {
            let inference = self.inference.clone();
            let mut asked: Asked = Box::pin(async move { inference.infer(TENANT(), "toy", None, keyed(key)).await });
            assert!(poll(&mut asked).is_none());
            asked
        };
        let mut asked = begin();
        // Which model waits says who will answer.
        let waits = |version: &str| {
            let served = self.inference.served(TENANT(), "toy", Some(version));
            served.is_ok_and(|served| served.waiting() > 0)
        };
        let version =
            ["1", "same", "higher", "failing", "refusing"].into_iter().find(|version| waits(version)).unwrap();
        self.clock.advance(latency_us(version));
        self.scheduler.finish();
        let answer = poll(&mut asked).expect("the scheduler finished");
        assert!(answer.as_ref().map_or(true, |answer| answer.model_version == version));
        answer.map(|answer| answer.model_version)
    }

    fn report(&self) -> TrialReport {
        self.inference.trial(TENANT(), "toy").unwrap()
    }
}

#[test]
fn a_canary_answers_its_share_of_keys_and_each_key_always_from_the_same_side() {
    let world = world();
    world.try_version("same", settings(TrialKind::Canary, 0.2)).unwrap();
    let sides: Vec<String> = (0..2_000).map(|key| world.ask(key, |_| 10).unwrap()).collect();
    let canary = sides.iter().filter(|side| *side == "same").count();
    // Six standard deviations of a fair draw are 107.
    assert!((293..=507).contains(&canary), "{canary} of 2,000 keys");
    for key in (0..2_000).step_by(7) {
        assert_eq!(world.ask(key, |_| 10).unwrap(), sides[key]);
    }
    let report = world.report();
    assert_eq!((report.control.requests + report.candidate.requests, report.stopped), (2_000 + 286, None));
    assert_eq!((report.control.failures, report.comparison), (0, None));

    // Put in force, it answers all without being loaded anew, and the trial is over.
    let tried = world.inference.served(TENANT(), "toy", Some("same")).unwrap();
    now(world.inference.load(TENANT(), "toy", Some("same"))).unwrap();
    assert!(Arc::ptr_eq(&tried, &world.inference.served(TENANT(), "toy", None).unwrap()));
    assert_eq!(world.inference.trial(TENANT(), "toy").unwrap_err().kind, ErrorKind::NotFound);
    assert!((0..50).all(|key| world.ask(key, |_| 10).unwrap() == "same"));
}

#[test]
fn a_canary_that_fails_is_slow_or_answers_otherwise_stops_itself_and_says_why() {
    let slow = |version: &str| if version == "same" { 400_i64 } else { 100 };
    let even = |_: &str| 100_i64;
    type Latency<'a> = &'a dyn Fn(&str) -> i64;
    for (version, latency, words) in [
        ("failing", &even as Latency<'_>, "% of its requests failed"),
        ("same", &slow as Latency<'_>, "95th percentile of latency"),
        ("higher", &even as Latency<'_>, "mean of its first output"),
    ] {
        let world = world();
        let strict = Guard { requests_min: 50, shift_max: 0.05, ..Guard::default() };
        // One output alone does not fail: the failing version fails for half of the keys.
        world.try_version(version, TrialSettings { guard: strict, ..settings(TrialKind::Canary, 0.5) }).unwrap();
        let mut asked = 0;
        while world.report().stopped.is_none() {
            assert!(asked < 20_000, "{version} is never stopped");
            // Its failures reach the callers, as they do in life.
            let _outcome = world.ask(asked, latency);
            asked += 1;
        }
        let report = world.report();
        let why = report.stopped.unwrap().why;
        assert!(why.contains(words), "{version}: {why}");
        assert!(report.candidate.requests >= 50);
        assert!((0..200).all(|key| world.ask(key, even).unwrap() == "1"), "the version in force answers all again");
        assert_eq!(world.report().candidate, report.candidate);
    }
}

#[test]
fn what_a_canary_alone_refuses_is_answered_by_the_version_in_force_and_counts_against_it() {
    let world = world();
    world.try_version("refusing", settings(TrialKind::Canary, 1.0)).unwrap();
    let begin = |key: usize| {
        let inference = world.inference.clone();
        let mut asked: Asked = Box::pin(async move { inference.infer(TENANT(), "toy", None, keyed(key)).await });
        assert!(poll(&mut asked).is_none());
        asked
    };
    let (mut by_control, mut by_candidate) = (0, 0);
    for key in 0..40 {
        let mut asked = begin(key);
        let answer = loop {
            world.scheduler.finish();
            if let Some(answer) = poll(&mut asked) {
                break answer.unwrap();
            }
        };
        if answer.model_version == "1" { by_control += 1 } else { by_candidate += 1 }
    }
    let report = world.report();
    assert!(by_control > 10 && by_candidate > 10);
    assert_eq!((report.candidate.failures, report.candidate.requests), (by_control, by_control + by_candidate));
}

#[test]
fn a_canary_that_is_as_good_is_left_alone() {
    let world = world();
    world.try_version("same", settings(TrialKind::Canary, 0.5)).unwrap();
    (0..5_000).for_each(|key| drop(world.ask(key, |_| 100 + (key % 7) as i64).unwrap()));
    assert_eq!(world.report().stopped, None);
}

#[test]
fn outcomes_show_which_side_is_calibrated_and_stop_the_one_that_is_not() {
    let world = world();
    let guard = Guard { requests_min: 50, shift_max: 100.0, calibration_gap_max: 0.02, ..Guard::default() };
    world.try_version("higher", TrialSettings { guard, ..settings(TrialKind::Canary, 0.5) }).unwrap();
    (0..400).for_each(|key| drop(world.ask(key, |_| 10).unwrap()));
    // What comes out is what the version in force says: the mean of its two sums.
    let outcome = |key: usize| {
        let value = f64::from((key as f32 * 0.37).sin());
        let mean = ((value + 0.25) + (value - 0.25) / 3.0) / 2.0;
        Outcome { id: format!("r{key}"), value: mean }
    };
    let told: Vec<Outcome> = (0..450).map(outcome).collect();
    assert_eq!(world.inference.tell_outcomes(TENANT(), "toy", &told).unwrap(), 400, "50 are of requests never made");
    assert_eq!(world.inference.tell_outcomes(TENANT(), "toy", &told).unwrap(), 0, "each is told once");
    let report = world.report();
    assert!(report.control.calibration_gap.abs() < 1e-6 && report.control.outcomes > 100, "{report:?}");
    let gap = report.candidate.calibration_gap;
    assert!(gap > 0.02, "{report:?}");
    assert!(report.stopped.unwrap().why.contains("beside what came out"));
    let wrong = Outcome { id: "r1".to_owned(), value: f64::NAN };
    assert_eq!(world.inference.tell_outcomes(TENANT(), "toy", &[wrong]).unwrap_err().kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_shadow_is_compared_and_never_answers() {
    let clock: Arc<dyn Clock> = Arc::new(dhow_events::SystemClock);
    let settings_of =
        InferenceSettings { bounds: ModelBounds::default(), loads_max: 1, scheduler: Arc::new(ThreadPool), clock };
    let inference = Inference::new(Arc::new(Shelf), settings_of);
    inference.load(TENANT(), "toy", Some("1")).await.unwrap();
    for (version, different) in [("same", false), ("higher", true), ("failing", false), ("refusing", false)] {
        let never = Guard { requests_min: u64::MAX, ..Guard::default() };
        let settings = TrialSettings { guard: never, ..settings(TrialKind::Shadow, 1.0) };
        inference.begin_trial(TENANT(), "toy", ("toy", Some(version)), settings).await.unwrap();
        for key in 0..100 {
            let answer = inference.infer(TENANT(), "toy", None, keyed(key)).await.unwrap();
            assert_eq!(answer.model_version, "1");
        }
        // The last shadows run behind the last answers.
        let report = loop {
            let report = inference.trial(TENANT(), "toy").unwrap();
            let comparison = report.comparison.unwrap();
            if comparison.compared + report.candidate.failures + comparison.passed_over == 100 {
                break report;
            }
            tokio::task::yield_now().await;
        };
        let comparison = report.comparison.unwrap();
        assert_eq!(report.control.requests, report.candidate.requests);
        assert_eq!(comparison.different > 0, different, "{version}: {comparison:?}");
        assert_eq!(comparison.difference_max > 0.0, different);
        assert_eq!(report.candidate.failures > 0, ["failing", "refusing"].contains(&version));
    }
}

#[test]
fn what_cannot_be_tried_is_refused_and_changes_nothing() {
    let world = world();
    let canary = settings(TrialKind::Canary, 0.5);
    for (version, words) in [("1", "nothing to try"), ("another", "other inputs or outputs"), ("unknown", "none")] {
        let error = world.try_version(version, canary).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
    for share in [0.0, -0.1, 1.1, f64::NAN] {
        let error = world.try_version("same", TrialSettings { share, ..canary }).unwrap_err();
        assert!(error.message.contains("`share`"), "{error}");
    }
    let guard = Guard { latency_ratio_max: 0.5, ..Guard::default() };
    assert!(
        world.try_version("same", TrialSettings { guard, ..canary }).unwrap_err().message.contains("latency_ratio_max")
    );
    assert_eq!(world.inference.trial(TENANT(), "toy").unwrap_err().kind, ErrorKind::NotFound);

    // A version of another name, ended by hand; what it found can still be read.
    let begun = now(world.inference.begin_trial(TENANT(), "toy", ("other", None), canary)).unwrap();
    assert_eq!((begun.version.as_str(), begun.control_version.as_str()), ("higher", "1"));
    (0..20).for_each(|key| drop(world.ask(key, |_| 10).unwrap()));
    let ended = world.inference.end_trial(TENANT(), "toy").unwrap();
    assert!(ended.stopped.as_ref().unwrap().why.contains("by hand"));
    assert!((0..20).all(|key| world.ask(key, |_| 10).unwrap() == "1"));
    assert_eq!(world.report(), ended);
}
