//! The arrangement as its documentation tells it, by trying every set of items; slow and obviously right.

use dhow_ranking::*;

use crate::random::{Case, similarity};

#[derive(Debug, Clone, Copy)]
struct Item {
    candidate: Candidate,
    organic: bool,
    relevance: f64,
}

/// Items, kinds and numbers of relaxed places, and the counts of what was removed. Without exploration.
pub struct Expected {
    pub places: Vec<(u32, Kind)>,
    pub relaxed: Relaxed,
    pub removed_alone: usize,
    pub seller_cap: usize,
    pub category_cap: usize,
}

struct Slow<'a> {
    case: &'a Case,
    pool: Vec<Item>,
    placed: Vec<usize>,
}

pub fn arrange_slowly(case: &Case) -> Expected {
    let mut slow = Slow { case, pool: pool(case), placed: Vec::new() };
    let planned = slow.longest();
    let mut budgets = case.budgets_minor.clone();
    let mut places: Vec<(u32, Kind)> = Vec::new();
    let mut relaxed = Relaxed::default();
    while places.len() < case.count {
        let organic = slow.organic(&places);
        let displaced = organic.map(|(at, _)| at);
        if let Some((at, offer)) = slow.offer(places.len(), displaced, planned, &budgets, &places) {
            budgets[offer.campaign as usize] -= offer.bid_minor;
            slow.placed.push(at);
            let kind = Kind::Sponsored { campaign: offer.campaign, cost_minor: offer.bid_minor };
            places.push((slow.pool[at].candidate.item, kind));
        } else if let Some((at, relaxes)) = organic {
            relaxed.diversity += relaxes.diversity;
            relaxed.fairness += relaxes.fairness;
            slow.placed.push(at);
            places.push((slow.pool[at].candidate.item, Kind::Organic));
        } else {
            break;
        }
    }
    let organic = slow.pool.iter().filter(|item| item.organic).count();
    let left: Vec<Candidate> = (0..slow.pool.len())
        .filter(|at| !slow.placed.contains(at) && slow.pool[*at].organic)
        .map(|at| slow.pool[at].candidate)
        .collect();
    let full_seller = |c: &&Candidate| slow.of_seller(c.seller) >= case.seller_cap();
    let full_category = |c: &&Candidate| slow.of_category(c.category) >= case.category_cap(c.category);
    Expected {
        places,
        relaxed,
        removed_alone: case.candidates.len() - organic,
        seller_cap: left.iter().filter(full_seller).count(),
        category_cap: left.iter().filter(|c| !full_seller(c) && full_category(c)).count(),
    }
}

fn pool(case: &Case) -> Vec<Item> {
    let mut pool: Vec<Item> = Vec::new();
    let mut named: Vec<u32> = Vec::new();
    let offered = case.offers.iter().map(|offer| (offer.candidate, false));
    for (candidate, organic) in case.candidates.iter().map(|c| (*c, true)).chain(offered) {
        if named.contains(&candidate.item) {
            continue;
        }
        named.push(candidate.item);
        if !case.is_barred(&candidate) {
            pool.push(Item { candidate, organic, relevance: 1.0 });
        }
    }
    pool.sort_by(|a, b| b.candidate.score.total_cmp(&a.candidate.score).then(a.candidate.item.cmp(&b.candidate.item)));
    if let (Some(first), Some(last)) = (pool.first().copied(), pool.last().copied())
        && first.candidate.score > last.candidate.score
    {
        let range = first.candidate.score - last.candidate.score;
        pool.iter_mut().for_each(|i| i.relevance = (i.candidate.score - last.candidate.score) / range);
    }
    pool
}

