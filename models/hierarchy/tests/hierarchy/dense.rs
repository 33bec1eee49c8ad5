//! The textbook's formulas with whole matrices, for small structures; slow on purpose.

use dhow_hierarchy::{Hierarchy, MIN_SHRINKAGE};

type Matrix = Vec<Vec<f64>>;

pub fn diagonal(values: &[f64]) -> Matrix {
    (0..values.len())
        .map(|row| (0..values.len()).map(|column| if row == column { values[row] } else { 0.0 }).collect())
        .collect()
}

fn transposed(matrix: &Matrix) -> Matrix {
    (0..matrix[0].len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect()
}

fn product(one: &Matrix, other: &Matrix) -> Matrix {
    let columns = transposed(other);
    one.iter()
        .map(|row| columns.iter().map(|column| row.iter().zip(column).map(|(a, b)| a * b).sum()).collect())
        .collect()
}

/// `matrix⁻¹ right` by elimination with pivots.
fn solve(mut matrix: Matrix, mut right: Matrix) -> Matrix {
    let size = matrix.len();
    for at in 0..size {
        let pivot = (at..size).max_by(|a, b| matrix[*a][at].abs().total_cmp(&matrix[*b][at].abs())).unwrap();
        matrix.swap(at, pivot);
        right.swap(at, pivot);
        let (matrix_row, right_row) = (matrix[at].clone(), right[at].clone());
        for row in (0..size).filter(|row| *row != at) {
            let factor = matrix[row][at] / matrix_row[at];
            matrix[row].iter_mut().zip(&matrix_row).for_each(|(value, pivot)| *value -= factor * pivot);
            right[row].iter_mut().zip(&right_row).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    (0..size).map(|row| right[row].iter().map(|value| value / matrix[row][row]).collect()).collect()
}

/// The shrinkage and the shrunk covariance, pair by pair.
pub fn shrunk(residuals: &[Vec<f64>]) -> (f64, Matrix) {
    let (periods, nodes) = (residuals.len() as f64, residuals[0].len());
    let moment = |i: usize, j: usize| residuals.iter().map(|row| row[i] * row[j]).sum::<f64>() / periods;
    let (mut variances, mut squares) = (0.0, 0.0);
    for i in 0..nodes {
        for j in (0..nodes).filter(|j| *j != i) {
            let scale = (moment(i, i) * moment(j, j)).sqrt();
            let mean = moment(i, j) / scale;
            let spread: f64 = residuals.iter().map(|row| (row[i] * row[j] / scale - mean).powi(2)).sum();
            variances += periods / (periods - 1.0).powi(3) * spread;
            squares += mean * mean;
        }
    }
    let estimate = (variances / squares).clamp(0.0, 1.0);
    let used = estimate.max(MIN_SHRINKAGE);
    let entry = |i: usize, j: usize| if i == j { moment(i, i) } else { (1.0 - used) * moment(i, j) };
    (estimate, (0..nodes).map(|i| (0..nodes).map(|j| entry(i, j)).collect()).collect())
}

pub struct Dense {
    /// One row per node, one column per bottom row.
    sums: Matrix,
}

impl Dense {
    pub fn new(hierarchy: &Hierarchy) -> Dense {
        let unit =
            |row: usize| (0..hierarchy.bottoms()).map(|other| f64::from(u8::from(row == other))).collect::<Vec<f64>>();
        let columns: Matrix = (0..hierarchy.bottoms()).map(|row| hierarchy.sum(&unit(row)).unwrap()).collect();
        Dense { sums: transposed(&columns) }
    }

    /// `S (Sᵀ W⁻¹ S)⁻¹ Sᵀ W⁻¹ ŷ`.
    pub fn reconcile(&self, base: &[f64], covariance: &Matrix) -> Vec<f64> {
        let weighted = solve(covariance.clone(), self.sums.clone());
        let normal = product(&transposed(&weighted), &self.sums);
        let column: Matrix = base.iter().map(|value| vec![*value]).collect();
        let bottom = solve(normal, product(&transposed(&weighted), &column));
        product(&self.sums, &bottom).into_iter().map(|row| row[0]).collect()
    }

    /// The least weighted squares with bottom rows of at least 0, one coordinate at a time until nothing moves.
    pub fn not_negative(&self, base: &[f64], variances: &[f64]) -> Vec<f64> {
        let columns = transposed(&self.sums);
        let mut bottom = vec![0.0; columns.len()];
        let mut values = vec![0.0; base.len()];
        for _ in 0..200_000 {
            let mut moved: f64 = 0.0;
            for (row, column) in columns.iter().enumerate() {
                let slope: f64 = (0..base.len()).map(|k| column[k] * (base[k] - values[k]) / variances[k]).sum();
                let curvature: f64 =
                    column.iter().zip(variances).map(|(entry, variance)| entry * entry / variance).sum();
                let next = f64::max(0.0, bottom[row] + slope / curvature);
                let change = next - bottom[row];
                values.iter_mut().zip(column).for_each(|(value, entry)| *value += entry * change);
                bottom[row] = next;
                moved = moved.max(change.abs());
            }
            if moved < 1e-13 {
                break;
            }
        }
        values
    }
}
