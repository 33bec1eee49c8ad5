//! A database transaction as commerce sees it: each method leaves the SQL to the module of its table.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_commerce::{
    AUDIT_SUBJECTS_MAX, AfterSaleTransaction, Agreement, Auction, AuctionBid, BillingTransaction, CategoryTransaction,
    CategoryTree, Checkout, Claim, CreditChange, CreditHistory, CreditTransaction, CustomsDeclaration, DecisionRecord,
    DeclarationTransaction, Dispute, FeedHead, FraudCase, Idempotency, LineUnits, ModelServing, Order, OrderShipment,
    OutboxEvent, PayLaterPlan, Payment, PriceAlert, Product, RailQuote, ReorderBudgets, ReorderProposal, Return,
    RoutePlan, RoutePlanProgress, RoutePlanState, SavedSearch, SellerInvoice, SellerStanding, SellerSubscription,
    SellerTerms, Settlement, ShipmentTransaction, Shortage, StockLevel, StorageError, StorageTransaction, StoredStock,
    StoredWebhookEndpoint, Supplier, SupplierTransaction, Transfer, WatchTransaction, WebhookDelivery,
};
use dhow_events::{
    AuctionId, BuyerId, Category, CheckoutId, DecisionId, DeclarationId, DisputeId, OrderId, PaymentId, PlanId,
    PriceAlertId, ProductId, ReorderId, ReturnId, SavedSearchId, SellerId, ShipmentId, TenantId, Timestamp, TransferId,
    WebhookDeliveryId, WebhookEndpointId,
};
use dhow_ledger::{Account, Asset, Balance, Batch};
use sqlx::{Any, AnyConnection, Transaction};

use crate::audit::AuditedChange;
use crate::feature_lists::KnownLists;
use crate::rows::storage_error;
use crate::{
    DatabaseKind, SecretKeys, Store, WritePoints, agreements, auctions, billing, cases, categories, checkout_writes,
    checkouts, credit, decisions, declarations, disputes, feed, idempotency, ledger, models, outbox, products,
    reorders, reservations, returns, route_plans, sellers, shipments, suppliers, transfers, watches,
    webhook_deliveries, webhooks,
};

/// A transaction of a [`Store`](crate::Store); dropped without a commit, it is rolled back.
pub struct StoreTransaction {
    kind: DatabaseKind,
    inner: Transaction<'static, Any>,
    points: Option<Arc<WritePoints>>,
    known_lists: Arc<KnownLists>,
    secret_keys: Arc<SecretKeys>,
    /// What it changes, for the audit log: ids, and whose they are.
    subjects: Vec<String>,
    tenant: Option<TenantId>,
}

impl StoreTransaction {
    pub(crate) fn new(store: &Store, inner: Transaction<'static, Any>) -> Self {
        Self {
            kind: store.kind(),
            inner,
            points: store.points(),
            known_lists: store.known_lists(),
            secret_keys: store.secret_keys(),
            subjects: Vec::new(),
            tenant: None,
        }
    }

    fn changes(&mut self, tenant: TenantId, subject: String) {
        self.tenant.get_or_insert(tenant);
        if self.subjects.len() < AUDIT_SUBJECTS_MAX && !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
    }

    /// The connection for the next statement, which is a write point.
    async fn next(&mut self) -> &mut AnyConnection {
        if let Some(points) = &self.points {
            points.pass().await;
        }
        &mut self.inner
    }
}

impl StorageTransaction for StoreTransaction {
    async fn claim_idempotency_key(
        &mut self,
        tenant: TenantId,
        key: &Idempotency,
        now: Timestamp,
    ) -> Result<Claim, StorageError> {
        idempotency::claim(self.next().await, tenant, key, now).await
    }

    async fn save_idempotent_answer(&mut self, tenant: TenantId, key: &str, answer: &str) -> Result<(), StorageError> {
        idempotency::save_answer(self.next().await, tenant, key, answer).await
    }

    async fn find_products(&mut self, tenant: TenantId, ids: &[ProductId]) -> Result<Vec<Product>, StorageError> {
        products::find(self.next().await, tenant, ids).await
    }

    async fn put_product(&mut self, product: &Product) -> Result<bool, StorageError> {
        products::put(self.next().await, product).await
    }

