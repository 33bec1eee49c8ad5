//! What a ring looks like in numbers, and the score that puts them together; who belongs to it is found in `walk`.

use dhow_events::{DAY_MICROS, HOUR_MICROS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ring::RingAccount;
use crate::things::ThingKind;

/// Accounts that joined within so long of each other joined in a burst.
pub const BURST_MICROS: i64 = 7 * DAY_MICROS;
/// An account is young for so long after it was opened.
pub const YOUNG_MICROS: i64 = 30 * DAY_MICROS;
/// From this score on a ring is flagged.
pub const RING_FLAG_SCORE: f64 = 0.6;

/// The names of the features, in the order of [`LinkFeatures::values`].
pub const FEATURES: [&str; 23] = [
    "link_ring_accounts",
    "link_card_sharing",
    "link_device_sharing",
    "link_address_sharing",
    "link_payout_sharing",
    "link_growth_1h",
    "link_growth_24h",
    "link_growth_7d",
    "link_burst_share",
    "link_young_share",
    "link_known_fraud_accounts",
    "link_known_fraud_share",
    "link_youngest_account_days",
    "link_oldest_account_days",
    "link_card_accounts",
    "link_device_accounts",
    "link_address_accounts",
    "link_payout_accounts",
    "link_first_use_of_card",
    "link_first_use_of_device",
    "link_first_use_of_address",
    "link_first_use_of_payout",
    "link_ring_score",
];

/// What each of [`FEATURES`] means to an analyst, as the subject of a sentence.
pub const FEATURE_WORDS: [&str; FEATURES.len()] = [
    "The number of accounts that share things with this one",
    "The share of those accounts that pay with a card of another",
    "The share of those accounts that use a device of another",
    "The share of those accounts that order to an address of another",
    "The share of those accounts that are paid on an account of another",
    "The number of accounts that joined them in the last hour",
    "The number of accounts that joined them in the last 24 hours",
    "The number of accounts that joined them in the last 7 days",
    "The largest share of those accounts that joined within 7 days",
    "The share of those accounts that joined within 30 days of being opened",
    "The number of those accounts with known fraud",
    "The share of those accounts with known fraud",
    "The age in days of the youngest of those accounts",
    "The age in days of the oldest of those accounts",
    "The number of accounts that use this card",
    "The number of accounts that use this device",
    "The number of accounts that use this address",
    "The number of accounts that use this payout account",
    "Whether this account pays with this card for the first time",
    "Whether this account uses this device for the first time",
    "Whether this account orders to this address for the first time",
    "Whether this account is paid on this payout account for the first time",
    "How much those accounts look like a ring, 0 to 1,",
];

/// What a model and a rule see of an account's links at an instant. What is not known or not asked is not a number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LinkFeatures {
    /// Accounts of the ring, the asking one counted: 1 and more.
    pub ring_accounts: f64,
    /// For each of [`ThingKind::ALL`], the share of the accounts that use a thing of it together with another: 0 to 1.
    pub sharing: [f64; ThingKind::ALL.len()],
    /// Accounts that joined in the last hour.
    pub growth_1h: f64,
    /// Accounts that joined in the last 24 hours.
    pub growth_24h: f64,
    /// Accounts that joined in the last 7 days.
    pub growth_7d: f64,
    /// The largest share of the accounts that joined within [`BURST_MICROS`] of each other, whenever that was: 0 to 1;
    /// 0 where nobody is joined.
    pub burst_share: f64,
    /// The share of the accounts that were opened less than [`YOUNG_MICROS`] before they joined, 0 to 1.
    pub young_share: f64,
    /// Accounts with a checkout that is known as fraud.
    pub known_fraud_accounts: f64,
    /// Their share of the accounts, 0 to 1.
    pub known_fraud_share: f64,
    /// The age of the youngest account whose age is known, in days.
    pub youngest_account_days: f64,
    /// The age of the oldest account whose age is known, in days.
    pub oldest_account_days: f64,
    /// For each of [`ThingKind::ALL`], how many accounts use the asked thing, the asking one counted;
    /// [`crate::HUB_ACCOUNTS`] + 1 for a hub of however many.
    pub account_counts: [f64; ThingKind::ALL.len()],
    /// For each of [`ThingKind::ALL`], 1 where the account has not used the asked thing before, 0 where it has.
    pub first_uses: [f64; ThingKind::ALL.len()],
    /// How much it looks like a ring of fraudsters, 0 to 1; see [`LinkFeatures::ring_score`].
    pub ring_score: f64,
}

/// Whether an account was opened at most [`YOUNG_MICROS`] before it joined; not where either is unknown.
pub(crate) fn young_when_joining(account: &RingAccount) -> bool {
    account.joined.zip(account.registered).is_some_and(|(joined, at)| joined.micros_since(at) <= YOUNG_MICROS)
}

