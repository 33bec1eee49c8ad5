//! Off-policy estimates: equal to Open Bandit Pipeline, intervals that hold the truth, refusals where the log cannot tell.

use dhow_experiments::{
    Estimator, OffPolicyLog, OffPolicyReport, OffPolicySettings, OffPolicyVerdict, Predictions, Refusal, Weighting,
    evaluate_policy,
};

use crate::draws::Draws;

fn settings(estimator: Estimator, weighting: Weighting) -> OffPolicySettings {
    OffPolicySettings { estimator, weighting, bootstrap_samples: 200, ..OffPolicySettings::default() }
}

#[test]
fn estimates_equal_those_of_open_bandit_pipeline() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("open_bandit_pipeline.json")).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f64> { serde_json::from_value(value.clone()).unwrap() };
    let tables = |value: &serde_json::Value| -> Vec<Vec<f64>> { serde_json::from_value(value.clone()).unwrap() };
    let (single, slates) = (&golden["log"]["single"], &golden["log"]["slates"]);
    let actions: Vec<usize> = serde_json::from_value(single["actions"].clone()).unwrap();
    let (all_targets, all_predictions) = (tables(&single["targets"]), tables(&single["predictions"]));
    let of_action = |lists: &[Vec<f64>]| lists.iter().zip(&actions).map(|(list, action)| list[*action]).collect();
    let (targets, logged): (Vec<f64>, Vec<f64>) = (of_action(&all_targets), of_action(&all_predictions));
    let expected: Vec<f64> = all_targets
        .iter()
        .zip(&all_predictions)
        .map(|(targets, predictions)| targets.iter().zip(predictions).map(|(t, p)| t * p).sum())
        .collect();
    let (rewards, propensities) = (numbers(&single["rewards"]), numbers(&single["propensities"]));
    let choices = OffPolicyLog {
        places: 1,
        rewards: &rewards,
        propensities: &propensities,
        targets: &targets,
        predictions: Some(Predictions { logged: &logged, expected: &expected }),
    };
    let lists = ["rewards", "propensities", "targets"].map(|name| numbers(&slates[name]));
    let shown =
        OffPolicyLog { places: 4, rewards: &lists[0], propensities: &lists[1], targets: &lists[2], predictions: None };
    use Estimator::{DoublyRobust, Ips, SelfNormalisedIps};
    let names = golden["answers"].as_object().unwrap();
    assert_eq!(names.len(), 9);
    for (name, answer) in names {
        let weighting = if name.ends_with("sips") { Weighting::Slates } else { Weighting::Places };
        let (log, estimator) = match name.as_str() {
            "ipw" | "ipw_clipped" => (&choices, Ips),
            "snipw" => (&choices, SelfNormalisedIps),
            "dr" | "dr_clipped" => (&choices, DoublyRobust),
            "sips" | "iips" => (&shown, Ips),
            _ => (&shown, SelfNormalisedIps),
        };
        let clip = name.ends_with("clipped").then_some(2.0);
        let report = evaluate_policy(log, &OffPolicySettings { clip, ..settings(estimator, weighting) }).unwrap();
        assert!((report.value - answer.as_f64().unwrap()).abs() < 1e-12, "{name}: {} and {answer}", report.value);
        assert_eq!(report.clipped_share > 0.0, clip.is_some());
    }
}

/// Choices of slates from a world whose truth is known: what a place earns depends on its product and position.
struct World {
    places: usize,
    logging: Vec<f64>,
    target: Vec<f64>,
}

const PRODUCTS: usize = 5;

impl World {
    fn new(places: usize) -> Self {
        Self { places, logging: vec![0.3, 0.25, 0.2, 0.15, 0.1], target: vec![0.1, 0.15, 0.2, 0.25, 0.3] }
    }

    fn chance(place: usize, product: usize) -> f64 {
        (0.1 + 0.08 * product as f64) / (1.0 + 0.3 * place as f64)
    }

    fn value(&self, policy: &[f64]) -> f64 {
        let of_place = |place| (0..PRODUCTS).map(|product| policy[product] * Self::chance(place, product)).sum::<f64>();
        (0..self.places).map(of_place).sum()
    }

    /// Rewards, propensities, targets, logged and expected predictions; these are wrong by a bias.
    fn log(&self, choices: usize, draws: &mut Draws) -> [Vec<f64>; 5] {
        let mut lists: [Vec<f64>; 5] = Default::default();
        for at in 0..choices * self.places {
            let (place, product) = (at % self.places, draws.index(&self.logging));
            let predicted = |product: usize| 0.7 * Self::chance(place, product) + 0.05;
            let expected = (0..PRODUCTS).map(|product| self.target[product] * predicted(product)).sum();
            let reward = f64::from(u8::from(draws.chance(Self::chance(place, product))));
            let row = [reward, self.logging[product], self.target[product], predicted(product), expected];
            lists.iter_mut().zip(row).for_each(|(list, value)| list.push(value));
        }
        lists
    }

    fn evaluate(&self, lists: &[Vec<f64>; 5], settings: &OffPolicySettings) -> OffPolicyReport {
        let [rewards, propensities, targets, logged, expected] = lists;
        let predictions = Some(Predictions { logged, expected });
        let log = OffPolicyLog { places: self.places, rewards, propensities, targets, predictions };
        evaluate_policy(&log, settings).unwrap()
    }
}

