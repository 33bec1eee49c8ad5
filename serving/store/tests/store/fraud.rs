//! The promises about review cases, rules and lists, one function each; `main` runs each on both databases.

use std::collections::BTreeSet;
use std::sync::Arc;

use dhow_commerce::*;
use dhow_events::facts::{CheckoutSubmitted, FraudScored};
use dhow_events::*;
use dhow_rules::{
    Action, Backtest, BookError, Effect, ListEntry, ListKind, Rule, RuleBook, RuleId, RuleSet, Schema, State, Then,
};
use futures::future::join_all;
use sqlx::{AnyConnection, Connection};

use crate::world::*;

/// A fraud decision of `action` about `amount_usd_minor`, made at `at`.
fn decided(number: u128, at: Timestamp, amount_usd_minor: i64, action: FraudAction) -> (DecisionRecord, Fact) {
    let checkout = CheckoutSubmitted {
        buyer: BuyerId::from_u128(7),
        checkout: CheckoutId::from_u128(number),
        session: None,
        device: Some(DeviceId::from_u128(8)),
        card: Some(CardId::from_u128(9)),
        address: None,
        region: Region::new("GB").expect("a valid region"),
        delivery_region: Region::new("NG-LA").expect("a valid region"),
        payment_method: "card".to_owned(),
        line_count: 1,
        quantity: 1,
        total: Money::usd(amount_usd_minor),
        total_usd_minor: amount_usd_minor,
    };
    let record = DecisionRecord {
        tenant: tenant(),
        id: DecisionId::from_u128(number),
        kind: DecisionKind::Fraud,
        subject: checkout.checkout.to_string(),
        model: "test-1".to_owned(),
        request: serde_json::to_value(&checkout).expect("it is JSON"),
        answer: serde_json::json!({ "probability": 0.5, "action": action }),
        reasons: Vec::new(),
        features: Vec::new(),
        applied_offsets: Vec::new(),
        degraded: false,
        latency_us: 5,
        outcome: DecisionOutcome::Answered,
        created_at: at,
    };
    let fact = FraudScored {
        buyer: checkout.buyer,
        decision: record.id,
        checkout: checkout.checkout,
        model: record.model.clone(),
        probability: 0.5,
        action: action.to_string(),
        reasons: String::new(),
    };
    (record, fact.into())
}

pub async fn decisions_are_there_with_their_events_or_not_at_all_and_a_failed_batch_holds_up_nothing(world: World) {
    let approved = |number: u128| {
        let (mut record, fact) = decided(number, world.clock.now(), 5_000, FraudAction::Approve);
        record.features = vec![FeatureValue { name: "amount".to_owned(), value: Some(number as f64) }];
        (record, fact)
    };
    let recorded = async || {
        let ids: BTreeSet<u128> = world.decisions().await.iter().map(|decision| decision.id.as_u128()).collect();
        let told = world.outbox().await;
        assert_eq!(told.len(), ids.len(), "one event for each decision");
        assert!(told.iter().all(|record| record.sequence == 1));
        ids
    };
    for batch in [vec![1], vec![2, 3], (4..30).collect()] {
        let batch: Vec<_> = batch.into_iter().map(approved).collect();
        world.shop.record_decisions(&batch).await.expect("they are recorded");
    }
    assert_eq!(recorded().await, (1..30).collect());
    for number in 30..40 {
        // The second of the batch is there already.
        let refused = world.shop.record_decisions(&[approved(number), approved(number - 1)]).await;
        assert!(refused.is_err(), "a decision is recorded once");
        assert!(!recorded().await.contains(&number), "nothing of a refused batch is written");
        // Whoever is cut off while the database works leaves all of it or nothing.
        let one = [approved(number + 1_000)];
        let _cut_off = tokio::time::timeout(std::time::Duration::ZERO, world.shop.record_decisions(&one)).await;
        world.shop.record_decisions(&[approved(number)]).await.expect("the next one is recorded");
        assert!(recorded().await.contains(&number));
    }
    let read = world.decisions().await;
    let value = |decision: &DecisionRecord| decision.features[0].value;
    assert!(
        read.iter()
            .all(|decision| value(decision).map(|v| v % 1_000.0) == Some((decision.id.as_u128() % 1_000) as f64))
    );
}

