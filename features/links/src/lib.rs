//! Who shares a card, a device, an address or a payout account with whom: rings as they form; scores live elsewhere.
//!
//! [`LinkIndex`] takes in events and keeps one link for each account and thing that were used together: since when, and
//! when last. A link that is not used for the retention lapses. Nothing is joined ahead of time, so nothing has to be
//! taken apart again: a read walks from the asking account over what was linked at its instant, within named bounds.
//!
//! What makes a ring is not that a thing is shared, but how. A thing of very many accounts (an office's network, a
//! parcel locker, a café) is a hub and joins nobody. A card or a payout account joins its accounts. A device or an
//! address joins two accounts only where they have another kind of thing in common too, or where both began to use it
//! about when they were opened, within days of each other. Of what is joined so, [`LinkFeatures`] tells size, sharing,
//! tempo, ages and known frauds, and its `ring_score` puts them together: families are small and grow slowly, colleagues
//! pay with their own cards.
//!
//! A read at an instant sees what happened before it and was applied before the read; of labels, those that were known
//! by then. Events after the instant change no bit of it, as long as no bound is reached and no link lapses between.

mod directory;
mod features;
mod index;
mod observations;
mod past;
mod ring;
mod snapshot;
mod things;
mod walk;

pub use features::{BURST_MICROS, FEATURE_WORDS, FEATURES, LinkFeatures, RING_FLAG_SCORE, YOUNG_MICROS};
pub use index::{HUB_ACCOUNTS, LinkIndex, LinkSettings, LinkStats, MOST_LABELS_OF_ACCOUNT, MOST_LINKS_OF_ACCOUNT};
pub use past::PastLinks;
pub use ring::{LinkQuery, Ring, RingAccount, RingThing};
pub use snapshot::SnapshotError;
pub use things::{Account, Thing, ThingKind};
pub use walk::{MOST_MEMBERS, MOST_STEPS};
