//! Bandits: propensities that are those of the draws, and less regret than choosing evenly.

use dhow_experiments::{BetaPosterior, EpsilonGreedy, GaussianPosterior, Posterior, Thompson, draw_arm};

use crate::draws::Draws;

fn beta(successes: u64, failures: u64) -> BetaPosterior {
    BetaPosterior { successes, failures }
}

/// The probability that the second beta variable is the larger, by the finite sum over its first parameter.
fn second_is_larger(first: BetaPosterior, second: BetaPosterior) -> f64 {
    let log_factorial = |n: u64| (2..=n).map(|k| (k as f64).ln()).sum::<f64>();
    let beta_ln = |a: u64, b: u64| log_factorial(a - 1) + log_factorial(b - 1) - log_factorial(a + b - 1);
    let (a, b) = (first.successes + 1, first.failures + 1);
    let (c, d) = (second.successes + 1, second.failures + 1);
    (0..c).map(|i| (beta_ln(a + i, b + d) - ((d + i) as f64).ln() - beta_ln(1 + i, d) - beta_ln(a, b)).exp()).sum()
}

#[test]
fn the_probability_that_an_arm_is_best_equals_the_closed_forms_for_two_arms() {
    for (first, second) in [
        (beta(0, 0), beta(0, 0)),
        (beta(3, 40), beta(8, 60)),
        (beta(0, 300), beta(1, 2)),
        (beta(120, 2_000), beta(2, 18)),
        (beta(50, 1_000), beta(80, 1_000)),
        (beta(400, 600), beta(2, 3)),
    ] {
        let given = Thompson::new(vec![first, second]).unwrap().probabilities();
        let expected = second_is_larger(first, second);
        assert!((given[1] - expected).abs() < 1e-8, "{first:?} {second:?}: {} and {expected}", given[1]);
    }
    // With ten million rewards each the beliefs are as good as normal.
    let (first, second) = (beta(1_000_000, 9_000_000), beta(1_000_100, 9_000_000));
    let given = Thompson::new(vec![first, second]).unwrap().probabilities();
    let z = (second.mean() - first.mean()) / first.deviation().hypot(second.deviation());
    let twin = [(0.0, first.deviation()), (z * first.deviation().hypot(second.deviation()), second.deviation())];
    let twin = twin.map(|(mean, deviation)| GaussianPosterior::new(mean, deviation, 1.0).unwrap());
    let expected = Thompson::new(twin.to_vec()).unwrap().probabilities();
    assert!((given[1] - expected[1]).abs() < 1e-4, "{given:?} {expected:?}");
    let normal = |mean, deviation| GaussianPosterior::new(mean, deviation, 1.0).unwrap();
    let given = Thompson::new(vec![normal(1.0, 0.3), normal(1.5, 0.4)]).unwrap().probabilities();
    // The difference is normal with mean 0.5 and deviation 0.5: the distribution function at 1.
    assert!((given[1] - 0.841_344_746_068_543).abs() < 1e-9, "{given:?}");
    let narrow_beside_wide = Thompson::new(vec![normal(0.0, 100.0), normal(1.0, 1e-4)]).unwrap().probabilities();
    assert!((narrow_beside_wide[1] - 0.503_989_356_314_631_6).abs() < 1e-8, "{narrow_beside_wide:?}");
}

