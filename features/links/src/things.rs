//! Accounts, the things that they may share, and the keys of both; it does not know who shares what.

use std::fmt;

use dhow_events::{AddressId, BuyerId, CardId, DeviceId, PayoutAccountId, SellerId};
use serde::{Deserialize, Serialize};

/// Who can share things with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Account {
    /// A person who buys.
    Buyer(BuyerId),
    /// A shop that sells.
    Seller(SellerId),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buyer(id) => id.fmt(f),
            Self::Seller(id) => id.fmt(f),
        }
    }
}

/// What accounts can share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Thing {
    /// A payment card.
    Card(CardId),
    /// A phone, tablet or computer.
    Device(DeviceId),
    /// A delivery address.
    Address(AddressId),
    /// The account that a seller is paid on.
    PayoutAccount(PayoutAccountId),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card(id) => id.fmt(f),
            Self::Device(id) => id.fmt(f),
            Self::Address(id) => id.fmt(f),
            Self::PayoutAccount(id) => id.fmt(f),
        }
    }
}

/// The kind of a [`Thing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ThingKind {
    /// Cards.
    Card,
    /// Devices.
    Device,
    /// Addresses.
    Address,
    /// Payout accounts.
    PayoutAccount,
}

impl ThingKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Card, Self::Device, Self::Address, Self::PayoutAccount];

    /// The kind in words: one, and many.
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Card => ("card", "cards"),
            Self::Device => ("device", "devices"),
            Self::Address => ("address", "addresses"),
            Self::PayoutAccount => ("payout account", "payout accounts"),
        }
    }

    /// One bit for each kind.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl Thing {
    /// The kind.
    pub const fn kind(&self) -> ThingKind {
        match self {
            Self::Card(_) => ThingKind::Card,
            Self::Device(_) => ThingKind::Device,
            Self::Address(_) => ThingKind::Address,
            Self::PayoutAccount(_) => ThingKind::PayoutAccount,
        }
    }
}

/// The kinds of accounts, as keys hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum AccountKind {
    Buyer,
    Seller,
}

/// A tenant's account or thing in 24 bytes: the id is kept as two words because whole it would be aligned to 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Key<K> {
    id: [u64; 2],
    tenant: u32,
    pub(crate) kind: K,
}

impl<K> Key<K> {
    fn new(tenant: u32, kind: K, id: u128) -> Self {
        Self { id: [(id >> 64) as u64, id as u64], tenant, kind }
    }

    fn id(&self) -> u128 {
        u128::from(self.id[0]) << 64 | u128::from(self.id[1])
    }
}

impl Key<AccountKind> {
    /// The key of an account of the tenant with this number.
    pub(crate) fn of(tenant: u32, account: Account) -> Self {
        match account {
            Account::Buyer(id) => Self::new(tenant, AccountKind::Buyer, id.as_u128()),
            Account::Seller(id) => Self::new(tenant, AccountKind::Seller, id.as_u128()),
        }
    }

    pub(crate) fn account(&self) -> Account {
        match self.kind {
            AccountKind::Buyer => Account::Buyer(BuyerId::from_u128(self.id())),
            AccountKind::Seller => Account::Seller(SellerId::from_u128(self.id())),
        }
    }
}

impl Key<ThingKind> {
    /// The key of a thing of the tenant with this number.
    pub(crate) fn of(tenant: u32, thing: Thing) -> Self {
        let id = match thing {
            Thing::Card(id) => id.as_u128(),
            Thing::Device(id) => id.as_u128(),
            Thing::Address(id) => id.as_u128(),
            Thing::PayoutAccount(id) => id.as_u128(),
        };
        Self::new(tenant, thing.kind(), id)
    }

    pub(crate) fn thing(&self) -> Thing {
        match self.kind {
            ThingKind::Card => Thing::Card(CardId::from_u128(self.id())),
            ThingKind::Device => Thing::Device(DeviceId::from_u128(self.id())),
            ThingKind::Address => Thing::Address(AddressId::from_u128(self.id())),
            ThingKind::PayoutAccount => Thing::PayoutAccount(PayoutAccountId::from_u128(self.id())),
        }
    }
}
