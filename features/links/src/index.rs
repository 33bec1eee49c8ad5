//! The links themselves: made, used, lapsed and freed, within bounds; what they tell of rings is in `walk` and `features`.

use std::collections::BTreeMap;

use dhow_events::{CheckoutId, DAY_MICROS, TenantId, Timestamp};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::directory::{Directory, Keyed};
use crate::things::{Account, AccountKind, Key, Thing, ThingKind};

/// A thing of more accounts is a hub: it joins nobody, and its accounts are no longer listed, only counted.
pub const HUB_ACCOUNTS: usize = 64;
/// An account keeps so many links at most; a further one takes the place of the one that was used longest ago.
pub const MOST_LINKS_OF_ACCOUNT: usize = 64;
/// An account keeps so many labels at most; a further one takes the place of the oldest.
pub const MOST_LABELS_OF_ACCOUNT: usize = 16;
/// Accounts that each applied event looks at for links that lapsed, in turn.
const SWEPT_ACCOUNTS_PER_EVENT: usize = 2;
/// How long what lapsed is kept for reads that lie a little in the past.
const SWEEP_MARGIN_MICROS: i64 = DAY_MICROS;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSettings {
    /// A link that was not used for so long lapses.
    pub retention_micros: i64,
    /// The most links that are kept; a new one beyond it is refused, and counted as such.
    pub most_links: usize,
    /// The most accounts that are kept; what is told of a new one beyond it is refused, and counted as such. An account
    /// whose opening or label was told is kept for ever, so that the age of one that slept long is known.
    pub most_accounts: usize,
}

impl Default for LinkSettings {
    /// 90 days, 40 million links, 20 million accounts.
    fn default() -> Self {
        Self { retention_micros: 90 * DAY_MICROS, most_links: 40_000_000, most_accounts: 20_000_000 }
    }
}

/// What an index holds and has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkStats {
    /// Accounts kept.
    pub accounts: usize,
    /// Things kept.
    pub things: usize,
    /// Links kept, one for each account and thing that were used together.
    pub links: usize,
    /// Uses that came when they had already lapsed.
    pub late: u64,
    /// Links, openings and labels that were refused because the index was full.
    pub refused: u64,
    /// Links that made room for another one of the same account.
    pub displaced: u64,
}

/// One account's use of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) thing: u32,
    /// When the account began to use it.
    pub(crate) first: Timestamp,
    last: Timestamp,
}

impl Link {
    /// A use after the link lapsed begins it anew; one from before its beginning, and a lapse apart, is of the past.
    fn use_at(&mut self, at: Timestamp, retention_micros: i64) {
        if at > self.last + retention_micros {
            (self.first, self.last) = (at, at);
        } else if at > self.first - retention_micros {
            (self.first, self.last) = (self.first.min(at), self.last.max(at));
        }
    }
}

/// Whether a checkout of an account was fraud, as somebody came to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    checkout: CheckoutId,
    fraud: bool,
    at: Timestamp,
    known_time: Timestamp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountNode {
    pub(crate) key: Key<AccountKind>,
    /// When it was opened, where that was told.
    registered: Option<Timestamp>,
    pub(crate) links: Vec<Link>,
}

impl Keyed for AccountNode {
    type Key = Key<AccountKind>;
    fn key(&self) -> Self::Key {
        self.key
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ThingNode {
    pub(crate) key: Key<ThingKind>,
    /// The accounts with a link to it; of a hub the first ones only.
    pub(crate) accounts: Vec<u32>,
    /// All accounts with a link to it.
    account_count: u32,
    /// Since when it is a hub; later than every instant where it is none.
    hub_since: Timestamp,
}

impl Keyed for ThingNode {
    type Key = Key<ThingKind>;
    fn key(&self) -> Self::Key {
        self.key
    }
}

impl ThingNode {
    /// Once a hub, a thing stays one until all of its links lapsed.
    pub(crate) fn is_hub(&self, at: Timestamp) -> bool {
        self.hub_since < at
    }
}

/// Who shares what with whom, of all tenants, in memory. One writer and readers share it behind a lock of their choice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LinkIndex {
    pub(crate) settings: LinkSettings,
    tenants: Vec<TenantId>,
    #[serde(skip)]
    tenant_numbers: FxHashMap<TenantId, u32>,
    pub(crate) accounts: Directory<AccountNode>,
    pub(crate) things: Directory<ThingNode>,
    /// Labels by the account's slot.
    labels: BTreeMap<u32, Vec<Label>>,
    links: usize,
    /// The latest instant that was passed.
    newest: Timestamp,
    /// The account that the next event looks at for lapsed links.
    sweep_slot: u32,
    counted: LinkStats,
}

impl LinkIndex {
    /// An empty index.
    pub fn new(settings: LinkSettings) -> Self {
        Self {
            settings,
            tenants: Vec::new(),
            tenant_numbers: FxHashMap::default(),
            accounts: Directory::new(),
            things: Directory::new(),
            labels: BTreeMap::new(),
            links: 0,
            newest: Timestamp::MIN,
            sweep_slot: 0,
            counted: LinkStats::default(),
        }
    }

