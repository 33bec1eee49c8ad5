//! The best items of a factor model, exactly: a pass over 8-bit copies first, then f32 for what could still be in; fitting is elsewhere.
//!
//! Items stand by falling norm in groups of 16. For a query q:
//! 1. an item's score is at most ‖q‖‖y‖, so the pass ends at the first group that cannot reach the worst score kept;
//! 2. the 8-bit product of q̂ and ŷ misses the score by at most `‖q‖‖y − ŷ‖ + ‖q − q̂‖‖ŷ‖`; an item whose product plus that
//!    bound is below the worst kept is out;
//! 3. the others are scored in f32, which alone decides.
//!
//! For many persons at once, tiles of eight are multiplied with panels of 32 items in f32, since the reads are then
//! shared; what a rounding error could have moved among the best is scored again, so that both ways agree to the bit.
//!
//! Above [`MAX_EXACT_ITEMS`] a single search walks a graph of near items instead (`graph`), and its answer may miss some of
//! the best. Where a filter is too narrow for that, the exact pass answers, and [`Answer`] says so.

use crate::error::{FactorsError, check_setting};
use crate::graph::{Graph, GraphSettings, Rows, walk};
use crate::kernels::{Group, LANES, TILE_ROWS, dot, groups, load, simd_kernel, tile, wide};
use crate::matrix::Matrix;
use fearless_simd::{Simd, prelude::*};
use rayon::prelude::*;

/// Most items of one answer.
pub const MAX_TOP: usize = 1_000;
/// Up to so many items a search is exact, unless [`IndexSettings`] say otherwise.
pub const MAX_EXACT_ITEMS: usize = 200_000;
/// A walk gives up after this share of the items, since the exact pass takes no longer than it would by then; but not before
/// it has met so many for each that it keeps.
const WALK_SHARE: usize = 32;
const WALK_BREADTHS: usize = 32;
/// A filter is tried on so many items, evenly spread; where it lets fewer than one in so many through, nothing is walked.
const PROBES: usize = 64;
const PROBED_ONE_IN: usize = 3;
/// Persons whose scores are computed together.
const TOGETHER: usize = 64;
/// Items of a panel.
const PANEL: usize = 32;
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

/// How items are searched. The answer of the exact pass depends on none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexSettings {
    /// Up to so many items every search is exact; above, a graph is built for it.
    pub max_exact_items: usize,
    /// Links of an item in the graph, 4 to 64; twice as many in its lowest layer.
    pub links: usize,
    /// Near items that links are chosen from when the graph is built, 8 to 1,000.
    pub build_breadth: usize,
    /// So many of the best that a walk meets are kept, or twice as many as are asked for if that is more; 8 to 1,000.
    pub search_breadth: usize,
    /// Decides the graph, the same on any number of threads.
    pub seed: u64,
}

impl Default for IndexSettings {
    fn default() -> Self {
        Self { max_exact_items: MAX_EXACT_ITEMS, links: 16, build_breadth: 100, search_breadth: 480, seed: 1 }
    }
}

impl IndexSettings {
    fn check(&self) -> Result<(), FactorsError> {
        check_setting("links", self.links as f64, 4.0..=64.0, "4 to 64")?;
        check_setting("build_breadth", self.build_breadth as f64, 8.0..=1_000.0, "8 to 1,000")?;
        check_setting("search_breadth", self.search_breadth as f64, 8.0..=1_000.0, "8 to 1,000")
    }
}

/// How an answer was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// By the exact pass.
    Exact,
    /// By a walk, which may miss some of the best.
    Walk,
    /// By the exact pass, since the filter lets too few items through for a walk.
    ExactForFilter,
}

/// The best items, and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Best first.
    pub best: Vec<Scored>,
    /// How they were found.
    pub pass: Pass,
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
    groups: Vec<Bounds>,
    /// Norms by place, padded with zeros to whole panels.
    norms: Vec<f32>,
    /// Per panel and column, the items' f32 values together.
    panels: Vec<[f32; PANEL]>,
    /// Per group and pair of columns, the 16 items' 8-bit values together.
    small: Vec<[[i8; 2]; LANES]>,
    /// Of places; where there are too many items for an exact pass.
    graph: Option<Graph>,
    search_breadth: usize,
}