async fn open_cases(world: &World, cases: &[(DecisionRecord, Fact)]) {
    world.shop.record_decisions(cases).await.expect("they are recorded");
}

async fn stored_case(world: &World, id: DecisionId) -> FraudCase {
    world.shop.storage().fraud_case(tenant(), id).await.expect("it is read").expect("there is a case")
}

/// Whether it was fraud, and of which kind, of each label.
async fn labels(world: &World) -> Vec<(bool, Option<String>)> {
    let labelled = |record: OutboxRecord| match record.event.fact {
        Fact::FraudLabelled(labelled) => Some((labelled.fraud, labelled.kind)),
        _ => None,
    };
    world.outbox().await.into_iter().filter_map(labelled).collect()
}

pub async fn a_decision_for_review_opens_one_case_in_its_transaction(world: World) {
    world.shop.import_products(tenant(), &[imported(CUP, 1, REVIEW_USD_MINOR, 10)]).await.expect("a new price");
    let answered = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1)]), None).await.expect("it is answered");
    let checkout = answered.value;
    assert_eq!((checkout.state, checkout.fraud.action), (CheckoutState::Held, FraudAction::Review));
    let case = stored_case(&world, checkout.fraud.decision).await;
    assert_eq!((case.checkout, case.buyer, case.state), (checkout.id, checkout.request.buyer, CaseState::Open));
    assert_eq!((case.amount_usd_minor, case.expected_loss_usd_minor), (REVIEW_USD_MINOR, REVIEW_USD_MINOR / 2 + 1));

    // Neither what passes, nor what is refused, nor what ends for want of stock is looked at.
    world.shop.submit_checkout(tenant(), &cart(&[(POT, 1)]), None).await.expect("it is answered");
    let short = world.shop.submit_checkout(tenant(), &cart(&[(CUP, 1), (POT, 99)]), None).await;
    assert_eq!(short.expect("it is answered").value.refusal, Some(RefusalReason::Stock));
    let now = world.clock.now();
    open_cases(&world, &[decided(1, now, 5, FraudAction::Decline), decided(2, now, 5, FraudAction::StepUp)]).await;
    let page = PageRequest::new(100, None, "dec").expect("a valid page");
    let open = CaseFilter { state: Some(CaseState::Open) };
    let cases = world.shop.storage().fraud_cases(tenant(), &open, &page).await.expect("they are read").items;
    let ids: BTreeSet<DecisionId> = cases.iter().map(|case| case.decision).collect();
    assert_eq!(ids, BTreeSet::from([checkout.fraud.decision, DecisionId::from_u128(2)]));
    let other = TenantId::new("ten_other").expect("a valid tenant");
    assert_eq!(world.shop.storage().fraud_case(other, case.decision).await.expect("it is read"), None);
    assert_eq!(world.shop.claim_next_case(other, "ann").await.expect("it is answered"), None);
}

pub async fn a_thousand_reviewers_who_claim_at_once_get_different_cases(world: World) {
    let now = world.clock.now();
    let cases: Vec<_> = (0..300).map(|number| decided(number, now, 1_000, FraudAction::Review)).collect();
    open_cases(&world, &cases).await;
    let claims = (0..1_000).map(|number| {
        let shop = world.shop.clone();
        tokio::spawn(async move {
            let reviewer = format!("reviewer {number}");
            loop {
                match shop.claim_next_case(tenant(), &reviewer).await {
                    // A caller that is told that the database is too busy asks again.
                    Err(CommerceError::Storage(StorageError::Unavailable(_))) => {}
                    answered => return answered.expect("it is answered").map(|case| (case.decision, reviewer)),
                }
            }
        })
    });
    let claimed: Vec<(DecisionId, String)> =
        join_all(claims).await.into_iter().filter_map(|claim| claim.expect("no claim panics")).collect();
    let ids: BTreeSet<DecisionId> = claimed.iter().map(|(id, _)| *id).collect();
    assert_eq!((claimed.len(), ids.len()), (300, 300), "each case is claimed once");
    for (id, reviewer) in claimed {
        assert_eq!(stored_case(&world, id).await.claimed_by, Some(reviewer));
    }
}

