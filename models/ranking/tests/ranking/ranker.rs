//! Rankers on planted data, and the answers to bad training data.

use dhow_ranking::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Lists of 12 whose clicks follow a known taste. Features: a weak first source, quality (missing at times), a taste of the
/// person, a property of the item, noise. With `crossed`, the taste decides whether the property is liked.
fn planted(groups: usize, crossed: f64, seed: u64) -> RankingGroups {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let names = ["source", "quality", "taste", "property", "noise"].map(String::from).to_vec();
    let mut planted = RankingGroups::new(names).unwrap();
    for time in 0..groups {
        let taste = if random.random_bool(0.5) { 1.0 } else { -1.0 };
        let (mut rows, mut truths) = (Vec::new(), Vec::new());
        for _ in 0..12 {
            let mut number = || random.random_range(-1.0..1.0f64);
            let (quality, property, noise) = (number(), number(), number());
            let truth = 2.0 * quality + crossed * taste * property;
            rows.push(truth + 4.0 * number());
            let missing = random.random_bool(0.1);
            rows.extend([if missing { f64::NAN } else { 100.0 + 7.0 * quality }, taste, property, noise]);
            truths.push((2.0 * truth).exp());
        }
        let mut point = random.random_range(0.0..truths.iter().sum::<f64>());
        let clicked = truths.iter().position(|weight| {
            point -= weight;
            point < 0.0
        });
        let gains: Vec<f64> = (0..12).map(|row| f64::from(u8::from(Some(row) == clicked))).collect();
        planted.push(time as i64, 1.0, &rows, &gains).unwrap();
    }
    planted
}

fn settings(l2: f64) -> TrainingSettings {
    TrainingSettings { l2, ..TrainingSettings::default() }
}

fn factorisation(l2: f64, dimensions: usize) -> FactorisationSettings {
    FactorisationSettings { training: settings(l2), dimensions }
}

#[test]
fn a_factorisation_ranker_finds_the_crossing_that_a_linear_one_cannot() {
    let (train, validation) = planted(2_500, 3.0, 1).split_newest(0.2).unwrap();
    let test = planted(1_000, 3.0, 2);
    let (linear, _) = LinearRanker::fit(&train, &validation, &[settings(0.0), settings(1e-2)], 10).unwrap();
    let trials = [factorisation(1e-4, 4), factorisation(1e-2, 4)];
    let (crossing, report) = FactorisationRanker::fit(&train, &validation, &trials, 10).unwrap();
    let (linear, crossing) = (judge(&linear, &test, 0, 10).unwrap(), judge(&crossing, &test, 0, 10).unwrap());
    assert!(linear.ranker.ndcg > linear.first_source.ndcg + 0.02, "{linear:?}");
    assert!(crossing.ranker.ndcg > linear.ranker.ndcg + 0.1, "{linear:?} {crossing:?}");
    assert!(crossing.ranker.mrr > linear.ranker.mrr + 0.1);
    assert_eq!((report.trials.len(), report.validation_groups), (2, 500));
}

#[test]
fn a_linear_ranker_recovers_a_linear_taste() {
    let (train, validation) = planted(2_000, 0.0, 3).split_newest(0.2).unwrap();
    let (ranker, report) = LinearRanker::fit(&train, &validation, &[settings(1e-4)], 10).unwrap();
    assert!(report.trials[report.chosen].best_epoch > 0);
    let mut scores = Vec::new();
    // Best and worst quality, the mean, one missing; and the best one with another property, which means nothing.
    let rows: Vec<f64> = [(107.0, 0.0), (93.0, 0.0), (100.0, 0.0), (f64::NAN, 0.0), (107.0, 1.0)]
        .iter()
        .flat_map(|(quality, property)| [0.0, *quality, 0.0, *property, 0.0])
        .collect();
    ranker.score(&rows, &mut scores).unwrap();
    assert!(scores[0] > scores[2] + 1.0 && scores[2] > scores[1] + 1.0, "{scores:?}");
    assert!(scores[3] < scores[0] && scores[3] > scores[1], "{scores:?}");
    assert!((scores[4] - scores[0]).abs() < 0.5, "{scores:?}");
}

