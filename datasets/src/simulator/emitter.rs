//! Turns facts into events with ids and arrival times, and hands them out day by day in order of arrival; it invents no facts.

use dhow_events::{DAY_MICROS, Event, EventId, Fact, FactKind, HOUR_MICROS, MINUTE_MICROS, TenantId, Timestamp};

use super::random::{Purpose, Random};
use super::{Arrival, SimulationSettings};

/// A late event arrives at most this long after it happened.
pub const LATEST_ARRIVAL_MICROS: i64 = 36 * HOUR_MICROS;
/// The mean of the usual delay of an event, which is what makes the order of arrival differ from that of happening.
const USUAL_DELAY_MICROS: f64 = 1_200_000.0;
/// The least delay.
const LEAST_DELAY_MICROS: i64 = 20_000;
/// The usual delay ends below this; a later arrival counts as late.
const USUAL_DELAY_MOST_MICROS: f64 = 59_000_000.0;
/// The median of a late event's delay.
const LATE_MEDIAN_MICROS: f64 = 35.0 * MINUTE_MICROS as f64;
/// The second copy of an event arrives at most this long after the first.
const DUPLICATE_AFTER_MICROS: f64 = 10.0 * MINUTE_MICROS as f64;
/// What is prepared before business happens in the first minutes of a day.
const OPENING_MICROS: f64 = 5.0 * MINUTE_MICROS as f64;

/// Whether events of this kind can arrive late: they come from phones, browsers, carriers and warehouses that may be out
/// of reach. What the platform itself decides (accounts, listings, checkouts, orders, payments) is known at once.
pub fn may_be_late(kind: FactKind) -> bool {
    matches!(
        kind,
        FactKind::SessionStarted
            | FactKind::ProductViewed
            | FactKind::SearchPerformed
            | FactKind::CartItemAdded
            | FactKind::CartItemRemoved
            | FactKind::ShipmentDispatched
            | FactKind::ShipmentDelivered
            | FactKind::OrderReturned
            | FactKind::ReviewPosted
    )
}

/// Events that wait for their day of arrival.
#[derive(Debug)]
pub(crate) struct Emitter {
    tenant: TenantId,
    start: Timestamp,
    opening: Timestamp,
    identity: Random,
    transport: Random,
    late_share: f64,
    duplicate_share: f64,
    /// One list for each day; what arrives after the last day is never seen.
    days: Vec<Vec<Arrival>>,
}

impl Emitter {
    pub(crate) fn new(settings: &SimulationSettings) -> Self {
        Self {
            tenant: settings.tenant,
            start: settings.start,
            opening: settings.start,
            identity: Random::new(settings.seed, Purpose::Identity),
            transport: Random::new(settings.seed, Purpose::Transport),
            late_share: settings.late_share,
            duplicate_share: settings.duplicate_share,
            days: (0..settings.days).map(|_| Vec::new()).collect(),
        }
    }

    /// Random bits for an id. They come from a stream of their own, so that an id tells nothing about its thing.
    pub(crate) fn bits(&mut self) -> u128 {
        self.identity.bits()
    }

    /// The generator of ids, for things with several of them.
    pub(crate) fn identity(&mut self) -> &mut Random {
        &mut self.identity
    }

    pub(crate) fn day_start(&self, day: i32) -> Timestamp {
        self.start + i64::from(day) * DAY_MICROS
    }

    pub(crate) fn open_day(&mut self, day: i32) {
        self.opening = self.day_start(day);
    }

    /// An event of the first minutes of the open day.
    pub(crate) fn emit_at_opening(&mut self, random: &mut Random, fact: impl Into<Fact>) {
        let time = self.opening + random.between(0.0, OPENING_MICROS) as i64;
        self.emit(time, fact);
    }

    /// Two events of the first minutes of the open day, the second a second later.
    pub(crate) fn emit_pair_at_opening(
        &mut self,
        random: &mut Random,
        first: impl Into<Fact>,
        second: impl Into<Fact>,
    ) {
        let time = self.opening + random.between(0.0, OPENING_MICROS) as i64;
        self.emit(time, first);
        self.emit(time + 1_000_000, second);
    }

    /// An event that happens at `time`; it is dropped where it would arrive after the end.
    pub(crate) fn emit(&mut self, time: Timestamp, fact: impl Into<Fact>) {
        let fact = fact.into();
        let id = EventId::at(time, self.identity.bits());
        let arrives_at = time + self.delay_micros(may_be_late(fact.kind()));
        let duplicate = self.transport.chance(self.duplicate_share);
        let event = Event { id, tenant: self.tenant, event_time: time, fact };
        if duplicate {
            let again_at = arrives_at + self.transport.between(1e5, DUPLICATE_AFTER_MICROS) as i64;
            self.keep(Arrival { event: event.clone(), arrives_at: again_at });
        }
        self.keep(Arrival { event, arrives_at });
    }

    fn delay_micros(&mut self, may_be_late: bool) -> i64 {
        if may_be_late && self.transport.chance(self.late_share) {
            let delay = LATE_MEDIAN_MICROS * (1.3 * self.transport.normal()).exp();
            (delay as i64).clamp(MINUTE_MICROS + 1, LATEST_ARRIVAL_MICROS)
        } else {
            let delay = self.transport.exponential(USUAL_DELAY_MICROS).min(USUAL_DELAY_MOST_MICROS);
            LEAST_DELAY_MICROS + delay as i64
        }
    }

    fn keep(&mut self, arrival: Arrival) {
        let day = arrival.arrives_at.micros_since(self.start).div_euclid(DAY_MICROS);
        if let Some(waiting) = usize::try_from(day).ok().and_then(|day| self.days.get_mut(day)) {
            waiting.push(arrival);
        }
    }

    /// Everything that arrives on `day`, in order of arrival (ties: in order of creation).
    pub(crate) fn arrivals_of(&mut self, day: usize) -> Vec<Arrival> {
        let arrivals = std::mem::take(&mut self.days[day]);
        let mut order: Vec<(Timestamp, u32)> =
            arrivals.iter().zip(0..).map(|(arrival, number)| (arrival.arrives_at, number)).collect();
        order.sort_unstable();
        let mut waiting: Vec<Option<Arrival>> = arrivals.into_iter().map(Some).collect();
        order.into_iter().filter_map(|(_, number)| waiting[number as usize].take()).collect()
    }
}
