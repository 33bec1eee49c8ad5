//! The figures of scores against the truth: each with its interval, and those of all seeds together; it trains nothing.

use dhow_fraud::evaluation::{
    EvaluationSettings, at_threshold, evaluate, recall_at_false_positive_rate, threshold_at_false_positive_rate,
};
use dhow_fraud::{Action, Costs, Thresholds};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value as Json, json};

use crate::history::Outcome;

/// The share of genuine checkouts that may be flagged.
pub const FALSE_POSITIVE_RATE: f64 = 0.0003;

/// What some rows were, or were known as, and what was at stake.
pub struct Outcomes<'a> {
    pub labels: &'a [bool],
    pub amounts_usd_minor: &'a [i64],
}

/// Ranking, and the counts at the threshold that was chosen on validation rows for the rate of false positives.
pub fn figures(scores: &[f64], test: &Outcomes, threshold: Option<f64>, seed: u64, replicates: usize) -> Outcome<Json> {
    let settings = EvaluationSettings { seed, replicates, threshold: threshold.unwrap_or(0.5) };
    let found = evaluate(scores, test.labels, &settings)?;
    let at_rate = threshold_at_false_positive_rate(scores, test.labels, FALSE_POSITIVE_RATE)?;
    let at_rate = at_threshold(scores, test.labels, at_rate)?;
    Ok(json!({
        "roc_auc": found.roc_auc, "average_precision": found.average_precision,
        "recall_at_rates": found.recall_at_rates, "brier": found.brier,
        "expected_calibration_error": found.expected_calibration_error,
        "at_0_03_percent": at_rate, "at_threshold_of_validation": threshold.map(|_| found.at_threshold),
    }))
}

/// The costs of later weeks under bands by cost, and where everything above the validation rows' best F1 is declined or
/// reviewed.
pub fn money(validation: (&[f64], &Outcomes), test: (&[f64], &Outcomes), best_f1: f64) -> Outcome<Json> {
    let costs = Costs::default();
    let (probabilities, rows) = validation;
    let bands = Thresholds::choose(costs, probabilities, rows.labels, rows.amounts_usd_minor)?;
    let (scores, rows) = test;
    let of = |decide: &dyn Fn(f64, i64) -> Action| {
        let actions: Vec<Action> =
            scores.iter().zip(rows.amounts_usd_minor).map(|(score, amount)| decide(*score, *amount)).collect();
        costs.money(&actions, rows.labels, rows.amounts_usd_minor)
    };
    let above = |action: Action| move |score: f64, _: i64| if score > best_f1 { action } else { Action::Approve };
    Ok(json!({
        "by_cost": of(&|score, amount| bands.decide_probability(score, amount))?,
        "best_f1_declined": of(&above(Action::Decline))?,
        "best_f1_reviewed": of(&above(Action::Review))?,
        "best_f1": best_f1,
        "odds_factors": [bands.review_odds_factor, bands.decline_odds_factor],
    }))
}

/// The test rows of all seeds with three judges' scores: logistic regression, trees, the oracle.
#[derive(Default)]
pub struct Pooled {
    seeds: Vec<(Vec<bool>, [Vec<f64>; 3])>,
}

impl Pooled {
    pub fn add(&mut self, labels: &[bool], scores: [&[f64]; 3]) {
        self.seeds.push((labels.to_vec(), scores.map(<[f64]>::to_vec)));
    }

    /// The mean over the seeds of each judge's recall, and the share of the gap that the trees close, with intervals from
    /// rows drawn anew within each seed and class, the same for all judges.
    pub fn report(&self, replicates: usize) -> Outcome<Json> {
        let plain: Vec<Vec<usize>> = self.seeds.iter().map(|(labels, _)| (0..labels.len()).collect()).collect();
        let value = self.recalls(&plain)?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut drawn: Vec<Vec<f64>> = vec![Vec::new(); 4];
        for _ in 0..replicates {
            let rows: Vec<Vec<usize>> = self.seeds.iter().map(|(labels, _)| redrawn(labels, &mut rng)).collect();
            let recalls = self.recalls(&rows)?;
            drawn.iter_mut().zip(with_share(recalls)).for_each(|(all, one)| all.push(one));
        }
        let figure = |place: usize| {
            let mut sorted = drawn[place].clone();
            sorted.sort_by(f64::total_cmp);
            let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
            json!({"value": with_share(value)[place], "low": at(0.025), "high": at(0.975)})
        };
        Ok(json!({
            "measure": "recall at 0.03 % false positives, mean over seeds",
            "frauds": self.seeds.iter().map(|(labels, _)| labels.iter().filter(|label| **label).count()).sum::<usize>(),
            "logistic": figure(0), "boosted": figure(1), "oracle": figure(2), "gap_closed": figure(3),
        }))
    }

    fn recalls(&self, rows: &[Vec<usize>]) -> Outcome<[f64; 3]> {
        let mut mean = [0.0; 3];
        for ((labels, scores), rows) in self.seeds.iter().zip(rows) {
            let labels: Vec<bool> = rows.iter().map(|row| labels[*row]).collect();
            for (mean, scores) in mean.iter_mut().zip(scores) {
                let scores: Vec<f64> = rows.iter().map(|row| scores[*row]).collect();
                *mean +=
                    recall_at_false_positive_rate(&scores, &labels, FALSE_POSITIVE_RATE)? / self.seeds.len() as f64;
            }
        }
        Ok(mean)
    }
}

/// The recalls, and the share of the gap between logistic regression and the oracle that the trees close.
fn with_share([logistic, boosted, oracle]: [f64; 3]) -> [f64; 4] {
    [logistic, boosted, oracle, (boosted - logistic) / (oracle - logistic)]
}

/// As many rows of each class, drawn with replacement.
fn redrawn(labels: &[bool], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut rows = Vec::with_capacity(labels.len());
    for class in [false, true] {
        let of_class: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] == class).collect();
        rows.extend((0..of_class.len()).map(|_| of_class[rng.random_range(0..of_class.len())]));
    }
    rows
}
