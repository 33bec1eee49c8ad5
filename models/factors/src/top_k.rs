//! The best items of a factor model, exactly: a pass over 8-bit copies first, then f32 for what could still be in.
//!
//! Items stand by falling norm in groups of 16. For a query q:
//! 1. an item's score is at most ‖q‖‖y‖, so the pass ends at the first group that cannot reach the worst score kept;
//! 2. the 8-bit product of q̂ and ŷ misses the score by at most `‖q‖‖y − ŷ‖ + ‖q − q̂‖‖ŷ‖`; an item whose product plus that
//!    bound is below the worst kept is out;
//! 3. the others are scored in f32, which alone decides.
//!
//! For many persons at once, eight are multiplied with each group in f32, since the reads are then shared.

use crate::error::FactorsError;
use crate::kernels::{LANES, add_outer, dot, simd_kernel};
use crate::matrix::Matrix;
use rayon::prelude::*;

/// Most items of one answer.
pub const MAX_TOP: usize = 1_000;
/// Persons whose scores are computed together.
const TOGETHER: usize = 8;
/// Bounds are widened by this share of ‖q‖‖y‖, which is more than f32 rounding takes from sums of 1024 products.
const ROUNDING: f32 = 1e-4;

/// An item and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Dense number of the item.
    pub item: u32,
    /// Its score; higher is better.
    pub score: f32,
}

/// A set of items, for filters: stock, region, category.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemSet {
    words: Vec<u64>,
}

impl ItemSet {
    /// The set of the given items.
    pub fn new(items: impl IntoIterator<Item = u32>) -> Self {
        let mut words = Vec::new();
        for item in items {
            let word = item as usize / 64;
            if word >= words.len() {
                words.resize(word + 1, 0);
            }
            words[word] |= 1 << (item % 64);
        }
        Self { words }
    }

    /// Whether the item is in it.
    #[inline(always)]
    pub fn contains(&self, item: u32) -> bool {
        self.words.get(item as usize / 64).is_some_and(|word| word >> (item % 64) & 1 == 1)
    }
}

/// Item factors laid out for finding the best of them.
#[derive(Debug, Clone)]
pub struct ItemIndex {
    columns: usize,
    stride: usize,
    /// Items by falling norm; their places are used below.
    order: Vec<u32>,
    /// f32 factors by place.
    rows: Vec<f32>,
    groups: Vec<Group>,
    /// Per group and column, the 16 items' f32 values together.
    turned: Vec<[f32; LANES]>,
    /// Per group and pair of columns, the 16 items' 8-bit values together.
    small: Vec<[[i8; 2]; LANES]>,
}

/// What is known of 16 items.
#[derive(Debug, Clone)]
struct Group {
    norm_max: f32,
    norms: [f32; LANES],
    scales: [f32; LANES],
    residuals: [f32; LANES],
}

/// The best so far, worst last.
pub(crate) struct Best {
    count: usize,
    kept: Vec<Scored>,
}

impl Best {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, kept: Vec::with_capacity(count + 1) }
    }

    /// A score at or below this does not get in, unless it equals the worst and has a lower number.
    #[inline(always)]
    pub(crate) fn worst(&self) -> f32 {
        if self.kept.len() < self.count {
            f32::NEG_INFINITY
        } else {
            self.kept.last().map_or(f32::INFINITY, |s| s.score)
        }
    }

    #[inline(never)]
    pub(crate) fn offer(&mut self, item: u32, score: f32) {
        let place = self.kept.partition_point(|kept| kept.score > score || (kept.score == score && kept.item < item));
        if place < self.count {
            self.kept.truncate(self.count - 1);
            self.kept.insert(place, Scored { item, score });
        }
    }
}

impl Best {
    pub(crate) fn into_list(self) -> Vec<Scored> {
        self.kept
    }
}

/// A person's factors with their 8-bit copy.
pub(crate) struct Query {
    norm: f32,
    factors: Vec<f32>,
    scale: f32,
    residual: f32,
    small: Vec<[i16; 2]>,
}

impl Query {
    fn new(factors: &[f32], stride: usize) -> Self {
        let mut padded = factors.to_vec();
        padded.resize(stride, 0.0);
        let (scale, small) = quantise(&padded);
        Self {
            norm: norm(&padded),
            residual: residual(&padded, scale, &small),
            scale,
            small: small.as_chunks::<2>().0.iter().map(|pair| pair.map(i16::from)).collect(),
            factors: padded,
        }
    }
}

