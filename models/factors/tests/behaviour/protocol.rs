//! The interactions protocol on planted data: order, tastes, cold attributes, and what its intervals promise.

use crate::planted::{tastes, walks};
use dhow_factors::{
    AttributeRegression, AttributeSettings, ColdItems, ColdSettings, FactorsError, InteractionData, Interactions,
    ProtocolSettings, evaluate_cold, evaluate_cold_items, evaluate_interactions, lift_estimate, mean_estimate,
    recency_weights, split_cold,
};
use rand::{RngExt, SeedableRng};

/// Attributes of which the first says what an item goes with, and the second, shared by unlike items, says nothing.
fn attributes(items: u32) -> Vec<Vec<u32>> {
    (0..items).map(|item| vec![item % 4, 4 + item / 4 % 5]).collect()
}

#[test]
fn the_attribute_regression_learns_which_attributes_go_together_where_similarity_is_blind() {
    // People of taste 0 alternate between attributes 0 and 1, others between 2 and 3: what comes along is never alike.
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(12);
    let person = |taste: u32, random: &mut rand_chacha::ChaCha8Rng| -> Vec<u32> {
        (0..8).map(|place| random.random_range(0..50_u32) * 4 + taste * 2 + place % 2).collect()
    };
    let histories: Vec<Vec<u32>> = (0..600).map(|at| person(at % 2, &mut random)).collect();
    let split = split_cold(&histories, 200, 0.2, 3);
    // Only the last item is known of each person, so that similarity alone would point at its own attribute.
    let mut last = split.clone();
    last.train.iter_mut().for_each(|history| history.drain(..history.len().saturating_sub(1)).for_each(drop));
    let data = Interactions::from_histories(&split.train, 200).unwrap();
    let attributes = attributes(200);
    let model = AttributeRegression::fit(&attributes, &data, &AttributeSettings::default()).unwrap();
    let recall = |scores: &(dyn Fn(usize) -> Vec<f32> + Sync)| {
        evaluate_cold(&last, 10, |person| Ok(scores(person))).unwrap().overall.recall
    };
    let learned = recall(&|person| {
        let profile = model.profile(&recency_weights(&last.train[person], 0.0)).unwrap();
        last.cold.iter().map(|item| model.score(&profile, &attributes[*item as usize])).collect()
    });
    let similar = recall(&|person| {
        let own = &attributes[last.train[person][0] as usize];
        let shared = |item: &u32| attributes[*item as usize].iter().filter(|a| own.contains(a)).count() as f32;
        last.cold.iter().map(shared).collect()
    });
    assert!(learned > 1.3 * similar, "{learned} beside {similar}");
    let nothing = AttributeRegression::fit(&vec![vec![]; 200], &data, &AttributeSettings::default());
    assert!(matches!(nothing, Err(FactorsError::TooMany { what: "attributes", count: 0, .. })));
}

#[test]
fn stand_ins_add_what_the_behaviour_of_single_items_tells_where_no_attribute_decides_by_itself() {
    // Item i has attributes (brand, size). A person's second item is of the brand after next and the same size, if the
    // brand's number and the size are both even or both odd, else of another brand and size: no attribute decides by itself.
    let (brands, sizes, copies) = (8_u32, 4_u32, 10_u32);
    let item = |brand: u32, size: u32, copy: u32| (brand * sizes + size) * copies + copy;
    let attributes: Vec<Vec<u32>> =
        (0..brands * sizes * copies).map(|at| vec![at / copies / sizes, brands + at / copies % sizes]).collect();
    let goes_with = |brand: u32, size: u32| {
        if (brand + size).is_multiple_of(2) {
            ((brand + 2) % brands, size)
        } else {
            ((brand + 3) % brands, (size + 1) % sizes)
        }
    };
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(31);
    let histories: Vec<Vec<u32>> = (0..3_000)
        .map(|_| {
            let (brand, size) = (random.random_range(0..brands), random.random_range(0..sizes));
            let (next_brand, next_size) = goes_with(brand, size);
            vec![
                item(brand, size, random.random_range(0..copies)),
                item(next_brand, next_size, random.random_range(0..copies)),
            ]
        })
        .collect();
    let split = split_cold(&histories, attributes.len(), 0.1, 4);
    let known = Interactions::from_histories(&split.train, attributes.len()).unwrap();
    // Without pairs of attributes as features, the regression is additive and blind to the rule.
    let regression = AttributeSettings { features_max: (brands + sizes) as usize, ..AttributeSettings::default() };
    let recall = |stand_in_share: f32| {
        let settings = ColdSettings { regression, stand_in_share, ..ColdSettings::default() };
        let model = ColdItems::fit(&attributes, &known, &settings).unwrap();
        let judged =
            evaluate_cold(&split, 2, |person| model.scores(&recency_weights(&split.train[person], 0.0), &split.cold));
        judged.unwrap().overall.recall
    };
    let (alone, both) = (recall(0.0), recall(2.0));
    assert!(both > 1.08 * alone, "{both} beside {alone}");
}

