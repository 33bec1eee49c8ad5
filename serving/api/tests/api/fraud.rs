//! The fraud desk over HTTP: rules tried, published and rolled back, lists, the review queue, and what must never be stored.

use std::sync::Arc;

use dhow_api::ApiSettings;
use dhow_commerce::{BacktestState, BacktestStorage, ListChange, Outbox, RuleStorage};
use dhow_engine::{Engine, EngineSettings, Folders, check_links, served_links};
use dhow_events::{
    AddressId, BuyerId, CardId, Clock, DeviceId, Event, EventId, Fact, ManualClock, Region, SystemClock, TenantId,
    Timestamp, cloudevents, facts,
};
use dhow_links::{Account, FEATURES, LinkQuery};
use dhow_offline::{Lake, QueryBounds, SqlSession};
use dhow_rules::{Backtest, DecisionsHash, Effect, ListEntry, ListKind, Outcome, Rule, RuleBook, RuleSet, Schema};
use dhow_streams::{Offsets, Replay};
use dhow_training::link_rows;
use serde_json::{Value, json};

use crate::trained;
use crate::world::{Answer, START, World, buyer, engine_settings};

/// What looks like a card's number.
const PLANTED: &str = "4111 1111 1111 1111";

pub fn rule(id: &str, when: &str, then: Value) -> Value {
    json!({ "id": id, "name": format!("Rule {id}"), "when": when, "then": then, "priority": 1, "state": "live" })
}

pub fn decide(action: &str) -> Value {
    json!({ "do": "decide", "action": action })
}

pub fn score(cents: i64) -> Value {
    json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "NG-LA", "payment_method": "wallet", "line_count": 1,
        "quantity": 1, "total": { "amount": cents.to_string(), "currency": "USD" },
    })
}

fn checkout(product: &str) -> Value {
    json!({
        "buyer": buyer(), "region": "GB", "delivery_region": "NG-LA", "payment_method": "wallet",
        "lines": [{ "product": product, "quantity": 1 }],
    })
}

/// Keeps a draft and tries it on everything recorded so far; gives its version and the finished backtest.
async fn try_rules(world: &World, rules: Value) -> (Value, Value) {
    let drafted = world.ask("PUT", "/v1/fraud/rules").json(&json!({ "rules": rules })).send().await;
    assert_eq!(drafted.status, 200, "{drafted:?}");
    let span = json!({ "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z" });
    let started = world.post("/v1/fraud/backtests", &span).await;
    assert_eq!(started.status, 202, "{started:?}");
    let path = started.header("location").to_owned();
    let backtest = world.until(&path, |backtest| backtest["state"] == "finished").await;
    (drafted.json()["version"].clone(), backtest)
}

pub async fn publish(world: &World, rules: Value) -> Value {
    let (version, backtest) = try_rules(world, rules).await;
    let body = json!({ "version": version, "backtest": backtest["id"], "author": "ann" });
    let published = world.post("/v1/fraud/rules/publish", &body).await;
    assert_eq!(published.status, 200, "{published:?}");
    version
}

