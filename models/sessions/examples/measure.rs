//! Judges the session recommender on the public session data, all test cases, and measures CPU time per prediction; chooses nothing on test.
//!
//! `measure [choose]` prints one JSON line for each data set. With `choose` the settings are searched on the last twentieth
//! of the training sessions first, which takes minutes; without it they are those found so.

#[path = "../tests/sessions/load.rs"]
mod load;
#[path = "../tests/sessions/tuned.rs"]
mod tuned;

use dhow_sessions::baseline::{Markov, Popularity, VmisKnn, VmisSettings};
use dhow_sessions::{
    Accuracy, Case, Exclude, LiveIndex, Predictor, Request, Scratch, Session, SessionIndex, SessionsError, Settings,
    cases_of, choose_settings, evaluate, mrr_gain, split_validation,
};
use load::DataSet;

/// Validation cases that settings are compared on, at most.
const VALIDATION_CASES: usize = 12_000;
const ROUNDS: usize = 4;

fn main() -> Result<(), SessionsError> {
    let choose = std::env::args().any(|argument| argument == "choose");
    let sets = [
        ("diginetica", load::parquet_set("diginetica"), tuned::DIGINETICA),
        ("yoochoose1_64", load::parquet_set("yoochoose1_64"), tuned::YOOCHOOSE),
        ("serenade_example", load::serenade_example(), tuned::SERENADE_EXAMPLE),
    ];
    for (name, set, tuned) in sets {
        match set {
            Some(set) => measure(name, &set, &tuned, choose)?,
            None => println!("SKIPPED: {name}: data folder absent"),
        }
    }
    Ok(())
}

fn measure(name: &str, set: &DataSet, tuned: &Settings, choose: bool) -> Result<(), SessionsError> {
    let train: Vec<Session<'_>> = set.train.iter().map(|(items, time)| Session { items, time: *time }).collect();
    let cases: Vec<Case<'_>> =
        set.test.iter().map(|(prefix, next, session)| Case { prefix, next: *next, session: *session }).collect();
    let settings = if choose { chosen(&train, &tuned::with_span(tuned, set))? } else { tuned::with_span(tuned, set) };
    let before = cpu_nanos();
    let index = SessionIndex::build(&train, &settings)?;
    let build_ms = (cpu_nanos() - before) as f64 / 1e6;
    let ours = evaluate(&index, &cases, 20)?;
    let vmis = VmisKnn::new(&train, VmisSettings::default());
    let published = evaluate(&vmis, &cases, 20)?;
    let markov = evaluate(&Markov::new(&train, 21), &cases, 20)?;
    let popular = evaluate(&Popularity::new(&train, 21), &cases, 20)?;
    let gain = mrr_gain(&ours.never_current, &published.never_current, &cases, 1)?;
    let [observe_us, live_us, merge_ms] = live_figures(&train, &settings, &cases)?;
    let mut scratch = Scratch::new();
    let show = |a: &Accuracy| format!("{{\"hr\": {:.4}, \"mrr\": {:.4}}}", a.hit_rate, a.mrr);
    println!(
        "{{\"data\": \"{name}\", \"sessions\": {}, \"cases\": {}, \"never_current\": {}, \"current_allowed\": {}, \
         \"vmis_never_current\": {}, \"markov_current_allowed\": {}, \"popularity_current_allowed\": {}, \
         \"mrr_gain_percent\": [{:.2}, {:.2}, {:.2}], \"build_ms\": {build_ms:.0}, \"ours_cpu_us\": {:.2}, \
         \"vmis_cpu_us\": {:.2}, \"observe_cpu_us\": {observe_us:.2}, \"live_cpu_us\": {live_us:.2}, \"merge_ms\": {merge_ms:.0}}}",
        index.session_count(),
        cases.len(),
        show(&ours.never_current),
        show(&ours.current_allowed),
        show(&published.never_current),
        show(&markov.current_allowed),
        show(&popular.current_allowed),
        100.0 * gain.low,
        100.0 * gain.mean,
        100.0 * gain.high,
        cpu_us(&cases, |request, out| index.predict(&mut scratch, request, |_| true, out))?,
        cpu_us(&cases[..cases.len().min(5_000)], |request, out| vmis.predict(&mut (), request, out))?,
    );
    Ok(())
}

fn chosen(train: &[Session<'_>], start: &Settings) -> Result<Settings, SessionsError> {
    let (rest, validation) = split_validation(train, 0.05);
    let cases = cases_of(&validation);
    let sample: Vec<Case<'_>> = cases.iter().step_by(cases.len().div_ceil(VALIDATION_CASES)).copied().collect();
    let choice = choose_settings(&rest, &sample, start, ROUNDS)?;
    println!(
        "{} trials, goal {:.4} to {:.4}: {:?}",
        choice.trials.len(),
        choice.trials[0].goal,
        choice.best.goal,
        choice.best.settings
    );
    Ok(choice.best.settings)
}

/// The last twentieth of training arrives click by click: CPU microseconds per click, per prediction over base and delta, and
/// milliseconds of the merge.
fn live_figures(train: &[Session<'_>], settings: &Settings, cases: &[Case<'_>]) -> Result<[f64; 3], SessionsError> {
    let (base, fresh) = split_validation(train, 0.05);
    let live = LiveIndex::new(SessionIndex::build(&base, settings)?);
    let clicks: usize = fresh.iter().map(|session| session.items.len()).sum();
    let before = cpu_nanos();
    for (key, session) in fresh.iter().enumerate() {
        for item in session.items {
            live.observe(key as u128, *item, session.time)?;
        }
    }
    let observe_us = (cpu_nanos() - before) as f64 / 1e3 / clicks as f64;
    let mut scratch = Scratch::new();
    let predict_us = cpu_us(cases, |request, out| live.predict(&mut scratch, None, request, |_| true, out))?;
    let before = cpu_nanos();
    live.merge(i64::MAX)?;
    Ok([observe_us, predict_us, (cpu_nanos() - before) as f64 / 1e6])
}

/// Mean CPU microseconds of this thread per prediction of 20 items, after one round to warm up.
fn cpu_us(
    cases: &[Case<'_>],
    mut predict: impl FnMut(&Request<'_>, &mut Vec<(u32, f32)>) -> Result<(), SessionsError>,
) -> Result<f64, SessionsError> {
    let mut out = Vec::new();
    let mut before = 0;
    for round in 0..2 {
        if round == 1 {
            before = cpu_nanos();
        }
        for case in cases {
            predict(&Request { session: case.prefix, exclude: Exclude::Current, count: 20 }, &mut out)?;
        }
    }
    Ok((cpu_nanos() - before) as f64 / 1e3 / cases.len() as f64)
}

/// Nanoseconds that this thread has spent on a CPU, as Linux counts them; 0 elsewhere.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