#[test]
fn cold_items_of_which_nothing_is_known_score_zero_and_wrong_requests_are_refused() {
    let known = Interactions::from_histories(&[vec![0, 1], vec![1, 2], vec![0, 2]], 5).unwrap();
    let attributes = vec![vec![0], vec![1], vec![0, 1], vec![0], vec![]];
    let model = ColdItems::fit(&attributes, &known, &ColdSettings::default()).unwrap();
    assert_eq!(model.scores(&[], &[3, 4]).unwrap(), [0.0, 0.0], "nobody known");
    assert_eq!(model.scores(&[(0, 1.0)], &[3, 4]).unwrap()[1], 0.0, "no attribute known");
    assert_eq!(model.scores(&[(0, 1.0)], &[]).unwrap(), Vec::<f32>::new());
    assert_eq!(model.scores(&[(0, 1.0)], &[9]).unwrap_err(), FactorsError::UnknownItem { row: 0, item: 9, items: 5 });
    assert!(matches!(model.scores(&[(9, 1.0)], &[3]).unwrap_err(), FactorsError::UnknownItem { row: 0, item: 9, .. }));
    assert!(matches!(model.scores(&[(0, f32::NAN)], &[3]).unwrap_err(), FactorsError::BadWeight { row: 0, .. }));
    assert!(matches!(model.with_share(-1.0), Err(FactorsError::BadSetting { name: "stand_in_share", .. })));
    let few = ColdItems::fit(&attributes[1..], &known, &ColdSettings::default());
    assert!(matches!(few, Err(FactorsError::WrongLength { what: "attributes", got: 4, expected: 5 })));
}

#[test]
fn the_cold_part_alone_beats_every_similarity_where_unlike_attributes_go_together() {
    // As above: people alternate between two attributes that are never alike, so that similarity finds half at best.
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(21);
    let histories: Vec<Vec<u32>> = (0..600_u32)
        .map(|at| {
            let first = random.random_range(0..50_u32) * 4 + at % 2 * 2;
            vec![first, random.random_range(0..50_u32) * 4 + at % 2 * 2 + 1, first]
        })
        .collect();
    let settings = ProtocolSettings { count: 5, cold_share: 0.2, resamples: 100, ..ProtocolSettings::default() };
    let report = evaluate_cold_items(&histories, &attributes(200), &settings, 5).unwrap();
    assert_eq!(report.methods.len(), 6);
    for method in &report.methods[1..] {
        let lift = method.recall_lift.unwrap();
        assert!(lift.low > 0.0 || method.name == "attributes to factors", "{}: {lift:?}", method.name);
    }
    let refused = evaluate_cold_items(&[vec![0, 9]], &attributes(3), &settings, 5);
    assert!(matches!(refused, Err(FactorsError::UnknownItem { item: 9, .. })));
    let nothing_left = ProtocolSettings { count: 0, ..settings };
    let refused = evaluate_cold_items(&histories, &attributes(200), &nothing_left, 5);
    assert!(matches!(refused, Err(FactorsError::BadSetting { name: "count", .. })));
}