impl ItemIndex {
    /// Lays the factors of items out; row i is item i.
    pub fn new(factors: &Matrix) -> Self {
        let stride = factors.stride();
        let norms: Vec<f32> = (0..factors.rows()).map(|item| norm(factors.padded_row(item))).collect();
        let mut order: Vec<u32> = (0_u32..).take(factors.rows()).collect();
        order.sort_by(|&a, &b| norms[b as usize].total_cmp(&norms[a as usize]).then(a.cmp(&b)));
        let mut rows: Vec<f32> = Vec::with_capacity(order.len().next_multiple_of(LANES) * stride);
        for item in &order {
            rows.extend_from_slice(factors.padded_row(*item as usize));
        }
        rows.resize(order.len().next_multiple_of(LANES) * stride, 0.0);
        let laid: Vec<(Group, Vec<_>, Vec<_>)> =
            rows.par_chunks_exact(LANES * stride).map(|group| lay_group(group, stride)).collect();
        let mut index = Self {
            columns: factors.columns(),
            stride,
            order,
            rows,
            groups: Vec::with_capacity(laid.len()),
            turned: Vec::with_capacity(laid.len() * stride),
            small: Vec::with_capacity(laid.len() * stride / 2),
        };
        for (group, turned, small) in laid {
            index.groups.push(group);
            index.turned.extend(turned);
            index.small.extend(small);
        }
        index
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.order.len()
    }

    /// The best `count` items for a person's factors, best first, equal scores by item number: exactly what scoring
    /// everything in f32 and sorting gives.
    ///
    /// Items of `exclude` and items outside `allowed` are left out; fewer come back where fewer remain.
    ///
    /// # Errors
    /// `count` above [`MAX_TOP`], or factors of another length than the items'.
    pub fn top(
        &self,
        factors: &[f32],
        count: usize,
        allowed: Option<&ItemSet>,
        exclude: &[u32],
    ) -> Result<Vec<Scored>, FactorsError> {
        self.check(factors.len(), count)?;
        let query = Query::new(factors, self.stride);
        let exclude = ItemSet::new(exclude.iter().copied().filter(|item| (*item as usize) < self.items()));
        let mut best = Best::new(count);
        top_of_one(self, &query, allowed, &exclude, &mut best);
        Ok(best.kept)
    }

    /// The best `count` items for every row of `people`, without the items that `exclude` gives for it.
    ///
    /// # Errors
    /// As [`ItemIndex::top`].
    pub fn top_for_all<'a>(
        &self,
        people: &Matrix,
        count: usize,
        exclude: impl Fn(usize) -> &'a [u32] + Sync,
    ) -> Result<Vec<Vec<Scored>>, FactorsError> {
        self.check(people.columns(), count)?;
        let tasks: Vec<Vec<Vec<Scored>>> = (0..people.rows().div_ceil(TOGETHER))
            .into_par_iter()
            .map(|task| {
                let ids: Vec<usize> = (task * TOGETHER..people.rows().min((task + 1) * TOGETHER)).collect();
                let excluded: Vec<ItemSet> = ids
                    .iter()
                    .map(|id| ItemSet::new(exclude(*id).iter().copied().filter(|i| (*i as usize) < self.items())))
                    .collect();
                let rows: Vec<&[f32]> = ids.iter().map(|id| people.padded_row(*id)).collect();
                top_together(self, &rows, count, &excluded)
            })
            .collect();
        Ok(tasks.into_iter().flatten().collect())
    }

    fn check(&self, columns: usize, count: usize) -> Result<(), FactorsError> {
        if count > MAX_TOP {
            return Err(FactorsError::TooMany { what: "items asked for", count, limit: MAX_TOP });
        }
        if columns != self.columns {
            return Err(FactorsError::WrongLength { what: "a person's factors", got: columns, expected: self.columns });
        }
        Ok(())
    }

    #[inline(always)]
    fn place_row(&self, place: usize) -> &[f32] {
        &self.rows[place * self.stride..(place + 1) * self.stride]
    }
}

simd_kernel! {
    /// One person against all groups: 8 bits first.
    fn top_of_one<'a>(
        index: &'a ItemIndex,
        query: &'a Query,
        allowed: Option<&'a ItemSet>,
        exclude: &'a ItemSet,
        best: &'a mut Best,
    ) {
        let groups = index.groups.iter().zip(index.small.chunks_exact(index.stride / 2));
        for (number, (group, small)) in groups.enumerate() {
            let mut worst = best.worst();
            if query.norm * group.norm_max * (1.0 + ROUNDING) < worst {
                break;
            }
            let products = small_products(small, &query.small);
            let mut bounds = [0.0_f32; LANES];
            for lane in 0..LANES {
                let scale = group.scales[lane] * query.scale;
                let hull = group.norms[lane] + group.residuals[lane];
                let miss = query.norm * group.residuals[lane] + query.residual * hull + ROUNDING * query.norm * hull;
                bounds[lane] = (products[lane] as f32).mul_add(scale, miss);
            }
            for (lane, bound) in bounds.iter().enumerate() {
                let place = number * LANES + lane;
                if *bound < worst || place >= index.order.len() {
                    continue;
                }
                let item = index.order[place];
                if !exclude.contains(item) && allowed.is_none_or(|allowed| allowed.contains(item)) {
                    best.offer(item, dot(&query.factors, index.place_row(place)));
                    worst = best.worst();
                }
            }
        }
    }
}

