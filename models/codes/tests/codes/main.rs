//! What a model of codes promises: shares as a naive sum has them, confidence that holds, silence where it does not know.

use std::collections::BTreeMap;

use dhow_codes::{CodeModel, CodesError, Example, LearnSettings, learn};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DIMENSIONS: usize = 24;

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

fn direction(random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..DIMENSIONS).map(|_| random.random_range(-1.0..1.0)).collect()
}

fn near(centre: &[f32], by: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
    let aside = direction(random);
    centre.iter().zip(aside).map(|(one, other)| one + by * other).collect()
}

/// Ten chapters of five codes with `each` texts: texts lie around their code, codes around their chapter.
fn examples(each: usize, seed: u64) -> Vec<Example> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut examples = Vec::new();
    for chapter in 10..20 {
        let centre = direction(&mut random);
        for code in 0..5 {
            let own = near(&centre, 0.7, &mut random);
            for text in 0..each {
                let vector = unit(near(&own, 0.9, &mut random));
                let text = format!("thing {text} of {chapter}{code} number{}", random.random_range(0..40));
                examples.push(Example { code: format!("{chapter}{code:02}"), text, vector });
            }
        }
    }
    examples
}

fn settings() -> LearnSettings {
    LearnSettings { levels: vec![2, 4], embedder: "mdl_test".to_owned(), precision: 0.9, seed: 7 }
}

#[test]
fn what_is_learned_beats_the_trivial_methods_and_its_confidence_holds() {
    let learned = learn(&examples(40, 1), &settings()).expect("it is learned");
    assert!(learned.report.test_count > 200, "{:?}", learned.report);
    let [chapters, codes] = &learned.report.levels[..] else { panic!("two levels") };
    for level in [chapters, codes] {
        let [accuracy, low, high] = level.accuracy;
        assert!(low < accuracy && accuracy < high, "{level:?}");
        assert!(accuracy > level.accuracy_commonest + 0.3 && accuracy > level.accuracy_shared_words, "{level:?}");
        assert!(level.calibration_error < 0.1, "{level:?}");
        let [share, right] = level.covered;
        assert!(share > 0.2 && right > 0.8, "of nine in ten on validation few less on the test part: {level:?}");
    }
    assert!(chapters.accuracy[0] >= codes.accuracy[0], "a chapter is easier than its code");
    assert_eq!(learned.model.len(), 2_000, "the model knows every example");
}

#[test]
fn where_meaning_says_nothing_the_model_is_unsure_and_suggests_nothing() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut noise = examples(20, 2);
    noise.iter_mut().for_each(|example| example.vector = unit(direction(&mut random)));
    let learned = learn(&noise, &settings()).expect("it is learned");
    for _ in 0..50 {
        let suggestion = learned.model.suggest("nothing", &unit(direction(&mut random)), 3, 0.8).expect("it is asked");
        assert_eq!(suggestion.code, None, "{suggestion:?}");
        assert_eq!(suggestion.levels.iter().map(|level| level.guesses.len()).collect::<Vec<_>>(), [3, 3]);
    }
}

#[test]
fn the_deepest_level_that_is_sure_enough_is_suggested() {
    let learned = learn(&examples(40, 1), &settings()).expect("it is learned");
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut depths = BTreeMap::new();
    for _ in 0..300 {
        let vector = unit(near(&examples(1, 1)[random.random_range(0..50)].vector, 0.6, &mut random));
        let suggestion = learned.model.suggest("nothing", &vector, 2, 0.7).expect("it is asked");
        let sure = suggestion.levels.iter().rev().find(|level| level.guesses[0].confidence >= 0.7);
        assert_eq!(suggestion.code, sure.map(|level| level.guesses[0].clone()));
        *depths.entry(suggestion.code.map_or(0, |code| code.code.len())).or_insert(0) += 1;
        let always =
            learned.model.suggest("nothing", &vector, 1, 0.0).expect("it is asked").code.expect("any is sure enough");
        assert_eq!(always.code.len(), 4);
    }
    assert_eq!(depths.len(), 3, "none, a chapter and a code come all: {depths:?}");
}

