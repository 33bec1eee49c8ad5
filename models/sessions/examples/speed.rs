//! Times predictions on the public session data, one after the other on one thread, for runs beside another program; judges nothing else.
//!
//! `speed write SET FOLDER` writes what the other program reads: `train.tsv` (session, item, time; one line a click) and
//! `cases.txt` (the next item, then the session so far; one line a case). `speed predict SET [NEIGHBOURS SESSIONS_PER_ITEM
//! LAST_ITEMS]` predicts every case from the index alone; `speed live SET` predicts with the last twentieth of training in
//! the delta, then again while merges run one after the other. SET is diginetica or yoochoose1_64. The last line is
//! `RESULT {json}`.

#[expect(dead_code, reason = "the sets with clicks as text are read elsewhere")]
#[path = "../tests/sessions/load.rs"]
mod load;
#[expect(dead_code, reason = "settings of such a set")]
#[path = "../tests/sessions/tuned.rs"]
mod tuned;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use dhow_sessions::{
    Exclude, LiveIndex, Request, Scratch, Session, SessionIndex, SessionsError, Settings, split_validation,
};
use load::DataSet;

/// Items in an answer.
const CUTOFF: usize = 20;
const USAGE: &str =
    "speed write SET FOLDER | speed predict SET [NEIGHBOURS SESSIONS_PER_ITEM LAST_ITEMS] | speed live SET";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("speed: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let set = |name: &str| load::parquet_set(name).ok_or_else(|| format!("{name} is not in the data folder"));
    match arguments {
        ["write", name, folder] => write(&set(name)?, Path::new(folder)),
        ["predict", name, numbers @ ..] => predict(name, &set(name)?, numbers),
        ["live", name] => live(name, &set(name)?),
        _ => Err(USAGE.into()),
    }
}

fn write(set: &DataSet, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut train = String::from("SessionId\tItemId\tTime\n");
    for (session, (items, time)) in set.train.iter().enumerate() {
        for item in items {
            writeln!(train, "{session}\t{item}\t{time}")?;
        }
    }
    let mut cases = String::new();
    for (prefix, next, _) in &set.test {
        write!(cases, "{next}")?;
        for item in prefix {
            write!(cases, " {item}")?;
        }
        cases.push('\n');
    }
    std::fs::write(folder.join("train.tsv"), train)?;
    Ok(std::fs::write(folder.join("cases.txt"), cases)?)
}

fn predict(name: &str, set: &DataSet, numbers: &[&str]) -> Result<(), Box<dyn Error>> {
    let mut settings = settings(name, set);
    match numbers.iter().map(|number| number.parse()).collect::<Result<Vec<usize>, _>>()?[..] {
        [] => {}
        [neighbours, sessions_per_item, last_items] => {
            settings = Settings { neighbours, sessions_per_item, last_items, ..settings };
        }
        _ => return Err(USAGE.into()),
    }
    let index = SessionIndex::build(&sessions(set), &settings)?;
    let mut scratch = Scratch::new();
    let mut ask = |request: &Request<'_>, out: &mut Vec<_>| index.predict(&mut scratch, request, |_| true, out);
    time_cases(set, &mut ask)?;
    println!("RESULT {{{}}}", time_cases(set, &mut ask)?.figures(""));
    Ok(())
}

