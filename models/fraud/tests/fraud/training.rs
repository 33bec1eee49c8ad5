//! What a trained model promises: it follows bends, states true probabilities, explains itself exactly and survives its file form.

use dhow_events::Timestamp;
use dhow_fraud::evaluation::{EvaluationSettings, average_precision, evaluate};
use dhow_fraud::{
    Baseline, FraudModel, FraudScorer, ModelFileError, ReasonBook, SchemaMismatch, ScoreError, Settings, TableError,
    TrainError, Trained, train,
};

use crate::world::{Columns, orders};

fn quick() -> Settings {
    Settings { l2: vec![10.0, 1.0], knots: vec![0, 6], ..Settings::default() }
}

fn trained(columns: &Columns, settings: &Settings) -> Trained<FraudModel> {
    let (training, validation) = columns.table().unwrap().split_last(0.3).unwrap();
    train(&training, &validation, settings).unwrap()
}

#[test]
fn a_model_follows_bends_comes_near_the_truth_and_states_probabilities_that_come_true() {
    let columns = orders(30_000, 1);
    let (past, test) = columns.table().unwrap().split_last(0.4).unwrap();
    let (training, validation) = past.split_last(0.3).unwrap();
    let reached = |knots: Vec<usize>| {
        let settings = Settings { knots, ..quick() };
        let model = train(&training, &validation, &settings).unwrap().model;
        model.probabilities(test.values()).unwrap()
    };
    let precision = |scores: &[f64]| average_precision(scores, test.labels()).unwrap();
    let bent = reached(vec![0, 6]);
    let straight = reached(vec![0]);
    let truth = &columns.truth[columns.truth.len() - test.len()..];
    let ceiling = precision(truth);
    assert!(precision(&bent) > precision(&straight) + 0.02);
    assert!(precision(&bent) > 0.93 * ceiling, "{} of {ceiling}", precision(&bent));
    assert!(precision(&bent) > precision(&Baseline::AmountRank.scores(&test)) + 0.1);

    let found = evaluate(&bent, test.labels(), &EvaluationSettings::default()).unwrap();
    let ratio = found.expected_frauds / found.frauds as f64;
    assert!((0.85..1.15).contains(&ratio), "expected/actual {ratio}");
    assert!(found.expected_calibration_error < 0.15 * found.frauds as f64 / found.rows as f64);
    assert!(found.brier.high < found.brier_of_constant_rate);
    let trivial = Baseline::ApproveEverything.scores(&test);
    let trivial = evaluate(&trivial, test.labels(), &EvaluationSettings::default()).unwrap();
    assert_eq!(trivial.roc_auc.value, 0.5);
    assert_eq!(trivial.at_threshold.accuracy, found.at_threshold.accuracy_of_approving_everything);
}

#[test]
fn reasons_add_up_to_the_margin_and_the_average_row_has_none() {
    let columns = orders(6_000, 2);
    let model = trained(&columns, &quick()).model;
    let mut totals = vec![0.0; columns.names.len()];
    for row in columns.table().unwrap().rows() {
        let contributions = model.contributions(row).unwrap();
        totals.iter_mut().zip(&contributions).for_each(|(total, own)| *total += own);
        for limit in [0, 2, 100] {
            let score = model.score_with_reasons(row, limit).unwrap();
            let told: f64 = score.reasons.iter().map(|reason| reason.contribution).sum();
            assert!((score.base_margin + told + score.rest_contribution - score.margin).abs() < 1e-9);
            let all: f64 = contributions.iter().sum();
            assert!((score.base_margin + all - score.margin).abs() < 1e-9);
            assert!((score.probability - 1.0 / (1.0 + (-score.margin).exp())).abs() < 1e-12);
            assert!(score.reasons.len() <= limit);
            assert!(score.reasons.is_sorted_by(|a, b| a.contribution.abs() >= b.contribution.abs()));
        }
    }
    // Contributions are measured from the mean of the rows that the model learned from: here, all of them.
    for total in totals {
        assert!((total / columns.labels.len() as f64).abs() < 1e-9);
    }
}

