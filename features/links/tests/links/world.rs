//! A made-up marketplace whose truth is known: households, offices, parcel lockers, kiosks, sign-up booths and rings.

use dhow_events::*;
use dhow_links::{Account, LinkQuery};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub const DAYS: f64 = 200.0;

pub fn day(days: f64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000) + (days * DAY_MICROS as f64) as i64
}

pub fn tenant() -> TenantId {
    TenantId::new("ten_links").unwrap()
}

pub fn event(at: Timestamp, fact: impl Into<Fact>) -> Event {
    Event { id: EventId::at(at, 0), tenant: tenant(), event_time: at, fact: fact.into() }
}

pub fn registered(buyer: u128, at: Timestamp) -> Event {
    let region = Region::new("NG-LA").unwrap();
    event(at, facts::BuyerRegistered { buyer: BuyerId::from_u128(buyer), region, device: None })
}

/// A checkout with these card, device and address; 0 stands for none.
pub fn checkout(buyer: u128, things: [u128; 3], at: Timestamp) -> Event {
    let region = Region::new("NG-LA").unwrap();
    let given = |id: u128| (id > 0).then_some(id);
    event(
        at,
        facts::CheckoutSubmitted {
            buyer: BuyerId::from_u128(buyer),
            checkout: CheckoutId::at(at, buyer),
            session: None,
            card: given(things[0]).map(CardId::from_u128),
            device: given(things[1]).map(DeviceId::from_u128),
            address: given(things[2]).map(AddressId::from_u128),
            region,
            delivery_region: region,
            payment_method: "card".to_owned(),
            line_count: 1,
            quantity: 1,
            total: Money::new(1000, Currency::new("NGN").unwrap()),
            total_usd_minor: 1000,
        },
    )
}

pub fn labelled(buyer: u128, checkout: u128, fraud: bool, at: Timestamp) -> Event {
    event(
        at,
        facts::FraudLabelled {
            buyer: BuyerId::from_u128(buyer),
            checkout: CheckoutId::from_u128(checkout),
            card: None,
            device: None,
            address: None,
            occurred_at: at - DAY_MICROS,
            amount_usd_minor: 1000,
            fraud,
            source: "review".to_owned(),
            kind: None,
        },
    )
}

pub fn query(event: &Event) -> LinkQuery {
    match &event.fact {
        Fact::CheckoutSubmitted(fact) => LinkQuery::checkout(event.tenant, fact),
        fact => panic!("{:?} is no checkout", fact.kind()),
    }
}

