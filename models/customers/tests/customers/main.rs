//! The classic models on customers drawn from them, rank correlation by hand, and trees that learn nothing from behind a cut.

use dhow_customers::{
    BgNbd, CustomersError, CustomersModel, Followed, GammaGamma, Histories, Numbered, Purchase, SEGMENTS, Segments,
    SpendModel, SpendSettings, Summary, Trade, judge_segments, probability_quality, rank_correlation,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, Exp, Gamma};

const TRUTH: BgNbd = BgNbd { r: 0.8, alpha: 20.0, a: 1.4, b: 3.0 };
const WORTH: GammaGamma = GammaGamma { p: 6.0, q: 4.0, gamma: 15.0 };
/// Days that drawn customers are known for.
const KNOWN: f64 = 200.0;

struct Drawn {
    /// Days of purchase from the first on, which is day 0.
    days: Vec<f64>,
    amounts: Vec<f64>,
}

/// Draws a customer's purchases in the days from 0 to `until` from the models.
fn customer(until: f64, random: &mut ChaCha8Rng) -> Drawn {
    let rate = Gamma::new(TRUTH.r, 1.0 / TRUTH.alpha).unwrap().sample(random);
    let leaves = Beta::new(TRUTH.a, TRUTH.b).unwrap().sample(random);
    let scale = Gamma::new(WORTH.q, 1.0 / WORTH.gamma).unwrap().sample(random);
    let amounts = Gamma::new(WORTH.p, 1.0 / scale).unwrap();
    let mut drawn = Drawn { days: vec![0.0], amounts: vec![amounts.sample(random)] };
    let mut day = 0.0;
    loop {
        day += Exp::new(rate).unwrap().sample(random);
        if day > until {
            return drawn;
        }
        drawn.days.push(day);
        drawn.amounts.push(amounts.sample(random));
        // Nobody leaves before the first repeated purchase.
        if random.random::<f64>() < leaves {
            return drawn;
        }
    }
}

fn summary(drawn: &Drawn) -> Summary {
    let repeats = drawn.days.iter().filter(|day| **day > 0.0 && **day <= KNOWN).count();
    let mean = drawn.amounts[1..=repeats].iter().sum::<f64>() / repeats.max(1) as f64;
    Summary { repeats: repeats as f64, recency: drawn.days[repeats], age: KNOWN, mean_amount: mean }
}

fn drawn(count: usize) -> Vec<Drawn> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    (0..count).map(|_| customer(KNOWN + 100.0, &mut random)).collect()
}

#[test]
fn the_classic_models_find_back_what_customers_were_drawn_from() {
    let customers: Vec<Summary> = drawn(20_000).iter().map(summary).collect();
    let found = BgNbd::fit(&customers).unwrap();
    assert!(found.log_likelihood(&customers) >= TRUTH.log_likelihood(&customers), "{found:?}");
    for (name, found, truth) in [("r", found.r, TRUTH.r), ("alpha", found.alpha, TRUTH.alpha)] {
        assert!((found / truth - 1.0).abs() < 0.1, "{name}: {found} {truth}");
    }
    let leaves = |model: &BgNbd| model.a / (model.a + model.b);
    assert!((leaves(&found) / leaves(&TRUTH) - 1.0).abs() < 0.1, "{found:?}");
    let worth = GammaGamma::fit(&customers).unwrap();
    let mean = |model: &GammaGamma| model.p * model.gamma / (model.q - 1.0);
    assert!((worth.p / WORTH.p - 1.0).abs() < 0.1 && (mean(&worth) / mean(&WORTH) - 1.0).abs() < 0.05, "{worth:?}");
}

