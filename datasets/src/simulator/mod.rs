//! The seeded marketplace simulator: one stream of arrivals and the truth beside it; how parts of the world behave is in the modules below.
//!
//! What a reader of the stream should know. Fraud becomes known by `fraud_labelled` events that come days to weeks after
//! the checkout (chargebacks after 3 to 30 days, reviews sooner), and for a part of it never. Of honest checkouts only a
//! small sample is labelled, by review: a checkout without a label is presumed honest once its time for a chargeback
//! has run out, which no event announces. `stock_changed` tells counts and deliveries; sales in between are the order
//! lines. Events that would arrive after the last day are not part of the stream.
//!
//! Equal settings give the identical stream with one build on one machine; between platforms the last bits of `exp` and
//! `ln` may differ, and with them rare draws.
//!
//! A day is simulated as a whole and handed out in order of arrival, so that memory holds one day of events and what is
//! under way (parcels, returns, chargebacks). Nothing reads a clock or the machine's entropy. Each purpose has its own
//! stream of pseudo-random numbers, so that, for example, ids never depend on whether a checkout is fraud.

mod aftermath;
mod catalog;
mod checkout;
mod crime;
mod day;
mod emitter;
mod fraud;
mod market;
mod paraphrases;
mod people;
mod places;
mod random;
mod settings;
mod shoppers;
mod shopping;
mod truth;
mod vocabulary;

use dhow_events::{CarrierId, Event, Timestamp};

pub use emitter::{LATEST_ARRIVAL_MICROS, may_be_late};
pub use fraud::CheckoutKind;
pub use paraphrases::{ParaphrasedQuery, paraphrased_queries};
pub use places::{PlaceError, units_per_usd_micros};
pub use settings::{Scale, ScaleError, SimulationError, SimulationSettings};
pub use shoppers::{
    Click, MOST_SLATE, OfferCollector, Page, Popularity, Purchase, Response, ShopperError, Shoppers, Visit,
};
pub use truth::{BuyerTruth, CheckoutTruth, DeliveryTruth, DemandTruth, ProductTruth, Truth};
pub use vocabulary::DIMENSIONS;

use aftermath::Outcome;
use catalog::Catalog;
use crime::Underworld;
use emitter::Emitter;
use market::Market;
use people::People;
use places::Atlas;
use random::{Cumulative, Purpose, Random};
use shopping::BasketLine;

pub use market::position_share;

/// An event and when it becomes known.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    /// What happened.
    pub event: Event,
    /// When the log receives it; never before it happened.
    pub arrives_at: Timestamp,
}

/// A running simulation: an iterator over arrivals in order of `arrives_at`, with the truth beside it.
#[derive(Debug)]
pub struct Simulation {
    settings: SimulationSettings,
    atlas: Atlas,
    people: People,
    catalog: Catalog,
    market: Market,
    underworld: Underworld,
    emitter: Emitter,
    behaviour: Random,
    crime: Random,
    aftermath: Random,
    carriers: Vec<CarrierId>,
    /// Running sums of the buyers' rates of checkouts.
    customers: Cumulative,
    /// The sum of the rates of those who have joined.
    active_rate: f64,
    /// The orders of which it becomes clear on each day whether they come back.
    outcomes_due: Vec<Vec<Outcome>>,
    basket: Vec<BasketLine>,
    truth: Truth,
    next_day: u32,
    today: std::vec::IntoIter<Arrival>,
}

impl Simulation {
    /// Builds the world; simulates nothing yet.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn new(settings: &SimulationSettings) -> Result<Self, SimulationError> {
        settings.check()?;
        let mut world = Random::new(settings.seed, Purpose::World);
        let mut identity = Random::new(settings.seed, Purpose::WorldIdentity);
        let atlas = Atlas::new()?;
        let people = People::new(settings, &mut world, &mut identity);
        let mut customers = Cumulative::default();
        customers.rebuild(people.buyers.iter().map(|buyer| buyer.checkouts_per_day));
        let units_per_popularity = customers.total() * shopping::MEAN_UNITS_PER_CHECKOUT / f64::from(settings.products);
        let catalog = Catalog::new(settings, &mut world, &mut identity, units_per_popularity)?;
        let market = Market::new(&catalog, &people);
        let fraud_checkouts = customers.total() * f64::from(settings.days) * settings.fraud_prevalence;
        let underworld = Underworld::new(&catalog, &people, fraud_checkouts, &mut world);
        let carriers = (0..aftermath::CARRIERS.len())
            .map(|number| CarrierId::from_reference(&settings.tenant, &format!("carrier-{}", number + 1)))
            .collect();
        let truth = Truth::new(settings, &atlas, &people, &catalog, &market);
        Ok(Self {
            emitter: Emitter::new(settings),
            behaviour: Random::new(settings.seed, Purpose::Behaviour),
            crime: Random::new(settings.seed, Purpose::Crime),
            aftermath: Random::new(settings.seed, Purpose::Aftermath),
            outcomes_due: vec![Vec::new(); settings.days as usize],
            basket: Vec::new(),
            settings: settings.clone(),
            next_day: 0,
            active_rate: people.buyers.iter().filter(|b| b.joined_day == 0).map(|b| b.checkouts_per_day).sum(),
            today: Vec::new().into_iter(),
            atlas,
            people,
            catalog,
            market,
            underworld,
            carriers,
            customers,
            truth,
        })
    }

    /// What the simulator knows and no event tells; complete when the iterator has ended.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The truth, by value.
    pub fn into_truth(self) -> Truth {
        self.truth
    }
}

impl Iterator for Simulation {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        loop {
            if let Some(arrival) = self.today.next() {
                return Some(arrival);
            }
            if self.next_day == self.settings.days {
                return None;
            }
            self.simulate_day(self.next_day as i32);
            self.today = self.emitter.arrivals_of(self.next_day as usize).into_iter();
            self.next_day += 1;
        }
    }
}
