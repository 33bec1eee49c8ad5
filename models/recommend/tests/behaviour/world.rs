//! Small worlds for the tests: short constructors and random interactions; nothing here asserts.

use dhow_events::{BuyerId, Category, HOUR_MICROS, ProductId, Region, SellerId, SessionId, Timestamp};
use dhow_recommend::{CatalogueItem, Interaction, InteractionKind, RecommendModel, Settings, SlateRequest, train};
use proptest::prelude::*;

pub fn product(number: u128) -> ProductId {
    ProductId::from_u128(number)
}

pub fn products(numbers: &[u128]) -> Vec<ProductId> {
    numbers.iter().copied().map(product).collect()
}

pub fn region(text: &str) -> Region {
    Region::new(text).unwrap()
}

pub fn category(text: &str) -> Category {
    Category::new(text).unwrap()
}

pub fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + hour * HOUR_MICROS)
}

pub fn act(session: u128, number: u128, kind: InteractionKind, hour: i64) -> Interaction {
    Interaction {
        person: None,
        session: SessionId::from_u128(session),
        product: product(number),
        kind,
        region: None,
        time: at(hour),
    }
}

pub fn view(session: u128, number: u128, hour: i64) -> Interaction {
    act(session, number, InteractionKind::View, hour)
}

pub const CATEGORIES: [&str; 4] = ["home/kitchen", "home/garden", "toys", "books"];
pub const REGIONS: [&str; 4] = ["NG-LA", "NG", "GB", "GB-LND"];

/// Products 0 to `count - 1`: categories, sellers, prices and regions follow from the number.
pub fn catalogue(count: u128) -> Vec<CatalogueItem> {
    (0..count)
        .map(|n| CatalogueItem {
            text: String::new(),
            product: product(n),
            category: category(CATEGORIES[n as usize % 4]),
            seller: SellerId::from_u128(n % 3),
            regions: match n % 5 {
                0 => vec![region("NG")],
                1 => vec![region("GB-LND"), region("NG-LA")],
                _ => vec![],
            },
            price_usd_minor: 100 * n as i64,
        })
        .collect()
}

pub fn model(interactions: &[Interaction], products: u128) -> RecommendModel {
    train(interactions, &catalogue(products), &Settings::default()).unwrap()
}

pub fn request(session_items: &[u128], count: usize) -> SlateRequest {
    SlateRequest { session_items: products(session_items), count, ..SlateRequest::default() }
}

/// Random interactions on products 0 to 13, of which those from 12 on are not in a catalogue of 12. A session has one person.
pub fn interactions() -> impl Strategy<Value = Vec<Interaction>> {
    let one = (0..10u128, 0..14u128, 0..3usize, 0..12i64, 0..6usize);
    prop::collection::vec(one, 1..80).prop_map(|rows| {
        let kinds = [InteractionKind::View, InteractionKind::CartAdd, InteractionKind::Purchase];
        let interaction = |(session, number, kind, hour, place): (u128, u128, usize, i64, usize)| Interaction {
            person: (session % 3 != 0).then(|| BuyerId::from_u128(session % 4)),
            region: REGIONS.get(place).map(|text| region(text)),
            ..act(session, number, kinds[kind], hour * 5)
        };
        let known = Interaction { ..view(99, 0, 0) };
        rows.into_iter().map(interaction).chain([known]).collect()
    })
}
