//! Backtests: equal to live by hash, counted right, and the same for any number of threads.

use dhow_rules::{Action, Backtest, DecisionsHash, Recorded, Rule, State, Then, Totals, backtest};

use crate::world::{decide, recorded, rule, set};

fn rules() -> Vec<Rule> {
    vec![
        rule("ring", "features.ring_size > 1", decide(Action::Decline), 0, State::Live),
        rule("abroad", "request.country != 'NG' && score > 0.4", decide(Action::Review), 1, State::Live),
        rule("young", "request.new_account", Then::Floor { action: Action::Review }, 2, State::Live),
        rule("tried", "features.device_buyers_7d > 0", decide(Action::StepUp), 3, State::Shadow),
        rule("old", "true", decide(Action::Decline), 4, State::Retired),
    ]
}

#[test]
fn a_backtest_of_the_live_set_has_the_hash_of_the_live_outcomes_and_changes_nothing() {
    let set = set(rules());
    let decisions = recorded(&set, 5_000, 1);
    let mut live = DecisionsHash::new();
    for decision in &decisions {
        live.add(decision.decision, &set.evaluate(&decision.facts()).unwrap());
    }
    let report = backtest(&set, decisions.clone()).unwrap();
    assert_eq!(report.hash, live.hash());
    assert_eq!((report.decisions, report.changed()), (5_000, 0));
    assert_eq!(report.recorded, report.repeated);

    let mut other = decisions.clone();
    other[4_321].score = if other[4_321].score > 0.5 { 0.1 } else { 0.9 };
    other[4_321].features[3] = 2.0;
    other[1_234].decision = decisions[0].decision;
    assert_ne!(backtest(&set, other).unwrap().hash, report.hash);
    let mut swapped = decisions;
    swapped.swap(7, 8);
    assert_ne!(backtest(&set, swapped).unwrap().hash, report.hash);
}

#[test]
fn reports_are_equal_for_any_number_of_threads_and_any_chunks() {
    let set = set(rules());
    let decisions = recorded(&set, 10_000, 2);
    let run = |threads: usize, chunk: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut backtest = Backtest::new(&set);
            decisions.chunks(chunk).for_each(|chunk| backtest.add(chunk).unwrap());
            backtest.report()
        })
    };
    let report = run(1, 10_000);
    for (threads, chunk) in [(2, 10_000), (3, 1_999), (8, 1), (2, 1_024)] {
        assert_eq!(run(threads, chunk), report, "{threads} threads, chunks of {chunk}");
    }
}

#[test]
fn counts_are_those_of_a_slow_count() {
    let before = set(vec![]);
    let decisions = recorded(&before, 3_000, 3);
    let after = set(rules());
    let report = backtest(&after, decisions.clone()).unwrap();
    let outcomes: Vec<_> = decisions.iter().map(|one| after.evaluate(&one.facts()).unwrap()).collect();
    let count = |holds: &dyn Fn(usize) -> bool| {
        let mut totals = Totals::default();
        for (_, Recorded { fraud, amount_usd_minor, .. }) in decisions.iter().enumerate().filter(|(i, _)| holds(*i)) {
            totals.decisions += 1;
            totals.frauds += u64::from(*fraud == Some(true));
            totals.genuine += u64::from(*fraud == Some(false));
            totals.fraud_usd_minor += if *fraud == Some(true) { *amount_usd_minor } else { 0 };
            totals.genuine_usd_minor += if *fraud == Some(false) { *amount_usd_minor } else { 0 };
        }
        totals
    };
    let mut changed = 0;
    for action in Action::ALL {
        assert_eq!(*report.recorded.of(action), count(&|i| decisions[i].action == action));
        assert_eq!(*report.repeated.of(action), count(&|i| outcomes[i].action == action));
        assert_eq!(*report.with_shadow.of(action), count(&|i| outcomes[i].action_with_shadow == action));
        for to in Action::ALL.into_iter().filter(|to| *to != action) {
            let moved = count(&|i| decisions[i].action == action && outcomes[i].action == to);
            let reported = report.changes.iter().find(|change| change.from == action && change.to == to);
            assert_eq!(reported.map(|change| change.totals).unwrap_or_default(), moved);
            changed += moved.decisions;
        }
    }
    assert!(changed > 500);
    assert_eq!(report.changed(), changed);

    let frauds = count(&|i| decisions[i].fraud == Some(true));
    let stopped = count(&|i| decisions[i].fraud == Some(true) && outcomes[i].action != Action::Approve);
    assert_eq!(report.recall, Some(stopped.decisions as f64 / frauds.decisions as f64));
    assert!(report.recall > report.recorded_recall, "stricter rules stop more");

    assert_eq!(
        report.rules.iter().map(|rule| rule.rule.as_str()).collect::<Vec<_>>(),
        ["ring", "abroad", "young", "tried"]
    );
    for rule in &report.rules {
        let fires = |i: usize| {
            let outcome = &outcomes[i];
            outcome.fired.iter().chain(&outcome.shadow_fired).any(|fired| fired.rule == rule.rule)
        };
        assert_eq!(rule.fired, count(&fires), "{}", rule.rule);
        assert!(rule.fired.decisions > 50, "{} hardly fires", rule.rule);
        let silent = count(&|i| outcomes[i].unanswered.iter().any(|one| one.rule == rule.rule));
        assert_eq!(rule.unanswered, silent.decisions);
        assert!(rule.unanswered > 50);
        assert_eq!(rule.precision, Some(rule.fired.frauds as f64 / (rule.fired.frauds + rule.fired.genuine) as f64));
        assert_eq!(rule.decided > 0, rule.live);
    }
}

#[test]
fn a_backtest_without_labels_claims_neither_recall_nor_precision() {
    let set = set(rules());
    let mut decisions = recorded(&set, 100, 4);
    decisions.iter_mut().for_each(|one| one.fraud = None);
    let report = backtest(&set, decisions).unwrap();
    assert_eq!((report.recall, report.false_positive_rate, report.rules[0].precision), (None, None, None));
    assert_eq!(backtest(&set, Vec::new()).unwrap().decisions, 0);
}

#[test]
fn a_record_reads_back_from_json_with_what_was_missing() {
    let set = set(rules());
    let decisions = recorded(&set, 200, 5);
    let stored = serde_json::to_string(&decisions).unwrap();
    let read: Vec<Recorded> = serde_json::from_str(&stored).unwrap();
    assert_eq!(backtest(&set, read).unwrap(), backtest(&set, decisions).unwrap());
    assert!(stored.contains("null"));
}
