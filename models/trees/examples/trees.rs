//! Dhow's side of benches/trees.sh: `trees generate FILE`, `trees train|predict|reasons FILE`; one `RESULT {json}` line each.
//!
//! A file is numbers of 8 bytes, little end first: how many features a row has, how many rows are trained on, and the
//! rows, each with its label last. The others are held out.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use dhow_trees::{Column, Growth, Kind, Learned, Loss, Predictor, Reasons, Scratch, Settings, TrainingData, learn};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FEATURES: usize = 15;
const ROWS: usize = 100_500;
const TRAINING_ROWS: usize = 67_000;
const ROWS_TIMED: usize = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["generate", file] => generate(file),
        ["train", file] => train(file),
        ["predict", file] => predict(file),
        ["reasons", file] => reasons(file),
        _ => Err("trees generate|train|predict|reasons FILE".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Payments with amounts, counts, shares and flags, of which about 1 % are fraud by thresholds and pairs of them.
fn generate(file: &str) -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut written = std::io::BufWriter::new(std::fs::File::create(file)?);
    let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    for count in [FEATURES, TRAINING_ROWS] {
        written.write_all(&(count as f64).to_le_bytes())?;
    }
    for _ in 0..ROWS {
        let mut row = [0.0; FEATURES];
        for (feature, value) in row.iter_mut().enumerate() {
            *value = match feature {
                0..4 => (normal() + 3.0).exp(),
                4..9 => (normal() * 2.0 + 3.0).max(0.0).floor(),
                9..12 => 1.0 / (1.0 + normal().exp()),
                12 | 13 => f64::from(normal() > 0.5),
                _ => normal(),
            };
        }
        let mut margin = -6.5 + 1.2 * (row[0].ln() - 3.0) + 0.3 * row[4] - 1.5 * row[9] + 0.8 * row[12];
        margin += if row[1] > 40.0 && row[5] > 5.0 { 3.0 } else { 0.0 }
            + if row[10] > 0.8 && row[13] > 0.0 { 2.0 } else { 0.0 };
        margin += row[14] * (row[11] - 0.5) * 2.0;
        let label = f64::from(normal() * 0.6 + margin > -2.0);
        for value in row.iter().chain([&label]) {
            written.write_all(&value.to_le_bytes())?;
        }
    }
    Ok(written.flush()?)
}

/// Rows that follow each other, and their labels.
#[derive(Default)]
struct Rows {
    features: usize,
    values: Vec<f64>,
    labels: Vec<f64>,
}

/// The rows of a file to train on, and those that are held out.
fn load(file: &str) -> Result<(Rows, Rows), Box<dyn Error>> {
    let bytes = std::fs::read(file)?;
    let numbers: Vec<f64> = bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    let [features, training_rows, table @ ..] = numbers.as_slice() else {
        return Err(format!("{file} is too short to be a table").into());
    };
    let (features, training_rows) = (*features as usize, *training_rows as usize);
    let mut parts = [features, features].map(|features| Rows { features, ..Rows::default() });
    for (at, row) in table.chunks_exact(features + 1).enumerate() {
        let part = &mut parts[usize::from(at >= training_rows)];
        part.values.extend(&row[..features]);
        part.labels.extend(&row[features..]);
    }
    let [training, held_out] = parts;
    Ok((training, held_out))
}

fn fit(rows: &Rows, depth: usize, rounds: usize) -> Result<Learned, Box<dyn Error>> {
    let names: Vec<String> = (0..rows.features).map(|feature| format!("f{feature}")).collect();
    let column = |feature| rows.values.iter().skip(feature).step_by(rows.features).copied().collect();
    let values: Vec<Vec<f64>> = (0..rows.features).map(column).collect();
    let columns = names.iter().zip(&values).map(|(name, values)| Column { name, values, kind: Kind::Number });
    let columns: Vec<Column> = columns.collect();
    let data = TrainingData { columns: &columns, labels: &rows.labels, weights: None, groups: None };
    let growth = Growth::DepthWise;
    let settings =
        Settings { rounds, max_depth: depth, max_leaves: 1 << depth, growth, ..Settings::new(Loss::Logistic) };
    Ok(learn(&settings, &data, None)?)
}

