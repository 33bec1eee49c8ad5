//! How a view's events lie in memory and which accumulations each of its windows needs; worked out once for each view.

use dhow_definitions::{Accumulator, Aggregate, Cell, CellKind, Slot, View, Window};
use dhow_events::{Event, Timestamp};

/// Words at the head of a row: event time, known time, event id (high, low), and the mask of present cells
/// (a view has at most two cells for each of its fact's columns, far fewer than the mask's 64 bits).
const HEAD_WORDS: usize = 5;

/// The layout of a view's rows and the plan of its reads.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Words in a row.
    pub(crate) stride: usize,
    /// Of each cell: its first word in the row and what it holds.
    cells: Vec<(usize, CellKind)>,
    /// The slots that are accumulated; those that count distinct values are answered from the rows instead.
    pub(crate) folds: Vec<Slot>,
    /// The cells that hold tokens.
    pub(crate) token_cells: Vec<usize>,
    /// What is read, in sweeps.
    pub(crate) groups: Vec<WindowGroup>,
    /// See [`View::ratios`].
    pub(crate) ratios: Vec<[usize; 3]>,
    /// How many features a read gives.
    pub(crate) feature_count: usize,
    /// See [`View::retention_micros`].
    pub(crate) retention_micros: i64,
    /// See [`View::counts_for_ever`].
    pub(crate) counts_for_ever: bool,
}

/// Windows that end together and round their starts alike, so that each reaches back over all shorter ones: one sweep
/// from the newest event to the oldest serves them all.
#[derive(Debug)]
pub(crate) struct WindowGroup {
    /// Which of [`Layout::folds`] they need, those of the longest windows first.
    pub(crate) folds: Vec<usize>,
    /// From the shortest to the longest.
    pub(crate) windows: Vec<WindowReads>,
}

/// The features of one window.
#[derive(Debug)]
pub(crate) struct WindowReads {
    pub(crate) window: Window,
    /// How many of [`WindowGroup::folds`], from the first, this window or a longer one needs.
    pub(crate) needed: usize,
    /// Which of [`WindowGroup::folds`] answers which feature, and how.
    pub(crate) answers: Vec<(usize, usize, Aggregate)>,
    /// Which of [`Layout::token_cells`] are counted, and the feature that asks.
    pub(crate) distincts: Vec<(usize, usize)>,
}

/// Where a row holds one cell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CellPlace {
    bit: usize,
    word: usize,
    kind: CellKind,
}

impl CellPlace {
    #[inline]
    pub(crate) fn read(self, row: &[u64]) -> Cell {
        if row[HEAD_WORDS - 1] >> self.bit & 1 == 0 {
            return Cell::Missing;
        }
        match self.kind {
            CellKind::Integer => Cell::Integer(row[self.word] as i64),
            CellKind::Float => Cell::Float(f64::from_bits(row[self.word])),
            CellKind::Token => Cell::Token(u128::from(row[self.word]) << 64 | u128::from(row[self.word + 1])),
        }
    }
}

impl Layout {
    pub(crate) fn new(view: &View) -> Self {
        let mut cells = Vec::new();
        let mut stride = HEAD_WORDS;
        for kind in view.cells() {
            cells.push((stride, kind));
            stride += if kind == CellKind::Token { 2 } else { 1 };
        }
        let is_distinct = |slot: &Slot| slot.aggregate == Aggregate::DistinctCount;
        let folds: Vec<Slot> = view.slots().iter().copied().filter(|slot| !is_distinct(slot)).collect();
        let token_cells: Vec<usize> =
            view.slots().iter().filter(|slot| is_distinct(slot)).filter_map(|slot| slot.cell).collect();
        let groups = group_windows(view, &folds, &token_cells);
        Self {
            stride,
            cells,
            folds,
            token_cells,
            groups,
            ratios: view.ratios().to_vec(),
            feature_count: view.features().len(),
            retention_micros: view.retention_micros(),
            counts_for_ever: view.counts_for_ever(),
        }
    }

