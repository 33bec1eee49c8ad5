//! A plan that fills the slate under the caps on sellers and categories, kept possible while places are given away.
//!
//! Sellers and categories are the two sides of a bipartite graph, an item is an edge between its seller and its category,
//! and a slate under the caps is a b-matching: a set of edges with at most `cap` at each node. Taking the best item first
//! can end in a slate that is too short although a full one exists. So a largest b-matching is kept at all times, the
//! plan, that contains what is placed; an item may be placed if some largest plan contains it as well. Such a plan is found by
//! at most two exchanges and one augmenting path (Berge 1957), each one pass over the candidates or a few.

use crate::pool::{Entry, Pool};
use crate::request::Rules;

/// One seller or category.
#[derive(Debug, Clone, Copy)]
struct Node {
    cap: usize,
    /// Edges of the plan at this node, placed ones included.
    planned: usize,
    /// Placed edges at this node.
    placed: usize,
}

impl Node {
    fn new(cap: Option<usize>) -> Self {
        Self { cap: cap.unwrap_or(usize::MAX), planned: 0, placed: 0 }
    }

    fn has_room(&self) -> bool {
        self.planned < self.cap
    }

    fn is_closed(&self) -> bool {
        self.placed >= self.cap
    }
}

/// What the plan does with an entry.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plan {
    Out,
    /// No largest plan contains it beside what is placed; placing more never changes that.
    Barred,
    In,
    Placed,
}

/// Reused from request to request.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    sellers: Vec<Node>,
    categories: Vec<Node>,
    plans: Vec<Plan>,
    count: usize,
    planned: usize,
    reached_sellers: Vec<Option<Via>>,
    reached_categories: Vec<Option<Via>>,
}

/// How the search for an augmenting path came to a node.
#[derive(Debug, Clone, Copy)]
enum Via {
    Start,
    Entry(usize),
}

impl Fill {
    /// Plans as many places as the caps allow, up to `count`, with candidates alone.
    pub(crate) fn begin(&mut self, pool: &Pool, rules: &Rules, count: usize) {
        self.sellers.clear();
        self.sellers.resize(pool.sellers.len(), Node::new(rules.max_per_seller));
        self.categories.clear();
        self.categories.resize(pool.categories.len(), Node::new(rules.max_per_category));
        // Whether a category met a cap of its own yet: the first replaces the general one.
        let mut own = vec![false; if rules.category_caps.is_empty() { 0 } else { pool.categories.len() }];
        for cap in rules.category_caps {
            if let Some(&category) = pool.categories.get(&cap.category) {
                let node = &mut self.categories[category as usize];
                node.cap = if own[category as usize] { node.cap.min(cap.at_most) } else { cap.at_most };
                own[category as usize] = true;
            }
        }
        self.plans.clear();
        self.plans.resize(pool.entries.len(), Plan::Out);
        (self.count, self.planned) = (count, 0);
        for (at, entry) in pool.entries.iter().enumerate() {
            if self.planned == count {
                break;
            }
            if entry.candidate.is_some() && self.has_room(entry) {
                self.set_planned(at, entry, true);
            }
        }
        while self.planned < count && self.augment(&pool.entries) {}
    }

    /// The length of the slate that the plan leads to.
    pub(crate) fn planned(&self) -> usize {
        self.planned
    }

    pub(crate) fn is_placed(&self, at: usize) -> bool {
        self.plans[at] == Plan::Placed
    }

    /// Whether it is worth asking to admit this entry.
    pub(crate) fn may_try(&self, at: usize, entry: &Entry) -> bool {
        match self.plans[at] {
            Plan::In => true,
            Plan::Out => !self.seller_is_full(entry) && !self.category_is_full(entry),
            Plan::Barred | Plan::Placed => false,
        }
    }

    pub(crate) fn seller_is_full(&self, entry: &Entry) -> bool {
        self.sellers[entry.seller as usize].is_closed()
    }

    pub(crate) fn category_is_full(&self, entry: &Entry) -> bool {
        self.categories[entry.category as usize].is_closed()
    }

    /// Whether `candidate` may stand in the place of `instead`, which is placed.
    pub(crate) fn may_replace(&self, candidate: &Entry, instead: &Entry) -> bool {
        (candidate.seller == instead.seller || !self.seller_is_full(candidate))
            && (candidate.category == instead.category || !self.category_is_full(candidate))
    }

    pub(crate) fn place(&mut self, at: usize, entry: &Entry) {
        self.plans[at] = Plan::Placed;
        self.sellers[entry.seller as usize].placed += 1;
        self.categories[entry.category as usize].placed += 1;
    }

    /// Puts an entry that is not placed in the place of one that is; the plan is complete by then.
    pub(crate) fn replace(&mut self, entries: &[Entry], placed: usize, by: usize) {
        let gone = &entries[placed];
        self.plans[placed] = Plan::Out;
        self.sellers[gone.seller as usize].placed -= 1;
        self.categories[gone.category as usize].placed -= 1;
        self.place(by, &entries[by]);
    }

