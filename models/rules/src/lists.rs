//! Block and allow lists: who or what is on them at an instant, and why; where they are kept is the caller's.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;

use dhow_events::{AddressId, BuyerId, CardId, DeviceId, IdKind, PayoutAccountId, SellerId, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::card_numbers::contains_card_number;
use crate::facts::{FieldValue, Listed};
use crate::schema::{FieldType, Schema};

/// The most entries held, expired and removed ones included.
pub const MAX_ENTRIES: usize = 5_000_000;
/// The longest value of an entry.
pub const MAX_VALUE_BYTES: usize = 128;
/// The longest reason, note or author.
pub const MAX_TEXT_BYTES: usize = 1_000;

/// What kind of key a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListKind {
    /// A card's token or fingerprint; never its number.
    Card,
    /// A device's fingerprint.
    Device,
    /// A delivery address.
    Address,
    /// A buyer.
    Buyer,
    /// SHA-256 of an e-mail address, 64 hexadecimal digits.
    EmailHash,
    /// A range of IP addresses, such as `203.0.113.0/24`; a request has an address.
    IpPrefix,
    /// A country, two letters.
    Country,
    /// A seller.
    Seller,
    /// The account that a seller is paid on.
    PayoutAccount,
}

impl ListKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Card,
        Self::Device,
        Self::Address,
        Self::Buyer,
        Self::EmailHash,
        Self::IpPrefix,
        Self::Country,
        Self::Seller,
        Self::PayoutAccount,
    ];

    /// The kind's name: `card`, `ip_prefix`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Device => "device",
            Self::Address => "address",
            Self::Buyer => "buyer",
            Self::EmailHash => "email_hash",
            Self::IpPrefix => "ip_prefix",
            Self::Country => "country",
            Self::Seller => "seller",
            Self::PayoutAccount => "payout_account",
        }
    }

    /// The kind's name in the name of a list: `lists.blocked_cards`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Card => "cards",
            Self::Device => "devices",
            Self::Address => "addresses",
            Self::Buyer => "buyers",
            Self::EmailHash => "email_hashes",
            Self::IpPrefix => "ip_prefixes",
            Self::Country => "countries",
            Self::Seller => "sellers",
            Self::PayoutAccount => "payout_accounts",
        }
    }

    /// Whether an allowed key of this kind approves by itself: it does where it names one person or their means of payment.
    /// An allowed country, network, address, seller or payout account is shared by strangers, so only rules may use it.
    pub fn approves_alone(self) -> bool {
        matches!(self, Self::Card | Self::Device | Self::Buyer | Self::EmailHash)
    }

    /// The id of this platform that keys of this kind may be; such ids are random and hold no card's number.
    fn own_id(self) -> Option<IdKind> {
        match self {
            Self::Card => Some(CardId::KIND),
            Self::Device => Some(DeviceId::KIND),
            Self::Address => Some(AddressId::KIND),
            Self::Buyer => Some(BuyerId::KIND),
            Self::Seller => Some(SellerId::KIND),
            Self::PayoutAccount => Some(PayoutAccountId::KIND),
            Self::EmailHash | Self::IpPrefix | Self::Country => None,
        }
    }
}

/// What being on a list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Declines.
    Block,
    /// Approves, where the key names a person ([`ListKind::approves_alone`]) and nothing is blocked.
    Allow,
}

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListEntry {
    /// What kind of key it is.
    pub kind: ListKind,
    /// Which list it is on.
    pub effect: Effect,
    /// The key.
    pub value: String,
    /// Why it is on the list.
    pub reason: String,
    /// More words; may be empty.
    #[serde(default)]
    pub note: String,
    /// Who put it there.
    pub author: String,
    /// From when on it counts.
    pub created: Timestamp,
    /// From when on it no longer counts; never where there is none.
    #[serde(default)]
    pub expires: Option<Timestamp>,
    /// Its early end.
    #[serde(default)]
    pub removed: Option<Removal>,
}