#[test]
fn expected_purchases_are_those_that_come_on_average() {
    let drawn = drawn(40_000);
    for repeats in [0, 1, 3] {
        let alike: Vec<&Drawn> = drawn.iter().filter(|one| summary(one).repeats == f64::from(repeats)).collect();
        let came = |one: &&Drawn| one.days.iter().filter(|day| **day > KNOWN).count() as f64;
        let came = alike.iter().map(came).sum::<f64>() / alike.len() as f64;
        let expected = alike.iter().map(|one| TRUTH.expected_purchases(&summary(one), 100.0)).sum::<f64>();
        let expected = expected / alike.len() as f64;
        assert!((expected - came).abs() < 0.06 * came + 0.01, "{repeats}: {expected} {came} of {}", alike.len());
    }
    for repeats in [1, 3] {
        let alike: Vec<&Drawn> = drawn.iter().filter(|one| summary(one).repeats == f64::from(repeats)).collect();
        let silent = alike.iter().filter(|one| one.days.iter().all(|day| *day <= KNOWN)).count() as f64;
        let expected = alike.iter().map(|one| TRUTH.silent(&summary(one), 100.0)).sum::<f64>();
        assert!((expected - silent).abs() < 0.03 * alike.len() as f64, "{repeats}: {expected} {silent}");
    }
    let never = Summary { repeats: 0.0, recency: 0.0, age: KNOWN, mean_amount: 0.0 };
    assert_eq!(TRUTH.alive(&never), 1.0, "nobody leaves before a second purchase");
}

#[test]
fn ranks_correlate_as_by_hand() {
    assert!((rank_correlation(&[1.0, 2.0, 3.0, 4.0], &[10.0, 30.0, 20.0, 40.0]) - 0.8).abs() < 1e-12);
    assert!((rank_correlation(&[1.0, 1.0, 2.0], &[5.0, 6.0, 7.0]) - 0.866_025_403_784).abs() < 1e-9);
    assert_eq!(rank_correlation(&[1.0, 1.0], &[1.0, 2.0]), 0.0);
}

fn purchases(until: i32) -> Vec<Purchase> {
    let drawn = drawn(1_500);
    let of = |(customer, drawn): (usize, &Drawn)| {
        let begun = (customer * 7 % 120) as i32;
        let days = drawn.days.iter().zip(&drawn.amounts);
        let rows = days.map(move |(day, amount)| Purchase {
            customer: customer as u32,
            day: begun + *day as i32,
            amount: *amount,
        });
        rows.collect::<Vec<_>>()
    };
    drawn.iter().enumerate().flat_map(of).filter(|purchase| purchase.day < until).collect()
}

#[test]
fn what_comes_after_a_cut_changes_no_forecast_of_it() {
    let settings = SpendSettings { rounds: 40, ..SpendSettings::default() };
    let forecast =
        |histories: &Histories| SpendModel::learn(histories, 240, &settings).unwrap().forecast(histories, 240).unwrap();
    let (all, before) = (Histories::new(&purchases(i32::MAX)).unwrap(), Histories::new(&purchases(240)).unwrap());
    let found = forecast(&all);
    assert_eq!(found, forecast(&before));
    assert!(
        found.len() > 1_000
            && found.iter().all(|one| one.interval[0] <= one.interval[1] && (0.0..=1.0).contains(&one.churn))
    );
    // Drawn customers behave alike in every window, so the interval holds the share that it was to hold, or more where most
    // buy nothing.
    let held = found
        .iter()
        .filter(|one| (one.interval[0]..=one.interval[1]).contains(&all.spend(one.customer, 240, 90)))
        .count();
    let share = held as f64 / found.len() as f64;
    assert!(share >= 0.75, "{share}");
}

#[test]
fn wrong_amounts_and_too_few_customers_are_refused() {
    let wrong = Histories::new(&[Purchase { customer: 1, day: 1, amount: f64::NAN }]);
    assert!(matches!(wrong, Err(CustomersError::Amount { customer: 1, .. })));
    let few = Histories::new(&[Purchase { customer: 1, day: 1, amount: 1.0 }]).unwrap();
    assert!(matches!(SpendModel::learn(&few, 300, &SpendSettings::default()), Err(CustomersError::TooFew { .. })));
    let settings = SpendSettings { coverage: 1.0, ..SpendSettings::default() };
    assert!(matches!(SpendModel::learn(&few, 300, &settings), Err(CustomersError::Setting { name: "coverage", .. })));
}

/// Members around three plain centres, far from each other; the first fifth trades much, the last two fifths have stopped.
fn members(count: usize) -> Vec<Trade> {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let of = |at: usize, random: &mut ChaCha8Rng| {
        let near = |value: f64, random: &mut ChaCha8Rng| value * (0.8 + 0.4 * random.random::<f64>());
        let (late, days, money) = match at * 5 / count {
            0 => (3.0, 40.0, 9_000.0),
            1 | 2 => (10.0, 3.0, 60.0),
            _ => (200.0, 4.0, 70.0),
        };
        Trade { days_since_last: near(late, random), days: near(days, random), money: near(money, random) }
    };
    (0..count).map(|at| of(at, &mut random)).collect()
}