pub async fn the_most_pressing_case_comes_first_and_a_claim_that_ran_out_is_free(world: World) {
    let now = world.clock.now();
    let cases = [
        decided(1, now, 10_000, FraudAction::Review),
        // Less at stake, but a day is left of seven.
        decided(2, now - 6 * DAY_MICROS, 6_000, FraudAction::Review),
        decided(3, now, 9_000, FraudAction::Review),
    ];
    open_cases(&world, &cases).await;
    let claim = async |reviewer: &str| {
        let claimed = world.shop.claim_next_case(tenant(), reviewer).await.expect("it is answered");
        claimed.map(|case| case.decision.as_u128())
    };
    assert_eq!(claim("ann").await, Some(2));
    world.clock.advance(1);
    assert_eq!((claim("bob").await, claim("cem").await, claim("dan").await), (Some(1), Some(3), None));
    let held = world.shop.claim_case(tenant(), DecisionId::from_u128(2), "bob").await;
    assert!(matches!(held, Err(CommerceError::CaseHeld { ref by, .. }) if by == "ann"), "{held:?}");
    world.shop.release_case(tenant(), DecisionId::from_u128(3), "cem").await.expect("it is given back");
    assert_eq!(claim("dan").await, Some(3));

    world.clock.advance(CLAIM_MICROS - 1);
    assert_eq!(claim("eve").await, Some(2), "only the oldest claim ran out");
    let late =
        world.shop.decide_case(tenant(), DecisionId::from_u128(2), "ann", (Verdict::Approve, FraudLabel::Genuine), "");
    assert!(matches!(late.await, Err(CommerceError::CaseHeld { ref by, .. }) if by == "eve"));
}

