//! Item models: EASE against a naive inverse, neighbours against counting, the blend and the content map on planted data.

use crate::factors::naive_solve;
use crate::planted::{tastes, walks};
use dhow_factors::{
    Blend, Bm25Settings, ContentMap, Ease, FactorModel, FactorSettings, Interactions, Neighbours, OrderedSettings,
    Popularity, Scorer, Split, evaluate, recency_weights, split_last_fifth, validation_of,
};

#[test]
fn ease_weights_are_those_of_a_naive_inverse() {
    // 300 items are more than two blocks of the inversion and no multiple of its lanes.
    let (items, lambda) = (300_usize, 20.0_f64);
    let data = Interactions::from_histories(&tastes(1, 400, items, 5, 15), items).unwrap();
    let mut gramian = vec![vec![0.0; items]; items];
    for person in 0..400 {
        for a in data.history(person) {
            for b in data.history(person) {
                gramian[*a as usize][*b as usize] += 1.0;
            }
        }
    }
    (0..items).for_each(|i| gramian[i][i] += lambda);
    let ease = Ease::fit(&data, lambda as f32).unwrap();
    for j in [0, 1, 63, 127, 128, 200, 255, 256, 299] {
        let unit: Vec<f64> = (0..items).map(|i| f64::from(u8::from(i == j))).collect();
        let column = naive_solve(gramian.clone(), unit);
        for i in 0..items {
            let expected = if i == j { 0.0 } else { -column[i] / column[j] };
            let weight = f64::from(ease.weight(i as u32, j as u32));
            assert!((weight - expected).abs() < 1e-5, "weight {i} → {j}: {weight} for {expected}");
        }
    }
    let mut scores = vec![0.0; items];
    ease.add_scores(&[(3, 1.0), (8, 0.5)], &mut scores).unwrap();
    for (item, score) in (0_u32..).zip(&scores) {
        assert!((score - (ease.weight(3, item) + 0.5 * ease.weight(8, item))).abs() < 1e-6);
    }
}

#[test]
fn ordered_neighbours_are_what_counting_pairs_gives() {
    let histories = tastes(2, 60, 40, 2, 9);
    let data = Interactions::from_histories(&histories, 40).unwrap();
    let settings = OrderedSettings { window: 4, neighbours: 1000, ..Default::default() };
    let neighbours = Neighbours::ordered(&data, &settings).unwrap();
    for i in 0..40_u32 {
        for j in (0..40_u32).filter(|j| *j != i) {
            let mut expected = 0.0_f64;
            for history in &histories {
                let place = |item| history.iter().position(|other| *other == item).map(|at| at as i64);
                let (Some(a), Some(b)) = (place(i), place(j)) else { continue };
                if (b - a).abs() <= 4 {
                    let direction = if b > a { 1.0 } else { f64::from(settings.backward_share) };
                    expected += direction * ((b - a).abs() as f64).powf(-f64::from(settings.gap_exponent));
                }
            }
            expected /= (data.support(i) as f64 + 1.0).powf(f64::from(settings.source_damping));
            expected /= (data.support(j) as f64 + 1.0).powf(f64::from(settings.target_damping));
            let strength = neighbours.of(i).iter().find(|other| other.0 == j).map_or(0.0, |other| f64::from(other.1));
            assert!((strength - expected).abs() < 1e-4, "{i} → {j}: {strength} for {expected}");
        }
    }
}

#[test]
fn neighbours_that_know_order_tell_what_comes_after_from_what_came_before() {
    let data = Interactions::from_histories(&walks(3, 500, 200, 8), 200).unwrap();
    // Someone who took one item goes on to the next; the one before it is just as close.
    let split = Split {
        train: (0..200).map(|item| vec![item]).collect(),
        test: (1..=200).map(|item| vec![item % 200]).collect(),
    };
    let recall = |model: Neighbours| {
        let scores = |history: &[u32]| {
            let mut scores = vec![0.0; 200];
            model.add_scores(&recency_weights(history, 1.0), &mut scores)?;
            Ok(scores)
        };
        evaluate(&data, &split, 1, scores).unwrap().overall.recall
    };
    let ordered = recall(Neighbours::ordered(&data, &OrderedSettings::default()).unwrap());
    let unordered = recall(Neighbours::bm25(&data, &Bm25Settings::default()).unwrap());
    assert!(ordered > 0.8 && unordered < 0.7, "{ordered} beside {unordered}");
}

fn parts(data: &Interactions) -> Vec<(String, Box<dyn Scorer>)> {
    let factors = FactorSettings { dimensions: 16, observed_weight: 5.0, ..Default::default() };
    vec![
        ("factors".into(), Box::new(FactorModel::fit(data, &factors).unwrap())),
        ("ease".into(), Box::new(Ease::fit(data, 30.0).unwrap())),
        ("ordered".into(), Box::new(Neighbours::ordered(data, &OrderedSettings::default()).unwrap())),
        ("popularity".into(), Box::new(Popularity::fit(data))),
    ]
}