impl ListEntry {
    fn counts(&self, at: Timestamp) -> bool {
        let ended = |end: Option<Timestamp>| end.is_some_and(|end| end <= at);
        self.created <= at && !ended(self.expires) && !ended(self.removed.as_ref().map(|removal| removal.at))
    }
}

/// Who ended an entry early, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// From when on it no longer counts.
    pub at: Timestamp,
    /// Who removed it.
    pub author: String,
}

/// A value that is no key of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is no key of the kind {kind}; it must be {wanted}", kind = .kind.name())]
pub struct KeyRefused {
    /// The kind.
    pub kind: ListKind,
    /// The value; not repeated where it looks like a card's number.
    pub value: String,
    /// What would be right.
    pub wanted: &'static str,
}

impl KeyRefused {
    fn new(kind: ListKind, value: &str, wanted: &'static str) -> Self {
        let shown = if contains_card_number(value) { "(what looks like a card number)" } else { value };
        Self { kind, value: shown.to_owned(), wanted }
    }
}

/// Why an entry was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryRefused {
    /// A field holds what looks like a card's number. The number is not repeated here.
    #[error("the {field} holds what looks like a card number; card numbers are never stored, use the card's token")]
    CardNumberRefused {
        /// Which field.
        field: &'static str,
    },
    /// A field is empty.
    #[error("the {field} is empty; an entry says what it holds, why, and by whom")]
    Empty {
        /// Which field.
        field: &'static str,
    },
    /// A field is too long.
    #[error("the {field} has {found} bytes; at most {limit} are allowed")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// Its length.
        found: usize,
        /// The longest length.
        limit: usize,
    },
    /// The value is no key of its kind.
    #[error(transparent)]
    Key(#[from] KeyRefused),
    /// It would never count.
    #[error("the entry expires at {expires}, not after it was created at {created}")]
    NeverCounts {
        /// When it was created.
        created: Timestamp,
        /// When it expires.
        expires: Timestamp,
    },
    /// The lists are full.
    #[error("the lists hold {MAX_ENTRIES} entries, the most that they can; drop old ones from storage")]
    Full,
}

/// Nothing was there to remove.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{value}` is not on the {effect:?} list of the kind {kind}", kind = .kind.name())]
pub struct NotListed {
    /// The kind.
    pub kind: ListKind,
    /// The list.
    pub effect: Effect,
    /// The key.
    pub value: String,
}

/// A range of IP addresses: the first `length` bits of `bits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Prefix {
    six: bool,
    length: u8,
    bits: u128,
}

impl Prefix {
    /// The range of this length around an address; none where it is longer than the address.
    fn of(address: IpAddr, length: u8) -> Option<Self> {
        let (six, width, bits) = match address.to_canonical() {
            IpAddr::V4(address) => (false, 32, u128::from(address.to_bits())),
            IpAddr::V6(address) => (true, 128, address.to_bits()),
        };
        let dropped = u32::from(width - length.min(width));
        let kept = bits.checked_shr(dropped).unwrap_or(0).checked_shl(dropped).unwrap_or(0);
        (length <= width).then_some(Self { six, length, bits: kept })
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            Some((address, length)) => Self::of(address.parse().ok()?, length.parse().ok()?),
            None => {
                let address: IpAddr = text.parse::<IpAddr>().ok()?.to_canonical();
                Self::of(address, if address.is_ipv4() { 32 } else { 128 })
            }
        }
    }

    fn text(self) -> String {
        let address = match self.six {
            true => IpAddr::from(self.bits.to_be_bytes()),
            false => IpAddr::from((self.bits as u32).to_be_bytes()),
        };
        format!("{address}/{}", self.length)
    }
}

/// All entries of a tenant's lists, found by key.
#[derive(Debug, Default)]
pub struct Lists {
    entries: Vec<ListEntry>,
    by_text: FxHashMap<ListKind, FxHashMap<Box<str>, Vec<usize>>>,
    by_prefix: FxHashMap<Prefix, Vec<usize>>,
    /// The lengths that occur, so that a look-up tries no other.
    prefix_lengths: BTreeSet<(bool, u8)>,
}

