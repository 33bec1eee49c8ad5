//! Models that follow what comes: each event once, and through restarts; planners' questions about prices and promotions.

use std::sync::Arc;

use dhow_engine::{DeliveryAsk, DeliveryTime, Engine, Folders, ForecastAsk, Parcel, SeriesKey, Stage};
use dhow_events::*;
use dhow_forecast::Member;
use dhow_registry::{Alias, Task};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fraud::applied;
use crate::trained;
use crate::world::{START, World, engine_settings};

/// A platform that is opened again and again.
struct Restarted {
    folder: TempDir,
    clock: Arc<ManualClock>,
}

impl Restarted {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::new(START.parse().unwrap())) }
    }

    async fn open(&self) -> Arc<Engine> {
        let settings = engine_settings(self.folder.path(), self.clock.clone(), Arc::new(SystemClock));
        let engine = Engine::open(settings).await.unwrap();
        caught_up(&engine).await;
        engine
    }
}

async fn caught_up(engine: &Engine) {
    while engine.lag().unwrap().1 > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn event(number: u128, event_time: Timestamp, fact: impl Into<Fact>) -> Event {
    Event { id: EventId::from_u128(number), tenant: TenantId::default(), event_time, fact: fact.into() }
}

const CUP: ProductId = ProductId::from_u128(1);

fn member() -> Member {
    Member { category: Category::new("home/kitchen").ok(), seller: Some(SellerId::from_u128(7)) }
}

fn ordered(number: u128, at: Timestamp, quantity: i64) -> Event {
    let fact = facts::ItemOrdered {
        product: CUP,
        order: OrderId::from_u128(number),
        checkout: CheckoutId::from_u128(number),
        buyer: BuyerId::from_u128(number % 5 + 1),
        seller: member().seller.unwrap(),
        category: member().category.unwrap(),
        region: Region::new("GB").unwrap(),
        quantity,
        unit_price: Money::usd(1_000),
        amount_usd_minor: 1_000 * quantity,
    };
    event(number, at, fact)
}

#[tokio::test(flavor = "multi_thread")]
async fn forecasts_follow_each_sale_once_and_answer_alike_after_a_restart() {
    let platform = Restarted::new();
    let (now, engine) = (platform.clock.now(), platform.open().await);
    // The history ends twenty days ago; since then three times as much has sold.
    let model = trained::market_model(&[(CUP, member(), 4.0)], now.day() - 120);
    put_forecast_in_force(&engine, now, &model.to_bytes().unwrap());
    let day = |back: i64| now - back * DAY_MICROS;
    let mut told = vec![ordered(1, day(30), 2)];
    told.extend((0..20_u128).flat_map(|at| {
        let at_day = day(20 - at as i64);
        [ordered(100 + at, at_day, 10), ordered(100 + at, at_day, 10), ordered(200 + at, at_day, 8)]
    }));
    engine.append(told).await.unwrap();
    engine.append(vec![ordered(105, day(15), 10), ordered(400, now + 40 * DAY_MICROS, 9)]).await.unwrap();
    caught_up(&engine).await;
    let before = answers(&engine).await;
    // The last day is not over, what was told twice counts once, and a sale of next month closes nothing.
    assert_eq!((before.1.days, before.1.demand), (19, 19.0 * 18.0), "{before:?}");
    engine.stop().unwrap();
    drop(engine);

    let engine = platform.open().await;
    assert_eq!(answers(&engine).await, before);
    engine.append(vec![ordered(105, day(15), 10), ordered(500, now, 18)]).await.unwrap();
    // A late sale counts on its day.
    engine.append(vec![ordered(501, day(10), 5)]).await.unwrap();
    caught_up(&engine).await;
    assert_eq!(answers(&engine).await.1.demand, 20.0 * 18.0 + 5.0);
    engine.stop().unwrap();
}

fn put_forecast_in_force(engine: &Engine, now: Timestamp, artifact: &[u8]) {
    trained::put_in_force(engine, now, Task::Forecast, Alias::Champion, artifact);
}

/// The cup's forecast and how it did.
async fn answers(engine: &Engine) -> (Vec<dhow_engine::ForecastDay>, dhow_engine::Accuracy) {
    let ask = ForecastAsk { product: CUP, region: None, horizon_days: 60, quantiles: vec![0.1, 0.5, 0.9] };
    let days = engine.forecast(TenantId::default(), ask).await.unwrap().value;
    let told = engine.forecast_accuracy(TenantId::default(), &SeriesKey::product(CUP, None)).unwrap();
    (days, told.since)
}

/// The events of a parcel to Kenya that takes so many hours from its dispatch, a day after the order.
fn parcel_events(number: u128, ordered_at: Timestamp, hours: i64) -> Vec<Event> {
    let (order, shipment) = (OrderId::from_u128(number), ShipmentId::from_u128(number));
    let (seller, carrier) = (SellerId::from_u128(1), CarrierId::from_u128(1));
    let (origin, destination) = (Region::new("GB").unwrap(), Region::new("KE").unwrap());
    let (left, arrived) = (ordered_at + DAY_MICROS, ordered_at + DAY_MICROS + hours * HOUR_MICROS);
    let placed = facts::OrderPlaced {
        buyer: BuyerId::from_u128(number),
        order,
        checkout: CheckoutId::from_u128(number),
        seller,
        region: destination,
        line_count: 1,
        quantity: 1,
        total: Money::usd(1_000),
        total_usd_minor: 1_000,
    };
    let (latitude, longitude, promised_at) = (-1.3, 36.8, arrived);
    let dispatched = facts::ShipmentDispatched {
        order,
        shipment,
        seller,
        carrier,
        origin,
        destination,
        latitude,
        longitude,
        weight_grams: 500,
        promised_at,
    };
    let transit_minutes = hours * 60;
    let delivered = facts::ShipmentDelivered {
        order,
        shipment,
        seller,
        carrier,
        origin,
        destination,
        transit_minutes,
        late: false,
    };
    vec![
        event(3 * number, ordered_at, placed),
        event(3 * number + 1, left, dispatched),
        event(3 * number + 2, arrived, delivered),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_times_follow_parcels_once_and_answer_alike_after_a_restart() {
    let platform = Restarted::new();
    let (now, engine) = (platform.clock.now(), platform.open().await);
    trained::put_in_force(&engine, now, Task::Delivery, Alias::Champion, &trained::delivery_model());
    let learned = both_stages(&engine).await;
    // Parcels that left two days took now take six; each is told twice.
    let told: Vec<Event> =
        (0..400_u128).flat_map(|at| parcel_events(at + 1, now + at as i64 * HOUR_MICROS, 144)).collect();
    engine.append(told.clone()).await.unwrap();
    caught_up(&engine).await;
    let before = both_stages(&engine).await;
    for (learned, followed) in learned.iter().zip(&before) {
        assert!(followed.minutes[1] > 1.5 * learned.minutes[1], "{learned:?} {followed:?}");
    }
    engine.append(told[..600].to_vec()).await.unwrap();
    caught_up(&engine).await;
    assert_eq!(both_stages(&engine).await, before, "what is told again changes nothing");
    engine.reload_models(TenantId::default()).unwrap();
    assert_eq!(both_stages(&engine).await, before, "nor does reading the same model again");
    engine.stop().unwrap();
    drop(engine);

    let engine = platform.open().await;
    assert_eq!(both_stages(&engine).await, before);
    // A model that comes into force later takes in what arrived since its training data ended.
    trained::put_in_force(&engine, now, Task::Delivery, Alias::Champion, &trained::delivery_model());
    assert_eq!(both_stages(&engine).await, before);
    engine.stop().unwrap();
    drop(engine);

    // What was lost is built anew from the log.
    std::fs::remove_file(Folders::of(platform.folder.path()).deliveries).unwrap();
    let engine = platform.open().await;
    for (anew, followed) in both_stages(&engine).await.iter().zip(&before) {
        assert!((anew.minutes[1] / followed.minutes[1] - 1.0).abs() < 0.02, "{anew:?} {followed:?}");
    }
    engine.stop().unwrap();
}

async fn both_stages(engine: &Engine) -> [DeliveryTime; 2] {
    let parcel = Parcel {
        seller: SellerId::from_u128(1),
        carrier: Some(CarrierId::from_u128(1)),
        origin: Region::new("GB").unwrap(),
        destination: Region::new("KE").unwrap(),
        latitude: -1.3,
        longitude: 36.8,
        weight_grams: 500,
        at: START.parse().unwrap(),
    };
    let ask = |stage| DeliveryAsk { stage, parcel, order: None, shipment: None, costs: None };
    let told = async |stage| engine.delivery_time(TenantId::default(), &ask(stage)).await.unwrap().value;
    [told(Stage::Ordered).await, told(Stage::Dispatched).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn planners_learn_how_demand_answers_to_price_and_promotion_and_what_another_price_would_do() {
    let world = World::new().await;
    let mut products = Vec::new();
    for title in ["Cup", "Pot", "Pan"] {
        products.push(world.product(title, 1_000, 10).await.parse::<ProductId>().unwrap());
    }
    applied(&world).await;
    let sold = [(products[0], member(), 4.0), (products[1], member(), 9.0)];
    let asked = json!({ "product": products[0], "horizon": 20, "unit_cost": { "amount": "600", "currency": "USD" } });
    assert_eq!(world.post("/v1/forecasts/what-if", &asked).await.status, 503, "no model is in force");
    trained::market(&world, &sold);
    assert_eq!(world.post("/v1/forecasts/what-if", &asked).await.code(), "conflict", "it has no effects");
    trained::market_with_effects(&world, &sold);
    let told = world.get(format!("/v1/forecasts/{}/elasticity", products[0])).await.json();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{told}"));
    let elasticity = &told["price"]["elasticity"];
    assert!(number(&elasticity["low"]) < number(&elasticity["value"]) && number(&elasticity["high"]) < 0.0, "{told}");
    assert!((number(&elasticity["value"]) + 2.0).abs() < 0.3 && told["price"]["price_count"] == 2, "{told}");
    assert!((number(&told["promotion"]["uplift_of_a_fifth"]["value"]) - 2.0).abs() < 0.3, "{told}");
    let still = world.get(format!("/v1/forecasts/{}/elasticity", products[1])).await;
    assert!(still.code() == "conflict" && still.text.contains("never moved"), "{still:?}");
    assert_eq!(world.get(format!("/v1/forecasts/{}/elasticity", products[2])).await.status, 404);

    let with = |change: Value| {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        asked
    };
    let ask = async |change: Value| world.post("/v1/forecasts/what-if", &with(change)).await.json();
    let cents = |value: &Value| value["amount"].as_str().unwrap_or_else(|| panic!("{value}")).parse::<f64>().unwrap();
    let plain = ask(json!({})).await;
    assert_eq!((&plain["plain"], &plain["price"]), (&plain["other"], &Value::Null));
    let expected = world.get(format!("/v1/forecasts/{}?horizon=20", products[0])).await.json();
    let expected: f64 = expected["days"].as_array().unwrap().iter().map(|day| number(&day["expected"])).sum();
    assert!((number(&plain["plain"]["demand"]["mean"]) / expected - 1.0).abs() < 1e-6, "{plain}");
    let margin = |part: &Value| cents(&part["margin"]["mean"]);
    assert!((margin(&plain["plain"]) / cents(&plain["plain"]["revenue"]["mean"]) - 0.4).abs() < 1e-3, "{plain}");
    let price = |amount: i64| json!({ "price": { "amount": amount.to_string(), "currency": "USD" } });
    let dearer = ask(price(1_100)).await;
    let ratio = number(&dearer["other"]["demand"]["mean"]) / number(&dearer["plain"]["demand"]["mean"]);
    assert!((ratio - 1.1_f64.powi(-2)).abs() < 0.05, "{dearer}");
    assert!(number(&dearer["change"]["demand"]["high"]) < 0.0 && dearer["extrapolated"][0].is_string(), "{dearer}");
    let promoted = ask(json!({ "promotion": { "discount": 0.2, "after_days": 5, "days": 10 } })).await;
    let ratio = number(&promoted["other"]["demand"]["mean"]) / number(&promoted["plain"]["demand"]["mean"]);
    assert!((1.35..1.65).contains(&ratio) && promoted["promotion"]["scope"] == "product", "{promoted}");
    let scarce = ask(json!({ "stock": 10.0 })).await;
    assert!(number(&scarce["other"]["sales"]["high"]) <= 10.0 + 1e-9, "{scarce}");

    let refused = async |change: Value| world.post("/v1/forecasts/what-if", &with(change)).await.pointers();
    assert_eq!(refused(price(2_500)).await, ["/price"]);
    assert_eq!(refused(price(0)).await, ["/price/amount"]);
    assert_eq!(refused(json!({ "promotion": { "discount": 0.95 } })).await, ["/promotion/discount"]);
    assert_eq!(refused(json!({ "promotion": { "discount": 0.1, "days": 21 } })).await, ["/promotion/days"]);
    assert_eq!(refused(json!({ "stock": -1.0 })).await, ["/stock"]);
    assert_eq!(refused(json!({ "horizon": 91 })).await, ["/horizon"]);
    let still = json!({ "product": products[1], "price": { "amount": "900", "currency": "USD" } });
    assert_eq!(world.post("/v1/forecasts/what-if", &still).await.code(), "conflict");
    let stocked = json!({ "product": products[1], "stock": 50.0 });
    assert_eq!(world.post("/v1/forecasts/what-if", &stocked).await.status, 200);
    let unknown = json!({ "product": ProductId::from_u128(99) });
    assert_eq!(world.post("/v1/forecasts/what-if", &unknown).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_held_against_the_same_weekdays_around_it() {
    let world = World::new().await;
    let now = world.clock.now();
    // Sixty days, the last of which is not over; three of them, twenty days ago, sold half as much again.
    let units = |back: i64| if (20..23).contains(&back) { 15 + back % 2 } else { 10 + back % 2 };
    let sold = |back: i64| ordered(back as u128, now - back * DAY_MICROS, units(back));
    world.engine.append((0..60).map(sold).collect()).await.unwrap();
    applied(&world).await;
    world.engine.checkpoint().unwrap();
    let day = |back: i64| (now - back * DAY_MICROS).to_string()[..10].to_owned();
    let path = format!("/v1/forecasts/uplift?first_day={}&last_day={}", day(22), day(20));
    let told = world.get(&path).await.json();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{told}"));
    assert_eq!(number(&told["units"]), 46.0, "{told}");
    let ratio = |bound: &str| number(&told["ratio"][bound]);
    assert!(ratio("low") < ratio("value") && ratio("low") > 1.2 && (1.35..1.6).contains(&ratio("value")), "{told}");
    let of_category = world.get(format!("{path}&category=home&region=GB")).await.json();
    assert_eq!(of_category, told, "all that sold is of the category and of the region");
    assert_eq!(world.get(format!("{path}&category=toys")).await.code(), "conflict");
    let wrong = world.get("/v1/forecasts/uplift?first_day=2026-02-30").await;
    assert_eq!(wrong.pointers(), ["/first_day"], "{wrong:?}");
    let backwards = format!("/v1/forecasts/uplift?first_day={}&last_day={}", day(20), day(22));
    assert_eq!(world.get(backwards).await.pointers(), ["/last_day"]);
}
