//! Any aggregate over any run of an entity's events, from a tree of accumulators; faster ways for some stand elsewhere.

use dhow_definitions::{Accumulator, Slot, View, Window};
use dhow_events::Timestamp;

use crate::bucket::{Bucket, Lane};
use crate::runs::LateEntity;

/// Rows in a leaf. Runs take up to two leaves' rows one by one.
const LEAF_ROWS: usize = 16;

/// One slot of a view, and the features over windows of one delay that are finished from it.
pub(crate) struct Fold<'a> {
    pub(crate) slot: Slot,
    /// For each window: where its runs begin, and its features by number.
    pub(crate) reads: Vec<(Window, &'a [u32], Vec<usize>)>,
}

/// Answers the features of `fold` at all points; writes `value` of (feature, point) by `put`.
pub(crate) fn answer(
    view: &View,
    fold: &Fold<'_>,
    (events, points): (&Bucket, &Bucket),
    ends: &[u32],
    late: &[LateEntity],
    mut put: impl FnMut(usize, usize, f64),
) {
    let mut late = late.iter().peekable();
    for entity in 0..points.entity_count() {
        let late = late.next_if(|late| late.entity == entity);
        let mut tree = Tree::new(fold.slot, events, entity, late);
        let mut entered = 0;
        for point in points.of_entity(entity) {
            let (at, end) = (points.rows.times[point], ends[point] as usize - tree.first);
            entered = tree.enter_until(entered, end, at);
            for (window, begins, features) in &fold.reads {
                let run = tree.fold(begins[point] as usize - tree.first, end, at);
                for &feature in features {
                    let aggregate = view.features()[feature].aggregate();
                    put(feature, point, run.finish(aggregate, *window, Timestamp::from_micros(at)));
                }
            }
        }
    }
}

/// The accumulators over one entity's rows that count so far; rows are numbered from its first.
struct Tree<'a> {
    slot: Slot,
    first: usize,
    times: &'a [i64],
    lane: Option<&'a Lane>,
    late: Option<&'a LateEntity>,
    /// A heap: the children of node `n` are `2 n` and `2 n + 1`; the last half are the leaves. Empty for short series.
    nodes: Vec<Accumulator>,
}

impl<'a> Tree<'a> {
    fn new(slot: Slot, events: &'a Bucket, entity: usize, late: Option<&'a LateEntity>) -> Self {
        let range = events.of_entity(entity);
        let leaves = if range.len() < 3 * LEAF_ROWS { 0 } else { range.len().div_ceil(LEAF_ROWS) };
        let nodes = (0..2 * leaves).map(|_| slot.accumulator()).collect();
        let lane = slot.cell.map(|cell| &events.rows.lanes[cell]);
        Self { slot, first: range.start, times: &events.rows.times[range], lane, late, nodes }
    }

    /// Takes in the rows that count at `at` and did not before; `end` is the run's end, `entered` what this gave before.
    fn enter_until(&mut self, mut entered: usize, end: usize, at: i64) -> usize {
        match self.late {
            None => {
                (entered..end).for_each(|row| self.enter(row));
                end
            }
            Some(late) => {
                while let Some(&row) = late.order.get(entered).filter(|&&row| late.counts_from[row as usize] <= at) {
                    self.enter(row as usize);
                    entered += 1;
                }
                entered
            }
        }
    }

    fn enter(&mut self, row: usize) {
        if self.nodes.is_empty() {
            return;
        }
        let cell = self.lane.map(|lane| lane.cell(self.first + row));
        let mut node = self.nodes.len() / 2 + row / LEAF_ROWS;
        while node > 0 {
            self.nodes[node].update(self.times[row], row as u128, cell);
            node /= 2;
        }
    }

    /// The accumulator of the rows in `begin..end` that count at `at`.
    fn fold(&self, begin: usize, end: usize, at: i64) -> Accumulator {
        let mut run = self.slot.accumulator();
        let (first_leaf, last_leaf) = (begin.div_ceil(LEAF_ROWS), end / LEAF_ROWS);
        if self.nodes.is_empty() || first_leaf >= last_leaf {
            self.fold_rows(&mut run, begin..end, at);
            return run;
        }
        self.fold_rows(&mut run, begin..first_leaf * LEAF_ROWS, at);
        let leaves = self.nodes.len() / 2;
        let (mut low, mut high) = (leaves + first_leaf, leaves + last_leaf);
        while low < high {
            if low % 2 == 1 {
                run.merge(&self.nodes[low]);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                run.merge(&self.nodes[high]);
            }
            (low, high) = (low / 2, high / 2);
        }
        self.fold_rows(&mut run, last_leaf * LEAF_ROWS..end, at);
        run
    }

    /// Rows stand for the ids of their events: within an entity they are in the order of (time, id).
    fn fold_rows(&self, run: &mut Accumulator, rows: std::ops::Range<usize>, at: i64) {
        for row in rows {
            if self.late.is_none_or(|late| late.counts_from[row] <= at) {
                run.update(self.times[row], row as u128, self.lane.map(|lane| lane.cell(self.first + row)));
            }
        }
    }
}
