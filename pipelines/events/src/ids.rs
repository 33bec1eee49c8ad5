//! Prefixed 128-bit ids, one type for each kind of thing; it does not say what the things are.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::{TenantId, Timestamp};

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id; it looks like `{prefix}_01890a5d-ac96-774b-bcce-b302099a8057`")]
pub struct IdError {
    /// The refused text.
    pub text: String,
    /// What was expected, in words.
    pub kind: &'static str,
    /// The prefix that was expected.
    pub prefix: &'static str,
}

/// A UUID of version 7 from an instant (millisecond precision) and 74 random bits that the caller draws.
fn uuid_at(time: Timestamp, random: u128) -> u128 {
    let millis = (time.micros().max(0) / 1000) as u128 & ((1 << 48) - 1);
    let random_a = (random >> 62) & 0xfff;
    let random_b = random & ((1 << 62) - 1);
    (millis << 80) | (7 << 76) | (random_a << 64) | (0b10 << 62) | random_b
}

/// A UUID of version 8 that is a hash: the same tenant, kind and reference always give the same id.
pub(crate) fn uuid_of_reference(tenant: &TenantId, prefix: &str, reference: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in [tenant.as_str(), prefix, reference] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().as_u128()
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = u128;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("16 bytes of an id")
    }
    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<u128, E> {
        let array: [u8; 16] = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
        Ok(u128::from_be_bytes(array))
    }
}

/// The kinds of ids, each with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdKind {
    /// What stands before the underscore.
    pub prefix: &'static str,
    /// The kind in words.
    pub words: &'static str,
}

impl IdKind {
    /// The id as people see it: prefix, underscore, UUID.
    pub fn format(&self, id: u128) -> String {
        format!("{}_{}", self.prefix, Uuid::from_u128(id).as_hyphenated())
    }

    /// Reads what [`IdKind::format`] wrote.
    ///
    /// # Errors
    /// Another prefix, or what follows is no UUID.
    pub fn parse(&self, text: &str) -> Result<u128, IdError> {
        text.strip_prefix(self.prefix)
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(|rest| Uuid::try_parse(rest).ok())
            .map(|uuid| uuid.as_u128())
            .ok_or_else(|| IdError { text: text.to_owned(), kind: self.words, prefix: self.prefix })
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal $words:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// The prefix and the words of this kind.
            pub const KIND: IdKind = IdKind { prefix: $prefix, words: $words };

            /// From the 128 bits of a UUID.
            pub const fn from_u128(id: u128) -> Self {
                Self(id)
            }

            /// The 128 bits of the UUID.
            pub const fn as_u128(self) -> u128 {
                self.0
            }

            /// An id of version 7: sorts by `time` (to the millisecond); `random` gives the other 74 bits.
            pub fn at(time: Timestamp, random: u128) -> Self {
                Self(uuid_at(time, random))
            }

            /// The id of a thing that another system calls `reference`: always the same for the same tenant.
            pub fn from_reference(tenant: &TenantId, reference: &str) -> Self {
                Self(uuid_of_reference(tenant, $prefix, reference))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), Uuid::from_u128(self.0).as_hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::KIND.parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_bytes(&self.0.to_be_bytes())
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    deserializer.deserialize_bytes(IdVisitor).map(Self)
                }
            }
        }
    )*};
}

ids! {
    /// An event.
    EventId "evt" "event";
    /// A person who buys.
    BuyerId "buy" "buyer";
    /// A shop that sells.
    SellerId "sel" "seller";
    /// A product that one seller offers.
    ProductId "prd" "product";
    /// A visit to the storefront.
    SessionId "ses" "session";
    /// A cart.
    CartId "crt" "cart";
    /// One checkout, which becomes one order for each seller.
    CheckoutId "chk" "checkout";
    /// An order with one seller.
    OrderId "ord" "order";
    /// A payment of one checkout.
    PaymentId "pay" "payment";
    /// A capture, void or refund of a payment, or a payout to a seller.
    TransferId "trf" "transfer";
    /// A parcel.
    ShipmentId "shp" "shipment";
    /// A return.
    ReturnId "ret" "return";
    /// A review.
    ReviewId "rev" "review";
    /// A promotion.
    PromotionId "pro" "promotion";
    /// A phone, tablet or computer, by its fingerprint.
    DeviceId "dev" "device";
    /// A payment card, by a token; never its number.
    CardId "crd" "card";
    /// A delivery address.
    AddressId "adr" "address";
    /// The account that a seller is paid on.
    PayoutAccountId "pyo" "payout account";
    /// A carrier of parcels.
    CarrierId "car" "carrier";
    /// A model's recorded answer.
    DecisionId "dec" "decision";
    /// An auction.
    AuctionId "auc" "auction";
    /// A dispute of a payment.
    DisputeId "dsp" "dispute";
    /// An agreement to pay later.
    AgreementId "agr" "agreement";
    /// A customs declaration.
    DeclarationId "dcl" "customs declaration";
    /// A saved search.
    SavedSearchId "ssr" "saved search";
    /// A price alert.
    PriceAlertId "pal" "price alert";
    /// A route plan.
    PlanId "pln" "route plan";
    /// A proposal to order a product.
    ReorderId "reo" "reorder proposal";
    /// A model in the registry.
    ModelId "mdl" "model";
    /// Where events are sent to as webhooks.
    WebhookEndpointId "whe" "webhook endpoint";
    /// An event that is sent to a webhook endpoint.
    WebhookDeliveryId "whd" "webhook delivery";
    /// An API key's public half.
    KeyId "key" "API key";
    /// The erasure of a person.
    ErasureId "era" "erasure";
}