pub fn ask(buyer: u128) -> LinkQuery {
    LinkQuery::account(tenant(), Account::Buyer(BuyerId::from_u128(buyer)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Of one to five people who share card, address and device.
    Household,
    /// Of a household of four or five who all came within three days.
    HouseholdAtOnce,
    Office,
    Kiosk,
    Booth,
    Ring(usize),
}

/// Events in the order of their times, and the kind of each account: account `n` has the id `n + 1`.
pub struct World {
    pub events: Vec<Event>,
    pub kinds: Vec<Kind>,
    pub ring_count: usize,
    random: ChaCha8Rng,
    things: u128,
    /// Public parcel lockers.
    pub lockers: Vec<u128>,
}

impl World {
    pub fn new(seed: u64, households: usize, offices: usize, rings: usize) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        let mut world =
            Self { events: Vec::new(), kinds: Vec::new(), ring_count: rings, random, things: 0, lockers: Vec::new() };
        world.lockers = (0..households / 100 + 1).map(|_| world.thing()).collect();
        (0..households).for_each(|_| world.household());
        (0..offices).for_each(|_| world.office());
        (0..offices).for_each(|_| world.kiosk());
        (0..offices).for_each(|_| world.booth());
        (0..rings).for_each(|number| world.ring(number));
        world.events.sort_by_key(|event| event.event_time);
        world
    }

    fn thing(&mut self) -> u128 {
        self.things += 1;
        self.things
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.random.random_range(low..high)
    }

    fn account(&mut self, kind: Kind, opened: f64) -> u128 {
        self.kinds.push(kind);
        let buyer = self.kinds.len() as u128;
        self.events.push(registered(buyer, day(opened)));
        buyer
    }

    fn locker(&mut self) -> u128 {
        self.lockers[self.random.random_range(0..self.lockers.len())]
    }

    /// About a checkout a month from when the account was opened, now and then to a parcel locker.
    fn shop(&mut self, buyer: u128, things: [u128; 3], opened: f64) {
        let mut at = opened.max(0.0) + self.between(0.0, 20.0);
        while at < DAYS {
            let to_locker = self.chance(0.15);
            let address = if to_locker { self.locker() } else { things[2] };
            self.events.push(checkout(buyer, [things[0], things[1], address], day(at)));
            at += self.between(1.0, 60.0);
        }
    }

    fn household(&mut self) {
        let size = self.random.random_range(1..=5);
        let (card, device, address) = (self.thing(), self.thing(), self.thing());
        let at_once = size >= 4 && self.chance(0.05);
        let moved_in = self.between(0.0, DAYS - 10.0);
        for _ in 0..size {
            let opened = if at_once { moved_in + self.between(0.0, 3.0) } else { self.between(-400.0, DAYS) };
            let buyer = self.account(if at_once { Kind::HouseholdAtOnce } else { Kind::Household }, opened);
            let card = if self.chance(0.7) { card } else { self.thing() };
            let device = if self.chance(0.5) { device } else { self.thing() };
            self.shop(buyer, [card, device, address], opened);
            if at_once {
                let first = opened + self.between(0.0, 1.0);
                self.events.push(checkout(buyer, [card, device, address], day(first)));
            }
        }
    }

    /// 20 to 500 people at one address, some on one network device, with cards of their own; some offices are new.
    fn office(&mut self) {
        let size = self.random.random_range(20..=500);
        let (address, network) = (self.thing(), self.thing());
        let new = self.chance(0.3);
        let opens = self.between(0.0, DAYS - 20.0);
        for _ in 0..size {
            let opened =
                if new && self.chance(0.5) { opens + self.between(0.0, 7.0) } else { self.between(-600.0, DAYS) };
            let buyer = self.account(Kind::Office, opened);
            let (card, own) = (self.thing(), self.thing());
            let device = if self.chance(0.3) { network } else { own };
            self.shop(buyer, [card, device, address], opened);
        }
    }

    /// A public computer: old accounts with cards and addresses of their own.
    fn kiosk(&mut self) {
        let device = self.thing();
        for _ in 0..self.random.random_range(5..=200) {
            let opened = self.between(-600.0, DAYS);
            let buyer = self.account(Kind::Kiosk, opened);
            let (card, address) = (self.thing(), self.thing());
            self.shop(buyer, [card, device, address], opened);
        }
    }

    /// A stand at a fair: fresh accounts on one tablet within a day, with cards and addresses of their own.
    fn booth(&mut self) {
        let tablet = self.thing();
        let fair = self.between(0.0, DAYS - 10.0);
        for _ in 0..self.random.random_range(5..=50) {
            let opened = fair + self.between(0.0, 0.5);
            let buyer = self.account(Kind::Booth, opened);
            let (card, device, address) = (self.thing(), self.thing(), self.thing());
            self.events.push(checkout(buyer, [card, tablet, address], day(opened + 0.01)));
            self.shop(buyer, [card, device, address], opened);
        }
    }

    /// 5 to 50 accounts that come within days, each opened shortly before. They are worked off in batches: a device for
    /// about eight, a card for about four, an address for about ten, and now and then one that was used before. One ring
    /// in five pays with a stolen card for each account, one in five uses a device for each; of the others some have
    /// everything sent to a public parcel locker: so two kinds of things at least are the ring's own and shared. Some
    /// accounts pay without a card, and some are old ones that were bought.
    fn ring(&mut self, number: usize) {
        let size = self.random.random_range(5..=50);
        let begins = self.between(1.0, DAYS - 30.0);
        let takes = self.between(0.2, 6.0) * size as f64 / 20.0;
        let accounts_each = match self.random.random_range(0..5) {
            0 => [1, 8, 10],
            1 => [4, 1, 10],
            _ => [4, 8, 10],
        };
        let shares_two_more = accounts_each == [4, 8, 10];
        let locker = if shares_two_more && self.chance(0.25) { Some(self.locker()) } else { None };
        let mut used: [Vec<u128>; 3] = Default::default();
        for place in 0..size {
            let joins = begins + takes * place as f64 / size as f64;
            let opened = joins - if self.chance(0.1) { self.between(100.0, 400.0) } else { self.between(0.01, 3.0) };
            let buyer = self.account(Kind::Ring(number), opened);
            let mut things = [0; 3];
            for (kind, accounts_each) in accounts_each.into_iter().enumerate() {
                if place % accounts_each == 0 {
                    let thing = self.thing();
                    used[kind].push(thing);
                }
                let current = used[kind].len() - 1;
                let again = accounts_each > 1 && self.chance(0.2);
                let chosen = if again { self.random.random_range(0..=current) } else { current };
                things[kind] = used[kind][chosen];
            }
            things[2] = locker.unwrap_or(things[2]);
            if self.chance(0.1) {
                things[0] = 0;
            }
            let mut at = joins;
            for _ in 0..self.random.random_range(1..=4) {
                self.events.push(checkout(buyer, things, day(at)));
                at += self.between(0.001, 1.0);
            }
        }
    }
}
