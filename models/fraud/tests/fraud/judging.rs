//! Measures against slow, obviously right oracles, and decisions against plain minimisation of cost; no model is trained here.

use dhow_events::{DAY_MICROS, Timestamp};
use dhow_fraud::evaluation::{
    EvaluationError, EvaluationSettings, at_threshold, average_precision, card_precision_at_k, evaluate,
    expected_calibration_error, recall_at_false_positive_rate, reliability, roc_auc, threshold_at_false_positive_rate,
    threshold_of_best_f1,
};
use dhow_fraud::{Action, Costs, CostsError, Thresholds};
use proptest::prelude::*;

/// Scores from few distinct values, so that ties abound, with both classes present.
fn judged() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((0_u32..12, any::<bool>()), 2..60)
        .prop_map(|rows| rows.into_iter().map(|(s, l)| (f64::from(s) / 12.0, l)).unzip())
        .prop_filter("both classes", |(_, labels): &(Vec<f64>, Vec<bool>)| {
            labels.contains(&true) && labels.contains(&false)
        })
}

/// Frauds and genuine rows with a score of at least `threshold`.
fn flagged(scores: &[f64], labels: &[bool], threshold: f64) -> (f64, f64) {
    let count = |class| scores.iter().zip(labels).filter(|&(&s, &l)| s >= threshold && l == class).count() as f64;
    (count(true), count(false))
}

fn falling_thresholds(scores: &[f64]) -> Vec<f64> {
    let mut thresholds = scores.to_vec();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    thresholds
}

proptest! {
    #[test]
    fn auc_is_the_share_of_pairs_in_right_order((scores, labels) in judged()) {
        let (mut right, mut pairs) = (0.0, 0.0);
        for i in (0..scores.len()).filter(|&i| labels[i]) {
            for j in (0..scores.len()).filter(|&j| !labels[j]) {
                pairs += 1.0;
                right += if scores[i] > scores[j] { 1.0 } else if scores[i] == scores[j] { 0.5 } else { 0.0 };
            }
        }
        prop_assert!((roc_auc(&scores, &labels).unwrap() - right / pairs).abs() < 1e-12);
    }

    #[test]
    fn average_precision_steps_through_every_threshold((scores, labels) in judged()) {
        let frauds = flagged(&scores, &labels, f64::MIN).0;
        let (mut sum, mut recall_before) = (0.0, 0.0);
        for threshold in falling_thresholds(&scores) {
            let (found, wrong) = flagged(&scores, &labels, threshold);
            sum += (found / frauds - recall_before) * found / (found + wrong);
            recall_before = found / frauds;
        }
        prop_assert!((average_precision(&scores, &labels).unwrap() - sum).abs() < 1e-12);
    }

    #[test]
    fn recall_at_a_rate_is_the_best_of_all_thresholds_within_it((scores, labels) in judged(), rate in 0.0..1.0) {
        let (frauds, genuine) = flagged(&scores, &labels, f64::MIN);
        let best = falling_thresholds(&scores)
            .into_iter()
            .map(|threshold| flagged(&scores, &labels, threshold))
            .filter(|(_, wrong)| wrong / genuine <= rate)
            .map(|(found, _)| found / frauds)
            .fold(0.0, f64::max);
        prop_assert_eq!(recall_at_false_positive_rate(&scores, &labels, rate).unwrap(), best);
    }

    #[test]
    fn calibration_error_is_the_mean_gap_of_tenths((scores, labels) in judged()) {
        let mut gaps = [0.0; 10];
        for i in 0..scores.len() {
            let rank = scores.iter().filter(|&&other| other > scores[i]).count();
            gaps[rank * 10 / scores.len()] += scores[i] - f64::from(u8::from(labels[i]));
        }
        let mean = gaps.iter().map(|gap: &f64| gap.abs()).sum::<f64>() / scores.len() as f64;
        prop_assert!((expected_calibration_error(&scores, &labels).unwrap() - mean).abs() < 1e-12);
    }

    #[test]
    fn a_chosen_threshold_reaches_what_the_best_of_all_thresholds_does((scores, labels) in judged(), rate in 0.0..1.0) {
        let (frauds, genuine) = flagged(&scores, &labels, f64::MIN);
        let f1 = |(found, wrong): (f64, f64)| 2.0 * found / (found + wrong + frauds);
        let every = || falling_thresholds(&scores).into_iter().map(|threshold| flagged(&scores, &labels, threshold));
        let above = |threshold: f64| flagged(&scores, &labels, threshold.next_up());
        let best = every().map(f1).fold(0.0, f64::max);
        prop_assert!((f1(above(threshold_of_best_f1(&scores, &labels).unwrap())) - best).abs() < 1e-12);
        let most = every().filter(|(_, wrong)| wrong / genuine <= rate).map(|(found, _)| found).fold(0.0, f64::max);
        let (found, wrong) = above(threshold_at_false_positive_rate(&scores, &labels, rate).unwrap());
        prop_assert!(found == most && wrong / genuine <= rate);
    }

    #[test]
    fn the_groups_of_the_calibration_error_can_be_read_one_by_one((scores, labels) in judged()) {
        let groups = reliability(&scores, &labels).unwrap();
        let gaps: f64 = groups.iter().map(|group| (group.expected_frauds - group.frauds as f64).abs()).sum();
        let error = expected_calibration_error(&scores, &labels).unwrap();
        prop_assert!((gaps / scores.len() as f64 - error).abs() < 1e-12);
        prop_assert_eq!(groups.iter().map(|group| group.rows).sum::<u64>(), scores.len() as u64);
        let means: Vec<f64> = groups.iter().map(|group| group.expected_frauds / group.rows as f64).collect();
        prop_assert!(means.is_sorted());
    }

    #[test]
    fn an_evaluation_agrees_with_its_parts_and_brackets_them((scores, labels) in judged(), seed: u64) {
        let settings = EvaluationSettings { threshold: 0.5, replicates: 40, seed };
        let found = evaluate(&scores, &labels, &settings).unwrap();
        let rows = scores.len() as f64;
        let brier = scores.iter().zip(&labels).map(|(s, &l)| (s - f64::from(u8::from(l))).powi(2)).sum::<f64>() / rows;
        prop_assert!((found.brier.value - brier).abs() < 1e-12);
        prop_assert_eq!(found.roc_auc.value, roc_auc(&scores, &labels).unwrap());
        prop_assert!(found.roc_auc.low <= found.roc_auc.high);
        let right = scores.iter().zip(&labels).filter(|&(&s, &l)| (s > 0.5) == l).count() as f64;
        prop_assert!((found.at_threshold.accuracy - right / rows).abs() < 1e-12);
        let genuine = labels.iter().filter(|&&l| !l).count() as f64;
        prop_assert!((found.at_threshold.accuracy_of_approving_everything - genuine / rows).abs() < 1e-12);
    }

    #[test]
    fn the_bands_choose_the_action_of_least_expected_cost(
        probability in 0.0..1.0_f64,
        amount in -100_i64..500_000,
        gross_margin_share in 0.0..1.0_f64,
        review_cost_usd_minor in 0_i64..3_000,
        chargeback_fee_usd_minor in 0_i64..5_000,
        review_catch_share in 0.0..1.0_f64,
        review_lost_share in 0.0..1.0_f64,
    ) {
        let costs = Costs {
            gross_margin_share, review_cost_usd_minor, chargeback_fee_usd_minor, review_catch_share, review_lost_share,
        };
        let action = Thresholds::at_break_even(costs).unwrap().decide_probability(probability, amount);
        let cost = |action| costs.expected_usd_minor(action, probability, amount);
        let least = [Action::Approve, Action::Review, Action::Decline].map(cost).into_iter().fold(f64::MAX, f64::min);
        prop_assert!(cost(action) <= least + 1e-6, "{action:?} costs {} instead of {least}", cost(action));
    }
}

