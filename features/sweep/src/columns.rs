//! What a sweep is given: events and points as columns, and why it refuses them; nothing is copied here.

use dhow_definitions::{CellKind, View};

/// The entity of a row that has none: its event counts for nobody, its point has no values.
pub const NO_ENTITY: u32 = u32::MAX;

/// Event times, known times and points lie within plus or minus this many microseconds of 1970 (73 000 years).
const MAX_TIME_MICROS: i64 = 1 << 61;

/// The values of one of [`View::cells`], one for each event. `valid` says which rows have a value; nothing means all.
#[derive(Debug, Clone, Copy)]
pub enum CellColumn<'a> {
    /// Integers, booleans (0, 1) or instants (microseconds).
    Integer {
        /// The values; what stands where there is none does not matter.
        values: &'a [i64],
        /// Which rows have a value.
        valid: Option<&'a [bool]>,
    },
    /// Floats; each is admitted as `dhow_definitions::Cell::of_float` does it, so NaN is missing.
    Float {
        /// The values; what stands where there is none does not matter.
        values: &'a [f64],
        /// Which rows have a value.
        valid: Option<&'a [bool]>,
    },
    /// What tells one value from another: the tokens of `dhow_definitions::Cell::Token`.
    Token {
        /// The values; what stands where there is none does not matter.
        values: &'a [u128],
        /// Which rows have a value.
        valid: Option<&'a [bool]>,
    },
}

impl CellColumn<'_> {
    fn kind(&self) -> CellKind {
        match self {
            Self::Integer { .. } => CellKind::Integer,
            Self::Float { .. } => CellKind::Float,
            Self::Token { .. } => CellKind::Token,
        }
    }

    fn lengths(&self) -> (usize, Option<usize>) {
        match self {
            Self::Integer { values, valid } => (values.len(), valid.map(<[bool]>::len)),
            Self::Float { values, valid } => (values.len(), valid.map(<[bool]>::len)),
            Self::Token { values, valid } => (values.len(), valid.map(<[bool]>::len)),
        }
    }
}

/// The events of a view, one row each, in the order of the log.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    /// The entity of each row: a number below [`Events::entity_count`], or [`NO_ENTITY`].
    pub entities: &'a [u32],
    /// How many entities there are, those of the points included; memory of 4 bytes is taken for each.
    pub entity_count: usize,
    /// When each event happened, in microseconds.
    pub event_times: &'a [i64],
    /// When the log acknowledged each event, in microseconds; nothing where each was known as soon as it happened.
    pub known_times: Option<&'a [i64]>,
    /// The id of each event: of rows with one id the one with the least known time counts, the first of several.
    /// Nothing where each row is an event of its own; the row's number then stands for its id.
    pub ids: Option<&'a [u128]>,
    /// The values of each of [`View::cells`], in that order.
    pub columns: &'a [CellColumn<'a>],
}

/// Who is asked about, and at which instants; in any order.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// The entity of each point: a number below [`Events::entity_count`], or [`NO_ENTITY`].
    pub entities: &'a [u32],
    /// The instant of each point, in microseconds.
    pub at: &'a [i64],
}

impl<'a> Points<'a> {
    /// Each event itself, just before it counts.
    pub fn at_events(events: &Events<'a>) -> Self {
        Self { entities: events.entities, at: events.event_times }
    }

    /// Points are dealt into buckets like events that have no values.
    pub(crate) fn as_events(&self, entity_count: usize) -> Events<'a> {
        Events {
            entities: self.entities,
            entity_count,
            event_times: self.at,
            known_times: None,
            ids: None,
            columns: &[],
        }
    }
}

