//! Makes deliveries of what is told of orders and parcels, in whatever order it is told; what a delivery teaches is elsewhere.

use crate::{Delivery, MINUTES_MAX, Parcel, Stage};
use dhow_events::{MINUTE_MICROS, OrderId, ShipmentId, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The most orders and the most parcels that are known; beyond them the oldest are given up.
const WAITING_MAX: usize = 2_000_000;
/// What a parcel can take at most, and so how long it is known.
const WAITING_MICROS: i64 = MINUTES_MAX as i64 * MINUTE_MICROS;

/// A parcel that left its seller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dispatch {
    /// The order that it belongs to.
    pub order: OrderId,
    /// The parcel, counted from leaving on.
    pub parcel: Parcel,
}

/// What is known of a parcel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Open {
    dispatch: Option<Dispatch>,
    delivered_at: Option<Timestamp>,
    /// All is known and was told; whoever tells it again tells nothing new.
    is_complete: bool,
}

impl Open {
    fn told_at(&self) -> Option<Timestamp> {
        self.dispatch.map(|dispatch| dispatch.parcel.at).max(self.delivered_at)
    }
}

/// Orders and parcels of which not all is known, and those that may be told again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UnderWay {
    orders: FxHashMap<OrderId, Timestamp>,
    parcels: FxHashMap<ShipmentId, Open>,
}

impl UnderWay {
    /// An order was placed.
    pub fn ordered(&mut self, order: OrderId, at: Timestamp) {
        let known = self.orders.entry(order).or_insert(at);
        // Of two events of one order the earlier counts, in whatever order they come.
        *known = at.min(*known);
    }

    /// A parcel left. Gives the deliveries that are complete now.
    pub fn dispatched(&mut self, shipment: ShipmentId, dispatch: Dispatch) -> Vec<(Stage, Delivery)> {
        self.parcels.entry(shipment).or_default().dispatch.get_or_insert(dispatch);
        self.complete(shipment)
    }

    /// A parcel arrived. Gives the deliveries that are complete now: none where it arrived before, or where nobody told of its
    /// leaving yet.
    pub fn delivered(&mut self, shipment: ShipmentId, at: Timestamp) -> Vec<(Stage, Delivery)> {
        self.parcels.entry(shipment).or_default().delivered_at.get_or_insert(at);
        self.complete(shipment)
    }

    /// Gives up what was last told of so long before `now` that nothing can come any more.
    pub fn expire(&mut self, now: Timestamp) {
        let since = now - WAITING_MICROS;
        self.orders.retain(|_, at| *at >= since);
        self.parcels.retain(|_, open| open.told_at().is_some_and(|at| at >= since));
        if self.orders.len() > WAITING_MAX {
            let oldest = oldest_kept(self.orders.values().copied().collect());
            self.orders.retain(|_, at| *at >= oldest);
        }
        if self.parcels.len() > WAITING_MAX {
            let oldest = oldest_kept(self.parcels.values().filter_map(Open::told_at).collect());
            self.parcels.retain(|_, open| open.told_at().is_some_and(|at| at >= oldest));
        }
    }

    /// How many orders and parcels are known.
    pub fn known(&self) -> (usize, usize) {
        (self.orders.len(), self.parcels.len())
    }

    fn complete(&mut self, shipment: ShipmentId) -> Vec<(Stage, Delivery)> {
        let Some(open) = self.parcels.get_mut(&shipment) else { return Vec::new() };
        let Open { dispatch: Some(dispatch), delivered_at: Some(delivered_at), is_complete: false } = *open else {
            return Vec::new();
        };
        // It stays known for as long as it may be told again.
        open.is_complete = true;
        let parcel = dispatch.parcel;
        let ordered_at = self.orders.get(&dispatch.order).copied();
        let from = [(Stage::Ordered, ordered_at), (Stage::Dispatched, Some(parcel.at))];
        let since = |(stage, at): (Stage, Option<Timestamp>)| {
            let at = at?;
            let minutes = delivered_at.micros_since(at) as f64 / MINUTE_MICROS as f64;
            // A clock that runs backwards says nothing of how long a parcel takes.
            (minutes > 0.0).then_some((stage, Delivery { parcel: Parcel { at, ..parcel }, minutes }))
        };
        from.into_iter().filter_map(since).collect()
    }
}

/// The time from which on half of the most are kept, so that giving up is rare.
fn oldest_kept(mut times: Vec<Timestamp>) -> Timestamp {
    let at = times.len().saturating_sub(WAITING_MAX / 2);
    let (_, time, _) = times.select_nth_unstable(at);
    *time
}