pub async fn decision(world: &World, scored: &Answer) -> Value {
    let id = scored.json()["decision_id"].as_str().unwrap().to_owned();
    world.get(format!("/v1/fraud/decisions/{id}")).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_rule_declines_a_checkout_until_it_is_rolled_back() {
    let world = World::new().await;
    trained::fraud(&world);
    let cup = world.product("Cup", 1_200, 9).await;
    let nothing = world.get("/v1/fraud/rules").await.json();
    assert_eq!((&nothing["rules"], &nothing["draft"]), (&json!([]), &Value::Null));
    let before = publish(&world, json!([rule("dear", "request.amount_usd_minor > 300000", decide("review"))])).await;
    assert_eq!(world.post("/v1/checkouts", &checkout(&cup)).await.json()["state"], "completed");

    let when =
        "request.delivery_country == 'NG' && request.country != request.delivery_country && request.quantity > 0";
    let after = publish(&world, json!([rule("abroad", when, decide("decline"))])).await;
    let refused = world.post("/v1/checkouts", &checkout(&cup)).await.json();
    assert_eq!((&refused["refusal"], &refused["fraud"]["action"]), (&json!("fraud"), &json!("decline")));
    let reason = &refused["fraud"]["reasons"][0];
    assert_eq!((&reason["code"], &reason["text"]), (&json!("rule:abroad"), &json!("Rule abroad")));
    let path = format!("/v1/fraud/decisions/{}", refused["fraud"]["decision"].as_str().unwrap());
    let found = world.get(path).await.json();
    let rules = &found["decision"]["answer"]["rules"];
    assert_eq!((&rules["outcome"]["version"], &rules["band"]), (&after, &json!("approve")));
    assert_eq!(rules["outcome"]["fired"][0]["rule"], "abroad");
    assert_eq!(found["decision"]["answer"]["thresholds"].as_str().map(str::len), Some(64));
    assert!(found["decision"]["features"].as_array().unwrap().len() >= 20 && found["case"].is_null());

    let body = json!({ "version": before, "author": "bob", "reason": "too strict" });
    let rolled = world.post("/v1/fraud/rules/rollback", &body).await.json();
    assert_eq!((&rolled["version"], &rolled["replaced"]), (&before, &after));
    assert_eq!(world.post("/v1/checkouts", &checkout(&cup)).await.json()["state"], "completed");
    let again = world.post("/v1/fraud/rules/rollback", &body).await;
    assert_eq!((again.status, again.code().as_str()), (409, "conflict"), "it is in force already");
    let log = world.get("/v1/fraud/rules/log").await.json();
    let versions: Vec<&Value> = log["items"].as_array().unwrap().iter().map(|line| &line["version"]).collect();
    assert_eq!(versions, [&before, &after, &before]);
    let unknown = json!({ "version": "0".repeat(64), "author": "bob", "reason": "why not" });
    assert_eq!(world.post("/v1/fraud/rules/rollback", &unknown).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_do_not_type_check_or_were_not_tried_are_not_published() {
    let world = World::new().await;
    let wrong = json!({ "rules": [
        rule("fine", "score > 0.5", decide("review")),
        rule("spelt", "score > 0.5 &&\n  request.amuont_minor > 5", decide("review")),
        rule("typed", "request.currency > 5", decide("review")),
        rule("fine", "score > 0.6", decide("review")),
    ] });
    let refused = world.ask("PUT", "/v1/fraud/rules").json(&wrong).send().await;
    assert_eq!((refused.status, refused.code().as_str()), (422, "invalid_request"));
    let mut pointers = refused.pointers();
    pointers.sort();
    assert_eq!(pointers, ["/rules/1/when", "/rules/2/when", "/rules/3/id"]);
    assert!(refused.text.contains("line 2, column 3") && refused.text.contains("did you mean `request.amount_minor`"));
    assert_eq!(world.get("/v1/fraud/rules").await.json()["draft"], Value::Null);

    let (version, backtest) = try_rules(&world, json!([rule("one", "score > 0.5", decide("review"))])).await;
    assert_eq!((&backtest["total"], &backtest["report"]["decisions"]), (&json!(0), &json!(0)));
    let publish = |version: &Value, backtest: Value, author: &str| {
        let body = json!({ "version": version, "backtest": backtest, "author": author });
        let world = &world;
        async move { world.post("/v1/fraud/rules/publish", &body).await }
    };
    assert_eq!(publish(&version, json!(99), "ann").await.status, 404, "no such backtest");
    assert_eq!(publish(&json!("0".repeat(64)), json!(1), "ann").await.code(), "conflict");
    assert_eq!(publish(&version, json!(1), " ").await.pointers(), ["/author"]);
    assert_eq!(publish(&version, json!(1), "ann").await.status, 200);
    assert_eq!(publish(&version, json!(1), "ann").await.code(), "conflict", "it is in force already");
    let backwards = json!({ "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z" });
    assert_eq!(world.post("/v1/fraud/backtests", &backwards).await.pointers(), ["/to"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_of_the_rules_in_force_repeats_every_decision_as_it_was_made() {
    let world = World::new().await;
    trained::fraud(&world);
    let rules = json!([
        rule("dear", "request.amount_usd_minor > 300000 && score > 0.01", decide("step_up")),
        rule("morning", "request.hour < 12", json!({ "do": "add_reason", "code": "EARLY" })),
        // The card is missing, so this has an answer for the largest amounts alone.
        rule(
            "huge",
            "features.checkout_submitted_total_usd_minor > 500000.0 || request.card == 'x'",
            decide("decline")
        ),
    ]);
    publish(&world, rules).await;
    for number in 0..60 {
        world.clock.advance(1_800_000_000);
        assert_eq!(world.post("/v1/fraud/scores", &score(number * 10_007)).await.status, 200);
    }
    let mut made: Vec<(String, String, Value)> = Vec::new();
    let mut path = "/v1/decisions?kind=fraud&limit=50".to_owned();
    loop {
        let page = world.get(&path).await.json();
        made.extend(page["items"].as_array().unwrap().iter().map(|one| {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            (text("created_at"), text("id"), one["answer"]["rules"]["outcome"].clone())
        }));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/decisions?kind=fraud&limit=50&cursor={next}");
    }
    made.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let mut live = DecisionsHash::new();
    for (_, id, outcome) in &made {
        live.add(id.parse().unwrap(), &serde_json::from_value::<Outcome>(outcome.clone()).unwrap());
    }
    let version = world.get("/v1/fraud/rules").await.json()["version"].clone();
    let body = json!({ "version": version, "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z" });
    let started = world.post("/v1/fraud/backtests", &body).await;
    let same = world.until(started.header("location"), |one| one["state"] == "finished").await;
    assert_eq!((&same["repeated"], &same["skipped"], &same["total"]), (&json!(60), &json!(0), &json!(60)));
    assert_eq!(same["report"]["hash"], json!(live.hash()));
    assert_eq!(same["report"]["changes"], json!([]));
    let stepped_up = same["report"]["recorded"]["step_up"]["decisions"].as_u64().unwrap();
    assert!((1..60).contains(&stepped_up), "{same}");

    let (_, other) = try_rules(&world, json!([])).await;
    assert_ne!(other["report"]["hash"], same["report"]["hash"]);
    assert!(!other["report"]["changes"].as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_on_a_claimed_case_is_a_label_in_the_log() {
    let world = World::new().await;
    trained::fraud(&world);
    assert_eq!(world.post("/v1/fraud/cases/claim", &json!({ "reviewer": "ann" })).await.status, 204);
    publish(&world, json!([rule("all", "true", json!({ "do": "floor", "action": "step_up" }))])).await;
    let cup = world.product("Cup", 1_200, 9).await;
    let bought = world.post("/v1/checkouts", &checkout(&cup)).await.json();
    assert_eq!((&bought["state"], &bought["fraud"]["action"]), (&json!("held"), &json!("step_up")));

    let claimed = world.post("/v1/fraud/cases/claim", &json!({ "reviewer": "ann" })).await.json();
    assert_eq!((&claimed["checkout"], &claimed["claimed_by"]), (&bought["id"], &json!("ann")));
    let path = format!("/v1/fraud/cases/{}", claimed["decision"].as_str().unwrap());
    let held = world.post(&format!("{path}/claim"), &json!({ "reviewer": "bob" })).await;
    assert_eq!((held.status, held.code().as_str()), (409, "case_claimed"));
    let unlabelled = json!({ "reviewer": "ann", "verdict": "decline" });
    assert_eq!(world.post(&format!("{path}/verdict"), &unlabelled).await.pointers(), ["/label"]);
    let noted = world.post(&format!("{path}/notes"), &json!({ "reviewer": "bob", "note": "seen before" })).await;
    assert_eq!(noted.json()["history"].as_array().unwrap().len(), 3);
    let kind = |kind: &str, label: &str| json!({ "reviewer": "ann", "verdict": "decline", "label": label, "kind": kind, "note": "a stolen wallet" });
    for wrong in [kind("theft", "fraud"), kind("stolen_card", "genuine")] {
        assert_eq!(world.post(&format!("{path}/verdict"), &wrong).await.pointers(), ["/kind"]);
    }
    let verdict = kind("stolen_card", "fraud");
    let decided = world.post(&format!("{path}/verdict"), &verdict).await.json();
    assert_eq!(decided["verdict"]["kind"], "stolen_card");
    assert_eq!((&decided["state"], &decided["verdict"]["label"]), (&json!("decided"), &json!("fraud")));
    let again = world.post(&format!("{path}/verdict"), &verdict).await;
    assert_eq!((again.status, again.code().as_str()), (409, "state_conflict"));
    let mut read = world.get(&path).await.json();
    let links = read.as_object_mut().unwrap().remove("links").unwrap();
    assert_eq!((read, &links["flagged"], &links["things"]), (decided.clone(), &json!(false), &json!([])));
    assert_eq!(world.get("/v1/fraud/cases?state=open").await.json()["items"], json!([]));
    let by_decision = path.replace("cases", "decisions");
    assert_eq!(world.get(by_decision).await.json()["case"], decided);
    let given_up = world.get(format!("/v1/checkouts/{}", bought["id"].as_str().unwrap())).await.json();
    assert_eq!((&given_up["state"], &given_up["refusal"]), (&json!("refused"), &json!("fraud")));
    assert_eq!(given_up["orders"][0]["state"], json!("cancelled"));

    let query = json!({ "query": "SELECT checkout, fraud, source, kind FROM fraud_labelled" });
    for _ in 0..500 {
        let (events, lag) = world.engine.lag().unwrap();
        if events > 0 && lag == 0 {
            world.engine.checkpoint().unwrap();
            let rows = world.post("/v1/sql", &query).await.json()["rows"].clone();
            if rows.as_array().is_some_and(|rows| !rows.is_empty()) {
                assert_eq!(rows, json!([[bought["id"], true, "review", "stolen_card"]]));
                return;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the label did not reach the lake");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_key_declines_and_an_allowed_one_approves_while_they_count() {
    let world = World::new().await;
    trained::fraud(&world);
    let (block, allow) = ("/v1/fraud/lists/buyer/block", "/v1/fraud/lists/buyer/allow");
    let entry = |value: &str| json!({ "value": value, "reason": "three chargebacks", "author": "ann" });
    let mut allowed = entry(&buyer().to_string());
    allowed["expires"] = json!("2026-03-01T13:00:00Z");
    assert_eq!(world.post(allow, &allowed).await.status, 201);
    let dear = score(trained::DEAR_USD_MINOR * 2);
    let action = async || world.post("/v1/fraud/scores", &dear).await.json()["action"].clone();
    assert_eq!(action().await, "approve", "the allow list approves what the model would decline");
    world.clock.advance(3_600_000_000);
    assert_eq!(action().await, "decline", "the entry expired");

    assert_eq!(world.post(block, &entry(&buyer().to_string())).await.status, 201);
    let scored = world.post("/v1/fraud/scores", &score(1_200)).await;
    assert_eq!(scored.json()["action"], "decline");
    assert_eq!(scored.json()["reasons"][0]["code"], "blocked:buyer");
    let found = decision(&world, &scored).await;
    assert_eq!(found["decision"]["answer"]["rules"]["outcome"]["decided_by"]["by"], "block_list");
    let listed = world.get(block).await.json();
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["next"]), (1, &Value::Null));
    assert_eq!(world.get(allow).await.json()["items"], json!([]));
    let removal = format!("{block}?value={}&author=bob", buyer());
    assert_eq!(world.ask("DELETE", &removal).send().await.status, 204);
    assert_eq!(world.ask("DELETE", &removal).send().await.status, 404);
    assert_eq!(world.post("/v1/fraud/scores", &score(1_200)).await.json()["action"], "approve");
    assert_eq!(world.post("/v1/fraud/lists/shoe/block", &entry("x")).await.pointers(), ["/kind"]);
    assert_eq!(world.post("/v1/fraud/lists/card/maybe", &entry("x")).await.pointers(), ["/effect"]);
    assert_eq!(world.post(block, &entry("")).await.pointers(), ["/value"]);
    assert_eq!(world.get(format!("{block}?limit=0")).await.pointers(), ["/limit"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_server_published_or_listed_counts_here_too() {
    let world = World::new().await;
    trained::fraud(&world);
    let (tenant, now) = (TenantId::default(), world.clock.now());
    let entry = ListEntry {
        kind: ListKind::Buyer,
        effect: Effect::Block,
        value: buyer().to_string(),
        reason: "three chargebacks".to_owned(),
        note: String::new(),
        author: "ann".to_owned(),
        created: now,
        expires: None,
        removed: None,
    };
    let store = world.engine.store();
    store.append_list_change(tenant, &ListChange::Added { entry }, now).await.unwrap();
    world.until("/v1/fraud/lists/buyer/block", |page| page["items"].as_array().unwrap().len() == 1).await;
    assert_eq!(world.post("/v1/fraud/scores", &score(1_200)).await.json()["action"], "decline");

    let rules = Arc::new(Schema::new([], Vec::new()).unwrap());
    let every: Rule = serde_json::from_value(rule("all", "score >= 0.0", decide("review"))).unwrap();
    let set = RuleSet::compile(vec![every], rules).unwrap();
    let mut book = RuleBook::default();
    let entry = book.publish(&set, &Backtest::new(&set).report(), "ann", now).unwrap().clone();
    store.write_rule_log(tenant, 1, &entry, book.version(set.version()).unwrap()).await.unwrap();
    world.until("/v1/fraud/rules", |found| found["version"] == json!(set.version())).await;
    let body = json!({ "version": set.version(), "author": "bob", "reason": "none" });
    assert_eq!(world.post("/v1/fraud/rules/rollback", &body).await.status, 409, "it is known to be in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_number_is_refused_wherever_words_or_keys_are_taken_and_stands_in_no_file() {
    let world = World::new().await;
    trained::fraud(&world);
    publish(&world, json!([rule("all", "true", decide("review"))])).await;
    let scored = world.post("/v1/fraud/scores", &score(1_200)).await;
    let case = format!("/v1/fraud/cases/{}", scored.json()["decision_id"].as_str().unwrap());
    assert_eq!(world.post(&format!("{case}/claim"), &json!({ "reviewer": "ann" })).await.status, 200);
    let compact = PLANTED.replace(' ', "");
    let mut by_card = score(1_200);
    by_card["card"] = json!(compact);
    let mut by_region = score(1_200);
    by_region["region"] = json!("378282246310005");
    let verdict = json!({ "reviewer": "ann", "verdict": "approve", "label": "genuine", "note": PLANTED });
    let named = |field: &str, text: &str| {
        let mut named = rule("one", "score > 0.5", decide("review"));
        named[field] = json!(text);
        json!({ "rules": [named] })
    };
    let version = world.get("/v1/fraud/rules").await.json()["version"].clone();
    let entry = |field: &str, text: &str| {
        let mut entry = json!({ "value": "token", "reason": "stolen", "author": "ann", "note": "" });
        entry[field] = json!(text);
        entry
    };
    let asks = [
        ("POST", "/v1/fraud/scores".to_owned(), by_card),
        ("POST", "/v1/fraud/scores".to_owned(), by_region),
        ("POST", "/v1/fraud/cases/claim".to_owned(), json!({ "reviewer": PLANTED })),
        ("POST", format!("{case}/claim"), json!({ "reviewer": PLANTED })),
        ("POST", format!("{case}/release"), json!({ "reviewer": PLANTED })),
        ("POST", format!("{case}/notes"), json!({ "reviewer": "ann", "note": PLANTED })),
        ("POST", format!("{case}/verdict"), verdict),
        ("PUT", "/v1/fraud/rules".to_owned(), named("name", PLANTED)),
        ("PUT", "/v1/fraud/rules".to_owned(), named("when", &format!("request.card == '{compact}'"))),
        ("PUT", "/v1/fraud/rules".to_owned(), named("id", PLANTED)),
        ("POST", "/v1/fraud/rules/publish".to_owned(), json!({ "version": version, "backtest": 1, "author": PLANTED })),
        (
            "POST",
            "/v1/fraud/rules/rollback".to_owned(),
            json!({ "version": version, "author": "ann", "reason": PLANTED }),
        ),
        ("POST", "/v1/fraud/lists/card/block".to_owned(), entry("value", &compact)),
        ("POST", "/v1/fraud/lists/card/block".to_owned(), entry("reason", PLANTED)),
        ("POST", "/v1/fraud/lists/card/block".to_owned(), entry("note", PLANTED)),
        ("POST", "/v1/fraud/lists/card/block".to_owned(), entry("author", PLANTED)),
    ];
    for (method, path, body) in asks {
        let answer = world.ask(method, &path).json(&body).send().await;
        assert_eq!(answer.status, 422, "{method} {path} {body}: {answer:?}");
    }
    world.engine.checkpoint().unwrap();
    let mut files = vec![world.engine.folders().log.parent().unwrap().to_owned()];
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        read += bytes.len();
        for planted in [PLANTED, &compact, "378282246310005"] {
            let found = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
            assert!(!found, "{planted} stands in {}", path.display());
        }
    }
    assert!(read > 10_000, "the database and the log were read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_score_whose_record_cannot_be_written_is_not_answered() {
    // Time stands still for the access check, so that it remembers its answer and asks the database nothing.
    let stopwatch = Arc::new(ManualClock::new(Timestamp::from_micros(0)));
    let world = World::with(ApiSettings::default(), stopwatch).await;
    trained::fraud(&world);
    assert_eq!(world.post("/v1/fraud/scores", &score(1_200)).await.status, 200);
    world.engine.store().close().await;
    let refused = world.post("/v1/fraud/scores", &score(1_200)).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "database_unavailable"));
    assert!(!refused.text.contains("probability"));
}

/// A checkout of one of several buyers with the card, device and address of all of them.
fn checkout_of(buyer: u128, product: &str) -> Value {
    json!({
        "buyer": BuyerId::from_u128(buyer), "card": CardId::from_u128(0xc), "device": DeviceId::from_u128(0xd),
        "address": AddressId::from_u128(0xa), "region": "GB", "delivery_region": "GB", "payment_method": "card",
        "lines": [{ "product": product, "quantity": 1 }],
    })
}

pub async fn applied(world: &World) {
    let known = |status: &Value| status["lag_events"] == 0 && status["log_events"].as_u64() > Some(0);
    // What the last transaction wrote leaves the outbox first.
    for _ in 0..500 {
        if world.engine.store().outbox_waiting().await.unwrap() == 0 {
            world.until("/v1/status", known).await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the outbox is not emptied");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_share_a_card_are_seen_by_rules_told_on_the_case_and_learned_from_as_they_were_served() {
    let world = World::new().await;
    trained::fraud(&world);
    let cup = world.product("Cup", 1_200, 50).await;
    let ring = rule("ring", "features.link_ring_accounts >= 5.0", json!({ "do": "floor", "action": "review" }));
    publish(&world, json!([ring])).await;
    let mut made: Vec<Value> = Vec::new();
    for buyer in 1..=7 {
        world.clock.advance(600_000_000);
        let bought = world.post("/v1/checkouts", &checkout_of(buyer, &cup)).await;
        assert_eq!(bought.status, 201, "{bought:?}");
        made.push(bought.json());
        applied(&world).await;
        if buyer == 4 {
            // What was applied so far is saved; the next checkouts read what is restored of it and what came after.
            world.engine.checkpoint().unwrap();
        }
    }
    let actions: Vec<&str> = made.iter().map(|one| one["fraud"]["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["approve", "approve", "approve", "approve", "review", "review", "review"]);

    // What happens at this very instant is not seen yet.
    world.clock.advance(1);
    let path = format!("/v1/fraud/cases/{}", made[4]["fraud"]["decision"].as_str().unwrap());
    let links = world.get(path).await.json()["links"].clone();
    let count = |what: &str| links[what].as_array().unwrap().len();
    assert_eq!((count("accounts"), count("things")), (7, 3), "{links}");
    assert!(links["words"].as_str().unwrap().starts_with("7 accounts share 1 card, 1 device, 1 address"), "{links}");

    let (log, settings) = (world.engine.log(), world.engine.link_settings());
    let served = served_links(world.engine.store(), TenantId::default(), log.partition_count(), 100).await.unwrap();
    let parity = check_links(log, settings, &served).unwrap();
    assert_eq!((parity.vectors, parity.other_order, parity.difference_count), (7, 0, 0), "{parity:?}");

    let replay = Replay::new(log, &Offsets::start(log.partition_count()), &Offsets::ends(log).unwrap()).unwrap();
    let submitted = |event: &Event| matches!(event.fact, Fact::CheckoutSubmitted(_));
    let spine: Vec<Event> = replay.map(|record| record.unwrap().event).filter(submitted).collect();
    assert_eq!(spine.len(), 7);
    for (event, learned) in spine.iter().zip(link_rows(log, settings, &spine).unwrap()) {
        let Fact::CheckoutSubmitted(checkout) = &event.fact else { unreachable!() };
        let answer = made.iter().find(|one| one["id"] == json!(checkout.checkout)).unwrap();
        let path = format!("/v1/fraud/decisions/{}", answer["fraud"]["decision"].as_str().unwrap());
        let decision = world.get(path).await.json();
        let features = decision["decision"]["features"].as_array().unwrap();
        for (name, learned) in FEATURES.iter().zip(learned) {
            let served = features.iter().find(|feature| feature["name"] == **name).unwrap();
            assert_eq!(served["value"].as_f64(), Some(learned).filter(|value| value.is_finite()), "{name}");
        }
    }
}

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// The label of a checkout that was scored, as it comes from outside.
pub fn labelled(number: u128, checkout: &Value, at: Timestamp) -> Value {
    let fact = facts::FraudLabelled {
        buyer: buyer(),
        checkout: checkout.as_str().unwrap().parse().unwrap(),
        card: None,
        device: None,
        address: None,
        occurred_at: at - DAY_MICROS,
        amount_usd_minor: 1_000,
        fraud: true,
        source: "chargeback".to_owned(),
        kind: None,
    };
    let event =
        Event { id: EventId::from_u128(number), tenant: TenantId::default(), event_time: at, fact: fact.into() };
    cloudevents::to_json(&event)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_scores_every_checkout_decides_none_and_is_judged_once_labels_are_mature() {
    let world = World::new().await;
    assert_eq!(world.get("/v1/fraud/health?weeks=27").await.pointers(), ["/weeks"]);
    let nothing = world.get("/v1/fraud/health?weeks=1").await.json();
    assert_eq!((&nothing["model"], &nothing["weeks"][0]["decisions"]), (&Value::Null, &json!(0)));
    trained::fraud(&world);
    trained::no_fraud_model(&world);
    let alone = world.post("/v1/fraud/scores", &score(1_000)).await;
    assert_eq!(decision(&world, &alone).await["decision"]["answer"]["shadows"], json!([]));
    trained::fraud_challenger(&world);

    let mut dear = Vec::new();
    for number in 0..30 {
        world.clock.advance(HOUR_MICROS);
        let is_dear = number % 3 == 0;
        let cents = if is_dear { trained::DEAR_USD_MINOR * 2 } else { 1_000 + number };
        let scored = world.post("/v1/fraud/scores", &score(cents)).await;
        assert_eq!(scored.json()["action"], if is_dear { "decline" } else { "approve" }, "the champion decides");
        let shadows = decision(&world, &scored).await["decision"]["answer"]["shadows"].clone();
        assert_eq!((shadows.as_array().unwrap().len(), &shadows[0]["alias"]), (1, &json!("challenger")));
        let theirs = shadows[0]["probability"].as_f64().unwrap();
        assert_eq!(theirs < 0.5, is_dear, "the challenger sees it the other way round");
        if is_dear {
            dear.push(scored.json()["checkout"].clone());
        }
    }
    world.clock.advance(5 * DAY_MICROS);
    // One of the ten declined is never labelled: it tells nothing.
    let labels = dear.iter().skip(1).zip(1_u128..).map(|(one, number)| labelled(number, one, world.clock.now()));
    assert_eq!(world.post("/v1/events", &Value::from(labels.collect::<Vec<_>>())).await.status, 202);
    applied(&world).await;
    world.engine.checkpoint().unwrap();
    let young = world.get("/v1/fraud/health?weeks=4").await.json();
    assert_eq!((&young["contests"], &young["weeks"][3]["mature"]), (&json!([]), &json!(0)));

    world.clock.advance(14 * DAY_MICROS);
    let health = world.get("/v1/fraud/health?weeks=6").await.json();
    assert!(health["shadow_failures"][0].as_str().unwrap().starts_with("shadow: "), "{health}");
    let weeks = health["weeks"].as_array().unwrap();
    let sum = |what: &str| weeks.iter().map(|week| week[what].as_u64().unwrap()).sum::<u64>();
    let counts = ["decisions", "alerts", "declines", "labelled", "mature", "frauds"].map(sum);
    assert_eq!(counts, [31, 10, 10, 9, 30, 9], "{health}");
    let week = weeks.iter().find(|week| week["frauds"] != 0).unwrap();
    assert!(week["label_delay_hours_p50"].as_f64().unwrap() > 120.0, "{week}");
    assert!(week["quality"]["brier"].as_f64().unwrap() < 0.1 && week["score_shift"]["psi"].is_number(), "{week}");
    let contest = &health["contests"][0];
    assert_eq!(
        (&contest["alias"], &contest["mature"], &contest["frauds"]),
        (&json!("challenger"), &json!(29), &json!(9))
    );
    let of = |who: &str| contest[who]["average_precision"].as_f64().unwrap();
    assert!(of("champion") == 1.0 && of("challenger") < 0.5, "{contest}");
    assert!(contest["challenger"]["brier"].as_f64() > contest["champion"]["brier"].as_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_outlives_its_server_and_reads_as_interrupted_or_cancelled() {
    let world = World::new().await;
    let (version, finished) = try_rules(&world, json!([rule("one", "score > 0.5", decide("review"))])).await;
    let path = format!("/v1/fraud/backtests/{}", finished["id"]);
    let late = world.ask("DELETE", &path).send().await;
    assert_eq!((late.status, late.code().as_str()), (409, "conflict"), "it is finished");

    // What a server leaves that ends in the middle of one.
    let store = world.engine.store();
    let mut left = store.find_backtest(TenantId::default(), 1).await.unwrap().unwrap();
    (left.state, left.report) = (BacktestState::Running, None);
    (left.repeated, left.progressed_at) = (7, world.clock.now());
    let number = store.insert_backtest(&left).await.unwrap();
    let path = format!("/v1/fraud/backtests/{number}");
    let running = world.get(&path).await.json();
    assert_eq!((&running["state"], &running["repeated"]), (&json!("running"), &json!(7)));
    world.clock.advance(61_000_000);
    assert_eq!(world.get(&path).await.json()["state"], "interrupted");
    let body = json!({ "version": version, "backtest": number, "author": "ann" });
    assert_eq!(world.post("/v1/fraud/rules/publish", &body).await.code(), "conflict", "it has no report");
    assert_eq!(world.ask("DELETE", &path).send().await.json()["state"], "cancelled");
    assert_eq!(world.ask("DELETE", "/v1/fraud/backtests/99").send().await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_were_lost_are_built_anew_from_the_log_and_nothing_else_is_applied_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
    let open = async |checkpoint_records| {
        let settings = engine_settings(folder.path(), clock.clone(), Arc::new(SystemClock));
        let engine = Engine::open(EngineSettings { checkpoint_records, ..settings }).await.unwrap();
        while engine.lag().unwrap().1 > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        engine
    };
    let signed_in = |number: u128| {
        let (buyer, device) = (BuyerId::from_u128(1 + number % 6), DeviceId::from_u128(0xd));
        let fact = facts::AccountSignedIn { buyer, device, region: Region::new("GB").unwrap(), succeeded: true };
        Event {
            id: EventId::from_u128(number),
            tenant: TenantId::default(),
            event_time: clock.now(),
            fact: fact.into(),
        }
    };
    let query = LinkQuery {
        device: Some(DeviceId::from_u128(0xd)),
        ..LinkQuery::account(TenantId::default(), Account::Buyer(BuyerId::from_u128(99)))
    };
    let sharing = |engine: &Engine| engine.ring(&query).features.account_counts[1];

    let engine = open(1_000).await;
    engine.append((0..60).map(signed_in).collect()).await.unwrap();
    clock.advance(1);
    engine.stop().unwrap();
    drop(engine);
    let engine = open(1_000).await;
    assert_eq!(sharing(&engine), 7.0, "six accounts and the one that asks");
    engine.stop().unwrap();
    drop(engine);

    std::fs::remove_file(Folders::of(folder.path()).links).unwrap();
    // The links catch up alone, through checkpoints that lie before what features and lake hold.
    let engine = open(7).await;
    assert_eq!(sharing(&engine), 7.0);
    assert_eq!(engine.status(TenantId::default()).unwrap().applied_events, 0, "features and lake had them already");
    engine.append((60..70).map(signed_in).collect()).await.unwrap();
    engine.stop().unwrap();
    drop(engine);
    let engine = open(7).await;
    engine.checkpoint().unwrap();
    let lake = Lake::open(engine.lake().clone()).unwrap();
    let session = SqlSession::open(&lake, &TenantId::default(), QueryBounds::default()).unwrap();
    let rows = session.query("SELECT count(*) AS rows FROM account_signed_in").await.unwrap();
    assert_eq!(dhow_offline::integers(&rows, "rows").unwrap(), [70]);
    engine.stop().unwrap();
}
