//! What commerce asks of a database about saved searches and price alerts; the rest stands in `storage`.

use std::future::Future;

use dhow_events::{BuyerId, PriceAlertId, ProductId, SavedSearchId, TenantId, Timestamp};

use crate::{Page, PageRequest, PriceAlert, SavedSearch, StorageError};

/// The part of [`crate::Storage`] that reads saved searches and price alerts; it fails as the rest does.
pub trait WatchStorage {
    /// A saved search.
    fn saved_search(
        &self,
        tenant: TenantId,
        id: SavedSearchId,
    ) -> impl Future<Output = Result<Option<SavedSearch>, StorageError>> + Send;

    /// A page of saved searches, of one buyer or of all.
    fn saved_searches(
        &self,
        tenant: TenantId,
        buyer: Option<BuyerId>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<SavedSearch>, StorageError>> + Send;

    /// All saved searches of a tenant, at most [`crate::SAVED_SEARCHES_MAX`], in the order of their ids.
    fn all_saved_searches(
        &self,
        tenant: TenantId,
    ) -> impl Future<Output = Result<Vec<SavedSearch>, StorageError>> + Send;

    /// A price alert.
    fn price_alert(
        &self,
        tenant: TenantId,
        id: PriceAlertId,
    ) -> impl Future<Output = Result<Option<PriceAlert>, StorageError>> + Send;

    /// A page of price alerts, of one buyer or of all.
    fn price_alerts(
        &self,
        tenant: TenantId,
        buyer: Option<BuyerId>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<PriceAlert>, StorageError>> + Send;

    /// The price alerts of these products that were not told of, in the order of their ids.
    fn waiting_price_alerts(
        &self,
        tenant: TenantId,
        products: &[ProductId],
    ) -> impl Future<Output = Result<Vec<PriceAlert>, StorageError>> + Send;

    /// The tenants that ever had a saved search or a price alert, each with a number that rises whenever one is made or
    /// removed.
    fn watch_versions(&self) -> impl Future<Output = Result<Vec<(TenantId, i64)>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes saved searches and price alerts.
pub trait WatchTransaction {
    /// Raises the number of [`WatchStorage::watch_versions`]; others that do wait until the transaction ends, so that what
    /// is counted from here on stays true.
    fn change_watches(&mut self, tenant: TenantId) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// How many saved searches a buyer has, or all together.
    fn count_saved_searches(
        &mut self,
        tenant: TenantId,
        buyer: Option<BuyerId>,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// Writes a new saved search.
    fn insert_saved_search(&mut self, search: &SavedSearch) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes a saved search with what it knows; `false` where there is none.
    fn delete_saved_search(
        &mut self,
        tenant: TenantId,
        id: SavedSearchId,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Writes down that a saved search knows a product; `false` where it did, is gone, or knows as many as it may
    /// ([`crate::SAVED_SEARCH_PRODUCTS_MAX`]).
    fn know_product(
        &mut self,
        tenant: TenantId,
        search: SavedSearchId,
        product: ProductId,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// How many price alerts a buyer has, or all together.
    fn count_price_alerts(
        &mut self,
        tenant: TenantId,
        buyer: Option<BuyerId>,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// Writes a new price alert.
    fn insert_price_alert(&mut self, alert: &PriceAlert) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes a price alert; `false` where there is none.
    fn delete_price_alert(
        &mut self,
        tenant: TenantId,
        id: PriceAlertId,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Writes down that an alert was told of; `false` where it was, or is gone.
    fn trigger_price_alert(
        &mut self,
        tenant: TenantId,
        id: PriceAlertId,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;
}
