//! Questions to the index and their answers: features for a model, a ring with words for an analyst.

use dhow_events::{AddressId, CardId, DAY_MICROS, DeviceId, PayoutAccountId, TenantId, Timestamp, facts};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::LinkIndex;
use crate::features::{LinkFeatures, RING_FLAG_SCORE, young_when_joining};
use crate::index::HUB_ACCOUNTS;
use crate::things::{Account, AccountKind, Key, Thing, ThingKind};
use crate::walk::{Member, Walk, walk};

/// An account, and what it is about to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkQuery {
    /// Whose account it is.
    pub tenant: TenantId,
    /// Who asks.
    pub account: Account,
    /// The card that is about to be used.
    pub card: Option<CardId>,
    /// The device that is being used.
    pub device: Option<DeviceId>,
    /// The address that is about to be delivered to.
    pub address: Option<AddressId>,
    /// The account that is about to be paid on.
    pub payout_account: Option<PayoutAccountId>,
}

impl LinkQuery {
    /// About an account as it is, without anything new.
    pub fn account(tenant: TenantId, account: Account) -> Self {
        Self { tenant, account, card: None, device: None, address: None, payout_account: None }
    }

    /// About a checkout that is to be decided.
    pub fn checkout(tenant: TenantId, checkout: &facts::CheckoutSubmitted) -> Self {
        let account = Account::Buyer(checkout.buyer);
        let (card, device, address) = (checkout.card, checkout.device, checkout.address);
        Self { card, device, address, ..Self::account(tenant, account) }
    }

    /// What is asked with, one place for each of [`ThingKind::ALL`].
    fn things(&self) -> [Option<Thing>; ThingKind::ALL.len()] {
        [
            self.card.map(Thing::Card),
            self.device.map(Thing::Device),
            self.address.map(Thing::Address),
            self.payout_account.map(Thing::PayoutAccount),
        ]
    }
}

/// An account of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingAccount {
    /// Which.
    pub account: Account,
    /// When it began to use something that others of the ring use; nothing where it is alone.
    pub joined: Option<Timestamp>,
    /// When it was opened, where that is known.
    pub registered: Option<Timestamp>,
    /// Whether one of its checkouts was known as fraud.
    pub known_fraud: bool,
}

/// A thing that several accounts of a ring use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingThing {
    /// Which.
    pub thing: Thing,
    /// How many accounts of the ring use it.
    pub accounts: usize,
}

/// Everyone who is joined with an account at an instant; a ring of one where nobody is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ring {
    /// What a model and a rule see of it.
    pub features: LinkFeatures,
    /// The accounts, the asking one first; at most [`crate::MOST_MEMBERS`].
    pub accounts: Vec<RingAccount>,
    /// What they share, most accounts first. Hubs are left out.
    pub things: Vec<RingThing>,
    /// Whether a bound ended the walk, so that there may be more.
    pub truncated: bool,
}

impl LinkIndex {
    /// Whether an account was told of and is still kept.
    pub fn knows(&self, tenant: TenantId, account: Account) -> bool {
        let tenant = self.tenant(tenant);
        tenant.is_some_and(|tenant| self.accounts.find(&Key::<AccountKind>::of(tenant, account)).is_some())
    }

    /// The features of a query at an instant, which is its own instant or later: what happened from it on is not seen.
    pub fn features(&self, query: &LinkQuery, at: Timestamp) -> LinkFeatures {
        self.ring(query, at).features
    }

    /// The ring around the asking account at an instant, as for [`LinkIndex::features`].
    pub fn ring(&self, query: &LinkQuery, at: Timestamp) -> Ring {
        let tenant = self.tenant(query.tenant);
        let account = tenant.and_then(|tenant| self.accounts.find(&Key::<AccountKind>::of(tenant, query.account)));
        let find = |thing| self.things.find(&Key::<ThingKind>::of(tenant?, thing));
        let asked = query.things().map(|thing| thing.map(find));
        let slots: Vec<u32> = asked.iter().copied().flatten().flatten().collect();
        let found = walk(self, account, &slots, at);

        let users = users_of_shared_things(&found);
        let accounts: Vec<RingAccount> =
            found.members.iter().map(|member| self.ring_account(member, query.account, &users, at)).collect();
        let sharing = sharing(&found, &users);
        let account_counts = asked.map(|thing| thing.map(|slot| self.users_with(account, slot, at) as f64));
        let first_uses = asked.map(|thing| thing.map(|slot| !self.uses(account, slot, at)));
        let features = LinkFeatures::of(&accounts, sharing, account_counts, first_uses, at);
        let mut things: Vec<RingThing> = users
            .iter()
            .filter_map(|(slot, users)| {
                Some(RingThing { thing: self.things.get(*slot)?.key.thing(), accounts: *users })
            })
            .collect();
        things.sort_unstable_by_key(|shared| (usize::MAX - shared.accounts, shared.thing));
        Ring { features, accounts, things, truncated: found.truncated }
    }