#[test]
fn a_reason_names_code_value_and_usual_range_in_words() {
    let columns = orders(6_000, 3);
    let book = ReasonBook::default().with("account_age_30d", "ACCOUNT_AGE", "Age of the account");
    let model = trained(&columns, &Settings { reasons: book, ..quick() }).model;
    let row = [9.0, 300.0, f64::NAN, 0.95, 0.5, 7.0];
    let score = model.score_with_reasons(&row, 10).unwrap();
    let reason = |feature: &str| score.reasons.iter().find(|r| r.feature == feature).unwrap();

    let velocity = reason("card_orders_1h");
    assert_eq!(velocity.code, "CARD_ORDERS_1H");
    assert!(velocity.contribution > 0.0);
    let genuine: Vec<f64> = {
        let labelled = columns.rows.chunks(6).zip(&columns.labels);
        let mut values: Vec<f64> = labelled.filter(|(_, l)| !**l).map(|(r, _)| r[0]).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let share_below = |x: f64| genuine.partition_point(|&g| g < x) as f64 / genuine.len() as f64;
    let (low, high) = (velocity.usual_low.unwrap(), velocity.usual_high.unwrap());
    assert!(share_below(low) <= 0.05 && share_below(high) <= 0.95 && share_below(high + 1e-9) >= 0.95);
    assert_eq!(
        velocity.words,
        format!(
            "Card orders over 1 hour is 9, {} the usual {low} to {high}; raises the risk",
            if 9.0 > high { "above" } else { "within" }
        )
    );

    let age = reason("account_age_30d");
    assert_eq!((age.code.as_str(), age.value), ("ACCOUNT_AGE", None));
    assert_eq!(age.words, "Age of the account is missing; raises the risk");
    assert!(score.reasons.iter().all(|r| r.feature != "constant"), "a constant explains nothing");
}

#[test]
fn the_same_rows_give_the_same_bytes_whatever_the_number_of_threads() {
    let columns = orders(4_000, 4);
    let bytes = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| trained(&columns, &quick()).model.to_bytes().unwrap())
    };
    let one = bytes(1);
    assert_eq!(one, bytes(2));
    assert_eq!(one, bytes(1));
    assert_ne!(one, trained(&orders(4_000, 5), &quick()).model.to_bytes().unwrap());
}

#[test]
fn nothing_but_the_calibration_is_learned_from_validation_rows_unless_a_refit_is_asked_for() {
    let columns = orders(4_000, 6);
    let settings = Settings { l2: vec![3.0], knots: vec![6], refit_with_validation: false, ..quick() };
    let honest = trained(&columns, &settings).model;
    let mut shifted = columns.clone();
    for row in 3_000..4_000 {
        shifted.rows[row * 6 + 1] *= 50.0;
    }
    let other = trained(&shifted, &settings).model;
    assert_ne!(honest, other, "the calibration has seen them");
    let row = [4.0, 20.0, 0.3, 0.1, 0.5, 7.0];
    // Whatever the calibration is, it stretches all contributions of a row alike.
    let total = |model: &FraudModel| model.contributions(&row).unwrap().iter().sum::<f64>();
    let ratio = total(&honest) / total(&other);
    for (a, b) in honest.contributions(&row).unwrap().iter().zip(other.contributions(&row).unwrap()) {
        assert!((a - b * ratio).abs() < 1e-9);
    }
}

#[test]
fn a_model_file_is_read_back_exactly_and_a_wrong_one_is_refused_clearly() {
    let model = trained(&orders(4_000, 7), &quick()).model;
    let bytes = model.to_bytes().unwrap();
    assert_eq!(FraudModel::from_bytes(&bytes).unwrap(), model);

    assert_eq!(FraudModel::from_bytes(b"PAR1 something else"), Err(ModelFileError::Foreign { wanted: "DHOWFRML" }));
    assert_eq!(FraudModel::from_bytes(&[]), Err(ModelFileError::Foreign { wanted: "DHOWFRML" }));
    for length in 8..bytes.len() {
        let damaged = ModelFileError::Damaged { bytes: length };
        assert_eq!(FraudModel::from_bytes(&bytes[..length]), Err(damaged));
    }
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    assert!(matches!(FraudModel::from_bytes(&flipped), Err(ModelFileError::Damaged { .. })));
    let mut newer = bytes;
    newer[8] = 99;
    assert_eq!(FraudModel::from_bytes(&newer), Err(ModelFileError::Version { found: 99 }));
}

