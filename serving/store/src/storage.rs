//! Reads outside a transaction: each takes a connection and leaves the SQL to the module of its table.

use dhow_commerce::{
    AfterSaleStorage, Agreement, AgreementFilter, Auction, AuctionBid, AuctionState, BillingStorage, CaseFilter,
    CategoryStorage, CategoryTree, Checkout, CreditHistory, CreditStorage, CustomsDeclaration, DecisionFilter,
    DecisionRecord, DeclarationFilter, DeclarationStorage, Dispute, DisputeFilter, FeedHead, FeedPart, FraudCase,
    ModelServing, Order, OrderFilter, OrderShipment, OutboxEvent, OutboxRecord, Page, PageRequest, PayLaterPlan,
    PriceAlert, Product, ProductState, ReorderBudgets, ReorderProposal, ReorderState, Return, ReturnFilter, RoutePlan,
    RoutePlanHead, RoutePlanState, SavedSearch, SellerInvoice, SellerSubscription, SellerTerms, ShipmentFilter,
    ShipmentStorage, StockLevel, Storage, StorageError, StoredWebhookEndpoint, Supplier, SupplierState,
    SupplierStorage, Transfer, TransferFilter, UnitsOnTheirWay, Waiting, WatchStorage, WebhookDelivery,
    WebhookDeliveryState, WebhookEndpoint,
};
use dhow_events::{
    AgreementId, AuctionId, BuyerId, CheckoutId, DecisionId, DeclarationId, DisputeId, OrderId, PaymentId, PlanId,
    PriceAlertId, ProductId, ReorderId, ReturnId, SavedSearchId, SellerId, ShipmentId, TenantId, Timestamp, TransferId,
    WebhookEndpointId,
};
use dhow_ledger::{Balances, Batch};

use crate::connect::Durability;
use crate::{
    Store, StoreTransaction, agreements, at_once, auctions, billing, cases, categories, checkouts, credit, decisions,
    declarations, disputes, feed, idempotency, ledger, models, outbox, products, reorders, returns, route_plans,
    sellers, shipments, suppliers, transfers, watches, webhook_deliveries, webhooks,
};

impl Storage for Store {
    type Transaction = StoreTransaction;

    async fn record_at_once(
        &self,
        decisions: &[(&DecisionRecord, OutboxEvent)],
        at: Timestamp,
    ) -> Result<bool, StorageError> {
        at_once::record(self, decisions, at).await
    }

    async fn begin(&self) -> Result<StoreTransaction, StorageError> {
        let transaction = self.writer(Durability::Synced).await?;
        Ok(StoreTransaction::new(self, transaction))
    }

    async fn product(&self, tenant: TenantId, id: ProductId) -> Result<Option<Product>, StorageError> {
        Ok(products::find(&mut *self.reader().await?, tenant, &[id]).await?.pop())
    }

    async fn find_products(&self, tenant: TenantId, ids: &[ProductId]) -> Result<Vec<Product>, StorageError> {
        products::find(&mut *self.reader().await?, tenant, ids).await
    }

    async fn products(
        &self,
        tenant: TenantId,
        state: Option<ProductState>,
        page: &PageRequest,
    ) -> Result<Page<Product>, StorageError> {
        products::page(&mut *self.reader().await?, tenant, state, page).await
    }

    async fn stock(&self, tenant: TenantId, product: ProductId) -> Result<Option<StockLevel>, StorageError> {
        products::stock(&mut *self.reader().await?, tenant, product).await
    }

    async fn checkout(&self, tenant: TenantId, id: CheckoutId) -> Result<Option<Checkout>, StorageError> {
        checkouts::find(&mut *self.snapshot().await?, tenant, id).await
    }

    async fn waiting_checkouts(
        &self,
        waiting: Waiting,
        created_before: Timestamp,
        after: Option<(Timestamp, CheckoutId)>,
        limit: u32,
    ) -> Result<Vec<Checkout>, StorageError> {
        checkouts::waiting(&mut *self.snapshot().await?, waiting, created_before, after, limit).await
    }

