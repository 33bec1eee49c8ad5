//! Scores beside payment fraud: each finds its own kind and leaves the others; the training itself is tested in `boosting`.

use dhow_fraud::evaluation::average_precision;
use dhow_fraud::{Boosting, BoostingSettings, KindError, KindScores, KindTable, ModelFileError, RiskKind, TrainError};

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

/// An account has no velocity of a card and no amount; a payment no age and no hour.
fn hidden(kind: RiskKind) -> &'static [usize] {
    if kind == RiskKind::AccountTakeover { &[0, 1] } else { &[2, 3] }
}

fn learned() -> KindScores {
    let ((early, early_kinds), (mut late, late_kinds)) = (of_kinds(4_000, 1), of_kinds(2_000, 2));
    late.times = early.times[3_999..].iter().cycle().take(2_000).copied().collect();
    let train = KindTable { rows: early.table().unwrap(), kinds: &early_kinds };
    let validation = KindTable { rows: late.table().unwrap(), kinds: &late_kinds };
    let mut scores = KindScores::default();
    for kind in LEARNED {
        let probabilities = scores.learn(kind, &train, &validation, hidden(kind), &settings()).unwrap();
        assert_eq!(probabilities.len(), 2_000);
    }
    scores
}

#[test]
fn each_score_ranks_its_own_kind_above_everything_else_other_frauds_included() {
    let scores = learned();
    let (later, kinds) = of_kinds(4_000, 3);
    for kind in LEARNED {
        let labels: Vec<bool> = kinds.iter().map(|known| *known == Some(kind)).collect();
        let probabilities = scores.model(kind).unwrap().probabilities(&later.rows).unwrap();
        let precision = average_precision(&probabilities, &labels).unwrap();
        // What is a burst of small amounts is no takeover, whatever its age and hour, and that hides from takeovers.
        let least = if kind == RiskKind::AccountTakeover { 0.6 } else { 0.9 };
        assert!(precision > least, "{kind:?}: {precision}");
    }
    assert_eq!(scores.iter().map(|(kind, _)| kind).collect::<Vec<_>>(), LEARNED);
    assert!(scores.model(RiskKind::ReturnAbuse).is_none());
}

#[test]
fn what_a_kind_does_not_see_moves_no_score_and_is_missing_in_the_row_that_it_was_made_of() {
    let scores = learned();
    let model = scores.model(RiskKind::CardTesting).unwrap();
    let (mut one, mut other) = ([9.0, 2.0, 0.5, 0.0, 0.5, 7.0], [9.0, 2.0, 0.9, 0.9, 0.5, 7.0]);
    let (score, same) = (model.score(&mut one, 4).unwrap(), model.score(&mut other, 4).unwrap());
    assert!(score.probability > 0.8 && score == same, "{score:?}");
    assert!(one[2..4].iter().all(|value| value.is_nan()) && one[..2] == [9.0, 2.0]);
    assert!(score.reasons.iter().all(|reason| reason.feature != "account_age_30d"), "{score:?}");
}

#[test]
fn the_file_of_the_scores_is_read_back_and_a_damaged_one_is_refused() {
    let scores = learned();
    let bytes = scores.to_bytes().unwrap();
    let read = KindScores::from_bytes(&bytes).unwrap();
    for kind in LEARNED {
        let score = |scores: &KindScores| scores.model(kind).unwrap().score(&mut [9.0, 2.0, 0.5, 0.0, 0.5, 7.0], 3);
        assert_eq!(score(&read), score(&scores));
    }
    assert!(matches!(KindScores::from_bytes(&bytes[..bytes.len() - 1]), Err(ModelFileError::Damaged { .. })));
}

#[test]
fn a_kind_without_labels_is_refused_by_name() {
    let (early, kinds) = of_kinds(1_000, 1);
    let train = KindTable { rows: early.table().unwrap(), kinds: &kinds };
    let learn = |kind, validation: &KindTable<'_>| {
        KindScores::default().learn(kind, &train, validation, &[], &settings()).unwrap_err()
    };
    let refused = learn(RiskKind::ReturnAbuse, &train);
    assert!(matches!(refused, KindError::Train { kind: RiskKind::ReturnAbuse, problem: TrainError::Table(_) }));
    let refused = learn(RiskKind::CardTesting, &KindTable { kinds: &kinds[..999], ..train });
    assert_eq!(refused, KindError::WrongLength { table: "validation", rows: 1_000, kinds: 999 });
}
