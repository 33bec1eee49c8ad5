//! `dhow evaluate recommend --protocol sessions`: the session recommender on files of clicks, beside published baselines.

use std::path::Path;

use dhow_datasets::session_files::{ClickSession, ItemNumbers, NextItem, cases_of, read_cases, read_sessions};
use dhow_sessions::baseline::{Markov, Popularity, VmisKnn, VmisSettings};
use dhow_sessions::{
    Case, Interval, Predictor, Report, Session, SessionIndex, Settings, choose_settings, evaluate, mrr_gain,
};
use serde::Serialize;

use crate::arguments::EvaluateArguments;
use crate::failure::Failure;
use crate::output::{json, progress, table, thousands};

/// The rank beyond which an answer is a miss.
const CUTOFF: usize = 20;
/// The share of the training sessions, the latest, that settings are chosen on where no file is named for it.
const VALIDATION_SHARE: f64 = 0.05;
/// Settings are chosen on at most so many cases, spread evenly.
const VALIDATION_CASES_MAX: usize = 4_000;
/// Rounds of the search for settings.
const ROUNDS: usize = 3;
/// The first half-life that is tried, in spans of the training data.
const HALF_LIFE_SPANS: f64 = 1.5;

/// Figures of one method.
#[derive(Serialize)]
struct Figures {
    method: &'static str,
    hit_rate: f64,
    mrr: f64,
    /// Nothing where the method never answers the current item.
    hit_rate_current_allowed: Option<f64>,
    mrr_current_allowed: Option<f64>,
}

/// What the command found.
#[derive(Serialize)]
struct Evaluated {
    training_sessions: usize,
    validation_cases: usize,
    test_cases: usize,
    cutoff: usize,
    trials: usize,
    figures: Vec<Figures>,
    /// The MRR beside that of VMIS-kNN, the current item never answered: the ratio less 1 with its 95 % interval.
    mrr_gain_over_vmis_knn: [f64; 3],
}

/// Runs the command.
///
/// # Errors
/// Files that are missing or of another format, or nothing to predict.
pub fn run(arguments: &EvaluateArguments) -> Result<(), Failure> {
    let needed = |name: &str| Failure::Input(format!("--protocol sessions needs --{name} FILE"));
    let train_path = arguments.train.as_deref().ok_or_else(|| needed("train"))?;
    let test_path = arguments.test.as_deref().ok_or_else(|| needed("test"))?;
    let mut numbers = ItemNumbers::default();
    let train = read_sessions(train_path, &mut numbers).map_err(Failure::input)?;
    let (fit, validation) = validation_of(&train, arguments.valid.as_deref(), &mut numbers)?;
    let test = read_cases(test_path, &mut numbers).map_err(Failure::input)?;

    let bar = progress("choose settings and judge", 2);
    let span = train.last().map_or(0, |last| last.time) - train.first().map_or(0, |first| first.time);
    let start = Settings { half_life: HALF_LIFE_SPANS * (span as f64).max(1.0), ..Settings::default() };
    let choice = choose_settings(&sessions(fit), &cases(&validation), &start, ROUNDS).map_err(Failure::input)?;
    bar.inc(1);
    let evaluated = judge(&train, &test, &choice.best.settings, validation.len(), choice.trials.len(), arguments.seed)?;
    bar.finish_and_clear();
    if arguments.json {
        return json(&evaluated);
    }
    print(&evaluated);
    Ok(())
}

/// What settings are learned on and what they are chosen on: another file, or the last part of the training sessions.
fn validation_of<'a>(
    train: &'a [ClickSession],
    path: Option<&Path>,
    numbers: &mut ItemNumbers,
) -> Result<(&'a [ClickSession], Vec<NextItem>), Failure> {
    let (fit, cases) = match path {
        Some(path) => (train, cases_of(&read_sessions(path, numbers).map_err(Failure::input)?)),
        None => {
            let cut = (train.len() as f64 * (1.0 - VALIDATION_SHARE)) as usize;
            (&train[..cut], cases_of(&train[cut..]))
        }
    };
    let step = cases.len().div_ceil(VALIDATION_CASES_MAX).max(1);
    Ok((fit, cases.into_iter().step_by(step).collect()))
}

fn judge(
    train: &[ClickSession],
    test: &[NextItem],
    settings: &Settings,
    validation_cases: usize,
    trials: usize,
    seed: u64,
) -> Result<Evaluated, Failure> {
    let (learned, cases) = (sessions(train), cases(test));
    let ours = report(&SessionIndex::build(&learned, settings).map_err(Failure::input)?, &cases)?;
    let vmis = report(&VmisKnn::new(&learned, VmisSettings::default()), &cases)?;
    let markov = report(&Markov::new(&learned, CUTOFF + 1), &cases)?;
    let popular = report(&Popularity::new(&learned, CUTOFF + 1), &cases)?;
    let Interval { low, mean, high } =
        mrr_gain(&ours.never_current, &vmis.never_current, &cases, seed).map_err(Failure::input)?;
    Ok(Evaluated {
        training_sessions: train.len(),
        validation_cases,
        test_cases: test.len(),
        cutoff: CUTOFF,
        trials,
        figures: vec![
            figures("sessions", &ours, true),
            figures("VMIS-kNN", &vmis, false),
            figures("last-item Markov", &markov, true),
            figures("popularity", &popular, true),
        ],
        mrr_gain_over_vmis_knn: [mean, low, high],
    })
}

fn report<P: Predictor>(predictor: &P, cases: &[Case<'_>]) -> Result<Report, Failure> {
    evaluate(predictor, cases, CUTOFF).map_err(Failure::input)
}

fn figures(method: &'static str, report: &Report, answers_current: bool) -> Figures {
    Figures {
        method,
        hit_rate: report.never_current.hit_rate,
        mrr: report.never_current.mrr,
        hit_rate_current_allowed: answers_current.then_some(report.current_allowed.hit_rate),
        mrr_current_allowed: answers_current.then_some(report.current_allowed.mrr),
    }
}

fn sessions(clicks: &[ClickSession]) -> Vec<Session<'_>> {
    clicks.iter().map(|session| Session { items: &session.items, time: session.time }).collect()
}

fn cases(nexts: &[NextItem]) -> Vec<Case<'_>> {
    nexts.iter().map(|case| Case { prefix: &case.prefix, next: case.next, session: case.session }).collect()
}

fn print(evaluated: &Evaluated) {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let row = |one: &Figures| {
        vec![
            one.method.to_owned(),
            format!("{:.4}", one.hit_rate),
            format!("{:.4}", one.mrr),
            shown(one.hit_rate_current_allowed),
            shown(one.mrr_current_allowed),
        ]
    };
    let header = ["method", "HR@20", "MRR@20", "HR@20, current item allowed", "MRR@20, current item allowed"];
    println!("{}", table(&header, &evaluated.figures.iter().map(row).collect::<Vec<_>>(), true));
    let [mean, low, high] = evaluated.mrr_gain_over_vmis_knn.map(|share| share * 100.0);
    println!(
        "MRR {mean:+.1} % [{low:+.1}, {high:+.1}] beside VMIS-kNN; {} test cases, {} training sessions; settings by {} trials on {} validation cases",
        thousands(evaluated.test_cases as u64),
        thousands(evaluated.training_sessions as u64),
        evaluated.trials,
        thousands(evaluated.validation_cases as u64),
    );
}
