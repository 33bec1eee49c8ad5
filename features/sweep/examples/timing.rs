//! Times sweeps of random events on this machine; it checks no result.
//!
//! `RAYON_NUM_THREADS=1 cargo run --release -p dhow-sweep --example timing -- [part of a label]`

use std::hint::black_box;
use std::time::Instant;

use dhow_definitions::FeatureSet;
use dhow_events::{DAY_MICROS, SECOND_MICROS};
use dhow_sweep::{CellColumn, DenseEntities, Events, Points, densify, sweep};
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

const RUNS: usize = 5;
const WINDOWS: &str = r#"windows = ["1h", "1d", "7d", "30d"]"#;

/// The time that all threads of this process have spent on a processor so far.
fn processor_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let of_task = |path: std::path::PathBuf| -> Option<f64> {
        let text = std::fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    tasks.filter_map(|task| of_task(task.ok()?.path())).sum::<f64>() / 1e9
}

fn time(label: &str, mut work: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|wanted| !label.contains(&wanted)) {
        return;
    }
    let mut runs = [(); RUNS].map(|()| {
        let (start, start_processor) = (Instant::now(), processor_seconds());
        work();
        (start.elapsed().as_secs_f64(), processor_seconds() - start_processor)
    });
    runs.sort_by(|left, right| left.0.total_cmp(&right.0));
    let wall = runs[RUNS / 2].0;
    runs.sort_by(|left, right| left.1.total_cmp(&right.1));
    let processor = runs[RUNS / 2].1;
    println!("{label:62} median {wall:.4} s, processor {processor:.4} s");
}

fn time_sweep(label: &str, set: &FeatureSet, events: &Events<'_>, points: &Points<'_>) {
    time(label, || {
        black_box(sweep(&set.views()[0], events, points).unwrap());
    });
}

/// A set of one view; its source has the columns that the timing needs.
fn set(source: &str, features: &[String]) -> FeatureSet {
    let features = features.join(", ");
    let head = "name = \"timing\"\nversion = 1\n[[view]]\nname = \"v\"\nentity = [\"buyer\"]";
    FeatureSet::from_toml(&format!("{head}\nsource = \"{source}\"\nfeatures = [{features}]\n")).unwrap()
}

fn of(column: &str, aggregates: &str, windows: &str) -> String {
    format!("{{ column = \"{column}\", aggregates = [{aggregates}], {windows} }}")
}

fn count(windows: &str) -> String {
    format!("{{ aggregates = [\"count\"], {windows} }}")
}

fn numbered(events: &[u128], points: &[u128]) -> DenseEntities {
    densify(events.iter().copied().map(Some), points.iter().copied().map(Some)).unwrap()
}

fn main() {
    for (rows, points, entities) in [
        (2_000_000, 200_000, 20_000),
        (200_000, 20_000, 2_000),
        (2_000_000, 200_000, 200_000),
        (2_000_000, 200_000, 500),
    ] {
        Data::new(rows, points, entities).time_all();
    }
    handbook();
}

/// Random events and points over 90 days.
struct Data {
    keys: Vec<u128>,
    times: Vec<i64>,
    unsorted_times: Vec<i64>,
    /// 1 % up to three days late, the others acknowledged after 5 ms.
    known_times: Vec<i64>,
    ids: Vec<u128>,
    whole: Vec<i64>,
    cents: Vec<f64>,
    tokens: Vec<u128>,
    point_keys: Vec<u128>,
    at: Vec<i64>,
}

impl Data {
    fn new(rows: usize, points: usize, entities: u128) -> Self {
        println!("{rows} events, {points} points, {entities} entities, 90 days");
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let unsorted_times: Vec<i64> = (0..rows).map(|_| random.random_range(0..90 * DAY_MICROS)).collect();
        let mut times = unsorted_times.clone();
        times.sort_unstable();
        let late = |random: &mut ChaCha8Rng| match random.random_bool(0.01) {
            true => random.random_range(0..3 * DAY_MICROS),
            false => 5_000,
        };
        let whole: Vec<i64> = (0..rows).map(|_| random.random_range(100..100_000)).collect();
        Self {
            keys: (0..rows).map(|_| random.random_range(0..entities) << 64 | 7).collect(),
            known_times: times.iter().map(|&time| time + late(&mut random)).collect(),
            ids: (0..rows).map(|_| random.random()).collect(),
            cents: whole.iter().map(|&value| value as f64 / 100.0).collect(),
            tokens: whole.iter().map(|&value| u128::from(value.unsigned_abs() % 50)).collect(),
            point_keys: (0..points).map(|_| random.random_range(0..entities) << 64 | 7).collect(),
            at: (0..points).map(|_| random.random_range(0..90 * DAY_MICROS)).collect(),
            times,
            unsorted_times,
            whole,
        }
    }

