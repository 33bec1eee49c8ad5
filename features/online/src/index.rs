//! What a long series carries so that a window costs microseconds: accumulators of whole runs of rows; it holds no rows.

use std::ops::Range;

use dhow_definitions::Accumulator;
use rustc_hash::FxHashMap;

use crate::layout::{Layout, event_time, fold_rows, known_time};

/// Rows in a part of each level: each is [`FAN_OUT`] of the one below.
pub(crate) const PART_ROWS: [usize; 3] = [16, 256, 4096];
/// Parts of a lower level in one of the next.
const FAN_OUT: usize = 16;

/// Marks a row without a token in [`Index::previous`].
const NO_TOKEN: i64 = i64::MAX;
/// Marks a token that occurs for the first time in [`Index::previous`].
const NEVER_BEFORE: i64 = i64::MIN;

/// The complete parts of one length, in the order of the rows; side by side in memory, because reads run over them.
#[derive(Debug, Default)]
struct Level {
    /// Of each part the latest known time of its rows.
    known_by: Vec<i64>,
    /// Of each part one for each of the layout's folds.
    folds: Vec<Accumulator>,
    /// For each token cell the rows' entries of [`Index::previous`], sorted within each part.
    previous: Vec<Vec<i64>>,
}

/// A part of a level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    level: usize,
    number: usize,
}

impl Part {
    /// How many rows it stands for.
    pub(crate) fn rows(self) -> usize {
        PART_ROWS[self.level]
    }

    /// Where what has `width` entries for each part holds this one's.
    fn range(self, width: usize) -> Range<usize> {
        self.number * width..(self.number + 1) * width
    }
}

/// The index of one series.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// The latest known time of all rows.
    known_by: i64,
    /// The event time at which each part of the lowest level begins.
    starts: Vec<i64>,
    /// For each token cell and row: the event time of the row before it with the same token. A value occurs for the
    /// first time in a window exactly where that time lies before the window's start.
    previous: Vec<Vec<i64>>,
    /// For each token cell: the event time at which a token was last seen.
    latest: Vec<FxHashMap<u128, i64>>,
    levels: [Level; PART_ROWS.len()],
}

impl Index {
    pub(crate) fn build(layout: &Layout, rows: &[u64]) -> Self {
        let tokens = layout.token_cells.len();
        let level = || Level { previous: vec![Vec::new(); tokens], ..Level::default() };
        let mut index = Self {
            known_by: i64::MIN,
            starts: Vec::new(),
            previous: vec![Vec::new(); tokens],
            latest: vec![FxHashMap::default(); tokens],
            levels: std::array::from_fn(|_| level()),
        };
        let count = rows.len() / layout.stride;
        for number in 0..count {
            index.note_last(layout, &rows[..(number + 1) * layout.stride]);
        }
        index.complete_parts(layout, rows);
        index
    }

    /// The part that begins at row `row`, ends at or before row `end` and was known by `at`; the longest there is.
    pub(crate) fn part(&self, row: usize, end: usize, at: i64) -> Option<Part> {
        if !row.is_multiple_of(PART_ROWS[0]) {
            return None;
        }
        (0..PART_ROWS.len()).rev().find_map(|level| {
            let part = Part { level, number: row / PART_ROWS[level] };
            let aligned = row.is_multiple_of(part.rows()) && row + part.rows() <= end;
            let known_by = if aligned { self.levels[level].known_by.get(part.number) } else { None };
            known_by.filter(|known_by| **known_by <= at).map(|_| part)
        })
    }

    /// A part's accumulators, one for each of the layout's folds.
    pub(crate) fn folds(&self, layout: &Layout, part: Part) -> &[Accumulator] {
        &self.levels[part.level].folds[part.range(layout.folds.len())]
    }

    /// Whether every row was known at `at`.
    pub(crate) fn all_known(&self, at: i64) -> bool {
        self.known_by <= at
    }

    /// Among the first `count` rows, those that can be the first at or after `time`, or whose end it is.
    pub(crate) fn candidates(&self, time: i64, count: usize) -> Range<usize> {
        let begun = self.starts.partition_point(|start| *start < time);
        let first = begun.saturating_sub(1) * PART_ROWS[0];
        let end = if begun == self.starts.len() { count } else { (begun * PART_ROWS[0]).min(count) };
        first.min(end)..end
    }

    /// How many of a part's rows hold the first occurrence of their token since `start`.
    pub(crate) fn first_in_part(&self, part: Part, token: usize, start: i64) -> usize {
        let start = start.max(NEVER_BEFORE + 1);
        self.levels[part.level].previous[token][part.range(part.rows())].partition_point(|previous| *previous < start)
    }

    /// Whether a row holds the first occurrence of its token since `start`.
    pub(crate) fn is_first(&self, row: usize, token: usize, start: i64) -> bool {
        self.previous[token][row] < start.max(NEVER_BEFORE + 1)
    }

    /// Takes in the row that was just appended to `rows`.
    pub(crate) fn append(&mut self, layout: &Layout, rows: &[u64]) {
        self.note_last(layout, rows);
        self.complete_parts(layout, rows);
    }