#[test]
fn a_ranker_does_not_depend_on_the_number_of_threads_and_survives_storage() {
    let (train, validation) = planted(400, 2.0, 4).split_newest(0.25).unwrap();
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| FactorisationRanker::fit(&train, &validation, &[factorisation(1e-3, 4)], 5).unwrap())
    };
    let (one, three) = (fit(1), fit(3));
    assert_eq!(one, three);
    let stored = serde_json::to_string(&one.0).unwrap();
    let back: FactorisationRanker = serde_json::from_str(&stored).unwrap();
    assert_eq!(back, one.0);
    let broken = stored.replace("\"dimensions\":4", "\"dimensions\":8");
    assert!(serde_json::from_str::<FactorisationRanker>(&broken).unwrap_err().to_string().contains("has parts of"));
}

#[test]
fn a_ranker_of_trees_finds_the_crossing_and_its_scores_tell_how_likely_each_item_is_chosen() {
    let (train, validation) = planted(2_500, 3.0, 1).split_newest(0.2).unwrap();
    let test = planted(1_000, 3.0, 2);
    let (linear, _) = LinearRanker::fit(&train, &validation, &[settings(1e-2)], 10).unwrap();
    let trees = TreeRanker::fit(&train, &validation, &[false; 5], &[TreeSettings::default()], 10).unwrap();
    let of_linear = judge(&linear, &test, 0, 10).unwrap().ranker.ndcg;
    assert!(judge(&trees, &test, 0, 10).unwrap().ranker.ndcg > of_linear + 0.05);
    let (mut expected, mut chosen, mut scores) = (0.0, 0.0, Vec::new());
    for group in 0..test.len() {
        trees.score(test.rows(group), &mut scores).unwrap();
        let first = (0..12).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        let sum: f64 = scores.iter().map(|score| (score - scores[first]).exp()).sum();
        expected += 1.0 / sum;
        chosen += test.gains(group)[first];
    }
    // Of a thousand first places, about as many are chosen as the scores say: within three standard errors and the fit's own.
    assert!((expected - chosen).abs() < 80.0, "{expected} {chosen}");
}

#[test]
fn a_ranker_of_trees_does_not_depend_on_the_number_of_threads_and_damaged_trees_are_refused() {
    let (train, validation) = planted(400, 2.0, 4).split_newest(0.25).unwrap();
    let fit = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| TreeRanker::fit(&train, &validation, &[false; 5], &[TreeSettings::default()], 5).unwrap())
    };
    let (one, three) = (fit(1), fit(3));
    assert_eq!(one, three);
    let stored = serde_json::to_value(&one).unwrap();
    let back: TreeRanker = serde_json::from_value(stored.clone()).unwrap();
    let (mut scores, mut again) = (Vec::new(), Vec::new());
    one.score(validation.rows(0), &mut scores).unwrap();
    back.score(validation.rows(0), &mut again).unwrap();
    assert_eq!(scores, again);
    let mut broken = stored;
    *broken.pointer_mut("/forest/trees/0/nodes/0/Split/feature").unwrap() = 99.into();
    assert!(serde_json::from_value::<TreeRanker>(broken).is_err());
    let none = TreeRanker::fit(&train, &validation, &[false; 5], &[], 5).unwrap_err();
    assert!(none.to_string().contains("number of trials"), "{none}");
}

#[test]
fn constant_and_never_present_features_do_no_harm() {
    let mut groups = RankingGroups::new(vec!["useful".into(), "constant".into(), "absent".into()]).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for time in 0..200 {
        let clicked = random.random_range(0..4);
        let rows: Vec<f64> = (0..4)
            .flat_map(|row| [f64::from(u8::from(row == clicked)) + random.random_range(0.0..0.5), 1e300, f64::NAN])
            .collect();
        let gains: Vec<f64> = (0..4).map(|row| f64::from(u8::from(row == clicked))).collect();
        groups.push(time, 1.0, &rows, &gains).unwrap();
    }
    let (train, validation) = groups.split_newest(0.3).unwrap();
    let (ranker, _) = FactorisationRanker::fit(&train, &validation, &[factorisation(0.0, 4)], 4).unwrap();
    assert!(judge(&ranker, &validation, 0, 4).unwrap().ranker.mrr > 0.99);
    let mut scores = Vec::new();
    ranker.score(&[f64::INFINITY, f64::NEG_INFINITY, f64::NAN], &mut scores).unwrap();
    assert!(scores[0].is_finite(), "what is not finite is missing");
}

