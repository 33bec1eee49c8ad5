//! EASE, the item regression with a zero diagonal, for catalogues whose square fits in memory; larger ones are refused.
//!
//! Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data":
//! 1. G = XᵀX + λI over the items of all histories;
//! 2. P = G⁻¹, by a symmetric block sweep (Gauss–Jordan on the upper triangle) in f32;
//! 3. B = −P / diag(P) by columns, with a zero diagonal; a history scores an item by the sum of its rows of B.

use crate::error::{FactorsError, check_setting};
use crate::interactions::Interactions;
use crate::kernels::{LANES, add_scaled, add_transposed_product, padded, simd_kernel};
use rayon::prelude::*;

/// Most items of an [`Ease`] model: its matrix then takes 1.7 GB.
pub const MAX_EASE_ITEMS: usize = 20_480;
/// Rows that are swept at once.
const BLOCK: usize = 128;
/// Rows of a task of the update.
const TASK_ROWS: usize = 64;

/// Weights from every item to every item.
#[derive(Debug, Clone)]
pub struct Ease {
    items: usize,
    stride: usize,
    weights: Vec<f32>,
}

impl Ease {
    /// Fits with λ = `regularization`, above zero (tens to thousands are usual).
    ///
    /// # Errors
    /// λ out of range, more than [`MAX_EASE_ITEMS`] items, or a system that f32 cannot invert.
    pub fn fit(interactions: &Interactions, regularization: f32) -> Result<Self, FactorsError> {
        let range = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
        check_setting("regularization", regularization.into(), range, "a finite number above zero")?;
        let items = interactions.items();
        if items > MAX_EASE_ITEMS {
            return Err(FactorsError::TooMany { what: "items for EASE", count: items, limit: MAX_EASE_ITEMS });
        }
        let stride = padded(items);
        let mut weights = item_gramian(interactions, stride, regularization);
        invert(&mut weights, stride)?;
        let diagonal: Vec<f32> = (0..stride).map(|i| weights[i * stride + i]).collect();
        weights.par_chunks_exact_mut(stride).enumerate().for_each(|(i, row)| {
            for (value, own) in row.iter_mut().zip(&diagonal) {
                *value /= -own;
            }
            row[i] = 0.0;
            row[items..].fill(0.0);
        });
        Ok(Self { items, stride, weights })
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.items
    }

    /// The weight of a taken item for another one; zero for an unknown item.
    pub fn weight(&self, taken: u32, other: u32) -> f32 {
        let (taken, other) = (taken as usize, other as usize);
        if taken < self.items && other < self.items { self.weights[taken * self.stride + other] } else { 0.0 }
    }

    /// Adds the scores of a history of items and weights to `scores`, one per item.
    ///
    /// # Errors
    /// An unknown item, a weight that is not finite and above zero, or scores of another length.
    pub fn add_scores(&self, history: &[(u32, f32)], scores: &mut [f32]) -> Result<(), FactorsError> {
        crate::score::check_request(history, self.items, scores)?;
        let mut sums = vec![0.0; self.stride];
        for (item, weight) in history {
            let row = &self.weights[*item as usize * self.stride..][..self.stride];
            add_scaled(&mut sums, *weight, row);
        }
        scores.iter_mut().zip(&sums).for_each(|(score, sum)| *score += sum);
        Ok(())
    }
}

/// XᵀX + λI, where X holds 1 for a pair; padding columns get λ alone.
fn item_gramian(interactions: &Interactions, stride: usize, regularization: f32) -> Vec<f32> {
    let mut gramian = vec![0.0_f32; stride * stride];
    gramian.par_chunks_exact_mut(stride).enumerate().for_each(|(i, row)| {
        if i < interactions.items() {
            for person in interactions.by_item.row(i).columns {
                for other in interactions.history(*person) {
                    row[*other as usize] += 1.0;
                }
            }
        }
        row[i] += regularization;
    });
    gramian
}

/// One block of a panel: `BLOCK` rows of 16 columns, together.
type Panel = Vec<[f32; LANES]>;

