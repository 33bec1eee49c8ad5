//! Random logs for tests, with late, doubled and out-of-order events, and a view's columns of them.

use dhow_definitions::{Cell, CellKind, View};
use dhow_events::facts::*;
use dhow_events::*;
use dhow_sweep::CellColumn;
use rand::prelude::*;
use rand_chacha::ChaCha8Rng;

/// One record of the log.
pub struct Arrival {
    pub known_time: Timestamp,
    pub event: Event,
}

/// What is special in a world.
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// 5 % out of order, 1 % late by up to 3 days, 1 % doubled; acknowledged within a second.
    Usual,
    /// The same, but acknowledged when it happens unless late.
    Prompt,
    /// The log was written long after everything happened.
    Imported,
    /// Numbers so great and so small that no integer holds their sums.
    Extreme,
}

pub struct World {
    pub records: Vec<Arrival>,
}

impl World {
    /// About `count` events of `entities` buyers; most times are multiples of `grid_micros`, so that they tie and lie on
    /// the windows' borders, and most follow each other by `step_micros`.
    pub fn new(seed: u64, count: usize, entities: u128, grid_micros: i64, step_micros: i64, kind: Kind) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut now = 400_000 * HOUR_MICROS;
        let mut records: Vec<Arrival> = Vec::with_capacity(count);
        for number in 0..count {
            now += random.random_range(0..=2 * step_micros);
            let place = random.random_range(0..100);
            let event = if place == 0 && number > 0 {
                records[random.random_range(number.saturating_sub(200)..number)].event.clone()
            } else {
                let behind = match place {
                    1 => random.random_range(0..3 * DAY_MICROS),
                    2..7 => random.random_range(0..2 * HOUR_MICROS),
                    _ => 0,
                };
                let exact = random.random_bool(0.3);
                let micros = if exact { now - behind } else { (now - behind).div_euclid(grid_micros) * grid_micros };
                random_event(&mut random, number as u128 + 1, micros, entities, kind == Kind::Extreme)
            };
            let known = match kind {
                Kind::Imported => 500_000 * HOUR_MICROS,
                Kind::Prompt if place > 1 => event.event_time.micros(),
                _ => now + random.random_range(0..=SECOND_MICROS),
            };
            records.push(Arrival { known_time: Timestamp::from_micros(known), event });
        }
        Self { records }
    }
}

fn random_event(random: &mut ChaCha8Rng, number: u128, micros: i64, entities: u128, extreme: bool) -> Event {
    // Ids are in random order, so that ties of event time are not broken by arrival.
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let buyer = random.random_range(0..entities);
    let card = random.random_bool(0.8).then(|| CardId::from_u128(random.random_range(0..entities)));
    let total = if extreme { random.random() } else { random.random_range(-5_000..1_000_000) };
    let fact: Fact = match random.random_range(0..10) {
        0..6 => CheckoutSubmitted {
            buyer: BuyerId::from_u128(buyer),
            checkout: CheckoutId::from_u128(id),
            session: None,
            device: Some(DeviceId::from_u128(buyer % 3)),
            card,
            address: None,
            region: Region::new(if id.is_multiple_of(3) { "NG-LA" } else { "GB" }).unwrap(),
            delivery_region: Region::new("GB").unwrap(),
            payment_method: ["card", "wallet", "cash_on_delivery"][(id % 3) as usize].to_owned(),
            line_count: 1,
            quantity: 1 + (id % 4) as i64,
            total: Money::usd(1),
            total_usd_minor: total,
        }
        .into(),
        6..9 => FraudScored {
            buyer: BuyerId::from_u128(buyer),
            decision: DecisionId::from_u128(id),
            checkout: CheckoutId::from_u128(id),
            model: String::new(),
            probability: probability(random, extreme),
            action: if random.random_bool(0.5) { "review" } else { "approve" }.to_owned(),
            reasons: String::new(),
        }
        .into(),
        _ => ShipmentDelivered {
            order: OrderId::from_u128(id),
            shipment: ShipmentId::from_u128(id),
            seller: SellerId::from_u128(buyer % 5),
            carrier: CarrierId::from_u128(1),
            origin: Region::new("GB").unwrap(),
            destination: Region::new("GB").unwrap(),
            transit_minutes: random.random_range(0..100_000),
            late: random.random_bool(0.2),
        }
        .into(),
    };
    Event { id: EventId::from_u128(id), tenant: TenantId::default(), event_time: Timestamp::from_micros(micros), fact }
}

