//! Linear systems: conjugate gradients over the upper nodes, and a small dense Cholesky factor; what is solved is elsewhere.

use crate::error::HierarchyError;
use crate::structure::Hierarchy;

/// The most iterations of one solve.
pub const MAX_ITERATIONS: usize = 2_000;
/// The norm of the error that is left, over that of the start.
const TOLERANCE: f64 = 1e-12;

/// `K = U + A B Aᵀ` with diagonal matrices U of the upper nodes, above 0, and B of the bottom rows, at least 0.
pub(crate) struct System<'a> {
    pub hierarchy: &'a Hierarchy,
    pub upper: &'a [f64],
    pub bottom: &'a [f64],
}

impl System<'_> {
    /// The z with `K z = right`, by conjugate gradients preconditioned with K's diagonal (Hestenes and Stiefel 1952; Saad 2003,
    /// algorithm 9.1).
    ///
    /// Scaled to a unit diagonal, K has eigenvalues from the least share of U in the diagonal, about a half for structural
    /// weights and for variances of errors that are not correlated, to the number of levels, so that some tens of iterations
    /// suffice.
    pub fn solve(&self, right: &[f64]) -> Result<Vec<f64>, HierarchyError> {
        let diagonal = self.diagonal();
        let scaled = |left: &[f64]| -> Vec<f64> { left.iter().zip(&diagonal).map(|(r, d)| r / d).collect() };
        let mut spread = vec![0.0; self.hierarchy.bottoms()];
        let mut image = vec![0.0; right.len()];
        let mut solution = vec![0.0; right.len()];
        let mut left = right.to_vec();
        let mut direction = scaled(&left);
        let mut norm = dot(&left, &direction);
        let enough = norm * TOLERANCE * TOLERANCE;
        let start = norm;
        for _ in 0..MAX_ITERATIONS {
            if norm <= enough {
                return Ok(solution);
            }
            self.apply(&direction, &mut spread, &mut image);
            let step = norm / dot(&direction, &image);
            add(&mut solution, step, &direction);
            add(&mut left, -step, &image);
            let next = scaled(&left);
            let next_norm = dot(&left, &next);
            let keep = next_norm / norm;
            direction.iter_mut().zip(next).for_each(|(direction, next)| *direction = next + keep * *direction);
            norm = next_norm;
        }
        Err(HierarchyError::NotConverged { relative_residual: (norm / start).sqrt() })
    }

    fn diagonal(&self) -> Vec<f64> {
        let mut diagonal = vec![0.0; self.upper.len()];
        self.hierarchy.add_up(self.bottom, &mut diagonal);
        diagonal.iter_mut().zip(self.upper).for_each(|(sum, upper)| *sum += upper);
        diagonal
    }

    fn apply(&self, z: &[f64], spread: &mut [f64], image: &mut [f64]) {
        self.hierarchy.spread(z, spread);
        spread.iter_mut().zip(self.bottom).for_each(|(value, weight)| *value *= weight);
        self.hierarchy.add_up(spread, image);
        image.iter_mut().zip(self.upper).zip(z).for_each(|((sum, upper), z)| *sum += upper * z);
    }
}

pub(crate) fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// `sum += factor · vector`.
pub(crate) fn add(sum: &mut [f64], factor: f64, vector: &[f64]) {
    sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += factor * value);
}

/// The lower factor L of a small dense matrix L Lᵀ, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factors I + G, where G is symmetric and positive semi-definite, given by its lower triangle, row by row.
    pub fn of_identity_plus(mut rows: Vec<Vec<f64>>) -> Cholesky {
        for row in 0..rows.len() {
            let (done, rest) = rows.split_at_mut(row);
            let current = &mut rest[0];
            current[row] += 1.0;
            for column in 0..row {
                let known = dot(&current[..column], &done[column][..column]);
                current[column] = (current[column] - known) / done[column][column];
            }
            // I + G has no eigenvalue below 1, so that only rounding could bring a pivot below it.
            let known = dot(&current[..row], &current[..row]);
            current[row] = (current[row] - known).max(1.0).sqrt();
        }
        Cholesky { rows }
    }

    /// Solves in place.
    pub fn solve(&self, values: &mut [f64]) {
        for (at, row) in self.rows.iter().enumerate() {
            values[at] = (values[at] - dot(&row[..at], &values[..at])) / row[at];
        }
        for (at, row) in self.rows.iter().enumerate().rev() {
            values[at] /= row[at];
            let value = values[at];
            add(&mut values[..at], -value, &row[..at]);
        }
    }
}
