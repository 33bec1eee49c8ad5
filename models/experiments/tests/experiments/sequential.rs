//! Tests that are watched all the time: few false alarms, enough power, honest intervals, broken assignment found.

use dhow_experiments::{
    Experiment, RatioSample, Sample, Summary, TestSettings, Verdict, compare, confidence_multiplier,
};

use crate::assignment::experiment;
use crate::draws::Draws;

const RUNS: u64 = 2_000;

fn half_and_half() -> Experiment {
    experiment("test", 1.0, &[1.0, 1.0])
}

/// Sales of a visitor: mostly nothing, else log-normal; what a marketplace's sales look like.
fn sales(draws: &mut Draws) -> f64 {
    if draws.chance(0.15) { (3.0 + 0.9 * draws.normal()).exp() } else { 0.0 }
}

/// Runs a test of two arms to the last visitor, looked at after every few visitors. Gives the verdict and
/// when it came, and whether any look's interval missed the true difference.
fn watched(
    seed: u64,
    (visitors, every): (u64, u64),
    settings: &TestSettings,
    truth: f64,
    mut value: impl FnMut(&mut Draws, usize) -> f64,
) -> (Option<(Verdict, u64)>, bool) {
    let (mut draws, mut samples) = (Draws::new(seed), [Sample::default(); 2]);
    let (mut verdict, mut missed) = (None, false);
    for visitor in 1..=visitors {
        let arm = usize::from(draws.chance(0.5));
        samples[arm].add(value(&mut draws, arm)).unwrap();
        // The first looks are before any verdict may be given.
        if visitor < 2 * settings.visitors_min || visitor % every != 0 {
            continue;
        }
        let report = compare(&half_and_half(), &samples.map(|sample| sample.summary()), settings).unwrap();
        let comparison = &report.comparisons[0];
        missed |= !comparison.difference_interval.unwrap().contains(truth);
        if verdict.is_none() && !matches!(comparison.verdict, Verdict::NoVerdictYet { .. }) {
            verdict = Some((comparison.verdict, visitor));
        }
    }
    (verdict, missed)
}

#[test]
fn watching_equal_arms_after_every_visitor_raises_at_most_one_false_alarm_in_twenty() {
    const VISITORS: u64 = 2_000;
    let settings = TestSettings { planned_visitors: 1_500, smallest_lift: 0.0, ..TestSettings::default() };
    let click = |draws: &mut Draws, _: usize| f64::from(u8::from(draws.chance(0.08)));
    let (mut of_clicks, mut of_sales, mut naive) = (0, 0, 0);
    for seed in 0..RUNS {
        of_clicks += u64::from(watched(seed, (VISITORS, 1), &settings, 0.0, click).0.is_some());
        of_sales +=
            u64::from(watched(seed + RUNS, (VISITORS, 10), &settings, 0.0, |draws, _| sales(draws)).0.is_some());
        naive += u64::from(naive_alarm(seed, VISITORS));
    }
    println!("false alarms of {RUNS}: clicks {of_clicks}, sales {of_sales}; with a fixed 1.96 {naive}");
    assert!(of_clicks <= RUNS / 20 && of_sales <= RUNS / 20, "clicks {of_clicks}, sales {of_sales}");
    assert!(naive > RUNS / 5, "the same data fool an interval for one look: {naive}");
}

#[test]
fn a_ratio_by_person_keeps_its_error_rate_although_people_come_several_times_and_have_their_own_habits() {
    let settings = TestSettings { planned_visitors: 1_500, smallest_lift: 0.0, ..TestSettings::default() };
    let (mut alarms, mut by_visit, runs) = (0, 0, 500);
    for seed in 0..runs {
        let (mut draws, mut ratios, mut visits) =
            (Draws::new(seed), [RatioSample::default(); 2], [Sample::default(); 2]);
        let (mut alarm, mut visit_alarm) = (false, false);
        let decided = |summaries: [Summary; 2]| {
            let report = compare(&half_and_half(), &summaries, &settings).unwrap();
            matches!(report.comparisons[0].verdict, Verdict::Better | Verdict::Worse)
        };
        for person in 1..=2_000 {
            let (arm, habit) = (usize::from(draws.chance(0.5)), 0.5 * draws.unit().powi(3));
            let shown = 1 + (2.5 * draws.unit()).exp() as u64;
            let clicks: Vec<f64> = (0..shown).map(|_| f64::from(u8::from(draws.chance(habit)))).collect();
            clicks.iter().for_each(|click| visits[arm].add(*click).unwrap());
            ratios[arm].add(clicks.iter().sum(), shown as f64).unwrap();
            if person >= 400 && person % 10 == 0 {
                alarm |= decided(ratios.map(|ratio| ratio.summary()));
                visit_alarm |= decided(visits.map(|visit| visit.summary()));
            }
        }
        alarms += u64::from(alarm);
        by_visit += u64::from(visit_alarm);
    }
    println!("false alarms of {runs}: by person {alarms}, by visit as if independent {by_visit}");
    assert!(alarms <= runs / 20, "{alarms}");
    assert!(by_visit > 2 * alarms, "the test can tell the two apart: {by_visit}");
}

