//! Dense f32 kernels for the widest SIMD that the machine has, chosen at run time; no sparse structure and no threads.
//!
//! Every function here that takes a `simd` is inlined into a function made by `simd_kernel!`, which chooses the
//! instruction set once for a block of work. Matrices are row-major; the number of columns is a multiple of [`LANES`],
//! padded with zeros, so that rows are whole vectors on every machine.

use pulp::Simd;

/// Columns of a padded matrix come in groups of this many: the widest vector's lanes.
pub(crate) const LANES: usize = 16;
/// Rows of a register tile.
const TILE_ROWS: usize = 8;

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
            struct Work<$life>($($type),*);
            impl<$life> pulp::WithSimd for Work<$life> {
                type Output = $crate::kernels::simd_kernel!(@output $($output)?);
                #[inline(always)]
                fn with_simd<S: pulp::Simd>(self, $simd: S) -> Self::Output {
                    let Self($($argument),*) = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Work($($argument),*))
        }
    };
    (@output) => { () };
    (@output $output:ty) => { $output };
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

/// A padded row as vectors.
#[inline(always)]
pub(crate) fn vectors<S: Simd>(row: &[f32]) -> &[S::f32s] {
    S::as_simd_f32s(row).0
}

/// A padded row as vectors to write.
#[inline(always)]
pub(crate) fn vectors_mut<S: Simd>(row: &mut [f32]) -> &mut [S::f32s] {
    S::as_mut_simd_f32s(row).0
}

/// The inner product of two equally long padded rows.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, left: &[f32], right: &[f32]) -> f32 {
    const STEP: usize = 4;
    let mut sums = [simd.splat_f32s(0.0); STEP];
    let ((left, left_rest), (right, right_rest)) =
        (vectors::<S>(left).as_chunks::<STEP>(), vectors::<S>(right).as_chunks::<STEP>());
    for at in 0..left.len().min(right.len()) {
        for step in 0..STEP {
            sums[step] = simd.mul_add_e_f32s(left[at][step], right[at][step], sums[step]);
        }
    }
    for at in 0..left_rest.len().min(right_rest.len()) {
        sums[at] = simd.mul_add_e_f32s(left_rest[at], right_rest[at], sums[at]);
    }
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3])))
}

/// `into += factor * row`, both padded and equally long.
#[inline(always)]
pub(crate) fn axpy<S: Simd>(simd: S, into: &mut [f32], factor: f32, row: &[f32]) {
    let factor = simd.splat_f32s(factor);
    let (into, row) = (vectors_mut::<S>(into), vectors::<S>(row));
    for at in 0..into.len().min(row.len()) {
        into[at] = simd.mul_add_e_f32s(factor, row[at], into[at]);
    }
}

/// `out += leftᵀ right` for a left matrix of rows × `left_columns` and a right one of rows × `right_columns`.
/// With `upper` only the tiles that reach the diagonal or lie above it are computed (for a symmetric product).
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
    let per_row = right_columns / S::F32_LANES;
    let (right, out) = (vectors::<S>(right), vectors_mut::<S>(out));
    for i in (0..left_columns).step_by(TILE_ROWS) {
        let mut j = if upper { i / S::F32_LANES } else { 0 };
        let rows = &mut out[i * per_row..(i + TILE_ROWS) * per_row];
        while j + 1 < per_row {
            add_transposed_tile::<S, 2>(simd, left, left_columns, i, right, per_row, j, rows);
            j += 2;
        }
        if j < per_row {
            add_transposed_tile::<S, 1>(simd, left, left_columns, i, right, per_row, j, rows);
        }
    }
}

/// Columns `i..i + 8` of the left matrix against `VECTORS` vectors from `j` on of the right one, in registers.
#[inline(always)]
fn add_transposed_tile<S: Simd, const VECTORS: usize>(
    simd: S,
    left: &[f32],
    left_columns: usize,
    i: usize,
    right: &[S::f32s],
    per_row: usize,
    j: usize,
    rows: &mut [S::f32s],
) {
    let mut tile = [[simd.splat_f32s(0.0); VECTORS]; TILE_ROWS];
    let (mut left, mut right) = (&left[i..], &right[j..]);
    while let (Some(a), Some(b)) = (left.first_chunk::<TILE_ROWS>(), right.first_chunk::<VECTORS>()) {
        for row in 0..TILE_ROWS {
            let value = simd.splat_f32s(a[row]);
            for v in 0..VECTORS {
                tile[row][v] = simd.mul_add_e_f32s(value, b[v], tile[row][v]);
            }
        }
        left = left.get(left_columns..).unwrap_or(&[]);
        right = right.get(per_row..).unwrap_or(&[]);
    }
    for row in 0..TILE_ROWS {
        for v in 0..VECTORS {
            let target = &mut rows[row * per_row + j + v];
            *target = simd.add_f32s(*target, tile[row][v]);
        }
    }
}

