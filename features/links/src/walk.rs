//! From the asking account to everyone who is joined with it at an instant; what that amounts to is in `features`.
//!
//! The members are the least set that holds the asking account and is closed under the rules of joining, so the order
//! in which links were made does not matter to it, as long as the bounds are not reached.

use dhow_events::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::LinkIndex;
use crate::features::YOUNG_MICROS;
use crate::things::ThingKind;

/// A walk ends when it has found so many accounts.
pub const MOST_MEMBERS: usize = 128;
/// A walk ends when it has looked at so many links.
pub const MOST_STEPS: usize = 8192;
/// A device joins the accounts that were young when they began to use it, where there are so many of them.
const YOUNG_ON_A_DEVICE: usize = 3;

/// A thing that an account uses, and since when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) thing: u32,
    pub(crate) kind: ThingKind,
    pub(crate) first: Timestamp,
}

/// An account that is joined.
#[derive(Debug)]
pub(crate) struct Member {
    /// Nothing for the asking account where the index has not seen it.
    pub(crate) slot: Option<u32>,
    /// What it uses, hubs left out.
    pub(crate) uses: Vec<Use>,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Walk {
    /// The asking account first, then in the order in which they were found.
    pub(crate) members: Vec<Member>,
    /// Whether a bound was reached.
    pub(crate) truncated: bool,
}

/// Walks from an account that uses what it is linked to and, since `at`, the `asked` things.
pub(crate) fn walk(index: &LinkIndex, account: Option<u32>, asked: &[u32], at: Timestamp) -> Walk {
    let mut walker = Walker::new(index, at);
    walker.join(account, asked);
    let mut next = 0;
    while let Some(member) = walker.members.get(next) {
        for used in member.uses.clone() {
            walker.reach(used.thing, used.kind);
        }
        next += 1;
    }
    Walk { members: walker.members, truncated: walker.truncated }
}

struct Walker<'a> {
    index: &'a LinkIndex,
    at: Timestamp,
    members: Vec<Member>,
    joined: FxHashSet<u32>,
    reached: FxHashSet<u32>,
    /// For each account seen, the kinds of the reached things that it uses.
    kinds_in_common: FxHashMap<u32, u8>,
    steps: usize,
    truncated: bool,
}

impl<'a> Walker<'a> {
    fn new(index: &'a LinkIndex, at: Timestamp) -> Self {
        Self {
            index,
            at,
            members: Vec::new(),
            joined: FxHashSet::default(),
            reached: FxHashSet::default(),
            kinds_in_common: FxHashMap::default(),
            steps: 0,
            truncated: false,
        }
    }

    fn join(&mut self, account: Option<u32>, asked: &[u32]) {
        if account.is_some_and(|slot| !self.joined.insert(slot)) {
            return;
        }
        if self.members.len() == MOST_MEMBERS {
            self.truncated = true;
            return;
        }
        let (index, at) = (self.index, self.at);
        let links = account.and_then(|slot| index.accounts.get(slot)).map_or(&[][..], |node| &node.links);
        let live = links.iter().filter(|link| index.is_live(link, at)).map(|link| (link.thing, link.first));
        let mut used: Vec<(u32, Timestamp)> = live.collect();
        for thing in asked {
            if used.iter().all(|(known, _)| known != thing) {
                used.push((*thing, at));
            }
        }
        let uses = used.into_iter().filter_map(|(thing, first)| {
            let node = index.things.get(thing).filter(|node| !node.is_hub(at))?;
            Some(Use { thing, kind: node.key.kind, first })
        });
        self.members.push(Member { slot: account, uses: uses.collect() });
    }

    /// A member uses this thing: joins those of its accounts that are to be joined by it, or by it and what was reached
    /// before.
    fn reach(&mut self, thing: u32, kind: ThingKind) {
        if !self.reached.insert(thing) {
            return;
        }
        let accounts = self.live_accounts(thing);
        let young = |account: u32, since: Timestamp| {
            let registered = self.index.registered(account, self.at);
            registered.is_some_and(|registered| since.micros_since(registered) <= YOUNG_MICROS)
        };
        let began_young: Vec<bool> = match kind {
            ThingKind::Device => accounts.iter().map(|(account, since)| young(*account, *since)).collect(),
            _ => vec![false; accounts.len()],
        };
        let many_young = began_young.iter().filter(|began| **began).count() >= YOUNG_ON_A_DEVICE;
        for ((account, _), began_young) in accounts.into_iter().zip(began_young) {
            let kinds = self.kinds_in_common.entry(account).or_default();
            *kinds |= kind.bit();
            let personal = matches!(kind, ThingKind::Card | ThingKind::PayoutAccount);
            if personal || kinds.count_ones() >= 2 || (many_young && began_young) {
                self.join(Some(account), &[]);
            }
        }
    }

    /// The accounts that use a thing, and since when.
    fn live_accounts(&mut self, thing: u32) -> Vec<(u32, Timestamp)> {
        let Some(node) = self.index.things.get(thing) else { return Vec::new() };
        self.steps += node.accounts.len();
        if self.steps > MOST_STEPS {
            self.truncated = true;
            return Vec::new();
        }
        let using = |account: &u32| Some((*account, self.index.using_since(*account, thing, self.at)?));
        node.accounts.iter().filter_map(using).collect()
    }
}