impl Slow<'_> {
    fn of_seller(&self, seller: u32) -> usize {
        self.placed.iter().filter(|at| self.pool[**at].candidate.seller == seller).count()
    }

    fn of_category(&self, category: u32) -> usize {
        self.placed.iter().filter(|at| self.pool[**at].candidate.category == category).count()
    }

    /// Within the caps?
    fn allows(&self, items: &[usize]) -> bool {
        items.len() <= self.case.count
            && items.iter().all(|at| {
                let Candidate { seller, category, .. } = self.pool[*at].candidate;
                let same_seller = items.iter().filter(|o| self.pool[**o].candidate.seller == seller).count();
                let same_category = items.iter().filter(|o| self.pool[**o].candidate.category == category).count();
                same_seller <= self.case.seller_cap() && same_category <= self.case.category_cap(category)
            })
    }

    /// The length of the longest slate that contains what is placed, by trying every set of candidates.
    fn longest(&self) -> usize {
        let free: Vec<usize> =
            (0..self.pool.len()).filter(|at| self.pool[*at].organic && !self.placed.contains(at)).collect();
        let mut longest = 0;
        for set in 0..1u32 << free.len() {
            let wanted = self.placed.len() + set.count_ones() as usize;
            if wanted > longest {
                let chosen = free.iter().enumerate().filter(|(bit, _)| set >> bit & 1 == 1).map(|(_, at)| *at);
                let items: Vec<usize> = self.placed.iter().copied().chain(chosen).collect();
                if self.allows(&items) {
                    longest = wanted;
                }
            }
        }
        longest
    }

    /// May this come next without making the slate shorter than it could be?
    fn admits(&self, at: usize) -> bool {
        let before = self.longest();
        let mut with: Vec<usize> = self.placed.clone();
        with.push(at);
        self.allows(&with) && Slow { case: self.case, pool: self.pool.clone(), placed: with }.longest() >= before
    }

    fn organic(&self, places: &[(u32, Kind)]) -> Option<(usize, Relaxed)> {
        let policy = &self.case.policy;
        let (lambda, max_similarity) = policy.diversity.map_or((1.0, 1.0), |d| (d.lambda, d.max_similarity));
        let to_placed = |at: usize| {
            let item = self.pool[at].candidate.item;
            let similarities = self.placed.iter().map(|p| similarity(item, self.pool[*p].candidate.item));
            similarities.filter(|s| !s.is_nan()).map(|s| s.clamp(0.0, 1.0)).fold(0.0, f64::max)
        };
        let organic: Vec<usize> =
            (0..places.len()).filter(|at| places[*at].1 == Kind::Organic).map(|at| self.placed[at]).collect();
        let small = organic.iter().filter(|at| self.pool[**at].candidate.small_seller).count();
        let floor = policy.fairness.map_or(0.0, |f| f.floor_share);
        let needs_small = (floor * (organic.len() + 1) as f64 + 1e-9).floor() as usize > small;
        let limits = max_similarity < 1.0;
        for (only_small, apart) in [(needs_small, limits), (needs_small, false), (false, limits), (false, false)] {
            let mut best: Option<(usize, f64)> = None;
            for at in 0..self.pool.len() {
                let item = &self.pool[at];
                let fits = item.organic
                    && !self.placed.contains(&at)
                    && (!only_small || item.candidate.small_seller)
                    && (!apart || to_placed(at) <= max_similarity);
                let value = lambda * item.relevance - (1.0 - lambda) * to_placed(at);
                if fits && best.is_none_or(|(_, b)| value > b) && self.admits(at) {
                    best = Some((at, value));
                }
            }
            if let Some((at, _)) = best {
                let diversity = usize::from(limits && !apart);
                return Some((at, Relaxed { diversity, fairness: usize::from(needs_small && !only_small) }));
            }
        }
        None
    }

    fn offer(
        &self,
        place: usize,
        displaced: Option<usize>,
        planned: usize,
        budgets: &[i64],
        places: &[(u32, Kind)],
    ) -> Option<(usize, Offer)> {
        let sponsorship = self.case.policy.sponsorship.as_ref()?;
        let sponsored = places.iter().filter(|(_, kind)| *kind != Kind::Organic).count();
        let full = sponsored >= (sponsorship.max_share * planned as f64 + 1e-9).floor() as usize;
        if full || !sponsorship.places.contains(&place) {
            return None;
        }
        let mut offers: Vec<(usize, Offer)> = Vec::new();
        for offer in &self.case.offers {
            if let Some(at) = self.pool.iter().position(|i| i.candidate.item == offer.candidate.item) {
                offers.push((at, *offer));
            }
        }
        let value = |(at, offer): &(usize, Offer)| offer.bid_minor as f64 * self.pool[*at].relevance;
        offers.sort_by(|a, b| value(b).total_cmp(&value(a)).then(a.0.cmp(&b.0)));
        offers.into_iter().find(|(at, offer)| {
            !self.placed.contains(at)
                && displaced != Some(*at)
                && displaced
                    .is_none_or(|d| self.pool[*at].relevance >= sponsorship.relevance_floor * self.pool[d].relevance)
                && offer.bid_minor <= budgets[offer.campaign as usize]
                && self.admits(*at)
        })
    }
}