    /// How much is kept, and for how long.
    pub const fn settings(&self) -> &LinkSettings {
        &self.settings
    }

    /// What is kept, and what was counted.
    pub fn stats(&self) -> LinkStats {
        LinkStats { accounts: self.accounts.len(), things: self.things.len(), links: self.links, ..self.counted }
    }

    /// The tenant's number, where it was ever seen.
    pub(crate) fn tenant(&self, tenant: TenantId) -> Option<u32> {
        self.tenant_numbers.get(&tenant).copied()
    }

    fn tenant_or_new(&mut self, tenant: TenantId) -> u32 {
        let next = self.tenants.len() as u32;
        *self.tenant_numbers.entry(tenant).or_insert_with(|| {
            self.tenants.push(tenant);
            next
        })
    }

    /// The account was opened at `at`; of several such instants the earliest counts.
    pub(crate) fn register(&mut self, tenant: TenantId, account: Account, at: Timestamp) {
        let Some(slot) = self.account_or_new(tenant, account) else { return };
        if let Some(node) = self.accounts.get_mut(slot) {
            node.registered = Some(node.registered.map_or(at, |known| known.min(at)));
        }
    }

    /// The account's slot; nothing, and one more refusal, where it is new and the index is full.
    fn account_or_new(&mut self, tenant: TenantId, account: Account) -> Option<u32> {
        let key = Key::<AccountKind>::of(self.tenant_or_new(tenant), account);
        let known = self.accounts.find(&key);
        if known.is_none() && self.accounts.len() >= self.settings.most_accounts {
            self.counted.refused += 1;
            return None;
        }
        Some(known.unwrap_or_else(|| self.accounts.insert(AccountNode { key, registered: None, links: Vec::new() })))
    }

    /// The account used the thing at `at`.
    pub fn observe(&mut self, tenant: TenantId, account: Account, thing: Thing, at: Timestamp) {
        if at <= self.newest - self.settings.retention_micros {
            self.counted.late += 1;
            return;
        }
        let tenant_number = self.tenant_or_new(tenant);
        let account_key = Key::<AccountKind>::of(tenant_number, account);
        let thing_key = Key::<ThingKind>::of(tenant_number, thing);
        let (account_slot, thing_slot) = (self.accounts.find(&account_key), self.things.find(&thing_key));
        let retention_micros = self.settings.retention_micros;
        if let (Some(account), Some(thing)) = (account_slot, thing_slot)
            && let Some(node) = self.accounts.get_mut(account)
            && let Some(link) = node.links.iter_mut().find(|link| link.thing == thing)
        {
            link.use_at(at, retention_micros);
            return;
        }
        if self.links >= self.settings.most_links {
            self.counted.refused += 1;
            return;
        }
        let Some(account_slot) = self.account_or_new(tenant, account) else { return };
        let thing_slot = thing_slot.unwrap_or_else(|| {
            let hub_since = Timestamp::MAX;
            self.things.insert(ThingNode { key: thing_key, accounts: Vec::new(), account_count: 0, hub_since })
        });
        self.connect(account_slot, thing_slot, at);
    }

    fn connect(&mut self, account: u32, thing: u32, at: Timestamp) {
        self.make_room(account);
        let Some(node) = self.things.get_mut(thing) else { return };
        node.account_count += 1;
        let listed = node.accounts.len() < HUB_ACCOUNTS;
        if listed {
            if node.accounts.is_empty() {
                node.accounts.reserve_exact(1);
            }
            node.accounts.push(account);
        } else if node.hub_since == Timestamp::MAX {
            // It became a hub when the last of its accounts came, which need not be the one that is applied last.
            let firsts = node.accounts.iter().filter_map(|listed| {
                self.accounts.get(*listed)?.links.iter().find(|link| link.thing == thing).map(|link| link.first)
            });
            node.hub_since = firsts.fold(at, Timestamp::max);
        }
        if let Some(node) = self.accounts.get_mut(account) {
            if node.links.is_empty() {
                node.links.reserve_exact(3);
            }
            node.links.push(Link { thing, first: at, last: at });
            self.links += 1;
        }
    }

    /// Takes the link that was used longest ago from an account that has as many as it may have.
    fn make_room(&mut self, account: u32) {
        let Some(node) = self.accounts.get_mut(account) else { return };
        if node.links.len() < MOST_LINKS_OF_ACCOUNT {
            return;
        }
        let Some((stalest, _)) = node.links.iter().enumerate().min_by_key(|(_, link)| link.last) else { return };
        let thing = node.links.remove(stalest).thing;
        self.disconnect(account, thing);
        self.counted.displaced += 1;
    }

    /// The thing's side of a link that the account no longer has.
    fn disconnect(&mut self, account: u32, thing: u32) {
        self.links -= 1;
        let Some(node) = self.things.get_mut(thing) else { return };
        node.accounts.retain(|listed| *listed != account);
        node.account_count -= 1;
        if node.account_count == 0 {
            self.things.remove(thing);
        }
    }

