//! Random marketplaces for tests: records in a log's order with late, doubled and out-of-order events.

use std::collections::BTreeSet;

use dhow_definitions::{EntityKey, FeatureSet, View};
use dhow_events::facts::*;
use dhow_events::*;
use dhow_online::OnlineSettings;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

pub struct Arrival {
    pub partition: u32,
    pub offset: u64,
    pub known_time: Timestamp,
    pub event: Event,
}

/// How fast events follow each other.
#[derive(Clone, Copy, PartialEq)]
pub enum Pace {
    /// Many in each window of an hour.
    Rushing,
    /// A few in each window of an hour.
    Busy,
}

pub struct World {
    pub records: Vec<Arrival>,
}

pub fn checkout(id: u128, micros: i64, buyer: u128, card: Option<u128>, total: i64) -> Event {
    Event {
        id: EventId::from_u128(id),
        tenant: TenantId::default(),
        event_time: Timestamp::from_micros(micros),
        fact: CheckoutSubmitted {
            buyer: BuyerId::from_u128(buyer),
            checkout: CheckoutId::from_u128(id),
            session: None,
            device: Some(DeviceId::from_u128(buyer % 3)),
            card: card.map(CardId::from_u128),
            address: None,
            region: Region::new(if id.is_multiple_of(3) { "NG-LA" } else { "GB" }).unwrap(),
            delivery_region: Region::new("GB").unwrap(),
            payment_method: ["card", "wallet", "cash_on_delivery"][(id % 3) as usize].to_owned(),
            line_count: 1,
            quantity: 1 + (id % 4) as i64,
            total: Money::usd(total),
            total_usd_minor: total,
        }
        .into(),
    }
}

impl World {
    /// About `count` events of `entities` buyers: 5 % out of order, 1 % late by up to 3 days, 1 % doubled; most times
    /// are multiples of half an hour (rushing: of a minute), so that they lie on the windows' borders.
    pub fn new(seed: u64, count: usize, entities: u128, pace: Pace) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let grid = if pace == Pace::Busy { 30 * MINUTE_MICROS } else { MINUTE_MICROS };
        let step = if pace == Pace::Busy { 40 * grid / entities as i64 } else { 3 * SECOND_MICROS };
        let (mut now, mut offsets) = (400_000 * HOUR_MICROS, [0; 4]);
        let mut events: Vec<Event> = Vec::with_capacity(count);
        let mut records = Vec::with_capacity(count);
        for number in 0..count {
            now += random.random_range(0..=2 * step);
            let event = match random.random_range(0..100) {
                0 if !events.is_empty() => {
                    events[random.random_range(events.len().saturating_sub(200)..events.len())].clone()
                }
                kind => {
                    let behind = match kind {
                        1 => random.random_range(0..3 * DAY_MICROS),
                        2..7 => random.random_range(0..2 * HOUR_MICROS),
                        _ => 0,
                    };
                    let exact = random.random_bool(0.3);
                    let time = if exact { now - behind } else { (now - behind).div_euclid(grid) * grid };
                    random_event(&mut random, number as u128 + 1, time, entities)
                }
            };
            events.push(event.clone());
            let partition = random.random_range(0..4_u32);
            let known_time = Timestamp::from_micros(now + random.random_range(0..=SECOND_MICROS));
            let offset = offsets[partition as usize];
            offsets[partition as usize] += 1;
            records.push(Arrival { partition, offset, known_time, event });
        }
        Self { records }
    }

    /// Lateness that no event of a world exceeds.
    pub fn settings(&self) -> OnlineSettings {
        OnlineSettings { allowed_lateness_micros: 4 * DAY_MICROS, duplicate_horizon_micros: 30 * DAY_MICROS }
    }

    /// After all that happened.
    pub fn end(&self) -> Timestamp {
        let latest = self.records.iter().map(|record| record.event.event_time.max(record.known_time)).max();
        latest.unwrap_or(Timestamp::MIN) + SECOND_MICROS
    }

    /// Every entity of every view that some event names.
    pub fn keys(&self, set: &FeatureSet) -> BTreeSet<EntityKey> {
        let mut keys = BTreeSet::new();
        for (number, view) in set.views().iter().enumerate() {
            for event in self
                .records
                .iter()
                .map(|record| &record.event)
                .filter(|event| Some(event.fact.kind()) == view.source().fact())
            {
                keys.extend(view.entity_of(&event.fact).map(|id| EntityKey {
                    tenant: event.tenant,
                    view: number as u16,
                    id,
                }));
            }
        }
        keys
    }
}

fn random_event(random: &mut ChaCha8Rng, id: u128, micros: i64, entities: u128) -> Event {
    let someone = |random: &mut ChaCha8Rng| random.random_range(0..entities);
    let buyer = someone(random);
    let card = random.random_bool(0.8).then(|| random.random_range(0..entities));
    let total = random.random_range(-5_000..1_000_000);
    // Ids are in random order, so that ties of event time are not broken by arrival.
    let id = id.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let mut event = checkout(id, micros, buyer, card, total);
    match random.random_range(0..10) {
        0..6 => {}
        6..9 => {
            let probability = match random.random_range(0..12) {
                0 => f64::NAN,
                1 => -0.0,
                2 => 1e-300,
                3 => 1e120,
                4 => random.random_range(-1e18..1e18),
                5 => 0.25,
                _ => random.random_range(0.0..1.0),
            };
            event.fact = FraudScored {
                buyer: BuyerId::from_u128(buyer),
                decision: DecisionId::from_u128(id),
                checkout: CheckoutId::from_u128(id),
                model: String::new(),
                probability,
                action: if random.random_bool(0.5) { "review" } else { "approve" }.to_owned(),
                reasons: String::new(),
            }
            .into();
        }
        _ => {
            event.fact = ShipmentDelivered {
                order: OrderId::from_u128(id),
                shipment: ShipmentId::from_u128(id),
                seller: SellerId::from_u128(buyer % 5),
                carrier: CarrierId::from_u128(1),
                origin: Region::new("GB").unwrap(),
                destination: Region::new("GB").unwrap(),
                transit_minutes: random.random_range(0..100_000),
                late: random.random_bool(0.2),
            }
            .into();
        }
    }
    event
}

/// The values of a view's entity columns in a fact.
pub fn entity_values<'a>(view: &View, fact: &'a Fact) -> Vec<Value<'a>> {
    let value = |name: &String| fact.kind().column_index(name).map_or(Value::Null, |index| fact.value(index));
    view.entity().iter().map(value).collect()
}
