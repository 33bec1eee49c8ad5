//! The service that use cases hang on, its errors, and the recording of decisions; each other use case has its own file.

use std::sync::Arc;

use dhow_auctions::BidRefusal;
use dhow_billing::PriceLists;
use dhow_commission::{CommissionError, CommissionTables};
use dhow_events::{AuctionId, BuyerId, Clock, Event, EventId, Fact, Money, ProductId, SellerId, TenantId, Timestamp};
use dhow_ledger::AccountError;
use dhow_ledger::divide::DivideError;
use dhow_shipping::CarrierError;
use serde::{Deserialize, Serialize};

use crate::{
    AuctionState, Carriers, CheckoutState, DecisionRecord, ExchangeRates, FeedCursor, FraudCase, FraudCheck,
    FraudCheckError, IdSource, NoticeError, OutboxEvent, PaymentRail, RateError, Storage, StorageError,
    StorageTransaction, TransferKind, TransitionError,
};

/// A field of a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldProblem {
    /// A JSON Pointer into the request.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl FieldProblem {
    /// A problem at `pointer`.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommerceError {
    /// The request is wrong (400 or 422).
    #[error("{}", list(.0))]
    Invalid(Vec<FieldProblem>),
    /// There is no such thing, or it is another tenant's (404).
    #[error("there is no {0}")]
    NotFound(String),
    /// The thing changed since the version that the request names (412).
    #[error("the request is for version {expected}, the stored version is {}", found.map_or("none".to_owned(), |v| v.to_string()))]
    StaleVersion {
        /// What the request named.
        expected: String,
        /// The stored version; nothing where there is no such thing.
        found: Option<i64>,
    },
    /// The same request with this idempotency key is not answered yet (409).
    #[error("the request with the idempotency key `{key}` is still being worked on; ask again shortly")]
    InFlight {
        /// The key.
        key: String,
    },
    /// The idempotency key was used for another request (422).
    #[error("the idempotency key `{key}` was used for another request; take a new one")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// An approval would go beyond what may be spent (409).
    #[error(
        "the order costs {cost_usd_minor} US cents and the {period}'s budget has {left} left; approve fewer units or raise the budget"
    )]
    BudgetSpent {
        /// `day`, `week` or `month`.
        period: &'static str,
        /// What the order costs, US cents.
        cost_usd_minor: i64,
        /// What is left, US cents.
        left: i64,
    },
    /// A bid or a purchase at once does not count as the auction stands (409).
    #[error(
        "{refusal}; the price is {}, the least bid {} minor units",
        price.map_or("none".to_owned(), |price| format!("{} minor units of {}", price.amount_minor, price.currency)),
        minimum.amount_minor
    )]
    BidRefused {
        /// Why.
        refusal: BidRefusal,
        /// The price as it stands; nothing before the first bid.
        price: Option<Money>,
        /// The least maximum that would count.
        minimum: Money,
    },
    /// Who agreed before agrees again; it takes another person (409).
    #[error("{person} agreed already; another person is to approve it")]
    AnotherPersonNeeded {
        /// Who.
        person: String,
    },
    /// An auction that is not this buyer's to pay, or no longer (409).
    #[error("{auction} is `{state}` and not offered to {buyer}")]
    NotOffered {
        /// The auction.
        auction: AuctionId,
        /// Where it stands.
        state: AuctionState,
        /// Who asked.
        buyer: BuyerId,
    },
    /// Every unit of the product is reserved or gone (409).
    #[error("no unit of {0} is free")]
    NoFreeUnit(ProductId),
    /// A plan or an agreement to pay later does not allow it as it stands (409).
    #[error("{0}")]
    CreditRefused(String),
    /// As many saved searches or price alerts as there may be (409).
    #[error("{0}")]
    WatchBound(String),
    /// A return, a claim or a dispute does not allow it as it stands (409).
    #[error("{0}")]
    AfterSaleRefused(String),
    /// An order, its units or a label cannot be shipped or given up as they stand (409).
    #[error("{0}")]
    ShippingRefused(String),
    /// A declaration does not allow it as it stands, or its rules are not met (409).
    #[error("{0}")]
    DeclarationRefused(String),
    /// A supplier, or its papers, do not allow it as they stand (409).
    #[error("{0}")]
    SupplierRefused(String),
    /// A category goes that products are in (409).
    #[error("{0}")]
    CategoryInUse(String),
    /// A subscription does not allow it as it stands (409).
    #[error("{0}")]
    BillingRefused(String),
    /// A seller's plan allows no more (409).
    #[error("the plan of {seller} allows {most} {what}, and there are as many; the seller may take another plan")]
    PlanLimit {
        /// Whose plan.
        seller: SellerId,
        /// What is limited.
        what: &'static str,
        /// How many there may be.
        most: u32,
    },
    /// A carrier refuses (409), or does not answer (503).
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// A state cannot become another (409).
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// More than there is (409).
    #[error("a {what} of {asked_minor} minor units was asked for; {left_minor} are left")]
    AmountExceeded {
        /// What was asked for.
        what: TransferKind,
        /// How much, in minor units.
        asked_minor: i64,
        /// What is left, in minor units.
        left_minor: i64,
    },
    /// The payment's checkout has not come to its end, or was refused (409).
    #[error("the checkout is `{checkout}`; its payment can be captured, voided or refunded once it is completed")]
    NotCompleted {
        /// Where it stands.
        checkout: CheckoutState,
    },
    /// A place in the feed whose events are no longer kept (410).
    #[error(
        "events up to `{}` are no longer kept; begin there, or without a cursor, and read what was missed from the lists",
        oldest.encode()
    )]
    CursorExpired {
        /// The oldest cursor that can be read from.
        oldest: FeedCursor,
    },
    /// As many endpoints or deliveries as may be are there, or the endpoint is disabled (409).
    #[error("{0}")]
    WebhookBound(String),
    /// A message of a rail that is not taken (401).
    #[error(transparent)]
    Notice(#[from] NoticeError),
    /// An amount that cannot be worked out (422).
    #[error(transparent)]
    Commission(#[from] CommissionError),
    /// Another person holds the case (409).
    #[error("{by} holds the case until {until}")]
    CaseHeld {
        /// Who.
        by: String,
        /// Until when.
        until: Timestamp,
    },
    /// Nobody holds the case; it is to be claimed first (409).
    #[error("the case is not claimed, or the claim ran out; claim it first")]
    CaseNotClaimed,
    /// The person who gave the first verdict cannot give the second (409).
    #[error("the first verdict is yours; a second person decides")]
    SecondPersonNeeded,
    /// The checkout could not be scored (503).
    #[error(transparent)]
    FraudCheck(#[from] FraudCheckError),
    /// The database did not do it: a broken rule is the client's fault (409), the rest is ours (503 or 500).
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CommerceError {
    /// One wrong field.
    pub fn invalid(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldProblem::new(pointer, message)])
    }
}

impl From<DivideError> for CommerceError {
    fn from(error: DivideError) -> Self {
        Self::Commission(error.into())
    }
}

impl From<AccountError> for CommerceError {
    fn from(error: AccountError) -> Self {
        Self::Storage(StorageError::Corrupt { what: "an account", detail: error.to_string() })
    }
}

impl From<RateError> for CommerceError {
    fn from(error: RateError) -> Self {
        Self::invalid("/price/currency", error.to_string())
    }
}

fn list(problems: &[FieldProblem]) -> String {
    let shown: Vec<String> = problems.iter().map(|p| format!("{} {}", p.pointer, p.message)).collect();
    shown.join("; ")
}

/// What the marketplace takes: of sales, and for what sellers subscribe to.
#[derive(Debug, Clone)]
pub struct MarketplaceTables {
    /// Rates of the commission.
    pub commission: CommissionTables,
    /// Prices of plans, add-ons and usage.
    pub prices: PriceLists,
}

/// The commerce use cases over a database, a payment rail and a fraud check.
pub struct Commerce<S, R> {
    pub(crate) storage: S,
    pub(crate) rail: R,
    pub(crate) fraud: Arc<dyn FraudCheck>,
    pub(crate) rates: ExchangeRates,
    pub(crate) commission: CommissionTables,
    pub(crate) prices: PriceLists,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdSource,
    pub(crate) carriers: Carriers,
    pub(crate) reviews_products: bool,
}

impl<S: Storage, R: PaymentRail> Commerce<S, R> {
    /// A service; `ids` gives the random bits of new ids.
    pub fn new(
        storage: S,
        rail: R,
        fraud: Arc<dyn FraudCheck>,
        rates: ExchangeRates,
        tables: MarketplaceTables,
        clock: Arc<dyn Clock>,
        ids: IdSource,
    ) -> Self {
        let MarketplaceTables { commission, prices } = tables;
        let (carriers, reviews_products) = (Carriers::default(), false);
        Self { storage, rail, fraud, rates, commission, prices, clock, ids, carriers, reviews_products }
    }

    /// The database, for reads.
    pub const fn storage(&self) -> &S {
        &self.storage
    }

    /// The source of random bits, for ids made elsewhere.
    pub const fn ids(&self) -> &IdSource {
        &self.ids
    }

    /// The exchange rates in use.
    pub const fn rates(&self) -> &ExchangeRates {
        &self.rates
    }

    /// Records decisions with the fact that each one is and the case that it opens, in one transaction. Whoever makes many of them, gathers them.
    ///
    /// # Errors
    /// The database fails; nothing is recorded then.
    pub async fn record_decisions(&self, decisions: &[(DecisionRecord, Fact)]) -> Result<(), CommerceError> {
        let now = self.clock.now();
        let event = |(decision, fact): &(DecisionRecord, Fact)| {
            let aggregate = decision.id.to_string();
            OutboxEvent { alone: true, ..self.event(decision.tenant, aggregate, decision.created_at, fact.clone()) }
        };
        let told: Vec<(&DecisionRecord, OutboxEvent)> = decisions.iter().map(|one| (&one.0, event(one))).collect();
        let cases = cases_of(decisions.iter().map(|(decision, _)| decision))?;
        if cases.is_empty() && self.storage.record_at_once(&told, now).await? {
            return Ok(());
        }
        let mut transaction = self.storage.begin().await?;
        let (records, events): (Vec<&DecisionRecord>, Vec<OutboxEvent>) = told.into_iter().unzip();
        transaction.insert_decisions(&records).await?;
        for case in &cases {
            transaction.insert_case(case).await?;
        }
        transaction.append_events(&events, now).await?;
        Ok(transaction.commit().await?)
    }

    /// An event for the outbox, with a fresh id.
    pub(crate) fn event(
        &self,
        tenant: TenantId,
        aggregate: String,
        at: Timestamp,
        fact: impl Into<Fact>,
    ) -> OutboxEvent {
        let id = EventId::at(at, self.ids.random());
        OutboxEvent { aggregate, alone: false, event: Event { id, tenant, event_time: at, fact: fact.into() } }
    }
}

/// The cases that decisions ask for.
fn cases_of<'a>(decisions: impl Iterator<Item = &'a DecisionRecord>) -> Result<Vec<FraudCase>, StorageError> {
    decisions.filter_map(|decision| FraudCase::opened_by(decision).transpose()).collect()
}

/// Writes a decision and opens the case that it asks for.
pub(crate) async fn record<X: StorageTransaction>(
    transaction: &mut X,
    decision: &DecisionRecord,
) -> Result<(), StorageError> {
    transaction.insert_decisions(&[decision]).await?;
    if let Some(case) = FraudCase::opened_by(decision)? {
        transaction.insert_case(&case).await?;
    }
    Ok(())
}
