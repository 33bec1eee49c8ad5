//! Shipments of an order's units as they are stored and answered; what is done with them is in `shipping`, their rules in `dhow-shipping`.
//!
//! ```text
//! asked ─► ready ─► in_transit ─► delivered
//!   │  │     │  └─► voiding ─► voided     └► returned (back with the seller: its units can be shipped again)
//!   │  │     └────────────────────► refused voids stay ready
//!   │  └► refused (its units can be shipped again)
//!   └► unknown (no answer in time: a person asks the carrier, or gives it up)
//! ```
//! The state is no decision of its own: it follows from the label, its giving up, and the carrier's tracker, so that no order of
//! answers and messages leads astray.

use dhow_events::facts::{ShipmentDelivered, ShipmentDispatched, ShipmentMoved};
use dhow_events::{
    BuyerId, CarrierId, CheckoutId, Currency, MINUTE_MICROS, Money, OrderId, PaymentId, ProductId, Region, SellerId,
    ShipmentId, TenantId, Timestamp,
};
use dhow_shipping::{
    Label, LabelRequest, LabelState, LabelVoid, OrderUnits, Parcel, Promise, QuoteRequest, Shipment, ShipmentUnits,
    TrackerEvent, TrackerStatus, VoidRequest, VoidState,
};
use serde::{Deserialize, Serialize};

use crate::CommerceError;
use crate::words::worded;

/// The most shipments of an order, those that were given up included.
pub const SHIPMENTS_PER_ORDER_MAX: usize = 100;
/// The most events in one message of a carrier.
pub const CARRIER_EVENTS_MAX: usize = 100;
/// Parts of a degree to which the place of delivery is kept: about a kilometre.
const PLACE_PARTS: f64 = 100.0;

worded! {
    /// Where a shipment stands.
    ShipmentState {
        /// Its label is asked for.
        Asked = "asked",
        /// It has a label and waits for the carrier.
        Ready = "ready",
        /// The carrier refused the label.
        Refused = "refused",
        /// The carrier did not say in time whether there is a label.
        Unknown = "unknown",
        /// Its label is being given up.
        Voiding = "voiding",
        /// Its label was given up.
        Voided = "voided",
        /// The carrier has it.
        InTransit = "in_transit",
        /// It was delivered.
        Delivered = "delivered",
        /// It came back to the seller.
        Returned = "returned",
    }
}

/// The place that a shipment goes to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryPlace {
    /// Degrees north, from -90 to 90.
    pub latitude: f64,
    /// Degrees east, from -180 to 180.
    pub longitude: f64,
}

impl DeliveryPlace {
    /// The place to a hundredth of a degree.
    fn coarse(self) -> Self {
        let coarse = |degrees: f64| (degrees * PLACE_PARTS).round() / PLACE_PARTS;
        Self { latitude: coarse(self.latitude), longitude: coarse(self.longitude) }
    }
}

/// A shipment that is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShipmentInput {
    /// Who is to carry it, by name.
    pub carrier: String,
    /// From where.
    pub from: Region,
    /// The place of delivery. It is kept to a hundredth of a degree, and only until the carrier has the parcels.
    pub place: DeliveryPlace,
    /// Which units; each product of the order once.
    pub units: Vec<ShipmentUnits>,
    /// The parcels.
    pub parcels: Vec<Parcel>,
}

/// Units of an order's line, as the database counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineUnits {
    /// The product; each once in an order.
    pub product: ProductId,
    /// Units that were bought.
    pub bought: i64,
    /// Units on shipments that are on their way or delivered.
    pub shipped: i64,
    /// Units on returns and claims.
    pub returned: i64,
    /// Units of those that had not been shipped when the return or claim was opened; they are not shipped any more.
    pub called_off: i64,
}

impl LineUnits {
    /// What the rules of shipping ask for.
    pub(crate) const fn due(&self) -> OrderUnits {
        OrderUnits { product: self.product, bought: self.bought, cancelled: self.called_off }
    }

    /// How many of `quantity` more units on a return have not been shipped.
    pub(crate) fn not_shipped(&self, quantity: i64) -> i64 {
        let with_the_buyer = self.shipped - (self.returned - self.called_off);
        (quantity - with_the_buyer.max(0)).clamp(0, (self.bought - self.shipped - self.called_off).max(0))
    }
}