/// What is known of 16 items.
#[derive(Debug, Clone)]
struct Bounds {
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

/// What could be among the best of one person, by scores that rounding may have moved.
pub(crate) struct Found {
    count: usize,
    /// ‖q‖ of the person.
    norm: f32,
    /// How much rounding may have moved two scores apart.
    slack: f32,
    /// A score below this is out.
    worst: f32,
    /// How many candidates are looked through at once.
    full: usize,
    candidates: Vec<(usize, f32)>,
    kept: Vec<Scored>,
}

impl Found {
    fn new(count: usize, norm: f32, norm_max: f32) -> Self {
        let full = 2 * count + PANEL;
        // Where nothing is asked for, nothing gets in.
        let worst = if count == 0 { f32::INFINITY } else { f32::NEG_INFINITY };
        let slack = ROUNDING * norm * norm_max;
        Self { count, norm, slack, worst, full, candidates: Vec::with_capacity(full + PANEL), kept: Vec::new() }
    }

    /// Takes the scores of consecutive places.
    #[inline(never)]
    fn offer(&mut self, scores: &[f32], first: usize, wanted: impl Fn(usize) -> bool) {
        for (lane, score) in scores.iter().enumerate() {
            if *score >= self.worst && wanted(first + lane) {
                self.candidates.push((first + lane, *score));
            }
        }
        if self.candidates.len() >= self.full {
            let (_, (_, least), _) = self.candidates.select_nth_unstable_by(self.count - 1, |a, b| b.1.total_cmp(&a.1));
            self.worst = *least - self.slack;
            self.candidates.retain(|(_, score)| *score >= self.worst);
            self.full = self.full.max(2 * self.candidates.len());
        }
    }

    /// Scores the candidates as [`ItemIndex::top`] does and keeps the best of them.
    #[inline(always)]
    fn rescore(&mut self, score: impl Fn(usize) -> (u32, f32)) {
        let mut best = Best::new(self.count);
        for (place, _) in &self.candidates {
            let (item, score) = score(*place);
            best.offer(item, score);
        }
        self.kept = best.kept;
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
    /// Lays the factors of items out; row i is item i. The default settings hold: with more than [`MAX_EXACT_ITEMS`] items
    /// this builds a graph, which takes seconds.
    pub fn new(factors: &Matrix) -> Self {
        Self::laid_out(factors, &IndexSettings::default())
    }

    /// As [`ItemIndex::new`], with other settings.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn with_settings(factors: &Matrix, settings: &IndexSettings) -> Result<Self, FactorsError> {
        settings.check()?;
        Ok(Self::laid_out(factors, settings))
    }

    fn laid_out(factors: &Matrix, settings: &IndexSettings) -> Self {
        let stride = factors.stride();
        let mut order: Vec<u32> = (0_u32..).take(factors.rows()).collect();
        let norms: Vec<f32> = order.iter().map(|item| norm(factors.padded_row(*item as usize))).collect();
        order.sort_by(|&a, &b| norms[b as usize].total_cmp(&norms[a as usize]).then(a.cmp(&b)));
        let places = order.len().next_multiple_of(PANEL);
        let mut rows: Vec<f32> = Vec::with_capacity(places * stride);
        for item in &order {
            rows.extend_from_slice(factors.padded_row(*item as usize));
        }
        rows.resize(places * stride, 0.0);
        let mut norms: Vec<f32> = order.iter().map(|item| norms[*item as usize]).collect();
        norms.resize(places, 0.0);
        let (groups, small): (Vec<Bounds>, Vec<_>) =
            rows.par_chunks_exact(LANES * stride).map(|rows| lay_group(rows, stride)).unzip();
        let panels = rows.par_chunks_exact(PANEL * stride).flat_map_iter(|rows| lay_panel(rows, stride)).collect();
        let graph = (order.len() > settings.max_exact_items).then(|| {
            let &IndexSettings { links, build_breadth: breadth, seed, .. } = settings;
            Graph::build(
                Rows { values: &rows[..order.len() * stride], stride },
                &GraphSettings { links, breadth, seed },
            )
        });
        let (columns, search_breadth) = (factors.columns(), settings.search_breadth);
        Self { columns, stride, order, rows, groups, norms, panels, small: small.concat(), graph, search_breadth }
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.order.len()
    }

    /// The best `count` items for a person's factors, best first, equal scores by item number: up to
    /// [`IndexSettings::max_exact_items`] exactly what scoring everything in f32 and sorting gives.
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
        let exclude = self.known(exclude);
        self.top_where(factors, count, &|item| {
            !exclude.contains(item) && allowed.is_none_or(|allowed| allowed.contains(item))
        })
    }

    /// As [`ItemIndex::top`], among the items that `admits`, which is asked only of those that could be among the best.
    ///
    /// # Errors
    /// As [`ItemIndex::top`].
    pub fn top_where(
        &self,
        factors: &[f32],
        count: usize,
        admits: &dyn Fn(u32) -> bool,
    ) -> Result<Vec<Scored>, FactorsError> {
        Ok(self.search(factors, count, admits)?.best)
    }

