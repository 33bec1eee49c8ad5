//! The state of one entity in one view: its events in order, what is folded for good, and reads over both.

use dhow_definitions::Accumulator;
use dhow_events::Timestamp;
use rustc_hash::FxHashSet;

use crate::index::{Index, PART_ROWS};
use crate::layout::{Layout, WindowReads, event_id, event_time, known_time};

/// A series of this many rows gets an index.
const INDEXED_ROWS: usize = 4 * PART_ROWS[0];

/// The events of one entity in one view, sorted by (event time, event id).
#[derive(Debug, Default)]
pub(crate) struct Series {
    rows: Vec<u64>,
    index: Option<Box<Index>>,
    settled: Option<Box<Settled>>,
}

/// Events older than every window with a start, which count for ever in those without one.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Settled {
    /// One for each of the layout's folds.
    folds: Vec<Accumulator>,
    /// The different tokens of each of the layout's token cells, sorted.
    tokens: Vec<std::collections::BTreeSet<u128>>,
}

impl Series {
    pub(crate) fn restore(layout: &Layout, rows: Vec<u64>, settled: Option<Settled>) -> Self {
        let mut series = Self { rows, index: None, settled: settled.map(Box::new) };
        series.build_index(layout);
        series
    }

    pub(crate) fn rows(&self) -> &[u64] {
        &self.rows
    }

    pub(crate) fn settled(&self) -> Option<&Settled> {
        self.settled.as_deref()
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

    /// Adds the row of an event; false where the same event is there already.
    pub(crate) fn insert(&mut self, layout: &Layout, row: &[u64]) -> bool {
        let order = |row: &[u64]| (event_time(row), event_id(row));
        let count = self.len(layout);
        if count == 0 || order(self.row(layout, count - 1)) < order(row) {
            self.rows.extend_from_slice(row);
            match &mut self.index {
                Some(index) => index.append(layout, &self.rows),
                None => self.build_index(layout),
            }
            return true;
        }
        let place = self.partition(layout, |other| order(other) < order(row));
        if order(self.row(layout, place)) == order(row) {
            return false;
        }
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

    fn build_index(&mut self, layout: &Layout) {
        if self.len(layout) >= INDEXED_ROWS {
            self.index = Some(Box::new(Index::build(layout, &self.rows)));
        }
    }

    /// The number of leading rows that satisfy `holds`, which must hold for no row after one for which it does not.
    fn partition(&self, layout: &Layout, holds: impl Fn(&[u64]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len(layout));
        while low < high {
            let middle = low.midpoint(high);
            if holds(self.row(layout, middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Frees rows before `cut`, which no window with a start can reach. Windows without one keep them folded, as soon as
    /// they were known by `known_by`, before which nothing is read any more.
    pub(crate) fn expire(&mut self, layout: &Layout, cut: i64, known_by: i64) {
        let expired = self.partition(layout, |row| event_time(row) < cut);
        let freed = if layout.counts_for_ever { self.settle(layout, expired, known_by) } else { expired };
        if freed == 0 {
            return;
        }
        self.rows.drain(..freed * layout.stride);
        if self.rows.capacity() > 2 * self.rows.len() {
            self.rows.shrink_to_fit();
        }
        self.index = None;
        self.build_index(layout);
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
        for row in self.rows.chunks_exact(layout.stride).take(count) {
            update(layout, row, 0..layout.folds.len(), &mut settled.folds);
            for (token, tokens) in settled.tokens.iter_mut().enumerate() {
                tokens.extend(layout.token(row, token));
            }
        }
        count
    }

    /// Writes the view's features at `at` over `out`, which has one place for each.
    pub(crate) fn read(&self, layout: &Layout, at: Timestamp, out: &mut [f64]) {
        let mut folds = Vec::with_capacity(layout.folds.len());
        for reads in &layout.windows {
            self.read_window(layout, reads, at, &mut folds, out);
        }
    }

    fn read_window(
        &self,
        layout: &Layout,
        reads: &WindowReads,
        at: Timestamp,
        folds: &mut Vec<Accumulator>,
        out: &mut [f64],
    ) {
        let (start, end) = reads.window.bounds(at);
        let (start, end, at_micros) = (start.micros(), end.micros(), at.micros());
        let settled = self.settled.as_deref().filter(|_| reads.window.length_micros().is_none());
        folds.clear();
        folds.extend(reads.folds.iter().map(|(fold, _)| match settled {
            Some(settled) => settled.folds[*fold].clone(),
            None => layout.folds[*fold].accumulator(),
        }));

        let first = self.partition(layout, |row| event_time(row) < start);
        let last = self.partition(layout, |row| event_time(row) < end);
        let mut all_known = true;
        let mut row = first;
        while row < last {
            if let Some((part, rows)) = self.index.as_ref().and_then(|index| index.part(row, last, at_micros)) {
                for (fold, (number, _)) in folds.iter_mut().zip(&reads.folds) {
                    fold.merge(&part.folds[*number]);
                }
                row += rows;
                continue;
            }
            let words = self.row(layout, row);
            if known_time(words) <= at_micros {
                update(layout, words, reads.folds.iter().map(|(fold, _)| *fold), folds);
            } else {
                all_known = false;
            }
            row += 1;
        }
        for (fold, (_, features)) in folds.iter().zip(&reads.folds) {
            for &(feature, aggregate) in features {
                out[feature] = fold.finish(aggregate, reads.window, at);
            }
        }
        for &(token, feature) in &reads.distincts {
            out[feature] = match &self.index {
                Some(index) if all_known && settled.is_none() => {
                    indexed_distinct(index, token, first..last, start, at_micros)
                }
                _ => self.scanned_distinct(layout, token, first..last, at_micros, settled),
            } as f64;
        }
    }

    /// Distinct tokens by looking at every row: for short series, and where rows not yet known must be left out.
    fn scanned_distinct(
        &self,
        layout: &Layout,
        token: usize,
        range: std::ops::Range<usize>,
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
                + settled.folds.len() * size_of::<Accumulator>()
                + settled.tokens.iter().map(|tokens| 24 + tokens.len() * 24).sum::<usize>()
        });
        self.rows.capacity() * 8 + settled + self.index.as_ref().map_or(0, |index| size_of::<Index>() + index.bytes())
    }
}

/// Folds one row; `folds` stands for the layout's folds of these `numbers`.
fn update(layout: &Layout, row: &[u64], numbers: impl Iterator<Item = usize>, folds: &mut [Accumulator]) {
    for (fold, number) in folds.iter_mut().zip(numbers) {
        let cell = layout.folds[number].cell.map(|cell| layout.cell(row, cell));
        fold.update(event_time(row), event_id(row), cell);
    }
}

/// Distinct tokens of a window whose rows were all known: those that occur for the first time since its start.
fn indexed_distinct(index: &Index, token: usize, range: std::ops::Range<usize>, start: i64, at: i64) -> usize {
    let (mut row, mut count) = (range.start, 0);
    while row < range.end {
        match index.part(row, range.end, at) {
            Some((part, rows)) => {
                count += index.first_in_part(part, token, start);
                row += rows;
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
pub(crate) fn read_nothing(layout: &Layout, at: Timestamp, out: &mut [f64]) {
    Series::default().read(layout, at, out);
}

/// The instant before which no window with a start can reach from `reads_from` on.
pub(crate) fn cut(layout: &Layout, reads_from: Timestamp) -> i64 {
    (reads_from - layout.retention_micros).micros()
}
