//! A graph of near items for catalogues too large to be passed over for every request; the exact pass is in `top_k`.
//!
//! A hierarchy of navigable small worlds (Malkov and Yashunin, TPAMI 2020), for the greatest inner product:
//! 1. An item y gets one more coordinate, `√(M² − ‖y‖²)` with M the greatest norm, and a query gets a zero there: all items
//!    are then of length M, and the one nearest to a query is that of the greatest inner product (Bachrach et al., RecSys
//!    2014).
//! 2. Items enter in an order that the seed shuffles. Layer l holds the first `n / links^l` of them; the first item of all,
//!    which stands in every layer, is where each search begins.
//! 3. In each of its layers an item is linked to near ones that are more like it than like a nearer one already linked, so that
//!    links go in different directions; these link back, and choose anew in the same way when they have too many.
//! 4. Items enter in batches: those of a batch look for their links on all threads, in the graph as it was before; then the
//!    links are made. So the graph is the same for any number of threads.
//! 5. A search goes down the layers to where it gets no nearer, and in the lowest keeps the best `breadth` of what it meets.
//!    Items that a filter bars are walked through and not kept. It gives up when it has met too many items: then the filter
//!    is too narrow for a walk where the query leads.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use fearless_simd::Simd;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::kernels::{dot, simd_kernel};

/// A batch is at most this share of what has entered before, and at most so many items.
const BATCH_SHARE: usize = 32;
const MAX_BATCH: usize = 1024;

thread_local! {
    /// A search's memory, kept between the searches of a thread.
    static MET: RefCell<Met> = RefCell::default();
}

/// The rows of factors that the graph's items stand for.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    fn row(&self, item: u32) -> &'a [f32] {
        let start = item as usize * self.stride;
        &self.values[start..start + self.stride]
    }
}

/// Links between items, which are rows' numbers.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    links: usize,
    /// The additional coordinate of each item.
    lifts: Vec<f32>,
    /// Where a search begins.
    entry: u32,
    /// Of each item its links in the lowest layer.
    ground: Vec<Vec<u32>>,
    /// The links in the layers above, lowest first.
    above: Vec<FxHashMap<u32, Vec<u32>>>,
}

/// What decides a graph.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GraphSettings {
    /// Links of an item in a layer, twice as many in the lowest.
    pub(crate) links: usize,
    /// How many near items a new one chooses its links from.
    pub(crate) breadth: usize,
    pub(crate) seed: u64,
}

/// An item and how like it is to what is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Near {
    pub(crate) likeness: f32,
    pub(crate) item: u32,
}

impl Ord for Near {
    /// The nearer is the greater, of equals the lower number.
    fn cmp(&self, other: &Self) -> Ordering {
        self.likeness.total_cmp(&other.likeness).then(other.item.cmp(&self.item))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Near {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Near {}

/// A row that is looked for, with its additional coordinate.
#[derive(Clone, Copy)]
struct Target<'a> {
    row: &'a [f32],
    lift: f32,
}

/// What one walk keeps, and when it gives up.
#[derive(Clone, Copy)]
struct Walk<'a> {
    breadth: usize,
    admits: &'a dyn Fn(u32) -> bool,
    /// Items that it meets at most.
    limit: usize,
}

impl Walk<'_> {
    fn of_all(breadth: usize) -> Self {
        Self { breadth, admits: &|_| true, limit: usize::MAX }
    }
}

/// Which items a walk has met: those stamped with its number.
#[derive(Debug, Default)]
struct Met {
    walk: u32,
    stamps: Vec<u32>,
}

impl Met {
    fn begin(&mut self, items: usize) {
        if self.stamps.len() < items {
            self.stamps.resize(items, 0);
        }
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            // After 2^32 walks stamps would repeat.
            self.stamps.fill(0);
            self.walk = 1;
        }
    }

    /// Whether the item is met for the first time.
    #[inline(always)]
    fn is_new(&mut self, item: u32) -> bool {
        let stamp = &mut self.stamps[item as usize];
        let new = *stamp != self.walk;
        *stamp = self.walk;
        new
    }
}

