//! Every wrong input is refused with what is wrong, where, and what would be right.

use dhow_experiments::{
    Arm, BetaPosterior, EpsilonGreedy, Estimator, Experiment, ExperimentError, GaussianPosterior, OffPolicyLog,
    OffPolicySettings, Predictions, RatioSample, Sample, Summary, TestSettings, Thompson, compare, evaluate_policy,
};

use crate::assignment::experiment;

fn refused<T: std::fmt::Debug>(result: Result<T, ExperimentError>, words: &str) {
    let error = result.unwrap_err().to_string();
    assert!(error.contains(words), "`{error}` lacks `{words}`");
}

#[test]
fn an_experiment_needs_two_named_arms_with_weights() {
    let arm = |name: &str, weight| Arm { name: name.to_owned(), weight };
    let new = |share, arms: &[Arm]| Experiment::new("x".to_owned(), share, arms.to_vec());
    let (a, b) = (arm("a", 1.0), arm("b", 1.0));
    refused(new(1.0, std::slice::from_ref(&a)), "1 arms; give 2 to 64");
    refused(new(1.0, &vec![a.clone(); 65]), "65 arms; give 2 to 64");
    refused(new(1.0, &[a.clone(), a.clone()]), "two arms are called `a`");
    refused(new(1.0, &[a.clone(), arm("b", -1.0)]), "weight of arm 1 is -1; it must be at least 0");
    refused(new(1.0, &[a.clone(), arm("b", f64::NAN)]), "weight of arm 1 is NaN");
    refused(new(1.0, &[arm("a", 0.0), arm("b", 0.0)]), "sum of the weights is 0; it must be above 0");
    refused(new(1.0, &[arm("a", f64::MAX), arm("b", f64::MAX)]), "sum of the weights is inf");
    refused(new(1.5, &[a.clone(), b.clone()]), "share is 1.5; it must be 0 to 1");
    refused(new(1.0, &[a.clone(), arm("", 1.0)]), "an arm has a name of 0 bytes; give 1 to 128");
    refused(Experiment::new("n".repeat(200), 1.0, vec![a, b]), "the experiment has a name of 200 bytes");
}

#[test]
fn a_comparison_needs_finite_samples_of_every_arm() {
    let good = Summary { visitors: 500, mean: 0.1, variance: 0.09 };
    let ask = |samples: &[Summary], settings| compare(&experiment("x", 1.0, &[1.0, 1.0]), samples, &settings);
    let usual = TestSettings::default();
    refused(ask(&[good], usual), "1 samples; give one for each arm");
    refused(ask(&[good, Summary { mean: f64::NAN, ..good }], usual), "the mean of sample 1 is NaN");
    refused(ask(&[Summary { variance: -1.0, ..good }, good], usual), "the variance of sample 0 is -1");
    refused(ask(&[good, good], TestSettings { error_rate: 0.0, ..usual }), "error_rate is 0; it must be 0.0001 to 0.5");
    refused(ask(&[good, good], TestSettings { planned_visitors: 5, ..usual }), "planned_visitors is 5");
    refused(ask(&[good, good], TestSettings { smallest_lift: -0.1, ..usual }), "smallest_lift is -0.1");
    refused(ask(&[good, good], TestSettings { visitors_min: 2, ..usual }), "visitors_min is 2; it must be at least 30");
    let mut sample = Sample::default();
    refused(sample.add(f64::INFINITY), "value 0 is inf; it must be finite");
    refused(RatioSample::default().add(1.0, -1.0), "below the line 0 is -1");
    refused(Summary::of_sums(0, 1.0, 1.0), "sum is 1; it must be finite, and 0 without visitors");
    refused(Summary::of_sums(10, 20.0, 39.0), "sum_of_squares is 39; it must be finite and at least the square");
    refused(Summary::of_sums(10, 20.0, f64::NAN), "sum_of_squares is NaN");
    assert_eq!(sample, Sample::default(), "a refused value leaves no trace");
}