    async fn put_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        on_hand: i64,
    ) -> Result<StoredStock, StorageError> {
        products::put_stock(self.next().await, tenant, product, on_hand).await
    }

    async fn reserve_stock(
        &mut self,
        tenant: TenantId,
        demand: &BTreeMap<ProductId, i64>,
    ) -> Result<Vec<Shortage>, StorageError> {
        let kind = self.kind;
        reservations::reserve(self.next().await, kind, tenant, demand).await
    }

    async fn take_reserved_stock(
        &mut self,
        tenant: TenantId,
        demand: &BTreeMap<ProductId, i64>,
    ) -> Result<Vec<StockLevel>, StorageError> {
        let kind = self.kind;
        reservations::take(self.next().await, kind, tenant, demand).await
    }

    async fn release_stock(&mut self, tenant: TenantId, demand: &BTreeMap<ProductId, i64>) -> Result<(), StorageError> {
        let kind = self.kind;
        reservations::release(self.next().await, kind, tenant, demand).await
    }

    async fn insert_checkout(&mut self, checkout: &Checkout) -> Result<(), StorageError> {
        let kind = self.kind;
        checkout_writes::insert(self.next().await, kind, checkout).await
    }

    async fn settle_checkout(
        &mut self,
        tenant: TenantId,
        id: CheckoutId,
        settlement: &Settlement,
    ) -> Result<bool, StorageError> {
        let kind = self.kind;
        checkout_writes::settle(self.next().await, kind, tenant, id, settlement).await
    }

    async fn hold_payment(&mut self, tenant: TenantId, id: PaymentId) -> Result<Option<CheckoutId>, StorageError> {
        let kind = self.kind;
        transfers::hold_payment(self.next().await, kind, tenant, id).await
    }

    async fn put_quote(&mut self, tenant: TenantId, id: PaymentId, quote: &RailQuote) -> Result<(), StorageError> {
        self.changes(tenant, id.to_string());
        transfers::put_quote(self.next().await, tenant, id, quote).await
    }

    async fn update_payment(&mut self, tenant: TenantId, payment: &Payment) -> Result<(), StorageError> {
        self.changes(tenant, payment.id.to_string());
        transfers::update_payment(self.next().await, tenant, payment).await
    }

    async fn update_order(&mut self, order: &Order) -> Result<(), StorageError> {
        transfers::update_order(self.next().await, order).await
    }

    async fn insert_transfer(&mut self, transfer: &Transfer) -> Result<(), StorageError> {
        self.changes(transfer.tenant, transfer.id.to_string());
        transfers::insert(self.next().await, transfer).await
    }

    async fn transfer(&mut self, tenant: TenantId, id: TransferId) -> Result<Option<Transfer>, StorageError> {
        let kind = self.kind;
        transfers::hold(self.next().await, kind, tenant, id).await
    }

    async fn update_transfer(&mut self, transfer: &Transfer) -> Result<(), StorageError> {
        self.changes(transfer.tenant, transfer.id.to_string());
        transfers::update(self.next().await, transfer).await
    }

    async fn write_batch(&mut self, batch: &Batch) -> Result<(), StorageError> {
        ledger::write(self.next().await, batch).await
    }

    async fn balance(&mut self, tenant: TenantId, account: &Account, asset: Asset) -> Result<Balance, StorageError> {
        let kind = self.kind;
        ledger::hold_balance(self.next().await, kind, tenant, account, asset).await
    }

    async fn seller_standings(
        &mut self,
        tenant: TenantId,
        sellers: &[SellerId],
        month: Timestamp,
    ) -> Result<BTreeMap<SellerId, SellerStanding>, StorageError> {
        sellers::standings(self.next().await, tenant, sellers, month).await
    }

    async fn put_seller_terms(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        terms: SellerTerms,
    ) -> Result<(), StorageError> {
        sellers::put_terms(self.next().await, tenant, seller, terms).await
    }

    async fn add_seller_sales(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        month: Timestamp,
        usd_minor: i64,
    ) -> Result<(), StorageError> {
        sellers::add_sales(self.next().await, tenant, seller, month, usd_minor).await
    }

    async fn checkout(&mut self, tenant: TenantId, id: CheckoutId) -> Result<Option<Checkout>, StorageError> {
        checkouts::find(self.next().await, tenant, id).await
    }

    async fn insert_decisions(&mut self, decisions: &[&DecisionRecord]) -> Result<(), StorageError> {
        let known = Arc::clone(&self.known_lists);
        decisions::insert(self.next().await, &known, decisions).await
    }

    async fn insert_case(&mut self, case: &FraudCase) -> Result<(), StorageError> {
        cases::insert(self.next().await, case).await
    }

    async fn case(&mut self, tenant: TenantId, id: DecisionId) -> Result<Option<FraudCase>, StorageError> {
        let kind = self.kind;
        cases::hold(self.next().await, kind, tenant, id).await
    }

    async fn next_case(
        &mut self,
        tenant: TenantId,
        reviewer: &str,
        now: Timestamp,
    ) -> Result<Option<FraudCase>, StorageError> {
        let kind = self.kind;
        cases::next(self.next().await, kind, tenant, reviewer, now).await
    }

    async fn update_case(&mut self, case: &FraudCase) -> Result<(), StorageError> {
        self.changes(case.tenant, case.decision.to_string());
        cases::update(self.next().await, case).await
    }

    async fn add_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        quantity: i64,
    ) -> Result<StockLevel, StorageError> {
        products::add_stock(self.next().await, tenant, product, quantity).await
    }

    async fn auction(&mut self, tenant: TenantId, id: AuctionId) -> Result<Option<Auction>, StorageError> {
        let kind = self.kind;
        auctions::hold(self.next().await, kind, tenant, id).await
    }

    async fn put_auction(&mut self, auction: &Auction) -> Result<(), StorageError> {
        self.changes(auction.tenant, auction.id.to_string());
        auctions::put(self.next().await, auction).await
    }

    async fn insert_bid(&mut self, tenant: TenantId, auction: AuctionId, bid: &AuctionBid) -> Result<(), StorageError> {
        auctions::insert_bid(self.next().await, tenant, auction, bid).await
    }

    async fn auction_bids(&mut self, tenant: TenantId, auction: AuctionId) -> Result<Vec<AuctionBid>, StorageError> {
        auctions::bids(self.next().await, tenant, auction, i64::MAX).await
    }

    async fn reorder(&mut self, tenant: TenantId, id: ReorderId) -> Result<Option<ReorderProposal>, StorageError> {
        let kind = self.kind;
        reorders::hold(self.next().await, kind, tenant, id).await
    }

    async fn waiting_reorder(
        &mut self,
        tenant: TenantId,
        product: ProductId,
    ) -> Result<Option<ReorderProposal>, StorageError> {
        let kind = self.kind;
        reorders::waiting(self.next().await, kind, tenant, product).await
    }

    async fn put_reorder(&mut self, proposal: &ReorderProposal) -> Result<(), StorageError> {
        self.changes(proposal.tenant, proposal.id.to_string());
        reorders::put(self.next().await, proposal).await
    }

    async fn reorder_budgets(&mut self, tenant: TenantId) -> Result<ReorderBudgets, StorageError> {
        let kind = self.kind;
        reorders::hold_budgets(self.next().await, kind, tenant).await
    }

    async fn put_reorder_budgets(&mut self, tenant: TenantId, budgets: &ReorderBudgets) -> Result<(), StorageError> {
        reorders::put_budgets(self.next().await, tenant, budgets).await
    }

    async fn approved_reorder_cost(&mut self, tenant: TenantId, from: Timestamp) -> Result<i64, StorageError> {
        reorders::approved_cost(self.next().await, tenant, from).await
    }

    async fn route_plan(&mut self, tenant: TenantId, id: PlanId) -> Result<Option<RoutePlan>, StorageError> {
        let kind = self.kind;
        route_plans::hold(self.next().await, kind, tenant, id).await
    }

    async fn put_route_plan(&mut self, plan: &RoutePlan) -> Result<(), StorageError> {
        self.changes(plan.tenant, plan.id.to_string());
        route_plans::put(self.next().await, plan).await
    }

    async fn progress_route_plan(
        &mut self,
        tenant: TenantId,
        id: PlanId,
        state: RoutePlanState,
        progress: &RoutePlanProgress,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        route_plans::progress(self.next().await, tenant, id, state, progress, at).await
    }

    async fn hold_feed(&mut self, tenant: TenantId) -> Result<FeedHead, StorageError> {
        feed::hold_head(self.next().await, tenant).await
    }

    async fn webhook_endpoint_count(&mut self, tenant: TenantId) -> Result<i64, StorageError> {
        webhooks::count(self.next().await, tenant).await
    }

    async fn webhook_endpoint(
        &mut self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> Result<Option<StoredWebhookEndpoint>, StorageError> {
        let kind = self.kind;
        let keys = self.secret_keys.clone();
        webhooks::hold(self.next().await, kind, &keys, tenant, id).await
    }

    async fn put_webhook_endpoint(&mut self, endpoint: &StoredWebhookEndpoint) -> Result<(), StorageError> {
        self.changes(endpoint.endpoint.tenant, endpoint.endpoint.id.to_string());
        let keys = self.secret_keys.clone();
        webhooks::put(self.next().await, &keys, endpoint).await
    }

    async fn delete_webhook_endpoint(&mut self, tenant: TenantId, id: WebhookEndpointId) -> Result<bool, StorageError> {
        webhooks::delete(self.next().await, tenant, id).await
    }

    async fn pending_webhook_deliveries(
        &mut self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
    ) -> Result<i64, StorageError> {
        webhook_deliveries::pending(self.next().await, tenant, endpoint).await
    }

    async fn put_webhook_deliveries(
        &mut self,
        deliveries: &[WebhookDelivery],
        again: bool,
    ) -> Result<(), StorageError> {
        webhook_deliveries::put(self.next().await, deliveries, again).await
    }

    async fn webhook_delivery(
        &mut self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        id: WebhookDeliveryId,
    ) -> Result<Option<WebhookDelivery>, StorageError> {
        let kind = self.kind;
        webhook_deliveries::hold(self.next().await, kind, (tenant, endpoint, id)).await
    }

    async fn update_webhook_delivery(&mut self, delivery: &WebhookDelivery) -> Result<(), StorageError> {
        webhook_deliveries::update(self.next().await, delivery).await
    }

    async fn postpone_webhook_deliveries(
        &mut self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        due_at: Timestamp,
    ) -> Result<(), StorageError> {
        webhook_deliveries::postpone(self.next().await, tenant, endpoint, due_at).await
    }

    async fn append_events(&mut self, events: &[OutboxEvent], at: Timestamp) -> Result<(), StorageError> {
        for event in events {
            self.changes(event.event.tenant, event.aggregate.clone());
        }
        outbox::append(self.next().await, events, at).await
    }

    async fn put_model_serving(&mut self, serving: &ModelServing) -> Result<(), StorageError> {
        models::put(self.next().await, serving).await
    }

    async fn commit(mut self) -> Result<(), StorageError> {
        let audited = AuditedChange::of_this_task();
        if let Some(change) = &audited {
            let (tenant, subjects) = (self.tenant, std::mem::take(&mut self.subjects));
            change.write(self.next().await, tenant, &subjects).await?;
        }
        self.next().await;
        let points = self.points.clone();
        self.inner.commit().await.map_err(storage_error)?;
        if let Some(change) = audited {
            change.done();
        }
        if let Some(points) = points {
            points.pass().await;
        }
        Ok(())
    }

    async fn rollback(self) -> Result<(), StorageError> {
        self.inner.rollback().await.map_err(storage_error)
    }
}

