//! A database transaction as commerce sees it: each method leaves the SQL to the module of its table.

use dhow_commerce::{
    Checkout, Claim, DecisionRecord, FraudCase, Idempotency, ModelServing, OutboxEvent, Product, ReorderBudgets,
    ReorderProposal, RoutePlan, RoutePlanProgress, RoutePlanState, Settlement, Shortage, StockLevel, StorageError,
    StorageTransaction, StoredStock,
};
use dhow_events::{CheckoutId, DecisionId, PaymentId, PlanId, ProductId, ReorderId, TenantId, Timestamp};
use sqlx::{Any, Transaction};

use crate::rows::storage_error;
use crate::{DatabaseKind, cases, checkouts, decisions, idempotency, models, outbox, products, reorders, route_plans};

/// A transaction of a [`Store`](crate::Store); dropped without a commit, it is rolled back.
pub struct StoreTransaction {
    kind: DatabaseKind,
    inner: Transaction<'static, Any>,
}

impl StoreTransaction {
    pub(crate) const fn new(kind: DatabaseKind, inner: Transaction<'static, Any>) -> Self {
        Self { kind, inner }
    }
}

impl StorageTransaction for StoreTransaction {
    async fn claim_idempotency_key(
        &mut self,
        tenant: TenantId,
        key: &Idempotency,
        now: Timestamp,
    ) -> Result<Claim, StorageError> {
        idempotency::claim(&mut self.inner, tenant, key, now).await
    }

    async fn save_idempotent_answer(&mut self, tenant: TenantId, key: &str, answer: &str) -> Result<(), StorageError> {
        idempotency::save_answer(&mut self.inner, tenant, key, answer).await
    }

    async fn find_products(&mut self, tenant: TenantId, ids: &[ProductId]) -> Result<Vec<Product>, StorageError> {
        products::find(&mut self.inner, tenant, ids).await
    }

    async fn put_product(&mut self, product: &Product) -> Result<bool, StorageError> {
        products::put(&mut self.inner, product).await
    }

    async fn put_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        on_hand: i64,
    ) -> Result<StoredStock, StorageError> {
        products::put_stock(&mut self.inner, tenant, product, on_hand).await
    }

    async fn reserve_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        quantity: i64,
    ) -> Result<Option<Shortage>, StorageError> {
        products::reserve(&mut self.inner, tenant, product, quantity).await
    }

    async fn take_reserved_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        quantity: i64,
    ) -> Result<StockLevel, StorageError> {
        products::take_reserved(&mut self.inner, tenant, product, quantity).await
    }

    async fn release_stock(&mut self, tenant: TenantId, product: ProductId, quantity: i64) -> Result<(), StorageError> {
        products::release(&mut self.inner, tenant, product, quantity).await
    }

    async fn insert_checkout(&mut self, checkout: &Checkout) -> Result<(), StorageError> {
        checkouts::insert(&mut self.inner, checkout).await
    }

    async fn settle_checkout(
        &mut self,
        tenant: TenantId,
        id: CheckoutId,
        settlement: &Settlement,
    ) -> Result<bool, StorageError> {
        checkouts::settle(&mut self.inner, tenant, id, settlement).await
    }

    async fn end_void(&mut self, tenant: TenantId, id: PaymentId, at: Timestamp) -> Result<bool, StorageError> {
        checkouts::end_void(&mut self.inner, tenant, id, at).await
    }

    async fn checkout(&mut self, tenant: TenantId, id: CheckoutId) -> Result<Option<Checkout>, StorageError> {
        checkouts::find(&mut self.inner, tenant, id).await
    }

    async fn insert_decisions(&mut self, decisions: &[&DecisionRecord]) -> Result<(), StorageError> {
        decisions::insert(&mut self.inner, decisions).await
    }

    async fn insert_case(&mut self, case: &FraudCase) -> Result<(), StorageError> {
        cases::insert(&mut self.inner, case).await
    }

    async fn case(&mut self, tenant: TenantId, id: DecisionId) -> Result<Option<FraudCase>, StorageError> {
        cases::hold(&mut self.inner, self.kind, tenant, id).await
    }

    async fn next_case(
        &mut self,
        tenant: TenantId,
        reviewer: &str,
        now: Timestamp,
    ) -> Result<Option<FraudCase>, StorageError> {
        cases::next(&mut self.inner, self.kind, tenant, reviewer, now).await
    }

    async fn update_case(&mut self, case: &FraudCase) -> Result<(), StorageError> {
        cases::update(&mut self.inner, case).await
    }

    async fn add_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        quantity: i64,
    ) -> Result<StockLevel, StorageError> {
        products::add_stock(&mut self.inner, tenant, product, quantity).await
    }

    async fn reorder(&mut self, tenant: TenantId, id: ReorderId) -> Result<Option<ReorderProposal>, StorageError> {
        reorders::hold(&mut self.inner, self.kind, tenant, id).await
    }

    async fn waiting_reorder(
        &mut self,
        tenant: TenantId,
        product: ProductId,
    ) -> Result<Option<ReorderProposal>, StorageError> {
        reorders::waiting(&mut self.inner, self.kind, tenant, product).await
    }

    async fn put_reorder(&mut self, proposal: &ReorderProposal) -> Result<(), StorageError> {
        reorders::put(&mut self.inner, proposal).await
    }

    async fn reorder_budgets(&mut self, tenant: TenantId) -> Result<ReorderBudgets, StorageError> {
        reorders::hold_budgets(&mut self.inner, self.kind, tenant).await
    }

    async fn put_reorder_budgets(&mut self, tenant: TenantId, budgets: &ReorderBudgets) -> Result<(), StorageError> {
        reorders::put_budgets(&mut self.inner, tenant, budgets).await
    }

    async fn approved_reorder_cost(&mut self, tenant: TenantId, from: Timestamp) -> Result<i64, StorageError> {
        reorders::approved_cost(&mut self.inner, tenant, from).await
    }

    async fn route_plan(&mut self, tenant: TenantId, id: PlanId) -> Result<Option<RoutePlan>, StorageError> {
        route_plans::hold(&mut self.inner, self.kind, tenant, id).await
    }

    async fn put_route_plan(&mut self, plan: &RoutePlan) -> Result<(), StorageError> {
        route_plans::put(&mut self.inner, plan).await
    }

    async fn progress_route_plan(
        &mut self,
        tenant: TenantId,
        id: PlanId,
        state: RoutePlanState,
        progress: &RoutePlanProgress,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        route_plans::progress(&mut self.inner, tenant, id, state, progress, at).await
    }

    async fn append_events(&mut self, events: &[OutboxEvent], at: Timestamp) -> Result<(), StorageError> {
        outbox::append(&mut self.inner, events, at).await
    }

    async fn put_model_serving(&mut self, serving: &ModelServing) -> Result<(), StorageError> {
        models::put(&mut self.inner, serving).await
    }

    async fn commit(self) -> Result<(), StorageError> {
        self.inner.commit().await.map_err(storage_error)
    }

    async fn rollback(self) -> Result<(), StorageError> {
        self.inner.rollback().await.map_err(storage_error)
    }
}
