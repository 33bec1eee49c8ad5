//! Training against naive counting with hash maps, and independence of threads, order and repetition.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use dhow_events::{BuyerId, DAY_MICROS, ProductId, SessionId, Timestamp};
use dhow_recommend::{Interaction, InteractionKind, Recommender, Settings, train};
use proptest::prelude::*;

use crate::world::{catalogue, interactions, product, request};

const PRODUCTS: u128 = 12;

type Pairs = HashMap<(ProductId, ProductId), f64>;

/// Ordered actions of one sequence, collapsed, cut and with the number of earlier distinct times among those kept.
fn steps(actions: &[(Timestamp, ProductId)], limit: usize) -> Vec<(usize, ProductId)> {
    let mut kept: Vec<(Timestamp, ProductId)> = Vec::new();
    for action in actions {
        if kept.is_empty() || kept[kept.len() - 1].1 != action.1 {
            kept.push(*action);
        }
    }
    let kept = kept[kept.len().saturating_sub(limit)..].to_vec();
    let earlier = |time: Timestamp| kept.iter().map(|a| a.0).filter(|t| *t < time).collect::<BTreeSet<_>>().len();
    kept.iter().map(|(time, product)| (earlier(*time), *product)).collect()
}

/// C(a→b) and n(a) as the documentation defines them, over every pair of positions of every sequence.
fn naive_cooccurrence(interactions: &[Interaction], settings: &Settings) -> (Pairs, HashMap<ProductId, f64>) {
    let known = |i: &&Interaction| i.product < product(PRODUCTS);
    let end = interactions.iter().filter(known).map(|i| i.time).max().unwrap();
    let mut sessions: BTreeMap<SessionId, BTreeSet<(Timestamp, ProductId, InteractionKind)>> = BTreeMap::new();
    let mut persons: BTreeMap<BuyerId, BTreeSet<(Timestamp, ProductId, SessionId)>> = BTreeMap::new();
    for i in interactions.iter().filter(known) {
        sessions.entry(i.session).or_default().insert((i.time, i.product, i.kind));
        if let (Some(person), InteractionKind::Purchase) = (i.person, i.kind) {
            persons.entry(person).or_default().insert((i.time, i.product, i.session));
        }
    }
    let sessions = sessions.values().map(|s| (1.0, s.iter().map(|(t, p, _)| (*t, *p)).collect::<Vec<_>>()));
    let persons = persons.values().map(|s| (settings.person_weight, s.iter().map(|(t, p, _)| (*t, *p)).collect()));
    let (mut pairs, mut counts) = (Pairs::new(), HashMap::new());
    for (weight, actions) in sessions.chain(persons) {
        let age_days = (end.micros() - actions[actions.len() - 1].0.micros()) as f64 / DAY_MICROS as f64;
        let weight = weight * 0.5f64.powf(age_days / settings.sequence_half_life_days);
        let steps = steps(&actions, settings.sequence_items);
        for product in steps.iter().map(|s| s.1).collect::<BTreeSet<_>>() {
            *counts.entry(product).or_default() += weight;
        }
        for (i, (step_a, a)) in steps.iter().enumerate() {
            for (j, (step_b, b)) in steps.iter().enumerate() {
                let gap = step_a.abs_diff(*step_b);
                if i != j && a != b && gap <= settings.window_steps as usize {
                    let direction = if step_b < step_a { settings.reverse_share } else { 1.0 };
                    let decay = settings.gap_decay.powf(gap.max(1) as f64 - 1.0);
                    *pairs.entry((*a, *b)).or_default() += weight * decay * direction;
                }
            }
        }
    }
    (pairs, counts)
}

/// Baskets as sets, support counted pair by pair.
fn naive_baskets(interactions: &[Interaction]) -> Vec<BTreeSet<ProductId>> {
    let mut baskets: BTreeMap<SessionId, BTreeSet<ProductId>> = BTreeMap::new();
    for i in interactions.iter().filter(|i| i.kind == InteractionKind::Purchase && i.product < product(PRODUCTS)) {
        baskets.entry(i.session).or_default().insert(i.product);
    }
    baskets.into_values().collect()
}

