//! The port to whoever moves money; adapters of real rails implement it elsewhere.

use std::future::Future;

use dhow_events::{CardId, Money, TenantId, Timestamp};

use crate::words::worded;

worded! {
    /// How a checkout is paid.
    PaymentMethod {
        /// A payment card.
        Card = "card",
        /// A transfer between bank accounts.
        BankTransfer = "bank_transfer",
        /// Money on a phone.
        MobileMoney = "mobile_money",
        /// A prepaid balance.
        Wallet = "wallet",
        /// Cash at the door.
        CashOnDelivery = "cash_on_delivery",
    }
}

/// A request to hold an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisationRequest {
    /// For whom.
    pub tenant: TenantId,
    /// Requests with one key are one request, however often they are sent.
    pub idempotency_key: String,
    /// How much.
    pub amount: Money,
    /// How it is paid.
    pub method: PaymentMethod,
    /// The card, where one pays.
    pub card: Option<CardId>,
    /// When the payment was first asked for; the same in every repetition.
    pub requested_at: Timestamp,
}

/// A request to give up what an authorisation holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoidRequest {
    /// For whom.
    pub tenant: TenantId,
    /// The key that the amount was authorised under; to void it twice is to void it once.
    pub idempotency_key: String,
    /// The rail's own name for the payment.
    pub reference: String,
    /// When the hold was first to be given up; the same in every repetition.
    pub requested_at: Timestamp,
}

/// A rail's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorisation {
    /// The amount is held for us.
    Approved {
        /// The rail's own name for the payment.
        reference: String,
    },
    /// The rail refuses, for good.
    Declined {
        /// Why: `card_declined`, `insufficient_funds` or another word of the rail.
        reason: String,
    },
    /// The rail will know later; ask again with the same key.
    Pending,
}

/// Why there is no answer. What the rail did is unknown, so nothing may be concluded but to ask again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RailError {
    /// The answer was lost, or did not come in time.
    #[error("the payment rail did not answer: {0}")]
    NoAnswer(String),
}

/// A payment rail. It is called outside any database transaction only.
pub trait PaymentRail: Send + Sync {
    /// Asks to hold an amount; the same key gives the same answer and holds the amount once.
    ///
    /// # Errors
    /// No answer; the caller asks again later with the same key.
    fn authorise(
        &self,
        request: &AuthorisationRequest,
    ) -> impl Future<Output = Result<Authorisation, RailError>> + Send;

    /// Gives up what was authorised and not captured. A hold that is gone already, because it ran out or was voided before,
    /// is voided.
    ///
    /// # Errors
    /// No answer; the caller asks again later.
    fn void(&self, request: &VoidRequest) -> impl Future<Output = Result<(), RailError>> + Send;
}
