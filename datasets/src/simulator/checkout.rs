//! From the sign-in to the payment: how an appearance becomes events, and whether the payment is authorised.

use dhow_events::{
    AddressId, CardId, CheckoutId, DeviceId, MINUTE_MICROS, Money, PaymentId, SECOND_MICROS, SessionId, Timestamp,
    facts,
};

use super::Simulation;
use super::fraud::{Appearance, CheckoutKind, Prior, fraud_probability};
use super::places::{CITIES, LANDS};
use super::truth::CheckoutTruth;

/// The chance that a payment is declined, for honest people with a known and a new card.
const DECLINED_KNOWN: f64 = 0.025;
const DECLINED_NEW_CARD: f64 = 0.07;
/// The chance that a second try is declined where the first was.
const DECLINED_AGAIN: f64 = 0.45;
const DECLINE_REASONS: [&str; 4] = ["insufficient_funds", "do_not_honor", "incorrect_cvc", "card_velocity_exceeded"];
/// The share of new addresses in the land where the buyer lives.
const NEW_ADDRESS_AT_HOME: f64 = 0.8;
/// The share of honest new addresses that become the usual one.
const MOVES_HOUSE: f64 = 0.3;

/// Who checks out, with what, from where and to where.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) buyer: usize,
    pub(super) kind: CheckoutKind,
    /// When the next step happens.
    pub(super) at: Timestamp,
    pub(super) device: DeviceId,
    pub(super) card: Option<CardId>,
    pub(super) address: AddressId,
    pub(super) device_land: usize,
    pub(super) delivery_city: usize,
    /// The session of the first checkout; the repeated ones keep it.
    pub(super) session: Option<SessionId>,
    /// Whether nothing was submitted yet; only then is the basket put together in a visit.
    pub(super) fresh: bool,
}

/// How a checkout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settlement {
    Paid,
    Declined,
    OutOfStock,
}

/// A checkout whose payment was authorised.
#[derive(Debug, Clone, Copy)]
pub(super) struct PaidCheckout {
    pub(super) checkout: CheckoutId,
    pub(super) payment: PaymentId,
    pub(super) at: Timestamp,
    pub(super) total: Money,
    pub(super) total_usd_minor: i64,
}

impl Simulation {
    /// Signs in and, where the appearance says so, brings a new device, card or address. Honest people keep them.
    pub(super) fn visit(&mut self, number: usize, at: Timestamp, kind: CheckoutKind, appearance: &Appearance) -> Visit {
        let known = &self.people.buyers[number];
        let by_stolen_card = matches!(kind, CheckoutKind::StolenCard | CheckoutKind::CardTesting);
        let pays_by_card = known.pays_by_card || by_stolen_card;
        let home = known.land();
        let mut visit = Visit {
            buyer: number,
            kind,
            at,
            device: known.device,
            card: pays_by_card.then_some(known.card),
            address: known.address,
            device_land: home,
            delivery_city: known.city,
            session: None,
            fresh: true,
        };
        if appearance.new_device && !appearance.young {
            visit.device = DeviceId::at(at, self.emitter.bits());
        }
        if appearance.new_card && !appearance.young && pays_by_card {
            visit.card = Some(CardId::at(at, self.emitter.bits()));
        }
        if appearance.abroad {
            visit.device_land = (home + 1 + self.behaviour.below(LANDS.len() - 1)) % LANDS.len();
        }
        self.sign_in(&mut visit, appearance);
        if appearance.new_address && !appearance.young {
            self.add_address(&mut visit);
        }
        if kind == CheckoutKind::Honest {
            self.keep_what_is_new(&visit);
        }
        visit
    }

    fn sign_in(&mut self, visit: &mut Visit, appearance: &Appearance) {
        const REMEMBERED_SIGN_IN: f64 = 0.6;
        let tells = appearance.new_device || appearance.sign_in_failures > 0;
        if !tells && self.behaviour.chance(REMEMBERED_SIGN_IN) {
            return;
        }
        for attempt in 0..=appearance.sign_in_failures {
            let signed_in = facts::AccountSignedIn {
                buyer: self.people.buyers[visit.buyer].id,
                device: visit.device,
                region: self.atlas.regions[visit.device_land],
                succeeded: attempt == appearance.sign_in_failures,
            };
            self.emitter.emit(visit.at, signed_in);
            visit.at = visit.at + (self.behaviour.between(4.0, 30.0) * SECOND_MICROS as f64) as i64;
        }
    }

    fn add_address(&mut self, visit: &mut Visit) {
        let home = CITIES[visit.delivery_city].land;
        let land = if self.behaviour.chance(NEW_ADDRESS_AT_HOME) { home } else { self.behaviour.below(LANDS.len()) };
        let in_land: Vec<usize> = (0..CITIES.len()).filter(|city| CITIES[*city].land == land).collect();
        visit.delivery_city = in_land[self.behaviour.below(in_land.len())];
        visit.address = AddressId::at(visit.at, self.emitter.bits());
        let added = facts::AddressAdded {
            buyer: self.people.buyers[visit.buyer].id,
            address: visit.address,
            region: self.atlas.regions[land],
        };
        self.emitter.emit(visit.at, added);
        visit.at = visit.at + (self.behaviour.between(0.3, 3.0) * MINUTE_MICROS as f64) as i64;
    }

    fn keep_what_is_new(&mut self, visit: &Visit) {
        let moves = self.behaviour.chance(MOVES_HOUSE);
        let buyer = &mut self.people.buyers[visit.buyer];
        buyer.device = visit.device;
        buyer.card = visit.card.unwrap_or(buyer.card);
        if moves && CITIES[visit.delivery_city].land == buyer.land() {
            buyer.address = visit.address;
            buyer.city = visit.delivery_city;
        }
    }