impl Lists {
    /// Lists without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks an entry, brings its value into the one form of its kind and adds it; the added entry is what is to be stored.
    ///
    /// # Errors
    /// Why it was refused; never with a card's number in the words.
    pub fn add(&mut self, mut entry: ListEntry) -> Result<&ListEntry, EntryRefused> {
        if self.entries.len() >= MAX_ENTRIES {
            return Err(EntryRefused::Full);
        }
        check_words(&entry)?;
        let place = self.entries.len();
        if entry.kind == ListKind::IpPrefix {
            let prefix = Prefix::parse(entry.value.trim()).ok_or_else(|| {
                let wanted = "an address or a range of addresses, such as 203.0.113.0/24 or 2001:db8::/32";
                KeyRefused::new(entry.kind, &entry.value, wanted)
            })?;
            entry.value = prefix.text();
            self.by_prefix.entry(prefix).or_default().push(place);
            self.prefix_lengths.insert((prefix.six, prefix.length));
        } else {
            entry.value = normal(entry.kind, &entry.value)?.into_owned();
            let of_kind = self.by_text.entry(entry.kind).or_default();
            of_kind.entry(entry.value.as_str().into()).or_default().push(place);
        }
        self.entries.push(entry);
        Ok(&self.entries[place])
    }

    /// Ends all entries of a key that still count at an instant, from then on; returns them as they are to be stored.
    ///
    /// # Errors
    /// Nothing to remove, a value that is no key of its kind, or words that an entry may not hold.
    pub fn remove(
        &mut self,
        kind: ListKind,
        effect: Effect,
        value: &str,
        removal: &Removal,
    ) -> Result<Vec<ListEntry>, RemoveError> {
        check_text("author", &removal.author, MAX_TEXT_BYTES)?;
        let mut removed = Vec::new();
        for place in self.places_of(kind, value)? {
            let entry = &mut self.entries[place];
            if entry.effect == effect && entry.counts(removal.at) {
                entry.removed = Some(removal.clone());
                removed.push(entry.clone());
            }
        }
        if removed.is_empty() {
            return Err(NotListed { kind, effect, value: value.to_owned() }.into());
        }
        Ok(removed)
    }

    /// The entries that count for a key at an instant, oldest first. A key of the kind IP prefix is an address.
    ///
    /// # Errors
    /// A value that is no key of its kind.
    pub fn find(&self, kind: ListKind, value: &str, at: Timestamp) -> Result<Vec<&ListEntry>, KeyRefused> {
        let mut places = match kind {
            ListKind::IpPrefix => self.places_around(value)?,
            _ => self.places_of(kind, value)?,
        };
        places.sort_unstable();
        Ok(places.into_iter().map(|place| &self.entries[place]).filter(|entry| entry.counts(at)).collect())
    }

    /// On which lists the keys of a request are at an instant. A missing field is on none.
    ///
    /// # Errors
    /// A value that is no key of its kind.
    pub fn listed(&self, schema: &Schema, fields: &[FieldValue], at: Timestamp) -> Result<Listed, KeyRefused> {
        let mut listed = Listed::default();
        for (place, (field, value)) in schema.fields().iter().zip(fields).enumerate() {
            let (FieldType::Key(kind), FieldValue::Text(value)) = (field.field_type, value) else { continue };
            for entry in self.find(kind, value, at)? {
                match entry.effect {
                    Effect::Block => listed.blocked |= 1 << place,
                    Effect::Allow => listed.allowed |= 1 << place,
                }
            }
        }
        Ok(listed)
    }

    /// All entries, in the order in which they were added.
    pub fn entries(&self) -> &[ListEntry] {
        &self.entries
    }

    /// Entries under exactly this key.
    fn places_of(&self, kind: ListKind, value: &str) -> Result<Vec<usize>, KeyRefused> {
        let places = if kind == ListKind::IpPrefix {
            let wanted = "an address or a range of addresses, such as 203.0.113.0/24";
            let refused = || KeyRefused::new(kind, value, wanted);
            self.by_prefix.get(&Prefix::parse(value.trim()).ok_or_else(refused)?)
        } else {
            let value = normal(kind, value)?;
            self.by_text.get(&kind).and_then(|of_kind| of_kind.get(&*value))
        };
        Ok(places.cloned().unwrap_or_default())
    }