fn settings() -> impl Strategy<Value = Settings> {
    (2..8usize, 1..5u32, 0.2..1.0f64, 0.0..1.0f64, 0.5..40.0f64, 0.0..2.0f64, 0.0..1.0f64, 0.0..10.0f64).prop_map(
        |(sequence_items, window_steps, gap_decay, reverse_share, half_life, person_weight, discount, shrinkage)| {
            Settings {
                sequence_items,
                window_steps,
                gap_decay,
                reverse_share,
                sequence_half_life_days: half_life,
                person_weight,
                popularity_discount: discount,
                shrinkage,
                ..Settings::default()
            }
        },
    )
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-5 * b.abs().max(1e-9)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn neighbours_equal_naive_counting_over_all_pairs(interactions in interactions(), settings in settings()) {
        let model = train(&interactions, &catalogue(PRODUCTS), &settings).unwrap();
        let (pairs, counts) = naive_cooccurrence(&interactions, &settings);
        for a in (0..PRODUCTS).map(product) {
            let related = model.related(a, 100, &|_| true).unwrap();
            let expected: HashMap<ProductId, f64> = pairs.iter().filter(|((from, _), sum)| *from == a && **sum > 0.0).map(|((_, b), sum)| {
                let beta = settings.popularity_discount;
                let norm = (counts[&a] + settings.shrinkage).powf(1.0 - beta) * (counts[b] + settings.shrinkage).powf(beta);
                (*b, sum / norm)
            }).collect();
            prop_assert_eq!(related.len(), expected.len());
            prop_assert!(related.is_sorted_by(|x, y| x.score >= y.score));
            for r in related {
                prop_assert!(close(r.score, expected[&r.product]), "{} -> {}: {} not {}", a, r.product, r.score, expected[&r.product]);
            }
        }
    }

    #[test]
    fn a_shorter_neighbour_list_is_the_beginning_of_the_longer_one(interactions in interactions(), neighbours in 1..6usize) {
        let long = train(&interactions, &catalogue(PRODUCTS), &Settings::default()).unwrap();
        let short = train(&interactions, &catalogue(PRODUCTS), &Settings { neighbours, ..Settings::default() }).unwrap();
        for a in (0..PRODUCTS).map(product) {
            let expected: Vec<_> = long.related(a, neighbours, &|_| true).unwrap();
            prop_assert_eq!(short.related(a, 100, &|_| true).unwrap(), expected);
        }
    }

    #[test]
    fn bought_together_has_the_support_and_lift_of_counted_baskets(interactions in interactions(), basket_support in 1..4u32) {
        let model = train(&interactions, &catalogue(PRODUCTS), &Settings { basket_support, ..Settings::default() }).unwrap();
        let baskets = naive_baskets(&interactions);
        let with = |wanted: &[ProductId]| baskets.iter().filter(|b| wanted.iter().all(|p| b.contains(p))).count() as f64;
        for a in (0..PRODUCTS).map(product) {
            let companions = model.bought_together(a, 100, &|_| true).unwrap();
            let mut expected = BTreeMap::new();
            for b in (0..PRODUCTS).map(product).filter(|b| *b != a) {
                let (both, lift) = (with(&[a, b]), with(&[a, b]) * baskets.len() as f64 / (with(&[a]) * with(&[b])));
                if both >= f64::from(basket_support) && lift > 1.0 {
                    expected.insert(b, (both, lift));
                }
            }
            prop_assert_eq!(companions.len(), expected.len());
            for c in companions {
                let (both, lift) = expected[&c.product];
                prop_assert_eq!(f64::from(c.baskets), both);
                prop_assert!(close(c.lift, lift) && close(c.support, both / baskets.len() as f64) && close(c.confidence, both / with(&[a])));
            }
        }
    }

    #[test]
    fn training_does_not_depend_on_threads_order_or_repetition(interactions in interactions(), turn in 0..80usize) {
        let train_on = |threads: usize, rows: &[Interaction]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(rows, &catalogue(PRODUCTS), &Settings::default()).unwrap())
        };
        let one = train_on(1, &interactions);
        prop_assert_eq!(one.to_bytes().unwrap(), train_on(2, &interactions).to_bytes().unwrap());

        let mut turned = interactions.clone();
        turned.rotate_left(turn % interactions.len());
        turned.extend_from_slice(&interactions);
        let turned = train_on(2, &turned);
        prop_assert_eq!(turned.summary().unknown_product_interactions, 2 * one.summary().unknown_product_interactions);
        for current in 0..PRODUCTS {
            let ask = request(&[current], 10);
            prop_assert_eq!(one.recommend(&ask, &|_| true).unwrap(), turned.recommend(&ask, &|_| true).unwrap());
        }
    }
}