#[test]
fn thompson_propensities_are_the_shares_of_the_usual_draws_from_the_beliefs() {
    let arms = vec![beta(10, 90), beta(14, 86), beta(1, 9), beta(13, 100)];
    let given = Thompson::new(arms.clone()).unwrap().probabilities();
    assert!((given.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let (mut draws, mut wins) = (Draws::new(1), [0.0; 4]);
    for _ in 0..100_000 {
        // A beta variable with whole parameters is one of the order statistics of uniform ones; as gammas: sums of logarithms.
        let mut gamma = |shape: u64| -> f64 { -(0..shape).map(|_| (1.0 - draws.unit()).ln()).sum::<f64>() };
        let values: Vec<f64> = arms
            .iter()
            .map(|arm| {
                let (up, down) = (gamma(arm.successes + 1), gamma(arm.failures + 1));
                up / (up + down)
            })
            .collect();
        let best = (0..4).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap();
        wins[best] += 1.0;
    }
    for (win, probability) in wins.iter().zip(&given) {
        let deviation = (100_000.0 * probability * (1.0 - probability)).sqrt();
        assert!((win - 100_000.0 * probability).abs() < 4.0 * deviation, "{wins:?} {given:?}");
    }
}

#[test]
fn draws_follow_their_probabilities_and_come_again_with_seed_and_number() {
    let probabilities = [0.5, 0.0, 0.3, 0.2];
    let mut counts = [0.0; 4];
    (0..50_000).for_each(|number| counts[draw_arm(&probabilities, 3, number)] += 1.0);
    for (count, probability) in counts.iter().zip(probabilities) {
        assert!((count - 50_000.0 * probability).abs() <= 4.0 * (50_000.0 * probability).sqrt(), "{counts:?}");
    }
    assert!((0..100).all(|number| draw_arm(&probabilities, 3, number) == draw_arm(&probabilities, 3, number)));
    assert!((0..100).any(|number| draw_arm(&probabilities, 3, number) != draw_arm(&probabilities, 4, number)));
    assert_eq!(draw_arm(&[0.0, 1.0 - 1e-12, 0.0], 1, 1), 1, "what rounding leaves goes to an arm that can be chosen");
}

#[test]
fn epsilon_greedy_tries_every_arm_first_and_then_gives_exact_probabilities() {
    let mut bandit = EpsilonGreedy::new(4, 0.2).unwrap();
    assert_eq!(bandit.probabilities(), [0.25; 4]);
    bandit.observe(2, 1.0).unwrap();
    let untried = 0.05 + 0.8 / 3.0;
    assert_eq!(bandit.probabilities(), [untried, untried, 0.05, untried]);
    for arm in [0, 1, 3] {
        bandit.observe(arm, 0.5).unwrap();
    }
    assert_eq!(bandit.probabilities(), [0.05, 0.05, 0.05 + 0.8, 0.05]);
}

const CHANCES: [f64; 4] = [0.05, 0.08, 0.12, 0.06];
const CHOICES: u64 = 4_000;

/// What is lost beside always choosing the best arm.
fn regret(
    seed: u64,
    mut probabilities: impl FnMut() -> Vec<f64>,
    mut observe: impl FnMut(usize, f64),
    reward: impl Fn(&mut Draws, usize) -> f64,
) -> f64 {
    let (mut draws, mut lost, mut current) = (Draws::new(seed), 0.0, probabilities());
    for number in 0..CHOICES {
        if number % 20 == 0 {
            current = probabilities();
        }
        let arm = draw_arm(&current, seed, number);
        lost += CHANCES[2] - CHANCES[arm];
        observe(arm, reward(&mut draws, arm));
    }
    lost
}

#[test]
fn learning_loses_far_less_than_choosing_evenly() {
    let click = |draws: &mut Draws, arm: usize| f64::from(u8::from(draws.chance(CHANCES[arm])));
    let noisy = |draws: &mut Draws, arm: usize| CHANCES[arm] + 0.2 * draws.normal();
    let uniform: f64 = CHANCES.iter().map(|chance| CHANCES[2] - chance).sum::<f64>() / 4.0 * CHOICES as f64;
    let (mut of_beta, mut of_gauss, mut of_epsilon) = (0.0, 0.0, 0.0);
    let runs = 5;
    for seed in 0..runs {
        let bandit = std::cell::RefCell::new(Thompson::new(vec![BetaPosterior::default(); 4]).unwrap());
        let observe = |arm, reward| bandit.borrow_mut().observe(arm, reward).unwrap();
        of_beta += regret(seed, || bandit.borrow().probabilities(), observe, click) / runs as f64;
        let belief = GaussianPosterior::new(0.0, 1.0, 0.2).unwrap();
        let bandit = std::cell::RefCell::new(Thompson::new(vec![belief; 4]).unwrap());
        let observe = |arm, reward| bandit.borrow_mut().observe(arm, reward).unwrap();
        of_gauss += regret(seed, || bandit.borrow().probabilities(), observe, noisy) / runs as f64;
        let bandit = std::cell::RefCell::new(EpsilonGreedy::new(4, 0.1).unwrap());
        let observe = |arm, reward| bandit.borrow_mut().observe(arm, reward).unwrap();
        of_epsilon += regret(seed, || bandit.borrow().probabilities(), observe, click) / runs as f64;
    }
    println!("regret: even {uniform:.0}, beta {of_beta:.0}, gaussian {of_gauss:.0}, ε-greedy {of_epsilon:.0}");
    assert!(of_beta < 0.5 * uniform && of_gauss < 0.5 * uniform && of_epsilon < 0.7 * uniform);
}

#[test]
fn beliefs_narrow_around_the_mean_of_the_rewards() {
    let mut belief = GaussianPosterior::new(0.0, 10.0, 2.0).unwrap();
    (0..400).for_each(|n| belief.observe(if n % 2 == 0 { 4.0 } else { 6.0 }).unwrap());
    assert!((belief.mean() - 5.0).abs() < 0.01 && (belief.deviation() - 0.1).abs() < 0.001);
    let mut belief = BetaPosterior::default();
    (0..100).for_each(|n| belief.observe(f64::from(u8::from(n % 4 == 0))).unwrap());
    assert_eq!(belief, beta(25, 75));
    assert!((belief.mean() - 26.0 / 102.0).abs() < 1e-12);
}