    /// Writes the row of `event` over `row`.
    pub(crate) fn encode(&self, view: &View, event: &Event, known_time: Timestamp, row: &mut Vec<u64>) {
        let id = event.id.as_u128();
        row.clear();
        row.extend([event.event_time.micros() as u64, known_time.micros() as u64, (id >> 64) as u64, id as u64, 0]);
        for (number, cell) in view.read_cells(&event.fact).enumerate() {
            let words = match cell {
                Cell::Missing => [0, 0],
                Cell::Integer(value) => [value as u64, 0],
                Cell::Float(value) => [value.to_bits(), 0],
                Cell::Token(token) => [(token >> 64) as u64, token as u64],
            };
            if cell != Cell::Missing {
                row[HEAD_WORDS - 1] |= 1 << number;
            }
            let width = if self.cells[number].1 == CellKind::Token { 2 } else { 1 };
            row.extend_from_slice(&words[..width]);
        }
    }

    /// Where rows hold cell number `cell`.
    pub(crate) fn place(&self, cell: usize) -> CellPlace {
        let (word, kind) = self.cells[cell];
        CellPlace { bit: cell, word, kind }
    }

    /// The value of cell number `cell` in a row.
    pub(crate) fn cell(&self, row: &[u64], cell: usize) -> Cell {
        self.place(cell).read(row)
    }

    /// The token of [`Layout::token_cells`] number `token` in a row.
    pub(crate) fn token(&self, row: &[u64], token: usize) -> Option<u128> {
        match self.cell(row, self.token_cells[token]) {
            Cell::Token(token) => Some(token),
            _ => None,
        }
    }
}

fn group_windows(view: &View, folds: &[Slot], token_cells: &[usize]) -> Vec<WindowGroup> {
    let mut order: Vec<usize> = (0..view.windows().len()).collect();
    // Without a length a window is the longest of those that are not rounded.
    let key = |window: &Window| {
        (window.delay_micros(), window.hop_micros(), window.length_micros().is_none(), window.length_micros())
    };
    order.sort_by_key(|&number| key(&view.windows()[number]));
    let together = |left: &usize, right: &usize| {
        let (left, right) = (key(&view.windows()[*left]), key(&view.windows()[*right]));
        (left.0, left.1) == (right.0, right.1)
    };
    order.chunk_by(together).map(|numbers| group_of(view, numbers, folds, token_cells)).collect()
}

fn group_of(view: &View, numbers: &[usize], folds: &[Slot], token_cells: &[usize]) -> WindowGroup {
    let mut group = WindowGroup { folds: Vec::new(), windows: Vec::with_capacity(numbers.len()) };
    for &number in numbers.iter().rev() {
        let (mut answers, mut distincts) = (Vec::new(), Vec::new());
        for (place, feature) in view.features().iter().enumerate().filter(|(_, known)| known.window_index() == number) {
            let Some(slot) = feature.slot().map(|slot| view.slots()[slot]) else { continue };
            if let Some(fold) = folds.iter().position(|known| *known == slot) {
                let index = group.folds.iter().position(|known| *known == fold).unwrap_or_else(|| {
                    group.folds.push(fold);
                    group.folds.len() - 1
                });
                answers.push((index, place, feature.aggregate()));
            } else if let Some(token) = token_cells.iter().position(|cell| Some(*cell) == slot.cell) {
                distincts.push((token, place));
            }
        }
        let (window, needed) = (view.windows()[number], group.folds.len());
        group.windows.push(WindowReads { window, needed, answers, distincts });
    }
    group.windows.reverse();
    group
}

/// Folds rows; `folds` stand for the layout's folds of these `numbers`. With an instant `known_by`, rows that were not
/// known by then are left out.
pub(crate) fn fold_rows(
    layout: &Layout,
    rows: &[u64],
    known_by: Option<i64>,
    numbers: impl Iterator<Item = usize>,
    folds: &mut [Accumulator],
) {
    for (fold, number) in folds.iter_mut().zip(numbers) {
        let rows = rows.chunks_exact(layout.stride);
        let known = rows.filter(|row| known_by.is_none_or(|known_by| known_time(row) <= known_by));
        match layout.folds[number].cell.map(|cell| layout.place(cell)) {
            None => fold.update_all(known.map(|row| (event_time(row), event_id(row), None))),
            Some(place) => fold.update_all(known.map(|row| (event_time(row), event_id(row), Some(place.read(row))))),
        }
    }
}

/// When the event of a row happened, in microseconds.
pub(crate) fn event_time(row: &[u64]) -> i64 {
    row[0] as i64
}

/// When the event of a row became known, in microseconds.
pub(crate) fn known_time(row: &[u64]) -> i64 {
    row[1] as i64
}

/// The id of a row's event.
pub(crate) fn event_id(row: &[u64]) -> u128 {
    u128::from(row[2]) << 64 | u128::from(row[3])
}