/// `out = left · right` for a left matrix of rows × `inner` and a right one of `inner` × `columns`.
#[inline(always)]
pub(crate) fn product<S: Simd>(simd: S, left: &[f32], inner: usize, right: &[f32], columns: usize, out: &mut [f32]) {
    let tiled = left.len() / inner / TILE_ROWS * TILE_ROWS;
    let (left, left_rest) = left.split_at(tiled * inner);
    let (out, out_rest) = out.split_at_mut(tiled * columns);
    let mut panel = vec![[0.0_f32; TILE_ROWS]; inner];
    for (rows, out) in left.chunks_exact(TILE_ROWS * inner).zip(out.chunks_exact_mut(TILE_ROWS * columns)) {
        for (row, values) in rows.chunks_exact(inner).enumerate() {
            for (column, value) in panel.iter_mut().zip(values) {
                column[row] = *value;
            }
        }
        out.fill(0.0);
        add_transposed_product(simd, panel.as_flattened(), TILE_ROWS, right, columns, false, out);
    }
    for (row, target) in left_rest.chunks_exact(inner).zip(out_rest.chunks_exact_mut(columns)) {
        target.fill(0.0);
        for (value, row) in row.iter().zip(right.chunks_exact(columns)) {
            axpy(simd, target, *value, row);
        }
    }
}

/// `out = matrixᵀ`, for a matrix of `rows` × `columns` and a padded `out` of columns × `out_columns`.
#[inline(always)]
pub(crate) fn transpose(matrix: &[f32], columns: usize, out: &mut [f32], out_columns: usize) {
    for j in 0..matrix.len() / columns {
        let row = &matrix[j * columns..(j + 1) * columns];
        for at in 0..columns {
            out[at * out_columns + j] = row[at];
        }
    }
}

/// Overwrites the upper triangle of a symmetric positive definite `matrix` (`size` rows of `stride`) by U, where UᵀU is
/// the matrix. False where a pivot is not positive: the matrix was not positive definite in f32.
#[inline(always)]
pub(crate) fn cholesky<S: Simd>(simd: S, matrix: &mut [f32], size: usize, stride: usize) -> bool {
    for j in 0..size {
        let (head, tail) = matrix.split_at_mut((j + 1) * stride);
        let row = &mut head[j * stride..];
        let pivot = row[j];
        if pivot.is_nan() || pivot <= 0.0 {
            return false;
        }
        // The solver runs over whole groups, so what lies left of the diagonal in them must be zero.
        let from = j / LANES * LANES;
        row[from..j].fill(0.0);
        let scale = simd.splat_f32s(pivot.sqrt().recip());
        for group in vectors_mut::<S>(&mut row[from..]) {
            *group = simd.mul_f32s(*group, scale);
        }
        for i in j + 1..size {
            let from = i / LANES * LANES;
            let below = &mut tail[(i - j - 1) * stride..(i - j) * stride];
            axpy(simd, &mut below[from..], -row[i], &row[from..]);
        }
    }
    true
}

/// Solves UᵀU x = b in place of `b`, for U from [`cholesky`]; `b` is padded with zeros to `stride`.
#[inline(always)]
pub(crate) fn solve_cholesky<S: Simd>(simd: S, upper: &[f32], size: usize, stride: usize, b: &mut [f32]) {
    for j in 0..size {
        let row = &upper[j * stride..(j + 1) * stride];
        let value = b[j] / row[j];
        let from = j / LANES * LANES;
        axpy(simd, &mut b[from..stride], -value, &row[from..]);
        b[j] = value;
    }
    b[size..].fill(0.0);
    for j in (0..size).rev() {
        let row = &upper[j * stride..(j + 1) * stride];
        let from = j / LANES * LANES;
        let value = std::mem::take(&mut b[j]);
        b[j] = (value - dot(simd, &row[from..], &b[from..stride])) / row[j];
    }
}
