//! The ridge system of one person (or item) against the other side's factors: the step that fitting and fold-in share.
//!
//! For a row with items S, extra weights w and targets' weights t the system is
//! `(α₀ G + λ I + Σ w y yᵀ) x = Σ t y` (Hu, Koren and Volinsky 2008), G the Gramian of all factors y. The factors are kept
//! in the eigenbasis of G, where `α₀ G + λ I` is a diagonal D, whatever λ the row has. With `Z = W^½ Y D^-½` the answer is
//!
//! - `D^-½ (I + ZᵀZ)⁻¹ Zᵀ v` (dimensions × dimensions), or
//! - `D^-½ Zᵀ (I + ZZᵀ)⁻¹ v` (items × items), the same by the push-through identity,
//!
//! with `v = W^-½ t`. The smaller is solved, so that a person with ten items costs a system of ten, exactly.

use crate::gradients::Steps;
use crate::interactions::Row;
use crate::kernels::{
    Left, TILE_ROWS, add_part_of_product, add_transposed_product, axpy, cholesky, dot, each, groups, groups_mut, load,
    padded, solve_cholesky, transpose,
};
use crate::matrix::Matrix;
use fearless_simd::{Simd, f32x16, prelude::*};

/// Rows of one side that are multiplied at once where a row has more entries than dimensions.
const BLOCK_ENTRIES: usize = 64;

/// What is fixed for all rows of a half-step: the other side, in its Gramian's eigenbasis, and the loss.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) factors: &'a Matrix,
    /// Eigenvalues of the Gramian, one per column, padded with ones: padding columns hold zeros.
    pub(crate) spectrum: &'a [f32],
    pub(crate) loss: Loss,
}

/// The terms of the loss that the rows' systems need.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Loss {
    /// α₀: weight of every unobserved pair.
    pub(crate) unobserved_weight: f32,
    /// α: weight of an observed pair of weight 1, on top of α₀.
    pub(crate) observed_weight: f32,
    /// λ before scaling.
    pub(crate) regularization: f32,
    /// ν: how λ grows with a row's evidence.
    pub(crate) frequency_exponent: f32,
}

impl Loss {
    /// λ of a row: `λ (entries + α₀ · other rows)^ν` (Rendle et al. 2021, "Revisiting the Performance of iALS").
    pub(crate) fn regularization_of(&self, entries: usize, other_rows: usize) -> f32 {
        let evidence = entries as f32 + self.unobserved_weight * other_rows as f32;
        self.regularization * evidence.powf(self.frequency_exponent)
    }
}

/// Memory that the rows of a task use one after another.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(crate) whitened: Vec<f32>,
    turned: Vec<f32>,
    system: Vec<f32>,
    pub(crate) right: Vec<f32>,
    pub(crate) steps: Steps,
    pub(crate) root: Vec<f32>,
}

/// Solves for one row and writes its factors, padded, into `solution`. False where f32 could not.
#[inline(always)]
pub(crate) fn solve_row<S: Simd>(
    simd: S,
    side: &Side<'_>,
    row: Row<'_>,
    work: &mut Workspace,
    solution: &mut [f32],
) -> bool {
    solution.fill(0.0);
    let entries = row.columns.len();
    if entries == 0 {
        return true;
    }
    set_root(simd, side, entries, &mut work.root);
    let solved = if entries <= side.factors.columns() {
        solve_by_entries(simd, side, row, work, solution)
    } else {
        solve_by_dimensions(simd, side, row, work, solution)
    };
    for (value, root) in solution.iter_mut().zip(&work.root) {
        *value *= root;
    }
    solved && solution.iter().all(|value| value.is_finite())
}

/// One pass of Newton steps over blocks of dimensions, from the factors that `solution` holds (iALS++, Rendle et al.
/// 2021): in whitened coordinates `x -= (I + ZₚᵀZₚ)⁻¹ (xₚ + Zₚᵀ(Zx − v))` for each block p. A row with no more entries
/// than a block has dimensions is solved exactly, which costs less.
#[inline(always)]
pub(crate) fn improve_row<S: Simd>(
    simd: S,
    side: &Side<'_>,
    row: Row<'_>,
    block: usize,
    work: &mut Workspace,
    solution: &mut [f32],
) -> bool {
    let stride = side.factors.stride();
    if row.columns.len() <= block {
        return solve_row(simd, side, row, work, solution);
    }
    set_root(simd, side, row.columns.len(), &mut work.root);
    whiten(simd, side, row, &work.root, &mut work.whitened);
    for (value, root) in solution.iter_mut().zip(&work.root) {
        *value /= root;
    }
    let mut residuals = std::mem::take(&mut work.right);
    residuals.clear();
    for (weight, z) in row.weights.iter().zip(work.whitened.chunks_exact(stride)) {
        residuals.push(dot(simd, z, solution) - right_side(&side.loss, *weight));
    }
    let mut solved = true;
    for from in (0..stride).step_by(block) {
        let size = block.min(stride - from);
        work.turned.clear();
        for z in work.whitened.chunks_exact(stride) {
            work.turned.extend_from_slice(&z[from..from + size]);
        }
        identity(&mut work.system, size, size);
        add_transposed_product(simd, &work.turned, size, &work.turned, size, true, &mut work.system);
        let mut step = solution[from..from + size].to_vec();
        for (residual, z) in residuals.iter().zip(work.turned.chunks_exact(size)) {
            axpy(simd, &mut step, *residual, z);
        }
        solved &= cholesky(simd, &mut work.system, size, size);
        solve_cholesky(simd, &work.system, size, size, &mut step);
        axpy(simd, &mut solution[from..from + size], -1.0, &step);
        for (residual, z) in residuals.iter_mut().zip(work.turned.chunks_exact(size)) {
            *residual -= dot(simd, z, &step);
        }
    }
    for (value, root) in solution.iter_mut().zip(&work.root) {
        *value *= root;
    }
    work.right = residuals;
    solved && solution.iter().all(|value| value.is_finite())
}

