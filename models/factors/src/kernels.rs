//! Dense f32 kernels for the widest SIMD that the machine has, chosen at run time; no sparse structure and no threads.
//!
//! Every function here that takes a `simd` is inlined into a function made by `simd_kernel!`, which chooses the
//! instruction set once for a block of work. Matrices are row-major; the number of columns is a multiple of [`LANES`],
//! padded with zeros, so that rows are whole groups. Inner loops count over fixed-size arrays: own crates are compiled with
//! checked arithmetic, which would cost more than the work itself there.

use fearless_simd::{f32x16, prelude::*};
use std::ops::Range;

/// Columns of a padded matrix come in groups of this many: the widest vector's lanes.
pub(crate) const LANES: usize = 16;
/// Rows of a register tile.
pub(crate) const TILE_ROWS: usize = 8;

/// One group of columns.
pub(crate) type Group = [f32; LANES];

/// Defines a function whose body is compiled for several instruction sets, of which the machine's widest runs.
///
/// Its first argument is the token of the instruction set, which the body hands to the kernels of this file. What the body
/// calls is compiled with it only where it is marked `#[inline(always)]`.
macro_rules! simd_kernel {
    (
        $(#[$attribute:meta])*
        fn $name:ident<$life:lifetime>($simd:ident, $($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block
    ) => {
        $(#[$attribute])*
        pub(crate) fn $name<$life>($($argument: $type),*) $(-> $output)? {
            #[inline(always)]
            fn compiled<$life, S: fearless_simd::Simd>($simd: S, $($argument: $type),*) $(-> $output)? $body
            fearless_simd::dispatch!(fearless_simd::Level::new(), simd => compiled(simd, $($argument),*))
        }
    };
}
pub(crate) use simd_kernel;

simd_kernel! {
    /// `into += factor * row` for a single pair of padded rows.
    fn add_scaled<'a>(simd, into: &'a mut [f32], factor: f32, row: &'a [f32]) {
        axpy(simd, into, factor, row);
    }
}

/// The smallest multiple of [`LANES`] that holds `columns`.
#[inline(always)]
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// A padded row in groups.
#[inline(always)]
pub(crate) fn groups(row: &[f32]) -> &[Group] {
    row.as_chunks().0
}

/// A padded row in groups to write.
#[inline(always)]
pub(crate) fn groups_mut(row: &mut [f32]) -> &mut [Group] {
    row.as_chunks_mut().0
}

/// One group in registers. Copying over a vector compiles to one load; the vector's constructors go through memory where
/// debug assertions are on.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, group: &Group) -> f32x16<S> {
    let mut value = f32x16::splat(simd, 0.0);
    *value = *group;
    value
}

/// The inner product of two equally long padded rows.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    let (left, right) = (groups(left), groups(right));
    let mut sums = [f32x16::splat(simd, 0.0); 2];
    for at in 0..left.len().min(right.len()) {
        sums[at & 1] = load(simd, &left[at]).mul_add(load(simd, &right[at]), sums[at & 1]);
    }
    (sums[0] + sums[1]).reduce_sum()
}

/// `into += factor * row`, both padded and equally long.
#[inline(always)]
pub(crate) fn axpy<S: Simd>(simd: S, into: &mut [f32], factor: f32, row: &[f32]) {
    let factor = f32x16::splat(simd, factor);
    each(
        into,
        row,
        #[inline(always)]
        |sum, value| factor.mul_add(load(simd, value), load(simd, sum)),
    );
}

/// Sets every group of `into` from itself and the one of `other` at its place.
#[inline(always)]
pub(crate) fn each<S: Simd>(into: &mut [f32], other: &[f32], f: impl Fn(&Group, &Group) -> f32x16<S>) {
    let (into, other) = (groups_mut(into), groups(other));
    for at in 0..into.len().min(other.len()) {
        into[at] = f(&into[at], &other[at]).into();
    }
}

/// Whether a tile of two groups fits the registers; narrower machines take smaller tiles.
#[inline(always)]
pub(crate) fn wide<S: Simd>() -> bool {
    S::f32s::LEN >= LANES
}

/// `Σ_k left[k]ᵀ right[k]` in registers: `ROWS` values of every left row against `GROUPS` groups of every right one. Both
/// begin at the tile's first column and have rows of their strides; the shorter one ends the sum.
#[inline(always)]
pub(crate) fn tile<S: Simd, const ROWS: usize, const GROUPS: usize>(
    simd: S,
    mut left: &[f32],
    left_stride: usize,
    mut right: &[Group],
    right_stride: usize,
) -> [[f32x16<S>; GROUPS]; ROWS] {
    let mut sums = [[f32x16::splat(simd, 0.0); GROUPS]; ROWS];
    while let (Some(a), Some(b)) = (left.first_chunk::<ROWS>(), right.first_chunk::<GROUPS>()) {
        for row in 0..ROWS {
            let value = f32x16::splat(simd, a[row]);
            for group in 0..GROUPS {
                sums[row][group] = value.mul_add(load(simd, &b[group]), sums[row][group]);
            }
        }
        left = left.get(left_stride..).unwrap_or_default();
        right = right.get(right_stride..).unwrap_or_default();
    }
    sums
}

/// `out += leftᵀ right` for a left matrix of rows × `left_columns` (a multiple of 8) and a right one of rows ×
/// `right_columns`. With `upper` only what reaches the diagonal or lies above it is computed (for a symmetric product).
#[inline(always)]
pub(crate) fn add_transposed_product<S: Simd>(
    simd: S,
    left: &[f32],
    left_columns: usize,
    right: &[f32],
    right_columns: usize,
    upper: bool,
    out: &mut [f32],
) {
    let left = Left { values: left, columns: left_columns, wanted: 0..left_columns };
    add_part_of_product(simd, 1.0, &left, right, right_columns, upper, out);
}

/// The left side of a product, of which some columns are wanted: whole register tiles of them.
pub(crate) struct Left<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) columns: usize,
    pub(crate) wanted: Range<usize>,
}

