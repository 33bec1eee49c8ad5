//! Buyers of the simulated world: tastes, habits, devices, cards and addresses; what they do is elsewhere.

use dhow_events::{AddressId, BuyerId, CardId, DAY_MICROS, DeviceId, Timestamp};

use super::SimulationSettings;
use super::catalog::{Vector, random_direction, scattered};
use super::places::{CITIES, LANDS};
use super::random::Random;

/// How many groups of buyers share a taste.
pub(crate) const CLUSTERS: usize = 12;
/// How a taste is made up of the cluster's and the person's own; the squares add up to 1.
pub(crate) const CLUSTER_PART: f64 = 0.8;
const OWN_PART: f64 = 0.6;
/// How many of the last products a buyer orders again from.
pub(crate) const REMEMBERED: usize = 12;
/// The mean number of checkouts of a buyer a day, while a customer, and the spread of its logarithm.
const CHECKOUTS_PER_DAY: f64 = 0.0105;
const CHECKOUT_RATE_SPREAD: f64 = 1.05;
/// The share of the buyers who join during the simulation, for a year of simulation.
const JOINING_PER_YEAR: f64 = 0.55;
/// The share of the buyers who share device, card and address with their household.
const HOUSEHOLD_SHARE: f64 = 0.09;
/// The share of the buyers who share device and address with their office.
const OFFICE_SHARE: f64 = 0.06;
/// The share of honest buyers who return often.
const FREQUENT_RETURNER_SHARE: f64 = 0.07;
/// The chance that an order of a usual buyer, a frequent returner and a return abuser comes back.
pub(crate) const RETURN_RATES: [f64; 3] = [0.04, 0.2, 0.85];
/// How the usual and the frequent returners mix among the honest.
pub(crate) const RETURNER_MIX: [f64; 2] = [1.0 - FREQUENT_RETURNER_SHARE, FREQUENT_RETURNER_SHARE];
/// The share of the buyers whose device is also used by others.
pub(crate) const SHARED_SHARE: f64 = HOUSEHOLD_SHARE + OFFICE_SHARE;

#[derive(Debug, Clone)]
pub(crate) struct Buyer {
    pub(crate) id: BuyerId,
    pub(crate) city: usize,
    pub(crate) cluster: usize,
    pub(crate) taste: Vector,
    /// What is left of the taste when the cluster's part is taken away.
    pub(crate) own_taste: Vector,
    /// How much the person usually spends, in standard deviations of all orders.
    pub(crate) spending: f64,
    /// How many different products the person usually orders, likewise.
    pub(crate) breadth: f64,
    pub(crate) checkouts_per_day: f64,
    pub(crate) joined_day: i32,
    pub(crate) device: DeviceId,
    pub(crate) card: CardId,
    pub(crate) pays_by_card: bool,
    pub(crate) address: AddressId,
    pub(crate) shares_device: bool,
    pub(crate) return_rate: f64,
    /// Orders of which it is clear whether they come back, and how many of them did.
    pub(crate) orders: u32,
    pub(crate) returned: u32,
    recent: [u32; REMEMBERED],
    recent_count: usize,
}

impl Buyer {
    pub(crate) fn land(&self) -> usize {
        CITIES[self.city].land
    }

    pub(crate) fn remember(&mut self, product: usize) {
        self.recent[self.recent_count % REMEMBERED] = product as u32;
        self.recent_count += 1;
    }

    /// One of the products last ordered.
    pub(crate) fn remembered(&self, random: &mut Random) -> Option<usize> {
        let known = self.recent_count.min(REMEMBERED);
        (known > 0).then(|| self.recent[random.below(known)] as usize)
    }
}

/// All buyers; the planned ones come first, accounts that fraudsters open are added behind.
#[derive(Debug)]
pub(crate) struct People {
    pub(crate) buyers: Vec<Buyer>,
    /// The middle of each cluster's tastes.
    pub(crate) centers: Vec<Vector>,
    /// The buyers that join on each day but the first.
    pub(crate) joining: Vec<Vec<u32>>,
    city_weights: Vec<f64>,
}

