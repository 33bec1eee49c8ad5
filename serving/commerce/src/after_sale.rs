//! What commerce asks of a database about returns, claims and disputes; the rest stands in `storage`.

use std::future::Future;

use dhow_events::{BuyerId, DisputeId, OrderId, PaymentId, ProductId, ReturnId, SellerId, TenantId, TransferId};

use crate::{Dispute, DisputeState, Page, PageRequest, Return, ReturnState, StorageError};

/// Which returns are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReturnFilter {
    /// Of this order.
    pub order: Option<OrderId>,
    /// Of this buyer.
    pub buyer: Option<BuyerId>,
    /// Of this seller.
    pub seller: Option<SellerId>,
    /// In this state.
    pub state: Option<ReturnState>,
}

/// Which disputes are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DisputeFilter {
    /// Of this payment.
    pub payment: Option<PaymentId>,
    /// In this state.
    pub state: Option<DisputeState>,
}

/// The part of [`crate::Storage`] that reads returns and disputes; it fails as the rest does.
pub trait AfterSaleStorage {
    /// A return.
    fn find_return(
        &self,
        tenant: TenantId,
        id: ReturnId,
    ) -> impl Future<Output = Result<Option<Return>, StorageError>> + Send;

    /// A page of returns.
    fn returns(
        &self,
        tenant: TenantId,
        filter: &ReturnFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Return>, StorageError>> + Send;

    /// A dispute.
    fn find_dispute(
        &self,
        tenant: TenantId,
        id: DisputeId,
    ) -> impl Future<Output = Result<Option<Dispute>, StorageError>> + Send;

    /// A page of disputes.
    fn disputes(
        &self,
        tenant: TenantId,
        filter: &DisputeFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Dispute>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes returns and disputes.
pub trait AfterSaleTransaction {
    /// A return; its payment was held in this transaction.
    fn find_return(
        &mut self,
        tenant: TenantId,
        id: ReturnId,
    ) -> impl Future<Output = Result<Option<Return>, StorageError>> + Send;

    /// The return that a refund settles; its payment was held in this transaction.
    fn return_of_transfer(
        &mut self,
        tenant: TenantId,
        transfer: TransferId,
    ) -> impl Future<Output = Result<Option<Return>, StorageError>> + Send;

    /// Writes that a refund settles a return.
    fn insert_return_transfer(
        &mut self,
        tenant: TenantId,
        transfer: TransferId,
        id: ReturnId,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a return, new or changed.
    fn put_return(&mut self, value: &Return) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// How many returns an order has, those that ended included.
    fn count_returns(
        &mut self,
        tenant: TenantId,
        order: OrderId,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// Adds to the units of an order's line that are on returns.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where they would be more than were bought, or below zero.
    fn add_returned(
        &mut self,
        tenant: TenantId,
        order: OrderId,
        product: ProductId,
        quantity: i64,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// A dispute; its payment was held in this transaction.
    fn find_dispute(
        &mut self,
        tenant: TenantId,
        id: DisputeId,
    ) -> impl Future<Output = Result<Option<Dispute>, StorageError>> + Send;

    /// The disputes of a payment, which was held in this transaction; at most [`crate::DISPUTES_PER_PAYMENT_MAX`].
    fn disputes_of(
        &mut self,
        tenant: TenantId,
        payment: PaymentId,
    ) -> impl Future<Output = Result<Vec<Dispute>, StorageError>> + Send;

    /// Writes a dispute, new or changed.
    fn put_dispute(&mut self, dispute: &Dispute) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Adds to what of a payment is disputed and cannot be refunded.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where with the refunds it would be more than was captured.
    fn add_disputed(
        &mut self,
        tenant: TenantId,
        payment: PaymentId,
        minor: i64,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;
}
