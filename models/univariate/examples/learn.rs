//! Learns the weights of the learned combination: learn [--ridge R] FILE FILE FILE, one file a data set, as `judge` reads them. It
//! first leaves each data set out in turn and prints OWA beside that of the median of three, with a bootstrap interval over series;
//! then it writes the weights learned from all to the standard output as the Rust of `src/weights.rs`.

use dhow_univariate::accuracy::{mase, seasonal_scale, smape};
use dhow_univariate::weighted::{Example, FEATURES, MEMBERS, Members, Weights, learn, mean_loss};
use dhow_univariate::{Method, Naive2, Series, mean};

type Failure = Box<dyn std::error::Error>;

/// Samples of the bootstrap.
const SAMPLES: usize = 1000;

fn main() -> Result<(), Failure> {
    let (mut files, mut ridges) = (Vec::new(), vec![1e-3]);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--ridge" => {
                let list = arguments.next().ok_or("--ridge needs a number")?;
                ridges = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            _ => files.push(argument),
        }
    }
    let sets = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    // The median of three alone.
    let mut median: Weights = [[0.0; FEATURES]; MEMBERS];
    median[MEMBERS - 1][0] = 1e3;
    for ridge in &ridges {
        for (held_out, file) in files.iter().enumerate() {
            let others: Vec<&Example> =
                sets.iter().enumerate().filter(|(set, _)| *set != held_out).flat_map(|(_, set)| set).collect();
            let weights = learn(&others, *ridge);
            let test = &sets[held_out];
            let (before, after) = (mean_loss(&median, test), mean_loss(&weights, test));
            let (low, high) = interval(&median, &weights, test);
            eprintln!(
                "ridge {ridge} without {file}: OWA {after:.4}, median {before:.4}, {:+.2} % ({low:+.2} to {high:+.2})",
                100.0 * (after / before - 1.0)
            );
        }
    }
    let all: Vec<&Example> = sets.iter().flatten().collect();
    let weights = learn(&all, ridges[0]);
    println!(
        "//! Weights of the learned combination, written by the example `learn --ridge {}` from M3, M1 and Tourism.\n",
        ridges[0]
    );
    println!("use crate::weighted::{{FEATURES, MEMBERS}};\n");
    println!("/// One row for each member: its logit's factors for each feature.\n#[rustfmt::skip]");
    println!("pub(crate) const WEIGHTS: [[f64; FEATURES]; MEMBERS] = [");
    for row in weights {
        println!("    [{}],", row.map(|weight| format!("{weight:.3}")).join(", "));
    }
    println!("];");
    Ok(())
}

/// The middle 95 % of the relative change of OWA, in percent, when series are drawn again.
fn interval(median: &Weights, weights: &Weights, test: &[Example]) -> (f64, f64) {
    let one = |weights: &Weights| -> Vec<f64> {
        test.iter().map(|example| mean_loss(weights, std::slice::from_ref(example))).collect()
    };
    let (before, after) = (one(median), one(weights));
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % test.len()
    };
    let mut changes: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let (mut old, mut new) = (0.0, 0.0);
            for _ in 0..test.len() {
                let at = draw();
                old += before[at];
                new += after[at];
            }
            100.0 * (new / old - 1.0)
        })
        .collect();
    changes.sort_by(f64::total_cmp);
    (changes[SAMPLES / 40], changes[SAMPLES - SAMPLES / 40])
}

fn read(file: &str) -> Result<Vec<Example>, Failure> {
    let text = std::fs::read_to_string(file)?;
    let (mut examples, mut errors) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let numbers = |field: &str| field.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>();
        let (season, train, actual) = (fields[2].parse()?, numbers(fields[3])?, numbers(fields[4])?);
        let series = Series::new(&train, season)?;
        let Ok(scale) = seasonal_scale(&train, season) else { continue };
        let naive = Naive2.forecast(&series, actual.len())?.values;
        errors.push((smape(&actual, &naive)?, mase(&train, season, &actual, &naive)?));
        let members = Members::of(&series, actual.len())?;
        examples.push(Example { members, actual, smape_factor: 0.0, mase_factor: 0.5 / scale });
    }
    let naive_smape = mean(&errors.iter().map(|(smape, _)| *smape).collect::<Vec<_>>());
    let naive_mase = mean(&errors.iter().map(|(_, mase)| *mase).collect::<Vec<_>>());
    for example in &mut examples {
        example.smape_factor = 0.5 / naive_smape;
        example.mase_factor /= naive_mase;
    }
    Ok(examples)
}
