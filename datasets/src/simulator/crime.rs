//! Fraud campaigns: who is hit or opened, how often, and when it becomes known; how fraud appears is in `fraud`.

use dhow_events::{CardId, CheckoutId, DAY_MICROS, MINUTE_MICROS, PayoutAccountId, Timestamp, facts};

use super::Simulation;
use super::catalog::Catalog;
use super::checkout::Visit;
use super::day::{LATEST_VISIT_MICROS, time_of_day};
use super::fraud::{Appearance, Archetype, CheckoutKind, Prior, draw_archetype};
use super::people::{People, RETURN_RATES};
use super::random::Random;

/// Checkouts that a return abuser makes before the account is given up, roughly.
const CHECKOUTS_OF_AN_ABUSER: f64 = 9.0;
const LEAST_ABUSERS: usize = 2;
/// Sellers that work with a ring.
const RING_SELLERS: usize = 3;
/// The fewest and the most accounts of a ring.
const RING_ACCOUNTS: (usize, usize) = (5, 50);
/// How many bursts a ring makes, over some days, before it is given up for a new one.
const RING_CAMPAIGNS: u32 = 4;
/// The chance that another checkout of a ring follows in the same burst.
const RING_BURST: f64 = 0.8;
/// The most checkouts of one burst.
const MOST_IN_A_BURST: u32 = 16;
/// How many checkouts a burst of each kind usually has; a kind begins the simulation up to so much ahead of its share.
const USUAL_BURST: [f64; CheckoutKind::FRAUD_SHARES.len()] = [1.25, 1.25, 7.0, 5.0, 1.0];
/// The chance that a checkout of honest people is looked into, and told honest.
const REVIEWED_HONEST: f64 = 0.004;

/// What the fraudsters have prepared and how much fraud is still to come.
#[derive(Debug)]
pub(crate) struct Underworld {
    abusers: Vec<usize>,
    ring_sellers: [usize; RING_SELLERS],
    ring: Vec<usize>,
    ring_campaigns_left: u32,
    ring_checkouts: u8,
    /// Checkouts of each kind that the declared prevalence is behind by.
    owed: [f64; CheckoutKind::FRAUD_SHARES.len()],
}

impl Underworld {
    pub(crate) fn new(catalog: &Catalog, people: &People, fraud_checkouts: f64, random: &mut Random) -> Self {
        let abuse: f64 = CheckoutKind::FRAUD_SHARES
            .iter()
            .filter(|(kind, _)| *kind == CheckoutKind::ReturnAbuse)
            .map(|(_, share)| share)
            .sum();
        let count = ((fraud_checkouts * abuse / CHECKOUTS_OF_AN_ABUSER) as usize).max(LEAST_ABUSERS);
        let last_seller = catalog.sellers.len() - 1;
        Self {
            abusers: (0..count).map(|_| random.below(people.buyers.len())).collect(),
            ring_sellers: std::array::from_fn(|place| last_seller - place),
            ring: Vec::new(),
            ring_campaigns_left: 0,
            ring_checkouts: 0,
            owed: USUAL_BURST.map(|usual| 1.0 - usual * random.unit()),
        }
    }
}

impl Simulation {
    /// The day's fraud: each kind commits what it owes to its share of the declared prevalence, given how many honest
    /// checkouts the day had.
    pub(super) fn commit_fraud(&mut self, day: i32, start: Timestamp, honest: usize, prior: Prior) {
        let expected = honest as f64 * prior.prevalence / (1.0 - prior.prevalence);
        for (index, (kind, share)) in CheckoutKind::FRAUD_SHARES.into_iter().enumerate() {
            self.underworld.owed[index] += expected * share;
            while self.underworld.owed[index] >= 1.0 {
                let archetype = draw_archetype(kind, &mut self.crime);
                let done = self.campaign(archetype, day, start, prior);
                self.underworld.owed[index] -= f64::from(done.max(1));
            }
        }
    }

    /// One burst of checkouts by one fraudster; gives how many.
    fn campaign(&mut self, archetype: &Archetype, day: i32, start: Timestamp, prior: Prior) -> u32 {
        let mut appearance = Appearance::draw(archetype, &mut self.crime);
        let at = start + time_of_day(appearance.night, &mut self.crime);
        let ring = archetype.kind == CheckoutKind::Ring;
        if ring {
            appearance.young = self.prepare_ring(day, at);
            appearance.repeats = self.underworld.ring_checkouts;
        }
        let seller = ring.then(|| self.underworld.ring_sellers[self.crime.below(RING_SELLERS)]);
        let number = self.account_for(archetype.kind, &appearance, day, at);
        let mut visit = self.visit(number, at, archetype.kind, &appearance);
        let mut done = 0;
        loop {
            self.fill_basket(visit.buyer, appearance.spending, seller);
            self.checkout(&mut visit, &appearance, prior);
            done += 1;
            let late = visit.at.micros_since(start) > LATEST_VISIT_MICROS;
            let (first, further) = if ring { (RING_BURST, RING_BURST) } else { archetype.repeat };
            if late || done == MOST_IN_A_BURST || !self.crime.chance(if done == 1 { first } else { further }) {
                return done;
            }
            self.next_of_burst(archetype, &mut appearance, &mut visit);
        }
    }

