//! The marketplace's commerce rules: catalogue, checkout, orders, payments, decisions and access; no SQL, no HTTP, no IO.
//!
//! # One checkout
//! [`Commerce::submit_checkout`] runs in four steps, so that money and stock survive a crash between any two of them:
//!
//! 1. **Idempotency.** The key is claimed inside the transaction that it guards: a saved answer is given again, another
//!    body is refused, a request in flight is refused.
//! 2. **Decide** (one transaction). Price the cart, score it ([`FraudCheck`], in process), reserve the stock, write the
//!    decision, the checkout, one order for each seller, the payment to be made and the events; commit. A refusal by
//!    the model commits too. Where the stock is gone after the score, that transaction is rolled back and the decision
//!    is written in one of its own with the outcome `aborted`.
//! 3. **Authorise** (no transaction). [`PaymentRail::authorise`] with the payment's id as its idempotency key.
//! 4. **Settle** (one transaction). Move payment, orders and checkout on; take the reserved stock or release it; write
//!    the events and the answer of the idempotency key; commit. A checkout that a person is to look at is *held*: its
//!    stock stays reserved and its amount at the rail until the verdict places or cancels its orders.
//!
//! A process that dies between 2 and 4 leaves a checkout in `pending_payment` with its payment's key.
//! [`Commerce::recover_pending`] asks the rail again by that key, which charges nobody twice, and does step 4; the step
//! begins with a conditional state change, so only one of several recoverers completes it.
//!
//! # One transfer
//! A capture, a void, a refund ([`Commerce::change_payment`]) or a payout ([`Commerce::pay_out`]) is asked in one
//! transaction, which writes the [`Transfer`] and raises what is asked of the payment and its orders; the database holds
//! that no more is asked than there is. The rail carries it out by the transfer's id, outside of any transaction, and its
//! end is written in another, with the books, the events and the saved answer. The end may come by the rail's answer, by
//! its message ([`Commerce::take_notice`]) or by recovery, in any order and more than once.
//!
//! # One return
//! [`Commerce::open_return`] counts its units on the order's lines, which the database keeps within what was bought;
//! [`Commerce::move_return`] brings it on, [`Commerce::settle_return`] settles what was accepted by refunds, credit notes or a
//! replacement. [`Commerce::open_dispute`], [`Commerce::move_dispute`] and the rail's messages keep chargebacks.
//!
//! # One shipment
//! [`Commerce::ship`] counts its units on the order's lines, which the database keeps within what is due, and asks its carrier
//! for a label outside any transaction; [`Commerce::void_label`] gives one up, [`Commerce::take_carrier_notice`] follows the
//! carrier's messages until every unit was delivered and the order is fulfilled.
//!
//! # One agreement
//! A checkout that is paid later is decided with its credit ([`CreditSummary`]), which the database keeps within the buyer's
//! limit; its [`Agreement`] pays the sellers as a rail does and is owed by the buyer. [`Commerce::recover_pending`] charges what is
//! due, asks again, and writes off; [`Commerce::pay_agreement`] pays before.
//!
//! # One subscription
//! [`Commerce::subscribe`] begins or changes what a seller pays for by the month or year, [`Commerce::recover_pending`] renews it, and each
//! step writes its invoice and takes it from what the seller is owed; the plan's limits hold at checkouts and listings.
//!
//! # One auction
//! [`Commerce::open_auction`] reserves a unit for it; bids ([`Commerce::place_bid`]) are taken one after the other. Whoever
//! wins or [buys at once](Commerce::buy_now) has a time to pay, by a checkout at the price of the auction that takes the
//! reserved unit over ([`Commerce::pay_auction`]); [`Commerce::move_auctions_on`] does what time brings.
//!
//! Every change writes its events to the [outbox](OutboxEvent) in its own transaction; [`relay_batch`] hands them to
//! the log. The rules stand here; a database implements [`Storage`] and [`StorageTransaction`].