#[test]
fn a_blend_is_no_worse_than_its_parts_and_reports_everything() {
    // Half the people have tastes, half walk: no part alone knows both.
    let mut histories = tastes(4, 600, 160, 4, 12);
    histories.extend(walks(5, 600, 160, 12));
    let split = split_last_fifth(&histories);
    let (validation, seen) = validation_of(&split.train, 160).unwrap();
    let learned = Blend::learn(parts(&seen), &validation, 10).unwrap();
    let data = Interactions::from_histories(&split.train, 160).unwrap();
    let blend = learned.with_models(parts(&data).into_iter().map(|part| part.1).collect()).unwrap();
    let report = evaluate(&data, &split, 10, |history| blend.scores(history)).unwrap();
    for (name, model) in parts(&data) {
        let scores = |history: &[u32]| {
            let mut scores = vec![0.0; 160];
            model.add_scores(&recency_weights(history, 0.0), &mut scores)?;
            Ok(scores)
        };
        let alone = evaluate(&data, &split, 10, scores).unwrap();
        assert!(report.overall.ndcg > alone.overall.ndcg * 0.99, "{name}: {:?}", alone.overall);
        if name == "popularity" {
            assert!(report.overall.ndcg > alone.overall.ndcg * 2.0);
            assert!(report.coverage > alone.coverage);
            assert!(report.recommended_popularity < alone.recommended_popularity);
        }
    }
    assert_eq!(report.overall.people, 1200);
    assert_eq!(report.segments.iter().map(|segment| segment.accuracy.people).sum::<usize>(), 1200);
    assert_eq!(report.ndcg_by_person.len(), 1200);
    let top = blend.top(&split.train[0], 10).unwrap();
    assert!(top.iter().all(|scored| !split.train[0].contains(&scored.item)));
}

#[test]
fn metrics_are_those_of_a_worked_example() {
    let data = Interactions::from_histories(&[vec![0, 1], vec![1]], 5).unwrap();
    let split = dhow_factors::Split { train: vec![vec![0, 1], vec![1]], test: vec![vec![3, 4], vec![]] };
    let report = evaluate(&data, &split, 2, |_| Ok(vec![9.0, 8.0, 7.0, 6.0, 5.0])).unwrap();
    // Items 2 and 3 are shown: one hit in the second place of an ideal two.
    assert_eq!(report.overall.people, 1);
    assert!((report.overall.recall - 0.5).abs() < 1e-12);
    let expected = (1.0 / 3.0_f64.log2()) / (1.0 + 1.0 / 3.0_f64.log2());
    assert!((report.overall.ndcg - expected).abs() < 1e-12);
    assert!((report.coverage - 0.4).abs() < 1e-12);
}

#[test]
fn content_places_an_unseen_item_among_its_taste_and_trust_moves_with_evidence() {
    let histories = tastes(6, 800, 200, 4, 15);
    let cold = |item: u32| item % 10 == 3;
    let train: Vec<Vec<u32>> =
        histories.iter().map(|history| history.iter().copied().filter(|item| !cold(*item)).collect()).collect();
    let data = Interactions::from_histories(&train, 200).unwrap();
    let settings = FactorSettings { dimensions: 8, observed_weight: 5.0, ..Default::default() };
    let model = FactorModel::fit(&data, &settings).unwrap();
    // An item's attributes: its group, and one that says nothing.
    let attributes: Vec<Vec<u32>> = (0..200).map(|item| vec![item % 4, 4 + item % 7]).collect();
    let map = ContentMap::fit(&attributes, &data, model.items(), 1.0, 5.0).unwrap();
    let (mut right, mut all) = (0, 0);
    for person in 0..800 {
        let score = |item: u32| -> f32 {
            let factors = map.predict(&attributes[item as usize]);
            model.people().row(person).iter().zip(&factors).map(|(a, b)| a * b).sum()
        };
        let best = (0..200_u32).filter(|item| cold(*item)).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap();
        right += usize::from(best as usize % 4 == person % 4);
        all += 1;
    }
    // Items of two of the groups are cold (3 modulo 10 is odd), so half the people can be served.
    assert!(right * 10 >= all * 4, "{right} of {all}");

    let behaviour = model.items().row(0);
    let content = map.predict(&attributes[0]);
    assert_eq!(map.blend(&attributes[0], behaviour, 0).unwrap(), content);
    let half = map.blend(&attributes[0], behaviour, 5).unwrap();
    for ((half, own), content) in half.iter().zip(behaviour).zip(&content) {
        assert!((half - (own + content) / 2.0).abs() < 1e-6);
    }
}
