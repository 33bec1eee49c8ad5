//! From the asking account to everyone who is joined with it at an instant; what that amounts to is in `features`.
//!
//! The members are the least set that holds the asking account and is closed under the rules of joining, so the order
//! in which links were made does not matter to it, as long as the bounds are not reached.

use dhow_events::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::LinkIndex;
use crate::features::{BURST_MICROS, YOUNG_MICROS};
use crate::things::ThingKind;

/// A walk ends when it has found so many accounts.
pub const MOST_MEMBERS: usize = 128;
/// A walk ends when it has looked at so many links.
pub const MOST_STEPS: usize = 8192;

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
        let slot = member.slot;
        for used in member.uses.clone() {
            walker.reach(used);
            walker.join_those_who_came_together(slot, used);
        }
        next += 1;
    }
    Walk { members: walker.members, truncated: walker.truncated }
}

/// An account that uses a thing.
#[derive(Debug, Clone, Copy)]
struct User {
    account: u32,
    since: Timestamp,
    /// Whether the account was young when it began to use the thing.
    began_young: bool,
}

struct Walker<'a> {
    index: &'a LinkIndex,
    at: Timestamp,
    members: Vec<Member>,
    joined: FxHashSet<u32>,
    /// The accounts of each thing that a member uses.
    reached: FxHashMap<u32, Vec<User>>,
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
            reached: FxHashMap::default(),
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

    /// A member uses this thing: joins those of its accounts that a card or payout account joins, or two kinds in common.
    fn reach(&mut self, used: Use) {
        if self.reached.contains_key(&used.thing) {
            return;
        }
        let users = self.live_users(used.thing);
        for user in &users {
            let kinds = self.kinds_in_common.entry(user.account).or_default();
            *kinds |= used.kind.bit();
            if is_personal(used.kind) || kinds.count_ones() >= 2 {
                self.join(Some(user.account), &[]);
            }
        }
        self.reached.insert(used.thing, users);
    }

    /// Joins those who, like this member, were young when they began to use the thing, and began about when it did.
    fn join_those_who_came_together(&mut self, member: Option<u32>, used: Use) {
        if is_personal(used.kind) || !self.is_young(member, used.first) {
            return;
        }
        let apart_micros = |user: &User| user.since.micros_since(used.first).saturating_abs();
        let users = self.reached.get(&used.thing).into_iter().flatten();
        let together = users.filter(|user| user.began_young && apart_micros(user) <= BURST_MICROS);
        for account in together.map(|user| user.account).collect::<Vec<_>>() {
            self.join(Some(account), &[]);
        }
    }

    /// Whether the account had been opened at most [`YOUNG_MICROS`] before `since`.
    fn is_young(&self, account: Option<u32>, since: Timestamp) -> bool {
        let registered = account.and_then(|account| self.index.registered(account, self.at));
        registered.is_some_and(|registered| since.micros_since(registered) <= YOUNG_MICROS)
    }

    /// The accounts that use a thing; none once the walk has looked at too many.
    fn live_users(&mut self, thing: u32) -> Vec<User> {
        let Some(node) = self.index.things.get(thing) else { return Vec::new() };
        self.steps += node.accounts.len();
        if self.steps > MOST_STEPS {
            self.truncated = true;
            return Vec::new();
        }
        let user = |account: &u32| {
            let since = self.index.using_since(*account, thing, self.at)?;
            Some(User { account: *account, since, began_young: self.is_young(Some(*account), since) })
        };
        node.accounts.iter().filter_map(user).collect()
    }
}

/// Whether such a thing belongs to one person, or to people who are close.
fn is_personal(kind: ThingKind) -> bool {
    matches!(kind, ThingKind::Card | ThingKind::PayoutAccount)
}