impl People {
    pub(crate) fn new(settings: &SimulationSettings, random: &mut Random, identity: &mut Random) -> Self {
        let centers = (0..CLUSTERS).map(|_| random_direction(random)).collect();
        let city_weights = CITIES.iter().map(|city| land_share_of_city(city.land, city.weight)).collect();
        let days = settings.days as usize;
        let mut people = Self { buyers: Vec::new(), centers, joining: vec![Vec::new(); days], city_weights };
        let joining_share = JOINING_PER_YEAR * f64::from(settings.days) / 365.0;
        let joining_share = joining_share / (1.0 + joining_share);
        for number in 0..settings.buyers {
            let joined_day = if random.chance(joining_share) { 1 + random.below(days) as i32 } else { 0 };
            let joined_at = settings.start + i64::from(joined_day) * DAY_MICROS;
            let made_at = if joined_day == 0 { joined_at - random.below(500) as i64 * DAY_MICROS } else { joined_at };
            let buyer = people.draw(made_at, joined_day, random, identity);
            people.buyers.push(buyer);
            if joined_day > 0 && (joined_day as usize) < days {
                people.joining[joined_day as usize].push(number);
            }
        }
        people.share_devices(random);
        people
    }

    /// A person with a new account; `at` dates the ids of the account and of what belongs to it.
    pub(crate) fn draw(&self, at: Timestamp, joined_day: i32, random: &mut Random, identity: &mut Random) -> Buyer {
        let city = random.weighted(&self.city_weights);
        let cluster = random.below(CLUSTERS);
        let spread = CHECKOUT_RATE_SPREAD;
        let taste = scattered(&self.centers[cluster], CLUSTER_PART, OWN_PART, random);
        let center = &self.centers[cluster];
        let own_taste = std::array::from_fn(|i| taste[i] - CLUSTER_PART as f32 * center[i]);
        let frequent_returner = random.chance(FREQUENT_RETURNER_SHARE);
        Buyer {
            id: BuyerId::at(at, identity.bits()),
            city,
            cluster,
            taste,
            own_taste,
            spending: random.normal(),
            breadth: random.normal(),
            checkouts_per_day: CHECKOUTS_PER_DAY * (spread * random.normal() - spread * spread / 2.0).exp(),
            joined_day,
            device: DeviceId::at(at, identity.bits()),
            card: CardId::at(at, identity.bits()),
            pays_by_card: random.chance(LANDS[CITIES[city].land].card_share),
            address: AddressId::at(at, identity.bits()),
            shares_device: false,
            return_rate: RETURN_RATES[usize::from(frequent_returner)],
            orders: 0,
            returned: 0,
            recent: [0; REMEMBERED],
            recent_count: 0,
        }
    }

    /// Makes households (device, card and address in common) and offices (device and address in common).
    fn share_devices(&mut self, random: &mut Random) {
        let mut number = 0;
        while number < self.buyers.len() {
            let (household, size) = if random.chance(HOUSEHOLD_SHARE / 2.6) {
                (true, 2 + random.below(2))
            } else if random.chance(OFFICE_SHARE / 4.5) {
                (false, 3 + random.below(4))
            } else {
                number += 1;
                continue;
            };
            let end = (number + size).min(self.buyers.len());
            let first = self.buyers[number].clone();
            for member in &mut self.buyers[number..end] {
                member.city = first.city;
                member.device = first.device;
                member.address = first.address;
                member.shares_device = true;
                if household {
                    member.card = first.card;
                    member.pays_by_card = first.pays_by_card;
                }
            }
            number = end;
        }
    }
}

fn land_share_of_city(land: usize, weight: f64) -> f64 {
    let in_land: f64 = CITIES.iter().filter(|city| city.land == land).map(|city| city.weight).sum();
    LANDS[land].share * weight / in_land
}