/// Why columns were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SweepError {
    /// A column is longer or shorter than the column of entities.
    #[error("{column} has {found} rows; the column of entities beside it has {expected}")]
    Length {
        /// Which column.
        column: String,
        /// Its rows.
        found: usize,
        /// The rows that it should have.
        expected: usize,
    },
    /// There are more or fewer columns than the view has cells.
    #[error("there are {found} columns of values; view `{view}` reads {expected}, one for each of its cells")]
    ColumnCount {
        /// The view.
        view: String,
        /// The columns given.
        found: usize,
        /// The view's cells.
        expected: usize,
    },
    /// A column holds something else than the view's cell.
    #[error("column {column} holds {found:?} values; that cell of view `{view}` holds {expected:?}")]
    ColumnKind {
        /// The view.
        view: String,
        /// The number of the column and cell, from 0.
        column: usize,
        /// What the column holds.
        found: CellKind,
        /// What the cell holds.
        expected: CellKind,
    },
    /// An entity's number is too high.
    #[error("row {row} of {table} names entity {entity}; there are {entity_count}, numbered from 0")]
    Entity {
        /// Events or points.
        table: &'static str,
        /// The row, from 0.
        row: usize,
        /// The number.
        entity: u32,
        /// How many entities there are.
        entity_count: usize,
    },
    /// A time is so far off that sums with durations would overflow.
    #[error("row {row} of {column} is {micros} microseconds; times lie within ±2^61 microseconds of 1970")]
    Time {
        /// Which column.
        column: &'static str,
        /// The row, from 0.
        row: usize,
        /// The time.
        micros: i64,
    },
    /// Row numbers must fit 32 bits.
    #[error("{table} has {rows} rows; at most 4294967294 can be swept at once: split it by entity")]
    TooManyRows {
        /// Events, points or entities.
        table: &'static str,
        /// The rows.
        rows: usize,
    },
}

/// Refuses columns that do not fit each other or the view.
pub(crate) fn check(view: &View, events: &Events<'_>, points: &Points<'_>) -> Result<(), SweepError> {
    let (rows, point_rows) = (events.entities.len(), points.entities.len());
    for (table, rows) in [
        ("the table of events", rows),
        ("the table of points", point_rows),
        ("the list of entities", events.entity_count),
    ] {
        if rows >= u32::MAX as usize {
            return Err(SweepError::TooManyRows { table, rows });
        }
    }
    check_length("event_times", events.event_times.len(), rows)?;
    check_length("known_times", events.known_times.map_or(rows, <[i64]>::len), rows)?;
    check_length("ids", events.ids.map_or(rows, <[u128]>::len), rows)?;
    check_length("the points' `at`", points.at.len(), point_rows)?;
    check_columns(view, events.columns, rows)?;
    check_entities("the events", events.entities, events.entity_count)?;
    check_entities("the points", points.entities, events.entity_count)?;
    check_times("event_times", events.event_times)?;
    check_times("known_times", events.known_times.unwrap_or(&[]))?;
    check_times("the points' `at`", points.at)
}

fn check_length(column: &str, found: usize, expected: usize) -> Result<(), SweepError> {
    if found == expected {
        return Ok(());
    }
    Err(SweepError::Length { column: column.to_owned(), found, expected })
}

fn check_columns(view: &View, columns: &[CellColumn<'_>], rows: usize) -> Result<(), SweepError> {
    let expected = view.cells().len();
    if columns.len() != expected {
        return Err(SweepError::ColumnCount { view: view.name().to_owned(), found: columns.len(), expected });
    }
    for (number, (column, expected)) in columns.iter().zip(view.cells()).enumerate() {
        let found = column.kind();
        if found != expected {
            return Err(SweepError::ColumnKind { view: view.name().to_owned(), column: number, found, expected });
        }
        let (values, valid) = column.lengths();
        check_length(&format!("column {number}"), values, rows)?;
        check_length(&format!("the validity of column {number}"), valid.unwrap_or(rows), rows)?;
    }
    Ok(())
}

fn check_entities(table: &'static str, entities: &[u32], entity_count: usize) -> Result<(), SweepError> {
    let wrong = |entity: u32| entity as usize >= entity_count && entity != NO_ENTITY;
    match entities.iter().position(|&entity| wrong(entity)) {
        None => Ok(()),
        Some(row) => Err(SweepError::Entity { table, row, entity: entities[row], entity_count }),
    }
}

fn check_times(column: &'static str, times: &[i64]) -> Result<(), SweepError> {
    let beyond = |micros: i64| !(-MAX_TIME_MICROS..=MAX_TIME_MICROS).contains(&micros);
    match times.iter().position(|&micros| beyond(micros)) {
        None => Ok(()),
        Some(row) => Err(SweepError::Time { column, row, micros: times[row] }),
    }
}