/// Replaces a symmetric positive definite matrix of `size` (a multiple of 16) rows by its inverse.
///
/// For each block k of rows: D = A_kk⁻¹, E = D A_k; then A −= A_kᵀ E elsewhere, A_k = E, A_kk = −D. When every block is
/// swept, the matrix is −A⁻¹. Only the upper triangle is kept until the end.
pub(crate) fn invert(matrix: &mut [f32], size: usize) -> Result<(), FactorsError> {
    for from in (0..size).step_by(BLOCK) {
        let width = BLOCK.min(size - from);
        let pivot = inverse_of_pivot(matrix, size, from, width)?;
        let panels: Vec<Panel> =
            (0..size / LANES).into_par_iter().map(|group| panel(matrix, size, from, width, group)).collect();
        let swept: Vec<Panel> = panels.par_iter().map(|panel| sweep_panel(&pivot, panel)).collect();
        matrix.par_chunks_mut(TASK_ROWS * size).enumerate().for_each(|(task, rows)| {
            update_rows(rows, size, task * TASK_ROWS, &panels, &swept);
        });
        store_swept(matrix, size, from, width, &pivot, &swept);
    }
    for i in 0..size {
        for j in i..size {
            let value = -matrix[i * size + j];
            matrix[i * size + j] = value;
            matrix[j * size + i] = value;
        }
    }
    Ok(())
}

/// Columns of group `group` in the rows of the block, read from the upper triangle.
fn panel(matrix: &[f32], size: usize, from: usize, width: usize, group: usize) -> Panel {
    let columns = group * LANES;
    (from..from + width)
        .map(|row| {
            std::array::from_fn(|lane| {
                let (low, high) = (row.min(columns + lane), row.max(columns + lane));
                matrix[low * size + high]
            })
        })
        .collect()
}

/// The inverse of a diagonal block, by the same sweep, one row at a time, in f64.
fn inverse_of_pivot(matrix: &[f32], size: usize, from: usize, width: usize) -> Result<Vec<f32>, FactorsError> {
    let mut a: Vec<f64> = (0..width * width)
        .map(|at| {
            let (i, j) = (from + at / width, from + at % width);
            f64::from(matrix[i.min(j) * size + i.max(j)])
        })
        .collect();
    for k in 0..width {
        let pivot = a[k * width + k];
        if pivot.is_nan() || pivot <= 0.0 {
            return Err(FactorsError::NotPositiveDefinite { what: "the items" });
        }
        let row: Vec<f64> = a[k * width..(k + 1) * width].to_vec();
        for (i, target) in a.chunks_exact_mut(width).enumerate() {
            let factor = row[i] / pivot;
            target.iter_mut().zip(&row).for_each(|(value, other)| *value -= factor * other);
            target[k] = factor;
        }
        a[k * width..(k + 1) * width].iter_mut().zip(&row).for_each(|(value, old)| *value = old / pivot);
        a[k * width + k] = -1.0 / pivot;
    }
    Ok(a.iter().map(|value| -value as f32).collect())
}

simd_kernel! {
    /// E of one panel: the inverted pivot times it.
    fn sweep_panel<'a>(simd, pivot: &'a [f32], panel: &'a Panel) -> Panel {
        let mut swept = vec![[0.0; LANES]; panel.len()];
        add_transposed_product(simd, pivot, panel.len(), panel.as_flattened(), LANES, false, swept.as_flattened_mut());
        swept
    }
}

simd_kernel! {
    /// `rows −= A_kᵀ E`, on and above the diagonal.
    fn update_rows<'a>(simd, rows: &'a mut [f32], size: usize, first: usize, panels: &'a [Panel], swept: &'a [Panel]) {
        let groups = rows.len() / size / LANES;
        for (column, right) in swept.iter().enumerate().skip(first / LANES) {
            for group in 0..groups.min(column + 1 - first / LANES) {
                let mut tile = [[0.0_f32; LANES]; LANES];
                let (left, right) = (panels[first / LANES + group].as_flattened(), right.as_flattened());
                add_transposed_product(simd, left, LANES, right, LANES, false, tile.as_flattened_mut());
                for (row, values) in tile.iter().enumerate() {
                    let target = &mut rows[(group * LANES + row) * size..].as_chunks_mut::<LANES>().0[column];
                    for lane in 0..LANES {
                        target[lane] -= values[lane];
                    }
                }
            }
        }
    }
}

/// Writes E to the rows and columns of the block, and −D to its diagonal block.
fn store_swept(matrix: &mut [f32], size: usize, from: usize, width: usize, pivot: &[f32], swept: &[Panel]) {
    for (row, offset) in (from..from + width).zip(0..) {
        for column in 0..size {
            let value = if (from..from + width).contains(&column) {
                -pivot[offset * width + column - from]
            } else {
                swept[column / LANES][offset][column % LANES]
            };
            matrix[row.min(column) * size + row.max(column)] = value;
        }
    }
}