    fn note_last(&mut self, layout: &Layout, rows: &[u64]) {
        let row = &rows[rows.len() - layout.stride..];
        self.known_by = self.known_by.max(known_time(row));
        for token in 0..layout.token_cells.len() {
            let before = match layout.token(row, token) {
                None => NO_TOKEN,
                Some(value) => self.latest[token].insert(value, event_time(row)).unwrap_or(NEVER_BEFORE),
            };
            self.previous[token].push(before);
        }
    }

    /// Takes in the row that was just inserted into `rows` as number `place`.
    pub(crate) fn insert(&mut self, layout: &Layout, rows: &[u64], place: usize) {
        for token in 0..layout.token_cells.len() {
            self.link(layout, rows, place, token);
        }
        self.known_by = self.known_by.max(known_time(&rows[place * layout.stride..]));
        self.starts.truncate(place / PART_ROWS[0]);
        for (level, rows) in self.levels.iter_mut().zip(PART_ROWS) {
            let kept = place / rows;
            level.known_by.truncate(kept);
            level.folds.truncate(kept * layout.folds.len());
            level.previous.iter_mut().for_each(|times| times.truncate(kept * rows));
        }
        self.complete_parts(layout, rows);
    }

    /// Links the token of row `place` with its neighbours of the same token.
    fn link(&mut self, layout: &Layout, rows: &[u64], place: usize, token: usize) {
        let row_at = |number: usize| &rows[number * layout.stride..(number + 1) * layout.stride];
        let time = event_time(row_at(place));
        let Some(value) = layout.token(row_at(place), token) else {
            self.previous[token].insert(place, NO_TOKEN);
            return;
        };
        let same = |number: &usize| layout.token(row_at(*number), token) == Some(value);
        let seen = self.latest[token].contains_key(&value);
        let before = if seen { (0..place).rev().find(same) } else { None };
        let after = if seen { (place + 1..rows.len() / layout.stride).find(same) } else { None };
        self.previous[token].insert(place, before.map_or(NEVER_BEFORE, |number| event_time(row_at(number))));
        match after {
            Some(number) => self.previous[token][number] = time,
            None => {
                self.latest[token].insert(value, time);
            }
        }
    }

    fn complete_parts(&mut self, layout: &Layout, rows: &[u64]) {
        let count = rows.len() / layout.stride;
        while (self.starts.len() + 1) * PART_ROWS[0] <= count {
            self.push_rows(layout, rows, self.starts.len() * PART_ROWS[0]);
        }
        for upper in 1..PART_ROWS.len() {
            while (self.levels[upper].known_by.len() + 1) * FAN_OUT <= self.levels[upper - 1].known_by.len() {
                let (lower, upper) = self.levels.split_at_mut(upper);
                if let (Some(lower), Some(upper)) = (lower.last(), upper.first_mut()) {
                    upper.push_parts(layout, lower);
                }
            }
        }
    }

    /// Completes the part of the lowest level that begins at row `first`.
    fn push_rows(&mut self, layout: &Layout, rows: &[u64], first: usize) {
        let run = &rows[first * layout.stride..(first + PART_ROWS[0]) * layout.stride];
        self.starts.push(event_time(run));
        let level = &mut self.levels[0];
        let known_by = run.chunks_exact(layout.stride).map(known_time).max();
        level.known_by.push(known_by.unwrap_or(i64::MIN));
        let place = level.folds.len();
        level.folds.extend(layout.folds.iter().map(|slot| slot.accumulator()));
        fold_rows(layout, run, None, 0..layout.folds.len(), &mut level.folds[place..]);
        for (times, all) in level.previous.iter_mut().zip(&self.previous) {
            push_sorted(times, &all[first..first + PART_ROWS[0]]);
        }
    }

    /// Bytes taken, about.
    pub(crate) fn bytes(&self) -> usize {
        let times = |columns: &[Vec<i64>]| columns.iter().map(|times| 24 + times.capacity() * 8).sum::<usize>();
        let level = |level: &Level| {
            level.known_by.capacity() * 8
                + level.folds.capacity() * size_of::<Accumulator>()
                + level.folds.iter().map(Accumulator::heap_bytes).sum::<usize>()
                + times(&level.previous)
        };
        self.starts.capacity() * 8
            + times(&self.previous)
            + self.latest.iter().map(|latest| latest.capacity() * 33).sum::<usize>()
            + self.levels.iter().map(level).sum::<usize>()
    }
}

impl Level {
    /// Completes the next part from the parts of the level below.
    fn push_parts(&mut self, layout: &Layout, lower: &Level) {
        let parts = self.known_by.len() * FAN_OUT..(self.known_by.len() + 1) * FAN_OUT;
        self.known_by.push(lower.known_by[parts.clone()].iter().copied().max().unwrap_or(i64::MIN));
        let (width, place) = (layout.folds.len(), self.folds.len());
        self.folds.extend(layout.folds.iter().map(|slot| slot.accumulator()));
        for part in parts.clone() {
            for (fold, other) in self.folds[place..].iter_mut().zip(&lower.folds[part * width..(part + 1) * width]) {
                fold.merge(other);
            }
        }
        for (times, below) in self.previous.iter_mut().zip(&lower.previous) {
            let rows = below.len() / lower.known_by.len();
            push_sorted(times, &below[parts.start * rows..parts.end * rows]);
        }
    }
}

fn push_sorted(times: &mut Vec<i64>, added: &[i64]) {
    let first = times.len();
    times.extend_from_slice(added);
    times[first..].sort_unstable();
}
