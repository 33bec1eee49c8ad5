//! Evaluation, baselines and the choice of settings on cases small enough to count by hand, and on generated shops.

use dhow_sessions::baseline::{Markov, Popularity, VmisKnn, VmisSettings};
use dhow_sessions::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Owned, borrowed, index_of, items};

/// Always answers the same.
struct Fixed(Vec<u32>);

impl Predictor for Fixed {
    type Memory = ();

    fn predict(&self, _: &mut (), request: &Request<'_>, out: &mut Vec<(u32, f32)>) -> Result<(), SessionsError> {
        out.clear();
        out.extend(self.0.iter().take(request.count).map(|item| (*item, 1.0)));
        Ok(())
    }
}

fn predict<P: Predictor>(predictor: &P, session: &[u32], count: usize) -> Vec<u32> {
    let mut out = Vec::new();
    let request = Request { session, exclude: Exclude::Nothing, count };
    predictor.predict(&mut P::Memory::default(), &request, &mut out).unwrap();
    items(&out)
}

/// A shop in which item i is followed by i + 1 and at times stayed on, with noise.
fn shop(seed: u64, sessions: usize) -> Vec<Owned> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut session = |number: usize| {
        let mut items: Vec<u32> = vec![random.random_range(0..40)];
        for _ in 0..random.random_range(1..6) {
            let current = items[items.len() - 1];
            items.push(match random.random_range(0..10) {
                0..2 => current,
                2..7 => (current + 1) % 40,
                _ => random.random_range(0..40),
            });
        }
        Owned { items, time: number as i64 * 1_000_000 }
    };
    (0..sessions).map(&mut session).collect()
}

#[test]
fn figures_are_those_counted_by_hand() {
    let case = |prefix: &'static [u32], next, session| Case { prefix, next, session };
    // Answer 1, 2, 3 at cut-off 2. Ranks with the current item allowed: 1, miss, 2, miss; never: 1, 2, miss, miss.
    let cases = [case(&[7], 1, 0), case(&[1], 3, 1), case(&[2], 2, 1), case(&[9], 4, 2)];
    let report = evaluate(&Fixed(vec![1, 2, 3]), &cases, 2).unwrap();
    assert_eq!(report.predictions, 4);
    assert_eq!(report.current_allowed.reciprocal_ranks, [1.0, 0.0, 0.5, 0.0]);
    assert_eq!((report.current_allowed.hit_rate, report.current_allowed.mrr), (0.5, 0.375));
    assert_eq!(report.never_current.reciprocal_ranks, [1.0, 0.5, 0.0, 0.0]);
    assert_eq!(evaluate(&Fixed(vec![]), &[], 20), Err(SessionsError::NoCases));
    let sessions = [Owned { items: vec![4, 5, 6], time: 0 }, Owned { items: vec![7], time: 1 }];
    let expected = [Case { prefix: &[4], next: 5, session: 0 }, Case { prefix: &[4, 5], next: 6, session: 0 }];
    assert_eq!(cases_of(&borrowed(&sessions)), expected);
}

#[test]
fn the_interval_of_a_gain_holds_the_gain_and_narrows_with_sessions() {
    let interval = |sessions: usize| {
        let data = shop(1, sessions + 2_000);
        let (train, test) = data.split_at(2_000);
        let (train, test) = (borrowed(train), borrowed(test));
        let cases = cases_of(&test);
        let index = SessionIndex::build(&train, &Settings::default()).unwrap();
        let (ours, popular) =
            (evaluate(&index, &cases, 20).unwrap(), evaluate(&Popularity::new(&train, 21), &cases, 20).unwrap());
        let gain = mrr_gain(&ours.never_current, &popular.never_current, &cases, 5).unwrap();
        assert_eq!(Ok(gain), mrr_gain(&ours.never_current, &popular.never_current, &cases, 5), "seeded");
        assert!(gain.low < gain.mean && gain.mean < gain.high && gain.low > 0.0, "{gain:?}");
        let none = mrr_gain(&ours.never_current, &ours.never_current, &cases, 5).unwrap();
        assert_eq!((none.low, none.mean, none.high), (0.0, 0.0, 0.0));
        assert!(mrr_gain(&ours.never_current, &popular.never_current, &cases[1..], 5).is_err(), "other cases");
        gain.high - gain.low
    };
    assert!(interval(1_600) < 0.7 * interval(100));
}