#[test]
fn intervals_depend_on_the_seed_alone_and_narrow_with_more_rows() {
    let rows = |count: u32| -> (Vec<f64>, Vec<bool>) {
        (0..count).map(|i| (f64::from(i * 7919 % 101) / 101.0, i * 7919 % 101 + i % 60 > 90)).unzip()
    };
    let settings = EvaluationSettings { seed: 5, ..EvaluationSettings::default() };
    let (scores, labels) = rows(400);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| evaluate(&scores, &labels, &settings).unwrap())
    };
    assert_eq!(run(1), run(2));
    let other = EvaluationSettings { seed: 6, ..settings };
    assert_ne!(run(1).roc_auc.low, evaluate(&scores, &labels, &other).unwrap().roc_auc.low);

    let width = |interval: dhow_fraud::evaluation::Interval| interval.high - interval.low;
    let (many_scores, many_labels) = rows(6_400);
    let many = evaluate(&many_scores, &many_labels, &settings).unwrap();
    assert!(width(many.roc_auc) < width(run(1).roc_auc) / 2.0);
}

#[test]
fn card_precision_looks_at_each_card_once_a_day_and_blocks_the_caught() {
    let at = |day: i64, second: i64| Timestamp::from_micros(day * DAY_MICROS + second * 1_000_000);
    // Day 0: card 1 is caught by its second payment, card 2 is not compromised, card 3 is below the k = 2 line.
    // Day 1: card 1 is blocked, so card 3 and card 4 are looked at; card 3 is compromised.
    let rows = [
        (0, 1, 0.2, false),
        (0, 1, 0.9, true),
        (0, 2, 0.8, false),
        (0, 3, 0.1, true),
        (1, 1, 1.0, true),
        (1, 3, 0.7, true),
        (1, 4, 0.6, false),
        (1, 2, 0.5, false),
    ];
    let scores: Vec<f64> = rows.iter().map(|row| row.2).collect();
    let labels: Vec<bool> = rows.iter().map(|row| row.3).collect();
    let cards: Vec<u128> = rows.iter().map(|row| row.1).collect();
    let times: Vec<Timestamp> = rows.iter().enumerate().map(|(i, row)| at(row.0, i as i64)).collect();
    let found = card_precision_at_k(&scores, &labels, &cards, &times, 2).unwrap();
    assert_eq!(found.per_day, [(0, 0.5), (1, 0.5)]);
    assert_eq!(found.mean, 0.5);
    // Knowing the truth, cards 1 and 3 are caught on day 0 and nobody is left for day 1.
    assert_eq!(found.perfect, 0.5);
    assert_eq!(card_precision_at_k(&scores, &labels, &cards, &times, 0), Err(EvaluationError::NoCards));
}

