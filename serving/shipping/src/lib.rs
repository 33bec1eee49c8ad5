//! Shipments of orders: which units may go out, how a tracker stands, what carriers ask and promise; it keeps nothing and sends nothing.
//!
//! # From an order to a delivery
//! 1. A [`Parcel`] has a weight and a size; a carrier charges by the larger of weight and [`Parcel::volumetric_grams`].
//! 2. [`shop`] asks several [`Carrier`]s and puts what they offer in order; a carrier that fails is named, not left out.
//! 3. [`check_shipment`] lets units go out that were bought, not cancelled, and are on no other shipment.
//! 4. A [`Label`] is asked for under one key, again and again where the answer was lost, until a named time; so is its giving up.
//! 5. A [`Tracker`] takes a carrier's events twice, late and out of order.
//! 6. [`fulfilment`] says of all shipments where the order stands; it is fulfilled when every unit that is due was delivered.
//!
//! Besides, for freight: [`ContainerNumber`]s, places by [`UnLocode`], ways over a [`SeaNetwork`].

mod carrier;
mod container;
mod label;
mod parcel;
mod sea;
mod shipment;
mod simulator;
mod tracker;

pub use carrier::{
    CARRIERS_MAX, Carrier, CarrierError, CarrierFailure, CarrierFuture, CarrierQuote, LabelAnswer, LabelRequest,
    ModelPromise, Offer, Promise, PromiseBy, QuoteRequest, Shopped, VoidAnswer, VoidRequest, checked_quote, shop,
};
pub use container::{ContainerCategory, ContainerError, ContainerNumber};
pub use label::{LABEL_ASKED_FOR_MICROS, LABEL_RETRY_MICROS, Label, LabelState, LabelVoid, VoidState};
pub use parcel::{GRAMS_MAX, MILLIMETRES_MAX, PARCELS_MAX, Parcel, ParcelError, VolumetricRule, check_parcels};
pub use sea::{OFF_NETWORK_METRES_MAX, SEA_LEGS_MAX, SeaError, SeaLeg, SeaNetwork, SeaPoint, SeaWay, UnLocode};
pub use shipment::{
    Fulfilment, FulfilmentState, LineFulfilment, OrderUnits, Shipment, ShipmentError, ShipmentUnits, check_shipment,
    fulfilment,
};
pub use simulator::{SimulatedCarrier, trigger};
pub use tracker::{
    Appended, REFERENCE_BYTES_MAX, TRACKER_EVENTS_MAX, Tracker, TrackerError, TrackerEvent, TrackerStatus,
};