#[test]
fn the_protocol_finds_planted_order_and_taste_and_reports_each_part() {
    let mut histories = tastes(13, 250, 160, 4, 12);
    histories.extend(walks(14, 250, 160, 12));
    let data = InteractionData { histories, items: 160, attributes: Some(attributes(160)) };
    let settings =
        ProtocolSettings { count: 10, neighbour_trials: 2, factor_trials: 1, cold_share: 0.2, resamples: 100 };
    let report = evaluate_interactions(&data, &settings, 5).unwrap();
    assert_eq!((report.people, report.items), (500, 160));
    for methods in [&report.last_fifth, &report.leave_last] {
        let names: Vec<&str> = methods.iter().map(|method| method.name.as_str()).collect();
        assert_eq!(names, ["blend", "popularity", "Markov chain", "BM25 neighbours"]);
        assert_eq!(methods[0].report.segments.iter().map(|segment| segment.accuracy.people).sum::<usize>(), 500);
        // A chain knows the walks as well as anything can, and nothing of tastes.
        for (baseline, floor) in methods[1..].iter().zip([0.5, -0.1, 0.0]) {
            let lift = baseline.ndcg_lift.unwrap();
            assert!(lift.low < lift.value && lift.value < lift.high, "{lift:?}");
            assert!(lift.value > floor, "{}: {lift:?}", baseline.name);
        }
        assert!(methods[0].report.recommended_popularity < methods[1].report.recommended_popularity);
    }
    assert!(report.parts.iter().any(|part| part.name.starts_with("ordered") && part.weight > 0.0));
    let cold = report.cold.as_ref().unwrap();
    assert!(cold.methods[0].recall.value > 1.5 * cold.recall_random, "{cold:?}");
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = one_thread.install(|| evaluate_interactions(&data, &settings, 5)).unwrap();
    assert_eq!(again, report, "the same seed gives the same report, on any number of threads");
}

#[test]
fn data_that_cannot_be_judged_is_refused_with_the_reason() {
    let settings = ProtocolSettings { neighbour_trials: 1, ..Default::default() };
    let judged = |histories: Vec<Vec<u32>>, items, attributes| {
        evaluate_interactions(&InteractionData { histories, items, attributes }, &settings, 1)
    };
    assert_eq!(judged(vec![], 3, None).unwrap_err(), FactorsError::NoInteractions);
    assert_eq!(judged(vec![vec![0], vec![1]], 3, None).unwrap_err(), FactorsError::NoInteractions);
    assert!(matches!(judged(vec![vec![0, 9]], 3, None), Err(FactorsError::UnknownItem { item: 9, .. })));
    let few = Some(vec![vec![1]]);
    assert!(matches!(
        judged(vec![vec![0, 1, 2]; 4], 3, few),
        Err(FactorsError::WrongLength { what: "attributes", .. })
    ));
    let none = ProtocolSettings { neighbour_trials: 0, ..settings };
    let data = InteractionData { histories: vec![vec![0, 1, 2]], items: 3, attributes: None };
    assert!(matches!(
        evaluate_interactions(&data, &none, 1),
        Err(FactorsError::BadSetting { name: "neighbour_trials", .. })
    ));
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(15);
    let (mut held, mut held_lift) = (0, 0);
    for study in 0..200 {
        // Hits of chance 0.3, and of chance 0.2 for the other side.
        let draws: Vec<f32> = (0..300).map(|_| random.random::<f32>()).collect();
        let hits = |chance: f32| draws.iter().map(|draw| f32::from(u8::from(*draw < chance))).collect::<Vec<f32>>();
        let mean = mean_estimate(&hits(0.3), 300, study).unwrap();
        held += usize::from(mean.low <= 0.3 && 0.3 <= mean.high);
        let lift = lift_estimate(&hits(0.3), &hits(0.2), 300, study).unwrap();
        held_lift += usize::from(lift.low <= 0.5 && 0.5 <= lift.high);
    }
    assert!((180..=198).contains(&held) && (180..=198).contains(&held_lift), "{held} and {held_lift} of 200");
    assert!(lift_estimate(&[1.0], &[1.0, 2.0], 10, 1).is_err());
    assert_eq!(mean_estimate(&[], 10, 1).unwrap().value, 0.0);
}
