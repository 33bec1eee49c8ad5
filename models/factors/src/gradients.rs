//! A few steps of conjugate gradients for one row's system from the factors that it has: cheaper than solving, not exact.
//!
//! In the coordinates of `solve`, where the row's system is `(I + ZᵀZ) x = Zᵀv`, a step needs two products with Z, and the
//! whole Gramian is in the I: its eigenvalues do not slow the steps down, as they do without the change of coordinates
//! (Takács, Pilászy and Tikk 2011 take the steps with the Gramian written out).
//!
//! 1. r = Zᵀv − (I + ZᵀZ) x for the x of the iteration before;
//! 2. conjugate gradient steps (Hestenes and Stiefel 1952) on r, until their number is reached or r is down to rounding.

use crate::interactions::Row;
use crate::kernels::{axpy, dot, vectors, vectors_mut};
use crate::solve::{Side, Workspace, right_side, set_root, whiten};
use pulp::Simd;

/// Rows of Z that are multiplied at once.
const TOGETHER: usize = 4;
/// Steps end where ‖r‖² has come down to this share of ‖Zᵀv‖²-like sizes: f32 has nothing left to gain.
const NEGLIGIBLE: f32 = 1e-12;

/// Vectors that the steps use.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    residual: Vec<f32>,
    direction: Vec<f32>,
    product: Vec<f32>,
}

/// Takes `steps` steps from the factors that `solution` holds. False where the outcome is not finite.
#[inline(always)]
pub(crate) fn step_row<S: Simd>(
    simd: S,
    side: &Side<'_>,
    row: Row<'_>,
    steps: usize,
    work: &mut Workspace,
    solution: &mut [f32],
) -> bool {
    if row.columns.is_empty() {
        solution.fill(0.0);
        return true;
    }
    let Workspace { whitened, root, right, steps: Steps { residual, direction, product }, .. } = work;
    set_root(simd, side, row.columns.len(), root);
    whiten(simd, side, row, root, whitened);
    for at in 0..solution.len() {
        solution[at] /= root[at];
    }
    right.clear();
    right.extend(row.weights.iter().map(|weight| right_side(&side.loss, *weight)));
    set_product(simd, whitened, right, solution, product);
    right.fill(0.0);
    residual.clear();
    residual.extend(product.iter().map(|value| -value));
    direction.clone_from(residual);
    let mut size = dot(simd, residual, residual);
    let enough = NEGLIGIBLE * size.max(dot(simd, solution, solution));
    for _ in 0..steps {
        if size <= enough {
            break;
        }
        set_product(simd, whitened, right, direction, product);
        let length = size / dot(simd, direction, product);
        axpy(simd, solution, length, direction);
        axpy(simd, residual, -length, product);
        let before = std::mem::replace(&mut size, dot(simd, residual, residual));
        turn(simd, direction, size / before, residual);
    }
    for at in 0..solution.len() {
        solution[at] *= root[at];
    }
    solution.iter().all(|value| value.is_finite())
}

/// `direction = residual + share * direction`.
#[inline(always)]
fn turn<S: Simd>(simd: S, direction: &mut [f32], share: f32, residual: &[f32]) {
    let share = simd.splat_f32s(share);
    let (direction, residual) = (vectors_mut::<S>(direction), vectors::<S>(residual));
    for at in 0..direction.len().min(residual.len()) {
        direction[at] = simd.mul_add_e_f32s(share, direction[at], residual[at]);
    }
}

/// `into = x + Zᵀ(Zx − targets)`.
#[inline(always)]
fn set_product<S: Simd>(simd: S, z: &[f32], targets: &[f32], x: &[f32], into: &mut Vec<f32>) {
    into.clear();
    into.extend_from_slice(x);
    let (z, x, into) = (vectors::<S>(z), vectors::<S>(x), vectors_mut::<S>(into));
    let tiled = targets.len() / TOGETHER * TOGETHER;
    for first in (0..tiled).step_by(TOGETHER) {
        add_rows::<S, TOGETHER>(simd, z, targets, x, first, into);
    }
    for first in tiled..targets.len() {
        add_rows::<S, 1>(simd, z, targets, x, first, into);
    }
}

/// The terms of `ROWS` rows of Z.
#[inline(always)]
fn add_rows<S: Simd, const ROWS: usize>(
    simd: S,
    z: &[S::f32s],
    targets: &[f32],
    x: &[S::f32s],
    first: usize,
    into: &mut [S::f32s],
) {
    let groups = x.len();
    let mut sums = [simd.splat_f32s(0.0); ROWS];
    let mut rows = [x; ROWS];
    for row in 0..ROWS {
        rows[row] = &z[(first + row) * groups..][..groups];
    }
    for at in 0..groups {
        for row in 0..ROWS {
            sums[row] = simd.mul_add_e_f32s(rows[row][at], x[at], sums[row]);
        }
    }
    let mut shares = [simd.splat_f32s(0.0); ROWS];
    for row in 0..ROWS {
        shares[row] = simd.splat_f32s(simd.reduce_sum_f32s(sums[row]) - targets[first + row]);
    }
    for at in 0..groups.min(into.len()) {
        let mut sum = into[at];
        for row in 0..ROWS {
            sum = simd.mul_add_e_f32s(shares[row], rows[row][at], sum);
        }
        into[at] = sum;
    }
}
