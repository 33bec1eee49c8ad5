//! Deals rows into buckets of entities and sorts each bucket by (entity, time, event id); it computes no feature.

use std::ops::Range;

use dhow_definitions::Cell;
use rayon::prelude::*;

use crate::entities::WantedNumbers;
use crate::{CellColumn, Events, NO_ENTITY};

/// Rows in a bucket, about: its columns then fit a processor's second-level cache.
const BUCKET_ROWS: usize = 1 << 13;
const MAX_BUCKET_BITS: u32 = 12;
/// Rows dealt at once; more where there are many buckets, so that each gets a run of some length.
const CHUNK_ROWS: usize = 1 << 16;
const MIN_RUN_ROWS: usize = 1 << 5;

/// Which bucket an entity belongs to: the low bits of its number, so that neighbours are spread.
pub(crate) struct Layout {
    bits: u32,
    /// The most entities in a bucket.
    entities_per_bucket: usize,
}

impl Layout {
    pub(crate) fn new(rows: usize, entities: usize) -> Self {
        let wanted = (rows / BUCKET_ROWS).min(entities).max(1);
        let bits = wanted.ilog2().min(MAX_BUCKET_BITS);
        Self { bits, entities_per_bucket: entities.div_ceil(1 << bits) }
    }

    pub(crate) fn bucket_count(&self) -> usize {
        1 << self.bits
    }
}

/// The values of one cell. A float that is missing is NaN.
#[derive(Debug, Clone)]
pub(crate) enum Lane {
    Integer(Vec<i64>, Option<Vec<bool>>),
    Float(Vec<f64>),
    Token(Vec<u128>, Option<Vec<bool>>),
}

impl Lane {
    /// The cell of a row.
    pub(crate) fn cell(&self, row: usize) -> Cell {
        let holds = |valid: &Option<Vec<bool>>| valid.as_ref().is_none_or(|valid| valid[row]);
        match self {
            Self::Integer(values, valid) if holds(valid) => Cell::Integer(values[row]),
            Self::Float(values) if !values[row].is_nan() => Cell::Float(values[row]),
            Self::Token(values, valid) if holds(valid) => Cell::Token(values[row]),
            _ => Cell::Missing,
        }
    }
}

/// Rows as columns.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// Numbers of entities within the bucket.
    entities: Vec<u32>,
    pub(crate) times: Vec<i64>,
    pub(crate) known_times: Option<Vec<i64>>,
    ids: Option<Vec<u128>>,
    /// Row numbers of the table; only where they are asked for.
    pub(crate) numbers: Vec<u32>,
    pub(crate) lanes: Vec<Lane>,
}

/// Some successive rows of a table, dealt into buckets.
pub(crate) struct Chunk {
    /// Where each bucket's rows begin, and where the last one's end.
    starts: Vec<u32>,
    rows: Rows,
}

/// Deals the rows of wanted entities that are not left out, chunk by chunk, each bucket in the order of the table.
pub(crate) fn deal(
    layout: &Layout,
    numbers: &WantedNumbers,
    table: &Events<'_>,
    left_out: Option<&[bool]>,
) -> Vec<Chunk> {
    let rows = table.entities.len();
    let chunk_rows = CHUNK_ROWS.max(MIN_RUN_ROWS << layout.bits);
    (0..rows.div_ceil(chunk_rows).max(1))
        .into_par_iter()
        .map(|chunk| {
            let range = chunk * chunk_rows..rows.min((chunk + 1) * chunk_rows);
            deal_chunk(layout, numbers, table, left_out, range)
        })
        .collect()
}

fn deal_chunk(
    layout: &Layout,
    numbers: &WantedNumbers,
    table: &Events<'_>,
    left_out: Option<&[bool]>,
    range: Range<usize>,
) -> Chunk {
    let mask = layout.bucket_count() as u32 - 1;
    let mut entities: Vec<u32> = table.entities[range.clone()].iter().map(|&entity| numbers.get(entity)).collect();
    if let Some(left_out) = left_out {
        for (entity, _) in entities.iter_mut().zip(&left_out[range.clone()]).filter(|(_, left_out)| **left_out) {
            *entity = NO_ENTITY;
        }
    }
    // Rows of no entity go into one more bucket behind the others, which nobody reads.
    let bucket_of = |entity: u32| if entity == NO_ENTITY { mask + 1 } else { entity & mask } as usize;
    let (starts, places) = count_places(&entities, layout.bucket_count() + 1, bucket_of);
    let scatter_entities = entities.iter().map(|&entity| entity >> layout.bits);
    let rows = Rows {
        entities: scattered(scatter_entities, &places),
        times: scattered(table.event_times[range.clone()].iter().copied(), &places),
        known_times: table.known_times.map(|times| scattered(times[range.clone()].iter().copied(), &places)),
        ids: table.ids.map(|ids| scattered(ids[range.clone()].iter().copied(), &places)),
        numbers: if table.columns.is_empty() {
            scattered(range.clone().map(|row| row as u32), &places)
        } else {
            Vec::new()
        },
        lanes: table.columns.iter().map(|column| scatter_column(column, range.clone(), &places)).collect(),
    };
    Chunk { starts, rows }
}

