//! What commerce asks of a database about subscriptions and invoices of sellers; the rest stands in `storage`.

use std::future::Future;

use dhow_events::{SellerId, TenantId, Timestamp};

use crate::{SellerInvoice, SellerSubscription, StorageError};

/// The part of [`crate::Storage`] that reads subscriptions and invoices; it fails as the rest does.
pub trait BillingStorage {
    /// A seller's subscription.
    fn subscription(
        &self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<Option<SellerSubscription>, StorageError>> + Send;

    /// A seller's invoices, newest first, before the number `before` where one is given.
    fn invoices(
        &self,
        tenant: TenantId,
        seller: SellerId,
        before: Option<i64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<SellerInvoice>, StorageError>> + Send;

    /// Whose periods end at `now` or before, in the order of their ends, at most `limit` of all tenants; after a place, those after it.
    fn due_subscriptions(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, TenantId, SellerId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(Timestamp, TenantId, SellerId)>, StorageError>> + Send;

    /// How many orders a seller was given from `since` on, those that were called off left out.
    fn orders_since(
        &self,
        tenant: TenantId,
        seller: SellerId,
        since: Timestamp,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// How many products a seller has on offer.
    fn products_on_offer(
        &self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes subscriptions and invoices.
pub trait BillingTransaction {
    /// A seller's subscription, held against other writers until the transaction ends.
    fn hold_subscription(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<Option<SellerSubscription>, StorageError>> + Send;

    /// Writes a subscription: version 1 where there is none, version n + 1 over version n. `false` where the stored version is
    /// another one.
    fn put_subscription(
        &mut self,
        subscription: &SellerSubscription,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Writes an invoice under its number.
    fn insert_invoice(&mut self, invoice: &SellerInvoice) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// What [`BillingStorage::orders_since`] counts, what this transaction wrote included.
    fn orders_since(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        since: Timestamp,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// What [`BillingStorage::products_on_offer`] counts, what this transaction wrote included.
    fn products_on_offer(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;
}
