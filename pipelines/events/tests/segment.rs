//! Calls of Segment's libraries become the facts that its specification means; how they come in is tested with the server.

use dhow_events::segment::{Intake, REGION_UNKNOWN, from_call};
use dhow_events::*;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A rate of two dollars for any other unit.
fn usd_minor(amount: Money) -> Result<i64, String> {
    match amount.currency {
        Currency::USD => Ok(amount.amount_minor),
        other if other.code() == "EUR" => Ok(2 * amount.amount_minor),
        other => Err(format!("there is no rate for {other}")),
    }
}

fn read_at(call: &Json, sent_at: Option<Timestamp>) -> Result<Vec<Event>, EventProblem> {
    from_call(call, &Intake { tenant: TenantId::default(), now: now(), sent_at, usd_minor: &usd_minor })
}

fn read(call: &Json) -> Result<Vec<Event>, EventProblem> {
    read_at(call, None)
}

/// A track call as the Python library writes it.
fn track(event: &str, properties: Json) -> Json {
    json!({
        "type": "track", "event": event, "messageId": "m-1", "timestamp": "2026-03-01T11:59:00+00:00", "integrations": {},
        "userId": "u-7", "context": { "library": { "name": "analytics-python", "version": "2.3.3" } }, "properties": properties,
    })
}

fn order() -> Json {
    track(
        "Order Completed",
        json!({
            "order_id": 50314, "affiliation": "Google Store", "total": 27.5, "shipping": 3, "currency": "EUR",
            "products": [
                { "product_id": "507f1f77", "sku": "45790-32", "name": "Monopoly", "price": 19, "quantity": 1, "category": "Games > Board Games" },
                { "product_id": 505, "price": "2.75", "quantity": 2 },
            ],
        }),
    )
}

#[test]
fn an_order_of_the_specification_is_an_order_with_its_lines_and_the_same_each_time() {
    let events = read(&order()).unwrap();
    assert_eq!(events, read(&order()).unwrap());
    let [placed, first, second] = &events[..] else { panic!("{events:?}") };
    let Fact::OrderPlaced(placed) = &placed.fact else { panic!("{placed:?}") };
    let (Fact::ItemOrdered(first), Fact::ItemOrdered(second)) = (&first.fact, &second.fact) else {
        panic!("{events:?}")
    };
    let tenant = TenantId::default();
    assert_eq!(placed.order, OrderId::from_reference(&tenant, "50314"));
    assert_eq!(placed.buyer, BuyerId::from_reference(&tenant, "u-7"));
    assert_eq!(placed.seller, SellerId::from_reference(&tenant, "Google Store"));
    assert_eq!((placed.total.to_string().as_str(), placed.total_usd_minor), ("27.50 EUR", 5500));
    assert_eq!((placed.line_count, placed.quantity, placed.region.as_str()), (2, 3, REGION_UNKNOWN));
    assert_eq!((first.category.as_str(), first.unit_price.amount_minor), ("games/board-games", 1900));
    assert_eq!((second.product, second.quantity), (ProductId::from_reference(&tenant, "505"), 2));
    assert_eq!((second.unit_price.amount_minor, second.amount_usd_minor), (275, 1100));
    let ids: std::collections::BTreeSet<EventId> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), 3, "each has an id of its own");
}

#[test]
fn an_order_with_several_sellers_is_one_order_for_each() {
    let mut call = order();
    call["properties"]["products"][0]["seller_id"] = json!("one");
    call["properties"]["products"][1]["seller_id"] = json!("two");
    let totals: Vec<i64> = read(&call)
        .unwrap()
        .into_iter()
        .filter_map(|event| match event.fact {
            Fact::OrderPlaced(placed) => Some(placed.total.amount_minor),
            _ => None,
        })
        .collect();
    assert_eq!(totals.iter().sum::<i64>(), 1900 + 550, "the products alone: nobody says whose the shipping is");
    assert_eq!(totals.len(), 2);
}

#[test]
fn a_visit_is_the_session_that_is_named_or_the_persons_day() {
    let viewed = |change: &dyn Fn(&mut Json)| {
        let mut call = track("Product Viewed", json!({ "product_id": "p" }));
        change(&mut call);
        match read(&call).unwrap().remove(0).fact {
            Fact::ProductViewed(viewed) => viewed,
            other => panic!("{other:?}"),
        }
    };
    let plain = viewed(&|_| {});
    let later = viewed(&|call| call["timestamp"] = json!("2026-03-01T00:00:01Z"));
    let day_before = viewed(&|call| call["timestamp"] = json!("2026-02-28T23:59:59Z"));
    assert_eq!(plain.session, later.session);
    assert_ne!(plain.session, day_before.session);
    let named = viewed(&|call| call["context"]["sessionId"] = json!(17));
    assert_eq!(named.session, SessionId::from_reference(&TenantId::default(), "17"));
    let anonymous = viewed(&|call| {
        call["userId"] = Json::Null;
        call["anonymousId"] = json!("a-1");
        call["context"]["locale"] = json!("pt-BR");
    });
    assert_eq!((anonymous.buyer, anonymous.region.as_str()), (None, "BR"));
    assert_eq!(anonymous.device, DeviceId::from_reference(&TenantId::default(), "a-1"));
    let ours = ProductId::from_u128(9).to_string();
    assert_eq!(viewed(&|call| call["properties"]["product_id"] = json!(ours)).product, ProductId::from_u128(9));
}