    /// As [`ItemIndex::top_where`], and tells how the answer was found. A walk asks `admits` of every item that could be
    /// among the best of those met so far.
    ///
    /// # Errors
    /// As [`ItemIndex::top`].
    pub fn search(&self, factors: &[f32], count: usize, admits: &dyn Fn(u32) -> bool) -> Result<Answer, FactorsError> {
        self.check(factors.len(), count)?;
        let query = Query::new(factors, self.stride);
        if let Some(best) = self.graph.as_ref().and_then(|graph| self.walked(graph, &query, count, admits)) {
            return Ok(Answer { best, pass: Pass::Walk });
        }
        let mut best = Best::new(count);
        top_of_one(self, &query, admits, &mut best);
        let pass = if self.graph.is_some() { Pass::ExactForFilter } else { Pass::Exact };
        Ok(Answer { best: best.kept, pass })
    }

    /// None where the filter is too narrow for a walk, or the walk found too few.
    fn walked(&self, graph: &Graph, query: &Query, count: usize, admits: &dyn Fn(u32) -> bool) -> Option<Vec<Scored>> {
        let breadth = self.search_breadth.max(2 * count);
        let limit = (self.items() / WALK_SHARE).max(WALK_BREADTHS * breadth);
        let rows = Rows { values: &self.rows, stride: self.stride };
        let admits_place = |place: u32| admits(self.order[place as usize]);
        let probes = (0..self.items()).step_by((self.items() / PROBES).max(1)).map(|place| place as u32);
        let (tried, admitted) =
            probes.fold((0, 0), |sums, place| (sums.0 + 1, sums.1 + usize::from(admits_place(place))));
        if admitted * PROBED_ONE_IN < tried {
            return None;
        }
        let near = walk(graph, rows, &query.factors, breadth, limit, &admits_place)?;
        let mut best = Best::new(count);
        near.iter().for_each(|near| best.offer(self.order[near.item as usize], near.likeness));
        (best.kept.len() == count).then_some(best.kept)
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
                let ids = task * TOGETHER..people.rows().min((task + 1) * TOGETHER);
                let excluded: Vec<ItemSet> = ids.clone().map(|id| self.known(exclude(id))).collect();
                let rows: Vec<&[f32]> = ids.map(|id| people.padded_row(id)).collect();
                let mut found = self.nothing_found(&rows, count);
                top_together(self, &rows, &excluded, &mut found);
                found.into_iter().map(|found| found.kept).collect()
            })
            .collect();
        Ok(tasks.into_iter().flatten().collect())
    }

    /// Where the search for the best of some persons begins.
    fn nothing_found(&self, people: &[&[f32]], count: usize) -> Vec<Found> {
        let norm_max = self.norms.first().copied().unwrap_or_default();
        people.iter().map(|person| Found::new(count, norm(person), norm_max)).collect()
    }

    /// Those of some items that the index has.
    fn known(&self, items: &[u32]) -> ItemSet {
        ItemSet::new(items.iter().copied().filter(|item| (*item as usize) < self.items()))
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
        simd,
        index: &'a ItemIndex,
        query: &'a Query,
        admits: &'a dyn Fn(u32) -> bool,
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
            if load(simd, &bounds).reduce_max() < worst {
                continue;
            }
            for (lane, bound) in bounds.iter().enumerate() {
                let place = number * LANES + lane;
                if *bound < worst || place >= index.order.len() {
                    continue;
                }
                let item = index.order[place];
                if admits(item) {
                    best.offer(item, dot(simd, &query.factors, index.place_row(place)));
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
    fn top_together<'a>(simd, index: &'a ItemIndex, people: &'a [&'a [f32]], exclude: &'a [ItemSet], found: &'a mut [Found]) {
        find_together(simd, index, people, exclude, found);
    }
}

/// Some persons against all panels, in f32: a panel stays in the nearest cache while all of them are multiplied with it.
#[inline(always)]
fn find_together<S: Simd>(simd: S, index: &ItemIndex, people: &[&[f32]], exclude: &[ItemSet], found: &mut [Found]) {
    let tiles: Vec<Vec<[f32; TILE_ROWS]>> = people.chunks(TILE_ROWS).map(|rows| turn(rows, index.stride)).collect();
    for (first, norm_max) in index.norms.iter().enumerate().step_by(PANEL) {
        let mut reached = false;
        for (number, tile) in tiles.iter().enumerate() {
            let slots = number * TILE_ROWS..people.len().min((number + 1) * TILE_ROWS);
            let (exclude, found) = (&exclude[slots.clone()], &mut found[slots]);
            if found.iter().any(|found| found.norm * norm_max * (1.0 + ROUNDING) >= found.worst) {
                reached = true;
                if wide::<S>() {
                    score_panel::<S, TILE_ROWS, 2>(simd, index, first, tile, exclude, found);
                } else {
                    score_panel::<S, { TILE_ROWS / 2 }, 1>(simd, index, first, tile, exclude, found);
                }
            }
        }
        if !reached {
            break;
        }
    }
    for (found, person) in found.iter_mut().zip(people) {
        found.rescore(|place| (index.order[place], dot(simd, person, index.place_row(place))));
    }
}