#[test]
fn segments_find_the_groups_that_members_were_drawn_from_and_do_not_hang_on_the_seed() {
    let members = members(1_000);
    let segments = Segments::learn(&members, 1).unwrap();
    assert_eq!(segments, Segments::learn(&members, 1).unwrap());
    assert!(segments.groups().len() == 3 && segments.silhouette() > 0.7, "{segments:?}");
    assert_eq!(SEGMENTS, 3..=8);
    let name = |at: usize| segments.of(&members[at]).name.as_str();
    assert_eq!((name(0), name(999)), ("champions", "lapsed"), "{segments:?}");
    for begin in [0, 200, 600] {
        assert!((begin..begin + 200).all(|at| name(at) == name(begin)), "{begin}");
    }
    assert!((segments.groups()[0].share - 0.2).abs() < 1e-9 && segments.groups()[0].centre.money > 5_000.0);
    let other = Segments::learn(&members, 99).unwrap();
    assert!((0..1_000).all(|at| segments.of(&members[at]).name == other.of(&members[at]).name));
    assert!(matches!(Segments::learn(&members[..49], 1), Err(CustomersError::TooFew { .. })));
    // What comes next follows the groups wholly, so they explain it; as many by money alone mix the two that stopped or not.
    let next = |trade: &Trade| if trade.days_since_last < 50.0 { trade.money.ceil() } else { 0.0 };
    let followed: Vec<Followed> = members.iter().map(|trade| Followed { trade: *trade, next: next(trade) }).collect();
    let quality = judge_segments(&followed, 1).unwrap();
    assert!(quality.explained > 0.95 && quality.explained_by_money < quality.explained, "{quality:?}");
}

#[test]
fn probabilities_are_judged_as_by_hand() {
    let came = [false, false, true, true];
    let found = probability_quality(&[0.1, 0.4, 0.35, 0.8], &came);
    assert!((found.brier - (0.01 + 0.16 + 0.4225 + 0.04) / 4.0).abs() < 1e-12 && (found.roc_auc - 0.75).abs() < 1e-12);
    assert_eq!(probability_quality(&[0.5; 4], &came).roc_auc, 0.5);
    // Of a hundred who are given a half, half came.
    let many: Vec<bool> = (0..100).map(|at| at % 2 == 0).collect();
    assert!(probability_quality(&[0.5; 100], &many).calibration_error < 1e-12);
}

#[test]
fn a_stored_model_answers_as_before_and_other_bytes_are_refused() {
    let bought = purchases(i32::MAX);
    let histories = Histories::new(&bought).unwrap();
    let ids: Vec<u128> = (0..1_500).map(|number| 7_000 + number).collect();
    let settings = SpendSettings { days: 60, step_days: 30, rounds: 30, ..SpendSettings::default() };
    let numbered = Numbered { histories: &histories, ids: &ids };
    let learned = CustomersModel::learn(numbered, numbered, 260, &settings, 3).unwrap();
    assert_eq!((learned.judged_from, learned.model.day(), learned.model.days()), (200, 260, 60));
    assert!(learned.suppliers.is_some() && learned.model.suppliers().is_some());
    let churn = &learned.report.churn;
    assert!(churn[0].quality.brier < churn[3].quality.brier && churn[0].quality.roc_auc > 0.6, "{churn:?}");
    let bytes = learned.model.to_bytes().unwrap();
    assert_eq!(CustomersModel::from_bytes(&bytes).unwrap(), learned.model);
    let (reading, group) = learned.model.buyer(7_000).unwrap();
    assert!((0.0..=1.0).contains(&reading.churn) && reading.interval[0] <= reading.interval[1]);
    assert!(learned.model.buyers().groups().iter().any(|one| one.name == group));
    assert!(learned.model.buyer(1).is_none());
    for wrong in [&bytes[..bytes.len() - 1], &[9, 1, 2][..], &[]] {
        assert!(matches!(CustomersModel::from_bytes(wrong), Err(CustomersError::Corrupt(_))));
    }
}
