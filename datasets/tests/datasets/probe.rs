//! A simple logistic regression on hand-made velocity and amount features, which shows how hard the simulated fraud is.

use std::collections::{BTreeMap, HashMap, HashSet};

use dhow_datasets::{CheckoutKind, Scale, Simulation, SimulationSettings};
use dhow_events::{DAY_MICROS, Fact, HOUR_MICROS, Region, Timestamp};

/// The false-positive rate at which recall is read.
const FALSE_POSITIVE_RATE: f64 = 0.0003;

#[derive(Default)]
struct Times(Vec<i64>);

impl Times {
    fn within(&self, now: Timestamp, window: i64) -> f64 {
        self.0.iter().rev().take_while(|at| now.micros() - **at <= window).count() as f64
    }
}

#[derive(Default)]
struct Entity {
    checkouts: Times,
    declines: Times,
    failures: Times,
    others: Vec<(i64, u128)>,
    cards: Vec<(i64, u128)>,
    known: HashSet<u128>,
    seen_at: Option<Timestamp>,
    address_at: Option<Timestamp>,
    home: Option<Region>,
    log_amounts: Vec<f64>,
    orders: f64,
    returns: f64,
}

fn distinct(seen: &[(i64, u128)], now: Timestamp, window: i64) -> f64 {
    seen.iter().rev().take_while(|(at, _)| now.micros() - at <= window).map(|(_, id)| id).collect::<HashSet<_>>().len()
        as f64
}

struct Example {
    features: Vec<f64>,
    kind: CheckoutKind,
    oracle: f64,
    amount: f64,
}

/// Features of every checkout as known when it arrives.
fn examples(settings: &SimulationSettings) -> Vec<Example> {
    let mut simulation = Simulation::new(settings).unwrap();
    let mut entities: HashMap<u128, Entity> = HashMap::new();
    let mut rows = Vec::new();
    let mut seen = HashSet::new();
    for arrival in simulation.by_ref() {
        let now = arrival.event.event_time;
        match arrival.event.fact {
            Fact::BuyerRegistered(fact) => {
                let buyer = entities.entry(fact.buyer.as_u128()).or_default();
                (buyer.seen_at, buyer.home) = (Some(now), Some(fact.region));
                buyer.known.extend(fact.device.map(|device| device.as_u128()));
            }
            Fact::AccountSignedIn(fact) if !fact.succeeded => {
                entities.entry(fact.buyer.as_u128()).or_default().failures.0.push(now.micros());
            }
            Fact::AddressAdded(fact) => {
                entities.entry(fact.buyer.as_u128()).or_default().address_at = Some(now);
            }
            Fact::PaymentDeclined(fact) => {
                for id in [fact.device.map(|id| id.as_u128()), fact.card.map(|id| id.as_u128())].into_iter().flatten() {
                    entities.entry(id).or_default().declines.0.push(now.micros());
                }
            }
            Fact::OrderPlaced(fact) => entities.entry(fact.buyer.as_u128()).or_default().orders += 1.0,
            Fact::OrderReturned(fact) => entities.entry(fact.buyer.as_u128()).or_default().returns += 1.0,
            Fact::CheckoutSubmitted(fact) if seen.insert(fact.checkout) => {
                let buyer_id = fact.buyer.as_u128();
                let device_id = fact.device.unwrap().as_u128();
                let card_id = fact.card.map_or(0, |card| card.as_u128());
                let amount = (1.0 + fact.total_usd_minor as f64).ln();
                let age = |at: Option<Timestamp>| {
                    at.map_or(400.0, |at| now.micros_since(at) as f64 / DAY_MICROS as f64).max(0.0)
                };
                let flag = |condition: bool| f64::from(u8::from(condition));
                let mut features = Vec::new();
                {
                    let buyer = entities.entry(buyer_id).or_default();
                    let history = buyer.log_amounts.len() as f64;
                    let usual = buyer.log_amounts.iter().sum::<f64>() / history.max(1.0);
                    let excess = if history > 0.0 { amount - usual } else { 0.0 };
                    features.extend([
                        amount,
                        excess,
                        excess.max(0.0).powi(2),
                        flag(history > 0.0),
                        (1.0 + history).ln(),
                        (0.01 + age(buyer.seen_at)).ln(),
                        flag(age(buyer.seen_at) < 1.0),
                        flag(age(buyer.address_at) < 0.1),
                        flag(!buyer.known.contains(&device_id)),
                        flag(card_id != 0 && !buyer.known.contains(&card_id) && history > 0.0),
                        flag(buyer.home.is_some_and(|home| home != fact.region)),
                        flag(fact.region != fact.delivery_region),
                        buyer.failures.within(now, HOUR_MICROS),
                        buyer.failures.within(now, DAY_MICROS),
                        buyer.checkouts.within(now, HOUR_MICROS),
                        buyer.checkouts.within(now, DAY_MICROS),
                        buyer.checkouts.within(now, 7 * DAY_MICROS),
                        buyer.returns / (1.0 + buyer.orders),
                        buyer.returns,
                        flag(fact.card.is_some()),
                        flag(fact.session.is_some()),
                        (fact.line_count.max(1) as f64).ln(),
                        (fact.quantity.max(1) as f64).ln(),
                    ]);
                    let hour = now.micros().rem_euclid(DAY_MICROS) / HOUR_MICROS;
                    features.push(flag(!(7..20).contains(&hour)));
                    buyer.log_amounts.push(amount);
                    buyer.checkouts.0.push(now.micros());
                    buyer.known.extend([device_id, card_id]);
                }
                for id in [device_id, card_id] {
                    let entity = entities.entry(id).or_default();
                    let real = flag(id != 0);
                    features.extend([
                        real * entity.checkouts.within(now, HOUR_MICROS),
                        real * entity.checkouts.within(now, DAY_MICROS),
                        real * entity.declines.within(now, HOUR_MICROS),
                        real * distinct(&entity.others, now, 7 * DAY_MICROS),
                        real * distinct(&entity.cards, now, DAY_MICROS),
                    ]);
                    if id != 0 {
                        entity.checkouts.0.push(now.micros());
                        entity.others.push((now.micros(), buyer_id));
                        entity.cards.push((now.micros(), card_id));
                    }
                }
                rows.push((fact.checkout, features, amount));
            }
            _ => {}
        }
    }
    let truth: HashMap<_, _> = simulation.truth().checkouts.iter().map(|truth| (truth.checkout, *truth)).collect();
    rows.into_iter()
        .map(|(checkout, features, amount)| {
            let truth = truth[&checkout];
            Example { features, kind: truth.kind, oracle: f64::from(truth.probability), amount }
        })
        .collect()
}