pub async fn a_verdict_given_twenty_times_at_once_writes_one_label(world: World) {
    let id = DecisionId::from_u128(1);
    open_cases(&world, &[decided(1, world.clock.now(), 5_000, FraudAction::Review)]).await;
    let early = world.shop.decide_case(tenant(), id, "ann", (Verdict::Decline, FraudLabel::Fraud), "").await;
    assert!(matches!(early, Err(CommerceError::CaseNotClaimed)), "{early:?}");
    world.shop.claim_case(tenant(), id, "ann").await.expect("it is claimed");
    let verdicts = (0..20).map(|_| {
        let shop = world.shop.clone();
        let verdict = (Verdict::Decline, FraudLabel::Fraud);
        tokio::spawn(async move { shop.decide_case(tenant(), id, "ann", verdict, "the card was stolen").await })
    });
    let answers: Vec<_> = join_all(verdicts).await.into_iter().map(|answer| answer.expect("no panic")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = answers.iter().filter(|answer| matches!(answer, Err(CommerceError::Transition(_)))).count();
    assert_eq!(refused, 19, "{answers:?}");
    assert_eq!(labels(&world).await, [(true, None)]);
    let case = stored_case(&world, id).await;
    assert_eq!((case.state, case.label()), (CaseState::Decided, Some(FraudLabel::Fraud)));
    let steps: Vec<CaseStep> = case.history.iter().map(|line| line.step).collect();
    assert_eq!(steps, [CaseStep::Opened, CaseStep::Claimed, CaseStep::Decided]);
    world.shop.note_case(tenant(), id, "bob", "seen").await.expect("a decided case takes notes");
}

pub async fn to_decline_a_large_amount_takes_a_second_person(world: World) {
    let (id, amount) = (DecisionId::from_u128(1), FOUR_EYES_ABOVE_USD_MINOR + 1);
    open_cases(&world, &[decided(1, world.clock.now(), amount, FraudAction::StepUp)]).await;
    let decline = (Verdict::Decline, FraudLabel::Fraud);
    world.shop.claim_case(tenant(), id, "ann").await.expect("it is claimed");
    let first = world.shop.decide_case(tenant(), id, "ann", decline, "").await.expect("it is given");
    assert_eq!((first.state, first.label()), (CaseState::Open, None));
    assert!(labels(&world).await.is_empty(), "a first verdict teaches nothing");
    assert_eq!(world.shop.claim_next_case(tenant(), "ann").await.expect("it is answered"), None);
    let again = world.shop.claim_case(tenant(), id, "ann").await;
    assert!(matches!(again, Err(CommerceError::SecondPersonNeeded)), "{again:?}");
    // A refused claim holds its row until the database has undone it, and whoever asks for the next case passes over it.
    let mut claimed = None;
    for _ in 0..200 {
        claimed = world.shop.claim_next_case(tenant(), "bob").await.expect("it is answered");
        if claimed.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(claimed.map(|case| case.decision), Some(id));
    let kind = Some(FraudKind::AccountTakeover);
    let of_genuine = Finding { verdict: Verdict::Approve, label: FraudLabel::Genuine, kind };
    let refused = world.shop.decide_case(tenant(), id, "bob", of_genuine, "").await;
    assert!(matches!(refused, Err(CommerceError::Invalid(ref fields)) if fields[0].pointer == "/kind"), "{refused:?}");
    let taken_over = Finding { verdict: Verdict::Decline, label: FraudLabel::Fraud, kind };
    let last = world.shop.decide_case(tenant(), id, "bob", taken_over, "").await.expect("it is given");
    assert_eq!((last.state, last.label()), (CaseState::Decided, Some(FraudLabel::Fraud)));
    let second = last.second_verdict.expect("it was given");
    assert_eq!((second.reviewer.as_str(), second.kind), ("bob", kind));
    assert_eq!(labels(&world).await, [(true, Some("account_takeover".to_owned()))]);

    // To let it pass takes one.
    let (id, approve) = (DecisionId::from_u128(2), (Verdict::Approve, FraudLabel::Genuine));
    open_cases(&world, &[decided(2, world.clock.now(), amount, FraudAction::Review)]).await;
    world.shop.claim_case(tenant(), id, "ann").await.expect("it is claimed");
    let passed = world.shop.decide_case(tenant(), id, "ann", approve, "").await.expect("it is given");
    assert_eq!(passed.state, CaseState::Decided);
}

pub async fn a_card_number_gets_into_no_case(world: World) {
    let (id, number) = (DecisionId::from_u128(1), "called about 4111 1111-1111.1111");
    open_cases(&world, &[decided(1, world.clock.now(), 5_000, FraudAction::Review)]).await;
    let refused = [
        world.shop.claim_next_case(tenant(), number).await.map(drop),
        world.shop.claim_case(tenant(), id, number).await.map(drop),
        world.shop.note_case(tenant(), id, "ann", number).await.map(drop),
        world.shop.decide_case(tenant(), id, "ann", (Verdict::Approve, FraudLabel::Genuine), number).await.map(drop),
    ];
    for answer in refused {
        let error = answer.expect_err("it is refused").to_string();
        assert!(error.contains("card number") && !error.contains("4111"), "{error}");
    }
    assert_eq!(stored_case(&world, id).await.history.len(), 1);
}

fn rules(names: &[&str]) -> RuleSet {
    let rule = |name: &&str| Rule {
        id: RuleId::new(name).expect("a valid id"),
        name: format!("Rule {name}"),
        when: "score > 0.5".to_owned(),
        then: Then::Decide { action: Action::Decline },
        priority: 1,
        state: State::Live,
    };
    let schema = Arc::new(Schema::new([], Vec::new()).expect("an empty schema"));
    RuleSet::compile(names.iter().map(rule).collect(), schema).expect("they compile")
}

pub async fn published_rules_are_read_back_and_changed_ones_are_noticed(world: World) {
    let store = world.shop.storage();
    let (one, two) = (rules(&["one"]), rules(&["one", "two"]));
    let mut book = RuleBook::default();
    for (number, set) in [(1, &one), (2, &two)] {
        let entry = book.publish(set, &Backtest::new(set).report(), "ann", world.clock.now()).expect("it goes").clone();
        let version = book.version(set.version()).expect("it was published");
        store.write_rule_log(tenant(), number, &entry, version).await.expect("it is written");
    }
    let entry = book.roll_back(one.version(), "bob", "too strict", world.clock.now()).expect("it goes").clone();
    let version = book.version(one.version()).expect("it was published").clone();
    store.write_rule_log(tenant(), 3, &entry, &version).await.expect("it is written");
    let twice = store.write_rule_log(tenant(), 3, &entry, &version).await;
    assert!(matches!(twice, Err(StorageError::Exists(_))), "of two servers one writes: {twice:?}");

    let load = async || {
        let (versions, log) = (store.rule_versions(tenant()).await, store.rule_log(tenant()).await);
        RuleBook::load(versions.expect("they are read"), log.expect("it is read"))
    };
    assert_eq!(load().await, Ok(book));
    let heads = store.desk_heads().await.expect("they are read");
    assert_eq!(heads, [DeskHeads { tenant: tenant(), rules: 3, lists: 0 }]);

    let mut raw = AnyConnection::connect(&world.url).await.expect("it connects");
    sqlx::query("UPDATE fraud_rule_versions SET body = REPLACE(body, '0.5', '0.9')")
        .execute(&mut raw)
        .await
        .expect("it is changed");
    let changed = load().await;
    assert!(matches!(changed, Err(BookError::Changed { .. })), "{changed:?}");

    let draft = RuleDraft { rules: two.rules().to_vec(), saved_at: world.clock.now() };
    for draft in [&RuleDraft { rules: Vec::new(), ..draft.clone() }, &draft] {
        store.put_rule_draft(tenant(), draft).await.expect("it is kept");
    }
    assert_eq!(store.rule_draft(tenant()).await.expect("it is read"), Some(draft));
}

pub async fn list_changes_of_two_processes_are_numbered_without_gaps(world: World) {
    let other = world.another_process(2).await;
    let now = world.clock.now();
    let change = |number: u128| ListChange::Added {
        entry: ListEntry {
            kind: ListKind::Buyer,
            effect: Effect::Block,
            value: BuyerId::from_u128(number).to_string(),
            reason: "chargebacks".to_owned(),
            note: String::new(),
            author: "ann".to_owned(),
            created: now,
            expires: None,
            removed: None,
        },
    };
    let appends = (0..40).map(|number| {
        let shop = if number % 2 == 0 { world.shop.clone() } else { other.clone() };
        let change = change(number);
        tokio::spawn(async move { shop.storage().append_list_change(tenant(), &change, now).await })
    });
    for append in join_all(appends).await {
        append.expect("no panic").expect("it is written");
    }
    let log = world.shop.storage().list_log(tenant(), 0).await.expect("it is read");
    assert_eq!(log.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    assert_eq!(world.shop.storage().list_log(tenant(), 38).await.expect("it is read"), log[38..]);
    let all: BTreeSet<String> = log.iter().map(|(_, change)| format!("{change:?}")).collect();
    assert_eq!(all, (0..40).map(|number| format!("{:?}", change(number))).collect());
}

pub async fn decisions_of_a_span_are_read_in_order_with_what_reviewers_found(world: World) {
    let at = |second: i64| world.clock.now() + second * SECOND_MICROS;
    let cases: Vec<_> =
        (0..10).map(|number| decided(number as u128, at(number / 2), 5_000, FraudAction::Review)).collect();
    open_cases(&world, &cases).await;
    for (number, label) in [(3, FraudLabel::Fraud), (4, FraudLabel::Genuine)] {
        let id = DecisionId::from_u128(number);
        world.shop.claim_case(tenant(), id, "ann").await.expect("it is claimed");
        world.shop.decide_case(tenant(), id, "ann", (Verdict::Approve, label), "").await.expect("it is decided");
    }
    let (store, span) = (world.shop.storage(), TimeSpan { from: at(1), to: at(4) });
    assert_eq!(store.count_fraud_decisions(tenant(), span).await.expect("they are counted"), 6);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.fraud_decisions(tenant(), span, after, 4).await.expect("they are read");
        let Some(last) = page.last() else { break };
        after = Some((last.record.created_at, last.record.id));
        seen.extend(page.iter().map(|one| (one.record.id.as_u128(), one.fraud)));
    }
    let expected = [(2, None), (3, Some(true)), (4, Some(false)), (5, None), (6, None), (7, None)];
    assert_eq!(seen, expected);
}

pub async fn scores_of_a_span_are_read_newest_first_with_those_of_models_that_look_on(world: World) {
    let at = |second: i64| world.clock.now() + second * SECOND_MICROS;
    let mut decisions: Vec<_> =
        (0..10).map(|number| decided(number as u128, at(number / 2), 5_000, FraudAction::Approve)).collect();
    let shadow = ShadowScore { alias: "challenger".to_owned(), model: "test-2".to_owned(), probability: 0.25 };
    decisions[4].0.answer["shadows"] = serde_json::json!([shadow]);
    world.shop.record_decisions(&decisions).await.expect("they are recorded");
    let (store, span) = (world.shop.storage(), TimeSpan { from: at(1), to: at(4) });
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = store.scored_decisions(tenant(), span, before, 4).await.expect("they are read");
        let Some(last) = page.last() else { break };
        before = Some((last.created_at, last.id));
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|one| one.id.as_u128()).collect::<Vec<_>>(), [7, 6, 5, 4, 3, 2]);
    let ScoredDecision { checkout, model, probability, action, shadows, created_at, .. } = &seen[3];
    assert_eq!((checkout.as_u128(), model.as_str(), *probability), (4, "test-1", 0.5));
    assert_eq!((*action, *created_at, shadows), (FraudAction::Approve, at(2), &vec![shadow]));
    assert!(seen[2].shadows.is_empty(), "one that was recorded without any has none");
}