impl Graph {
    /// Links all rows.
    pub(crate) fn build(rows: Rows<'_>, settings: &GraphSettings) -> Self {
        let items = rows.values.len() / rows.stride;
        let squares: Vec<f32> =
            rows.values.par_chunks_exact(rows.stride).map(|row| row.iter().map(|v| v * v).sum()).collect();
        let greatest = squares.iter().copied().fold(0.0, f32::max);
        let mut order: Vec<u32> = (0_u32..).take(items).collect();
        order.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(settings.seed));
        let mut graph = Self {
            links: settings.links,
            lifts: squares.iter().map(|square| (greatest - square).max(0.0).sqrt()).collect(),
            entry: order.first().copied().unwrap_or_default(),
            ground: vec![Vec::new(); items],
            above: Vec::new(),
        };
        let mut size = items / settings.links;
        while size > 0 {
            graph.above.push(order[..size].iter().map(|item| (*item, Vec::new())).collect());
            size /= settings.links;
        }
        let mut entered = 1;
        while entered < items {
            let batch = &order[entered..items.min(entered + (entered / BATCH_SHARE).clamp(1, MAX_BATCH))];
            let links: Vec<Vec<Vec<u32>>> =
                batch.par_iter().map(|item| find_links(&graph, rows, *item, settings.breadth)).collect();
            graph.enter(rows, batch, links);
            entered += batch.len();
        }
        graph
    }

    /// Links a batch and back.
    fn enter(&mut self, rows: Rows<'_>, batch: &[u32], links: Vec<Vec<Vec<u32>>>) {
        let mut back: Vec<(usize, u32, u32)> = Vec::new();
        for (&item, of_layers) in batch.iter().zip(links) {
            for (layer, links) in of_layers.into_iter().enumerate() {
                back.extend(links.iter().map(|other| (layer, *other, item)));
                self.set_links(layer, item, links);
            }
        }
        back.sort_unstable();
        let of_others: Vec<&[(usize, u32, u32)]> = back.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).collect();
        let changed: Vec<Vec<u32>> = of_others.par_iter().map(|new| relink(self, rows, new)).collect();
        for (new, links) in of_others.into_iter().zip(changed) {
            self.set_links(new[0].0, new[0].1, links);
        }
    }

    #[inline(always)]
    fn links_of(&self, layer: usize, item: u32) -> &[u32] {
        match layer.checked_sub(1) {
            None => &self.ground[item as usize],
            Some(above) => self.above[above].get(&item).map_or(&[], Vec::as_slice),
        }
    }

    fn set_links(&mut self, layer: usize, item: u32, links: Vec<u32>) {
        match layer.checked_sub(1) {
            None => self.ground[item as usize] = links,
            Some(above) => {
                self.above[above].insert(item, links);
            }
        }
    }

    fn most_links(&self, layer: usize) -> usize {
        if layer == 0 { 2 * self.links } else { self.links }
    }

    /// The highest layer that the item stands in.
    fn layer_of(&self, item: u32) -> usize {
        self.above.iter().take_while(|layer| layer.contains_key(&item)).count()
    }
}

simd_kernel! {
    /// The best `breadth` items that the walk meets and `admits` lets through, best first; none where it gave up after `limit`.
    fn walk<'a>(
        simd,
        graph: &'a Graph,
        rows: Rows<'a>,
        query: &'a [f32],
        breadth: usize,
        limit: usize,
        admits: &'a dyn Fn(u32) -> bool,
    ) -> Option<Vec<Near>> {
        let target = Target { row: query, lift: 0.0 };
        let mut near = vec![begin(simd, graph, rows, target)];
        for layer in (1..=graph.above.len()).rev() {
            near = walk_layer(simd, graph, rows, layer, target, &near, Walk::of_all(1))?;
        }
        walk_layer(simd, graph, rows, 0, target, &near, Walk { breadth, admits, limit })
    }
}

