//! Dense f32 kernels for the widest SIMD that the machine has, chosen at run time; no sparse structure and no threads.
//!
//! Every function here is inlined into a function made by `simd_kernel!`, which is compiled once per instruction set. Matrices are row-major; the number of columns is a multiple of [`LANES`], padded with zeros.

/// Columns of a padded matrix come in groups of this many.
pub(crate) const LANES: usize = 16;
/// Rows of a register tile.
const TILE_ROWS: usize = 8;

/// Defines a function whose body is compiled for several instruction sets, of which the machine's widest runs.
///
/// What the body calls is compiled with it only where it is marked `#[inline(always)]`; a closure that multiplies may stay
/// out of line, and is then compiled for the oldest machine: write a loop.
macro_rules! simd_kernel {
    ($(#[$attribute:meta])* fn $name:ident<$life:lifetime>($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block) => {
        $(#[$attribute])*
        pub(crate) fn $name<$life>($($argument: $type),*) $(-> $output)? {
            struct Work<$life>($($type),*);
            impl<$life> pulp::NullaryFnOnce for Work<$life> {
                type Output = $crate::kernels::simd_kernel!(@output $($output)?);
                #[inline(always)]
                fn call(self) -> Self::Output {
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

/// The smallest multiple of [`LANES`] that holds `columns`.
#[inline(always)]
pub(crate) fn padded(columns: usize) -> usize {
    columns.next_multiple_of(LANES)
}

/// The inner product of two equally long padded rows.
#[inline(always)]
pub(crate) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    for (a, b) in left.as_chunks::<LANES>().0.iter().zip(right.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    total(&sums)
}

/// The sum of the lanes, as a tree, so that it is the same on every instruction set.
#[inline(always)]
fn total(sums: &[f32; LANES]) -> f32 {
    let mut half = [0.0_f32; LANES / 2];
    for lane in 0..LANES / 2 {
        half[lane] = sums[lane] + sums[lane + LANES / 2];
    }
    let quarter = [half[0] + half[4], half[1] + half[5], half[2] + half[6], half[3] + half[7]];
    (quarter[0] + quarter[2]) + (quarter[1] + quarter[3])
}

/// `into += factor * row`, both padded and equally long.
#[inline(always)]
pub(crate) fn add_scaled(into: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, value) in into.as_chunks_mut::<LANES>().0.iter_mut().zip(row.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sum[lane] = factor.mul_add(value[lane], sum[lane]);
        }
    }
}

/// `tile[i][lane] += left[i] * right[lane]`: the step that every matrix product here is made of.
#[inline(always)]
pub(crate) fn add_outer<const ROWS: usize>(tile: &mut [[f32; LANES]; ROWS], left: &[f32; ROWS], right: &[f32; LANES]) {
    for i in 0..ROWS {
        for lane in 0..LANES {
            tile[i][lane] = left[i].mul_add(right[lane], tile[i][lane]);
        }
    }
}

/// `out += leftᵀ right` for a left matrix of rows × `left_columns` and a right one of rows × `right_columns`.
/// With `upper` only the tiles that reach the diagonal or lie above it are computed (for a symmetric product).
#[inline(always)]
pub(crate) fn add_transposed_product(
    left: &[f32],
    left_columns: usize,
    right: &[f32],
    right_columns: usize,
    upper: bool,
    out: &mut [f32],
) {
    for i in (0..left_columns).step_by(TILE_ROWS) {
        let first = if upper { i / LANES } else { 0 };
        for j in first..right_columns / LANES {
            let mut tile = [[0.0_f32; LANES]; TILE_ROWS];
            for (a, b) in left.chunks_exact(left_columns).zip(right.chunks_exact(right_columns)) {
                let (a, b) = (&a.as_chunks::<TILE_ROWS>().0[i / TILE_ROWS], &b.as_chunks::<LANES>().0[j]);
                add_outer(&mut tile, a, b);
            }
            for (row, values) in tile.iter().enumerate() {
                let target = &mut out[(i + row) * right_columns..].as_chunks_mut::<LANES>().0[j];
                for lane in 0..LANES {
                    target[lane] += values[lane];
                }
            }
        }
    }
}

/// `out = left · right` for a left matrix of rows × `inner` and a right one of `inner` × `columns`.
#[inline(always)]
pub(crate) fn product(left: &[f32], inner: usize, right: &[f32], columns: usize, out: &mut [f32]) {
    let rows = left.len() / inner;
    let tiled = rows - rows % TILE_ROWS;
    let mut panel = vec![[0.0_f32; TILE_ROWS]; inner];
    for i in (0..tiled).step_by(TILE_ROWS) {
        for (row, values) in left[i * inner..(i + TILE_ROWS) * inner].chunks_exact(inner).enumerate() {
            for (column, value) in panel.iter_mut().zip(values) {
                column[row] = *value;
            }
        }
        for j in 0..columns / LANES {
            let mut tile = [[0.0_f32; LANES]; TILE_ROWS];
            for (a, b) in panel.iter().zip(right.chunks_exact(columns)) {
                add_outer(&mut tile, a, &b.as_chunks::<LANES>().0[j]);
            }
            for (row, values) in tile.iter().enumerate() {
                out[(i + row) * columns + j * LANES..][..LANES].copy_from_slice(values);
            }
        }
    }
    for i in tiled..rows {
        let target = &mut out[i * columns..(i + 1) * columns];
        target.fill(0.0);
        for (value, row) in left[i * inner..(i + 1) * inner].iter().zip(right.chunks_exact(columns)) {
            add_scaled(target, *value, row);
        }
    }
}

/// `out = matrixᵀ`, for a matrix of `rows` × `columns` and a padded `out` of columns × `out_columns`.
#[inline(always)]
pub(crate) fn transpose(matrix: &[f32], columns: usize, out: &mut [f32], out_columns: usize) {
    for (j, row) in matrix.chunks_exact(columns).enumerate() {
        for (value, target) in row.iter().zip(out.chunks_exact_mut(out_columns)) {
            target[j] = *value;
        }
    }
}

/// Overwrites the upper triangle of a symmetric positive definite `matrix` (`size` rows of `stride`) by U, where UᵀU is
/// the matrix. False where a pivot is not positive: the matrix was not positive definite in f32.
#[inline(always)]
pub(crate) fn cholesky(matrix: &mut [f32], size: usize, stride: usize) -> bool {
    for j in 0..size {
        let (head, tail) = matrix.split_at_mut((j + 1) * stride);
        let row = &mut head[j * stride..];
        let pivot = row[j];
        if pivot.is_nan() || pivot <= 0.0 {
            return false;
        }
        // The solver runs over whole groups, so what lies left of the diagonal in them must be zero.
        let from = j / LANES;
        row[from * LANES..j].fill(0.0);
        let scale = pivot.sqrt().recip();
        for group in &mut row.as_chunks_mut::<LANES>().0[from..] {
            for value in group {
                *value *= scale;
            }
        }
        for (i, below) in (j + 1..size).zip(tail.chunks_exact_mut(stride)) {
            let from = i / LANES * LANES;
            add_scaled(&mut below[from..], -row[i], &row[from..]);
        }
    }
    true
}

/// Solves UᵀU x = b in place of `b`, for U from [`cholesky`]; `b` is padded with zeros to `stride`.
#[inline(always)]
pub(crate) fn solve_cholesky(upper: &[f32], size: usize, stride: usize, b: &mut [f32]) {
    for j in 0..size {
        let row = &upper[j * stride..(j + 1) * stride];
        let value = b[j] / row[j];
        let from = j / LANES * LANES;
        add_scaled(&mut b[from..stride], -value, &row[from..]);
        b[j] = value;
    }
    b[size..].fill(0.0);
    for j in (0..size).rev() {
        let row = &upper[j * stride..(j + 1) * stride];
        let from = j / LANES * LANES;
        let value = std::mem::take(&mut b[j]);
        b[j] = (value - dot(&row[from..], &b[from..stride])) / row[j];
    }
}
