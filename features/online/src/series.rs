//! The state of one entity in one view: its events in order, what is folded for good, and reads over both.

use std::ops::Range;

use dhow_definitions::{Accumulator, Ratio};
use dhow_events::Timestamp;
use rustc_hash::FxHashSet;

use crate::index::{Index, PART_ROWS};
use crate::layout::{Layout, WindowGroup, event_id, event_time, fold_rows, known_time};

/// A series of this many rows gets an index.
const INDEXED_ROWS: usize = 8 * PART_ROWS[0];

/// Rows are freed once one in this many is expired: freeing them moves all others.
const EXPIRED_SHARE: usize = 8;

/// The events of one entity in one view, sorted by (event time, event id).
#[derive(Debug, Default)]
pub(crate) struct Series {
    rows: Vec<u64>,
    index: Option<Box<Index>>,
    settled: Option<Box<Settled>>,
    /// How many times the state had been saved when an event was last added.
    changed: u32,
}

/// Events older than every window with a start, which count for ever in those without one.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Settled {
    /// One for each of the layout's folds.
    folds: Vec<Accumulator>,
    /// The different tokens of each of the layout's token cells, sorted.
    tokens: Vec<std::collections::BTreeSet<u128>>,
}

impl Settled {
    /// Whether there is one part for each that the layout asks for.
    pub(crate) fn fits(&self, layout: &Layout) -> bool {
        self.folds.len() == layout.folds.len() && self.tokens.len() == layout.token_cells.len()
    }
}

impl Series {
    /// A series without an index, which one read would not pay for.
    pub(crate) fn unindexed(rows: Vec<u64>, settled: Option<Settled>) -> Self {
        Self { rows, settled: settled.map(Box::new), ..Self::default() }
    }

    pub(crate) fn rows(&self) -> &[u64] {
        &self.rows
    }

    pub(crate) fn settled(&self) -> Option<&Settled> {
        self.settled.as_deref()
    }

    /// Whether an event was added since the state had been saved `saves` times.
    pub(crate) fn changed_since(&self, saves: u32) -> bool {
        self.changed >= saves
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.settled.is_none()
    }

    pub(crate) fn len(&self, layout: &Layout) -> usize {
        self.rows.len() / layout.stride
    }

    fn row(&self, layout: &Layout, number: usize) -> &[u64] {
        &self.rows[number * layout.stride..(number + 1) * layout.stride]
    }

    /// When the latest of the events that are kept happened.
    pub(crate) fn latest_event_time(&self, layout: &Layout) -> Option<Timestamp> {
        let last = self.len(layout).checked_sub(1)?;
        Some(Timestamp::from_micros(event_time(self.row(layout, last))))
    }

    /// Adds the row of an event to a state that was saved `saves` times; false where the same event is there already.
    pub(crate) fn insert(&mut self, layout: &Layout, row: &[u64], saves: u32) -> bool {
        let order = |row: &[u64]| (event_time(row), event_id(row));
        let count = self.len(layout);
        if count == 0 || order(self.row(layout, count - 1)) < order(row) {
            self.changed = saves;
            self.rows.extend_from_slice(row);
            match &mut self.index {
                Some(index) => index.append(layout, &self.rows),
                None => self.build_index(layout),
            }
            return true;
        }
        let since = self.first_since(layout, event_time(row));
        let place = self.partition(layout, since..count, |other| order(other) < order(row));
        if order(self.row(layout, place)) == order(row) {
            return false;
        }
        self.changed = saves;
        let (from, end) = (place * layout.stride, self.rows.len());
        self.rows.extend_from_slice(row);
        self.rows.copy_within(from..end, from + layout.stride);
        self.rows[from..from + layout.stride].copy_from_slice(row);
        match &mut self.index {
            Some(index) => index.insert(layout, &self.rows, place),
            None => self.build_index(layout),
        }
        true
    }

    /// Makes the index anew, where the series is long enough for one.
    pub(crate) fn build_index(&mut self, layout: &Layout) {
        if self.len(layout) >= INDEXED_ROWS {
            self.index = Some(Box::new(Index::build(layout, &self.rows)));
        }
    }

    /// The number of the first row at or after `time`; that of rows where there is none.
    fn first_since(&self, layout: &Layout, time: i64) -> usize {
        self.first_before(layout, time, self.len(layout))
    }

