//! Gradients as integers, and their sums by bin: exact, so that no order of adding and no number of threads changes a bit.

use rayon::prelude::*;

use crate::bins::{BINS, BLOCK};

/// A row's derivatives of the loss by its margin.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Derivatives {
    /// The first derivative.
    pub gradient: f64,
    /// The second derivative, or what stands for it; at least 0.
    pub hessian: f64,
}

/// A sum of gradients (upper 32 bits, signed) and of hessians (lower 32 bits, unsigned), in units of the round.
/// Adding two adds both halves, as no sum of hessians of distinct rows overflows; every row has a hessian of at least 1,
/// so 0 means "no row".
pub(crate) type Packed = u64;

/// Sums by bin, of each feature of a block.
pub(crate) type BlockHistogram = [[Packed; BINS]; BLOCK];

/// Rows are added by parts of this many, which threads share.
const PART_ROWS: usize = 1 << 15;
/// Sums of floating-point numbers are taken by parts of this many rows, in order.
const SUM_ROWS: usize = 1 << 12;

/// The gradients of a round as integers.
#[derive(Default)]
pub(crate) struct Quantised {
    /// Of each row; only those of the rows in use are of this round.
    pub packed: Vec<Packed>,
    /// The gradient that one unit stands for.
    pub gradient_unit: f64,
    /// The hessian that one unit stands for.
    pub hessian_unit: f64,
}

impl Quantised {
    /// Rounds the derivatives of `rows` to units so small that their sums just fit: about 2^31 units over all rows.
    pub fn fill(&mut self, derivatives: &[Derivatives], rows: &[u32]) {
        let sums = rows.par_chunks(SUM_ROWS).map(|rows| {
            rows.iter().fold((0.0, 0.0), |(gradients, hessians), row| {
                let of = derivatives[*row as usize];
                (gradients + of.gradient.abs(), hessians + of.hessian)
            })
        });
        let sums: Vec<(f64, f64)> = sums.collect();
        let (gradients, hessians) = sums.into_iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        // Rounding adds half a unit a row to gradients and, with the least of 1, at most one to hessians.
        let rows_count = rows.len() as f64;
        let gradient_scale = scale(f64::from(i32::MAX) - rows_count, gradients);
        let hessian_scale = scale(f64::from(u32::MAX) - 2.0 * rows_count, hessians);
        self.gradient_unit = 1.0 / gradient_scale;
        self.hessian_unit = 1.0 / hessian_scale;
        self.packed.resize(derivatives.len(), 0);
        let pack = |of: &Derivatives| pack(of, gradient_scale, hessian_scale);
        if rows.len() == derivatives.len() {
            let filled = self.packed.par_iter_mut().with_min_len(SUM_ROWS).zip(derivatives);
            filled.for_each(|(packed, of)| *packed = pack(of));
        } else {
            for row in rows {
                self.packed[*row as usize] = pack(&derivatives[*row as usize]);
            }
        }
    }

    /// The gradient of a sum.
    pub fn gradient(&self, sum: Packed) -> f64 {
        (sum as i64 >> 32) as f64 * self.gradient_unit
    }

    /// The hessian of a sum.
    pub fn hessian(&self, sum: Packed) -> f64 {
        (sum as u32) as f64 * self.hessian_unit
    }
}

/// Units for one, such that `sum` makes `most`; 1 where there is nothing to scale.
fn scale(most: f64, sum: f64) -> f64 {
    let scale = most / sum;
    if scale.is_finite() && scale > 0.0 { scale } else { 1.0 }
}

fn pack(of: &Derivatives, gradient_scale: f64, hessian_scale: f64) -> Packed {
    // Adding half and rounding down is rounding to nearest; `as` rounds towards zero and takes less time than `round`.
    let gradient = of.gradient * gradient_scale;
    let gradient = (gradient + 0.5_f64.copysign(gradient)) as i64;
    let hessian = (of.hessian * hessian_scale) as u64 + 1;
    ((gradient << 32) as u64).wrapping_add(hessian)
}

/// The sum of some rows.
pub(crate) fn total(packed: &[Packed], rows: &[u32]) -> Packed {
    rows.iter().fold(0, |sum: Packed, row| sum.wrapping_add(packed[*row as usize]))
}

/// Sets `histogram` to the sums of `rows`.
pub(crate) fn accumulate(histogram: &mut BlockHistogram, block: &[[u8; BLOCK]], packed: &[Packed], rows: &[u32]) {
    histogram.as_flattened_mut().fill(0);
    if rows.len() < 2 * PART_ROWS || rayon::current_num_threads() == 1 {
        return add_rows(histogram, block, packed, rows);
    }
    let parts = rows.par_chunks(PART_ROWS).fold(
        || Box::new([[0; BINS]; BLOCK]),
        |mut part: Box<BlockHistogram>, rows| {
            add_rows(&mut part, block, packed, rows);
            part
        },
    );
    let sum = parts.reduce_with(|mut sum, part| {
        merge(&mut sum, &part, Packed::wrapping_add);
        sum
    });
    if let Some(sum) = sum {
        *histogram = *sum;
    }
}

/// Takes the sums of one child from those of its parent, which leaves the other child's.
pub(crate) fn subtract(parent: &mut BlockHistogram, child: &BlockHistogram) {
    merge(parent, child, Packed::wrapping_sub);
}

fn merge(into: &mut BlockHistogram, from: &BlockHistogram, with: impl Fn(Packed, Packed) -> Packed) {
    for (into, from) in into.as_flattened_mut().iter_mut().zip(from.as_flattened()) {
        *into = with(*into, *from);
    }
}

fn add_rows(histogram: &mut BlockHistogram, block: &[[u8; BLOCK]], packed: &[Packed], rows: &[u32]) {
    for row in rows {
        let (bins, packed) = (block[*row as usize], packed[*row as usize]);
        for (sums, bin) in histogram.iter_mut().zip(bins) {
            let sum = &mut sums[usize::from(bin)];
            *sum = sum.wrapping_add(packed);
        }
    }
}
