//! How a view's events lie in memory and which accumulations each of its windows needs; worked out once for each view.

use dhow_definitions::{Aggregate, Cell, CellKind, Slot, View, Window};
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
    /// What is read, window by window.
    pub(crate) windows: Vec<WindowReads>,
    /// How many features a read gives.
    pub(crate) feature_count: usize,
    /// See [`View::retention_micros`].
    pub(crate) retention_micros: i64,
    /// See [`View::counts_for_ever`].
    pub(crate) counts_for_ever: bool,
}

/// The features of one window.
#[derive(Debug)]
pub(crate) struct WindowReads {
    pub(crate) window: Window,
    /// Which of [`Layout::folds`] are needed, and the features that each answers.
    pub(crate) folds: Vec<(usize, Vec<(usize, Aggregate)>)>,
    /// Which of [`Layout::token_cells`] are counted, and the feature that asks.
    pub(crate) distincts: Vec<(usize, usize)>,
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
        let mut windows: Vec<WindowReads> = view
            .windows()
            .iter()
            .map(|&window| WindowReads { window, folds: Vec::new(), distincts: Vec::new() })
            .collect();
        for (number, feature) in view.features().iter().enumerate() {
            let slot = view.slots()[feature.slot()];
            let reads = &mut windows[feature.window_index()];
            if let Some(fold) = folds.iter().position(|known| *known == slot) {
                match reads.folds.iter_mut().find(|(known, _)| *known == fold) {
                    Some((_, features)) => features.push((number, slot.aggregate)),
                    None => reads.folds.push((fold, vec![(number, slot.aggregate)])),
                }
            } else if let Some(token) = token_cells.iter().position(|cell| Some(*cell) == slot.cell) {
                reads.distincts.push((token, number));
            }
        }
        Self {
            stride,
            cells,
            folds,
            token_cells,
            windows,
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

    /// The value of cell number `cell` in a row.
    pub(crate) fn cell(&self, row: &[u64], cell: usize) -> Cell {
        if row[HEAD_WORDS - 1] >> cell & 1 == 0 {
            return Cell::Missing;
        }
        let (word, kind) = self.cells[cell];
        match kind {
            CellKind::Integer => Cell::Integer(row[word] as i64),
            CellKind::Float => Cell::Float(f64::from_bits(row[word])),
            CellKind::Token => Cell::Token(u128::from(row[word]) << 64 | u128::from(row[word + 1])),
        }
    }

    /// The token of [`Layout::token_cells`] number `token` in a row.
    pub(crate) fn token(&self, row: &[u64], token: usize) -> Option<u128> {
        match self.cell(row, self.token_cells[token]) {
            Cell::Token(token) => Some(token),
            _ => None,
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
