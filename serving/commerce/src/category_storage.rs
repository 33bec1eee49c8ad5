//! What commerce asks of a database about categories and variants; other products stand in `storage`.

use std::future::Future;

use dhow_events::{Category, SellerId, TenantId};

use crate::{CategoryTree, Product, StorageError};

/// The part of [`crate::Storage`] that reads categories; it fails as the rest does.
pub trait CategoryStorage {
    /// A tenant's tree; nothing before the first one was written.
    fn categories(&self, tenant: TenantId) -> impl Future<Output = Result<Option<CategoryTree>, StorageError>> + Send;

    /// A seller's products of one group of variants, by their options; a group has [`crate::VARIANTS_MAX`] at most.
    fn variants(
        &self,
        tenant: TenantId,
        seller: SellerId,
        group: &str,
    ) -> impl Future<Output = Result<Vec<Product>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes categories.
pub trait CategoryTransaction {
    /// A tenant's tree, which nobody changes until the transaction ends; others read it meanwhile.
    fn categories(
        &mut self,
        tenant: TenantId,
    ) -> impl Future<Output = Result<Option<CategoryTree>, StorageError>> + Send;

    /// A tenant's tree, held against other writers until the transaction ends.
    fn hold_categories(
        &mut self,
        tenant: TenantId,
    ) -> impl Future<Output = Result<Option<CategoryTree>, StorageError>> + Send;

    /// A seller's products of one group of variants, by their options.
    fn variants(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        group: &str,
    ) -> impl Future<Output = Result<Vec<Product>, StorageError>> + Send;

    /// The categories that products are in, on offer or not.
    fn used_categories(&mut self, tenant: TenantId)
    -> impl Future<Output = Result<Vec<Category>, StorageError>> + Send;

    /// Writes a tree: version 1 where there is none, version n + 1 over version n. `false` where the stored version is another
    /// one.
    fn put_categories(&mut self, tree: &CategoryTree) -> impl Future<Output = Result<bool, StorageError>> + Send;
}