impl AfterSaleTransaction for StoreTransaction {
    async fn find_return(&mut self, tenant: TenantId, id: ReturnId) -> Result<Option<Return>, StorageError> {
        returns::find(self.next().await, tenant, id).await
    }

    async fn return_of_transfer(
        &mut self,
        tenant: TenantId,
        transfer: TransferId,
    ) -> Result<Option<Return>, StorageError> {
        returns::of_transfer(self.next().await, tenant, transfer).await
    }

    async fn insert_return_transfer(
        &mut self,
        tenant: TenantId,
        transfer: TransferId,
        id: ReturnId,
    ) -> Result<(), StorageError> {
        returns::insert_transfer(self.next().await, tenant, transfer, id).await
    }

    async fn put_return(&mut self, value: &Return) -> Result<(), StorageError> {
        self.changes(value.tenant, value.id.to_string());
        returns::put(self.next().await, value).await
    }

    async fn count_returns(&mut self, tenant: TenantId, order: OrderId) -> Result<i64, StorageError> {
        returns::count(self.next().await, tenant, order).await
    }

    async fn add_returned(
        &mut self,
        tenant: TenantId,
        order: OrderId,
        product: ProductId,
        quantity: i64,
    ) -> Result<(), StorageError> {
        returns::add_units(self.next().await, tenant, (order, product), quantity).await
    }

