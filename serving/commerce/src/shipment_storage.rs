//! What commerce asks of a database about shipments and the units on them; the rest stands in `storage`.

use std::future::Future;

use dhow_events::{BuyerId, OrderId, ProductId, SellerId, ShipmentId, TenantId, Timestamp};

use crate::{LineUnits, OrderShipment, Page, PageRequest, ShipmentState, StorageError};

/// Which shipments are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShipmentFilter {
    /// Of this order.
    pub order: Option<OrderId>,
    /// Of this buyer.
    pub buyer: Option<BuyerId>,
    /// Of this seller.
    pub seller: Option<SellerId>,
    /// In this state.
    pub state: Option<ShipmentState>,
}

/// The part of [`crate::Storage`] that reads shipments; it fails as the rest does.
pub trait ShipmentStorage {
    /// A shipment.
    fn shipment(
        &self,
        tenant: TenantId,
        id: ShipmentId,
    ) -> impl Future<Output = Result<Option<OrderShipment>, StorageError>> + Send;

    /// A page of shipments.
    fn shipments(
        &self,
        tenant: TenantId,
        filter: &ShipmentFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<OrderShipment>, StorageError>> + Send;

    /// Shipments of all tenants whose carrier is to be asked at `now`, the longest due first, after the given place.
    fn due_shipments(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<OrderShipment>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes shipments; the order's payment was held in it.
pub trait ShipmentTransaction {
    /// A shipment.
    fn find_shipment(
        &mut self,
        tenant: TenantId,
        id: ShipmentId,
    ) -> impl Future<Output = Result<Option<OrderShipment>, StorageError>> + Send;

    /// The shipments of an order, oldest first; at most [`crate::SHIPMENTS_PER_ORDER_MAX`].
    fn shipments_of(
        &mut self,
        tenant: TenantId,
        order: OrderId,
    ) -> impl Future<Output = Result<Vec<OrderShipment>, StorageError>> + Send;

    /// Writes a shipment, new or changed.
    fn put_shipment(&mut self, shipment: &OrderShipment) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The units of an order's lines, in their order.
    fn line_units(
        &mut self,
        tenant: TenantId,
        order: OrderId,
    ) -> impl Future<Output = Result<Vec<LineUnits>, StorageError>> + Send;

    /// Adds to the units of an order's line that are on shipments, and to those that are not shipped any more.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where together they would be more than were bought, or below zero.
    fn add_shipped(
        &mut self,
        tenant: TenantId,
        order: OrderId,
        product: ProductId,
        added: (i64, i64),
    ) -> impl Future<Output = Result<(), StorageError>> + Send;
}
