//! The chart of accounts: what an account is for, which side it grows on, and whether it may fall below zero.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest owner of an account in bytes: a prefixed id, or the name of a rail or a region.
pub const OWNER_BYTES_MAX: usize = 64;

/// The side on which an account grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the marketplace has, is owed, or lost.
    Debit,
    /// What the marketplace owes, or earned.
    Credit,
}

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// Money at a rail, which is the owner.
    Clearing,
    /// What a buyer has with the marketplace: wallet and store credit.
    Buyer,
    /// What a seller is owed; below zero where refunds came after the payout.
    Seller,
    /// Payouts on their way to a seller.
    Payout,
    /// The marketplace's commission.
    Commission,
    /// Fees of plans and add-ons.
    Fees,
    /// Tax collected for a region, which is the owner.
    Tax,
    /// Shipping collected for carriers.
    Shipping,
    /// Refunds on their way to buyers.
    Refunds,
    /// What buyers owe for what they pay later.
    PayLater,
    /// The position in each asset where one was exchanged for another.
    Exchange,
    /// What chargebacks cost.
    ChargebackLoss,
    /// What buyers who pay later did not pay.
    CreditLoss,
}

/// Every kind with its word, the side on which it grows and whether it stays at zero or above.
const KINDS: [(AccountKind, &str, Side, bool); 13] = [
    (AccountKind::Clearing, "clearing", Side::Debit, false),
    (AccountKind::Buyer, "buyer", Side::Credit, true),
    (AccountKind::Seller, "seller", Side::Credit, false),
    (AccountKind::Payout, "payout", Side::Credit, true),
    (AccountKind::Commission, "commission", Side::Credit, false),
    (AccountKind::Fees, "fees", Side::Credit, false),
    (AccountKind::Tax, "tax", Side::Credit, false),
    (AccountKind::Shipping, "shipping", Side::Credit, false),
    (AccountKind::Refunds, "refunds", Side::Credit, true),
    (AccountKind::PayLater, "pay_later", Side::Debit, true),
    (AccountKind::Exchange, "exchange", Side::Debit, false),
    (AccountKind::ChargebackLoss, "chargeback_loss", Side::Debit, false),
    (AccountKind::CreditLoss, "credit_loss", Side::Debit, false),
];

impl AccountKind {
    /// Every kind, in the order of the chart.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter().map(|(kind, ..)| kind)
    }

    fn row(self) -> (&'static str, Side, bool) {
        let row = KINDS.into_iter().find(|(kind, ..)| *kind == self);
        row.map_or(("", Side::Debit, false), |(_, word, side, kept)| (word, side, kept))
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        self.row().0
    }

    /// The side on which it grows.
    pub fn side(self) -> Side {
        self.row().1
    }

    /// Whether what is posted and what is pending against it may never exceed what it has.
    pub fn stays_above_zero(self) -> bool {
        self.row().2
    }
}

/// One account of a tenant; it has a balance for each asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Account {
    kind: AccountKind,
    owner: Option<String>,
}

/// Why an account was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// No kind has this word.
    #[error("`{0}` is no kind of account")]
    Kind(String),
    /// The owner's text.
    #[error("`{0}` cannot own an account: an owner has 1 to {OWNER_BYTES_MAX} letters, digits, `_`, `-` or `.`")]
    Owner(String),
}

impl Account {
    /// The marketplace's own account of a kind.
    pub const fn own(kind: AccountKind) -> Self {
        Self { kind, owner: None }
    }

    /// An owner's account of a kind.
    ///
    /// # Errors
    /// An owner that is empty, too long, or holds other characters than letters, digits, `_`, `-` and `.`.
    pub fn of(kind: AccountKind, owner: impl Into<String>) -> Result<Self, AccountError> {
        let owner = owner.into();
        let is_plain = owner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if owner.is_empty() || owner.len() > OWNER_BYTES_MAX || !is_plain {
            return Err(AccountError::Owner(owner));
        }
        Ok(Self { kind, owner: Some(owner) })
    }

    /// What it is for.
    pub fn kind(&self) -> AccountKind {
        self.kind
    }

    /// Whose it is; nothing for the marketplace's own.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}

impl fmt::Display for Account {
    /// `seller:sel_…`, or `commission` for the marketplace's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        self.owner.iter().try_for_each(|owner| write!(f, ":{owner}"))
    }
}

impl FromStr for Account {
    type Err = AccountError;
    fn from_str(text: &str) -> Result<Self, AccountError> {
        let (word, owner) = text.split_once(':').map_or((text, None), |(word, owner)| (word, Some(owner)));
        let kind = AccountKind::all().find(|kind| kind.word() == word);
        let kind = kind.ok_or_else(|| AccountError::Kind(word.to_owned()))?;
        owner.map_or(Ok(Self::own(kind)), |owner| Self::of(kind, owner))
    }
}

impl TryFrom<String> for Account {
    type Error = AccountError;
    fn try_from(text: String) -> Result<Self, AccountError> {
        text.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        account.to_string()
    }
}