    fn ring_account(
        &self,
        member: &Member,
        asking: Account,
        users: &FxHashMap<u32, usize>,
        at: Timestamp,
    ) -> RingAccount {
        let shared = member.uses.iter().filter(|used| users.contains_key(&used.thing));
        let node = member.slot.and_then(|slot| self.accounts.get(slot));
        RingAccount {
            account: node.map_or(asking, |node| node.key.account()),
            joined: shared.map(|used| used.first).min(),
            registered: member.slot.and_then(|slot| self.registered(slot, at)),
            known_fraud: member.slot.is_some_and(|slot| self.known_fraud(slot, at)),
        }
    }

    fn uses(&self, account: Option<u32>, thing: Option<u32>, at: Timestamp) -> bool {
        account.zip(thing).is_some_and(|(account, thing)| self.using_since(account, thing, at).is_some())
    }

    /// How many accounts use a thing, the asking one counted; of a hub one more than a thing that is none can have.
    fn users_with(&self, account: Option<u32>, thing: Option<u32>, at: Timestamp) -> usize {
        let Some((slot, node)) = thing.and_then(|slot| Some((slot, self.things.get(slot)?))) else { return 1 };
        if node.is_hub(at) {
            return HUB_ACCOUNTS + 1;
        }
        let others = node.accounts.iter().filter(|listed| Some(**listed) != account);
        1 + others.filter(|listed| self.using_since(**listed, slot, at).is_some()).count()
    }
}

/// How many members use each thing that at least two of them use.
fn users_of_shared_things(found: &Walk) -> FxHashMap<u32, usize> {
    let mut users = FxHashMap::default();
    for used in found.members.iter().flat_map(|member| &member.uses) {
        *users.entry(used.thing).or_default() += 1;
    }
    users.retain(|_, count| *count > 1);
    users
}

/// For each kind, the share of the members that use a thing of it that another member uses too.
fn sharing(found: &Walk, users: &FxHashMap<u32, usize>) -> [f64; ThingKind::ALL.len()] {
    ThingKind::ALL.map(|kind| {
        let shares =
            |member: &&Member| member.uses.iter().any(|used| used.kind == kind && users.contains_key(&used.thing));
        found.members.iter().filter(shares).count() as f64 / found.members.len() as f64
    })
}

impl Ring {
    /// Whether its score reaches [`RING_FLAG_SCORE`].
    pub fn is_flagged(&self) -> bool {
        self.features.ring_score >= RING_FLAG_SCORE
    }

    /// The ring in words: who shares what, how fast it formed, how young and how bad it is known to be.
    pub fn words(&self) -> String {
        let count = self.accounts.len();
        if count < 2 {
            return "shares nothing that joins it with another account".to_owned();
        }
        let kinds: Vec<String> = ThingKind::ALL.iter().filter_map(|kind| self.count_in_words(*kind)).collect();
        let begun = if self.truncated { "at least " } else { "" };
        let features = &self.features;
        let in_burst = (features.burst_share * count as f64).round();
        let young = self.accounts.iter().filter(|account| young_when_joining(account)).count();
        let frauds = features.known_fraud_accounts;
        format!(
            "{begun}{count} accounts share {}; {in_burst} of them joined within {} days, {} in the last 24 hours; {young} joined \
             within 30 days of being opened; {frauds} with known fraud",
            kinds.join(", "),
            crate::BURST_MICROS / DAY_MICROS,
            features.growth_24h,
        )
    }

    fn count_in_words(&self, kind: ThingKind) -> Option<String> {
        let count = self.things.iter().filter(|shared| shared.thing.kind() == kind).count();
        let (one, many) = kind.words();
        (count > 0).then(|| format!("{count} {}", if count == 1 { one } else { many }))
    }
}