#[test]
fn the_time_is_moved_by_what_the_senders_clock_is_wrong() {
    let at = |said: &str, sent_at: &str| {
        let mut call = track("Signed In", json!({}));
        call["timestamp"] = json!(said);
        read_at(&call, Some(sent_at.parse().unwrap())).unwrap()[0].event_time.to_string()
    };
    let true_time = "2026-03-01T11:59:00Z";
    assert_eq!(at(true_time, "2026-03-01T11:59:58Z"), true_time, "two seconds are the way here");
    assert_eq!(at("2026-03-01T13:59:00Z", "2026-03-01T14:00:00Z"), true_time, "two hours fast");
    assert_eq!(at("2026-02-28T11:59:00Z", "2026-02-28T12:00:00Z"), true_time, "a day slow");
}

#[test]
fn calls_that_say_nothing_of_a_fact_are_passed_over() {
    for call in [
        json!({ "type": "identify", "userId": "u", "messageId": "m", "traits": { "email": "a@example.com" } }),
        json!({ "type": "page", "anonymousId": "a", "messageId": "m" }),
        track("Coupon Entered", json!({ "coupon_id": "SUMMER" })),
    ] {
        assert_eq!(read(&call), Ok(vec![]), "{call}");
    }
    let whole = track("Order Refunded", json!({ "order_id": 1, "total": 5 }));
    assert_eq!(read(&whole), Ok(vec![]), "it does not say what came back");
}

#[test]
fn what_is_wrong_is_named_with_its_place_in_the_call() {
    let place = |change: &dyn Fn(&mut Json)| {
        let mut call = order();
        change(&mut call);
        read(&call).unwrap_err().pointer
    };
    let set =
        |pointer: &'static str, value: Json| place(&move |call| *call.pointer_mut(pointer).unwrap() = value.clone());
    assert_eq!(set("/messageId", Json::Null), "/messageId");
    assert_eq!(set("/userId", json!("")), "/userId");
    assert_eq!(set("/timestamp", json!("yesterday")), "/timestamp");
    assert_eq!(set("/timestamp", json!("2026-03-02T12:00:00Z")), "/timestamp", "the future");
    assert_eq!(set("/event", json!(7)), "/event");
    assert_eq!(set("/type", Json::Null), "/type");
    assert_eq!(set("/properties", json!([])), "/properties");
    assert_eq!(set("/properties/order_id", Json::Null), "/properties/order_id");
    assert_eq!(set("/properties/currency", json!("EURO")), "/properties/currency");
    assert_eq!(set("/properties/currency", json!("JPY")), "/properties/currency", "no rate");
    assert_eq!(set("/properties/total", json!(1e300)), "/properties/total");
    assert_eq!(set("/properties/products", json!([])), "/properties/products");
    assert_eq!(set("/properties/products/1", json!(3)), "/properties/products/1");
    assert_eq!(set("/properties/products/1/product_id", json!({})), "/properties/products/1/product_id");
    assert_eq!(set("/properties/products/1/price", json!("cheap")), "/properties/products/1/price");
    assert_eq!(set("/properties/products/1/quantity", json!(0.5)), "/properties/products/1/quantity");
    assert_eq!(set("/properties/products/0/quantity", json!(-1)), "/properties/quantity");
    assert_eq!(read(&track("Product Added", json!({ "product_id": 1 }))).unwrap_err().pointer, "/properties/price");
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::hash_map("[a-z_]{1,10}", inner, 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_stands_in_a_call_it_is_taken_refused_or_passed_over(
        event in prop::sample::select(vec![
            "Signed Up", "Signed In", "Products Searched", "Product Viewed", "Product Added", "Product Removed",
            "Product Reviewed", "Order Completed", "Order Refunded",
        ]),
        field in prop::sample::select(vec![
            "product_id", "price", "quantity", "currency", "products", "order_id", "total", "query", "rating", "category", "region",
        ]),
        value in any_json(),
    ) {
        let mut call = order();
        call["event"] = json!(event);
        call["properties"][field] = value.clone();
        if let Some(product) = call.pointer_mut("/properties/products/0").filter(|_| field != "products") {
            *product = json!({ "product_id": 1, "price": 2, field: value });
        }
        if let Ok(events) = read(&call) {
            for event in events {
                prop_assert_eq!(event.check(now()), Ok(()));
            }
        }
    }
}