    /// Entries of all ranges around an address.
    fn places_around(&self, address: &str) -> Result<Vec<usize>, KeyRefused> {
        let wanted = "an address, such as 203.0.113.7 or 2001:db8::7";
        let refused = |_| KeyRefused::new(ListKind::IpPrefix, address, wanted);
        let address: IpAddr = address.trim().parse::<IpAddr>().map_err(refused)?.to_canonical();
        let lengths = self.prefix_lengths.iter().filter(|(six, _)| *six == address.is_ipv6());
        let around = lengths.filter_map(|(_, length)| self.by_prefix.get(&Prefix::of(address, *length)?));
        Ok(around.flatten().copied().collect())
    }
}

/// Why nothing was removed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RemoveError {
    /// Nothing was there.
    #[error(transparent)]
    NotListed(#[from] NotListed),
    /// The value is no key of its kind.
    #[error(transparent)]
    Key(#[from] KeyRefused),
    /// The author's name cannot be stored.
    #[error(transparent)]
    Refused(#[from] EntryRefused),
}

fn check_words(entry: &ListEntry) -> Result<(), EntryRefused> {
    check_text("reason", &entry.reason, MAX_TEXT_BYTES)?;
    check_text("author", &entry.author, MAX_TEXT_BYTES)?;
    if !entry.note.is_empty() {
        check_text("note", &entry.note, MAX_TEXT_BYTES)?;
    }
    if let Some(removal) = &entry.removed {
        check_text("author of the removal", &removal.author, MAX_TEXT_BYTES)?;
    }
    // Random ids, hashes and addresses may pass Luhn's check by chance; their form leaves no room for a number.
    let own_id = entry.kind.own_id().is_some_and(|kind| kind.parse(entry.value.trim()).is_ok());
    let hash = entry.kind == ListKind::EmailHash && is_hash(entry.value.trim());
    let prefix = entry.kind == ListKind::IpPrefix && Prefix::parse(entry.value.trim()).is_some();
    if !own_id && !hash && !prefix {
        check_text("value", &entry.value, MAX_VALUE_BYTES)?;
    }
    match entry.expires {
        Some(expires) if expires <= entry.created => Err(EntryRefused::NeverCounts { created: entry.created, expires }),
        _ => Ok(()),
    }
}

fn check_text(field: &'static str, text: &str, limit: usize) -> Result<(), EntryRefused> {
    if text.trim().is_empty() {
        return Err(EntryRefused::Empty { field });
    }
    if text.len() > limit {
        return Err(EntryRefused::TooLong { field, found: text.len(), limit });
    }
    if contains_card_number(text) {
        return Err(EntryRefused::CardNumberRefused { field });
    }
    Ok(())
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The one form of a key that is compared as text.
fn normal(kind: ListKind, value: &str) -> Result<Cow<'_, str>, KeyRefused> {
    let value = value.trim();
    let (fits, wanted) = match kind {
        ListKind::Country => (
            value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_alphabetic()),
            "two letters of ISO 3166, such as NG",
        ),
        ListKind::EmailHash => (is_hash(value), "a SHA-256 hash of 64 hexadecimal digits"),
        _ => {
            let plain = !value.is_empty() && value.len() <= MAX_VALUE_BYTES && !value.contains(char::is_whitespace);
            (plain, "a token of at most 128 bytes without spaces")
        }
    };
    match kind {
        _ if !fits => Err(KeyRefused::new(kind, value, wanted)),
        ListKind::Country if value.bytes().any(|byte| byte.is_ascii_lowercase()) => {
            Ok(value.to_ascii_uppercase().into())
        }
        ListKind::EmailHash if value.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Ok(value.to_ascii_lowercase().into())
        }
        _ => Ok(value.into()),
    }
}