#[test]
fn money_counts_passed_frauds_reviews_and_refused_customers() {
    let costs = Costs {
        gross_margin_share: 0.25,
        review_cost_usd_minor: 300,
        chargeback_fee_usd_minor: 1_500,
        review_catch_share: 0.8,
        review_lost_share: 0.1,
    };
    let actions = [Action::Approve, Action::Approve, Action::Review, Action::Decline, Action::Decline, Action::Review];
    let labels = [false, true, true, false, true, false];
    let amounts = [1_000, 2_000, 10_000, 4_000, 8_000, 6_000];
    let report = costs.money(&actions, &labels, &amounts).unwrap();
    // Passed fraud 2,000 + 1,500; review 300 + a fifth of 11,500; refused customer a quarter of 4,000; a review of a genuine
    // order 300 + a tenth of a quarter of 6,000.
    assert_eq!(report.cost_usd_minor, 3_500 + 2_600 + 1_000 + 450);
    assert_eq!(report.cost_if_all_approved_usd_minor, 3_500 + 11_500 + 9_500);
    assert_eq!(report.saved_usd_minor, 24_500 - 7_550);
    assert_eq!((report.approved, report.reviewed, report.declined), (2, 2, 2));
    assert_eq!((report.frauds_approved, report.frauds_reviewed, report.frauds_declined), (1, 1, 1));
}

#[test]
fn chosen_thresholds_undo_probabilities_that_are_too_high() {
    // True probabilities from 0.5 % to 50 %, stated with eight times their odds.
    let (mut stated, mut labels) = (Vec::new(), Vec::new());
    for percent in 1..=100_u32 {
        let truth = f64::from(percent) / 200.0;
        for i in 0..200 {
            stated.push(8.0 * truth / (1.0 + 7.0 * truth));
            labels.push(i < percent);
        }
    }
    let amounts = vec![10_000; labels.len()];
    let costs = Costs::default();
    let chosen = Thresholds::choose(costs, &stated, &labels, &amounts).unwrap();
    assert!(chosen.decline_odds_factor >= 4.0, "{chosen:?}");
    let cost = |thresholds: &Thresholds| {
        let actions: Vec<Action> = stated.iter().map(|&p| thresholds.decide_probability(p, 10_000)).collect();
        costs.money(&actions, &labels, &amounts).unwrap().cost_usd_minor
    };
    assert!(cost(&chosen) < cost(&Thresholds::at_break_even(costs).unwrap()) * 9 / 10);
}

#[test]
fn columns_that_cannot_be_judged_are_refused_with_the_reason() {
    let labels = [true, false, false];
    assert_eq!(
        roc_auc(&[0.1, 0.2], &labels).unwrap_err().to_string(),
        "2 scores but 3 labels; each row needs one of each"
    );
    assert_eq!(roc_auc(&[0.1, 0.2], &[false, false]), Err(EvaluationError::OneClass { rows: 2, frauds: 0 }));
    let nan = average_precision(&[0.1, f64::NAN, 0.3], &labels).unwrap_err();
    assert_eq!(nan.to_string(), "the score of row 1 is NaN; finite numbers are needed");
    assert!(evaluate(&[0.1, 1.5, 0.3], &labels, &EvaluationSettings::default()).is_err());
    assert!(recall_at_false_positive_rate(&[0.1, 0.2, 0.3], &labels, 1.5).is_err());
    let nothing_flagged = at_threshold(&[0.1, 0.2, 0.3], &labels, 0.9).unwrap();
    assert_eq!((nothing_flagged.precision, nothing_flagged.recall), (None, 0.0));

    let wrong = Costs { gross_margin_share: 1.2, ..Costs::default() };
    assert_eq!(
        Thresholds::at_break_even(wrong).unwrap_err().to_string(),
        "gross_margin_share is 1.2; it must lie between 0 and 1"
    );
    let negative = Costs { review_cost_usd_minor: -1, ..Costs::default() };
    assert!(matches!(negative.check(), Err(CostsError::NegativeCost { .. })));
    assert_eq!(Thresholds::choose(Costs::default(), &[], &[], &[]), Err(CostsError::NoOrders));
}