#[test]
fn words_count_where_meaning_does_not_tell_codes_apart() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut examples = examples(40, 8);
    for example in &mut examples {
        example.vector = unit(direction(&mut random));
        example.text = format!("{} kind{}", example.text, example.code);
    }
    let learned = learn(&examples, &settings()).expect("it is learned");
    assert!(learned.model.words_share() >= 0.5, "{}", learned.model.words_share());
    let asked = learned.model.suggest("a thing of kind1402", &unit(direction(&mut random)), 1, 0.0);
    assert_eq!(asked.expect("it is asked").code.expect("any is sure enough").code, "1402");
}

#[test]
fn the_same_examples_in_any_order_make_the_same_model_and_its_bytes_read_back() {
    let examples = examples(20, 4);
    let learned = learn(&examples, &settings()).expect("it is learned");
    let reversed: Vec<Example> = examples.iter().rev().cloned().collect();
    let again = learn(&reversed, &settings()).expect("it is learned");
    let bytes = learned.model.to_bytes().expect("it is written");
    assert_eq!(again, learned);
    assert_eq!(CodeModel::from_bytes(&bytes), Ok(learned.model));
    for cut in [0, 1, 20, bytes.len() - 1] {
        assert!(matches!(CodeModel::from_bytes(&bytes[..cut]), Err(CodesError::Corrupt(_))), "{cut}");
    }
    let longer = [bytes.clone(), vec![0]].concat();
    assert!(matches!(CodeModel::from_bytes(&longer), Err(CodesError::Corrupt(_))));
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    let good = examples(20, 6);
    let with = |change: fn(&mut Example)| {
        let mut examples = good.clone();
        change(&mut examples[17]);
        learn(&examples, &settings())
    };
    assert!(matches!(with(|one| one.code = "12x4".to_owned()), Err(CodesError::Code { index: 17, .. })));
    assert!(matches!(with(|one| one.code = "12".to_owned()), Err(CodesError::Code { index: 17, .. })));
    assert!(matches!(with(|one| one.vector.truncate(3)), Err(CodesError::Vector { index: 17, found: 3, .. })));
    assert!(matches!(with(|one| one.vector[0] = f32::NAN), Err(CodesError::Vector { index: 17, .. })));
    assert!(matches!(learn(&good[..60], &settings()), Err(CodesError::Examples { found: 60, .. })));
    let levels = LearnSettings { levels: vec![4, 2], ..settings() };
    assert_eq!(learn(&good, &levels), Err(CodesError::Levels(vec![4, 2])));
    let learned = learn(&good, &settings()).expect("it is learned");
    assert!(matches!(learned.model.suggest("", &[1.0], 1, 0.5), Err(CodesError::Vector { wanted: DIMENSIONS, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn shares_are_those_of_a_naive_sum(seed in 0_u64..1_000, asked in 0_u64..1_000) {
        let examples = examples(20, seed);
        let learned = learn(&examples, &settings()).expect("it is learned");
        let vector = unit(direction(&mut ChaCha8Rng::seed_from_u64(asked)));
        let suggestion = learned.model.suggest("nothing", &vector, usize::MAX, 0.5).expect("it is asked");
        for (level, temperature) in suggestion.levels.iter().zip(learned.model.temperatures()) {
            let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
            for example in &examples {
                let cosine: f32 = example.vector.iter().zip(&vector).map(|(a, b)| a * b).sum();
                let likeness = f64::from(cosine * (1.0 - learned.model.words_share()));
                *sums.entry(&example.code[..level.digits]).or_default() += (likeness / temperature).exp();
            }
            let total: f64 = sums.values().sum();
            prop_assert_eq!(level.guesses.len(), sums.len());
            for guess in &level.guesses {
                let by_hand = sums[guess.code.as_str()] / total;
                prop_assert!((guess.confidence - by_hand).abs() < 1e-6, "{:?} {}", guess, by_hand);
            }
            prop_assert!(level.guesses.is_sorted_by(|one, other| one.confidence >= other.confidence));
            let nearest = level.guesses.iter().all(|guess| {
                let (code, _) = learned.model.example(guess.nearest).expect("it is there");
                code[..level.digits] == guess.code
            });
            prop_assert!(nearest);
        }
    }
}