    async fn payment(&self, tenant: TenantId, id: PaymentId) -> Result<Option<Checkout>, StorageError> {
        transfers::payment(&mut *self.snapshot().await?, tenant, id).await
    }

    async fn payment_reference(&self, tenant: TenantId, id: PaymentId) -> Result<Option<String>, StorageError> {
        transfers::payment_reference(&mut *self.reader().await?, tenant, id).await
    }

    async fn transfer(&self, tenant: TenantId, id: TransferId) -> Result<Option<Transfer>, StorageError> {
        transfers::find(&mut *self.snapshot().await?, tenant, id).await
    }

    async fn transfers(
        &self,
        tenant: TenantId,
        filter: &TransferFilter,
        page: &PageRequest,
    ) -> Result<Page<Transfer>, StorageError> {
        transfers::page(&mut *self.snapshot().await?, tenant, filter, page).await
    }

    async fn due_transfers(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, TransferId)>,
        limit: u32,
    ) -> Result<Vec<Transfer>, StorageError> {
        transfers::due(&mut *self.snapshot().await?, now, after, limit).await
    }

    async fn history(&self, tenant: TenantId, aggregate: &str, limit: u32) -> Result<Vec<OutboxRecord>, StorageError> {
        outbox::history(&mut *self.reader().await?, tenant, aggregate, limit).await
    }

    async fn feed_head(&self, tenant: TenantId) -> Result<FeedHead, StorageError> {
        feed::head(&mut *self.reader().await?, tenant).await
    }

    async fn feed_part(
        &self,
        tenant: TenantId,
        after: Option<i64>,
        kinds: &[&str],
        limit: u32,
    ) -> Result<FeedPart, StorageError> {
        feed::part(&mut *self.snapshot().await?, tenant, after, kinds, limit).await
    }

    async fn webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> Result<Option<StoredWebhookEndpoint>, StorageError> {
        webhooks::find(&mut *self.reader().await?, "", &self.secret_keys(), tenant, id).await
    }

    async fn webhook_endpoints(&self, tenant: TenantId) -> Result<Vec<WebhookEndpoint>, StorageError> {
        webhooks::list(&mut *self.reader().await?, tenant).await
    }

    async fn webhook_endpoints_behind(&self, limit: u32) -> Result<Vec<(TenantId, WebhookEndpointId)>, StorageError> {
        webhooks::behind(&mut *self.reader().await?, limit).await
    }

    async fn webhook_deliveries(
        &self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        state: Option<WebhookDeliveryState>,
        page: &PageRequest,
    ) -> Result<Page<WebhookDelivery>, StorageError> {
        webhook_deliveries::page(&mut *self.reader().await?, tenant, endpoint, state, page).await
    }

    async fn claim_webhook_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        excluded: &[WebhookEndpointId],
    ) -> Result<Vec<WebhookDelivery>, StorageError> {
        // SQLite has one writer: who only looks whether something is due does not ask for it.
        if !webhook_deliveries::is_any_due(&mut *self.reader().await?, now).await? {
            return Ok(Vec::new());
        }
        // A claim that is lost is made again.
        let mut transaction = self.writer(Durability::Repeatable).await?;
        let claimed = webhook_deliveries::claim(&mut transaction, now, until, limit, excluded).await?;
        transaction.commit().await.map_err(crate::rows::storage_error)?;
        Ok(claimed)
    }

    async fn forget_webhook_deliveries(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        let forgotten = webhook_deliveries::forget(&mut transaction, before).await?;
        transaction.commit().await.map_err(crate::rows::storage_error)?;
        Ok(forgotten)
    }

    async fn balances(&self, tenant: TenantId) -> Result<Balances, StorageError> {
        ledger::balances(&mut *self.reader().await?, tenant).await
    }

    async fn balances_at(&self, tenant: TenantId, at: Timestamp) -> Result<Balances, StorageError> {
        ledger::balances_at(&mut *self.reader().await?, tenant, at).await
    }

    async fn journal(&self, tenant: TenantId, after: i64, limit: u32) -> Result<Vec<(i64, Batch)>, StorageError> {
        ledger::journal(&mut *self.snapshot().await?, tenant, after, limit).await
    }

    async fn seller_terms(&self, tenant: TenantId, seller: SellerId) -> Result<SellerTerms, StorageError> {
        sellers::terms_of(&mut *self.reader().await?, tenant, seller).await
    }

    async fn order(&self, tenant: TenantId, id: OrderId) -> Result<Option<Order>, StorageError> {
        checkouts::find_order(&mut *self.snapshot().await?, tenant, id).await
    }

    async fn orders(
        &self,
        tenant: TenantId,
        filter: &OrderFilter,
        page: &PageRequest,
    ) -> Result<Page<Order>, StorageError> {
        checkouts::order_page(&mut *self.snapshot().await?, tenant, filter, page).await
    }

    async fn decision(&self, tenant: TenantId, id: DecisionId) -> Result<Option<DecisionRecord>, StorageError> {
        decisions::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn decisions(
        &self,
        tenant: TenantId,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> Result<Page<DecisionRecord>, StorageError> {
        decisions::page(&mut *self.reader().await?, tenant, filter, page).await
    }

    async fn fraud_case(&self, tenant: TenantId, id: DecisionId) -> Result<Option<FraudCase>, StorageError> {
        cases::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn fraud_cases(
        &self,
        tenant: TenantId,
        filter: &CaseFilter,
        page: &PageRequest,
    ) -> Result<Page<FraudCase>, StorageError> {
        cases::page(&mut *self.reader().await?, tenant, filter, page).await
    }

    async fn auction(&self, tenant: TenantId, id: AuctionId) -> Result<Option<Auction>, StorageError> {
        auctions::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn first_bids(
        &self,
        tenant: TenantId,
        auction: AuctionId,
        count: i64,
    ) -> Result<Vec<AuctionBid>, StorageError> {
        auctions::bids(&mut *self.reader().await?, tenant, auction, count).await
    }

    async fn auctions(
        &self,
        tenant: TenantId,
        state: Option<AuctionState>,
        page: &PageRequest,
    ) -> Result<Page<Auction>, StorageError> {
        auctions::page(&mut *self.reader().await?, tenant, state, page).await
    }

    async fn due_auctions(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, AuctionId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, TenantId, AuctionId)>, StorageError> {
        auctions::due(&mut *self.reader().await?, now, after, limit).await
    }

    async fn reorder(&self, tenant: TenantId, id: ReorderId) -> Result<Option<ReorderProposal>, StorageError> {
        reorders::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn reorders(
        &self,
        tenant: TenantId,
        state: Option<ReorderState>,
        page: &PageRequest,
    ) -> Result<Page<ReorderProposal>, StorageError> {
        reorders::page(&mut *self.reader().await?, tenant, state, page).await
    }

    async fn reorders_on_their_way(
        &self,
        tenant: TenantId,
        products: &[ProductId],
    ) -> Result<UnitsOnTheirWay, StorageError> {
        reorders::on_their_way(&mut *self.reader().await?, tenant, products).await
    }

    async fn reorder_budgets(&self, tenant: TenantId) -> Result<ReorderBudgets, StorageError> {
        reorders::budgets(&mut *self.reader().await?, tenant).await
    }

    async fn route_plan(&self, tenant: TenantId, id: PlanId) -> Result<Option<RoutePlan>, StorageError> {
        route_plans::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn route_plan_head(&self, tenant: TenantId, id: PlanId) -> Result<Option<RoutePlanHead>, StorageError> {
        route_plans::head(&mut *self.reader().await?, tenant, id).await
    }

    async fn route_plan_version(
        &self,
        tenant: TenantId,
        id: PlanId,
        version: i64,
    ) -> Result<Option<RoutePlan>, StorageError> {
        route_plans::version(&mut *self.reader().await?, tenant, id, version).await
    }

    async fn route_plans(
        &self,
        tenant: TenantId,
        state: Option<RoutePlanState>,
        page: &PageRequest,
    ) -> Result<Page<RoutePlan>, StorageError> {
        route_plans::page(&mut *self.reader().await?, tenant, state, page).await
    }

    async fn model_servings(&self, tenant: TenantId) -> Result<Vec<ModelServing>, StorageError> {
        models::list(&mut *self.reader().await?, tenant).await
    }

    async fn forget_idempotency_keys(&self, before: Timestamp) -> Result<u64, StorageError> {
        let mut transaction = self.writer(Durability::Synced).await?;
        let forgotten = idempotency::forget(&mut transaction, before).await?;
        transaction.commit().await.map_err(crate::rows::storage_error)?;
        Ok(forgotten)
    }
}

impl AfterSaleStorage for Store {
    async fn find_return(&self, tenant: TenantId, id: ReturnId) -> Result<Option<Return>, StorageError> {
        returns::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn returns(
        &self,
        tenant: TenantId,
        filter: &ReturnFilter,
        page: &PageRequest,
    ) -> Result<Page<Return>, StorageError> {
        returns::page(&mut *self.reader().await?, tenant, filter, page).await
    }

    async fn find_dispute(&self, tenant: TenantId, id: DisputeId) -> Result<Option<Dispute>, StorageError> {
        disputes::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn disputes(
        &self,
        tenant: TenantId,
        filter: &DisputeFilter,
        page: &PageRequest,
    ) -> Result<Page<Dispute>, StorageError> {
        disputes::page(&mut *self.reader().await?, tenant, filter, page).await
    }
}

impl ShipmentStorage for Store {
    async fn shipment(&self, tenant: TenantId, id: ShipmentId) -> Result<Option<OrderShipment>, StorageError> {
        shipments::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn shipments(
        &self,
        tenant: TenantId,
        filter: &ShipmentFilter,
        page: &PageRequest,
    ) -> Result<Page<OrderShipment>, StorageError> {
        shipments::page(&mut *self.reader().await?, tenant, filter, page).await
    }

    async fn due_shipments(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, ShipmentId)>,
        limit: u32,
    ) -> Result<Vec<OrderShipment>, StorageError> {
        shipments::due(&mut *self.reader().await?, now, after, limit).await
    }
}

impl DeclarationStorage for Store {
    async fn declaration(
        &self,
        tenant: TenantId,
        id: DeclarationId,
    ) -> Result<Option<CustomsDeclaration>, StorageError> {
        declarations::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn declarations(
        &self,
        tenant: TenantId,
        filter: &DeclarationFilter,
        page: &PageRequest,
    ) -> Result<Page<CustomsDeclaration>, StorageError> {
        declarations::page(&mut *self.reader().await?, tenant, filter, page).await
    }
}

impl BillingStorage for Store {
    async fn subscription(
        &self,
        tenant: TenantId,
        seller: SellerId,
    ) -> Result<Option<SellerSubscription>, StorageError> {
        billing::find(&mut *self.reader().await?, "", tenant, seller).await
    }

    async fn invoices(
        &self,
        tenant: TenantId,
        seller: SellerId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<SellerInvoice>, StorageError> {
        billing::invoices(&mut *self.reader().await?, tenant, seller, before, limit).await
    }

    async fn due_subscriptions(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, TenantId, SellerId)>,
        limit: u32,
    ) -> Result<Vec<(Timestamp, TenantId, SellerId)>, StorageError> {
        billing::due(&mut *self.reader().await?, now, after, limit).await
    }

    async fn orders_since(&self, tenant: TenantId, seller: SellerId, since: Timestamp) -> Result<i64, StorageError> {
        billing::orders_since(&mut *self.reader().await?, tenant, seller, since).await
    }

    async fn products_on_offer(&self, tenant: TenantId, seller: SellerId) -> Result<i64, StorageError> {
        billing::products_on_offer(&mut *self.reader().await?, tenant, seller).await
    }
}

impl CategoryStorage for Store {
    async fn variants(&self, tenant: TenantId, seller: SellerId, group: &str) -> Result<Vec<Product>, StorageError> {
        products::variants(&mut *self.reader().await?, tenant, seller, group).await
    }

    async fn categories(&self, tenant: TenantId) -> Result<Option<CategoryTree>, StorageError> {
        categories::find(&mut *self.reader().await?, "", tenant).await
    }
}

impl SupplierStorage for Store {
    async fn supplier(&self, tenant: TenantId, seller: SellerId) -> Result<Option<Supplier>, StorageError> {
        suppliers::find(&mut *self.reader().await?, "", tenant, seller).await
    }

    async fn suppliers(
        &self,
        tenant: TenantId,
        state: Option<SupplierState>,
        page: &PageRequest,
    ) -> Result<Page<Supplier>, StorageError> {
        suppliers::page(&mut *self.reader().await?, tenant, state, page).await
    }
}

impl CreditStorage for Store {
    async fn pay_later_plans(&self, tenant: TenantId) -> Result<Vec<PayLaterPlan>, StorageError> {
        credit::plans(&mut *self.reader().await?, tenant).await
    }

    async fn credit_history(&self, tenant: TenantId, buyer: BuyerId) -> Result<CreditHistory, StorageError> {
        credit::history(&mut *self.reader().await?, "", tenant, buyer).await
    }

    async fn agreement(&self, tenant: TenantId, id: AgreementId) -> Result<Option<Agreement>, StorageError> {
        agreements::find(&mut *self.reader().await?, tenant, id).await
    }

    async fn agreement_of_payment(
        &self,
        tenant: TenantId,
        payment: PaymentId,
    ) -> Result<Option<Agreement>, StorageError> {
        agreements::of_payment(&mut *self.reader().await?, tenant, payment).await
    }

    async fn agreements(
        &self,
        tenant: TenantId,
        filter: &AgreementFilter,
        page: &PageRequest,
    ) -> Result<Page<Agreement>, StorageError> {
        agreements::page(&mut *self.reader().await?, tenant, filter, page).await
    }

    async fn due_agreements(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, AgreementId)>,
        limit: u32,
    ) -> Result<Vec<Agreement>, StorageError> {
        agreements::due(&mut *self.reader().await?, now, after, limit).await
    }
}

impl WatchStorage for Store {
    async fn saved_search(&self, tenant: TenantId, id: SavedSearchId) -> Result<Option<SavedSearch>, StorageError> {
        watches::search(&mut *self.reader().await?, tenant, id).await
    }

    async fn saved_searches(
        &self,
        tenant: TenantId,
        buyer: Option<BuyerId>,
        page: &PageRequest,
    ) -> Result<Page<SavedSearch>, StorageError> {
        watches::search_page(&mut *self.reader().await?, tenant, buyer, page).await
    }

    async fn all_saved_searches(&self, tenant: TenantId) -> Result<Vec<SavedSearch>, StorageError> {
        watches::all_searches(&mut *self.reader().await?, tenant).await
    }

    async fn price_alert(&self, tenant: TenantId, id: PriceAlertId) -> Result<Option<PriceAlert>, StorageError> {
        watches::alert(&mut *self.reader().await?, tenant, id).await
    }

    async fn price_alerts(
        &self,
        tenant: TenantId,
        buyer: Option<BuyerId>,
        page: &PageRequest,
    ) -> Result<Page<PriceAlert>, StorageError> {
        watches::alert_page(&mut *self.reader().await?, tenant, buyer, page).await
    }

    async fn waiting_price_alerts(
        &self,
        tenant: TenantId,
        products: &[ProductId],
    ) -> Result<Vec<PriceAlert>, StorageError> {
        watches::waiting_alerts(&mut *self.reader().await?, tenant, products).await
    }

    async fn watch_versions(&self) -> Result<Vec<(TenantId, i64)>, StorageError> {
        watches::versions(&mut *self.reader().await?).await
    }
}
