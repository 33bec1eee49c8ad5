//! Off-policy estimates for `benches/off_policy.sh`: writes a seeded log of choices as JSON, or estimates from one; prints `RESULT {json}`.
//!
//! `off_policy generate FILE CHOICES SLATES` · `off_policy estimate FILE` · `off_policy coverage LOGS CHOICES`
//!
//! The log has `single`, choices of one of some products, with all probabilities of the target policy and all predictions;
//! and `slates` with marginal probabilities of every place.

use std::error::Error;

use dhow_experiments::{Estimator, OffPolicyLog, OffPolicySettings, Predictions, Weighting, draw_arm, evaluate_policy};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

const PRODUCTS: usize = 8;
const PLACES: usize = 4;
/// The weight limit of the clipped estimates.
const CLIP: f64 = 2.0;

#[derive(Serialize, Deserialize)]
struct Single {
    actions: Vec<usize>,
    rewards: Vec<f64>,
    propensities: Vec<f64>,
    /// Choice by choice, the probability of each product.
    targets: Vec<Vec<f64>>,
    /// Likewise the predicted reward.
    predictions: Vec<Vec<f64>>,
}

#[derive(Serialize, Deserialize)]
struct Slates {
    places: usize,
    rewards: Vec<f64>,
    propensities: Vec<f64>,
    targets: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct Log {
    single: Single,
    slates: Slates,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", file, choices, slates] => {
            let log = generate(choices.parse()?, slates.parse()?);
            std::fs::write(file, serde_json::to_string(&log)?)?;
            println!("RESULT {{\"choices\": {choices}, \"slates\": {slates}}}");
            Ok(())
        }
        ["estimate", file] => {
            let answers = estimate(&serde_json::from_str(&std::fs::read_to_string(file)?)?)?;
            println!("RESULT {}", serde_json::to_string(&answers)?);
            Ok(())
        }
        ["coverage", logs, choices] => coverage(logs.parse()?, choices.parse()?),
        _ => Err("usage: off_policy generate FILE CHOICES SLATES | estimate FILE | coverage LOGS CHOICES".into()),
    }
}

