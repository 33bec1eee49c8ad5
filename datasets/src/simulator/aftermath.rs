//! What follows a paid checkout: orders, parcels, returns, refunds and reviews; payment itself is in `checkout`.

use dhow_events::{
    DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, Money, OrderId, ReturnId, ReviewId, SECOND_MICROS, ShipmentId, Timestamp,
    facts,
};

use super::Simulation;
use super::checkout::{PaidCheckout, Visit};
use super::day::weekday;
use super::places::{CITIES, LANDS};
use super::shopping::BasketLine;
use super::truth::DeliveryTruth;
use super::vocabulary::{COMPLAINT, PRAISE, RETURN_REASONS};

/// A carrier: kilometres an hour over land and between lands, spread of the logarithm of its times, share of the parcels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Carrier {
    near_speed_kmh: f64,
    far_speed_kmh: f64,
    spread: f64,
    share: f64,
}

pub(crate) const CARRIERS: [Carrier; 6] = [
    Carrier { near_speed_kmh: 22.0, far_speed_kmh: 60.0, spread: 0.22, share: 0.30 },
    Carrier { near_speed_kmh: 16.0, far_speed_kmh: 42.0, spread: 0.32, share: 0.26 },
    Carrier { near_speed_kmh: 30.0, far_speed_kmh: 110.0, spread: 0.14, share: 0.14 },
    Carrier { near_speed_kmh: 13.0, far_speed_kmh: 34.0, spread: 0.45, share: 0.14 },
    Carrier { near_speed_kmh: 25.0, far_speed_kmh: 48.0, spread: 0.26, share: 0.10 },
    Carrier { near_speed_kmh: 18.0, far_speed_kmh: 75.0, spread: 0.30, share: 0.06 },
];

/// Sorting and the last mile, and the border, in hours.
const BASE_HOURS: f64 = 9.0;
const BORDER_HOURS: f64 = 26.0;
/// Hours added to a parcel that leaves on a Friday, Saturday or Sunday.
const WEEKEND_HOURS: [f64; 7] = [0.0, 0.0, 0.0, 0.0, 22.0, 26.0, 14.0];
const HANDLING_SPREAD: f64 = 0.35;
/// Delivery is promised so long after the order, within the land and across a border.
const PROMISE_NEAR_MICROS: i64 = 4 * DAY_MICROS;
const PROMISE_FAR_MICROS: i64 = 9 * DAY_MICROS;
/// A product that is bought in quantity is remembered more, up to so many times.
const MOST_REMEMBERED_DRAWS: u32 = 4;
const REVIEW_CHANCE: f64 = 0.02;
/// How many degrees around the city's middle addresses lie, as a standard deviation.
const CITY_SPREAD_DEGREES: f64 = 0.06;
const RETURN_AFTER_DAYS: (f64, f64) = (1.0, 18.0);

/// Whether an order came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) buyer: usize,
    pub(super) returned: bool,
}

/// An order under way.
struct Order {
    order: OrderId,
    seller: usize,
    delivered_at: Timestamp,
    late: bool,
}

impl Simulation {
    /// Splits the basket into an order for each seller and tells what becomes of them.
    pub(super) fn place_orders(&mut self, visit: &Visit, paid: &PaidCheckout) {
        let mut basket = std::mem::take(&mut self.basket);
        let mut first_dispatch = Timestamp::MAX;
        for lines in basket.chunk_by(|a, b| a.seller == b.seller) {
            let order = self.place_order(visit, paid, lines);
            let dispatched_at = self.ship(visit, paid, lines, &order);
            first_dispatch = first_dispatch.min(dispatched_at.dispatched_at);
            let order = Order { delivered_at: dispatched_at.delivered_at, late: dispatched_at.late, ..order };
            self.send_back(visit, paid, lines, &order);
            self.review(visit, lines, &order);
        }
        let captured = facts::PaymentCaptured {
            checkout: paid.checkout,
            payment: paid.payment,
            amount: paid.total,
            amount_usd_minor: paid.total_usd_minor,
        };
        self.emitter.emit(first_dispatch, captured);
        basket.clear();
        self.basket = basket;
    }

