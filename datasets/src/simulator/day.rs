//! The order of business of one simulated day, and how busy it is; what a visit or a checkout does is elsewhere.

use dhow_events::{HOUR_MICROS, MINUTE_MICROS, Timestamp, facts};

use super::Simulation;
use super::checkout::Settlement;
use super::fraud::{Appearance, CheckoutKind, Prior, draw_archetype};
use super::random::Random;

/// The share of the week's checkouts on each weekday, Monday first, after Online Retail, which knows no Saturdays; a
/// fraction of a percent is left to them here.
const WEEKDAY_SHARES: [f64; 7] = [0.1535, 0.171, 0.186, 0.217, 0.152, 0.003, 0.1175];
/// The same for visits without a checkout: people look on Saturdays too.
const VISIT_WEEKDAY_SHARES: [f64; 7] = [0.15, 0.15, 0.15, 0.16, 0.14, 0.11, 0.14];
/// The share of the day's business in each hour from 7 to 20 o'clock (UTC).
const HOUR_SHARES: [f64; 14] = [1.0, 4.0, 8.0, 12.0, 12.5, 15.5, 13.5, 12.0, 11.0, 7.0, 4.0, 2.5, 2.0, 1.0];
const SATURDAY: usize = 5;
/// The chance that a new buyer orders on the day of joining.
pub(crate) const FIRST_DAY_ORDER: f64 = 0.35;
/// The chance that a person tries again after a declined payment.
const TRY_AGAIN: f64 = 0.6;
const MOST_HONEST_REPEATS: u8 = 4;
/// The last time of day at which a purchase begins; it ends before midnight.
pub(crate) const LATEST_VISIT_MICROS: i64 = 21 * HOUR_MICROS + 59 * MINUTE_MICROS;
/// The height and the width in days of the rise before Christmas.
const CHRISTMAS_RISE: f64 = 0.6;
const CHRISTMAS_WIDTH_DAYS: f64 = 26.0;
const CHRISTMAS_PEAK_DAY: f64 = 326.0;

pub(crate) fn day_of_year(at: Timestamp) -> f64 {
    at.day() as f64 % 365.2425
}

/// 0 is Monday.
pub(crate) fn weekday(at: Timestamp) -> usize {
    (at.day() + 3).rem_euclid(7) as usize
}

/// How busy a day is for checkouts, beside an average day of 1.
pub(crate) fn trade_factor(day_start: Timestamp) -> f64 {
    let from_peak = (day_of_year(day_start) - CHRISTMAS_PEAK_DAY) / CHRISTMAS_WIDTH_DAYS;
    let season = 1.0 + CHRISTMAS_RISE * (-from_peak * from_peak / 2.0).exp();
    7.0 * WEEKDAY_SHARES[weekday(day_start)] * season
}

/// A time of day in microseconds: in business hours, or at night.
pub(crate) fn time_of_day(night: bool, random: &mut Random) -> i64 {
    let hour =
        if night { [1, 2, 3, 4, 5, 6, 20, 21][random.below(8)] } else { 7 + random.weighted(&HOUR_SHARES) as i64 };
    hour * HOUR_MICROS + (random.unit() * HOUR_MICROS as f64) as i64
}

impl Simulation {
    pub(super) fn simulate_day(&mut self, day: i32) {
        let start = self.emitter.day_start(day);
        self.open_day(day, start);
        let prior = self.prior_of(day, start);
        let before = self.truth.checkouts.len();
        self.welcome_new_buyers(day, start, prior);
        self.serve_customers(day, start, prior);
        let honest = self.truth.checkouts.len() - before;
        self.serve_visitors(day, start);
        self.commit_fraud(day, start, honest, prior);
    }

    fn open_day(&mut self, day: i32, start: Timestamp) {
        self.emitter.open_day(day);
        if day == 0 {
            self.catalog.register_sellers(&self.atlas, &mut self.emitter, &mut self.behaviour);
            self.register_existing_buyers();
        }
        self.catalog.open_day(day, &self.atlas, &mut self.emitter, &mut self.behaviour);
        self.market.open_day(&self.catalog, day, day_of_year(start));
        for outcome in std::mem::take(&mut self.outcomes_due[day as usize]) {
            let buyer = &mut self.people.buyers[outcome.buyer];
            buyer.orders += 1;
            buyer.returned += u32::from(outcome.returned);
        }
        self.truth.open_day(day, trade_factor(start), &self.people, &self.catalog, &self.market);
    }