/// A shipment of units of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderShipment {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which; also its idempotency key with the carrier.
    pub id: ShipmentId,
    /// Of which order.
    pub order: OrderId,
    /// Its checkout.
    pub checkout: CheckoutId,
    /// Its payment.
    pub payment: PaymentId,
    /// Who bought.
    pub buyer: BuyerId,
    /// Who sells.
    pub seller: SellerId,
    /// Who carries it, by name.
    pub carrier: String,
    /// The carrier as the delivery-time model knows it.
    pub carrier_id: CarrierId,
    /// The carrier's name for how it goes.
    pub service: String,
    /// From where.
    pub from: Region,
    /// To where.
    pub to: Region,
    /// The place of delivery, until the carrier has the parcels.
    pub place: Option<DeliveryPlace>,
    /// What the carrier asks for it.
    pub price: Money,
    /// When the carrier promised it.
    pub promise: Promise,
    /// Its label.
    pub label: Label,
    /// The giving up of its label, where that was asked for.
    pub void: Option<LabelVoid>,
    /// Units, parcels and tracker.
    #[serde(flatten)]
    pub goods: Shipment,
    /// When the carrier had it, by the carrier's clock; when it was made where the carrier said nothing of that.
    pub dispatched_at: Option<Timestamp>,
    /// Where it stands.
    pub state: ShipmentState,
    /// Counts its changes from 1; its ETag.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a carrier tells of a shipment of its own accord. It may come before the answer of the call that made the label, late, in
/// any order, or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CarrierNotice {
    /// For whom the label was made.
    pub tenant: TenantId,
    /// The key that the label was asked for with: the shipment.
    pub shipment: ShipmentId,
    /// The carrier's number of the shipment.
    pub tracking_number: String,
    /// What happened, 1 to [`CARRIER_EVENTS_MAX`] events.
    pub events: Vec<TrackerEvent>,
}

impl ShipmentInput {
    /// Checks what can be checked without the order.
    pub(crate) fn check(&self) -> Result<(), CommerceError> {
        for (name, degrees, most) in
            [("latitude", self.place.latitude, 90.0), ("longitude", self.place.longitude, 180.0)]
        {
            if !(-most..=most).contains(&degrees) {
                let message = format!("is {degrees}; it must be from -{most} to {most}");
                return Err(CommerceError::invalid(format!("/place/{name}"), message));
            }
        }
        dhow_shipping::check_parcels(&self.parcels)
            .map_err(|error| CommerceError::invalid("/parcels", error.to_string()))
    }

    /// The place as it is kept.
    pub(crate) fn kept_place(&self) -> DeliveryPlace {
        self.place.coarse()
    }
}

/// The two letters of a region's country.
pub fn country_of(region: Region) -> String {
    region.as_str().split('-').next().unwrap_or_default().to_owned()
}

impl OrderShipment {
    /// What the carrier is asked to carry.
    pub(crate) fn request(&self) -> QuoteRequest {
        quote_request((self.from, self.to), &self.goods.parcels, self.price.currency)
    }

    pub(crate) fn label_request(&self) -> LabelRequest {
        LabelRequest {
            idempotency_key: self.label.idempotency_key.clone(),
            shipment: self.request(),
            service: self.service.clone(),
            requested_at: self.label.requested_at,
        }
    }

    pub(crate) fn void_request(&self, void: &LabelVoid) -> VoidRequest {
        VoidRequest {
            label_key: self.label.idempotency_key.clone(),
            tracking_number: self.tracking_number().map(str::to_owned),
            shipment: self.request(),
            requested_at: void.requested_at,
        }
    }

    /// The carrier's number of the shipment, once it is known.
    pub fn tracking_number(&self) -> Option<&str> {
        match &self.label.state {
            LabelState::Made { tracking_number } => Some(tracking_number),
            LabelState::Asked { .. } | LabelState::Refused { .. } | LabelState::Unknown => None,
        }
    }

    /// Units of all products.
    pub fn quantity(&self) -> i64 {
        self.goods.units.iter().map(|units| units.quantity).sum()
    }