simd_kernel! {
    /// What a new item is linked to, in each of its layers, lowest first.
    fn find_links<'a>(simd, graph: &'a Graph, rows: Rows<'a>, item: u32, breadth: usize) -> Vec<Vec<u32>> {
        let target = Target { row: rows.row(item), lift: graph.lifts[item as usize] };
        let own = graph.layer_of(item);
        let mut near = vec![begin(simd, graph, rows, target)];
        let mut links = vec![Vec::new(); own + 1];
        for layer in (0..=graph.above.len()).rev() {
            let kept = if layer > own { 1 } else { breadth };
            // A walk without a limit does not give up.
            near = walk_layer(simd, graph, rows, layer, target, &near, Walk::of_all(kept)).unwrap_or_default();
            if layer <= own {
                links[layer] = choose(simd, graph, rows, &near, graph.links);
            }
        }
        links
    }
}

simd_kernel! {
    /// The links of an item that `new`, triples of layer, item and other item, link to.
    fn relink<'a>(simd, graph: &'a Graph, rows: Rows<'a>, new: &'a [(usize, u32, u32)]) -> Vec<u32> {
        let (layer, item, _) = new[0];
        let mut links = graph.links_of(layer, item).to_vec();
        links.extend(new.iter().map(|(_, _, other)| *other));
        let most = graph.most_links(layer);
        if links.len() <= most {
            return links;
        }
        let target = Target { row: rows.row(item), lift: graph.lifts[item as usize] };
        let mut near: Vec<Near> = Vec::with_capacity(links.len());
        for other in links {
            near.push(Near { likeness: likeness(simd, graph, rows, target, other), item: other });
        }
        near.sort_unstable_by(|a, b| b.cmp(a));
        choose(simd, graph, rows, &near, most)
    }
}

#[inline(always)]
fn likeness<S: Simd>(simd: S, graph: &Graph, rows: Rows<'_>, target: Target<'_>, item: u32) -> f32 {
    dot(simd, target.row, rows.row(item)) + target.lift * graph.lifts[item as usize]
}

#[inline(always)]
fn begin<S: Simd>(simd: S, graph: &Graph, rows: Rows<'_>, target: Target<'_>) -> Near {
    Near { likeness: likeness(simd, graph, rows, target, graph.entry), item: graph.entry }
}

/// Of near items, best first, those that are more like the target than like one already chosen.
#[inline(always)]
fn choose<S: Simd>(simd: S, graph: &Graph, rows: Rows<'_>, near: &[Near], most: usize) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::with_capacity(most);
    for candidate in near {
        if chosen.len() == most {
            break;
        }
        let own = Target { row: rows.row(candidate.item), lift: graph.lifts[candidate.item as usize] };
        let mut apart = true;
        for other in &chosen {
            apart = apart && likeness(simd, graph, rows, own, *other) <= candidate.likeness;
        }
        if apart {
            chosen.push(candidate.item);
        }
    }
    chosen
}

/// Walks one layer from `from`; what it keeps, best first. None where it gave up.
#[inline(always)]
fn walk_layer<S: Simd>(
    simd: S,
    graph: &Graph,
    rows: Rows<'_>,
    layer: usize,
    target: Target<'_>,
    from: &[Near],
    walk: Walk<'_>,
) -> Option<Vec<Near>> {
    // Taken out, so that a filter may search too.
    let mut met = MET.take();
    met.begin(graph.ground.len());
    let mut kept: BinaryHeap<Reverse<Near>> = BinaryHeap::with_capacity(walk.breadth + 1);
    let mut open: BinaryHeap<Near> = BinaryHeap::with_capacity(2 * walk.breadth);
    let mut seen = from.len();
    for near in from {
        met.is_new(near.item);
        open.push(*near);
        if (walk.admits)(near.item) {
            kept.push(Reverse(*near));
        }
    }
    while let Some(near) = open.pop() {
        if seen > walk.limit || is_worse(near, &kept, walk.breadth) {
            break;
        }
        for &item in graph.links_of(layer, near.item) {
            if !met.is_new(item) {
                continue;
            }
            seen += 1;
            let near = Near { likeness: likeness(simd, graph, rows, target, item), item };
            if is_worse(near, &kept, walk.breadth) {
                continue;
            }
            open.push(near);
            if (walk.admits)(item) {
                kept.push(Reverse(near));
                if kept.len() > walk.breadth {
                    kept.pop();
                }
            }
        }
    }
    MET.set(met);
    (seen <= walk.limit).then(|| kept.into_sorted_vec().into_iter().map(|near| near.0).collect())
}

