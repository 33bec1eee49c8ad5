//! Scores beside payment fraud: each finds its own kind and leaves the others; the training itself is tested in `boosting`.

use dhow_fraud::evaluation::average_precision;
use dhow_fraud::{
    Boosting, BoostingSettings, FraudScorer, KindError, KindScores, KindTable, ModelFileError, RiskKind, TrainError,
};

use crate::world::{Columns, orders};

/// Orders whose kind follows from two of their numbers: small amounts in a burst, or old accounts at an odd hour.
fn of_kinds(count: usize, seed: u64) -> (Columns, Vec<Option<RiskKind>>) {
    let world = orders(count, seed);
    let kinds = world.rows.chunks(6).map(|row| match row {
        [velocity, amount, ..] if *velocity > 3.0 && *amount < 4.0 => Some(RiskKind::CardTesting),
        [_, _, age, hour, ..] if *age > 0.8 && *hour > 0.7 => Some(RiskKind::AccountTakeover),
        _ => None,
    });
    let kinds = kinds.collect();
    (world, kinds)
}

fn settings() -> BoostingSettings {
    let boosting = Boosting { rounds: 40, learning_rate: 0.2, max_leaves: 6, ..Boosting::default() };
    BoostingSettings { candidates: vec![boosting], patience: None, ..BoostingSettings::default() }
}

const LEARNED: [RiskKind; 2] = [RiskKind::AccountTakeover, RiskKind::CardTesting];

fn learned() -> KindScores {
    let ((early, early_kinds), (mut late, late_kinds)) = (of_kinds(4_000, 1), of_kinds(2_000, 2));
    late.times = early.times[3_999..].iter().cycle().take(2_000).copied().collect();
    let train = KindTable { rows: early.table().unwrap(), kinds: &early_kinds };
    let validation = KindTable { rows: late.table().unwrap(), kinds: &late_kinds };
    KindScores::train(&LEARNED, &train, &validation, &settings()).unwrap()
}

#[test]
fn each_score_ranks_its_own_kind_above_everything_else_other_frauds_included() {
    let scores = learned();
    let (later, kinds) = of_kinds(4_000, 3);
    for kind in LEARNED {
        let model = scores.model(kind).unwrap();
        let labels: Vec<bool> = kinds.iter().map(|known| *known == Some(kind)).collect();
        let precision = average_precision(&model.probabilities(&later.rows).unwrap(), &labels).unwrap();
        assert!(precision > 0.9, "{kind:?}: {precision}");
    }
    let burst = scores.score(&[9.0, 2.0, 0.5, 0.0, 0.5, 7.0], 2).unwrap();
    assert_eq!(burst.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), LEARNED);
    assert!(burst[1].1.probability > 0.8 && burst[0].1.probability < 0.1, "{burst:?}");
    assert_eq!(burst[1].1.reasons.len(), 2);
}

#[test]
fn the_file_of_the_scores_is_read_back_and_a_damaged_one_is_refused() {
    let scores = learned();
    let bytes = scores.to_bytes().unwrap();
    let row = [9.0, 2.0, 0.5, 0.0, 0.5, 7.0];
    assert_eq!(KindScores::from_bytes(&bytes).unwrap().score(&row, 3), scores.score(&row, 3));
    assert!(matches!(KindScores::from_bytes(&bytes[..bytes.len() - 1]), Err(ModelFileError::Damaged { .. })));
}

#[test]
fn a_kind_without_labels_is_refused_by_name() {
    let (early, kinds) = of_kinds(1_000, 1);
    let train = KindTable { rows: early.table().unwrap(), kinds: &kinds };
    let refused = KindScores::train(&[RiskKind::ReturnAbuse], &train, &train, &settings()).unwrap_err();
    assert!(matches!(refused, KindError::Train { kind: RiskKind::ReturnAbuse, problem: TrainError::Table(_) }));
    let short = KindTable { kinds: &kinds[..999], ..train };
    let refused = KindScores::train(&[RiskKind::CardTesting], &train, &short, &settings()).unwrap_err();
    assert_eq!(refused, KindError::WrongLength { table: "validation", rows: 1_000, kinds: 999 });
}