/// A repeatable number in 0..1 for a choice and a purpose.
fn number(choice: usize, purpose: usize) -> f64 {
    let mut generator = ChaCha8Rng::seed_from_u64(purpose as u64);
    generator.set_stream(choice as u64);
    (generator.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

fn probabilities(choice: usize, purpose: usize) -> Vec<f64> {
    let weights: Vec<f64> = (0..PRODUCTS).map(|product| 0.1 + number(choice, purpose * 100 + product)).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

fn generate(choices: usize, slates: usize) -> Log {
    let mut single = Single {
        actions: Vec::new(),
        rewards: Vec::new(),
        propensities: Vec::new(),
        targets: Vec::new(),
        predictions: Vec::new(),
    };
    for choice in 0..choices {
        let logging = probabilities(choice, 1);
        let action = draw_arm(&logging, 7, choice as u64);
        let chance = 0.05 + 0.1 * action as f64;
        single.actions.push(action);
        single.rewards.push(f64::from(u8::from(number(choice, 2) < chance)));
        single.propensities.push(logging[action]);
        single.targets.push(probabilities(choice, 3));
        single.predictions.push((0..PRODUCTS).map(|product| number(choice, 400 + product)).collect());
    }
    let mut shown = Slates { places: PLACES, rewards: Vec::new(), propensities: Vec::new(), targets: Vec::new() };
    for place in 0..slates * PLACES {
        let (logging, target) = (probabilities(place, 5), probabilities(place, 6));
        let action = draw_arm(&logging, 8, place as u64);
        shown.rewards.push(f64::from(u8::from(number(place, 9) < 0.1 + 0.05 * action as f64)));
        shown.propensities.push(logging[action]);
        shown.targets.push(target[action]);
    }
    Log { single, slates: shown }
}

/// Every estimate under its name at Open Bandit Pipeline.
fn estimate(log: &Log) -> Result<std::collections::BTreeMap<&'static str, f64>, Box<dyn Error>> {
    let (single, slates) = (&log.single, &log.slates);
    let of_action = |lists: &[Vec<f64>]| -> Vec<f64> {
        lists.iter().zip(&single.actions).map(|(list, action)| list[*action]).collect()
    };
    let expected: Vec<f64> = single
        .targets
        .iter()
        .zip(&single.predictions)
        .map(|(targets, predictions)| {
            targets.iter().zip(predictions).map(|(target, predicted)| target * predicted).sum()
        })
        .collect();
    let (targets, logged) = (of_action(&single.targets), of_action(&single.predictions));
    let choices = OffPolicyLog {
        places: 1,
        rewards: &single.rewards,
        propensities: &single.propensities,
        targets: &targets,
        predictions: Some(Predictions { logged: &logged, expected: &expected }),
    };
    let shown = OffPolicyLog {
        places: slates.places,
        rewards: &slates.rewards,
        propensities: &slates.propensities,
        targets: &slates.targets,
        predictions: None,
    };
    use Estimator::{DoublyRobust, Ips, SelfNormalisedIps};
    let mut answers = std::collections::BTreeMap::new();
    for (name, log, estimator, weighting, clip) in [
        ("ipw", &choices, Ips, Weighting::Places, None),
        ("ipw_clipped", &choices, Ips, Weighting::Places, Some(CLIP)),
        ("snipw", &choices, SelfNormalisedIps, Weighting::Places, None),
        ("dr", &choices, DoublyRobust, Weighting::Places, None),
        ("dr_clipped", &choices, DoublyRobust, Weighting::Places, Some(CLIP)),
        ("sips", &shown, Ips, Weighting::Slates, None),
        ("snsips", &shown, SelfNormalisedIps, Weighting::Slates, None),
        ("iips", &shown, Ips, Weighting::Places, None),
        ("sniips", &shown, SelfNormalisedIps, Weighting::Places, None),
    ] {
        let settings =
            OffPolicySettings { estimator, weighting, clip, bootstrap_samples: 100, ..OffPolicySettings::default() };
        answers.insert(name, evaluate_policy(log, &settings)?.value);
    }
    Ok(answers)
}

/// How often the 95 % intervals hold the truth, over many logs of slates of three places and a world that is known.
fn coverage(logs: usize, choices: usize) -> Result<(), Box<dyn Error>> {
    const LOGGING: [f64; 5] = [0.3, 0.25, 0.2, 0.15, 0.1];
    const TARGET: [f64; 5] = [0.1, 0.15, 0.2, 0.25, 0.3];
    const SLATE: usize = 3;
    let chance = |place: usize, product: usize| (0.1 + 0.08 * product as f64) / (1.0 + 0.3 * place as f64);
    let expected =
        |place, scale: f64| (0..5).map(|product| TARGET[product] * scale * chance(place, product)).sum::<f64>();
    let truth: f64 = (0..SLATE).map(|place| expected(place, 1.0)).sum();
    let mut held = std::collections::BTreeMap::<String, f64>::new();
    for seed in 0..logs {
        let mut lists: [Vec<f64>; 5] = Default::default();
        for at in 0..choices * SLATE {
            let (place, product) = (at % SLATE, draw_arm(&LOGGING, seed as u64, at as u64));
            let click = number(at, 1_000_000 + seed) < chance(place, product);
            // The predictions are a fifth too small.
            let (logged, of_target) = (0.8 * chance(place, product), expected(place, 0.8));
            let row = [f64::from(u8::from(click)), LOGGING[product], TARGET[product], logged, of_target];
            lists.iter_mut().zip(row).for_each(|(list, value)| list.push(value));
        }
        let [rewards, propensities, targets, logged, expected] = &lists;
        let predictions = Some(Predictions { logged, expected });
        let log = OffPolicyLog { places: SLATE, rewards, propensities, targets, predictions };
        for estimator in [Estimator::Ips, Estimator::SelfNormalisedIps, Estimator::DoublyRobust] {
            let settings = OffPolicySettings {
                estimator,
                seed: seed as u64,
                bootstrap_samples: 200,
                ..OffPolicySettings::default()
            };
            let report = evaluate_policy(&log, &settings)?;
            for (name, interval) in [("asymptotic", report.asymptotic), ("bootstrap", report.bootstrap)] {
                let share = f64::from(u8::from(interval.contains(truth))) / logs as f64;
                *held.entry(format!("{estimator:?}_{name}")).or_default() += share;
            }
        }
    }
    println!("RESULT {}", serde_json::to_string(&held)?);
    Ok(())
}
