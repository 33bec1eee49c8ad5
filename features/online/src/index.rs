//! What a long series carries so that a window costs microseconds: accumulators of whole runs of rows; it holds no rows.

use dhow_definitions::Accumulator;
use rustc_hash::FxHashMap;

use crate::layout::{Layout, event_id, event_time, known_time};

/// Rows in a part of each level.
pub(crate) const PART_ROWS: [usize; 2] = [64, 4096];
/// Parts of the lower level in one of the upper.
const FAN_OUT: usize = PART_ROWS[1] / PART_ROWS[0];

/// Marks a row without a token in [`Index::previous`].
const NO_TOKEN: i64 = i64::MAX;
/// Marks a token that occurs for the first time in [`Index::previous`].
const NEVER_BEFORE: i64 = i64::MIN;

/// Accumulators over a run of rows.
#[derive(Debug)]
pub(crate) struct Part {
    /// The latest known time of the rows.
    pub(crate) known_by: i64,
    /// One for each of the layout's folds.
    pub(crate) folds: Box<[Accumulator]>,
    /// For each token cell the rows' entries of [`Index::previous`], sorted.
    previous: Box<[Box<[i64]>]>,
}

/// The index of one series.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// For each token cell and row: the event time of the row before it with the same token. A value occurs for the
    /// first time in a window exactly where that time lies before the window's start.
    previous: Vec<Vec<i64>>,
    /// For each token cell: the event time at which a token was last seen.
    latest: Vec<FxHashMap<u128, i64>>,
    /// Complete parts, in the order of the rows.
    levels: [Vec<Part>; 2],
}

impl Index {
    pub(crate) fn build(layout: &Layout, rows: &[u64]) -> Self {
        let tokens = layout.token_cells.len();
        let mut index =
            Self { previous: vec![Vec::new(); tokens], latest: vec![FxHashMap::default(); tokens], ..Self::default() };
        let count = rows.len() / layout.stride;
        for number in 0..count {
            index.note_last(layout, &rows[..(number + 1) * layout.stride]);
        }
        index.complete_parts(layout, rows);
        index
    }

    /// The part that begins at row `row`, ends at or before row `end` and was known by `at`; the longest there is.
    pub(crate) fn part(&self, row: usize, end: usize, at: i64) -> Option<(&Part, usize)> {
        PART_ROWS.into_iter().zip(&self.levels).rev().find_map(|(rows, parts)| {
            let aligned = row.is_multiple_of(rows) && row + rows <= end;
            let part = if aligned { parts.get(row / rows) } else { None };
            part.filter(|part| part.known_by <= at).map(|part| (part, rows))
        })
    }

    /// How many of a part's rows hold the first occurrence of their token since `start`.
    pub(crate) fn first_in_part(&self, part: &Part, token: usize, start: i64) -> usize {
        let start = start.max(NEVER_BEFORE + 1);
        part.previous[token].partition_point(|previous| *previous < start)
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
        for (parts, size) in self.levels.iter_mut().zip(PART_ROWS) {
            parts.truncate(place / size);
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
        while (self.levels[0].len() + 1) * PART_ROWS[0] <= count {
            let part = self.part_of_rows(layout, rows, self.levels[0].len() * PART_ROWS[0]);
            self.levels[0].push(part);
        }
        while (self.levels[1].len() + 1) * PART_ROWS[1] <= count {
            let first = self.levels[1].len() * FAN_OUT;
            let part = merged(layout, &self.levels[0][first..first + FAN_OUT]);
            self.levels[1].push(part);
        }
    }

    fn part_of_rows(&self, layout: &Layout, rows: &[u64], first: usize) -> Part {
        let mut folds: Box<[Accumulator]> = layout.folds.iter().map(|slot| slot.accumulator()).collect();
        let mut known_by = i64::MIN;
        let run = &rows[first * layout.stride..(first + PART_ROWS[0]) * layout.stride];
        for row in run.chunks_exact(layout.stride) {
            known_by = known_by.max(known_time(row));
            for (fold, slot) in folds.iter_mut().zip(&layout.folds) {
                fold.update(event_time(row), event_id(row), slot.cell.map(|cell| layout.cell(row, cell)));
            }
        }
        let sorted = self.previous.iter().map(|times| sorted_box(times[first..first + PART_ROWS[0]].to_vec()));
        Part { known_by, folds, previous: sorted.collect() }
    }

    /// Bytes taken, about.
    pub(crate) fn bytes(&self) -> usize {
        let tokens = self.previous.iter().map(|times| times.capacity() * 8).sum::<usize>()
            + self.latest.iter().map(|latest| latest.capacity() * 33).sum::<usize>();
        let part = |part: &Part| {
            size_of::<Part>()
                + size_of_val(&*part.folds)
                + part.previous.iter().map(|times| 16 + size_of_val(&**times)).sum::<usize>()
        };
        tokens + self.levels.iter().flatten().map(part).sum::<usize>()
    }
}

fn merged(layout: &Layout, parts: &[Part]) -> Part {
    let mut folds: Box<[Accumulator]> = layout.folds.iter().map(|slot| slot.accumulator()).collect();
    let mut previous = vec![Vec::with_capacity(PART_ROWS[1]); layout.token_cells.len()];
    for part in parts {
        for (fold, other) in folds.iter_mut().zip(&part.folds) {
            fold.merge(other);
        }
        for (times, other) in previous.iter_mut().zip(&part.previous) {
            times.extend_from_slice(other);
        }
    }
    let known_by = parts.iter().map(|part| part.known_by).max().unwrap_or(i64::MIN);
    Part { known_by, folds, previous: previous.into_iter().map(sorted_box).collect() }
}

fn sorted_box(mut times: Vec<i64>) -> Box<[i64]> {
    times.sort_unstable();
    times.into_boxed_slice()
}