#[test]
fn the_measures_are_those_of_a_worked_example() {
    let mut groups = RankingGroups::new(vec!["score".into()]).unwrap();
    groups.push(0, 1.0, &[3.0, 2.0, 1.0], &[0.0, 1.0, 3.0]).unwrap();
    groups.push(1, 3.0, &[f64::NAN, 5.0, 5.0], &[2.0, 0.0, 0.0]).unwrap();
    groups.push(2, 9.0, &[1.0, 1.0], &[1.0, 1.0]).unwrap();
    struct Constant(Vec<String>);
    impl Ranker for Constant {
        fn feature_names(&self) -> &[String] {
            &self.0
        }
        fn score(&self, rows: &[f64], scores: &mut Vec<f64>) -> Result<(), RankingError> {
            scores.clear();
            scores.resize(rows.len(), 0.0);
            Ok(())
        }
    }
    let report = judge(&Constant(vec!["score".into()]), &groups, 0, 2).unwrap();
    assert_eq!(report.groups, 2, "the third group says nothing about order");
    let best = 3.0 + 1.0 / 3f64.log2();
    let first = (1.0 / 3f64.log2()) / best;
    assert!((report.first_source.ndcg - first / 4.0).abs() < 1e-12, "the second group has nothing in two places");
    assert!((report.first_source.mrr - (0.5 + 3.0 / 3.0) / 4.0).abs() < 1e-12);
    // Equal scores: the lowest gain first.
    assert!((report.ranker.mrr - (0.5 + 3.0 / 3.0) / 4.0).abs() < 1e-12);
}

#[test]
fn bad_training_data_is_refused_with_its_place() {
    let names = || vec!["a".to_owned(), "b".to_owned()];
    assert!(RankingGroups::new(vec![]).unwrap_err().to_string().starts_with("number of features is 0"));
    let mut groups = RankingGroups::new(names()).unwrap();
    let refused = |groups: &mut RankingGroups, weight: f64, rows: &[f64], gains: &[f64]| {
        groups.push(5, weight, rows, gains).unwrap_err().to_string()
    };
    assert!(refused(&mut groups, 1.0, &[], &[]).starts_with("group 0 is empty"));
    assert!(refused(&mut groups, f64::NAN, &[1.0, 2.0], &[1.0]).starts_with("group 0: weight NaN"));
    assert!(refused(&mut groups, 1.0, &[1.0, 2.0], &[f64::NAN]).starts_with("group 0, row 0: gain NaN"));
    assert!(refused(&mut groups, 1.0, &[1.0, 2.0], &[-1.0]).contains("gain -1"));
    assert!(refused(&mut groups, 1.0, &[1.0], &[1.0]).contains("has 1 entries, expected 1 rows of 2 features"));
    let infinite = refused(&mut groups, 1.0, &[1.0, 2.0, 3.0, f64::INFINITY], &[1.0, 0.0]);
    assert!(infinite.starts_with("group 0, row 1: feature `b` is inf"), "{infinite}");
    groups.push(5, 1.0, &[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0]).unwrap();
    assert_eq!(groups.push(4, 1.0, &[1.0, 2.0], &[1.0]).unwrap_err(), RankingError::NotInTimeOrder { group: 1 });
    let one = groups.clone();
    assert!(one.split_newest(0.5).is_err(), "one group cannot be cut");
    let mut later = RankingGroups::new(names()).unwrap();
    later.push(9, 1.0, &[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0]).unwrap();
    let too_few = LinearRanker::fit(&one, &later, &[settings(0.0)], 10).unwrap_err().to_string();
    assert!(too_few.starts_with("1 of the 1 groups for training have a gain above 0"), "{too_few}");
    groups.push(6, 1.0, &[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0]).unwrap();
    let no_trial = LinearRanker::fit(&groups, &later, &[], 10).unwrap_err().to_string();
    assert!(no_trial.starts_with("number of trials is 0"), "{no_trial}");
    assert!(
        LinearRanker::fit(&groups, &later, &[settings(f64::NAN)], 10).unwrap_err().to_string().starts_with("l2 is NaN")
    );
    let too_early = LinearRanker::fit(&groups, &one, &[settings(0.0)], 10).unwrap_err();
    assert_eq!(too_early, RankingError::ValidationNotNewer);
    let (ranker, _) = LinearRanker::fit(&groups, &later, &[settings(0.0)], 10).unwrap();
    assert!(ranker.score(&[1.0; 3], &mut Vec::new()).unwrap_err().to_string().contains("multiple of the 2 features"));
    let mut other = RankingGroups::new(vec!["a".into(), "c".into()]).unwrap();
    other.push(0, 1.0, &[1.0, 2.0, 3.0, 4.0], &[1.0, 0.0]).unwrap();
    assert_eq!(
        judge(&ranker, &other, 0, 10).unwrap_err(),
        RankingError::OtherFeatures { what: "the groups to judge by" }
    );
}