#[test]
fn intervals_hold_the_truth_in_nineteen_of_twenty_logs() {
    const RUNS: u64 = 1_000;
    for (places, weighting, estimator) in [
        (1, Weighting::Places, Estimator::Ips),
        (1, Weighting::Places, Estimator::DoublyRobust),
        (4, Weighting::Places, Estimator::SelfNormalisedIps),
        (2, Weighting::Slates, Estimator::SelfNormalisedIps),
    ] {
        let world = World::new(places);
        let truth = world.value(&world.target);
        let (mut asymptotic, mut bootstrap, mut difference, mut sum) = (0u64, 0u64, 0u64, 0.0);
        for seed in 0..RUNS {
            let lists = world.log(1_000, &mut Draws::new(seed));
            let report = world.evaluate(&lists, &OffPolicySettings { seed, ..settings(estimator, weighting) });
            asymptotic += u64::from(report.asymptotic.contains(truth));
            bootstrap += u64::from(report.bootstrap.contains(truth));
            difference += u64::from(report.difference.contains(truth - world.value(&world.logging)));
            sum += report.value;
        }
        let share = |held: u64| held as f64 / RUNS as f64;
        let (mean, held) = (sum / RUNS as f64, [asymptotic, bootstrap, difference].map(share));
        println!("{places} places, {weighting:?}, {estimator:?}: mean {mean:.4} of {truth:.4}; held {held:?}");
        assert!((mean / truth - 1.0).abs() < 0.02, "{mean} of {truth}");
        assert!(held.iter().all(|share| *share >= 0.93), "{held:?}");
    }
}

#[test]
fn a_better_policy_is_called_better_only_when_enough_choices_speak_for_it() {
    let world = World::new(3);
    let lists = world.log(20_000, &mut Draws::new(1));
    let report = world.evaluate(&lists, &settings(Estimator::SelfNormalisedIps, Weighting::Places));
    assert_eq!(report.verdict, OffPolicyVerdict::Better);
    assert!((report.logged_value - world.value(&world.logging)).abs() < 0.02);
    let few = world.log(60, &mut Draws::new(2));
    let report = world.evaluate(&few, &settings(Estimator::SelfNormalisedIps, Weighting::Places));
    let OffPolicyVerdict::Refused(Refusal::TooFewEffectiveChoices { found, needed }) = report.verdict else {
        panic!("{:?}", report.verdict)
    };
    assert!(found < 60.0 && needed == 200.0 && found == report.effective_choices);
    // A policy that the log never chose, and propensities that were logged twice as large as they were.
    let mut never = lists.clone();
    never[2].fill(0.0);
    let report = world.evaluate(&never, &settings(Estimator::SelfNormalisedIps, Weighting::Places));
    assert!(matches!(report.verdict, OffPolicyVerdict::Refused(Refusal::TooFewEffectiveChoices { found: 0.0, .. })));
    let mut wrong = lists.clone();
    wrong[1].iter_mut().for_each(|propensity| *propensity *= 2.0);
    let report = world.evaluate(&wrong, &settings(Estimator::Ips, Weighting::Places));
    let OffPolicyVerdict::Refused(Refusal::WeightsOff { mean_weight, .. }) = report.verdict else {
        panic!("{:?}", report.verdict)
    };
    assert!((mean_weight - 0.5).abs() < 0.02);
}

#[test]
fn the_logging_policy_itself_earns_what_was_logged_with_every_choice_effective() {
    let world = World { target: World::new(2).logging, ..World::new(2) };
    let lists = world.log(500, &mut Draws::new(4));
    for estimator in [Estimator::Ips, Estimator::SelfNormalisedIps] {
        let report = world.evaluate(&lists, &settings(estimator, Weighting::Places));
        assert!((report.value - report.logged_value).abs() < 1e-12);
        assert!((report.effective_choices - 500.0).abs() < 1e-9);
        assert_eq!(report.verdict, OffPolicyVerdict::NoVerdictYet);
    }
}

#[test]
fn doubly_robust_is_surest_and_right_with_wrong_predictions_and_clipping_is_told() {
    let world = World::new(1);
    let lists = world.log(5_000, &mut Draws::new(5));
    let errors = [Estimator::Ips, Estimator::SelfNormalisedIps, Estimator::DoublyRobust]
        .map(|estimator| world.evaluate(&lists, &settings(estimator, Weighting::Places)).standard_error);
    assert!(errors[2] < errors[1] && errors[1] < errors[0], "{errors:?}");
    let clipped = OffPolicySettings { clip: Some(1.5), ..settings(Estimator::Ips, Weighting::Places) };
    let (report, whole) =
        (world.evaluate(&lists, &clipped), world.evaluate(&lists, &settings(Estimator::Ips, Weighting::Places)));
    // Products 3 and 4 weigh 1.67 and 3; they are a quarter of what is logged.
    assert!((report.clipped_share - 0.25).abs() < 0.03 && (report.largest_weight - 3.0).abs() < 1e-9);
    assert!(report.value < whole.value && report.effective_choices > whole.effective_choices);
    assert_eq!(report, world.evaluate(&lists, &clipped), "the same seed");
    let other = world.evaluate(&lists, &OffPolicySettings { seed: 9, ..clipped });
    assert_ne!(report.bootstrap, other.bootstrap);
}
