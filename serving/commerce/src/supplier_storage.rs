//! What commerce asks of a database about suppliers; the rest stands in `storage`.

use std::future::Future;

use dhow_events::{SellerId, TenantId};

use crate::{Page, PageRequest, StorageError, Supplier, SupplierState};

/// The part of [`crate::Storage`] that reads suppliers; it fails as the rest does.
pub trait SupplierStorage {
    /// A supplier.
    fn supplier(
        &self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<Option<Supplier>, StorageError>> + Send;

    /// A page of suppliers, in a state where one is given.
    fn suppliers(
        &self,
        tenant: TenantId,
        state: Option<SupplierState>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Supplier>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes suppliers.
pub trait SupplierTransaction {
    /// A supplier, held against other writers until the transaction ends.
    fn hold_supplier(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<Option<Supplier>, StorageError>> + Send;

    /// Writes a supplier: version 1 where there is none, version n + 1 over version n. `false` where the stored version is
    /// another one.
    fn put_supplier(&mut self, supplier: &Supplier) -> impl Future<Output = Result<bool, StorageError>> + Send;
}