mod access;
mod after_sale;
mod agreements;
mod amounts;
mod approvals;
mod auctions;
mod audit;
mod backtests;
mod bidding;
mod billing;
mod billing_storage;
mod bookings;
mod cart;
mod cases;
mod catalogue;
mod categories;
mod category_storage;
mod checkout;
mod commissions;
mod credit;
mod credit_storage;
mod decisions;
mod declaration_storage;
mod declarations;
mod disputes;
mod erasures;
mod facts;
mod feed;
mod fraud_rules;
mod idempotency;
mod identity;
mod instalments;
mod media;
mod moderation;
mod orders;
mod outbox;
mod paging;
mod payment;
mod payouts;
mod prices;
mod product_file;
mod product_import;
mod products;
mod rates;
mod recovery;
mod reorders;
mod returning;
mod returns;
mod roles;
mod route_plans;
mod service;
mod sessions;
mod settlement;
mod shipment_storage;
mod shipments;
mod shipping;
mod signatures;
mod simulator;
mod statements;
mod states;
mod storage;
mod supplier_storage;
mod suppliers;
mod texts;
mod transfers;
mod variants;
mod watch_storage;
mod watches;
mod webhook_deliveries;
mod webhooks;
mod words;

pub use access::{API_KEY_PREFIX, ApiKey, ApiKeySecret, KeyHash, Permission, Permissions, Revocation};
pub use after_sale::{AfterSaleStorage, AfterSaleTransaction, DisputeFilter, ReturnFilter};
pub use agreements::{Agreement, AgreementPart, AgreementState, Charge, Waiver};
pub use amounts::{Amounts, TransferKind};
pub use approvals::{APPROVAL_LEVELS_MAX, APPROVALS_MAX, APPROVERS_MAX, Approval, ApprovalLevel};
pub use auctions::{
    AUCTION_CHANCES_MAX, AUCTION_LOOK_MICROS, Auction, AuctionCancellation, AuctionInput, AuctionOffer, AuctionState,
    BuyNowInput, ExtensionInput,
};
pub use audit::{
    AUDIT_CHAINED_AT_ONCE_MAX, AUDIT_PAGE_MAX, AUDIT_SUBJECTS_MAX, AUDIT_VERIFIED_MAX, AuditBreak, AuditEntry,
    AuditHash, AuditHead, AuditOutcome, AuditRequest, AuditRow, AuditVerification, AuditVerifier, REQUEST_ID_BYTES_MAX,
};
pub use backtests::{
    BACKTEST_SILENT_MICROS, BACKTESTS_KEPT_MAX, BacktestEnd, BacktestRecord, BacktestState, BacktestStorage,
};
pub use bidding::{AuctionPayment, BidReceipt};
pub use billing::{PlanUsage, SellerInvoice, SellerSubscription, SubscriptionStep, USAGE_UNITS_MAX};
pub use billing_storage::{BillingStorage, BillingTransaction};
pub use cart::{CHECKOUT_LINES_MAX, CartLine, CheckoutRequest, LINE_QUANTITY_MAX, Quote, QuoteLine, quote};
pub use cases::{
    AUTHORISATION_MICROS, CASE_LINES_MAX, CLAIM_MICROS, CaseLine, CaseState, CaseStep, FOUR_EYES_ABOVE_USD_MINOR,
    Finding, FraudCase, FraudKind, FraudLabel, GivenVerdict, NOTE_BYTES_MAX, REVIEWER_BYTES_MAX, Verdict,
};
pub use catalogue::{
    DESCRIPTION_BYTES_MAX, Product, ProductInput, ProductState, REFERENCE_BYTES_MAX, StockLevel, TITLE_BYTES_MAX,
};
pub use categories::{
    ATTRIBUTE_TEXT_BYTES_MAX, ATTRIBUTE_VALUES_MAX, AttributeDeclaration, AttributeKind, CATEGORIES_MAX,
    CATEGORY_ATTRIBUTES_MAX, CATEGORY_TEXT_BYTES_MAX, CategoryNode, CategoryTree, PRODUCT_ATTRIBUTES_MAX,
};
pub use category_storage::{CategoryStorage, CategoryTransaction};
pub use commissions::{OrderCommission, SellerStanding, SellerTerms};
pub use credit::{
    CreditChange, CreditHistory, CreditSummary, Eligibility, PAY_LATER_PLANS_MAX, PLAN_NAME_BYTES_MAX, PayLaterPlan,
};
pub use credit_storage::{AgreementFilter, CreditStorage, CreditTransaction};
pub use decisions::{
    AppliedOffset, DecisionKind, DecisionOutcome, DecisionRecord, FeatureValue, FraudAction, FraudCheck,
    FraudCheckError, FraudDecision, FraudRequest, FraudSummary, Reason, RulesRecord, ShadowScore, StateShare,
};
pub use declaration_storage::{DeclarationFilter, DeclarationStorage, DeclarationTransaction};
pub use declarations::{CustomsDeclaration, DeclarationChange, DeclarationInput};
pub use dhow_auctions::Bid as AuctionBid;
pub use disputes::{
    DISPUTE_CASE_BYTES_MAX, DISPUTES_PER_PAYMENT_MAX, Dispute, DisputeChange, DisputeInput, DisputeNews, DisputeReason,
    DisputeState,
};
pub use erasures::{
    ERASURE_PASSES_MAX, EXPORT_ROWS_LOOKED_AT_MAX, ErasureCounts, ErasureRecord, PersonPlace, PersonRows, PersonStorage,
};
pub use feed::{
    FEED_NOW, FEED_PAGE_MAX, FEED_SCAN_MAX, FEED_TYPES_MAX, FeedCursor, FeedEvent, FeedHead, FeedPage, FeedPart,
    FeedStart, event_kinds, told,
};
pub use fraud_rules::{
    DeskHeads, LabelledDecision, ListChange, RECORDED_DECISIONS_MAX, RuleDraft, RuleStorage, ScoredDecision, TimeSpan,
};
pub use idempotency::{Answered, Claim, IDEMPOTENCY_KEY_BYTES_MAX, Idempotency};
pub use identity::IdSource;
pub use media::{MEDIA_ALT_BYTES_MAX, MEDIA_MAX, MEDIA_URL_BYTES_MAX, MediaKind, MediaReference};
pub use moderation::{ProductReview, REVIEW_NOTE_BYTES_MAX};
pub use orders::{Checkout, Order, OrderLine, Payment, RefusalReason, Settlement, Shortage};
pub use outbox::{OUTBOX_BATCH_MAX, Outbox, OutboxEvent, OutboxRecord, RelayError, relay_batch};
pub use paging::{Cursor, CursorError, PAGE_LIMIT_MAX, Page, PageRequest};
pub use payment::{
    Authorisation, AuthorisationRequest, NOTICE_AGE_MAX_S, NoticeError, PaymentMethod, PaymentRail, RailError,
    RailNotice, RailOutcome, RailQuote, SignedNotice, TransferAnswer, TransferRequest,
};
pub use prices::{Market, NoPrice, PRICE_BREAKS_MAX, PRICE_LISTS_MAX, PriceBreak, PriceList, unit_price};
pub use product_file::{
    PRODUCT_FILE_COLUMNS, PRODUCT_FILE_PROBLEMS_MAX, PRODUCT_FILE_ROWS_MAX, ProductRow, read_product_file,
    write_product_file,
};
pub use product_import::ProductImport;
pub use products::{ExpectedVersion, IMPORT_ROWS_MAX, ImportedProduct};
pub use rates::{ExchangeRates, RateError};
pub use recovery::{HOLD_MARGIN_MICROS, RECOVERY_AFTER_MICROS, RECOVERY_BATCH, Recovery, Waiting};
pub use reorders::{
    PERSON_BYTES_MAX, REORDER_NOTE_BYTES_MAX, REORDERS_MAX, ReorderBudgets, ReorderChange, ReorderLine,
    ReorderProposal, ReorderState, UnitsOnTheirWay,
};
pub use returning::RETURNS_PER_ORDER_MAX;
pub use returns::{
    EVIDENCE_BYTES_MAX, EVIDENCE_MAX, InspectedUnits, RETURN_NOTE_BYTES_MAX, Return, ReturnChange, ReturnInput,
    ReturnKind, ReturnLine, ReturnParty, ReturnReason, ReturnSettlement, ReturnState, ReturnUnits, TIMELINE_MAX,
    TimelineLine,
};
pub use roles::{Role, RoleName};
pub use route_plans::{
    MadePlan, ROUTE_PLAN_SILENT_MICROS, ROUTE_PLAN_VERSIONS_KEPT_MAX, ROUTE_PLANS_KEPT_MAX, RoutePlan, RoutePlanEnd,
    RoutePlanHead, RoutePlanProgress, RoutePlanState,
};
pub use service::{Commerce, CommerceError, FieldProblem, MarketplaceTables};
pub use sessions::{
    LOGIN_ATTEMPT_MICROS, LOGIN_ATTEMPTS_MAX, LoginSession, LoginStorage, RETURN_TO_BYTES_MAX, SESSIONS_PER_PERSON_MAX,
    SessionSecret,
};
pub use shipment_storage::{ShipmentFilter, ShipmentStorage, ShipmentTransaction};
pub use shipments::{
    CARRIER_EVENTS_MAX, CarrierNotice, DeliveryPlace, LineUnits, OrderShipment, SHIPMENTS_PER_ORDER_MAX, ShipmentInput,
    ShipmentState, country_of,
};
pub use shipping::Carriers;
pub use signatures::{read_signed, sign, signing_secret};
pub use simulator::{SimulatedRail, trigger};
pub use statements::{
    STATEMENT_LINES_MAX, Statement, StatementLine, StatementPeriod, StatementStorage, StatementSum, statement_csv,
};
pub use states::{CheckoutState, OrderState, PaymentState, States, Step, TransitionError, transition};
pub use storage::{
    AccessStorage, AuditStorage, CaseFilter, DecisionFilter, ModelServing, OrderFilter, Storage, StorageError,
    StorageTransaction, StoredStock,
};
pub use supplier_storage::{SupplierStorage, SupplierTransaction};
pub use suppliers::{
    DocumentKind, DocumentState, SUPPLIER_DOCUMENTS_MAX, SUPPLIER_HISTORY_MAX, SUPPLIER_NOTE_BYTES_MAX,
    SUPPLIER_TEXT_BYTES_MAX, Supplier, SupplierChange, SupplierDocument, SupplierDocumentInput, SupplierLevel,
    SupplierLine, SupplierProfile, SupplierState,
};
pub use transfers::{PaymentChange, Transfer, TransferFilter, TransferShare, TransferState};
pub use variants::{VARIANT_OPTIONS_MAX, VARIANT_TEXT_BYTES_MAX, VARIANTS_MAX, Variant};
pub use watch_storage::{WatchStorage, WatchTransaction};
pub use watches::{
    Notice, PRICE_ALERTS_MAX, PRICE_ALERTS_PER_BUYER_MAX, PriceAlert, PriceAlertInput, SAVED_SEARCH_NAME_BYTES_MAX,
    SAVED_SEARCH_PRODUCTS_MAX, SAVED_SEARCHES_MAX, SAVED_SEARCHES_PER_BUYER_MAX, SavedFilters, SavedSearch,
    SavedSearchInput,
};
pub use webhook_deliveries::{
    WEBHOOK_ATTEMPTS_KEPT_MAX, WEBHOOK_CLAIM_MICROS, WEBHOOK_CLAIMS_PER_ENDPOINT_MAX, WEBHOOK_JITTER_PERMILLE,
    WEBHOOK_QUEUE_MAX, WEBHOOK_REPLAY_MAX, WEBHOOK_RETRIES_MICROS, WebhookAttempt, WebhookDelivery,
    WebhookDeliveryState, WebhookDispatch, WebhookReplay, webhook_wait_micros,
};
pub use webhooks::{
    DisabledBecause, FAILING_MICROS_MAX, SECRET_OVERLAP_MICROS, StoredWebhookEndpoint, WEBHOOK_DESCRIPTION_BYTES_MAX,
    WEBHOOK_ENDPOINTS_MAX, WebhookEndpoint, WebhookEndpointInput, WebhookSecret, WebhookSecrets,
};