    /// The same where row `end` and those after it, if there are, are known to be at or after `time`.
    fn first_before(&self, layout: &Layout, time: i64, end: usize) -> usize {
        let older = |row: &[u64]| event_time(row) < time;
        if let Some(index) = &self.index
            && end > 0
            && !older(self.row(layout, end - 1))
        {
            return self.partition(layout, index.candidates(time, end), older);
        }
        // In growing steps from the end: reads are mostly of the present and look at these rows next.
        let mut step = 1;
        while step <= end && !older(self.row(layout, end - step)) {
            step *= 2;
        }
        self.partition(layout, end.saturating_sub(step)..end - step / 2, older)
    }

    /// The end of the leading rows of `range` that satisfy `holds`, which must hold for no row after one for which it does
    /// not.
    fn partition(&self, layout: &Layout, range: Range<usize>, holds: impl Fn(&[u64]) -> bool) -> usize {
        let (mut low, mut high) = (range.start, range.end);
        while low < high {
            let middle = low.midpoint(high);
            if holds(self.row(layout, middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Frees rows before `cut`, which no window with a start can reach. Windows without one keep them folded, as soon as
    /// they were known by `known_by`, before which nothing is read any more. Gives whether any were freed.
    pub(crate) fn expire(&mut self, layout: &Layout, cut: i64, known_by: i64) -> bool {
        let expired = self.first_since(layout, cut);
        if expired * EXPIRED_SHARE < self.len(layout) {
            return false;
        }
        let freed = if layout.counts_for_ever { self.settle(layout, expired, known_by) } else { expired };
        if freed == 0 {
            return false;
        }
        self.rows.drain(..freed * layout.stride);
        if self.rows.capacity() > 2 * self.rows.len() {
            self.rows.shrink_to_fit();
        }
        self.index = None;
        self.build_index(layout);
        true
    }

    /// Folds leading rows, at most `expired`, for good; gives their number.
    fn settle(&mut self, layout: &Layout, expired: usize, known_by: i64) -> usize {
        let leading = self.rows.chunks_exact(layout.stride).take(expired);
        let count = leading.take_while(|row| known_time(row) <= known_by).count();
        if count == 0 {
            return 0;
        }
        let settled = self.settled.get_or_insert_with(|| {
            Box::new(Settled {
                folds: layout.folds.iter().map(|slot| slot.accumulator()).collect(),
                tokens: vec![Default::default(); layout.token_cells.len()],
            })
        });
        let leading = &self.rows[..count * layout.stride];
        fold_rows(layout, leading, None, 0..layout.folds.len(), &mut settled.folds);
        for row in self.rows.chunks_exact(layout.stride).take(count) {
            for (token, tokens) in settled.tokens.iter_mut().enumerate() {
                tokens.extend(layout.token(row, token));
            }
        }
        count
    }

    /// Writes the view's features at `at` over `out`, which has one place for each. What `folds` holds does not matter: it
    /// is memory to be used again.
    pub(crate) fn read(&self, layout: &Layout, at: Timestamp, folds: &mut Vec<Accumulator>, out: &mut [f64]) {
        for group in &layout.groups {
            self.read_group(layout, group, at, folds, out);
        }
        for &[place, numerator, denominator] in &layout.ratios {
            out[place] = Ratio::of(out[numerator], out[denominator]);
        }
    }

    /// Folds backwards from the common end of a group's windows and finishes each window where its start is reached.
    fn read_group(
        &self,
        layout: &Layout,
        group: &WindowGroup,
        at: Timestamp,
        folds: &mut Vec<Accumulator>,
        out: &mut [f64],
    ) {
        folds.clear();
        folds.extend(group.folds.iter().map(|fold| layout.folds[*fold].accumulator()));
        let Some(shortest) = group.windows.first() else { return };
        let end = shortest.window.bounds(at).1.micros();
        let last = self.first_since(layout, end);
        let (mut first, mut all_known) = (last, true);
        for reads in &group.windows {
            let start = reads.window.bounds(at).0.micros();
            let folded = first;
            first = self.first_before(layout, start, folded);
            let numbers = &group.folds[..reads.needed];
            all_known &= self.fold(layout, first..folded, at.micros(), numbers, &mut folds[..reads.needed]);
            let settled = self.settled.as_deref().filter(|_| reads.window.length_micros().is_none());
            if let Some(settled) = settled {
                for (fold, number) in folds.iter_mut().zip(numbers) {
                    fold.merge(&settled.folds[*number]);
                }
            }
            for &(fold, feature, aggregate) in &reads.answers {
                out[feature] = folds[fold].finish(aggregate, reads.window, at);
            }
            for &(token, feature) in &reads.distincts {
                out[feature] = match &self.index {
                    Some(index) if all_known && settled.is_none() => {
                        indexed_distinct(index, token, first..last, start, at.micros())
                    }
                    _ => self.scanned_distinct(layout, token, first..last, at.micros(), settled),
                } as f64;
            }
        }
    }

    /// Folds the rows of `range` that were known at `at` into `folds`, which stand for the layout's folds of these
    /// `numbers`; gives whether all were known.
    fn fold(
        &self,
        layout: &Layout,
        range: Range<usize>,
        at: i64,
        numbers: &[usize],
        folds: &mut [Accumulator],
    ) -> bool {
        let mut all_known = true;
        let mut fold_raw = |rows: Range<usize>, folds: &mut [Accumulator]| {
            let run = &self.rows[rows.start * layout.stride..rows.end * layout.stride];
            let known = self.index.as_ref().is_some_and(|index| index.all_known(at))
                || run.chunks_exact(layout.stride).all(|row| known_time(row) <= at);
            all_known &= known;
            fold_rows(layout, run, if known { None } else { Some(at) }, numbers.iter().copied(), folds);
        };
        let Some(index) = &self.index else {
            fold_raw(range, folds);
            return all_known;
        };
        let mut row = range.start;
        while row < range.end {
            row = match index.part(row, range.end, at) {
                Some(part) => {
                    let parts = index.folds(layout, part);
                    for (fold, number) in folds.iter_mut().zip(numbers) {
                        fold.merge(&parts[*number]);
                    }
                    row + part.rows()
                }
                None => {
                    // One by one up to where the next part can begin.
                    let stop = (row + 1).next_multiple_of(PART_ROWS[0]).min(range.end);
                    fold_raw(row..stop, folds);
                    stop
                }
            };
        }
        all_known
    }

    /// Distinct tokens by looking at every row: for short series, and where rows not yet known must be left out.
    fn scanned_distinct(
        &self,
        layout: &Layout,
        token: usize,
        range: Range<usize>,
        at: i64,
        settled: Option<&Settled>,
    ) -> usize {
        let old = settled.map(|settled| &settled.tokens[token]);
        if range.is_empty() {
            return old.map_or(0, |old| old.len());
        }
        let mut seen = FxHashSet::default();
        for number in range {
            let row = self.row(layout, number);
            if known_time(row) <= at {
                seen.extend(layout.token(row, token).filter(|value| old.is_none_or(|old| !old.contains(value))));
            }
        }
        seen.len() + old.map_or(0, |old| old.len())
    }

    /// Bytes taken beside the series itself, about.
    pub(crate) fn bytes(&self) -> usize {
        let settled = self.settled.as_ref().map_or(0, |settled| {
            size_of::<Settled>()
                + settled.folds.iter().map(|fold| size_of::<Accumulator>() + fold.heap_bytes()).sum::<usize>()
                + settled.tokens.iter().map(|tokens| 24 + tokens.len() * 24).sum::<usize>()
        });
        self.rows.capacity() * 8 + settled + self.index.as_ref().map_or(0, |index| size_of::<Index>() + index.bytes())
    }
}

/// Distinct tokens of a window whose rows were all known: those that occur for the first time since its start.
fn indexed_distinct(index: &Index, token: usize, range: Range<usize>, start: i64, at: i64) -> usize {
    let (mut row, mut count) = (range.start, 0);
    while row < range.end {
        match index.part(row, range.end, at) {
            Some(part) => {
                count += index.first_in_part(part, token, start);
                row += part.rows();
            }
            None => {
                count += usize::from(index.is_first(row, token, start));
                row += 1;
            }
        }
    }
    count
}

/// What an entity without any event reads.
pub(crate) fn read_nothing(layout: &Layout, at: Timestamp, folds: &mut Vec<Accumulator>, out: &mut [f64]) {
    Series::default().read(layout, at, folds, out);
}

/// The instant before which no window with a start can reach from `reads_from` on.
pub(crate) fn cut(layout: &Layout, reads_from: Timestamp) -> i64 {
    (reads_from - layout.retention_micros).micros()
}