    /// Changes the plan so that it contains the entry, without making it shorter. False, once and for all, if no plan does.
    pub(crate) fn admit(&mut self, entries: &[Entry], at: usize) -> bool {
        let entry = &entries[at];
        if self.plans[at] == Plan::In {
            return true;
        }
        if !self.may_try(at, entry) {
            return false;
        }
        let length = self.planned;
        let same_category = |e: &Entry| e.category == entry.category;
        let at_seller = |e: &Entry| e.seller == entry.seller;
        let mut taken_out = [None, None];
        if !self.sellers[entry.seller as usize].has_room() {
            taken_out[0] = self
                .take_out(entries, |e| at_seller(e) && same_category(e))
                .or_else(|| self.take_out(entries, at_seller));
        }
        if !self.categories[entry.category as usize].has_room() {
            taken_out[1] = self.take_out(entries, same_category);
        }
        if self.planned == self.count {
            taken_out[1] = self.take_out(entries, |_| true);
        }
        self.set_planned(at, entry, true);
        // The entry itself must stay, so it counts as placed while a path is looked for.
        self.plans[at] = Plan::Placed;
        let full = self.planned >= length || self.augment(entries);
        self.plans[at] = Plan::In;
        if !full {
            self.set_planned(at, entry, false);
            for back in taken_out.into_iter().flatten() {
                self.set_planned(back, &entries[back], true);
            }
            self.bar_likes_of(entries, entry);
        }
        full
    }

    /// Entries of one seller and one category are edges side by side: where one cannot be planned, none of them can.
    fn bar_likes_of(&mut self, entries: &[Entry], entry: &Entry) {
        for (plan, other) in self.plans.iter_mut().zip(entries) {
            if *plan == Plan::Out && other.seller == entry.seller && other.category == entry.category {
                *plan = Plan::Barred;
            }
        }
    }

    /// Takes the least relevant entry that is planned, not placed, and matches out of the plan.
    fn take_out(&mut self, entries: &[Entry], matches: impl Fn(&Entry) -> bool) -> Option<usize> {
        let at = (0..entries.len()).rev().find(|at| self.plans[*at] == Plan::In && matches(&entries[*at]))?;
        self.set_planned(at, &entries[at], false);
        Some(at)
    }

    fn has_room(&self, entry: &Entry) -> bool {
        self.sellers[entry.seller as usize].has_room() && self.categories[entry.category as usize].has_room()
    }

    fn set_planned(&mut self, at: usize, entry: &Entry, planned: bool) {
        let nodes = [&mut self.sellers[entry.seller as usize], &mut self.categories[entry.category as usize]];
        for node in nodes {
            node.planned = if planned { node.planned + 1 } else { node.planned - 1 };
        }
        self.planned = if planned { self.planned + 1 } else { self.planned - 1 };
        self.plans[at] = if planned { Plan::In } else { Plan::Out };
    }

    /// Makes the plan one longer by an augmenting path from a seller with room to a category with room: candidates come in
    /// and planned ones go out in turns. False when there is no such path, which means that no plan is longer.
    fn augment(&mut self, entries: &[Entry]) -> bool {
        self.reached_sellers.clear();
        self.reached_sellers.extend(self.sellers.iter().map(|s| s.has_room().then_some(Via::Start)));
        self.reached_categories.clear();
        self.reached_categories.resize(self.categories.len(), None);
        loop {
            let mut grew = false;
            for (at, entry) in entries.iter().enumerate() {
                let (seller, category) = (entry.seller as usize, entry.category as usize);
                let reached = (self.reached_sellers[seller].is_some(), self.reached_categories[category].is_some());
                match (self.plans[at], reached) {
                    (Plan::Out, (true, false)) if entry.candidate.is_some() => {
                        self.reached_categories[category] = Some(Via::Entry(at));
                        grew = true;
                        if self.categories[category].has_room() {
                            self.flip_path(entries, category);
                            return true;
                        }
                    }
                    (Plan::In, (false, true)) => {
                        self.reached_sellers[seller] = Some(Via::Entry(at));
                        grew = true;
                    }
                    _ => {}
                }
            }
            if !grew {
                return false;
            }
        }
    }

    /// Walks the path back from its end; each step brings one entry in and, but for the first of the path, takes one out.
    fn flip_path(&mut self, entries: &[Entry], end: usize) {
        let mut category = end;
        while let Some(Via::Entry(incoming)) = self.reached_categories[category] {
            self.set_planned(incoming, &entries[incoming], true);
            match self.reached_sellers[entries[incoming].seller as usize] {
                Some(Via::Entry(outgoing)) => {
                    self.set_planned(outgoing, &entries[outgoing], false);
                    category = entries[outgoing].category as usize;
                }
                _ => return,
            }
        }
    }
}