/// Where each of `buckets` begins (and all end), and the place of each item when they are sorted stably by bucket.
fn count_places(items: &[u32], buckets: usize, bucket_of: impl Fn(u32) -> usize) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0_u32; buckets + 1];
    for &item in items {
        starts[bucket_of(item) + 1] += 1;
    }
    for bucket in 0..buckets {
        starts[bucket + 1] += starts[bucket];
    }
    let mut next = starts.clone();
    let places = items.iter().map(|&item| {
        let next = &mut next[bucket_of(item)];
        let place = *next;
        *next += 1;
        place
    });
    let places = places.collect();
    (starts, places)
}

fn scattered<T: Copy + Default>(values: impl Iterator<Item = T>, places: &[u32]) -> Vec<T> {
    let mut out = vec![T::default(); places.len()];
    for (value, &place) in values.zip(places) {
        out[place as usize] = value;
    }
    out
}

fn scatter_column(column: &CellColumn<'_>, range: Range<usize>, places: &[u32]) -> Lane {
    let scatter_valid = |valid: &Option<&[bool]>| {
        let valid = valid.map(|valid| &valid[range.clone()]).filter(|valid| valid.contains(&false));
        valid.map(|valid| scattered(valid.iter().copied(), places))
    };
    let admitted = |value: f64| Cell::of_float(value).as_float().unwrap_or(f64::NAN);
    match column {
        CellColumn::Integer { values, valid } => {
            Lane::Integer(scattered(values[range.clone()].iter().copied(), places), scatter_valid(valid))
        }
        CellColumn::Token { values, valid } => {
            Lane::Token(scattered(values[range.clone()].iter().copied(), places), scatter_valid(valid))
        }
        CellColumn::Float { values, valid } => {
            let values = values[range.clone()].iter();
            Lane::Float(match valid.map(|valid| &valid[range]) {
                None => scattered(values.map(|&value| admitted(value)), places),
                Some(valid) => scattered(
                    values.zip(valid).map(|(&value, &valid)| if valid { admitted(value) } else { f64::NAN }),
                    places,
                ),
            })
        }
    }
}

/// The rows of one bucket, sorted by (entity, time, event id).
pub(crate) struct Bucket {
    /// Where each entity's rows begin, and where the last one's end.
    pub(crate) starts: Vec<u32>,
    pub(crate) rows: Rows,
}

impl Bucket {
    /// The most entities that any bucket holds; numbers are below it.
    pub(crate) fn entity_count(&self) -> usize {
        self.starts.len() - 1
    }

    /// The rows of an entity.
    pub(crate) fn of_entity(&self, entity: usize) -> Range<usize> {
        self.starts[entity] as usize..self.starts[entity + 1] as usize
    }
}

/// Collects the rows of bucket `number` from all chunks and sorts them.
pub(crate) fn collect(layout: &Layout, number: usize, chunks: &[Chunk], lanes: usize) -> Bucket {
    let parts =
        || chunks.iter().map(|chunk| (&chunk.rows, chunk.starts[number] as usize..chunk.starts[number + 1] as usize));
    let entities = joined(parts().map(|(rows, part)| &rows.entities[part]));
    let times = joined(parts().map(|(rows, part)| &rows.times[part]));
    let ids = joined_optional(parts().map(|(rows, part)| rows.ids.as_ref().map(|ids| &ids[part])));
    let known_times = joined_optional(parts().map(|(rows, part)| rows.known_times.as_ref().map(|times| &times[part])));
    let (starts, order) = sort(layout, &entities, &times, ids.as_deref());
    let numbers = joined(parts().map(|(rows, part)| rows.numbers.get(part).unwrap_or(&[])));
    let rows = Rows {
        entities: Vec::new(),
        ids: None,
        times: gathered(&times, &order),
        known_times: known_times.map(|times| gathered(&times, &order)),
        numbers: if numbers.is_empty() { numbers } else { gathered(&numbers, &order) },
        lanes: (0..lanes)
            .filter_map(|lane| join_lane(parts().map(|(rows, part)| (&rows.lanes[lane], part)), &order))
            .collect(),
    };
    Bucket { starts, rows }
}