    /// From when on the carrier is to be asked, where it is.
    pub fn due_at(&self) -> Option<Timestamp> {
        let label = match self.label.state {
            LabelState::Asked { next_at } => Some(next_at),
            _ => None,
        };
        let void = match self.void.as_ref().map(|void| &void.state) {
            Some(VoidState::Asked { next_at }) => Some(*next_at),
            _ => None,
        };
        label.into_iter().chain(void).min()
    }

    /// The state that follows from label, giving up and tracker.
    pub(crate) fn derived_state(&self) -> ShipmentState {
        let is_void_asked = matches!(self.void.as_ref().map(|void| &void.state), Some(VoidState::Asked { .. }));
        match (&self.label.state, self.goods.tracker.status()) {
            (LabelState::Refused { .. }, _) => ShipmentState::Refused,
            _ if self.goods.called_off => ShipmentState::Voided,
            (_, Some(TrackerStatus::Delivered)) => ShipmentState::Delivered,
            (_, Some(TrackerStatus::Returned)) => ShipmentState::Returned,
            (_, Some(status)) if status != TrackerStatus::LabelMade => ShipmentState::InTransit,
            _ if is_void_asked => ShipmentState::Voiding,
            (LabelState::Asked { .. }, _) => ShipmentState::Asked,
            (LabelState::Unknown, _) => ShipmentState::Unknown,
            (LabelState::Made { .. }, _) => ShipmentState::Ready,
        }
    }

    /// The carrier has the parcels, as its tracker says for the first time; gives the fact.
    pub(crate) fn dispatch(&mut self, now: Timestamp) -> Option<(Timestamp, ShipmentDispatched)> {
        let is_with_carrier = self.goods.tracker.status().is_some_and(|status| status != TrackerStatus::LabelMade);
        if !is_with_carrier || self.dispatched_at.is_some() || self.goods.called_off {
            return None;
        }
        let place = self.place.take()?;
        let on_the_way = [TrackerStatus::HandedOver, TrackerStatus::InTransit, TrackerStatus::OutForDelivery];
        let events = self.goods.tracker.events().iter().filter(|event| on_the_way.contains(&event.status));
        let told = events.map(|event| event.occurred_at).min().unwrap_or(self.created_at);
        let at = told.clamp(self.created_at, now.max(self.created_at));
        self.dispatched_at = Some(at);
        let fact = ShipmentDispatched {
            order: self.order,
            shipment: self.id,
            seller: self.seller,
            carrier: self.carrier_id,
            origin: self.from,
            destination: self.to,
            latitude: place.latitude,
            longitude: place.longitude,
            weight_grams: self.goods.parcels.iter().map(|parcel| i64::from(parcel.weight_grams)).sum(),
            promised_at: self.promise.p90,
        };
        Some((at, fact))
    }

    /// The fact of its delivery.
    pub(crate) fn delivered(&self, now: Timestamp) -> (Timestamp, ShipmentDelivered) {
        let dispatched = self.dispatched_at.unwrap_or(self.created_at);
        let told = self.goods.tracker.ended_at().unwrap_or(now);
        let at = told.clamp(dispatched, now.max(dispatched));
        let fact = ShipmentDelivered {
            order: self.order,
            shipment: self.id,
            seller: self.seller,
            carrier: self.carrier_id,
            origin: self.from,
            destination: self.to,
            transit_minutes: at.micros_since(dispatched) / MINUTE_MICROS,
            late: at > self.promise.p90,
        };
        (at, fact)
    }

    pub(crate) fn moved(&self) -> ShipmentMoved {
        ShipmentMoved {
            order: self.order,
            shipment: self.id,
            buyer: self.buyer,
            seller: self.seller,
            carrier: self.carrier.clone(),
            state: self.state.to_string(),
            tracker: self.goods.tracker.status().map(|status| status.to_string()),
            tracking_number: self.tracking_number().map(str::to_owned),
            quantity: self.quantity(),
        }
    }
}

/// What a carrier is asked to carry.
pub(crate) fn quote_request((from, to): (Region, Region), parcels: &[Parcel], currency: Currency) -> QuoteRequest {
    QuoteRequest { from: country_of(from), to: country_of(to), parcels: parcels.to_vec(), currency }
}
