//! A few steps of conjugate gradients for one row's system from the factors that it has: cheaper than solving, not exact.
//!
//! In the coordinates of `solve`, where the row's system is `(I + ZᵀZ) x = Zᵀv`, a step needs two products with Z, and the
//! whole Gramian is in the I: its eigenvalues do not slow the steps down, as they do without the change of coordinates
//! (Takács, Pilászy and Tikk 2011 take the steps with the Gramian written out).
//!
//! 1. r = Zᵀv − (I + ZᵀZ) x for the x of the iteration before;
//! 2. conjugate gradient steps (Hestenes and Stiefel 1952) on r, until their number is reached or r is down to rounding.

use crate::interactions::Row;
use crate::kernels::{Group, axpy, dot, each, groups, groups_mut, load};
use crate::solve::{Side, Workspace, right_side, set_root, whiten};
use fearless_simd::{Simd, f32x16, prelude::*};

/// Rows of Z that are multiplied at once.
const TILE_ROWS: usize = 4;
/// Steps end where ‖r‖² has come down to this share of where they began: f32 has nothing left to gain.
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
    right.clear();
    right.extend(row.weights.iter().map(|weight| right_side(&side.loss, *weight)));
    // Rows of zeros fill the last tile.
    let rows = right.len().next_multiple_of(TILE_ROWS);
    right.resize(rows, 0.0);
    whitened.resize(rows * solution.len(), 0.0);
    for vector in [&mut *residual, &mut *direction, &mut *product] {
        vector.resize(solution.len(), 0.0);
    }
    each(
        solution,
        root,
        #[inline(always)]
        |x, root| load(simd, x) / load(simd, root),
    );
    set_product(simd, whitened, right, solution, product);
    right.fill(0.0);
    each(
        residual,
        product,
        #[inline(always)]
        |_, product| -load(simd, product),
    );
    direction.copy_from_slice(residual);
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
        let share = f32x16::splat(simd, size / before);
        each(
            direction,
            residual,
            #[inline(always)]
            |p, r| share.mul_add(load(simd, p), load(simd, r)),
        );
    }
    each(
        solution,
        root,
        #[inline(always)]
        |x, root| load(simd, x) * load(simd, root),
    );
    size.is_finite()
}

/// `into = x + Zᵀ(Zx − targets)`.
#[inline(always)]
fn set_product<S: Simd>(simd: S, z: &[f32], targets: &[f32], x: &[f32], into: &mut [f32]) {
    into.copy_from_slice(x);
    let (x, into) = (groups(x), groups_mut(into));
    let mut rest = groups(z);
    for targets in targets.as_chunks::<TILE_ROWS>().0 {
        let (tile, after) = rest.split_at(TILE_ROWS * x.len());
        add_rows(simd, tile, targets, x, into);
        rest = after;
    }
}

/// The terms of some rows of Z.
#[inline(always)]
fn add_rows<S: Simd>(simd: S, tile: &[Group], targets: &[f32; TILE_ROWS], x: &[Group], into: &mut [Group]) {
    let groups = x.len().min(into.len());
    let mut rows = [x; TILE_ROWS];
    for row in 0..TILE_ROWS {
        rows[row] = &tile[row * groups..][..groups];
    }
    let mut sums = [f32x16::splat(simd, 0.0); TILE_ROWS];
    for at in 0..groups {
        for row in 0..TILE_ROWS {
            sums[row] = load(simd, &rows[row][at]).mul_add(load(simd, &x[at]), sums[row]);
        }
    }
    let mut shares = sums;
    for row in 0..TILE_ROWS {
        shares[row] = f32x16::splat(simd, sums[row].reduce_sum() - targets[row]);
    }
    for at in 0..groups {
        let mut sum = load(simd, &into[at]);
        for row in 0..TILE_ROWS {
            sum = shares[row].mul_add(load(simd, &rows[row][at]), sum);
        }
        into[at] = sum.into();
    }
}