/// `D^-½` for a row of that many entries.
#[inline(always)]
pub(crate) fn set_root<S: Simd>(simd: S, side: &Side<'_>, entries: usize, root: &mut Vec<f32>) {
    let regularization = f32x16::splat(simd, side.loss.regularization_of(entries, side.factors.rows()));
    let (weight, one) = (f32x16::splat(simd, side.loss.unobserved_weight), f32x16::splat(simd, 1.0));
    root.resize(side.spectrum.len(), 0.0);
    each(
        root,
        side.spectrum,
        #[inline(always)]
        |_, value| one / weight.mul_add(load(simd, value), regularization).sqrt(),
    );
}

/// `Zᵀ (I + ZZᵀ)⁻¹ v`.
#[inline(always)]
fn solve_by_entries<S: Simd>(
    simd: S,
    side: &Side<'_>,
    row: Row<'_>,
    work: &mut Workspace,
    solution: &mut [f32],
) -> bool {
    let stride = side.factors.stride();
    let entries = row.columns.len();
    let size = padded(entries);
    whiten(simd, side, row, &work.root, &mut work.whitened);
    work.whitened.resize(size * stride, 0.0);
    work.turned.resize(stride * size, 0.0);
    transpose(simd, &work.whitened, size, stride, &mut work.turned);
    identity(&mut work.system, entries, size);
    let left = Left { values: &work.turned, columns: size, wanted: 0..entries.next_multiple_of(TILE_ROWS) };
    add_part_of_product(simd, 1.0, &left, &work.turned, size, true, &mut work.system);
    work.right.clear();
    work.right.extend(row.weights.iter().map(|weight| right_side(&side.loss, *weight)));
    work.right.resize(size, 0.0);
    let solved = cholesky(simd, &mut work.system, entries, size);
    solve_cholesky(simd, &work.system, entries, size, &mut work.right);
    for (at, z) in work.whitened.chunks_exact(stride).take(entries).enumerate() {
        axpy(simd, solution, work.right[at], z);
    }
    solved
}

/// `(I + ZᵀZ)⁻¹ Zᵀ v`.
#[inline(always)]
fn solve_by_dimensions<S: Simd>(
    simd: S,
    side: &Side<'_>,
    row: Row<'_>,
    work: &mut Workspace,
    solution: &mut [f32],
) -> bool {
    let (dimensions, stride) = (side.factors.columns(), side.factors.stride());
    identity(&mut work.system, dimensions, stride);
    for (columns, weights) in row.columns.chunks(BLOCK_ENTRIES).zip(row.weights.chunks(BLOCK_ENTRIES)) {
        whiten(simd, side, Row { columns, weights }, &work.root, &mut work.whitened);
        add_transposed_product(simd, &work.whitened, stride, &work.whitened, stride, true, &mut work.system);
        for (at, z) in work.whitened.chunks_exact(stride).enumerate() {
            axpy(simd, solution, right_side(&side.loss, weights[at]), z);
        }
    }
    let solved = cholesky(simd, &mut work.system, dimensions, stride);
    solve_cholesky(simd, &work.system, dimensions, stride, solution);
    solved
}

/// `v = W^-½ t` of one entry: its target is 1 at the confidence `α₀ + w`.
#[inline(always)]
pub(crate) fn right_side(loss: &Loss, weight: f32) -> f32 {
    let extra = loss.observed_weight * weight;
    (extra + loss.unobserved_weight) / extra.sqrt()
}

/// The rows of Z, one per entry.
#[inline(always)]
pub(crate) fn whiten<S: Simd>(simd: S, side: &Side<'_>, row: Row<'_>, root: &[f32], into: &mut Vec<f32>) {
    let stride = side.factors.stride();
    into.resize(row.columns.len() * stride, 0.0);
    let root = groups(root);
    for (at, z) in into.chunks_exact_mut(stride).enumerate() {
        let scale = f32x16::splat(simd, (side.loss.observed_weight * row.weights[at]).sqrt());
        let factors = groups(side.factors.padded_row(row.columns[at] as usize));
        let z = groups_mut(z);
        for group in 0..root.len() {
            z[group] = (scale * load(simd, &factors[group]) * load(simd, &root[group])).into();
        }
    }
}

/// An identity of `size` in rows of `stride`.
#[inline(always)]
fn identity(matrix: &mut Vec<f32>, size: usize, stride: usize) {
    matrix.clear();
    matrix.resize(stride * stride, 0.0);
    for i in 0..size {
        matrix[i * stride + i] = 1.0;
    }
}