fn probability(random: &mut ChaCha8Rng, extreme: bool) -> f64 {
    match random.random_range(0..12) {
        0 => f64::NAN,
        1 => -0.0,
        2 => 1e-300,
        3 => 1e120,
        4 if extreme => random.random_range(-1e90..1e90),
        5 if extreme => random.random_range(-1e-90..1e-90),
        4 => random.random_range(-1e6..1e6),
        5 => 0.25,
        _ => random.random_range(0.0..1.0),
    }
}

/// The values of a view's entity columns in a fact.
pub fn entity_values<'a>(view: &View, fact: &'a Fact) -> Vec<Value<'a>> {
    let value = |name: &String| fact.kind().column_index(name).map_or(Value::Null, |index| fact.value(index));
    view.entity().iter().map(value).collect()
}

/// A column that owns its values.
pub enum Values {
    Integer(Vec<i64>, Vec<bool>),
    Float(Vec<f64>),
    Token(Vec<u128>, Vec<bool>),
}

impl Values {
    fn column(&self) -> CellColumn<'_> {
        match self {
            Self::Integer(values, valid) => CellColumn::Integer { values, valid: Some(valid) },
            Self::Float(values) => CellColumn::Float { values, valid: None },
            Self::Token(values, valid) => CellColumn::Token { values, valid: Some(valid) },
        }
    }
}

/// The rows of the log that pass a view's filter, as columns.
pub struct Table<'a> {
    pub records: Vec<&'a Arrival>,
    pub keys: Vec<Option<u128>>,
    pub event_times: Vec<i64>,
    pub known_times: Vec<i64>,
    pub ids: Vec<u128>,
    pub values: Vec<Values>,
}

impl<'a> Table<'a> {
    pub fn new(view: &View, world: &'a World) -> Self {
        let of_view = |record: &&Arrival| is_of_view(view, &record.event.fact);
        let records: Vec<&Arrival> = world.records.iter().filter(of_view).collect();
        let empty = |kind| match kind {
            CellKind::Integer => Values::Integer(Vec::new(), Vec::new()),
            CellKind::Float => Values::Float(Vec::new()),
            CellKind::Token => Values::Token(Vec::new(), Vec::new()),
        };
        let mut values: Vec<Values> = view.cells().map(empty).collect();
        for record in &records {
            for (values, cell) in values.iter_mut().zip(view.read_cells(&record.event.fact)) {
                push(values, cell, &record.event.fact);
            }
        }
        Self {
            keys: records.iter().map(|record| view.entity_of(&record.event.fact)).collect(),
            event_times: records.iter().map(|record| record.event.event_time.micros()).collect(),
            known_times: records.iter().map(|record| record.known_time.micros()).collect(),
            ids: records.iter().map(|record| record.event.id.as_u128()).collect(),
            values,
            records,
        }
    }

    pub fn columns(&self) -> Vec<CellColumn<'_>> {
        self.values.iter().map(Values::column).collect()
    }
}

fn is_of_view(view: &View, fact: &Fact) -> bool {
    view.source().fact() == Some(fact.kind()) && view.entity_of(fact).is_some()
}

/// Floats are given as they are, for the sweep to admit; what stands in invalid rows is arbitrary.
fn push(values: &mut Values, cell: Cell, fact: &Fact) {
    match (values, cell, fact) {
        (Values::Float(values), _, Fact::FraudScored(scored)) => values.push(scored.probability),
        (Values::Integer(values, valid), Cell::Integer(value), _) => {
            values.push(value);
            valid.push(true);
        }
        (Values::Integer(values, valid), _, _) => {
            values.push(i64::MIN);
            valid.push(false);
        }
        (Values::Token(values, valid), Cell::Token(token), _) => {
            values.push(token);
            valid.push(true);
        }
        (Values::Token(values, valid), _, _) => {
            values.push(7);
            valid.push(false);
        }
        (Values::Float(_), _, _) => unreachable!("only fraud scores have a float column"),
    }
}
