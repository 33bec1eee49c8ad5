//! Values as bins of one byte: cuts at weighted quantiles, and rows in blocks of eight features; gradients are elsewhere.

use rayon::prelude::*;

use crate::data::{Column, Kind, TrainingData};

/// The bin of missing values.
pub(crate) const MISSING_BIN: u8 = 255;
/// Bins of a feature, the missing one included.
pub(crate) const BINS: usize = 256;
/// Features of a block: their bins of a row lie beside each other, and their histograms (16 KiB) fit the first cache.
pub(crate) const BLOCK: usize = 8;
/// Cuts are found on at most this many rows, evenly spaced.
const CUT_ROWS_MAX: usize = 200_000;

/// The bins of all rows, and what they stand for.
pub(crate) struct Binned {
    /// Block → row → bins of its eight features. The last block is filled up with features that have no cut.
    pub blocks: Vec<Vec<[u8; BLOCK]>>,
    /// What the bins of each feature stand for.
    pub scales: Vec<Scale>,
}

/// What the bins of a feature stand for.
pub(crate) enum Scale {
    /// Bin b holds the values `<= cuts[b]` that no lower bin holds; one bin more holds what is above the last.
    Cuts(Vec<f64>),
    /// Bin b holds category `categories[b]`, sorted; one bin more holds all others.
    Categories(Vec<u32>),
}

impl Scale {
    fn bin(&self, value: f64) -> u8 {
        if value.is_nan() {
            return MISSING_BIN;
        }
        let bin = match self {
            Scale::Cuts(cuts) => cuts.partition_point(|cut| *cut < value),
            Scale::Categories(categories) => categories.binary_search(&(value as u32)).unwrap_or(categories.len()),
        };
        bin as u8
    }
}

impl Binned {
    /// Bins every column of `data` into at most `max_bins` bins, of at most 255, beside the missing one.
    pub fn new(data: &TrainingData, max_bins: usize) -> Binned {
        let scales: Vec<Scale> = data.columns.par_iter().map(|column| scale_of(column, data, max_bins)).collect();
        let blocks = data
            .columns
            .par_chunks(BLOCK)
            .zip(scales.par_chunks(BLOCK))
            .map(|(columns, scales)| block_of(columns, scales, data.rows()));
        let blocks = blocks.collect();
        Binned { blocks, scales }
    }
}

fn block_of(columns: &[Column], scales: &[Scale], rows: usize) -> Vec<[u8; BLOCK]> {
    let mut block = vec![[0; BLOCK]; rows];
    for (place, (column, scale)) in columns.iter().zip(scales).enumerate() {
        for (bins, value) in block.iter_mut().zip(column.values) {
            bins[place] = scale.bin(*value);
        }
    }
    block
}

fn scale_of(column: &Column, data: &TrainingData, max_bins: usize) -> Scale {
    let distinct = distinct_values(column.values, data);
    match column.kind {
        Kind::Category => Scale::Categories(frequent_categories(distinct, max_bins - 1)),
        Kind::Number | Kind::Increasing | Kind::Decreasing => Scale::Cuts(cuts(&distinct, max_bins)),
    }
}

/// The distinct present values in order, each with its weight.
fn distinct_values(values: &[f64], data: &TrainingData) -> Vec<(f64, f64)> {
    let step = values.len().div_ceil(CUT_ROWS_MAX);
    let mut distinct: Vec<(f64, f64)> = Vec::new();
    let mut count = |(value, weight): (f64, f64)| match distinct.last_mut() {
        Some((last, sum)) if *last == value => *sum += weight,
        _ => distinct.push((value, weight)),
    };
    let chosen = (0..values.len()).step_by(step).filter(|row| !values[*row].is_nan() && data.weight(*row) > 0.0);
    if data.weights.is_none() {
        let mut present: Vec<f64> = chosen.map(|row| values[row]).collect();
        present.sort_unstable_by(f64::total_cmp);
        present.into_iter().for_each(|value| count((value, 1.0)));
    } else {
        let mut present: Vec<(f64, f64)> = chosen.map(|row| (values[row], data.weight(row))).collect();
        present.sort_by(|one, other| one.0.total_cmp(&other.0));
        present.into_iter().for_each(count);
    }
    distinct
}

/// Cuts between values such that bins weigh about the same; a value that weighs more than a bin gets one of its own.
fn cuts(distinct: &[(f64, f64)], max_bins: usize) -> Vec<f64> {
    let between = |at: usize| cut_between(distinct[at].0, distinct[at + 1].0);
    if distinct.len() <= max_bins {
        return (0..distinct.len().saturating_sub(1)).map(between).collect();
    }
    let mut cuts = Vec::with_capacity(max_bins);
    let mut remaining: f64 = distinct.iter().map(|(_, weight)| weight).sum();
    let mut filled = 0.0;
    for (at, pair) in distinct.windows(2).enumerate() {
        let target = remaining / (max_bins - cuts.len()) as f64;
        filled += pair[0].1;
        if filled + pair[1].1 / 2.0 > target || pair[1].1 >= target {
            cuts.push(between(at));
            remaining -= filled;
            filled = 0.0;
            if cuts.len() + 1 == max_bins {
                break;
            }
        }
    }
    cuts
}

/// A number at least `below` and less than `above`, halfway where numbers are dense enough.
fn cut_between(below: f64, above: f64) -> f64 {
    let middle = f64::midpoint(below, above);
    if middle < above { middle } else { below }
}

/// The heaviest categories, sorted by their number.
fn frequent_categories(mut distinct: Vec<(f64, f64)>, most: usize) -> Vec<u32> {
    distinct.sort_by(|one, other| other.1.total_cmp(&one.1));
    let mut categories: Vec<u32> = distinct.into_iter().take(most).map(|(value, _)| value as u32).collect();
    categories.sort_unstable();
    categories
}