#[test]
fn other_features_are_refused_by_the_name_of_the_first_difference() {
    let columns = orders(4_000, 8);
    let model = trained(&columns, &quick()).model;
    model.check_features(&columns.names).unwrap();
    let mut renamed = columns.names.clone();
    renamed[1] = "amount_eur".to_owned();
    assert!(matches!(model.check_features(&renamed), Err(SchemaMismatch::OtherName { column: 1, .. })));
    let words = model.check_features(&renamed).unwrap_err().to_string();
    assert!(
        words.starts_with("column 1 is `amount_eur`, but the model was trained with `amount_usd` there"),
        "{words}"
    );
    let short = &columns.names[..4];
    assert!(matches!(model.check_features(short), Err(SchemaMismatch::Missing { column: 4, .. })));
    let long = [&columns.names[..], &["extra".to_owned()]].concat();
    assert!(matches!(model.check_features(&long), Err(SchemaMismatch::Unknown { column: 6, .. })));

    let mut row = [1.0, 2.0, 3.0, 0.0, 0.5, 7.0];
    assert!(matches!(model.score(&row[..5]), Err(ScoreError::WrongWidth { found: 5, wanted: 6, .. })));
    row[1] = f64::INFINITY;
    assert_eq!(
        model.probabilities(&[[0.0; 6], row].concat()).unwrap_err().to_string(),
        "row 1, column 1 (`amount_usd`) is infinite; give a finite number, or NaN where the value is missing"
    );
    let absurd = [1e308, -1e308, 1e300, -1e300, f64::NAN, f64::NAN];
    let score = model.score(&absurd).unwrap();
    assert!(score.margin.is_finite() && (0.0..=1.0).contains(&score.probability));
}

#[test]
fn a_table_that_cannot_be_learned_from_is_refused_with_row_and_column() {
    let good = orders(200, 9);
    let error = |change: &dyn Fn(&mut Columns)| {
        let mut columns = good.clone();
        columns.labels[0] = true;
        change(&mut columns);
        columns.table().unwrap_err()
    };
    let width = error(&|c| c.rows.truncate(1_199));
    assert!(width.to_string().starts_with("200 rows of 6 features need 1200 values, but 1199 were given"));
    let infinite = error(&|c| c.rows[6 * 17 + 1] = f64::NEG_INFINITY);
    assert!(infinite.to_string().starts_with("row 17, column 1 (`amount_usd`) is -infinite"));
    assert_eq!(error(&|c| c.labels.fill(false)), TableError::NoFrauds { rows: 200 });
    assert_eq!(error(&|c| c.labels.fill(true)), TableError::NoGenuine { rows: 200 });
    let few = error(&|c| {
        c.rows.truncate(60);
        c.labels.truncate(10);
        c.times.truncate(10);
        c.amounts_usd_minor.truncate(10);
    });
    assert_eq!(few, TableError::NotEnoughRows { found: 10 });
    let order = error(&|c| c.times[5] = Timestamp::from_micros(-1));
    assert!(matches!(order, TableError::NotInTimeOrder { row: 5, .. }));
    let lengths = error(&|c| c.amounts_usd_minor.truncate(9));
    assert!(matches!(lengths, TableError::WrongLength { column: "amounts", found: 9, .. }));
    let twice = error(&|c| c.names[3] = "amount_usd".to_owned());
    assert!(matches!(twice, TableError::RepeatedFeature { first: 1, second: 3, .. }));
}

#[test]
fn a_training_that_cannot_be_honest_is_refused() {
    let columns = orders(4_000, 10);
    let (early, late) = columns.table().unwrap().split_last(0.3).unwrap();
    let reversed = train(&late, &early, &quick()).unwrap_err();
    assert!(matches!(reversed, TrainError::ValidationTooEarly { .. }), "{reversed}");

    let mut few = columns.clone();
    few.labels.fill(false);
    few.labels[10..40].fill(true);
    few.labels[3_990] = true;
    let (early, late) = few.table().unwrap().split_last(0.3).unwrap();
    let error = train(&early, &late, &quick()).unwrap_err();
    assert_eq!(error, TrainError::TooFewFrauds { table: "validation", found: 1 });

    let mut constant = columns.clone();
    constant.rows.fill(1.0);
    let (early, late) = constant.table().unwrap().split_last(0.3).unwrap();
    assert_eq!(train(&early, &late, &quick()).unwrap_err(), TrainError::NothingVaries);

    // What meant fraud in training means the opposite afterwards.
    let mut turned = columns.clone();
    for row in 0..4_000 {
        let signal = if (row < 2_800) == turned.labels[row] { 1.0 } else { 0.0 };
        turned.rows[row * 6..(row + 1) * 6].fill(signal);
    }
    let (early, late) = turned.table().unwrap().split_last(0.3).unwrap();
    let error = train(&early, &late, &quick()).unwrap_err();
    assert!(matches!(error, TrainError::NotCalibrated(_)), "{error}");

    for settings in [
        Settings { l2: vec![], ..quick() },
        Settings { l2: vec![-1.0], ..quick() },
        Settings { knots: vec![1], ..quick() },
        Settings { genuine_per_fraud: 0, ..quick() },
    ] {
        let (early, late) = columns.table().unwrap().split_last(0.3).unwrap();
        let error = train(&early, &late, &settings).unwrap_err();
        assert!(matches!(error, TrainError::BadSetting { .. }), "{error}");
    }
}