/// Whether an interval of 1.96 standard errors ever leaves 0 out.
fn naive_alarm(seed: u64, visitors: u64) -> bool {
    let (mut draws, mut samples) = (Draws::new(seed), [Sample::default(); 2]);
    (1..=visitors).any(|visitor| {
        let arm = usize::from(draws.chance(0.5));
        samples[arm].add(f64::from(u8::from(draws.chance(0.08)))).unwrap();
        let [a, b] = samples.map(|sample| sample.summary());
        let error = (a.variance / a.visitors as f64 + b.variance / b.visitors as f64).sqrt();
        visitor > 400 && (a.mean - b.mean).abs() > 1.96 * error
    })
}

#[test]
fn a_real_difference_is_found_and_on_the_way_the_missing_visitors_are_told() {
    let settings = TestSettings { planned_visitors: 4_000, ..TestSettings::default() };
    let (mut found, mut missed, mut visitors) = (0, 0, 0);
    for seed in 0..200 {
        let click = |draws: &mut Draws, arm: usize| f64::from(u8::from(draws.chance([0.10, 0.14][arm])));
        let (verdict, any_missed) = watched(seed, (8_000, 10), &settings, 0.04, click);
        missed += u32::from(any_missed);
        if let Some((verdict, after)) = verdict {
            assert_eq!(verdict, Verdict::Better);
            found += 1;
            visitors += after;
        }
    }
    println!("found {found} of 200, after {} visitors on average; {missed} intervals ever missed", visitors / found);
    assert!(found >= 180, "{found} of 200");
    assert!(missed <= 20, "{missed} of 200");
    let at = |visitors: u64| {
        let arm = |mean: f64| Summary { visitors, mean, variance: mean * (1.0 - mean) };
        compare(&half_and_half(), &[arm(0.10), arm(0.12)], &settings).unwrap().comparisons[0].verdict
    };
    let Verdict::NoVerdictYet { more_visitors: Some(more) } = at(1_000) else { panic!("too early for a verdict") };
    assert!(matches!(at(1_000 + more / 2 - more / 10), Verdict::NoVerdictYet { .. }), "{more} more");
    assert_eq!(at(1_000 + more / 2 + 10), Verdict::Better, "{more} more");
}

#[test]
fn the_lift_and_the_difference_agree_and_hold_the_truth() {
    let settings = TestSettings { planned_visitors: 3_000, ..TestSettings::default() };
    let (mut missed, runs) = (0, 300);
    for seed in 0..runs {
        let (mut draws, mut samples) = (Draws::new(seed), [Sample::default(); 2]);
        let mut ever = false;
        for visitor in 0..3_000 {
            let arm = usize::from(draws.chance(0.5));
            samples[arm].add(sales(&mut draws) * [1.0, 1.3][arm]).unwrap();
            if visitor % 10 != 0 || visitor < 500 {
                continue;
            }
            let report = compare(&half_and_half(), &samples.map(|sample| sample.summary()), &settings).unwrap();
            let comparison = &report.comparisons[0];
            let difference = comparison.difference_interval.unwrap();
            if let Some(lift) = comparison.lift_interval {
                assert_eq!(lift.contains(0.0), difference.contains(0.0));
                assert!(lift.contains(comparison.lift.unwrap()));
                ever |= !lift.contains(0.3);
            }
        }
        missed += u32::from(ever);
    }
    assert!(missed <= runs as u32 / 20, "{missed} of {runs}");
}

#[test]
fn arms_that_differ_by_less_than_matters_are_called_alike_and_without_clicks_nothing_is_said() {
    let arm = |visitors, mean: f64| Summary { visitors, mean, variance: mean };
    let settings = TestSettings { smallest_lift: 0.05, ..TestSettings::default() };
    let verdict = |a, b| compare(&half_and_half(), &[a, b], &settings).unwrap().comparisons[0].verdict;
    assert_eq!(verdict(arm(4_000_000, 0.1), arm(4_000_000, 0.101)), Verdict::Alike);
    let nothing = Verdict::NoVerdictYet { more_visitors: None };
    assert_eq!(verdict(arm(5_000, 0.0), arm(5_000, 0.0)), nothing);
    assert_eq!(verdict(arm(0, 0.0), arm(0, 0.0)), nothing);
    assert_eq!(verdict(arm(150, 0.1), arm(150, 5.0)), nothing, "before the least visitors");
}