pub async fn a_backtest_is_written_until_it_ended_and_the_last_ones_are_kept(world: World) {
    let (store, set, now) = (world.shop.storage(), rules(&["one"]), world.clock.now());
    let begun = BacktestRecord {
        tenant: tenant(),
        number: 0,
        version: set.version(),
        span: TimeSpan { from: now, to: now + 1 },
        total: 2_000,
        repeated: 0,
        skipped: 0,
        state: BacktestState::Running,
        failure: None,
        report: None,
        started_at: now,
        progressed_at: now,
    };
    let insert = async || store.insert_backtest(&begun).await.expect("it is stored");
    assert_eq!((insert().await, insert().await, insert().await), (1, 2, 3));
    let later = now + SECOND_MICROS;
    assert!(store.progress_backtest(tenant(), 1, (990, 10), later).await.expect("it is written"));
    let read = store.find_backtest(tenant(), 1).await.expect("it is read");
    let under_way = BacktestRecord { number: 1, repeated: 990, skipped: 10, progressed_at: later, ..begun.clone() };
    assert_eq!(read, Some(under_way.clone()));
    assert_eq!(under_way.clone().at(later + BACKTEST_SILENT_MICROS).state, BacktestState::Running);
    assert_eq!(under_way.clone().at(later + BACKTEST_SILENT_MICROS + 1).state, BacktestState::Interrupted);

    let report = Box::new(Backtest::new(&set).report());
    let ends = [
        (1, BacktestEnd::Finished(report.clone()), BacktestState::Finished),
        (2, BacktestEnd::Failed("no disk".to_owned()), BacktestState::Failed),
        (3, BacktestEnd::Cancelled, BacktestState::Cancelled),
    ];
    for (number, end, state) in ends {
        assert!(store.end_backtest(tenant(), number, &end, later).await.expect("it is written"));
        let ended = store.find_backtest(tenant(), number).await.expect("it is read").expect("it is there");
        assert_eq!((ended.state, ended.report.is_some()), (state, number == 1));
        assert_eq!(ended.failure.as_deref(), (number == 2).then_some("no disk"));
        let again = store.end_backtest(tenant(), number, &BacktestEnd::Cancelled, later).await;
        assert!(!again.expect("it is asked"), "it ended before");
        let progress = store.progress_backtest(tenant(), number, (1, 1), later).await;
        assert!(!progress.expect("it is asked"), "whoever still runs it is told so");
    }
    let finished = store.find_backtest(tenant(), 1).await.expect("it is read").expect("it is there");
    assert_eq!(finished.report, Some(report));
    for _ in 3..=BACKTESTS_KEPT_MAX {
        insert().await;
    }
    assert_eq!(store.find_backtest(tenant(), 1).await.expect("it is read"), None, "it made room");
    assert!(store.find_backtest(tenant(), 2).await.expect("it is read").is_some());
}