/// Trains 200 trees of depth 5 and judges the held-out rows by average precision.
fn train(file: &str) -> Result<(), Box<dyn Error>> {
    let (training, held_out) = load(file)?;
    let (begin, wall) = (cpu_seconds()?, Instant::now());
    let learned = fit(&training, 5, 200)?;
    let (cpu, wall) = (cpu_seconds()? - begin, wall.elapsed().as_secs_f64());
    let mut margins = vec![0.0; held_out.labels.len()];
    Predictor::compile(&learned.forest)?.margins(&held_out.values, &mut margins)?;
    let precision = average_precision(&held_out.labels, &margins);
    let positives: f64 = training.labels.iter().sum();
    println!(
        "RESULT {{\"fit_cpu_s\": {cpu:.3}, \"fit_wall_s\": {wall:.3}, \"ap\": {precision:.5}, \"positives\": {positives}}}"
    );
    Ok(())
}

/// One row at a time, 100 trees of depth 6.
fn predict(file: &str) -> Result<(), Box<dyn Error>> {
    let (training, held_out) = load(file)?;
    let learned = fit(&training, 6, 100)?;
    let predictor = Predictor::compile(&learned.forest)?;
    let mut sum = 0.0;
    let times = each_row(&held_out, |row| {
        sum += predictor.predict(row)?;
        Ok(())
    })?;
    report(times, sum);
    Ok(())
}

/// One row at a time, its prediction and what each feature adds, 200 trees of depth 6.
fn reasons(file: &str) -> Result<(), Box<dyn Error>> {
    let (training, held_out) = load(file)?;
    let learned = fit(&training, 6, 200)?;
    let (predictor, reasons) = (Predictor::compile(&learned.forest)?, Reasons::compile(&learned.forest)?);
    let (mut contributions, mut scratch) = (vec![0.0; training.features], Scratch::default());
    let mut furthest: f64 = 0.0;
    let times = each_row(&held_out, |row| {
        let margin = predictor.margin(row)?;
        reasons.explain(row, &mut contributions, &mut scratch)?;
        let sum = reasons.expected_margin() + contributions.iter().sum::<f64>();
        furthest = furthest.max((sum - margin).abs());
        Ok(())
    })?;
    report(times, furthest);
    Ok(())
}

/// Microseconds that each row takes, in order of size.
fn each_row(rows: &Rows, mut of: impl FnMut(&[f64]) -> Result<(), Box<dyn Error>>) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut times = Vec::new();
    for row in rows.values.chunks_exact(rows.features).take(ROWS_TIMED) {
        let begin = Instant::now();
        of(row)?;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

fn report(times: Vec<f64>, sum: f64) {
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let mean = times.iter().sum::<f64>() / times.len() as f64;
    let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
    println!(
        "RESULT {{\"latency_us_mean\": {mean:.3}, \"latency_us_p50\": {p50:.3}, \"latency_us_p99\": {p99:.3}, \"latency_us_p999\": {p999:.3}, \"sum\": {sum:e}}}"
    );
}

/// Area under precision and recall, rows of equal margin in the order of the file, as scikit-learn's for distinct ones.
fn average_precision(labels: &[f64], margins: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|one, other| margins[*other].total_cmp(&margins[*one]));
    let (mut found, mut sum) = (0.0, 0.0);
    for (place, row) in order.into_iter().enumerate() {
        found += labels[row];
        sum += labels[row] * found / (place + 1) as f64;
    }
    sum / found
}

/// CPU seconds of this process, of all its threads: the kernel counts hundredths.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: Vec<f64> = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / 100.0)
}
