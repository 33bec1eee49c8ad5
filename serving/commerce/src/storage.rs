//! What commerce asks of a database, without a word of SQL; `dhow-store` implements it.

use std::collections::BTreeMap;
use std::future::Future;

use dhow_events::{
    AuctionId, BuyerId, CheckoutId, DecisionId, KeyId, OrderId, PaymentId, PlanId, ProductId, ReorderId, SellerId,
    TenantId, Timestamp, TransferId, WebhookDeliveryId, WebhookEndpointId,
};
use dhow_ledger::{Account, Asset, Balance, Balances, Batch};
use serde::{Deserialize, Serialize};

use crate::{
    AfterSaleStorage, AfterSaleTransaction, ApiKey, Auction, AuctionBid, AuctionState, AuditEntry, AuditOutcome,
    AuditRequest, AuditVerification, BillingStorage, BillingTransaction, CaseState, CategoryStorage,
    CategoryTransaction, Checkout, Claim, CreditStorage, CreditTransaction, DecisionKind, DecisionOutcome,
    DecisionRecord, DeclarationStorage, DeclarationTransaction, FeedHead, FeedPart, FraudCase, Idempotency, KeyHash,
    Order, OrderState, OutboxEvent, OutboxRecord, Page, PageRequest, Payment, Permissions, Product, ProductState,
    RailQuote, ReorderBudgets, ReorderProposal, ReorderState, Revocation, RoutePlan, RoutePlanHead, RoutePlanProgress,
    RoutePlanState, SellerStanding, SellerTerms, Settlement, ShipmentStorage, ShipmentTransaction, Shortage,
    StatementStorage, StockLevel, StoredWebhookEndpoint, SupplierStorage, SupplierTransaction, Transfer,
    TransferFilter, UnitsOnTheirWay, Waiting, WatchStorage, WatchTransaction, WebhookDelivery, WebhookDeliveryState,
    WebhookEndpoint,
};

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// It cannot be reached, or is too busy; the request may be sent again.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A rule that the database holds would have been broken; nothing was changed.
    #[error("the database holds the rule `{rule}`, which the request would break")]
    Rule {
        /// The rule's name, for example `payments_refunded_within_captured`.
        rule: String,
    },
    /// A row with this key exists already.
    #[error("it exists already: {0}")]
    Exists(String),
    /// A stored row cannot be read, or a value cannot be written.
    #[error("{what} cannot be read: {detail}")]
    Corrupt {
        /// What was read or written.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Anything else; a fault of the program or of the database.
    #[error("the database failed: {0}")]
    Failed(String),
}

/// The two stock levels around a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredStock {
    /// Whether nothing was counted before.
    pub is_first: bool,
    /// Units there before; 0 where the product had no stock row.
    pub on_hand_before: i64,
    /// The level now.
    pub level: StockLevel,
}

/// Which orders are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Of this buyer.
    pub buyer: Option<BuyerId>,
    /// Of this seller.
    pub seller: Option<SellerId>,
    /// In this state.
    pub state: Option<OrderState>,
}

/// Which decisions are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionFilter {
    /// Of this kind.
    pub kind: Option<DecisionKind>,
    /// With this outcome.
    pub outcome: Option<DecisionOutcome>,
}

/// Which cases are listed; a missing part restricts nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// In this state. A claim that ran out still reads as `claimed`.
    pub state: Option<CaseState>,
}

/// A model that serves, or served, under an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelServing {
    /// Whose alias it is.
    pub tenant: TenantId,
    /// The alias that callers use, for example `fraud`.
    pub alias: String,
    /// The model and its version.
    pub model: String,
    /// The hash of its artifact.
    pub artifact_hash: String,
    /// When it began to serve.
    pub served_from: Timestamp,
    /// When another took its place; nothing while it serves.
    pub served_until: Option<Timestamp>,
}