    async fn find_dispute(&mut self, tenant: TenantId, id: DisputeId) -> Result<Option<Dispute>, StorageError> {
        disputes::find(self.next().await, tenant, id).await
    }

    async fn disputes_of(&mut self, tenant: TenantId, payment: PaymentId) -> Result<Vec<Dispute>, StorageError> {
        disputes::of_payment(self.next().await, tenant, payment).await
    }

    async fn put_dispute(&mut self, dispute: &Dispute) -> Result<(), StorageError> {
        self.changes(dispute.tenant, dispute.id.to_string());
        disputes::put(self.next().await, dispute).await
    }

    async fn add_disputed(&mut self, tenant: TenantId, payment: PaymentId, minor: i64) -> Result<(), StorageError> {
        disputes::add_to_payment(self.next().await, tenant, payment, minor).await
    }
}

impl ShipmentTransaction for StoreTransaction {
    async fn find_shipment(&mut self, tenant: TenantId, id: ShipmentId) -> Result<Option<OrderShipment>, StorageError> {
        shipments::find(self.next().await, tenant, id).await
    }

    async fn shipments_of(&mut self, tenant: TenantId, order: OrderId) -> Result<Vec<OrderShipment>, StorageError> {
        shipments::of_order(self.next().await, tenant, order).await
    }

