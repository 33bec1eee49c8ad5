//! Floors of quality on the public interaction data sets; skipped by name where the data folder is absent.

use dhow_factors::{InteractionData, ProtocolSettings, evaluate_interactions};
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

#[test]
fn the_blend_keeps_its_distance_from_the_baselines_on_amazon_toys() {
    let name = "the_blend_keeps_its_distance_from_the_baselines_on_amazon_toys";
    let Some(histories) = histories(name, "amazon_toys/Toys_and_Games.txt") else { return };
    // Every fourth person is enough for a floor.
    let histories: Vec<Vec<u32>> = histories.into_iter().step_by(4).collect();
    let items = histories.iter().flatten().max().map_or(0, |item| *item as usize + 1);
    let data = InteractionData { histories, items, attributes: None };
    let settings = ProtocolSettings { neighbour_trials: 2, factor_trials: 1, ..ProtocolSettings::default() };
    let report = evaluate_interactions(&data, &settings, 1).unwrap();
    let floors = [("popularity", 2.0), ("Markov chain", 0.1), ("BM25 neighbours", 0.1)];
    for (method, (name, floor)) in report.last_fifth[1..].iter().zip(floors) {
        let lift = method.ndcg_lift.unwrap();
        assert!(method.name == name && lift.value > floor && lift.low > 0.0, "{}: {lift:?}", method.name);
    }
}
