//! Pairs within one set of baskets: a region's, or all.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::BundleSettings;
use crate::baskets::{Baskets, Rows};

/// The most partners of one item.
pub const MAX_PARTNERS: usize = 200;

/// Counts, and each item's partners with the most evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) baskets: u32,
    /// Baskets that hold each item.
    pub(crate) item_baskets: Vec<u32>,
    /// Each item's partners with their supports, by descending evidence, ties by ascending item.
    pub(crate) partners: Rows<(u32, u32)>,
}

impl Scope {
    /// Counts the baskets whose places are given.
    pub(crate) fn fit(baskets: &Baskets, of: &[u32], items: usize, settings: &BundleSettings) -> Self {
        let (starts, holders) = holders(baskets, of, items);
        let item_baskets: Vec<u32> = starts.windows(2).map(|pair| (pair[1] - pair[0]) as u32).collect();
        let mut scope = Self { baskets: of.len() as u32, item_baskets, partners: Rows::default() };
        let rows: Vec<Vec<(u32, u32)>> = (0..items)
            .into_par_iter()
            .map_init(
                || Counter { counts: vec![0; items], touched: Vec::new() },
                |counter, item| {
                    for &basket in &holders[starts[item]..starts[item + 1]] {
                        counter.add_all(baskets.items.row(basket as usize));
                    }
                    scope.partners_of(item as u32, counter, settings)
                },
            )
            .collect();
        rows.into_iter().for_each(|row| scope.partners.push(row));
        scope
    }

    /// Takes the counts, and leaves the counter empty.
    fn partners_of(&self, item: u32, counter: &mut Counter, settings: &BundleSettings) -> Vec<(u32, u32)> {
        let mut partners: Vec<(f64, u32, u32)> = Vec::new();
        for other in counter.touched.drain(..) {
            let support = std::mem::take(&mut counter.counts[other as usize]);
            if other == item || support < settings.min_support || self.lift(item, other, support) <= 1.0 {
                continue;
            }
            let evidence = self.evidence(item, other, support);
            if evidence >= settings.min_evidence {
                partners.push((evidence, other, support));
            }
        }
        partners.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        partners.truncate(settings.partners);
        partners.into_iter().map(|(_, other, support)| (other, support)).collect()
    }

    /// Baskets that would hold both by chance.
    fn expected(&self, a: u32, b: u32) -> f64 {
        f64::from(self.item_baskets[a as usize]) * f64::from(self.item_baskets[b as usize]) / f64::from(self.baskets)
    }

    pub(crate) fn lift(&self, a: u32, b: u32, support: u32) -> f64 {
        f64::from(support) / self.expected(a, b)
    }

    /// The lift with `prior` baskets added both to what is and to what would be by chance, so that few baskets say little.
    pub(crate) fn shrunk_lift(&self, a: u32, b: u32, prior: f64) -> f64 {
        (f64::from(self.support(a, b)) + prior) / (self.expected(a, b) + prior)
    }

    /// The log-likelihood ratio of the pair's table, 0 where the two are independent; chi-squared with one degree of freedom
    /// by chance.
    pub(crate) fn evidence(&self, a: u32, b: u32, support: u32) -> f64 {
        let total = f64::from(self.baskets);
        let (with_a, with_b) = (f64::from(self.item_baskets[a as usize]), f64::from(self.item_baskets[b as usize]));
        let both = f64::from(support);
        let cells = [
            (both, with_a * with_b),
            (with_a - both, with_a * (total - with_b)),
            (with_b - both, (total - with_a) * with_b),
            (total - with_a - with_b + both, (total - with_a) * (total - with_b)),
        ];
        let term = |(is, by_chance): (f64, f64)| if is > 0.0 { is * (is * total / by_chance).ln() } else { 0.0 };
        2.0 * cells.into_iter().map(term).sum::<f64>()
    }

    /// The support of a pair as far as either item lists the other as a partner; 0 else.
    pub(crate) fn support(&self, a: u32, b: u32) -> u32 {
        let listed = |item: u32, other: u32| {
            self.partners.row(item as usize).iter().find(|(partner, _)| *partner == other).map(|(_, support)| *support)
        };
        listed(a, b).or_else(|| listed(b, a)).unwrap_or(0)
    }

    /// Whether every number is within the others' bounds.
    pub(crate) fn is_sound(&self, items: usize) -> bool {
        let held = |item: u32| self.item_baskets.get(item as usize).copied().unwrap_or(0);
        self.item_baskets.len() == items
            && self.item_baskets.iter().all(|count| *count <= self.baskets)
            && self.partners.len() == items
            && self.partners.is_sound()
            && self.partners.values().iter().all(|(item, support)| *support > 0 && *support <= held(*item))
            && (0..items).all(|item| self.partners.row(item).iter().all(|(_, support)| *support <= held(item as u32)))
    }
}

/// Counts by item that are emptied at the cost of what was counted.
struct Counter {
    counts: Vec<u32>,
    touched: Vec<u32>,
}

impl Counter {
    fn add_all(&mut self, items: &[u32]) {
        for &item in items {
            if self.counts[item as usize] == 0 {
                self.touched.push(item);
            }
            self.counts[item as usize] += 1;
        }
    }
}

/// For each item the baskets that hold it: where each item's list starts (and the last one ends), and the lists.
fn holders(baskets: &Baskets, of: &[u32], items: usize) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0usize; items + 1];
    let of_baskets = || of.iter().flat_map(|b| baskets.items.row(*b as usize).iter().map(move |item| (*item, *b)));
    for (item, _) in of_baskets() {
        starts[item as usize + 1] += 1;
    }
    for item in 0..items {
        starts[item + 1] += starts[item];
    }
    let mut next = starts.clone();
    let mut holders = vec![0u32; starts[items]];
    for (item, basket) in of_baskets() {
        holders[next[item as usize]] = basket;
        next[item as usize] += 1;
    }
    (starts, holders)
}