    async fn put_shipment(&mut self, shipment: &OrderShipment) -> Result<(), StorageError> {
        self.changes(shipment.tenant, shipment.id.to_string());
        shipments::put(self.next().await, shipment).await
    }

    async fn line_units(&mut self, tenant: TenantId, order: OrderId) -> Result<Vec<LineUnits>, StorageError> {
        shipments::line_units(self.next().await, tenant, order).await
    }

    async fn add_shipped(
        &mut self,
        tenant: TenantId,
        order: OrderId,
        product: ProductId,
        added: (i64, i64),
    ) -> Result<(), StorageError> {
        shipments::add_units(self.next().await, tenant, (order, product), added).await
    }
}

impl DeclarationTransaction for StoreTransaction {
    async fn hold_declaration(
        &mut self,
        tenant: TenantId,
        id: DeclarationId,
    ) -> Result<Option<CustomsDeclaration>, StorageError> {
        let kind = self.kind;
        declarations::hold(self.next().await, kind, tenant, id).await
    }

    async fn put_declaration(&mut self, declaration: &CustomsDeclaration) -> Result<(), StorageError> {
        self.changes(declaration.tenant, declaration.id.to_string());
        declarations::put(self.next().await, declaration).await
    }
}

impl BillingTransaction for StoreTransaction {
    async fn hold_subscription(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
    ) -> Result<Option<SellerSubscription>, StorageError> {
        let lock = self.kind.row_lock();
        billing::find(self.next().await, lock, tenant, seller).await
    }

    async fn put_subscription(&mut self, subscription: &SellerSubscription) -> Result<bool, StorageError> {
        self.changes(subscription.tenant, subscription.seller.to_string());
        billing::put(self.next().await, subscription).await
    }

    async fn insert_invoice(&mut self, invoice: &SellerInvoice) -> Result<(), StorageError> {
        billing::insert_invoice(self.next().await, invoice).await
    }

    async fn orders_since(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        since: Timestamp,
    ) -> Result<i64, StorageError> {
        billing::orders_since(self.next().await, tenant, seller, since).await
    }

    async fn products_on_offer(&mut self, tenant: TenantId, seller: SellerId) -> Result<i64, StorageError> {
        billing::products_on_offer(self.next().await, tenant, seller).await
    }
}

impl CategoryTransaction for StoreTransaction {
    async fn categories(&mut self, tenant: TenantId) -> Result<Option<CategoryTree>, StorageError> {
        let lock = self.kind.share_lock();
        categories::find(self.next().await, lock, tenant).await
    }

    async fn hold_categories(&mut self, tenant: TenantId) -> Result<Option<CategoryTree>, StorageError> {
        let lock = self.kind.row_lock();
        categories::find(self.next().await, lock, tenant).await
    }

    async fn variants(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        group: &str,
    ) -> Result<Vec<Product>, StorageError> {
        products::variants(self.next().await, tenant, seller, group).await
    }

    async fn used_categories(&mut self, tenant: TenantId) -> Result<Vec<Category>, StorageError> {
        categories::used(self.next().await, tenant).await
    }

    async fn put_categories(&mut self, tree: &CategoryTree) -> Result<bool, StorageError> {
        self.changes(tree.tenant, "categories".to_owned());
        categories::put(self.next().await, tree).await
    }
}