#[test]
fn an_off_policy_log_needs_sound_probabilities_and_rewards() {
    let ask = |places, rewards: &[f64], propensities: &[f64], targets: &[f64]| {
        let log = OffPolicyLog { places, rewards, propensities, targets, predictions: None };
        evaluate_policy(&log, &OffPolicySettings::default())
    };
    let half = [0.5; 4];
    refused(ask(1, &[], &[], &[]), "0 logged choices; give 2 to 10,000,000");
    refused(ask(4, &half, &half, &half), "1 logged choices; give 2 to 10,000,000");
    refused(ask(0, &half, &half, &half), "0 places");
    refused(ask(3, &half, &half, &half), "3 places; give 1 or more places, of which the rewards are a multiple");
    refused(ask(1, &half, &half[..3], &half), "propensities has 3 values; it must have 4");
    refused(ask(1, &[1.0, f64::NAN, 0.0, 0.0], &half, &half), "reward 1 is NaN; it must be finite");
    refused(ask(1, &half, &[0.5, 0.5, 0.0, 0.5], &half), "propensity 2 is 0; it must be above 0 and at most 1");
    refused(ask(1, &half, &[0.5, 0.5, 0.5, 1.01], &half), "propensity 3 is 1.01");
    refused(ask(1, &half, &[0.5, f64::NAN, 0.5, 0.5], &half), "propensity 1 is NaN");
    refused(ask(1, &half, &half, &[-0.1, 0.5, 0.5, 0.5]), "target probability 0 is -0.1; it must be 0 to 1");
    refused(ask(1, &half, &[5e-324; 4], &half), "weight 0 is inf; it must be finite");
    let log = OffPolicyLog { places: 1, rewards: &half, propensities: &half, targets: &half, predictions: None };
    let usual = OffPolicySettings::default();
    let with = |settings| evaluate_policy(&log, &settings);
    refused(with(OffPolicySettings { estimator: Estimator::DoublyRobust, ..usual }), "needs predictions");
    refused(with(OffPolicySettings { clip: Some(0.5), ..usual }), "clip is 0.5; it must be at least 1");
    refused(with(OffPolicySettings { bootstrap_samples: 1_000_000, ..usual }), "bootstrap_samples is 1000000");
    refused(with(OffPolicySettings { effective_choices_min: f64::NAN, ..usual }), "effective_choices_min is NaN");
    let bad = [0.5, f64::INFINITY, 0.5, 0.5];
    let predictions = Some(Predictions { logged: &half, expected: &bad });
    let log = OffPolicyLog { predictions, ..log };
    refused(evaluate_policy(&log, &usual), "expected predictions 1 is inf; it must be finite");
}

#[test]
fn a_bandit_needs_two_arms_and_rewards_of_its_kind() {
    refused(Thompson::new(vec![BetaPosterior::default()]), "1 arms; give 2 to 64");
    refused(EpsilonGreedy::new(0, 0.1), "0 arms; give 2 to 64");
    refused(EpsilonGreedy::new(2, 1.1), "epsilon is 1.1; it must be 0 to 1");
    refused(GaussianPosterior::new(0.0, 0.0, 1.0), "deviation is 0; it must be above 0");
    refused(GaussianPosterior::new(0.0, 1.0, f64::NAN), "reward_deviation is NaN");
    refused(GaussianPosterior::new(f64::INFINITY, 1.0, 1.0), "mean is inf");
    let mut bandit = Thompson::new(vec![BetaPosterior::default(); 2]).unwrap();
    refused(bandit.observe(0, 0.5), "reward 0 is 0.5; it must be 0 or 1");
    refused(bandit.observe(2, 1.0), "arm is 2; it must be below the number of arms");
    refused(EpsilonGreedy::new(2, 0.1).unwrap().observe(1, f64::NAN), "value 0 is NaN");
    assert_eq!(bandit, Thompson::new(vec![BetaPosterior::default(); 2]).unwrap());
}
