//! The shape measures on streams whose shape is known by hand.

use dhow_datasets::shape::{Shape, ShapeCollector, compare};
use dhow_events::{
    BuyerId, Category, CheckoutId, DAY_MICROS, Event, EventId, Fact, Money, OrderId, ProductId, Region, SellerId,
    TenantId, Timestamp, facts,
};

/// A line: buyer, checkout, product, day since 1970-01-05 (a Monday), units.
fn line(id: u128, buyer: u128, checkout: u128, product: u128, day: i64, quantity: i64) -> Event {
    let fact = facts::ItemOrdered {
        product: ProductId::from_u128(product),
        order: OrderId::from_u128(checkout),
        checkout: CheckoutId::from_u128(checkout),
        buyer: BuyerId::from_u128(buyer),
        seller: SellerId::from_u128(1),
        category: Category::new("gifts").unwrap(),
        region: Region::new("GB").unwrap(),
        quantity,
        unit_price: Money::usd(100),
        amount_usd_minor: 100 * quantity,
    };
    let event_time = Timestamp::from_micros((day + 4) * DAY_MICROS);
    Event { id: EventId::from_u128(id), tenant: TenantId::default(), event_time, fact: Fact::from(fact) }
}

fn shape(lines: &[Event]) -> Shape {
    let mut collector = ShapeCollector::new();
    lines.iter().for_each(|event| collector.observe(event));
    collector.finish().unwrap()
}

#[test]
fn a_stream_small_enough_to_count_by_hand_has_that_shape() {
    // Buyer 1 orders on Monday and 10 days later, on Thursday; buyer 2 once on Monday; buyer 3 on day 60, a Friday.
    let lines = [
        line(1, 1, 1, 1, 0, 5),
        line(2, 1, 1, 2, 0, 5),
        line(3, 1, 2, 1, 10, 20),
        line(4, 2, 3, 1, 0, 30),
        line(5, 3, 4, 1, 60, 40),
        line(5, 3, 4, 1, 60, 40),
    ];
    let shape = shape(&lines);
    assert_eq!((shape.baskets, shape.lines, shape.buyers, shape.products), (4, 5, 3, 2));
    // Lines 1 and 4: the mean absolute difference over twice the mean is (2 × 3 / 4) / (2 × 2.5).
    assert!((shape.popularity_gini - 0.3).abs() < 1e-12);
    assert_eq!(shape.lines_quartiles, [1.0, 1.0, 1.25]);
    assert_eq!(shape.units_quartiles, [17.5, 25.0, 32.5]);
    // Of the three baskets 30 days before the last one, the first of buyer 1 was followed within 30 days.
    assert!((shape.repeat_share_30_days.unwrap() - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(shape.weekday_shares, [0.5, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0]);
}

#[test]
fn an_empty_stream_has_no_shape() {
    assert_eq!(ShapeCollector::new().finish(), None);
}

#[test]
fn a_comparison_says_which_measures_are_out_of_tolerance() {
    let first = shape(&[line(1, 1, 1, 1, 0, 10), line(2, 2, 2, 2, 1, 10)]);
    assert!(compare(&first, &first).iter().all(|row| row.within() != Some(false)));
    let second = shape(&[line(1, 1, 1, 1, 0, 10), line(2, 2, 2, 2, 2, 13)]);
    let rows = compare(&first, &second);
    let failing: Vec<&str> =
        rows.iter().filter(|row| row.within() == Some(false)).map(|row| row.measure.as_str()).collect();
    assert_eq!(failing, ["weekday pattern, busiest day"]);
    let third = shape(&[line(1, 1, 1, 1, 0, 20), line(2, 2, 2, 2, 1, 20)]);
    let rows = compare(&first, &third);
    assert_eq!(rows.iter().filter(|row| row.within() == Some(false)).count(), 3, "the three quartiles of units");
}