    fn register_existing_buyers(&mut self) {
        for buyer in &self.people.buyers {
            if buyer.joined_day == 0 {
                let registered = facts::BuyerRegistered {
                    buyer: buyer.id,
                    region: self.atlas.regions[buyer.land()],
                    device: Some(buyer.device),
                };
                self.emitter.emit_at_opening(&mut self.behaviour, registered);
            }
        }
    }

    /// What an oracle knows of the day before it sees a checkout.
    fn prior_of(&self, day: i32, start: Timestamp) -> Prior {
        let first_orders = self.people.joining[day as usize].len() as f64 * FIRST_DAY_ORDER;
        let usual_orders = self.active_rate * trade_factor(start);
        Prior {
            prevalence: self.settings.fraud_prevalence,
            young_honest: first_orders / (first_orders + usual_orders).max(1.0),
        }
    }

    fn welcome_new_buyers(&mut self, day: i32, start: Timestamp, prior: Prior) {
        for number in std::mem::take(&mut self.people.joining[day as usize]) {
            self.active_rate += self.people.buyers[number as usize].checkouts_per_day;
            if weekday(start) != SATURDAY && self.behaviour.chance(FIRST_DAY_ORDER) {
                self.honest_checkout(number as usize, day, start, true, prior);
            } else {
                let at = start + time_of_day(false, &mut self.behaviour);
                self.register(number as usize, at);
            }
        }
    }

    /// Tells of a new account and its first address.
    pub(super) fn register(&mut self, number: usize, at: Timestamp) {
        let buyer = &self.people.buyers[number];
        let region = self.atlas.regions[buyer.land()];
        self.emitter.emit(at, facts::BuyerRegistered { buyer: buyer.id, region, device: Some(buyer.device) });
        let added = facts::AddressAdded { buyer: buyer.id, address: buyer.address, region };
        self.emitter.emit(at + MINUTE_MICROS, added);
    }

    fn serve_customers(&mut self, day: i32, start: Timestamp, prior: Prior) {
        let checkouts = self.behaviour.poisson(self.customers.total() * trade_factor(start));
        for _ in 0..checkouts {
            let planned = self.settings.buyers as usize;
            let Some(number) = self.customers.draw(&mut self.behaviour, 0..planned) else { continue };
            if self.people.buyers[number].joined_day >= day.max(1) {
                continue;
            }
            self.honest_checkout(number, day, start, false, prior);
        }
    }

    /// One honest purchase; the account of a young one is opened some time before it.
    fn honest_checkout(&mut self, number: usize, day: i32, start: Timestamp, young: bool, prior: Prior) {
        let archetype = draw_archetype(CheckoutKind::Honest, &mut self.behaviour);
        let mut appearance = Appearance::draw(archetype, &mut self.behaviour);
        appearance.young = young;
        appearance.shared = self.people.buyers[number].shares_device;
        let at = start + time_of_day(appearance.night, &mut self.behaviour);
        if young {
            let opened_at = self.opening_before(day, at);
            self.register(number, opened_at);
        }
        let mut visit = self.visit(number, at, CheckoutKind::Honest, &appearance);
        self.fill_basket(number, appearance.spending, None);
        while self.checkout(&mut visit, &appearance, prior) == Settlement::Declined {
            if appearance.repeats == MOST_HONEST_REPEATS || !self.behaviour.chance(TRY_AGAIN) {
                break;
            }
            appearance.repeats += 1;
            visit.at = visit.at + (self.behaviour.between(0.7, 5.0) * MINUTE_MICROS as f64) as i64;
        }
    }

    fn serve_visitors(&mut self, day: i32, start: Timestamp) {
        let share = 7.0 * VISIT_WEEKDAY_SHARES[weekday(start)];
        let visits = self.customers.total() * share * self.settings.visits_per_checkout;
        for _ in 0..self.behaviour.poisson(visits) {
            let planned = self.settings.buyers as usize;
            let Some(number) = self.customers.draw(&mut self.behaviour, 0..planned) else { continue };
            if self.people.buyers[number].joined_day < day.max(1) {
                let night = self.behaviour.chance(0.1);
                let at = start + time_of_day(night, &mut self.behaviour);
                self.browse(number, at);
            }
        }
    }
}