    fn time_all(&self) {
        time("number the entities", || {
            black_box(numbered(&self.keys, &self.point_keys));
        });
        let dense = numbered(&self.keys, &self.point_keys);
        let points = Points { entities: &dense.points, at: &self.at };
        let events = Events {
            entities: &dense.events,
            entity_count: dense.count,
            event_times: &self.times,
            known_times: None,
            ids: None,
            columns: &[],
        };
        time_sweep("count", &set("checkout_submitted", &[count(WINDOWS)]), &events, &points);
        self.time_integers(&events, &points);
        self.time_floats(&events, &points);
        self.time_tokens(&events, &points);
    }

    fn time_integers(&self, events: &Events<'_>, points: &Points<'_>) {
        let events = Events { columns: &[CellColumn::Integer { values: &self.whole, valid: None }], ..*events };
        for aggregates in [r#""sum", "mean""#, r#""sum", "mean", "max""#, r#""variance""#] {
            let features = [count(WINDOWS), of("total_usd_minor", aggregates, WINDOWS)];
            time_sweep(
                &format!("integers: count {aggregates}"),
                &set("checkout_submitted", &features),
                &events,
                points,
            );
        }
    }

    fn time_floats(&self, events: &Events<'_>, points: &Points<'_>) {
        let events = Events { columns: &[CellColumn::Float { values: &self.cents, valid: None }], ..*events };
        let one = |aggregates| set("fraud_scored", &[count(WINDOWS), of("probability", aggregates, WINDOWS)]);
        let common = one(r#""sum", "mean", "max""#);
        time_sweep("floats: count sum mean max", &common, &events, points);
        time_sweep(
            "floats: the same, unsorted",
            &common,
            &Events { event_times: &self.unsorted_times, ..events },
            points,
        );
        time_sweep("floats: the same, with ids", &common, &Events { ids: Some(&self.ids), ..events }, points);
        let late = Events { known_times: Some(&self.known_times), ..events };
        time_sweep("floats: the same, 1 % late", &common, &late, points);
        time_sweep("floats: count sum mean max at events", &common, &events, &Points::at_events(&events));
        for aggregates in
            [r#""first", "last""#, r#""variance""#, r#""decayed_sum_1d""#, r#""last_3""#, r#""quantile_50""#]
        {
            time_sweep(&format!("floats: count {aggregates}"), &one(aggregates), &events, points);
        }
    }

    fn time_tokens(&self, events: &Events<'_>, points: &Points<'_>) {
        let events = Events { columns: &[CellColumn::Token { values: &self.tokens, valid: None }], ..*events };
        for aggregates in [r#""distinct_count""#, r#""approx_distinct_count""#, r#""top_3""#] {
            let set = set("checkout_submitted", &[of("card", aggregates, WINDOWS)]);
            time_sweep(&format!("tokens: {aggregates}"), &set, &events, points);
        }
    }
}

/// The shape of the Fraud Detection Handbook's data: transactions of 4 990 customers at 10 000 terminals over 122 days.
fn handbook() {
    const ROWS: usize = 1_170_000;
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let customers: Vec<u128> = (0..ROWS).map(|_| random.random_range(0..4_990)).collect();
    let terminals: Vec<u128> = (0..ROWS).map(|_| random.random_range(0..10_000)).collect();
    let mut times: Vec<i64> = (0..ROWS).map(|_| random.random_range(0..122 * 86_400) * SECOND_MICROS).collect();
    times.sort_unstable();
    let amounts: Vec<f64> = (0..ROWS).map(|_| f64::from(random.random_range(1..20_000)) / 100.0).collect();
    let frauds: Vec<i64> = (0..ROWS).map(|_| i64::from(random.random_bool(0.008))).collect();
    let windows = r#"windows = ["1d", "7d", "30d"]"#;
    let delayed = format!("{windows}, delay = \"7d\"");
    let customer = set("fraud_scored", &[count(windows), of("probability", "\"mean\"", windows)]);
    let terminal = set("checkout_submitted", &[count(&delayed), of("total_usd_minor", "\"mean\"", &delayed)]);
    time("handbook: both views at each transaction, numbering included", || {
        for (set, keys, column) in [
            (&customer, &customers, CellColumn::Float { values: &amounts, valid: None }),
            (&terminal, &terminals, CellColumn::Integer { values: &frauds, valid: None }),
        ] {
            let dense = numbered(keys, &[]);
            let events = Events {
                entities: &dense.events,
                entity_count: dense.count,
                event_times: &times,
                known_times: None,
                ids: None,
                columns: &[column],
            };
            black_box(sweep(&set.views()[0], &events, &Points::at_events(&events)).unwrap());
        }
    });
}