#[test]
fn a_report_does_not_depend_on_the_number_of_threads() {
    let data = shop(2, 1_500);
    let sessions = borrowed(&data);
    let (train, validation) = split_validation(&sessions, 0.2);
    assert_eq!((train.len(), validation.len()), (1_200, 300));
    assert!(train.iter().all(|session| session.time < validation[0].time));
    let report = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let index = SessionIndex::build(&train, &Settings::default()).unwrap();
            evaluate(&index, &cases_of(&validation), 20).unwrap()
        })
    };
    assert_eq!(report(1), report(3));
}

#[test]
fn chosen_settings_are_better_than_bad_ones_on_sessions_that_the_choice_never_saw() {
    let data = shop(3, 1_300);
    let sessions = borrowed(&data[..1_000]);
    let (train, validation) = split_validation(&sessions, 0.1);
    let bad = Settings { backward_share: 5.0, keep_weight: 5.0, popularity_discount: 2.0, ..Settings::default() };
    let choice = choose_settings(&train, &cases_of(&validation), &bad, 2).unwrap();
    assert_eq!(choice.trials[0].settings, bad);
    assert!(choice.trials.iter().all(|trial| trial.goal <= choice.best.goal));
    assert!(choice.trials.iter().all(|trial| trial.settings.check().is_ok()));
    assert_eq!(choose_settings(&train, &cases_of(&validation), &bad, 2), Ok(choice.clone()));
    let test = borrowed(&data[1_000..]);
    let mrr = |settings: &Settings| {
        evaluate(&index_of(&data[..1_000], settings), &cases_of(&test), 20).unwrap().current_allowed.mrr
    };
    assert!(mrr(&choice.best.settings) > 1.1 * mrr(&bad));
    assert_eq!(choose_settings(&train, &[], &bad, 1), Err(SessionsError::NoCases));
}

#[test]
fn order_and_repeats_beat_the_published_base_where_there_are_some() {
    let data = shop(4, 3_000);
    let (train, test) = data.split_at(2_500);
    let (train, test) = (borrowed(train), borrowed(test));
    let cases = cases_of(&test);
    let settings = Settings { forward_decay: 0.5, backward_share: 0.1, ..Settings::default() };
    let ours = evaluate(&SessionIndex::build(&train, &settings).unwrap(), &cases, 20).unwrap();
    let vmis = evaluate(&VmisKnn::new(&train, VmisSettings::default()), &cases, 20).unwrap();
    let gain = mrr_gain(&ours.never_current, &vmis.never_current, &cases, 1).unwrap();
    assert!(gain.low > 0.05, "{gain:?}");
    let markov = evaluate(&Markov::new(&train, 21), &cases, 20).unwrap();
    assert!(ours.current_allowed.hit_rate >= markov.current_allowed.hit_rate);
}

#[test]
fn baselines_answer_what_a_hand_computes() {
    let sessions = [vec![1, 2, 2, 3], vec![2, 3], vec![4, 2, 5]].map(|items| Owned { items, time: 0 });
    let sessions = borrowed(&sessions);
    assert_eq!(predict(&Popularity::new(&sessions, 9), &[1], 2), [2, 3]);
    assert_eq!(predict(&Markov::new(&sessions, 9), &[2], 9), [3, 2, 5]);
    // All three match 2 alike, .9 each. Of 8 memberships: 3 is in two sessions, 0.9 · 2 · ln 4 = 2.50; 1, 4, 5 are in one
    // each, .9 · ln 8 = 1.87.
    let vmis = VmisKnn::new(&sessions, VmisSettings::default());
    assert_eq!(predict(&vmis, &[2], 9), [3, 1, 4, 5]);
    // Only the most recent one votes.
    let recent = VmisSettings { neighbours: 1, ..VmisSettings::default() };
    assert_eq!(predict(&VmisKnn::new(&sessions, recent), &[2], 9), [4, 5]);
    assert!(predict(&vmis, &[77], 9).is_empty() && predict(&vmis, &[], 9).is_empty());
}