    /// Another card, amount or account for the next checkout of a burst.
    fn next_of_burst(&mut self, archetype: &Archetype, appearance: &mut Appearance, visit: &mut Visit) {
        let again = Appearance::draw(archetype, &mut self.crime);
        appearance.repeats = appearance.repeats.saturating_add(1);
        appearance.spending = again.spending;
        let pause_minutes = match archetype.kind {
            CheckoutKind::CardTesting => {
                appearance.new_card = again.new_card;
                if again.new_card {
                    visit.card = Some(CardId::at(visit.at, self.emitter.bits()));
                }
                self.crime.between(0.3, 3.0)
            }
            CheckoutKind::Ring => {
                visit.buyer = self.underworld.ring[self.crime.below(self.underworld.ring.len())];
                visit.session = None;
                self.underworld.ring_checkouts = appearance.repeats;
                self.crime.between(3.0, 40.0)
            }
            _ => self.crime.between(2.0, 30.0),
        };
        visit.at = visit.at + (pause_minutes * MINUTE_MICROS as f64) as i64;
    }

    /// The account that is used: a fresh one, a victim's, an abuser's or one of the ring's.
    fn account_for(&mut self, kind: CheckoutKind, appearance: &Appearance, day: i32, at: Timestamp) -> usize {
        match kind {
            CheckoutKind::ReturnAbuse => {
                let number = self.underworld.abusers[self.crime.below(self.underworld.abusers.len())];
                self.people.buyers[number].return_rate = RETURN_RATES[2];
                number
            }
            CheckoutKind::Ring => self.underworld.ring[self.crime.below(self.underworld.ring.len())],
            _ if appearance.young => self.open_account(day, at),
            _ => self.customer(day),
        }
    }

    /// An existing customer, the more likely the more often one orders.
    fn customer(&mut self, day: i32) -> usize {
        const TRIES: usize = 20;
        for _ in 0..TRIES {
            let planned = self.settings.buyers as usize;
            let number = self.customers.draw(&mut self.crime, 0..planned).unwrap_or(0);
            if self.people.buyers[number].joined_day < day.max(1) {
                return number;
            }
        }
        0
    }

    /// A fresh account, opened at most some hours before `at` on the same day.
    fn open_account(&mut self, day: i32, at: Timestamp) -> usize {
        let number = self.new_account(day, at);
        let opened_at = self.opening_before(day, at);
        self.register(number, opened_at);
        number
    }

    /// When an account was opened that is first used at `at`.
    pub(super) fn opening_before(&mut self, day: i32, at: Timestamp) -> Timestamp {
        let opened_at = at - (self.crime.between(5.0, 200.0) * MINUTE_MICROS as f64) as i64;
        opened_at.max(self.emitter.day_start(day) + 10 * MINUTE_MICROS)
    }

    fn new_account(&mut self, day: i32, at: Timestamp) -> usize {
        let number = self.people.buyers.len();
        let mut account = self.people.draw(at, day, &mut self.crime, self.emitter.identity());
        account.checkouts_per_day = 0.0;
        self.truth.know_buyer(&account, &self.atlas);
        self.people.buyers.push(account);
        number
    }

    /// Opens a new ring on this day when the last one has done its work: accounts that share device, card and address,
    /// and sellers that share a payout account. Gives whether it did.
    fn prepare_ring(&mut self, day: i32, at: Timestamp) -> bool {
        if self.underworld.ring_campaigns_left > 0 {
            self.underworld.ring_campaigns_left -= 1;
            return false;
        }
        self.underworld.ring_campaigns_left = RING_CAMPAIGNS - 1;
        self.underworld.ring_checkouts = 0;
        self.underworld.ring.clear();
        let first = self.new_account(day, at);
        let common = self.people.buyers[first].clone();
        let (fewest, most) = RING_ACCOUNTS;
        for place in 0..fewest + self.crime.below(most - fewest + 1) {
            let number = if place == 0 { first } else { self.new_account(day, at) };
            let account = &mut self.people.buyers[number];
            (account.city, account.device) = (common.city, common.device);
            (account.card, account.address) = (common.card, common.address);
            (account.pays_by_card, account.shares_device) = (true, true);
            self.underworld.ring.push(number);
            let opened_at = self.opening_before(day, at);
            self.register(number, opened_at);
        }
        let sellers = self.underworld.ring_sellers;
        let payout_account = PayoutAccountId::at(at, self.emitter.bits());
        for (place, seller) in sellers.into_iter().enumerate() {
            let changed = facts::PayoutAccountChanged { seller: self.catalog.sellers[seller].id, payout_account };
            self.emitter.emit(at + (place as i64 + 1) * MINUTE_MICROS, changed);
        }
        true
    }

    /// When and by whom a checkout is labelled: fraud by chargeback after 3 to 30 days or by review, some of it never;
    /// of the honest ones only a small sample, by review. No event says that nothing came.
    pub(super) fn label(&mut self, visit: &Visit, checkout: CheckoutId, amount_usd_minor: i64, paid: bool) {
        let random = &mut self.crime;
        let (chance, source, days) = match visit.kind {
            CheckoutKind::Honest => (REVIEWED_HONEST, "review", (0.2, 5.0)),
            CheckoutKind::ReturnAbuse => (0.7, "review", (8.0, 30.0)),
            CheckoutKind::CardTesting if !paid => (0.75, "review", (0.2, 4.0)),
            _ if !paid => (0.4, "review", (0.2, 4.0)),
            _ => (0.88, "chargeback", (3.0, 30.0)),
        };
        // Most chargebacks come early in their time.
        let part = random.unit() * random.unit();
        if !random.chance(chance) {
            return;
        }
        let after = (days.0 + (days.1 - days.0) * part) * DAY_MICROS as f64;
        let labelled = facts::FraudLabelled {
            buyer: self.people.buyers[visit.buyer].id,
            checkout,
            card: visit.card,
            device: Some(visit.device),
            address: Some(visit.address),
            occurred_at: visit.at,
            amount_usd_minor,
            fraud: visit.kind.is_fraud(),
            source: source.to_owned(),
            kind: visit.kind.is_fraud().then(|| visit.kind.word().to_owned()),
        };
        self.emitter.emit(visit.at + after as i64, labelled);
    }
}
