//! Which units of an order may go out and where the order stands by all of its shipments; payment and returns are apart.

use std::collections::BTreeMap;
use std::fmt;

use dhow_events::ProductId;
use serde::{Deserialize, Serialize};

use crate::{Parcel, ParcelError, Tracker, TrackerStatus, check_parcels};

/// Units of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShipmentUnits {
    /// The product.
    pub product: ProductId,
    /// Units, at least 1.
    pub quantity: i64,
}

/// What an order has of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderUnits {
    /// The product; each once in an order.
    pub product: ProductId,
    /// Units that were bought.
    pub bought: i64,
    /// Units of those that were called off before they went out.
    pub cancelled: i64,
}

impl OrderUnits {
    /// Units that are to be delivered.
    pub const fn due(&self) -> i64 {
        self.bought - self.cancelled
    }
}

/// Units in parcels that go out together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// The units, each product once.
    pub units: Vec<ShipmentUnits>,
    /// The parcels.
    pub parcels: Vec<Parcel>,
    /// How it goes on.
    pub tracker: Tracker,
    /// Whether it was called off before the carrier had it.
    pub called_off: bool,
}

impl Shipment {
    /// Whether its units are on their way or delivered: neither called off nor back with the seller.
    pub fn counts(&self) -> bool {
        !self.called_off && self.tracker.status() != Some(TrackerStatus::Returned)
    }

    /// Whether it can be called off: the carrier has not got it.
    pub fn can_be_called_off(&self) -> bool {
        !self.called_off && matches!(self.tracker.status(), None | Some(TrackerStatus::LabelMade))
    }
}

/// Why a shipment was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShipmentError {
    /// No units.
    #[error("a shipment has units of at least one product of the order")]
    Empty,
    /// A product twice.
    #[error("{0} stands in the shipment twice")]
    Twice(ProductId),
    /// Units that are not left.
    #[error("{quantity} units of {product}; {left} are left to ship")]
    NotLeft {
        /// The product.
        product: ProductId,
        /// How many were asked for.
        quantity: i64,
        /// How many there are.
        left: i64,
    },
    /// Wrong parcels.
    #[error(transparent)]
    Parcel(#[from] ParcelError),
}

/// Where an order stands by its shipments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentState {
    /// Every unit was called off: nothing is to be delivered.
    NothingDue,
    /// Nothing is on its way.
    Unfulfilled,
    /// Some units are on shipments, or some were delivered.
    Partly,
    /// All units are on shipments.
    Shipped,
    /// All units were delivered.
    Fulfilled,
}

impl fmt::Display for FulfilmentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingDue => "nothing_due",
            Self::Unfulfilled => "unfulfilled",
            Self::Partly => "partly",
            Self::Shipped => "shipped",
            Self::Fulfilled => "fulfilled",
        })
    }
}

/// How far a line of an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineFulfilment {
    /// The product.
    pub product: ProductId,
    /// Units that are to be delivered.
    pub due: i64,
    /// Units on shipments that count, those that were delivered included.
    pub shipped: i64,
    /// Units that were delivered.
    pub delivered: i64,
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fulfilment {
    /// Where it stands.
    pub state: FulfilmentState,
    /// Line by line, in the order's order.
    pub lines: Vec<LineFulfilment>,
}

/// Checks a shipment that is asked for beside those that an order has.
///
/// # Errors
/// No units, a product twice, more than was bought less what was called off and is on shipments, wrong parcels.
pub fn check_shipment(
    order: &[OrderUnits],
    shipments: &[Shipment],
    (units, parcels): (&[ShipmentUnits], &[Parcel]),
) -> Result<(), ShipmentError> {
    if units.is_empty() {
        return Err(ShipmentError::Empty);
    }
    let lines = fulfilment(order, shipments).lines;
    let left: BTreeMap<ProductId, i64> = lines.iter().map(|line| (line.product, line.due - line.shipped)).collect();
    for (number, &ShipmentUnits { product, quantity }) in units.iter().enumerate() {
        if units[..number].iter().any(|earlier| earlier.product == product) {
            return Err(ShipmentError::Twice(product));
        }
        let left = left.get(&product).copied().unwrap_or(0);
        if quantity < 1 || quantity > left {
            return Err(ShipmentError::NotLeft { product, quantity, left });
        }
    }
    Ok(check_parcels(parcels)?)
}

/// Where an order stands by its shipments.
pub fn fulfilment(order: &[OrderUnits], shipments: &[Shipment]) -> Fulfilment {
    let mut lines: Vec<LineFulfilment> = order
        .iter()
        .map(|units| LineFulfilment { product: units.product, due: units.due(), shipped: 0, delivered: 0 })
        .collect();
    for shipment in shipments.iter().filter(|shipment| shipment.counts()) {
        let is_delivered = shipment.tracker.status() == Some(TrackerStatus::Delivered);
        for units in &shipment.units {
            if let Some(line) = lines.iter_mut().find(|line| line.product == units.product) {
                line.shipped += units.quantity;
                line.delivered += if is_delivered { units.quantity } else { 0 };
            }
        }
    }
    let all = |enough: fn(&LineFulfilment) -> bool| lines.iter().all(enough);
    let state = if all(|line| line.due == 0) {
        FulfilmentState::NothingDue
    } else if all(|line| line.delivered >= line.due) {
        FulfilmentState::Fulfilled
    } else if all(|line| line.shipped >= line.due) {
        FulfilmentState::Shipped
    } else if all(|line| line.shipped == 0) {
        FulfilmentState::Unfulfilled
    } else {
        FulfilmentState::Partly
    };
    Fulfilment { state, lines }
}