/// Where each entity begins, and the order of rows by (entity, time, id or place).
fn sort(layout: &Layout, entities: &[u32], times: &[i64], ids: Option<&[u128]>) -> (Vec<u32>, Vec<u32>) {
    let (starts, places) = count_places(entities, layout.entities_per_bucket, |entity| entity as usize);
    let mut order = scattered(0..entities.len() as u32, &places);
    for range in starts.windows(2) {
        let order = &mut order[range[0] as usize..range[1] as usize];
        let time = |row: u32| times[row as usize];
        match ids {
            None if order.is_sorted_by_key(|&row| time(row)) => {}
            None => order.sort_unstable_by_key(|&row| (time(row), row)),
            Some(ids) => {
                let key = |row: u32| (time(row), ids[row as usize]);
                if !order.is_sorted_by_key(|&row| key(row)) {
                    order.sort_unstable_by_key(|&row| key(row));
                }
            }
        }
    }
    (starts, order)
}

fn joined<'a, T: Copy + 'a>(parts: impl Iterator<Item = &'a [T]>) -> Vec<T> {
    let mut all = Vec::new();
    parts.for_each(|part| all.extend_from_slice(part));
    all
}

/// Nothing where no part has the column; all parts have it or none.
fn joined_optional<'a, T: Copy + 'a>(parts: impl Iterator<Item = Option<&'a [T]>>) -> Option<Vec<T>> {
    let mut all = None;
    for part in parts.flatten() {
        all.get_or_insert_with(Vec::new).extend_from_slice(part);
    }
    all
}

fn gathered<T: Copy>(values: &[T], order: &[u32]) -> Vec<T> {
    order.iter().map(|&row| values[row as usize]).collect()
}

/// One lane from its parts; nothing where there is no part at all.
fn join_lane<'a>(parts: impl Iterator<Item = (&'a Lane, Range<usize>)>, order: &[u32]) -> Option<Lane> {
    let mut all: Option<Lane> = None;
    for (part, range) in parts {
        match (&mut all, part) {
            (Some(Lane::Integer(values, valid)), Lane::Integer(more, more_valid)) => {
                join_valid(valid, values.len(), more_valid, &range);
                values.extend_from_slice(&more[range]);
            }
            (Some(Lane::Token(values, valid)), Lane::Token(more, more_valid)) => {
                join_valid(valid, values.len(), more_valid, &range);
                values.extend_from_slice(&more[range]);
            }
            (Some(Lane::Float(values)), Lane::Float(more)) => values.extend_from_slice(&more[range]),
            _ => all = Some(part_of_lane(part, range)),
        }
    }
    all.map(|all| match all {
        Lane::Integer(values, valid) => {
            Lane::Integer(gathered(&values, order), valid.map(|valid| gathered(&valid, order)))
        }
        Lane::Token(values, valid) => Lane::Token(gathered(&values, order), valid.map(|valid| gathered(&valid, order))),
        Lane::Float(values) => Lane::Float(gathered(&values, order)),
    })
}

fn part_of_lane(part: &Lane, range: Range<usize>) -> Lane {
    let cut = |valid: &Option<Vec<bool>>| valid.as_ref().map(|valid| valid[range.clone()].to_vec());
    match part {
        Lane::Integer(values, valid) => Lane::Integer(values[range.clone()].to_vec(), cut(valid)),
        Lane::Token(values, valid) => Lane::Token(values[range.clone()].to_vec(), cut(valid)),
        Lane::Float(values) => Lane::Float(values[range].to_vec()),
    }
}

/// Appends the validity of `range` of a part to that of the `rows` before it; nothing stands for all valid.
fn join_valid(valid: &mut Option<Vec<bool>>, rows: usize, more: &Option<Vec<bool>>, range: &Range<usize>) {
    match (&mut *valid, more) {
        (None, None) => {}
        (None, Some(more)) => {
            let mut all = vec![true; rows];
            all.extend_from_slice(&more[range.clone()]);
            *valid = Some(all);
        }
        (Some(all), Some(more)) => all.extend_from_slice(&more[range.clone()]),
        (Some(all), None) => all.resize(rows + range.len(), true),
    }
}