/// A database of commerce data: reads outside a transaction, and the way into one.
///
/// Every method fails with [`StorageError::Unavailable`], [`StorageError::Corrupt`] or [`StorageError::Failed`]; lists
/// are newest first, but products oldest first.
pub trait Storage:
    AfterSaleStorage
    + BillingStorage
    + CategoryStorage
    + CreditStorage
    + DeclarationStorage
    + WatchStorage
    + ShipmentStorage
    + StatementStorage
    + SupplierStorage
    + Send
    + Sync
    + 'static
{
    /// Its transactions.
    type Transaction: StorageTransaction;

    /// Records decisions with the one event of each in a transaction of their own that costs the database one request, or
    /// gives `false` and writes nothing where that cannot be: too many of them, or something about them is new to it.
    fn record_at_once(
        &self,
        decisions: &[(&DecisionRecord, OutboxEvent)],
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Begins a transaction. One that is dropped is rolled back.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction, StorageError>> + Send;

    /// A product.
    fn product(
        &self,
        tenant: TenantId,
        id: ProductId,
    ) -> impl Future<Output = Result<Option<Product>, StorageError>> + Send;

    /// The products among `ids` that exist, in no order.
    fn find_products(
        &self,
        tenant: TenantId,
        ids: &[ProductId],
    ) -> impl Future<Output = Result<Vec<Product>, StorageError>> + Send;

    /// A page of products, in a state where one is given.
    fn products(
        &self,
        tenant: TenantId,
        state: Option<ProductState>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Product>, StorageError>> + Send;

    /// The stock of a product; nothing where none was ever counted.
    fn stock(
        &self,
        tenant: TenantId,
        product: ProductId,
    ) -> impl Future<Output = Result<Option<StockLevel>, StorageError>> + Send;

    /// A checkout with its orders and payment.
    fn checkout(
        &self,
        tenant: TenantId,
        id: CheckoutId,
    ) -> impl Future<Output = Result<Option<Checkout>, StorageError>> + Send;

    /// Checkouts of all tenants that wait for something and were submitted before `created_before`, oldest first, after
    /// the given one.
    fn waiting_checkouts(
        &self,
        waiting: Waiting,
        created_before: Timestamp,
        after: Option<(Timestamp, CheckoutId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Checkout>, StorageError>> + Send;

    /// The checkout of a payment.
    fn payment(
        &self,
        tenant: TenantId,
        id: PaymentId,
    ) -> impl Future<Output = Result<Option<Checkout>, StorageError>> + Send;

    /// The rail's own name for a payment, where it has one.
    fn payment_reference(
        &self,
        tenant: TenantId,
        id: PaymentId,
    ) -> impl Future<Output = Result<Option<String>, StorageError>> + Send;

    /// A transfer.
    fn transfer(
        &self,
        tenant: TenantId,
        id: TransferId,
    ) -> impl Future<Output = Result<Option<Transfer>, StorageError>> + Send;

    /// A page of transfers.
    fn transfers(
        &self,
        tenant: TenantId,
        filter: &TransferFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Transfer>, StorageError>> + Send;

    /// Pending transfers of all tenants that are due at `now`, the longest due first, after the given one.
    fn due_transfers(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, TransferId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Transfer>, StorageError>> + Send;

    /// The last events of an aggregate that the outbox still keeps, published or not, in their order.
    fn history(
        &self,
        tenant: TenantId,
        aggregate: &str,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<OutboxRecord>, StorageError>> + Send;

    /// Where the tenant's feed begins and ends.
    fn feed_head(&self, tenant: TenantId) -> impl Future<Output = Result<FeedHead, StorageError>> + Send;

    /// At most `limit` events of these kinds, all where none is named, among the [`crate::FEED_SCAN_MAX`] places after
    /// `after`, or after what is forgotten; with the feed's head as of the same instant.
    fn feed_part(
        &self,
        tenant: TenantId,
        after: Option<i64>,
        kinds: &[&str],
        limit: u32,
    ) -> impl Future<Output = Result<FeedPart, StorageError>> + Send;

    /// A webhook endpoint.
    fn webhook_endpoint(
        &self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> impl Future<Output = Result<Option<StoredWebhookEndpoint>, StorageError>> + Send;

    /// The tenant's webhook endpoints, oldest first, at most [`crate::WEBHOOK_ENDPOINTS_MAX`].
    fn webhook_endpoints(
        &self,
        tenant: TenantId,
    ) -> impl Future<Output = Result<Vec<WebhookEndpoint>, StorageError>> + Send;

    /// Endpoints of all tenants that are enabled, behind their feed and have room in their queue.
    fn webhook_endpoints_behind(
        &self,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(TenantId, WebhookEndpointId)>, StorageError>> + Send;

    /// A page of an endpoint's deliveries, in this state where one is given.
    fn webhook_deliveries(
        &self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        state: Option<WebhookDeliveryState>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<WebhookDelivery>, StorageError>> + Send;

    /// Claims deliveries of all tenants that are due at `now` until `until`: at most `limit`, of one endpoint at most
    /// [`crate::WEBHOOK_CLAIMS_PER_ENDPOINT_MAX`], and none of those in `excluded`.
    fn claim_webhook_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        excluded: &[WebhookEndpointId],
    ) -> impl Future<Output = Result<Vec<WebhookDelivery>, StorageError>> + Send;

    /// Removes deliveries that were made before `before` and do not wait, a bounded number at once; gives how many.
    fn forget_webhook_deliveries(&self, before: Timestamp) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// Every account's balance.
    fn balances(&self, tenant: TenantId) -> impl Future<Output = Result<Balances, StorageError>> + Send;

    /// Every balance as it was after the batches written until `at`, added up from the journal.
    fn balances_at(
        &self,
        tenant: TenantId,
        at: Timestamp,
    ) -> impl Future<Output = Result<Balances, StorageError>> + Send;

    /// Batches of the journal after the one numbered `after`, in the order in which they were written, with their numbers.
    fn journal(
        &self,
        tenant: TenantId,
        after: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(i64, Batch)>, StorageError>> + Send;

    /// What a seller agreed; the free plan where nothing is written.
    fn seller_terms(
        &self,
        tenant: TenantId,
        seller: SellerId,
    ) -> impl Future<Output = Result<SellerTerms, StorageError>> + Send;

    /// An order with its lines.
    fn order(&self, tenant: TenantId, id: OrderId) -> impl Future<Output = Result<Option<Order>, StorageError>> + Send;

    /// A page of orders with their lines.
    fn orders(
        &self,
        tenant: TenantId,
        filter: &OrderFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Order>, StorageError>> + Send;

    /// A recorded decision.
    fn decision(
        &self,
        tenant: TenantId,
        id: DecisionId,
    ) -> impl Future<Output = Result<Option<DecisionRecord>, StorageError>> + Send;

    /// A page of recorded decisions.
    fn decisions(
        &self,
        tenant: TenantId,
        filter: &DecisionFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<DecisionRecord>, StorageError>> + Send;

    /// The case of a decision.
    fn fraud_case(
        &self,
        tenant: TenantId,
        id: DecisionId,
    ) -> impl Future<Output = Result<Option<FraudCase>, StorageError>> + Send;

    /// A page of cases.
    fn fraud_cases(
        &self,
        tenant: TenantId,
        filter: &CaseFilter,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<FraudCase>, StorageError>> + Send;

    /// An auction.
    fn auction(
        &self,
        tenant: TenantId,
        id: AuctionId,
    ) -> impl Future<Output = Result<Option<Auction>, StorageError>> + Send;

    /// The first `count` of an auction's bids that counted, in the order of their sequence.
    fn first_bids(
        &self,
        tenant: TenantId,
        auction: AuctionId,
        count: i64,
    ) -> impl Future<Output = Result<Vec<AuctionBid>, StorageError>> + Send;

    /// A page of auctions, in this state where one is given.
    fn auctions(
        &self,
        tenant: TenantId,
        state: Option<AuctionState>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<Auction>, StorageError>> + Send;

    /// Auctions of all tenants with a step that is due at `now`, the longest due first, after the given place.
    fn due_auctions(
        &self,
        now: Timestamp,
        after: Option<(Timestamp, AuctionId)>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(Timestamp, TenantId, AuctionId)>, StorageError>> + Send;

    /// A reorder proposal.
    fn reorder(
        &self,
        tenant: TenantId,
        id: ReorderId,
    ) -> impl Future<Output = Result<Option<ReorderProposal>, StorageError>> + Send;

    /// A page of reorder proposals, in this state where one is given.
    fn reorders(
        &self,
        tenant: TenantId,
        state: Option<ReorderState>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<ReorderProposal>, StorageError>> + Send;

    /// Units of these products that are approved or ordered and have not arrived.
    fn reorders_on_their_way(
        &self,
        tenant: TenantId,
        products: &[ProductId],
    ) -> impl Future<Output = Result<UnitsOnTheirWay, StorageError>> + Send;

    /// What may be spent on reorders.
    fn reorder_budgets(&self, tenant: TenantId) -> impl Future<Output = Result<ReorderBudgets, StorageError>> + Send;

    /// A route plan as it stands.
    fn route_plan(
        &self,
        tenant: TenantId,
        id: PlanId,
    ) -> impl Future<Output = Result<Option<RoutePlan>, StorageError>> + Send;

    /// How far a route plan is.
    fn route_plan_head(
        &self,
        tenant: TenantId,
        id: PlanId,
    ) -> impl Future<Output = Result<Option<RoutePlanHead>, StorageError>> + Send;

    /// A version of a route plan as it was written.
    fn route_plan_version(
        &self,
        tenant: TenantId,
        id: PlanId,
        version: i64,
    ) -> impl Future<Output = Result<Option<RoutePlan>, StorageError>> + Send;

    /// A page of route plans, in this state where one is given.
    fn route_plans(
        &self,
        tenant: TenantId,
        state: Option<RoutePlanState>,
        page: &PageRequest,
    ) -> impl Future<Output = Result<Page<RoutePlan>, StorageError>> + Send;

    /// What serves and served under the tenant's aliases: the last [`crate::PAGE_LIMIT_MAX`].
    fn model_servings(&self, tenant: TenantId) -> impl Future<Output = Result<Vec<ModelServing>, StorageError>> + Send;

    /// Removes idempotency keys whose answers were saved for requests before `before`; gives how many.
    fn forget_idempotency_keys(&self, before: Timestamp) -> impl Future<Output = Result<u64, StorageError>> + Send;
}

/// A transaction: all of its changes or none.
///
/// Every method fails as those of [`Storage`] do, and with [`StorageError::Rule`] where it says so.
pub trait StorageTransaction:
    AfterSaleTransaction
    + BillingTransaction
    + CategoryTransaction
    + CreditTransaction
    + DeclarationTransaction
    + WatchTransaction
    + ShipmentTransaction
    + SupplierTransaction
    + Send
{
    /// Claims an idempotency key: a new one is ours from here on, until the transaction is rolled back.
    fn claim_idempotency_key(
        &mut self,
        tenant: TenantId,
        key: &Idempotency,
        now: Timestamp,
    ) -> impl Future<Output = Result<Claim, StorageError>> + Send;

    /// Saves the answer of a claimed key.
    fn save_idempotent_answer(
        &mut self,
        tenant: TenantId,
        key: &str,
        answer: &str,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The products among `ids` that exist, in no order.
    fn find_products(
        &mut self,
        tenant: TenantId,
        ids: &[ProductId],
    ) -> impl Future<Output = Result<Vec<Product>, StorageError>> + Send;

    /// Writes a product: version 1 where there is none, version n + 1 over version n. `false` where the stored version
    /// is another one.
    fn put_product(&mut self, product: &Product) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Sets the units there are.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where pending checkouts hold more than `on_hand`.
    fn put_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        on_hand: i64,
    ) -> impl Future<Output = Result<StoredStock, StorageError>> + Send;

    /// Reserves so many units of each product where it has them, and says what is missing of the others; whoever needs all of
    /// it rolls back.
    fn reserve_stock(
        &mut self,
        tenant: TenantId,
        demand: &BTreeMap<ProductId, i64>,
    ) -> impl Future<Output = Result<Vec<Shortage>, StorageError>> + Send;

    /// Takes reserved units out of stock and gives what is there then, in the order of the products.
    fn take_reserved_stock(
        &mut self,
        tenant: TenantId,
        demand: &BTreeMap<ProductId, i64>,
    ) -> impl Future<Output = Result<Vec<StockLevel>, StorageError>> + Send;

    /// Gives reserved units free.
    fn release_stock(
        &mut self,
        tenant: TenantId,
        demand: &BTreeMap<ProductId, i64>,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a checkout with its orders, their lines and its payment.
    fn insert_checkout(&mut self, checkout: &Checkout) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Moves a waiting checkout on; `false`, and no change, where it is no longer in the state that it moves from.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where the amounts break the payment's rules.
    fn settle_checkout(
        &mut self,
        tenant: TenantId,
        id: CheckoutId,
        settlement: &Settlement,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// A checkout with its orders and payment.
    fn checkout(
        &mut self,
        tenant: TenantId,
        id: CheckoutId,
    ) -> impl Future<Output = Result<Option<Checkout>, StorageError>> + Send;

    /// Holds a payment against other writers until the transaction ends, and gives its checkout.
    fn hold_payment(
        &mut self,
        tenant: TenantId,
        id: PaymentId,
    ) -> impl Future<Output = Result<Option<CheckoutId>, StorageError>> + Send;

    /// Writes what the buyer is to pay at a rail that waits for it.
    fn put_quote(
        &mut self,
        tenant: TenantId,
        id: PaymentId,
        quote: &RailQuote,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a payment's state and amounts; it was held in this transaction.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where the amounts break the payment's rules.
    fn update_payment(
        &mut self,
        tenant: TenantId,
        payment: &Payment,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes an order's state, amounts and returned commission; its payment was held in this transaction.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where the amounts break the order's rules.
    fn update_order(&mut self, order: &Order) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a new transfer.
    fn insert_transfer(&mut self, transfer: &Transfer) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// A transfer, held against other writers until the transaction ends.
    fn transfer(
        &mut self,
        tenant: TenantId,
        id: TransferId,
    ) -> impl Future<Output = Result<Option<Transfer>, StorageError>> + Send;

    /// Writes a transfer that was read in this transaction.
    fn update_transfer(&mut self, transfer: &Transfer) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a batch into the books: journal and balances.
    ///
    /// # Errors
    /// [`StorageError::Rule`] where the ledger refuses it; [`StorageError::Exists`] where a batch of its id is written.
    fn write_batch(&mut self, batch: &Batch) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// An account's balance, held against other writers until the transaction ends.
    fn balance(
        &mut self,
        tenant: TenantId,
        account: &Account,
        asset: Asset,
    ) -> impl Future<Output = Result<Balance, StorageError>> + Send;

    /// What the commission's rule asks of sellers, with their sales in the month that begins at `month`.
    fn seller_standings(
        &mut self,
        tenant: TenantId,
        sellers: &[SellerId],
        month: Timestamp,
    ) -> impl Future<Output = Result<BTreeMap<SellerId, SellerStanding>, StorageError>> + Send;

    /// Sets what a seller agreed.
    fn put_seller_terms(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        terms: SellerTerms,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Adds cents to a seller's sales of the month that begins at `month`; less than zero takes off.
    fn add_seller_sales(
        &mut self,
        tenant: TenantId,
        seller: SellerId,
        month: Timestamp,
        usd_minor: i64,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Records decisions.
    fn insert_decisions(
        &mut self,
        decisions: &[&DecisionRecord],
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a new case.
    fn insert_case(&mut self, case: &FraudCase) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// A case, held against other writers until the transaction ends.
    fn case(
        &mut self,
        tenant: TenantId,
        id: DecisionId,
    ) -> impl Future<Output = Result<Option<FraudCase>, StorageError>> + Send;

    /// The most pressing case that is free at `now` and does not wait for another person than `reviewer`, held against other
    /// writers until the transaction ends; those that others hold are passed over.
    fn next_case(
        &mut self,
        tenant: TenantId,
        reviewer: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<FraudCase>, StorageError>> + Send;

    /// Writes a case that was read in this transaction.
    fn update_case(&mut self, case: &FraudCase) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Adds units to the stock.
    fn add_stock(
        &mut self,
        tenant: TenantId,
        product: ProductId,
        quantity: i64,
    ) -> impl Future<Output = Result<StockLevel, StorageError>> + Send;

    /// An auction, held against other writers until the transaction ends.
    fn auction(
        &mut self,
        tenant: TenantId,
        id: AuctionId,
    ) -> impl Future<Output = Result<Option<Auction>, StorageError>> + Send;

    /// Writes an auction, new or changed.
    fn put_auction(&mut self, auction: &Auction) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes a bid that counted.
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the auction has one of its sequence.
    fn insert_bid(
        &mut self,
        tenant: TenantId,
        auction: AuctionId,
        bid: &AuctionBid,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// An auction's bids that counted, in the order of their sequence.
    fn auction_bids(
        &mut self,
        tenant: TenantId,
        auction: AuctionId,
    ) -> impl Future<Output = Result<Vec<AuctionBid>, StorageError>> + Send;

    /// A reorder proposal, held against other writers until the transaction ends.
    fn reorder(
        &mut self,
        tenant: TenantId,
        id: ReorderId,
    ) -> impl Future<Output = Result<Option<ReorderProposal>, StorageError>> + Send;

    /// The proposal for a product that waits for a person, held likewise.
    fn waiting_reorder(
        &mut self,
        tenant: TenantId,
        product: ProductId,
    ) -> impl Future<Output = Result<Option<ReorderProposal>, StorageError>> + Send;

    /// Writes a reorder proposal, new or changed.
    fn put_reorder(&mut self, proposal: &ReorderProposal) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// What may be spent on reorders, held against other writers until the transaction ends.
    fn reorder_budgets(
        &mut self,
        tenant: TenantId,
    ) -> impl Future<Output = Result<ReorderBudgets, StorageError>> + Send;

    /// Sets what may be spent on reorders.
    fn put_reorder_budgets(
        &mut self,
        tenant: TenantId,
        budgets: &ReorderBudgets,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Cents of what was approved since `from` and not called off.
    fn approved_reorder_cost(
        &mut self,
        tenant: TenantId,
        from: Timestamp,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// A route plan, held against other writers until the transaction ends.
    fn route_plan(
        &mut self,
        tenant: TenantId,
        id: PlanId,
    ) -> impl Future<Output = Result<Option<RoutePlan>, StorageError>> + Send;

    /// Writes a route plan in a version that it did not have before; the oldest versions and plans beyond their bounds are
    /// removed.
    fn put_route_plan(&mut self, plan: &RoutePlan) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes the progress of a route plan; `false`, and no change, where it is not under way.
    fn progress_route_plan(
        &mut self,
        tenant: TenantId,
        id: PlanId,
        state: RoutePlanState,
        progress: &RoutePlanProgress,
        at: Timestamp,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Where the tenant's feed begins and ends, held against other writers until the transaction ends.
    fn hold_feed(&mut self, tenant: TenantId) -> impl Future<Output = Result<FeedHead, StorageError>> + Send;

    /// How many webhook endpoints there are.
    fn webhook_endpoint_count(&mut self, tenant: TenantId) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// A webhook endpoint, held against other writers until the transaction ends.
    fn webhook_endpoint(
        &mut self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> impl Future<Output = Result<Option<StoredWebhookEndpoint>, StorageError>> + Send;

    /// Writes a webhook endpoint, new or changed.
    fn put_webhook_endpoint(
        &mut self,
        endpoint: &StoredWebhookEndpoint,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Removes a webhook endpoint with its deliveries; `false` where there is none.
    fn delete_webhook_endpoint(
        &mut self,
        tenant: TenantId,
        id: WebhookEndpointId,
    ) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// How many deliveries wait for an endpoint.
    fn pending_webhook_deliveries(
        &mut self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
    ) -> impl Future<Output = Result<i64, StorageError>> + Send;

    /// Writes deliveries. Where an endpoint has one of the event already, it stays as it is, or with `again` goes back into
    /// the queue.
    fn put_webhook_deliveries(
        &mut self,
        deliveries: &[WebhookDelivery],
        again: bool,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// A delivery of an endpoint, held against other writers until the transaction ends.
    fn webhook_delivery(
        &mut self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        id: WebhookDeliveryId,
    ) -> impl Future<Output = Result<Option<WebhookDelivery>, StorageError>> + Send;

    /// Writes a delivery that was read in this transaction.
    fn update_webhook_delivery(
        &mut self,
        delivery: &WebhookDelivery,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Sets when everything that waits for an endpoint is sent next.
    fn postpone_webhook_deliveries(
        &mut self,
        tenant: TenantId,
        endpoint: WebhookEndpointId,
        due_at: Timestamp,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Puts events into the outbox, in this order, and numbers them within their aggregates.
    fn append_events(
        &mut self,
        events: &[OutboxEvent],
        at: Timestamp,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Writes that a model serves under an alias from `served_from` on, and that the one before it no longer does.
    fn put_model_serving(&mut self, serving: &ModelServing) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Makes the changes last.
    fn commit(self) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Undoes the changes.
    fn rollback(self) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// API keys in the database.
pub trait AccessStorage: Send + Sync {
    /// Stores a key under the hash of its secret.
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the id or the hash is taken; the database fails.
    fn create_api_key(&self, key: &ApiKey, hash: &KeyHash) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// The key with this hash, revoked or not; the one lookup that is made before the tenant is known.
    ///
    /// # Errors
    /// The database fails.
    fn find_api_key(&self, hash: &KeyHash) -> impl Future<Output = Result<Option<ApiKey>, StorageError>> + Send;

    /// The tenant's keys, oldest first, at most [`crate::PAGE_LIMIT_MAX`].
    ///
    /// # Errors
    /// The database fails.
    fn api_keys(&self, tenant: TenantId) -> impl Future<Output = Result<Vec<ApiKey>, StorageError>> + Send;

    /// Whether any tenant has a key that is in force; a server without one serves its own machine only.
    ///
    /// # Errors
    /// The database fails.
    fn has_api_keys(&self) -> impl Future<Output = Result<bool, StorageError>> + Send;

    /// Revokes a key, unless it grants what `revoker` lacks, or is the tenant's last one that may make keys of every kind; of
    /// two at once that would leave none, one stays.
    ///
    /// # Errors
    /// The database fails.
    fn revoke_api_key(
        &self,
        tenant: TenantId,
        id: KeyId,
        revoker: Permissions,
        at: Timestamp,
    ) -> impl Future<Output = Result<Revocation, StorageError>> + Send;
}

/// The audit log in the database. Rows of changes are written with the changes themselves; here are the others, and reading.
///
/// Every method fails as those of [`Storage`] do.
pub trait AuditStorage: Send + Sync {
    /// Writes the row of a request that changed nothing.
    fn append_audit(
        &self,
        request: &AuditRequest,
        tenant: TenantId,
        outcome: AuditOutcome,
        status: u16,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;

    /// Chains rows that are not chained yet, at most [`crate::AUDIT_CHAINED_AT_ONCE_MAX`]; gives how many.
    fn chain_audit(&self) -> impl Future<Output = Result<u64, StorageError>> + Send;

    /// Chained rows, newest first, before the place `before` where one is given.
    fn audit_entries(
        &self,
        tenant: TenantId,
        before: Option<i64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AuditEntry>, StorageError>> + Send;

    /// Recomputes the chain after the place `after`, whose row is taken as it is; at most [`crate::AUDIT_VERIFIED_MAX`] rows.
    fn verify_audit(
        &self,
        tenant: TenantId,
        after: i64,
    ) -> impl Future<Output = Result<AuditVerification, StorageError>> + Send;
}