    fn place_order(&mut self, visit: &Visit, paid: &PaidCheckout, lines: &[BasketLine]) -> Order {
        let seller = lines[0].seller;
        let order = OrderId::at(paid.at, self.emitter.bits());
        let buyer = &mut self.people.buyers[visit.buyer];
        for line in lines {
            (0..line.draws.min(MOST_REMEMBERED_DRAWS)).for_each(|_| buyer.remember(line.product));
        }
        let buyer = buyer.id;
        let region = self.atlas.regions[CITIES[visit.delivery_city].land];
        let currency = paid.total.currency;
        let total_minor = lines.iter().map(|line| line.quantity * line.unit_price_minor).sum();
        let placed = facts::OrderPlaced {
            buyer,
            order,
            checkout: paid.checkout,
            seller: self.catalog.sellers[seller].id,
            region,
            line_count: lines.len() as i64,
            quantity: lines.iter().map(|line| line.quantity).sum(),
            total: Money::new(total_minor, currency),
            total_usd_minor: lines.iter().map(|line| line.amount_usd_minor).sum(),
        };
        self.emitter.emit(paid.at, placed);
        for line in lines {
            self.catalog.products[line.product].on_hand -= line.quantity;
            let ordered = facts::ItemOrdered {
                product: self.catalog.products[line.product].id,
                order,
                checkout: paid.checkout,
                buyer,
                seller: self.catalog.sellers[seller].id,
                category: self.catalog.category(line.product),
                region,
                quantity: line.quantity,
                unit_price: Money::new(line.unit_price_minor, currency),
                amount_usd_minor: line.amount_usd_minor,
            };
            self.emitter.emit(paid.at, ordered);
        }
        Order { order, seller, delivered_at: paid.at, late: false }
    }

    /// Dispatches and delivers an order; the time under way is log-normal around what distance, carrier, land, seller and
    /// weekday make of it.
    fn ship(&mut self, visit: &Visit, paid: &PaidCheckout, lines: &[BasketLine], order: &Order) -> Shipped {
        let seller = &self.catalog.sellers[order.seller];
        let (from, to) = (CITIES[seller.city], CITIES[visit.delivery_city]);
        let random = &mut self.aftermath;
        let carrier_number = random.weighted(&CARRIERS.map(|carrier| carrier.share));
        let handling_hours = seller.handling_hours * (HANDLING_SPREAD * random.normal()).exp();
        let dispatched_at = paid.at + (handling_hours * HOUR_MICROS as f64) as i64 + 10 * MINUTE_MICROS;
        let distance_km = self.atlas.distance_km(seller.city, visit.delivery_city);
        let carrier = CARRIERS[carrier_number];
        let usual_hours = usual_transit_hours(&carrier, distance_km, from.land, to.land, weekday(dispatched_at));
        let median_minutes = usual_hours * seller.slowness * 60.0;
        let transit_minutes = (median_minutes * (carrier.spread * random.normal()).exp()).round().max(30.0);
        let promise = if from.land == to.land { PROMISE_NEAR_MICROS } else { PROMISE_FAR_MICROS };
        let promised_at = paid.at + promise;
        let delivered_at = dispatched_at + transit_minutes as i64 * MINUTE_MICROS;
        let shipment = ShipmentId::at(dispatched_at, self.emitter.bits());
        let (latitude, longitude) =
            (to.latitude + CITY_SPREAD_DEGREES * random.normal(), to.longitude + CITY_SPREAD_DEGREES * random.normal());
        let (order_id, carrier_id) = (order.order, self.carriers[carrier_number]);
        let (origin, destination) = (self.atlas.regions[from.land], self.atlas.regions[to.land]);
        let weight_grams =
            lines.iter().map(|line| line.quantity * self.catalog.products[line.product].weight_grams).sum();
        let dispatched = facts::ShipmentDispatched {
            order: order_id,
            shipment,
            seller: seller.id,
            carrier: carrier_id,
            origin,
            destination,
            latitude,
            longitude,
            weight_grams,
            promised_at,
        };
        let late = delivered_at > promised_at;
        let delivered = facts::ShipmentDelivered {
            order: order_id,
            shipment,
            seller: seller.id,
            carrier: carrier_id,
            origin,
            destination,
            transit_minutes: transit_minutes as i64,
            late,
        };
        self.emitter.emit(dispatched_at, dispatched);
        self.emitter.emit(delivered_at, delivered);
        self.truth.deliveries.push(DeliveryTruth {
            shipment,
            dispatched_at,
            promised_at,
            median_minutes: median_minutes as f32,
            log_spread: carrier.spread as f32,
        });
        Shipped { dispatched_at, delivered_at, late }
    }

