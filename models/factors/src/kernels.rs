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

/// `out = left · right` for a left matrix of rows × `inner` and a right one of `inner` × `columns`, both padded.
#[inline(always)]
pub(crate) fn product<S: Simd>(simd: S, left: &[f32], inner: usize, right: &[f32], columns: usize, out: &mut [f32]) {
    let mut block = Block::new(inner, columns);
    for (rows, out) in left.chunks(LANES * inner).zip(out.chunks_mut(LANES * columns)) {
        out.copy_from_slice(&block.times(simd, rows, right)[..out.len()]);
    }
}

/// `rows = rows · square`, for rows as long as the square matrix has columns.
#[inline(always)]
pub(crate) fn multiply_in_place<S: Simd>(simd: S, rows: &mut [f32], square: &[f32], columns: usize) {
    let mut block = Block::new(columns, columns);
    for rows in rows.chunks_mut(LANES * columns) {
        rows.copy_from_slice(&block.times(simd, rows, square)[..rows.len()]);
    }
}

/// Up to 16 rows that are multiplied together, before, turned, and after.
struct Block {
    rows: Vec<f32>,
    turned: Vec<f32>,
    product: Vec<f32>,
}

impl Block {
    fn new(inner: usize, columns: usize) -> Self {
        let zeros = |columns| vec![0.0; LANES * columns];
        Self { rows: zeros(inner), turned: zeros(inner), product: zeros(columns) }
    }

    /// The product of some rows with the right matrix; what stands behind their number means nothing.
    #[inline(always)]
    fn times<S: Simd>(&mut self, simd: S, rows: &[f32], right: &[f32]) -> &[f32] {
        self.rows[..rows.len()].copy_from_slice(rows);
        transpose(simd, &self.rows, LANES, self.rows.len() / LANES, &mut self.turned);
        self.product.fill(0.0);
        let columns = self.product.len() / LANES;
        add_transposed_product(simd, &self.turned, LANES, right, columns, false, &mut self.product);
        &self.product
    }
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    /// Runs a test with every instruction set of this machine, not the widest alone.
    macro_rules! with_every_level {
        ($simd:ident => $test:expr) => {{
            let level = fearless_simd::Level::new();
            fearless_simd::dispatch!(level, $simd => $test);
            #[cfg(target_arch = "x86_64")]
            {
                level.as_avx2().into_iter().for_each(|$simd| $simd.vectorize(|| $test));
                level.as_sse4_2().into_iter().for_each(|$simd| $simd.vectorize(|| $test));
                level.as_sse2().into_iter().for_each(|$simd| $simd.vectorize(|| $test));
            }
        }};
    }
    pub(crate) use with_every_level;

    fn random(seed: u64, count: usize) -> Vec<f32> {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..count).map(|_| random.random::<f32>() - 0.5).collect()
    }

    fn near(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 1e-4, "{found} for {expected}");
    }

    /// Entry (i, j) of leftᵀ right.
    fn entry(left: &[f32], left_columns: usize, i: usize, right: &[f32], right_columns: usize, j: usize) -> f64 {
        let columns = left.chunks_exact(left_columns).zip(right.chunks_exact(right_columns));
        columns.map(|(a, b)| f64::from(a[i]) * f64::from(b[j])).sum()
    }

    fn products_are_those_of_loops<S: Simd>(simd: S) {
        for (rows, left_columns, right_columns) in [(1, 16, 16), (37, 48, 32), (64, 16, 80), (5, 80, 80)] {
            let (left, right) = (random(1, rows * left_columns), random(2, rows * right_columns));
            let mut out = vec![1.0; left_columns * right_columns];
            add_transposed_product(simd, &left, left_columns, &right, right_columns, false, &mut out);
            let mut turned = vec![0.0; out.len()];
            transpose(simd, &out, left_columns, right_columns, &mut turned);
            for i in 0..left_columns {
                for j in 0..right_columns {
                    near(out[i * right_columns + j], 1.0 + entry(&left, left_columns, i, &right, right_columns, j));
                    assert_eq!(turned[j * left_columns + i], out[i * right_columns + j]);
                }
            }
            let square = random(3, left_columns * left_columns);
            let mut times = vec![0.0; left.len()];
            product(simd, &left, left_columns, &square, left_columns, &mut times);
            for (row, times) in left.chunks_exact(left_columns).zip(times.chunks_exact(left_columns)) {
                (0..left_columns).for_each(|j| near(times[j], entry(row, 1, 0, &square, left_columns, j)));
            }
            let mut in_place = left.clone();
            multiply_in_place(simd, &mut in_place, &square, left_columns);
            assert_eq!(in_place, times);
        }
    }

    fn solutions_solve_their_systems<S: Simd>(simd: S) {
        for size in [1, 7, 16, 17, 33, 64, 75] {
            let stride = padded(size);
            let mut root = random(4, 2 * stride * stride);
            root.chunks_exact_mut(stride).for_each(|row| row[size..].fill(0.0));
            let mut system = vec![0.0; stride * stride];
            (0..size).for_each(|i| system[i * stride + i] = 1.0);
            add_transposed_product(simd, &root, stride, &root, stride, true, &mut system);
            let matrix = system.clone();
            let mut x = random(5, stride);
            x[size..].fill(0.0);
            let right = x.clone();
            assert!(cholesky(simd, &mut system, size, stride));
            solve_cholesky(simd, &system, size, stride, &mut x);
            for i in 0..size {
                let at = |j: usize| f64::from(matrix[i.min(j) * stride + i.max(j)]);
                near(right[i], (0..size).map(|j| at(j) * f64::from(x[j])).sum());
            }
            assert_eq!(x[size..], vec![0.0; stride - size]);
            let mut hopeless = matrix;
            hopeless[(size - 1) * (stride + 1)] = -1.0;
            assert!(!cholesky(simd, &mut hopeless, size, stride));
        }
    }

    #[test]
    fn products_of_every_instruction_set_are_those_of_loops() {
        with_every_level!(simd => products_are_those_of_loops(simd));
    }

    #[test]
    fn solutions_of_every_instruction_set_solve_their_systems() {
        with_every_level!(simd => solutions_solve_their_systems(simd));
    }
}