/// Logistic regression on standardised features, by gradient descent with Newton's step on each coordinate's curvature.
fn fit(train: &[Example]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let width = train[0].features.len();
    let count = train.len() as f64;
    let mean: Vec<f64> = (0..width).map(|j| train.iter().map(|e| e.features[j]).sum::<f64>() / count).collect();
    let deviation: Vec<f64> = (0..width)
        .map(|j| (train.iter().map(|e| (e.features[j] - mean[j]).powi(2)).sum::<f64>() / count).sqrt().max(1e-6))
        .collect();
    let mut weights = vec![0.0; width + 1];
    for _ in 0..12 {
        newton_step(train, &mean, &deviation, &mut weights);
    }
    (weights, mean, deviation)
}

fn standardised(example: &Example, mean: &[f64], deviation: &[f64]) -> Vec<f64> {
    let scaled = example.features.iter().zip(mean).zip(deviation).map(|((x, m), d)| ((x - m) / d).clamp(-8.0, 8.0));
    scaled.chain([1.0]).collect()
}

fn newton_step(train: &[Example], mean: &[f64], deviation: &[f64], weights: &mut [f64]) {
    let width = weights.len();
    let mut gradient: Vec<f64> = weights.iter().map(|w| -2.0 * w).collect();
    let mut hessian = vec![vec![0.0; width]; width];
    (0..width).for_each(|j| hessian[j][j] = 2.0);
    for example in train {
        let x = standardised(example, mean, deviation);
        let p = 1.0 / (1.0 + (-x.iter().zip(&*weights).map(|(a, b)| a * b).sum::<f64>()).exp());
        let error = f64::from(u8::from(example.kind.is_fraud())) - p;
        for j in 0..width {
            gradient[j] += error * x[j];
            let scaled = p * (1.0 - p) * x[j];
            for k in 0..width {
                hessian[j][k] += scaled * x[k];
            }
        }
    }
    for (weight, step) in weights.iter_mut().zip(solve(hessian, gradient)) {
        *weight += step.clamp(-3.0, 3.0);
    }
}

