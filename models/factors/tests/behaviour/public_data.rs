//! Floors of quality on the public interaction data sets; skipped by name where the data folder is absent.

use dhow_factors::{
    Blend, FactorModel, FactorSettings, Interactions, Neighbours, OrderedSettings, Popularity, Scorer, evaluate,
    recency_weights, split_last_fifth, validation_of,
};
use std::path::PathBuf;

fn histories(test: &str, file: &str) -> Option<Vec<Vec<u32>>> {
    let root = std::env::var("DHOW_DATA_DIR")
        .map_or_else(|_| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(root.join("interactions").join(file)) else {
        println!("SKIPPED: {test}: data folder absent");
        return None;
    };
    let history = |line: &str| line.split_whitespace().skip(1).map(|item| item.parse().unwrap()).collect();
    Some(text.lines().map(history).collect())
}

fn models(data: &Interactions) -> Vec<(String, Box<dyn Scorer>)> {
    let factors = FactorSettings { dimensions: 64, iterations: 8, ..Default::default() };
    vec![
        ("factors".into(), Box::new(FactorModel::fit(data, &factors).unwrap())),
        ("ordered".into(), Box::new(Neighbours::ordered(data, &OrderedSettings::default()).unwrap())),
    ]
}

#[test]
fn the_blend_of_factors_and_neighbours_keeps_its_quality_on_amazon_toys() {
    let name = "the_blend_of_factors_and_neighbours_keeps_its_quality_on_amazon_toys";
    let Some(histories) = histories(name, "amazon_toys/Toys_and_Games.txt") else { return };
    let items = histories.iter().flatten().max().map_or(0, |item| *item as usize + 1);
    let split = split_last_fifth(&histories);
    let (validation, seen) = validation_of(&split.train, items).unwrap();
    let learned = Blend::learn(models(&seen), &validation, 20).unwrap();
    let data = Interactions::from_histories(&split.train, items).unwrap();
    let blend = learned.with_models(models(&data).into_iter().map(|model| model.1).collect()).unwrap();
    let report = evaluate(&data, &split, 20, |history| blend.scores(history)).unwrap();

    let popularity = Popularity::fit(&data);
    let scores = |history: &[u32]| {
        let mut scores = vec![0.0; items];
        popularity.add_scores(&recency_weights(history, 0.0), &mut scores)?;
        Ok(scores)
    };
    let popular = evaluate(&data, &split, 20, scores).unwrap();
    assert!(report.overall.ndcg > 4.0 * popular.overall.ndcg, "{:?} beside {:?}", report.overall, popular.overall);
}
