//! Solves small positive definite systems: normal equations of a few dozen unknowns; large ones are `dhow-factors`'.

/// The solution `x` of `system · x = right`: `system` is symmetric, row-major, and only its lower triangle is
/// read. None where it is not positive definite.
pub(super) fn solve(mut system: Vec<f64>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let width = right.len();
    factorise(&mut system, width)?;
    substitute(&system, &mut right);
    Some(right)
}

/// The inverse, row-major; none where the matrix is not positive definite.
pub(super) fn inverse(mut system: Vec<f64>, width: usize) -> Option<Vec<f64>> {
    factorise(&mut system, width)?;
    let mut inverse = vec![0.0; width * width];
    for (at, row) in inverse.chunks_exact_mut(width).enumerate() {
        row[at] = 1.0;
        substitute(&system, row);
    }
    Some(inverse)
}

/// Cholesky's decomposition in place, in the lower triangle.
fn factorise(system: &mut [f64], width: usize) -> Option<()> {
    for row in 0..width {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| system[row * width + k] * system[column * width + k]).sum();
            let rest = system[row * width + column] - known;
            if row != column {
                system[row * width + column] = rest / system[column * width + column];
            } else if rest > 0.0 {
                system[row * width + row] = rest.sqrt();
            } else {
                return None;
            }
        }
    }
    Some(())
}

fn substitute(lower: &[f64], right: &mut [f64]) {
    let width = right.len();
    for row in 0..width {
        let known: f64 = (0..row).map(|k| lower[row * width + k] * right[k]).sum();
        right[row] = (right[row] - known) / lower[row * width + row];
    }
    for row in (0..width).rev() {
        let known: f64 = (row + 1..width).map(|k| lower[k * width + row] * right[k]).sum();
        right[row] = (right[row] - known) / lower[row * width + row];
    }
}