/// Gaussian elimination of a positive definite system.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    for i in 0..b.len() {
        let (pivot, below) = a[i..].split_first_mut().unwrap();
        for (j, row) in below.iter_mut().enumerate() {
            let factor = row[i] / pivot[i];
            row.iter_mut().zip(&*pivot).for_each(|(value, above)| *value -= factor * above);
            b[i + 1 + j] -= factor * b[i];
        }
    }
    for i in (0..b.len()).rev() {
        let known: f64 = a[i][i + 1..].iter().zip(&b[i + 1..]).map(|(value, solved)| value * solved).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// The recall at the false-positive rate, over all and by kind.
fn recall(test: &[Example], score: impl Fn(&Example) -> f64) -> (f64, BTreeMap<CheckoutKind, (usize, usize)>) {
    let mut honest: Vec<f64> = test.iter().filter(|e| !e.kind.is_fraud()).map(&score).collect();
    honest.sort_by(|a, b| b.total_cmp(a));
    let threshold = honest[(honest.len() as f64 * FALSE_POSITIVE_RATE) as usize];
    let mut by_kind: BTreeMap<CheckoutKind, (usize, usize)> = BTreeMap::new();
    for example in test.iter().filter(|e| e.kind.is_fraud()) {
        let entry = by_kind.entry(example.kind).or_default();
        entry.0 += usize::from(score(example) > threshold);
        entry.1 += 1;
    }
    let (hit, all) = by_kind.values().fold((0, 0), |sum, entry| (sum.0 + entry.0, sum.1 + entry.1));
    (hit as f64 / all as f64, by_kind)
}

#[test]
fn a_logistic_regression_finds_a_part_of_the_fraud_and_the_oracle_more() {
    let mut settings = SimulationSettings::at_scale(Scale::Medium, 11);
    (settings.buyers, settings.products, settings.days, settings.visits_per_checkout) = (60_000, 1_000, 200, 0.0);
    if let Ok(seed) = std::env::var("DHOW_SEED") {
        settings.seed = seed.parse().unwrap();
    }
    if let Ok(scale) = std::env::var("DHOW_SCALE") {
        settings = SimulationSettings::at_scale(scale.parse().unwrap(), 11);
    }
    let rows = examples(&settings);
    let (train, test) = rows.split_at(rows.len() / 2);
    let (weights, mean, deviation) = fit(train);
    let score = |e: &Example| standardised(e, &mean, &deviation).iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
    let (logistic, by_kind) = recall(test, score);
    let (oracle, oracle_by_kind) = recall(test, |e| e.oracle);
    let (amount, _) = recall(test, |e| e.amount);
    println!(
        "{} checkouts; recall at {FALSE_POSITIVE_RATE} false positives: logistic {logistic:.3} {by_kind:?}",
        rows.len()
    );
    println!("oracle {oracle:.3} {oracle_by_kind:?}; amount {amount:.3}");
    let claimed: f64 = test.iter().map(|e| e.oracle).sum();
    let real = test.iter().filter(|e| e.kind.is_fraud()).count();
    for kind in [
        CheckoutKind::Honest,
        CheckoutKind::StolenCard,
        CheckoutKind::AccountTakeover,
        CheckoutKind::CardTesting,
        CheckoutKind::Ring,
        CheckoutKind::ReturnAbuse,
    ] {
        let mut of_kind: Vec<f64> = rows.iter().filter(|e| e.kind == kind).map(|e| e.oracle).collect();
        of_kind.sort_by(f64::total_cmp);
        let at = |share: f64| of_kind[(share * (of_kind.len() - 1) as f64) as usize];
        println!(
            "{kind:?} {} sum {:.1}: {:.4} {:.4} {:.4} {:.4} {:.4} {:.4}",
            of_kind.len(),
            of_kind.iter().sum::<f64>(),
            at(0.1),
            at(0.3),
            at(0.5),
            at(0.8),
            at(0.99),
            at(0.999)
        );
    }
    println!("oracle's expected fraud {claimed:.0}, real {real}");
    assert!((0.30..=0.60).contains(&logistic), "logistic regression finds {logistic}");
    assert!(oracle > logistic + 0.1, "the oracle finds {oracle}");
    assert!(amount < 0.1, "the amount alone finds {amount}");
}