    /// Sends some lines back, after the delivery, where the buyer is one who does or the goods are faulty.
    fn send_back(&mut self, visit: &Visit, paid: &PaidCheckout, lines: &[BasketLine], order: &Order) {
        let random = &mut self.aftermath;
        let buyer = &self.people.buyers[visit.buyer];
        let returned = random.chance(buyer.return_rate);
        let after = random.between(RETURN_AFTER_DAYS.0, RETURN_AFTER_DAYS.1) * DAY_MICROS as f64;
        let returned_at = order.delivered_at + after as i64;
        let day = returned_at.micros_since(self.settings.start).div_euclid(DAY_MICROS) + 1;
        if let Some(due) = usize::try_from(day).ok().and_then(|day| self.outcomes_due.get_mut(day)) {
            due.push(Outcome { buyer: visit.buyer, returned });
        }
        if !returned {
            return;
        }
        let reason = if order.late { 4 } else { random.below(RETURN_REASONS.len() - 1) };
        let count = (1 + random.below(3)).min(lines.len());
        let first = random.below(lines.len() - count + 1);
        let (mut refund_minor, mut refund_usd_minor) = (0, 0);
        for line in &lines[first..first + count] {
            refund_minor += line.quantity * line.unit_price_minor;
            refund_usd_minor += line.amount_usd_minor;
            let returned = facts::OrderReturned {
                buyer: buyer.id,
                order: order.order,
                return_id: ReturnId::at(returned_at, self.emitter.bits()),
                seller: self.catalog.sellers[order.seller].id,
                product: self.catalog.products[line.product].id,
                quantity: line.quantity,
                amount_usd_minor: line.amount_usd_minor,
                reason: RETURN_REASONS[reason].to_owned(),
            };
            self.emitter.emit(returned_at, returned);
        }
        let refunded = facts::PaymentRefunded {
            checkout: paid.checkout,
            payment: paid.payment,
            amount: Money::new(refund_minor, paid.total.currency),
            amount_usd_minor: refund_usd_minor,
        };
        self.emitter.emit(returned_at + SECOND_MICROS, refunded);
    }

    /// Reviews some lines: the stars fall with defects and lateness.
    fn review(&mut self, visit: &Visit, lines: &[BasketLine], order: &Order) {
        for line in lines {
            let random = &mut self.aftermath;
            if !random.chance(REVIEW_CHANCE) {
                continue;
            }
            let seller = &self.catalog.sellers[order.seller];
            let defective = random.chance(seller.defect_rate);
            let mood = 4.5 - 0.9 * f64::from(u8::from(order.late)) - 2.6 * f64::from(u8::from(defective));
            let rating = (mood + 0.7 * random.normal()).round().clamp(1.0, 5.0) as i64;
            let words = if rating >= 4 { &PRAISE } else { &COMPLAINT };
            let text = format!("{}. {}.", words[random.below(words.len())], words[random.below(words.len())]);
            let at = order.delivered_at + (random.between(0.1, 12.0) * DAY_MICROS as f64) as i64;
            let posted = facts::ReviewPosted {
                product: self.catalog.products[line.product].id,
                review: ReviewId::at(at, self.emitter.bits()),
                buyer: self.people.buyers[visit.buyer].id,
                seller: seller.id,
                rating,
                text,
            };
            self.emitter.emit(at, posted);
        }
    }
}

/// When a parcel left and came.
struct Shipped {
    dispatched_at: Timestamp,
    delivered_at: Timestamp,
    late: bool,
}

/// The median time under way of a carrier, without the seller's part.
fn usual_transit_hours(carrier: &Carrier, distance_km: f64, from: usize, to: usize, weekday: usize) -> f64 {
    let (speed, border) =
        if from == to { (carrier.near_speed_kmh, 0.0) } else { (carrier.far_speed_kmh, BORDER_HOURS) };
    (BASE_HOURS * LANDS[to].last_mile + distance_km / speed + border) + WEEKEND_HOURS[weekday]
}
