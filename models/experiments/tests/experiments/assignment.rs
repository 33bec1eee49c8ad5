//! Arms by hash: the declared shares, one arm for ever, and nobody moves needlessly.

use dhow_experiments::{Arm, Experiment};
use proptest::prelude::*;

pub fn experiment(name: &str, share: f64, weights: &[f64]) -> Experiment {
    let arms =
        weights.iter().enumerate().map(|(n, weight)| Arm { name: format!("arm-{n}"), weight: *weight }).collect();
    Experiment::new(name.to_owned(), share, arms).unwrap()
}

/// Ids that differ by little, as ids of one second do.
fn people(count: u64) -> impl Iterator<Item = u128> {
    (0..count).map(|n| (0x0199_aaaa_0000_7000_8000_0000_0000_0000 + u128::from(n)) << 3)
}

/// Pearson's chi-square of counts against shares.
fn chi_square(counts: &[f64], shares: &[f64]) -> f64 {
    let total: f64 = counts.iter().sum();
    counts.iter().zip(shares).map(|(count, share)| (count - total * share).powi(2) / (total * share)).sum()
}

#[test]
fn arms_get_the_shares_of_their_weights_and_two_experiments_are_independent() {
    let first = experiment("homepage", 1.0, &[5.0, 3.0, 1.0, 1.0]);
    let second = experiment("ranker", 1.0, &[1.0, 1.0]);
    let mut counts = [0.0; 4];
    let mut both = [0.0; 8];
    for person in people(200_000) {
        let (a, b) = (first.assign(person).unwrap(), second.assign(person).unwrap());
        counts[a] += 1.0;
        both[2 * a + b] += 1.0;
    }
    // 0.1 % points of chi-square with 3 and 7 degrees of freedom.
    assert!(chi_square(&counts, &first.shares()) < 16.27, "{counts:?}");
    let shares: Vec<f64> = first.shares().iter().flat_map(|share| [share / 2.0, share / 2.0]).collect();
    assert!(chi_square(&both, &shares) < 24.32, "{both:?}");
}

#[test]
fn the_share_takes_part_and_a_larger_share_keeps_them_in_their_arms() {
    let (small, large) = (experiment("x", 0.1, &[1.0, 1.0]), experiment("x", 0.4, &[1.0, 1.0]));
    let mut took_part = 0.0f64;
    for person in people(100_000) {
        if let Some(arm) = small.assign(person) {
            took_part += 1.0;
            assert_eq!(large.assign(person), Some(arm));
        }
    }
    assert!((took_part - 10_000.0).abs() < 4.0 * 9_000f64.sqrt(), "{took_part}");
    assert!(people(1000).all(|person| experiment("x", 0.0, &[1.0, 1.0]).assign(person).is_none()));
    assert!(people(1000).all(|person| experiment("x", 1.0, &[1.0, 0.0]).assign(person) == Some(0)), "weight 0");
}

#[test]
fn an_experiment_survives_being_written_and_a_wrong_one_is_not_read() {
    let written = serde_json::to_string(&experiment("x", 0.5, &[1.0, 3.0])).unwrap();
    assert_eq!(serde_json::from_str::<Experiment>(&written).unwrap(), experiment("x", 0.5, &[1.0, 3.0]));
    let wrong = serde_json::from_str::<Experiment>(&written.replace("3.0", "-3.0")).unwrap_err();
    assert!(wrong.to_string().contains("the weight of arm 1 is -3; it must be at least 0"), "{wrong}");
}

proptest! {
    #[test]
    fn when_a_weight_grows_or_an_arm_is_added_people_move_to_that_arm_only(
        weights in prop::collection::vec(0.1f64..10.0, 2..6), grown in 0usize..6, factor in 1.0f64..5.0, seed: u64,
    ) {
        let grown = grown.min(weights.len());
        let mut more = weights.clone();
        if grown == weights.len() { more.push(factor) } else { more[grown] *= factor }
        let (before, after) = (experiment("growth", 1.0, &weights), experiment("growth", 1.0, &more));
        for person in 0..200u128 {
            let person = person << 64 | u128::from(seed);
            let (old, new) = (before.assign(person).unwrap(), after.assign(person).unwrap());
            prop_assert!(old == new || new == grown, "moved from {old} to {new}");
        }
    }
}