/// Whether as many better ones are kept as are wanted.
#[inline(always)]
fn is_worse(near: Near, kept: &BinaryHeap<Reverse<Near>>, breadth: usize) -> bool {
    kept.len() >= breadth && kept.peek().is_some_and(|worst| near < worst.0)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::{IndexSettings, ItemIndex, Matrix, Pass, Scored};

    const DIMENSIONS: usize = 32;
    const ITEMS: usize = 8_000;
    const COUNT: usize = 20;

    /// Rows around a few dozen centres and of very different lengths, as factors of real catalogues are.
    fn rows(seed: u64, rows: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut centre = ChaCha8Rng::seed_from_u64(0);
        let centres: Vec<f32> = (0..40 * DIMENSIONS).map(|_| centre.random_range(-1.0..1.0)).collect();
        let mut values = Vec::with_capacity(rows * DIMENSIONS);
        for _ in 0..rows {
            let (first, size) = (random.random_range(0..40) * DIMENSIONS, random.random_range(0.05_f32..1.0).powi(2));
            let centre = &centres[first..first + DIMENSIONS];
            values.extend(centre.iter().map(|value| size * (value + random.random_range(-0.7..0.7))));
        }
        values
    }

    fn indexes(settings: IndexSettings) -> (ItemIndex, ItemIndex) {
        let items = Matrix::from_rows(DIMENSIONS, &rows(1, ITEMS)).unwrap();
        (ItemIndex::with_settings(&items, &settings).unwrap(), ItemIndex::new(&items))
    }

    fn walked() -> IndexSettings {
        IndexSettings { max_exact_items: ITEMS / 2, search_breadth: 160, ..IndexSettings::default() }
    }

    /// The share of the exact answers' items that the walks found.
    fn recall(walks: &ItemIndex, exact: &ItemIndex, admits: &dyn Fn(u32) -> bool) -> f64 {
        let (mut found, mut wanted) = (0, 0);
        for query in rows(2, 60).chunks_exact(DIMENSIONS) {
            let answer = walks.search(query, COUNT, admits).unwrap();
            assert_eq!(answer.pass, Pass::Walk);
            assert!(answer.best.iter().all(|scored| admits(scored.item)));
            assert!(answer.best.is_sorted_by(|a, b| a.score > b.score || (a.score == b.score && a.item < b.item)));
            let best: Vec<Scored> = exact.search(query, COUNT, admits).unwrap().best;
            found += answer.best.iter().filter(|scored| best.contains(scored)).count();
            wanted += best.len();
        }
        found as f64 / wanted as f64
    }

    #[test]
    fn walks_find_nearly_all_of_the_best_with_and_without_a_filter() {
        let (walks, exact) = indexes(walked());
        let of_all = recall(&walks, &exact, &|_| true);
        let of_half = recall(&walks, &exact, &|item| item.is_multiple_of(2));
        assert!(of_all >= 0.95 && of_half >= 0.95, "recall {of_all} of all, {of_half} of half");
    }

    #[test]
    fn a_filter_too_narrow_for_a_walk_is_answered_exactly_and_the_answer_says_so() {
        let (walks, exact) = indexes(walked());
        let narrow = |item: u32| item % 500 == 7;
        for query in rows(3, 20).chunks_exact(DIMENSIONS) {
            let answer = walks.search(query, COUNT, &narrow).unwrap();
            assert_eq!(answer.pass, Pass::ExactForFilter);
            let expected = exact.search(query, COUNT, &narrow).unwrap();
            assert_eq!((expected.pass, expected.best), (Pass::Exact, answer.best));
        }
    }

    #[test]
    fn a_seed_gives_the_same_graph_and_answers_on_one_thread_as_on_three() {
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (walks, _) = pool.install(|| indexes(walked()));
            (format!("{:?}", walks), walks)
        };
        let ((one, walks), (three, others)) = (on(1), on(3));
        assert!(one == three);
        for query in rows(4, 5).chunks_exact(DIMENSIONS) {
            assert_eq!(walks.search(query, COUNT, &|_| true), others.search(query, COUNT, &|_| true));
        }
    }
}