/// As [`add_transposed_product`], times `scale`, for the wanted columns alone: `out` begins with the first of their rows.
#[inline(always)]
pub(crate) fn add_part_of_product<S: Simd>(
    simd: S,
    scale: f32,
    left: &Left<'_>,
    right: &[f32],
    right_columns: usize,
    upper: bool,
    out: &mut [f32],
) {
    let (right, out, stride) = (groups(right), groups_mut(out), right_columns / LANES);
    let (start, columns) = (left.wanted.start, left.columns);
    for i in left.wanted.clone().step_by(TILE_ROWS) {
        let out = &mut out[(i - start) * stride..(i - start + TILE_ROWS) * stride];
        let mut j = if upper { i / LANES } else { 0 };
        while j < stride {
            let (left, right) = (&left.values[i..], &right[j..]);
            if wide::<S>() && j + 1 < stride {
                let sums = tile::<S, TILE_ROWS, 2>(simd, left, columns, right, stride);
                add_tile(simd, scale, &sums, &mut out[j..], stride);
                j += 2;
            } else if wide::<S>() {
                let sums = tile::<S, TILE_ROWS, 1>(simd, left, columns, right, stride);
                add_tile(simd, scale, &sums, &mut out[j..], stride);
                j += 1;
            } else {
                for half in [0, TILE_ROWS / 2] {
                    let sums = tile::<S, { TILE_ROWS / 2 }, 1>(simd, &left[half..], columns, right, stride);
                    add_tile(simd, scale, &sums, &mut out[half * stride + j..], stride);
                }
                j += 1;
            }
        }
    }
}

/// Adds a tile times `scale` to rows of `stride` groups.
#[inline(always)]
fn add_tile<S: Simd, const ROWS: usize, const GROUPS: usize>(
    simd: S,
    scale: f32,
    sums: &[[f32x16<S>; GROUPS]; ROWS],
    out: &mut [Group],
    stride: usize,
) {
    let scale = f32x16::splat(simd, scale);
    for row in 0..ROWS {
        for group in 0..GROUPS {
            let target = &mut out[row * stride + group];
            *target = scale.mul_add(sums[row][group], load(simd, target)).into();
        }
    }
}

/// `out = left · right` for a left matrix of rows × `inner` and a right one of `inner` × `columns`.
#[inline(always)]
pub(crate) fn product<S: Simd>(simd: S, left: &[f32], inner: usize, right: &[f32], columns: usize, out: &mut [f32]) {
    let mut panel = vec![[0.0_f32; TILE_ROWS]; inner];
    let mut tile = vec![0.0_f32; TILE_ROWS * columns];
    for (rows, out) in left.chunks(TILE_ROWS * inner).zip(out.chunks_mut(TILE_ROWS * columns)) {
        turn_and_multiply(simd, rows, &mut panel, right, columns, &mut tile);
        out.copy_from_slice(&tile[..out.len()]);
    }
}

/// `rows = rows · square`, for rows as long as the square matrix has columns.
#[inline(always)]
pub(crate) fn multiply_in_place<S: Simd>(simd: S, rows: &mut [f32], square: &[f32], columns: usize) {
    let mut panel = vec![[0.0_f32; TILE_ROWS]; columns];
    let mut tile = vec![0.0_f32; TILE_ROWS * columns];
    for rows in rows.chunks_mut(TILE_ROWS * columns) {
        turn_and_multiply(simd, rows, &mut panel, square, columns, &mut tile);
        rows.copy_from_slice(&tile[..rows.len()]);
    }
}