impl SupplierTransaction for StoreTransaction {
    async fn hold_supplier(&mut self, tenant: TenantId, seller: SellerId) -> Result<Option<Supplier>, StorageError> {
        let lock = self.kind.row_lock();
        suppliers::find(self.next().await, lock, tenant, seller).await
    }

    async fn put_supplier(&mut self, supplier: &Supplier) -> Result<bool, StorageError> {
        self.changes(supplier.tenant, supplier.seller.to_string());
        suppliers::put(self.next().await, supplier).await
    }
}

impl CreditTransaction for StoreTransaction {
    async fn pay_later_plan(&mut self, tenant: TenantId, name: &str) -> Result<Option<PayLaterPlan>, StorageError> {
        credit::plan(self.next().await, tenant, name).await
    }

    async fn count_pay_later_plans(&mut self, tenant: TenantId) -> Result<i64, StorageError> {
        credit::count_plans(self.next().await, tenant).await
    }

    async fn put_pay_later_plan(&mut self, plan: &PayLaterPlan) -> Result<bool, StorageError> {
        self.changes(plan.tenant, format!("pay_later_plan:{}", plan.name));
        credit::put_plan(self.next().await, plan).await
    }

    async fn credit_history(&mut self, tenant: TenantId, buyer: BuyerId) -> Result<CreditHistory, StorageError> {
        let lock = self.kind.row_lock();
        credit::history(self.next().await, lock, tenant, buyer).await
    }

    async fn grant_credit(
        &mut self,
        tenant: TenantId,
        buyer: BuyerId,
        limit_usd_minor: i64,
        usd_minor: i64,
    ) -> Result<(), StorageError> {
        credit::grant(self.next().await, tenant, buyer, limit_usd_minor, usd_minor).await
    }

    async fn change_credit(
        &mut self,
        tenant: TenantId,
        buyer: BuyerId,
        change: &CreditChange,
    ) -> Result<(), StorageError> {
        credit::change(self.next().await, tenant, buyer, change).await
    }

    async fn agreement_of_payment(
        &mut self,
        tenant: TenantId,
        payment: PaymentId,
    ) -> Result<Option<Agreement>, StorageError> {
        agreements::of_payment(self.next().await, tenant, payment).await
    }

    async fn put_agreement(&mut self, agreement: &Agreement) -> Result<(), StorageError> {
        self.changes(agreement.tenant, agreement.id.to_string());
        agreements::put(self.next().await, agreement).await
    }
}

impl WatchTransaction for StoreTransaction {
    async fn change_watches(&mut self, tenant: TenantId) -> Result<(), StorageError> {
        watches::change(self.next().await, tenant).await
    }

    async fn count_saved_searches(&mut self, tenant: TenantId, buyer: Option<BuyerId>) -> Result<i64, StorageError> {
        watches::count_searches(self.next().await, tenant, buyer).await
    }

    async fn insert_saved_search(&mut self, search: &SavedSearch) -> Result<(), StorageError> {
        self.changes(search.tenant, search.id.to_string());
        watches::insert_search(self.next().await, search).await
    }

    async fn delete_saved_search(&mut self, tenant: TenantId, id: SavedSearchId) -> Result<bool, StorageError> {
        self.changes(tenant, id.to_string());
        watches::delete_search(self.next().await, tenant, id).await
    }

    async fn know_product(
        &mut self,
        tenant: TenantId,
        search: SavedSearchId,
        product: ProductId,
    ) -> Result<bool, StorageError> {
        watches::know(self.next().await, tenant, search, product).await
    }

    async fn count_price_alerts(&mut self, tenant: TenantId, buyer: Option<BuyerId>) -> Result<i64, StorageError> {
        watches::count_alerts(self.next().await, tenant, buyer).await
    }

    async fn insert_price_alert(&mut self, alert: &PriceAlert) -> Result<(), StorageError> {
        self.changes(alert.tenant, alert.id.to_string());
        watches::insert_alert(self.next().await, alert).await
    }

    async fn delete_price_alert(&mut self, tenant: TenantId, id: PriceAlertId) -> Result<bool, StorageError> {
        self.changes(tenant, id.to_string());
        watches::delete_alert(self.next().await, tenant, id).await
    }

    async fn trigger_price_alert(
        &mut self,
        tenant: TenantId,
        id: PriceAlertId,
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        watches::trigger(self.next().await, tenant, id, at).await
    }
}