/// Persons of a tile, column by column.
fn turn(people: &[&[f32]], stride: usize) -> Vec<[f32; TILE_ROWS]> {
    (0..stride).map(|column| std::array::from_fn(|slot| people.get(slot).map_or(0.0, |row| row[column]))).collect()
}

/// Multiplies a tile of persons with a panel of items, in tiles of `ROWS` × `GROUPS` registers, and keeps those that could
/// be among the best.
#[inline(always)]
fn score_panel<S: Simd, const ROWS: usize, const GROUPS: usize>(
    simd: S,
    index: &ItemIndex,
    first: usize,
    people: &[[f32; TILE_ROWS]],
    exclude: &[ItemSet],
    found: &mut [Found],
) {
    let panel = groups(index.panels[first / PANEL * index.stride..][..index.stride].as_flattened());
    for row in (0..found.len()).step_by(ROWS) {
        for group in (0..PANEL / LANES).step_by(GROUPS) {
            let people = &people.as_flattened()[row..];
            let scores = tile::<S, ROWS, GROUPS>(simd, people, TILE_ROWS, &panel[group..], PANEL / LANES);
            for ((scores, found), exclude) in scores.iter().zip(&mut found[row..]).zip(&exclude[row..]) {
                let best = scores.iter().fold(
                    scores[0],
                    #[inline(always)]
                    |best, scores| best.max(*scores),
                );
                if best.reduce_max() >= found.worst {
                    let values = scores.map(Group::from);
                    found.offer(values.as_flattened(), first + group * LANES, |place| {
                        index.order.get(place).is_some_and(|item| !exclude.contains(*item))
                    });
                }
            }
        }
    }
}

fn lay_group(rows: &[f32], stride: usize) -> (Bounds, Vec<[[i8; 2]; LANES]>) {
    let mut group = Bounds { norm_max: 0.0, norms: [0.0; LANES], scales: [0.0; LANES], residuals: [0.0; LANES] };
    let mut small = vec![[[0; 2]; LANES]; stride / 2];
    for (lane, row) in rows.chunks_exact(stride).enumerate() {
        let (scale, quantised) = quantise(row);
        group.norms[lane] = norm(row);
        group.norm_max = group.norm_max.max(group.norms[lane]);
        group.scales[lane] = scale;
        group.residuals[lane] = residual(row, scale, &quantised);
        small.iter_mut().zip(quantised.as_chunks::<2>().0).for_each(|(values, pair)| values[lane] = *pair);
    }
    (group, small)
}

fn lay_panel(rows: &[f32], stride: usize) -> Vec<[f32; PANEL]> {
    let mut panel = vec![[0.0; PANEL]; stride];
    for (lane, row) in rows.chunks_exact(stride).enumerate() {
        panel.iter_mut().zip(row).for_each(|(values, value)| values[lane] = *value);
    }
    panel
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::tests::with_every_level;
    use rand::{RngExt, SeedableRng};

    fn the_batch_finds_what_the_single_search_finds<S: Simd>(simd: S) {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(6);
        let mut items = Matrix::zeros(333, 20);
        let stride = items.stride();
        for row in items.values_mut().chunks_exact_mut(stride) {
            let size = random.random::<f32>();
            row[..20].iter_mut().for_each(|value| *value = size * (random.random::<f32>() - 0.4));
        }
        let index = ItemIndex::new(&items);
        let people: Vec<&[f32]> = (0..21).map(|row| items.padded_row(row * 7)).collect();
        let exclude: Vec<ItemSet> = (0..21).map(|person| ItemSet::new([person, 7 * person])).collect();
        let mut found = index.nothing_found(&people, 12);
        find_together(simd, &index, &people, &exclude, &mut found);
        for ((found, person), exclude) in found.iter().zip(&people).zip(&exclude) {
            let single = index.top_where(&person[..20], 12, &|item| !exclude.contains(item)).unwrap();
            let items = |list: &[Scored]| list.iter().map(|scored| scored.item).collect::<Vec<_>>();
            assert_eq!(items(&found.kept), items(&single));
        }
    }

    #[test]
    fn the_batch_of_every_instruction_set_finds_what_the_single_search_finds() {
        with_every_level!(simd => the_batch_finds_what_the_single_search_finds(simd));
    }
}