/// `tile = rows · right` for up to eight rows, which are turned into the panel first.
#[inline(always)]
fn turn_and_multiply<S: Simd>(
    simd: S,
    rows: &[f32],
    panel: &mut [[f32; TILE_ROWS]],
    right: &[f32],
    columns: usize,
    tile: &mut [f32],
) {
    let inner = panel.len();
    for row in 0..rows.len() / inner {
        let values = &rows[row * inner..(row + 1) * inner];
        for at in 0..inner {
            panel[at][row] = values[at];
        }
    }
    tile.fill(0.0);
    add_transposed_product(simd, panel.as_flattened(), TILE_ROWS, right, columns, false, tile);
}

/// `out = matrixᵀ`, for a matrix of `rows` × `columns`, both multiples of [`LANES`].
#[inline(always)]
pub(crate) fn transpose<S: Simd>(simd: S, matrix: &[f32], rows: usize, columns: usize, out: &mut [f32]) {
    let (matrix, out) = (groups(matrix), groups_mut(out));
    let (across, down) = (columns / LANES, rows / LANES);
    for i in 0..down {
        for j in 0..across {
            let mut square = [f32x16::splat(simd, 0.0); LANES];
            for at in 0..LANES {
                square[at] = load(simd, &matrix[(i * LANES + at) * across + j]);
            }
            let square = transpose_square(square);
            for at in 0..LANES {
                out[(j * LANES + at) * down + i] = square[at].into();
            }
        }
    }
}

/// The transpose of 16 × 16 values. An element's place has four bits of its row and four of its lane; interleaving row i
/// with row i + 8 rotates these eight bits by one, so that four times exchanges rows and lanes.
#[inline(always)]
fn transpose_square<S: Simd>(mut square: [f32x16<S>; LANES]) -> [f32x16<S>; LANES] {
    for _ in 0..LANES.ilog2() {
        let before = square;
        for i in 0..LANES / 2 {
            (square[2 * i], square[2 * i + 1]) = before[i].interleave(before[i + LANES / 2]);
        }
    }
    square
}

/// Overwrites the upper triangle of a symmetric positive definite `matrix` (the first `size` of `stride` rows) by U, where
/// UᵀU is the matrix, with the reciprocals of U's diagonal on the diagonal. False where a pivot is not positive: the
/// matrix was not positive definite in f32.
///
/// Rows are done 16 at a time: what the rows above take from them is one product, then they are factored among themselves.
#[inline(always)]
pub(crate) fn cholesky<S: Simd>(simd: S, matrix: &mut [f32], size: usize, stride: usize) -> bool {
    for first in (0..size).step_by(LANES) {
        let (above, block) = matrix.split_at_mut(first * stride);
        if first > 0 {
            let left = Left { values: above, columns: stride, wanted: first..first + LANES };
            add_part_of_product(simd, -1.0, &left, above, stride, true, block);
        }
        let rows = LANES.min(size - first);
        for j in 0..rows {
            if !factor_row(simd, block, rows, j, first, stride) {
                return false;
            }
        }
    }
    true
}

/// Scales row `j` of a block of `rows`, whose diagonal begins at column `first`, and takes it from those below.
#[inline(always)]
fn factor_row<S: Simd>(simd: S, block: &mut [f32], rows: usize, j: usize, first: usize, stride: usize) -> bool {
    let (head, below) = block.split_at_mut((j + 1) * stride);
    let row = &mut head[j * stride + first..];
    let pivot = row[j];
    if pivot.is_nan() || pivot <= 0.0 {
        return false;
    }
    let reciprocal = pivot.sqrt().recip();
    let scale = f32x16::splat(simd, reciprocal);
    for group in groups_mut(row) {
        *group = (scale * load(simd, group)).into();
    }
    for i in j + 1..rows {
        let at = (i - j - 1) * stride;
        axpy(simd, &mut below[at + first..at + stride], -row[i], row);
    }
    // The solver runs over whole groups, so what lies left of the diagonal in them must be zero.
    row[..j].fill(0.0);
    row[j] = reciprocal;
    true
}

/// Solves UᵀU x = b in place of `b`, for U from [`cholesky`]; `b` is padded with zeros to `stride`.
#[inline(always)]
pub(crate) fn solve_cholesky<S: Simd>(simd: S, upper: &[f32], size: usize, stride: usize, b: &mut [f32]) {
    for j in 0..size {
        let from = j / LANES * LANES;
        let row = &upper[j * stride + from..(j + 1) * stride];
        let value = b[j] * row[j - from];
        axpy(simd, &mut b[from..stride], -value, row);
        b[j] = value;
    }
    b[size..].fill(0.0);
    for j in (0..size).rev() {
        let from = j / LANES * LANES;
        let row = &upper[j * stride + from..(j + 1) * stride];
        let value = std::mem::take(&mut b[j]);
        b[j] = (value - dot(simd, row, &b[from..stride])) * row[j - from];
    }
}