    /// It became known at `known_time`, and was told at `at`, whether a checkout of the account was fraud. A later label
    /// of the same checkout overrules an earlier one.
    pub(crate) fn label(
        &mut self,
        tenant: TenantId,
        account: Account,
        checkout: CheckoutId,
        fraud: bool,
        at: Timestamp,
        known_time: Timestamp,
    ) {
        let Some(slot) = self.account_or_new(tenant, account) else { return };
        let labels = self.labels.entry(slot).or_default();
        let label = Label { checkout, fraud, at, known_time };
        // The same label, delivered again, is known since it came first.
        if labels.iter().any(|known| Label { known_time, ..*known } == label) {
            return;
        }
        if labels.len() == MOST_LABELS_OF_ACCOUNT {
            labels.remove(0);
        }
        labels.push(label);
    }

    /// Whether some checkout of the account was known as fraud at `at`.
    pub(crate) fn known_fraud(&self, account: u32, at: Timestamp) -> bool {
        let Some(labels) = self.labels.get(&account) else { return false };
        let known = || labels.iter().filter(|label| label.at < at && label.known_time <= at);
        let overruled = |label: &Label| {
            known().any(|other| other.checkout == label.checkout && !other.fraud && other.at > label.at)
        };
        known().any(|label| label.fraud && !overruled(label))
    }

    /// When the account was opened, where that was told and lies before `at`.
    pub(crate) fn registered(&self, account: u32, at: Timestamp) -> Option<Timestamp> {
        self.accounts.get(account)?.registered.filter(|registered| *registered < at)
    }

    /// Since when the account has used the thing, where it does at `at`.
    pub(crate) fn using_since(&self, account: u32, thing: u32, at: Timestamp) -> Option<Timestamp> {
        let link = self.accounts.get(account)?.links.iter().find(|link| link.thing == thing)?;
        self.is_live(link, at).then_some(link.first)
    }

    /// Whether the link had begun and had not lapsed at `at`.
    pub(crate) fn is_live(&self, link: &Link, at: Timestamp) -> bool {
        link.first < at && link.last > at - self.settings.retention_micros
    }

    /// Time went by: looks at the next accounts for links that lapsed.
    pub(crate) fn pass(&mut self, now: Timestamp) {
        self.newest = self.newest.max(now);
        for _ in 0..SWEPT_ACCOUNTS_PER_EVENT {
            self.sweep(self.sweep_slot);
            self.sweep_slot =
                if self.sweep_slot as usize + 1 < self.accounts.slot_count() { self.sweep_slot + 1 } else { 0 };
        }
    }

    /// Frees the links of one account that lapsed, and the account where nothing else is known of it.
    fn sweep(&mut self, slot: u32) {
        let lapsed_before = self.newest - self.settings.retention_micros - SWEEP_MARGIN_MICROS;
        let Some(node) = self.accounts.get_mut(slot) else { return };
        if node.links.iter().any(|link| link.last < lapsed_before) {
            let lapsed: Vec<u32> =
                node.links.extract_if(.., |link| link.last < lapsed_before).map(|link| link.thing).collect();
            for thing in lapsed {
                self.disconnect(slot, thing);
            }
        }
        let Some(node) = self.accounts.get(slot) else { return };
        if node.links.is_empty() && node.registered.is_none() && !self.labels.contains_key(&slot) {
            self.accounts.remove(slot);
        }
    }

    /// Makes what a snapshot leaves out; gives what is wrong where the parts do not fit together.
    pub(crate) fn rebuild(&mut self) -> Result<(), &'static str> {
        self.tenant_numbers = self.tenants.iter().zip(0..).map(|(tenant, number)| (*tenant, number)).collect();
        self.accounts.rebuild()?;
        self.things.rebuild()?;
        let linked = |account: u32, thing: u32| {
            self.accounts.get(account).is_some_and(|node| node.links.iter().any(|link| link.thing == thing))
        };
        let mut counts = vec![0; self.things.slot_count()];
        for link in self.accounts.iter().flat_map(|(_, node)| &node.links) {
            *counts.get_mut(link.thing as usize).ok_or("an account links to a thing that is not there")? += 1;
        }
        let mut links = 0;
        for (slot, node) in self.things.iter() {
            links += node.account_count as usize;
            let listed_all = node.hub_since < Timestamp::MAX || node.accounts.len() == node.account_count as usize;
            if counts[slot as usize] != node.account_count || !listed_all {
                return Err("a thing counts other accounts than link to it");
            }
            if !node.accounts.iter().all(|account| linked(*account, slot)) {
                return Err("a thing lists an account that does not link to it");
            }
        }
        let counted: usize = counts.into_iter().map(|count: u32| count as usize).sum();
        if links != self.links || counted != links {
            return Err("it counts other links than it holds");
        }
        Ok(())
    }
}
