//! The port to whoever moves money; adapters of real rails implement it elsewhere.

use std::future::Future;

use dhow_events::{CardId, Money, SellerId, TenantId, Timestamp};
use dhow_ledger::Asset;
use serde::{Deserialize, Serialize};

use crate::words::worded;
use crate::{DisputeNews, TransferKind};

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
        /// By an agreement to pay in instalments; the rail holds the down payment.
        PayLater = "pay_later",
        /// Bitcoin.
        Btc = "btc",
        /// Ether.
        Eth = "eth",
        /// USD Coin.
        Usdc = "usdc",
        /// Tether.
        Usdt = "usdt",
    }
}

impl PaymentMethod {
    /// The crypto asset that is paid in; nothing for the methods that pay in the checkout's currency.
    pub const fn asset(self) -> Option<Asset> {
        match self {
            Self::Btc => Some(Asset::Btc),
            Self::Eth => Some(Asset::Eth),
            Self::Usdc => Some(Asset::Usdc),
            Self::Usdt => Some(Asset::Usdt),
            Self::Card
            | Self::BankTransfer
            | Self::MobileMoney
            | Self::Wallet
            | Self::CashOnDelivery
            | Self::PayLater => None,
        }
    }
}

/// What a buyer is to pay in another asset, and until when that price holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RailQuote {
    /// The asset.
    pub asset: Asset,
    /// How much, in whole assets: `0.00123000`.
    pub amount: String,
    /// From when on the rail no longer takes it; a payment that has not come by then is declined.
    pub expires_at: Timestamp,
}

/// A request to hold an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorisationRequest {
    /// For whom.
    pub tenant: TenantId,
    /// Requests with one key are one request, however often they are sent.
    pub idempotency_key: String,
    /// How much; of a payment that is made later the down payment, which may be nothing: the rail then only checks the card
    /// and names it.
    pub amount: Money,
    /// The same in cents, for a rail that quotes another asset.
    pub amount_usd_minor: i64,
    /// How it is paid.
    pub method: PaymentMethod,
    /// The card, where one pays.
    pub card: Option<CardId>,
    /// When the payment was first asked for; the same in every repetition.
    pub requested_at: Timestamp,
}

/// A request to move an amount, or to give it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    /// For whom.
    pub tenant: TenantId,
    /// Requests with one key are one request, however often they are sent: the transfer's id.
    pub idempotency_key: String,
    /// What is to be done.
    pub kind: TransferKind,
    /// How much.
    pub amount: Money,
    /// The rail's own name for the payment, or for the card that instalments are charged to; nothing for a payout.
    pub payment_reference: Option<String>,
    /// Who is paid out.
    pub seller: Option<SellerId>,
    /// When it was first asked for; the same in every repetition.
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
    /// The rail waits for the buyer, who is to pay what it quotes; ask again with the same key.
    Quoted {
        /// The quote; the same however often it is asked for.
        quote: RailQuote,
    },
}

/// A rail's answer to a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferAnswer {
    /// It is done. A hold that is gone already, because it ran out or was given up before, is given up.
    Done {
        /// The rail's own name for the transfer.
        reference: String,
    },
    /// The rail refuses; nothing was moved.
    Declined {
        /// Why.
        reason: String,
    },
    /// The rail will know later; ask again with the same key, or wait for its notice.
    Pending,
}

/// Why there is no answer. What the rail did is unknown, so nothing may be concluded but to ask again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RailError {
    /// The answer was lost, or did not come in time.
    #[error("the payment rail did not answer: {0}")]
    NoAnswer(String),
}

/// A message of a rail as it came in, by the conventions of Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedNotice<'a> {
    /// The message's id.
    pub id: &'a str,
    /// When it was sent, in seconds since 1970.
    pub timestamp: &'a str,
    /// `v1,` and the signature; several are separated by spaces.
    pub signature: &'a str,
    /// The message.
    pub body: &'a [u8],
}

/// What a rail tells of its own accord. It may come before the answer of the call that it is about, after it, or again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RailNotice {
    /// For whom the payment or transfer was asked.
    pub tenant: TenantId,
    /// The key that it was asked with.
    pub key: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: RailOutcome,
}

/// What became of a payment or transfer at the rail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum RailOutcome {
    /// It is done.
    Done {
        /// The rail's own name for it.
        reference: String,
    },
    /// It was refused, or failed after it was done.
    Declined {
        /// Why.
        reason: String,
    },
    /// The payment is disputed, or its dispute moved.
    Dispute(DisputeNews),
}

/// Why a rail's message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// It is not signed by the rail.
    #[error("the message is not signed with the secret of who should have sent it")]
    Signature,
    /// It was sent too long ago, or in the future: it may be a repetition by somebody else.
    #[error("the message's time is more than {NOTICE_AGE_MAX_S} s from now")]
    Age,
    /// It is signed, and no notice.
    #[error("the message is no notice: {0}")]
    Malformed(String),
}

/// How far the time of a rail's message may lie from now, in seconds.
pub const NOTICE_AGE_MAX_S: i64 = 300;

/// A payment rail. It is called outside any database transaction only.
pub trait PaymentRail: Send + Sync {
    /// Its name in the books and in the path of its messages: letters, digits, `_` and `-`.
    fn name(&self) -> &str;

    /// Asks to hold an amount; the same key gives the same answer and holds the amount once.
    ///
    /// # Errors
    /// No answer; the caller asks again later with the same key.
    fn authorise(
        &self,
        request: &AuthorisationRequest,
    ) -> impl Future<Output = Result<Authorisation, RailError>> + Send;

    /// Asks to move an amount or to give it up; the same key moves it once.
    ///
    /// # Errors
    /// No answer; the caller asks again later with the same key.
    fn transfer(&self, request: &TransferRequest) -> impl Future<Output = Result<TransferAnswer, RailError>> + Send;

    /// Reads a message of the rail, after its signature and age were checked.
    ///
    /// # Errors
    /// Not signed by the rail, too old, or no notice.
    fn read_notice(&self, signed: &SignedNotice<'_>) -> Result<RailNotice, NoticeError>;
}