impl LinkFeatures {
    /// The features of a ring's accounts.
    pub(crate) fn of(
        accounts: &[RingAccount],
        sharing: [f64; ThingKind::ALL.len()],
        account_counts: [Option<f64>; ThingKind::ALL.len()],
        first_uses: [Option<bool>; ThingKind::ALL.len()],
        at: Timestamp,
    ) -> Self {
        let count = accounts.len() as f64;
        let mut joined: Vec<Timestamp> = accounts.iter().filter_map(|account| account.joined).collect();
        joined.sort_unstable();
        let grown = |micros: i64| joined.iter().filter(|joined| **joined >= at - micros).count() as f64;
        let ages_days = || {
            let registered = accounts.iter().filter_map(|account| account.registered);
            registered.map(|registered| at.micros_since(registered) as f64 / DAY_MICROS as f64)
        };
        let frauds = accounts.iter().filter(|account| account.known_fraud).count() as f64;
        let mut features = Self {
            ring_accounts: count,
            sharing,
            growth_1h: grown(HOUR_MICROS),
            growth_24h: grown(DAY_MICROS),
            growth_7d: grown(7 * DAY_MICROS),
            burst_share: largest_burst(&joined) as f64 / count,
            young_share: accounts.iter().filter(|account| young_when_joining(account)).count() as f64 / count,
            known_fraud_accounts: frauds,
            known_fraud_share: frauds / count,
            youngest_account_days: ages_days().fold(f64::NAN, f64::min),
            oldest_account_days: ages_days().fold(f64::NAN, f64::max),
            account_counts: account_counts.map(|count| count.unwrap_or(f64::NAN)),
            first_uses: first_uses.map(|first| first.map_or(f64::NAN, f64::from)),
            ring_score: 0.0,
        };
        features.ring_score = features.score();
        features
    }

    /// How much it looks like a ring: enough accounts, that share a card or more than one kind of thing, and that came together
    /// fast; or known frauds among accounts that are joined. The ramps are set by hand so that each step can be told to
    /// an analyst. A model that is learned takes the other features beside it.
    fn score(&self) -> f64 {
        // Up to four are a family.
        let size = ramp(self.ring_accounts, 3.0, 5.0);
        let [card, device, address, payout] = self.sharing;
        // One card of many is rare among honest people, and nearly enough alone. A payout account is where the money goes,
        // and all that sellers can share.
        let sharing = ramp(1.75 * card + device + address + 2.0 * payout, 1.4, 1.75);
        // Some accounts of a ring are old ones that were bought, so that youth need not be that of all.
        let fast = ramp(self.burst_share, 0.6, 0.9) * ramp(self.young_share, 0.4, 0.6);
        // Those who came one by one are a ring only where they are more than any family and share everything, cards too.
        let steady =
            ramp(self.ring_accounts, 5.0, 8.0) * ramp(card + device + address, 2.0, 2.8) * ramp(card, 0.5, 0.9);
        let forming = size * sharing * fast.max(steady);
        let known = ramp(self.known_fraud_share, 0.0, 0.5) * ramp(self.ring_accounts, 1.0, 4.0);
        1.0 - (1.0 - forming) * (1.0 - known)
    }

    /// The values in the order of [`FEATURES`].
    pub fn values(&self) -> [f64; FEATURES.len()] {
        let [card_sharing, device_sharing, address_sharing, payout_sharing] = self.sharing;
        let [card_accounts, device_accounts, address_accounts, payout_accounts] = self.account_counts;
        let [first_card, first_device, first_address, first_payout] = self.first_uses;
        [
            self.ring_accounts,
            card_sharing,
            device_sharing,
            address_sharing,
            payout_sharing,
            self.growth_1h,
            self.growth_24h,
            self.growth_7d,
            self.burst_share,
            self.young_share,
            self.known_fraud_accounts,
            self.known_fraud_share,
            self.youngest_account_days,
            self.oldest_account_days,
            card_accounts,
            device_accounts,
            address_accounts,
            payout_accounts,
            first_card,
            first_device,
            first_address,
            first_payout,
            self.ring_score,
        ]
    }
}

/// The most of these sorted instants that lie within [`BURST_MICROS`] of each other.
fn largest_burst(sorted: &[Timestamp]) -> usize {
    let mut begin = 0;
    let mut most = 0;
    for (end, joined) in sorted.iter().enumerate() {
        while joined.micros_since(sorted[begin]) > BURST_MICROS {
            begin += 1;
        }
        most = most.max(end + 1 - begin);
    }
    most
}

/// 0 up to `low`, 1 from `high` on, and straight between.
fn ramp(value: f64, low: f64, high: f64) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}
