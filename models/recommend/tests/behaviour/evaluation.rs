//! Metrics against hand-counted figures, the split by time, and the choice of settings.

use dhow_recommend::evaluation::{
    Axis, ChainPredictor, MarkovBaseline, MetricsSum, PopularityBaseline, Repeats, SessionPredictor, SettingsGrid,
    Visit, choose_settings, evaluate_sessions, split_by_time, visits_of,
};
use dhow_recommend::{InteractionKind, RecommendError, Seen, Settings, TrainError};

use crate::world::{act, at, catalogue, model, products, view};

fn visit(numbers: &[u128]) -> Visit {
    products(numbers).into()
}

#[test]
fn metrics_are_those_counted_by_hand() {
    let mut sum = MetricsSum::new(3);
    sum.add(&products(&[5, 1, 2, 9]), &products(&[1, 9]));
    sum.add(&products(&[5, 6]), &products(&[7]));
    sum.add(&products(&[4]), &[]);
    let metrics = sum.finish(10);
    assert_eq!((metrics.predictions, metrics.hit_rate, metrics.mrr, metrics.recall), (2, 0.5, 0.25, 0.25));
    let gain = 1.0 / 3f64.log2();
    assert!((metrics.ndcg - gain / (1.0 + gain) / 2.0).abs() < 1e-12);
    assert_eq!(metrics.coverage, 0.4);
    assert_eq!(MetricsSum::new(3).finish(0).mrr, 0.0);
}

#[test]
fn the_next_item_protocol_predicts_each_product_but_the_first() {
    let sessions = [visit(&[1, 2, 3]), visit(&[1, 2]), visit(&[4])];
    let markov = evaluate_sessions(&MarkovBaseline::new(&sessions), &sessions, 1, 4).unwrap();
    assert_eq!((markov.predictions, markov.hit_rate), (3, 1.0));
    let popular = evaluate_sessions(&PopularityBaseline::new(&sessions), &sessions, 1, 4).unwrap();
    assert_eq!((popular.predictions, popular.hit_rate), (3, 2.0 / 3.0));
    let model = model(&[view(1, 1, 0), view(1, 2, 1)], 5);
    let predictor = ChainPredictor { recommender: &model, seen: Seen::HideCurrent };
    assert_eq!(evaluate_sessions(&predictor, &sessions, 101, 5), Err(RecommendError::Count(101)));
    assert_eq!(predictor.predict(&visit(&[1, 2]), 1, 1).unwrap(), products(&[2]));
}

#[test]
fn sessions_are_ordered_by_time_and_repeats_collapse_only_when_asked() {
    let rows = [view(1, 2, 5), view(1, 1, 3), act(1, 1, InteractionKind::CartAdd, 4), view(0, 9, 9)];
    assert_eq!(visits_of(&rows, Repeats::Keep), [visit(&[9]), visit(&[1, 1, 2])]);
    assert_eq!(visits_of(&rows, Repeats::Collapse), [visit(&[9]), visit(&[1, 2])]);
}

#[test]
fn a_split_by_time_keeps_sessions_whole_and_the_training_part_in_the_past() {
    let rows = [view(1, 1, 0), view(2, 1, 1), view(2, 2, 12), view(3, 1, 13), view(3, 2, 25), view(4, 4, 9)];
    let split = split_by_time(&rows, at(10), at(20));
    assert_eq!(split.train, [rows[0], rows[5]]);
    assert_eq!(split.validation, [rows[1], rows[2]]);
    assert_eq!(split.test, [rows[3], rows[4]]);
}

#[test]
fn chosen_settings_are_the_best_trial_on_the_validation_sessions() {
    // After 1 comes 2 in every session and 3 much later: only a strong gap decay tells them apart from frequency.
    let rows: Vec<_> = (0..6)
        .flat_map(|s| [view(s, 1, 0), view(s, 2, 1), view(s, 4, 2), view(s, 5, 3), view(s, 3, 4)])
        .chain((6..8).flat_map(|s| [view(s, 1, 0), view(s, 5, 1), view(s, 3, 2)]))
        .collect();
    let start = Settings { gap_decay: 1.0, reverse_share: 1.0, ..Settings::default() };
    let grid = SettingsGrid(vec![(Axis::GapDecay, vec![0.2]), (Axis::ReverseShare, vec![0.0])]);
    let validation = [visit(&[1, 2])];
    let choice = choose_settings(&rows, &catalogue(6), &validation, &start, &grid, 5).unwrap();
    assert_eq!(choice.trials.len(), 3);
    assert_eq!(choice.trials[0].settings, start);
    assert_eq!(choice.best.settings.gap_decay, 0.2);
    assert_eq!(choice.best.metrics.mrr, 1.0);
    assert!(choice.trials[0].metrics.mrr < 1.0);
    let alone = [visit(&[1])];
    assert_eq!(choose_settings(&rows, &catalogue(6), &alone, &start, &grid, 5), Err(TrainError::NoValidation));
}
