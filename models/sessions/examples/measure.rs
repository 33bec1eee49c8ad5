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
    Accuracy, Case, Exclude, Predictor, Request, Scratch, Session, SessionIndex, SessionsError, Settings, cases_of,
    choose_settings, evaluate, mrr_gain, split_validation,
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
    let vmis = evaluate(&VmisKnn::new(&train, VmisSettings::default()), &cases, 20)?;
    let markov = evaluate(&Markov::new(&train, 21), &cases, 20)?;
    let popular = evaluate(&Popularity::new(&train, 21), &cases, 20)?;
    let gain = mrr_gain(&ours.never_current, &vmis.never_current, &cases, 1)?;
    let show = |a: &Accuracy| format!("{{\"hr\": {:.4}, \"mrr\": {:.4}}}", a.hit_rate, a.mrr);
    println!(
        "{{\"data\": \"{name}\", \"sessions\": {}, \"cases\": {}, \"never_current\": {}, \"current_allowed\": {}, \
         \"vmis_never_current\": {}, \"markov_current_allowed\": {}, \"popularity_current_allowed\": {}, \
         \"mrr_gain_percent\": [{:.2}, {:.2}, {:.2}], \"build_ms\": {build_ms:.0}, \"ours_cpu_us\": {:.2}, \
         \"vmis_cpu_us\": {:.2}}}",
        index.session_count(),
        cases.len(),
        show(&ours.never_current),
        show(&ours.current_allowed),
        show(&vmis.never_current),
        show(&markov.current_allowed),
        show(&popular.current_allowed),
        100.0 * gain.low,
        100.0 * gain.mean,
        100.0 * gain.high,
        cpu_us(&index, &mut Scratch::new(), &cases)?,
        cpu_us(&VmisKnn::new(&train, VmisSettings::default()), &mut (), &cases[..cases.len().min(5_000)])?,
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

/// Mean CPU microseconds of this thread per prediction of 20 items, after one round to warm up.
fn cpu_us<P: Predictor>(predictor: &P, memory: &mut P::Memory, cases: &[Case<'_>]) -> Result<f64, SessionsError> {
    let mut out = Vec::new();
    let mut before = 0;
    for round in 0..2 {
        if round == 1 {
            before = cpu_nanos();
        }
        for case in cases {
            let request = Request { session: case.prefix, exclude: Exclude::Current, count: 20 };
            predictor.predict(memory, &request, &mut out)?;
        }
    }
    Ok((cpu_nanos() - before) as f64 / 1e3 / cases.len() as f64)
}

/// Nanoseconds that this thread has spent on a CPU, as Linux counts them; 0 elsewhere.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
