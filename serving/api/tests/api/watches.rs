//! Saved searches and price alerts: over HTTP, and over the whole history of drawn catalogues beside a naive matcher, through restarts, replays, duplicates and a second server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use dhow_commerce::*;
use dhow_engine::{Engine, EngineSettings, Folders};
use dhow_events::*;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fraud::applied;
use crate::world::{START, World, buyer, engine_settings, product};

async fn told(world: &World, kind: &str, count: usize) -> Vec<Value> {
    applied(world).await;
    let path = format!("/v1/events?type={kind}");
    let page = world.until(&path, |page| page["items"].as_array().map(Vec::len) >= Some(count)).await;
    page["items"].as_array().unwrap().iter().map(|item| item["event"]["data"].clone()).collect()
}

/// Changes a product, and waits until the stream has it.
async fn change(world: &World, id: &str, title: &str, cents: i64) {
    let path = format!("/v1/products/{id}");
    let tag = world.get(&path).await.header("etag").to_owned();
    let changed = world.ask("PUT", path).header("if-match", &tag).json(&product(title, cents)).send().await;
    assert_eq!(changed.status, 200, "{changed:?}");
    applied(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_search_tells_of_a_product_that_comes_or_changes_once_and_its_bounds_are_named() {
    let world = World::new().await;
    let there = world.product("Copper pan", 9_000, 5).await;
    applied(&world).await;
    world.clock.advance(1);
    let input = json!({ "buyer": buyer(), "name": "Pans", "q": "pans copper", "filters": { "price_max": 5_000 } });
    let save = |key: &str| world.ask("POST", "/v1/saved-searches").header("idempotency-key", key).json(&input);
    let saved = save("s1").send().await;
    assert_eq!(saved.status, 201, "{saved:?}");
    let again = save("s1").send().await;
    assert_eq!((again.header("idempotency-replayed"), again.json()), ("true", saved.json()));
    let path = format!("/v1/saved-searches/{}", saved.json()["id"].as_str().unwrap());
    assert_eq!(world.get(&path).await.json(), saved.json());

    // What was there is no news until it changes so that it answers; what does not answer is none.
    let dear = world.product("Copper pans, a set", 5_001, 5).await;
    let new = world.product("PAN of copper", 4_000, 5).await;
    world.product("Iron pan", 4_000, 5).await;
    let first = told(&world, "saved_search_matched", 1).await;
    assert_eq!(first.len(), 1, "{first:?}");
    assert_eq!((&first[0]["product"], &first[0]["buyer"]), (&json!(new), &json!(buyer())), "{first:?}");
    for cents in [4_500, 9_000, 4_500] {
        change(&world, &there, "Copper pan", cents).await;
    }
    let second = told(&world, "saved_search_matched", 2).await;
    let products: Vec<&Value> = second.iter().map(|event| &event["product"]).collect();
    assert_eq!(products, [&json!(new), &json!(there)], "not {dear}");
    world.until(&path, |search| search["product_count"] == json!(2)).await;
    let list = world.get(format!("/v1/saved-searches?buyer={}", buyer())).await.json();
    assert_eq!((list["items"].as_array().map(Vec::len), &list["items"][0]["id"]), (Some(1), &saved.json()["id"]));

    let wrong = json!({ "buyer": buyer(), "q": "…", "filters": { "price_min": 2, "price_max": 1 } });
    let wrong = world.post("/v1/saved-searches", &wrong).await;
    assert_eq!((wrong.status, wrong.pointers()), (422, vec!["/q".to_owned(), "/filters/price_min".to_owned()]));
    assert_eq!(world.post("/v1/saved-searches", &json!({ "buyer": buyer() })).await.pointers(), ["/q"]);
    for number in 1..SAVED_SEARCHES_PER_BUYER_MAX {
        let made = world.post("/v1/saved-searches", &json!({ "buyer": buyer(), "q": format!("lamp {number}") })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }
    let full = world.post("/v1/saved-searches", &json!({ "buyer": buyer(), "q": "one more" })).await;
    assert_eq!((full.status, full.code().as_str()), (409, "watch_bound"), "{full:?}");
    let other = json!({ "buyer": BuyerId::from_u128(77), "q": "one more" });
    assert_eq!(world.post("/v1/saved-searches", &other).await.status, 201);
    assert_eq!(world.ask("DELETE", &path).send().await.status, 204);
    assert_eq!(world.ask("DELETE", &path).send().await.status, 404);
    assert_eq!(world.post("/v1/saved-searches", &json!({ "buyer": buyer(), "q": "one more" })).await.status, 201);
    // Whoever removed it hears no more.
    world.product("Another copper pan", 100, 5).await;
    applied(&world).await;
    assert_eq!(told(&world, "saved_search_matched", 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_alert_is_told_of_once_when_the_price_falls_below_in_its_currency() {
    let world = World::new().await;
    let pan = world.product("Pan", 5_000, 5).await;
    applied(&world).await;
    world.clock.advance(1);
    let alert = |below: Value| json!({ "buyer": buyer(), "product": pan, "below": below });
    let in_dollars = world.post("/v1/price-alerts", &alert(json!({ "amount": "4000", "currency": "USD" }))).await;
    assert_eq!(in_dollars.status, 201, "{in_dollars:?}");
    // 0.8 pounds are a dollar: 28 pounds are 35 dollars.
    let in_pounds = world.post("/v1/price-alerts", &alert(json!({ "amount": "2800", "currency": "GBP" }))).await;
    assert_eq!(in_pounds.json()["below_usd_minor"], json!(3_500), "{in_pounds:?}");
    let nothing = world.post("/v1/price-alerts", &alert(json!({ "amount": "0", "currency": "USD" }))).await;
    assert_eq!((nothing.status, nothing.pointers()), (422, vec!["/below/amount".to_owned()]));
    let unknown = json!({
        "buyer": buyer(), "product": ProductId::from_u128(9), "below": { "amount": "1", "currency": "USD" },
    });
    assert_eq!(world.post("/v1/price-alerts", &unknown).await.pointers(), ["/product"]);

    for cents in [4_000, 3_999, 4_500, 3_500, 3_499, 3_600, 3_000] {
        change(&world, &pan, "Pan", cents).await;
    }
    let told = told(&world, "price_alert_triggered", 2).await;
    let found: Vec<(&Value, &Value)> = told.iter().map(|event| (&event["alert"], &event["price"]["amount"])).collect();
    let (dollars, pounds) = (&in_dollars.json()["id"], &in_pounds.json()["id"]);
    assert_eq!(found, [(dollars, &json!("3999")), (pounds, &json!("3499"))], "{told:?}");
    let list = world.get("/v1/price-alerts").await.json();
    assert!(list["items"].as_array().unwrap().iter().all(|alert| !alert["triggered_at"].is_null()), "{list}");
    let path = format!("/v1/price-alerts/{}", dollars.as_str().unwrap());
    let read = world.get(&path).await.json();
    assert!(list["items"].as_array().unwrap().contains(&read), "{read}");
    assert_eq!(world.ask("DELETE", &path).send().await.status, 204);
    assert_eq!(world.get(&path).await.code(), "not_found");
}

const WORDS: [&str; 6] = ["red", "blue", "mug", "lamp", "table", "chair"];
const CATEGORIES: [&str; 3] = ["home", "home/kitchen", "toys"];

/// Numbers by a seed.
struct Draw(IdSource);

impl Draw {
    fn below(&self, bound: u64) -> u64 {
        (self.0.random() % u128::from(bound)) as u64
    }

    fn words(&self, count: u64) -> String {
        (0..count).map(|_| WORDS[self.below(6) as usize]).collect::<Vec<_>>().join(" ")
    }
}

/// What a product is, told the plain way.
#[derive(Debug, Clone)]
struct Plain {
    words: BTreeSet<String>,
    category: String,
    cents: i64,
    offered: bool,
    on_hand: Option<i64>,
}

fn answers(product: Option<&Plain>, input: &SavedSearchInput) -> bool {
    product.is_some_and(|product| {
        let filters = &input.filters;
        let below = |path: &String| product.category == *path || product.category.starts_with(&format!("{path}/"));
        product.offered
            && input.q.split(' ').all(|word| product.words.contains(word))
            && (filters.categories.is_empty() || filters.categories.iter().any(below))
            && filters.price_max.is_none_or(|most| product.cents <= most)
            && (!filters.available || product.on_hand != Some(0))
    })
}

fn is_below(product: Option<&Plain>, cents: i64) -> bool {
    product.is_some_and(|product| product.offered && product.cents < cents)
}

/// A drawn marketplace: what happens to products, who waits for what, and what is to be told by a look at all of it.
struct Market {
    draw: Draw,
    products: BTreeMap<ProductId, Plain>,
    told: Vec<Event>,
    searches: Vec<(SavedSearch, BTreeSet<ProductId>)>,
    alerts: Vec<(PriceAlert, bool)>,
    expected: BTreeSet<(String, ProductId)>,
}

impl Market {
    fn new(seed: u8) -> Self {
        Self {
            draw: Draw(IdSource::new([seed; 32])),
            products: BTreeMap::new(),
            told: Vec::new(),
            searches: Vec::new(),
            alerts: Vec::new(),
            expected: BTreeSet::new(),
        }
    }

    /// Something happens to a product.
    fn event(&mut self, at: Timestamp) -> Event {
        let product = ProductId::from_u128(1 + u128::from(self.draw.below(6)));
        let cents = 1_000 + 100 * self.draw.below(20) as i64;
        let known = self.products.get(&product).cloned();
        let (fact, plain): (Fact, Plain) = match (known, self.draw.below(6)) {
            (Some(known), 0 | 1) => {
                let fact = facts::ProductPriceChanged { product, price: Money::usd(cents), price_usd_minor: cents };
                (fact.into(), Plain { cents, ..known })
            }
            (Some(known), 2) => (facts::ProductDelisted { product }.into(), Plain { offered: false, ..known }),
            (Some(known), 3) => {
                let on_hand = 3 * self.draw.below(2) as i64;
                let fact = facts::StockChanged { product, quantity_change: 1, on_hand };
                (fact.into(), Plain { on_hand: Some(on_hand), ..known })
            }
            (known, _) => {
                let (count, description) = (1 + self.draw.below(3), self.draw.words(1));
                let (title, category) = (self.draw.words(count), CATEGORIES[self.draw.below(3) as usize]);
                let fact = facts::ProductListed {
                    product,
                    seller: SellerId::from_u128(1),
                    category: Category::new(category).unwrap(),
                    title: title.clone(),
                    description: description.clone(),
                    price: Money::usd(cents),
                    price_usd_minor: cents,
                    region: Region::new("GB").unwrap(),
                    weight_grams: 1,
                    reference: String::new(),
                    sale_regions: None,
                };
                let parts = title.split(' ').chain([description.as_str()]).chain(category.split('/'));
                let words = parts.map(str::to_owned).collect();
                let on_hand = known.and_then(|known| known.on_hand);
                (fact.into(), Plain { words, category: category.to_owned(), cents, offered: true, on_hand })
            }
        };
        self.change(product, plain);
        let id = EventId::from_u128(1_000 + self.told.len() as u128);
        let event = Event { id, tenant: TenantId::default(), event_time: at, fact };
        self.told.push(event.clone());
        event
    }

    /// What is to be told: a search tells of a product that did not answer when it was saved and that answers later.
    fn change(&mut self, product: ProductId, now: Plain) {
        for (search, excluded) in &self.searches {
            if answers(Some(&now), &search.input) && !excluded.contains(&product) {
                self.expected.insert((search.id.to_string(), product));
            }
        }
        let before = self.products.insert(product, now.clone());
        for (alert, done) in self.alerts.iter_mut().filter(|(alert, _)| alert.input.product == product) {
            let cents = alert.input.below.amount_minor;
            if !*done && is_below(Some(&now), cents) && !is_below(before.as_ref(), cents) {
                *done = self.expected.insert((alert.id.to_string(), product));
            }
        }
    }

    async fn wait_for_something(&mut self, engine: &Engine) {
        let buyer = BuyerId::from_u128(1);
        if self.draw.below(2) == 0 {
            let count = 1 + self.draw.below(2);
            let filters = SavedFilters {
                categories: (self.draw.below(3) == 0).then(|| "home".to_owned()).into_iter().collect(),
                price_max: (self.draw.below(2) == 0).then_some(2_000),
                available: self.draw.below(3) == 0,
                ..SavedFilters::default()
            };
            let input = SavedSearchInput { buyer, name: String::new(), q: self.draw.words(count), filters };
            let saved = engine.save_search(TenantId::default(), &input, None).await.unwrap().value;
            let there = self.products.iter().filter(|(_, plain)| answers(Some(plain), &input));
            let excluded = there.map(|(product, _)| *product).collect();
            self.searches.push((saved, excluded));
            return;
        }
        let known: Vec<ProductId> = self.products.keys().copied().collect();
        let Some(product) = known.get(self.draw.below(6) as usize) else { return };
        let below = Money::usd(1_000 + 100 * self.draw.below(20) as i64);
        let input = PriceAlertInput { buyer, product: *product, below };
        let made = engine.make_price_alert(TenantId::default(), &input, None).await.unwrap().value;
        self.alerts.push((made, false));
    }
}

async fn open(folder: &Path, database: &Path, clock: &Arc<ManualClock>) -> Arc<Engine> {
    let database_url = dhow_store::sqlite_url(&Folders::of(database).database);
    let settings = EngineSettings { database_url, ..engine_settings(folder, clock.clone(), Arc::new(SystemClock)) };
    let engine = Engine::open(settings).await.unwrap();
    caught_up(&engine).await;
    engine
}

async fn caught_up(engine: &Engine) {
    while engine.lag().unwrap().1 > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

/// What was told, each as often as it was.
async fn notices(engine: &Engine) -> Vec<(String, ProductId)> {
    let records = engine.store().outbox_take(OUTBOX_BATCH_MAX).await.unwrap();
    let mut found: Vec<_> = records
        .into_iter()
        .filter_map(|record| match record.event.fact {
            Fact::SavedSearchMatched(told) => Some((told.search.to_string(), told.product)),
            Fact::PriceAlertTriggered(told) => Some((told.alert.to_string(), told.product)),
            _ => None,
        })
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_is_what_a_look_at_the_whole_history_tells_through_restarts_replays_and_duplicates() {
    for seed in 1..5 {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
        let mut engine = open(folder.path(), folder.path(), &clock).await;
        let mut market = Market::new(seed);
        for _ in 0..12 {
            for _ in 0..1 + market.draw.below(3) {
                market.wait_for_something(&engine).await;
                clock.advance(SECOND_MICROS);
            }
            let events: Vec<Event> = (0..1 + market.draw.below(8))
                .map(|_| {
                    clock.advance(SECOND_MICROS);
                    market.event(clock.now())
                })
                .collect();
            engine.append(events).await.unwrap();
            // Some of what was told is told again, late.
            let again = market.draw.below(market.told.len() as u64) as usize;
            engine.append(market.told[again..].iter().take(3).cloned().collect()).await.unwrap();
            caught_up(&engine).await;
            clock.advance(SECOND_MICROS);
            match market.draw.below(3) {
                0 => engine.checkpoint().unwrap(),
                1 => {
                    engine.stop().unwrap();
                    drop(engine);
                    engine = open(folder.path(), folder.path(), &clock).await;
                }
                _ => {}
            }
        }
        engine.checkpoint().unwrap();
        let expected: Vec<_> = market.expected.iter().cloned().collect();
        assert!(expected.len() > 10, "{expected:?}");
        assert_eq!(notices(&engine).await, expected, "seed {seed}");
        engine.stop().unwrap();
        drop(engine);

        // Features and lake are lost, and the whole log is applied again.
        std::fs::remove_dir_all(Folders::of(folder.path()).snapshot).unwrap();
        std::fs::remove_dir_all(Folders::of(folder.path()).lake).unwrap();
        let engine = open(folder.path(), folder.path(), &clock).await;
        engine.checkpoint().unwrap();
        assert_eq!(notices(&engine).await, expected, "seed {seed}, after a replay");
        engine.stop().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_that_follow_the_same_events_tell_of_each_product_once() {
    let (one, two) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let clock = Arc::new(ManualClock::new(START.parse().unwrap()));
    let mut servers = Vec::new();
    for folder in [&one, &two] {
        servers.push(open(folder.path(), one.path(), &clock).await);
    }
    let mut market = Market::new(9);
    for _ in 0..10 {
        for _ in 0..2 {
            market.wait_for_something(&servers[0]).await;
            clock.advance(SECOND_MICROS);
        }
        let events: Vec<Event> = (0..10).map(|_| market.event(clock.now())).collect();
        let (first, second) = tokio::join!(servers[0].append(events.clone()), servers[1].append(events));
        first.and(second).unwrap();
        for server in &servers {
            caught_up(server).await;
        }
        let checkpoints =
            servers.iter().cloned().map(|server| tokio::task::spawn_blocking(move || server.checkpoint()));
        for done in checkpoints.collect::<Vec<_>>() {
            done.await.unwrap().unwrap();
        }
        clock.advance(SECOND_MICROS);
    }
    let expected: Vec<_> = market.expected.iter().cloned().collect();
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(notices(&servers[0]).await, expected);
    for server in servers {
        server.stop().unwrap();
    }
}