    /// Submits the basket and tells all that follows. With an empty basket (nothing in stock) nothing is submitted.
    pub(super) fn checkout(&mut self, visit: &mut Visit, appearance: &Appearance, prior: Prior) -> Settlement {
        if self.basket.is_empty() {
            return Settlement::OutOfStock;
        }
        if std::mem::replace(&mut visit.fresh, false) && self.shops_in_a_visit() {
            let (session, ended_at) = self.shop(visit.buyer, visit.device, visit.device_land, visit.at);
            visit.session = Some(session);
            visit.at = ended_at;
        } else {
            visit.at = visit.at + (self.behaviour.between(20.0, 200.0) * SECOND_MICROS as f64) as i64;
        }
        let checkout = CheckoutId::at(visit.at, self.emitter.bits());
        let submitted = self.submission(visit, checkout);
        let (total, total_usd_minor) = (submitted.total, submitted.total_usd_minor);
        self.emitter.emit(visit.at, submitted);
        let buyer = &self.people.buyers[visit.buyer];
        self.truth.checkouts.push(CheckoutTruth {
            checkout,
            at: visit.at,
            kind: visit.kind,
            probability: fraud_probability(appearance, buyer.orders, buyer.returned, prior) as f32,
        });
        let settlement = self.settle(visit, appearance, checkout, total, total_usd_minor);
        self.label(visit, checkout, total_usd_minor, settlement == Settlement::Paid);
        settlement
    }

    fn submission(&self, visit: &Visit, checkout: CheckoutId) -> facts::CheckoutSubmitted {
        let buyer = &self.people.buyers[visit.buyer];
        let method = if visit.card.is_some() { "card" } else { LANDS[buyer.land()].other_method };
        let total_minor = self.basket.iter().map(|line| line.quantity * line.unit_price_minor).sum();
        facts::CheckoutSubmitted {
            buyer: buyer.id,
            checkout,
            session: visit.session,
            device: Some(visit.device),
            card: visit.card,
            address: Some(visit.address),
            region: self.atlas.regions[visit.device_land],
            delivery_region: self.atlas.regions[CITIES[visit.delivery_city].land],
            payment_method: method.to_owned(),
            line_count: self.basket.len() as i64,
            quantity: self.basket.iter().map(|line| line.quantity).sum(),
            total: Money::new(total_minor, self.atlas.currencies[buyer.land()]),
            total_usd_minor: self.basket.iter().map(|line| line.amount_usd_minor).sum(),
        }
    }

    /// The rail's answer, and what follows from it.
    fn settle(
        &mut self,
        visit: &Visit,
        appearance: &Appearance,
        checkout: CheckoutId,
        total: Money,
        total_usd_minor: i64,
    ) -> Settlement {
        let buyer = self.people.buyers[visit.buyer].id;
        if !self.basket_in_stock() {
            let refused = facts::CheckoutRefused { buyer, checkout, decision: None, reason: "stock".to_owned() };
            self.emitter.emit(visit.at + SECOND_MICROS, refused);
            return Settlement::OutOfStock;
        }
        let answered_at = visit.at + (self.behaviour.between(0.4, 6.0) * SECOND_MICROS as f64) as i64;
        let payment = PaymentId::at(answered_at, self.emitter.bits());
        let (card, device) = (visit.card, Some(visit.device));
        if self.behaviour.chance(decline_chance(visit, appearance)) {
            let reason = DECLINE_REASONS[self.behaviour.weighted(&[0.5, 0.3, 0.15, 0.05])].to_owned();
            let amount_usd_minor = total_usd_minor;
            let declined = facts::PaymentDeclined {
                checkout,
                payment,
                buyer,
                card,
                device,
                amount: total,
                amount_usd_minor,
                reason,
            };
            self.emitter.emit(answered_at, declined);
            let refused =
                facts::CheckoutRefused { buyer, checkout, decision: None, reason: "payment_declined".to_owned() };
            self.emitter.emit(answered_at + SECOND_MICROS, refused);
            return Settlement::Declined;
        }
        let amount_usd_minor = total_usd_minor;
        let authorized =
            facts::PaymentAuthorized { checkout, payment, buyer, card, device, amount: total, amount_usd_minor };
        self.emitter.emit(answered_at, authorized);
        let paid = PaidCheckout { checkout, payment, at: answered_at + SECOND_MICROS, total, total_usd_minor };
        self.place_orders(visit, &paid);
        Settlement::Paid
    }

    /// Whether all of the basket is there.
    pub(super) fn basket_in_stock(&self) -> bool {
        self.basket.iter().all(|line| line.quantity <= self.catalog.products[line.product].on_hand)
    }
}

fn decline_chance(visit: &Visit, appearance: &Appearance) -> f64 {
    match visit.kind {
        CheckoutKind::StolenCard => 0.22,
        CheckoutKind::AccountTakeover => 0.08,
        CheckoutKind::CardTesting => 0.65,
        CheckoutKind::Ring => 0.05,
        CheckoutKind::Honest | CheckoutKind::ReturnAbuse if visit.card.is_none() => 0.005,
        CheckoutKind::Honest | CheckoutKind::ReturnAbuse if appearance.repeats > 0 => DECLINED_AGAIN,
        CheckoutKind::Honest | CheckoutKind::ReturnAbuse if appearance.new_card => DECLINED_NEW_CARD,
        CheckoutKind::Honest | CheckoutKind::ReturnAbuse => DECLINED_KNOWN,
    }
}