#[test]
fn a_broken_assignment_is_found_and_a_sound_one_hardly_ever_called_broken() {
    let mut alarms = 0;
    let uneven = experiment("uneven", 1.0, &[3.0, 1.0, 1.0]);
    let report = |counts: [u64; 3]| {
        let samples = counts.map(|visitors| Summary { visitors, mean: 0.1, variance: 0.09 });
        compare(&uneven, &samples, &TestSettings::default()).unwrap()
    };
    for seed in 0..RUNS {
        let (mut draws, mut counts, mut alarm) = (Draws::new(seed), [0u64; 3], false);
        for visitor in 1..=2_000 {
            counts[draws.index(&uneven.shares())] += 1;
            alarm |= visitor % 20 == 0 && report(counts).sample_ratio.mismatch;
        }
        alarms += u64::from(alarm);
    }
    println!("{alarms} sound assignments of {RUNS} called broken");
    assert!(alarms <= 6, "{alarms} of {RUNS}");
    let broken = report([60_000, 19_000, 21_000]);
    assert!(broken.sample_ratio.mismatch && broken.sample_ratio.p_value < 1e-3);
    assert!(broken.comparisons.iter().all(|comparison| comparison.verdict == Verdict::SampleRatioMismatch));
    let ended = experiment("ended", 1.0, &[1.0, 0.0]);
    let samples = [Summary { visitors: 1000, ..Summary::default() }, Summary { visitors: 1, ..Summary::default() }];
    let report = compare(&ended, &samples, &TestSettings::default()).unwrap();
    assert!(report.sample_ratio.mismatch, "an arm of weight 0 had a visitor");
    assert!(serde_json::to_string(&report).unwrap().contains("sample_ratio_mismatch"));
}

#[test]
fn running_summaries_equal_the_textbook_ones_and_a_ratio_weighs_visits_not_visitors() {
    let mut draws = Draws::new(3);
    let values: Vec<(f64, f64)> = (0..5_000)
        .map(|_| {
            let visits = 1.0 + (3.0 * draws.unit()).exp().floor();
            ((0..visits as usize).filter(|_| draws.chance(0.2)).count() as f64 + 1e6, visits)
        })
        .collect();
    let (mut sample, mut ratio) = (Sample::default(), RatioSample::default());
    for (clicks, visits) in &values {
        sample.add(*clicks).unwrap();
        ratio.add(clicks - 1e6, *visits).unwrap();
    }
    let count = values.len() as f64;
    let mean = values.iter().map(|(clicks, _)| clicks).sum::<f64>() / count;
    let variance = values.iter().map(|(clicks, _)| (clicks - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let summary = sample.summary();
    assert!((summary.mean - mean).abs() < 1e-9 && (summary.variance / variance - 1.0).abs() < 1e-6);
    let (sum, squares) =
        values.iter().fold((0.0, 0.0), |sums, (_, visits)| (sums.0 + visits, sums.1 + visits * visits));
    let of_sums = Summary::of_sums(5_000, sum, squares).unwrap();
    let mut one_by_one = Sample::default();
    values.iter().for_each(|(_, visits)| one_by_one.add(*visits).unwrap());
    assert!((of_sums.variance / one_by_one.summary().variance - 1.0).abs() < 1e-9 && of_sums.visitors == 5_000);
    assert_eq!(Summary::of_sums(0, 0.0, 0.0).unwrap(), Summary::default());
    let (clicks, visits) = values.iter().fold((0.0, 0.0), |sum, value| (sum.0 + value.0 - 1e6, sum.1 + value.1));
    let summary = ratio.summary();
    assert!((summary.mean - clicks / visits).abs() < 1e-12);
    // Clicks are independent with 0.2, so the ratio's variance is that of a share of all visits.
    let of_mean = summary.variance / count;
    assert!((of_mean / (0.16 / visits) - 1.0).abs() < 0.1, "{of_mean} {}", 0.16 / visits);
    assert_eq!(RatioSample::default().summary(), Summary::default());
}

#[test]
fn the_multiplier_is_that_of_the_paper_and_narrowest_interval_is_near_the_plan() {
    // Theorem 2.2 of the paper, written out.
    let (alpha, planned) = (0.05f64, 10_000.0);
    let rho2 = (-2.0 * alpha.ln() + (-2.0 * alpha.ln() + 1.0).ln()) / planned;
    for t in [10.0, 500.0, 10_000.0, 1e6] {
        let half_width = (2.0 * (t * rho2 + 1.0) / (t * t * rho2) * ((t * rho2 + 1.0).sqrt() / alpha).ln()).sqrt();
        assert!((confidence_multiplier(t, planned, alpha) / t.sqrt() / half_width - 1.0).abs() < 1e-12);
    }
    let at_plan = confidence_multiplier(planned, planned, alpha);
    assert!((at_plan - 3.03).abs() < 0.01, "{at_plan}");
    for other in [100.0, 1_000.0, 100_000.0, 1e6] {
        assert!(at_plan < confidence_multiplier(planned, other, alpha));
    }
}