/// The 16 sums of 8-bit products; they stay below 1024 · 127², far from overflow.
#[inline(always)]
fn small_products(group: &[[[i8; 2]; LANES]], query: &[[i16; 2]]) -> [i32; LANES] {
    let mut sums = [0_i32; LANES];
    for (items, person) in group.iter().zip(query) {
        for lane in 0..LANES {
            let pair = items[lane];
            let first = i32::from(pair[0]).wrapping_mul(i32::from(person[0]));
            let second = i32::from(pair[1]).wrapping_mul(i32::from(person[1]));
            sums[lane] = sums[lane].wrapping_add(first.wrapping_add(second));
        }
    }
    sums
}

simd_kernel! {
    /// Up to eight persons against all groups, in f32.
    fn top_together<'a>(index: &'a ItemIndex, people: &'a [&'a [f32]], count: usize, exclude: &'a [ItemSet]) -> Vec<Vec<Scored>> {
        let mut turned = vec![[0.0_f32; TOGETHER]; index.stride];
        let mut norms = [0.0_f32; TOGETHER];
        for (slot, row) in people.iter().enumerate() {
            norms[slot] = norm(row);
            turned.iter_mut().zip(*row).for_each(|(values, value)| values[slot] = *value);
        }
        let mut best: Vec<Best> = people.iter().map(|_| Best::new(count)).collect();
        for (number, (group, values)) in index.groups.iter().zip(index.turned.chunks_exact(index.stride)).enumerate() {
            let reach = group.norm_max * (1.0 + ROUNDING);
            if best.iter().zip(&norms).all(|(best, norm)| norm * reach < best.worst()) {
                break;
            }
            let mut scores = [[0.0_f32; LANES]; TOGETHER];
            for (person, items) in turned.iter().zip(values) {
                add_outer(&mut scores, person, items);
            }
            for (slot, (best, scores)) in best.iter_mut().zip(&scores).enumerate() {
                let worst = best.worst();
                let slack = ROUNDING * norms[slot] * group.norm_max;
                let mut any = false;
                for score in scores {
                    any |= *score + slack >= worst;
                }
                if any {
                    offer_group(index, number, people[slot], scores, slack, &exclude[slot], best);
                }
            }
        }
        best.into_iter().map(|best| best.kept).collect()
    }
}

/// Offers those of a group that could get in, scored as [`ItemIndex::top`] scores them.
#[inline(always)]
fn offer_group(
    index: &ItemIndex,
    number: usize,
    person: &[f32],
    scores: &[f32; LANES],
    slack: f32,
    exclude: &ItemSet,
    best: &mut Best,
) {
    for (lane, score) in scores.iter().enumerate() {
        let place = number * LANES + lane;
        if score + slack >= best.worst() && place < index.order.len() && !exclude.contains(index.order[place]) {
            best.offer(index.order[place], dot(person, index.place_row(place)));
        }
    }
}

fn lay_group(rows: &[f32], stride: usize) -> (Group, Vec<[f32; LANES]>, Vec<[[i8; 2]; LANES]>) {
    let mut group = Group { norm_max: 0.0, norms: [0.0; LANES], scales: [0.0; LANES], residuals: [0.0; LANES] };
    let mut turned = vec![[0.0; LANES]; stride];
    let mut small = vec![[[0; 2]; LANES]; stride / 2];
    for (lane, row) in rows.chunks_exact(stride).enumerate() {
        let (scale, quantised) = quantise(row);
        group.norms[lane] = norm(row);
        group.norm_max = group.norm_max.max(group.norms[lane]);
        group.scales[lane] = scale;
        group.residuals[lane] = residual(row, scale, &quantised);
        turned.iter_mut().zip(row).for_each(|(values, value)| values[lane] = *value);
        small.iter_mut().zip(quantised.as_chunks::<2>().0).for_each(|(values, pair)| values[lane] = *pair);
    }
    (group, turned, small)
}

/// Steps of 1/127 of the largest value, and the rounded row.
fn quantise(row: &[f32]) -> (f32, Vec<i8>) {
    let largest = row.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
    (scale, row.iter().map(|value| (value / scale).round() as i8).collect())
}

/// How far a row lies from its 8-bit copy.
fn residual(row: &[f32], scale: f32, small: &[i8]) -> f32 {
    row.iter().zip(small).map(|(value, step)| (value - scale * f32::from(*step)).powi(2)).sum::<f32>().sqrt()
}

fn norm(row: &[f32]) -> f32 {
    row.iter().map(|value| value * value).sum::<f32>().sqrt()
}