fn live(name: &str, set: &DataSet) -> Result<(), Box<dyn Error>> {
    let train = sessions(set);
    let (base, fresh) = split_validation(&train, 0.05);
    let live = LiveIndex::new(SessionIndex::build(&base, &settings(name, set))?);
    let clicks: usize = fresh.iter().map(|session| session.items.len()).sum();
    let before = cpu_nanos();
    for (key, session) in fresh.iter().enumerate() {
        for item in session.items {
            live.observe(key as u128, *item, session.time)?;
        }
    }
    let observe_us = (cpu_nanos() - before) as f64 / 1e3 / clicks as f64;
    let mut scratch = Scratch::new();
    let mut ask = |request: &Request<'_>, out: &mut Vec<_>| live.predict(&mut scratch, None, request, |_| true, out);
    time_cases(set, &mut ask)?;
    let with_delta = time_cases(set, &mut ask)?;
    // Merges that move no session rebuild the base all the same, one after the other beside the predictions.
    let done = AtomicBool::new(false);
    let (during_merge, merges) = std::thread::scope(|scope| {
        let merging = scope.spawn(|| -> Result<u32, SessionsError> {
            let mut merges = 0;
            while !done.load(Ordering::Relaxed) {
                live.merge(i64::MIN)?;
                merges += 1;
            }
            Ok(merges)
        });
        let timed = time_cases(set, &mut ask);
        done.store(true, Ordering::Relaxed);
        let merges = merging.join().map_err(|_| "the merging thread has panicked")??;
        Ok::<_, Box<dyn Error>>((timed?, merges))
    })?;
    println!(
        "RESULT {{\"delta_sessions\": {}, \"observe_cpu_us\": {observe_us:.3}, {}, {}, \"merges\": {merges}}}",
        live.delta_sessions(),
        with_delta.figures("delta_"),
        during_merge.figures("merging_"),
    );
    Ok(())
}

fn sessions(set: &DataSet) -> Vec<Session<'_>> {
    set.train.iter().map(|(items, time)| Session { items, time: *time }).collect()
}

fn settings(name: &str, set: &DataSet) -> Settings {
    let tuned = if name == "diginetica" { tuned::DIGINETICA } else { tuned::YOOCHOOSE };
    tuned::with_span(&tuned, set)
}

/// What a round over all cases took and reached under the rule that the current item is never answered.
struct Round {
    cpu_s: f64,
    /// Ascending.
    latencies_ns: Vec<u64>,
    hits: usize,
    reciprocal_ranks: f64,
}

impl Round {
    fn figures(&self, prefix: &str) -> String {
        let cases = self.latencies_ns.len();
        let quantile = |share: f64| self.latencies_ns[((cases as f64 * share) as usize).min(cases - 1)] as f64 / 1e3;
        format!(
            "\"{prefix}predictions\": {cases}, \"{prefix}prediction_cpu_s\": {:.4}, \"{prefix}predictions_per_cpu_s\": {:.0}, \
             \"{prefix}latency_us_p50\": {:.2}, \"{prefix}latency_us_p99\": {:.2}, \"{prefix}hit_rate_20\": {:.4}, \
             \"{prefix}mrr_20\": {:.4}",
            self.cpu_s,
            cases as f64 / self.cpu_s,
            quantile(0.5),
            quantile(0.99),
            self.hits as f64 / cases as f64,
            self.reciprocal_ranks / cases as f64,
        )
    }
}

fn time_cases(
    set: &DataSet,
    mut ask: impl FnMut(&Request<'_>, &mut Vec<(u32, f32)>) -> Result<(), SessionsError>,
) -> Result<Round, SessionsError> {
    let mut round =
        Round { cpu_s: 0.0, latencies_ns: Vec::with_capacity(set.test.len()), hits: 0, reciprocal_ranks: 0.0 };
    let mut out = Vec::with_capacity(CUTOFF);
    let before = cpu_nanos();
    for (prefix, next, _) in &set.test {
        let begin = Instant::now();
        ask(&Request { session: prefix, exclude: Exclude::Current, count: CUTOFF }, &mut out)?;
        round.latencies_ns.push(begin.elapsed().as_nanos() as u64);
        if let Some(place) = out.iter().position(|(item, _)| item == next) {
            round.hits += 1;
            round.reciprocal_ranks += 1.0 / (place + 1) as f64;
        }
    }
    round.cpu_s = (cpu_nanos() - before) as f64 / 1e9;
    round.latencies_ns.sort_unstable();
    Ok(round)
}

/// Nanoseconds that this thread has spent on a CPU, as Linux counts them; 0 elsewhere.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
}
