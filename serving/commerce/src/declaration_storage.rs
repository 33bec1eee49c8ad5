//! What commerce asks of a database about customs declarations; the rest stands in `storage`.

use std::future::Future;

use dhow_customs::DeclarationState;
use dhow_events::{DeclarationId, OrderId, TenantId};

use crate::{CustomsDeclaration, Page, PageRequest, StorageError};

/// Which declarations are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeclarationFilter {
    /// Of this order.
    pub order: Option<OrderId>,
    /// In this state.
    pub state: Option<DeclarationState>,
}

/// The part of [`crate::Storage`] that reads declarations; it fails as the rest does.
pub trait DeclarationStorage {
    /// A declaration.
    fn declaration(
        &self,
        tenant: TenantId,
        id: DeclarationId,
    ) -> impl Future<Output = Result<Option<CustomsDeclaration>, StorageError>> + Send;

    /// A page of declarations.
    fn declarations(
        &self,
        tenant: TenantId,
        filter: &DeclarationFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<CustomsDeclaration>, StorageError>> + Send;
}

/// The part of [`crate::StorageTransaction`] that reads and writes declarations.
pub trait DeclarationTransaction {
    /// A declaration, held against other writers until the transaction ends.
    fn hold_declaration(
        &mut self,
        tenant: TenantId,
        id: DeclarationId,
    ) -> impl Future<Output = Result<Option<CustomsDeclaration>, StorageError>> + Send;

    /// Writes a declaration, new or changed.
    fn put_declaration(
        &mut self,
        declaration: &CustomsDeclaration,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;
}
