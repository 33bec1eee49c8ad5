//! Eigenvalues and vectors of a small dense symmetric matrix in f64; nothing sparse, nothing beyond a few hundred rows.
//!
//! Householder reduction to a tridiagonal matrix, then implicit QL (Bowdler, Martin, Reinsch and Wilkinson 1968, the
//! EISPACK routines TRED2 and TQL2). It is serial, so that its bits do not depend on threads.

/// A symmetric matrix as `vectors · diag(values) · vectorsᵀ`.
pub(crate) struct Eigen {
    /// Largest first.
    pub(crate) values: Vec<f64>,
    /// Row-major; column k belongs to value k.
    pub(crate) vectors: Vec<f64>,
}

/// Decomposes the symmetric row-major `matrix` of `size` rows.
pub(crate) fn symmetric_eigen(matrix: &[f64], size: usize) -> Eigen {
    let mut vectors: Vec<Vec<f64>> = matrix.chunks_exact(size).map(<[f64]>::to_vec).collect();
    let mut diagonal = vec![0.0; size];
    let mut beside = vec![0.0; size];
    tridiagonalise(&mut vectors, &mut diagonal, &mut beside);
    // From here a row of `vectors` is one vector, so that the rotations run along memory.
    let mut rows: Vec<Vec<f64>> = (0..size).map(|k| vectors.iter().map(|row| row[k]).collect()).collect();
    diagonalise(&mut rows, &mut diagonal, &mut beside);
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    Eigen {
        values: order.iter().map(|&k| diagonal[k]).collect(),
        vectors: (0..size).flat_map(|i| order.iter().map(|&k| rows[k][i]).collect::<Vec<_>>()).collect(),
    }
}

/// Householder reduction: `v` becomes the orthogonal transformation, `d` the diagonal, `e[1..]` what lies beside it.
fn tridiagonalise(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    d.copy_from_slice(&v[n - 1]);
    for i in (1..n).rev() {
        let scale: f64 = d[..i].iter().map(|x| x.abs()).sum();
        if scale == 0.0 {
            e[i] = d[i - 1];
            for j in 0..i {
                d[j] = v[i - 1][j];
                v[i][j] = 0.0;
                v[j][i] = 0.0;
            }
            d[i] = 0.0;
            continue;
        }
        d[..i].iter_mut().for_each(|x| *x /= scale);
        let mut h: f64 = d[..i].iter().map(|x| x * x).sum();
        let f = d[i - 1];
        let g = if f > 0.0 { -h.sqrt() } else { h.sqrt() };
        e[i] = scale * g;
        h -= f * g;
        d[i - 1] = f - g;
        reflect(v, d, e, i, h);
        d[i] = h;
    }
    accumulate(v, d, e);
}

/// Applies one Householder similarity of order `i` to the leading block.
fn reflect(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64], i: usize, h: f64) {
    e[..i].fill(0.0);
    for j in 0..i {
        let f = d[j];
        v[j][i] = f;
        let mut g = e[j] + v[j][j] * f;
        for k in j + 1..i {
            g += v[k][j] * d[k];
            e[k] += v[k][j] * f;
        }
        e[j] = g;
    }
    let mut f = 0.0;
    for j in 0..i {
        e[j] /= h;
        f += e[j] * d[j];
    }
    let half = f / (h + h);
    for j in 0..i {
        e[j] -= half * d[j];
    }
    for j in 0..i {
        let (f, g) = (d[j], e[j]);
        for k in j..i {
            v[k][j] -= f * e[k] + g * d[k];
        }
        d[j] = v[i - 1][j];
        v[i][j] = 0.0;
    }
}

/// Multiplies the reflections out.
fn accumulate(v: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    for i in 0..n - 1 {
        v[n - 1][i] = v[i][i];
        v[i][i] = 1.0;
        let h = d[i + 1];
        if h != 0.0 {
            for k in 0..=i {
                d[k] = v[k][i + 1] / h;
            }
            for j in 0..=i {
                let g: f64 = (0..=i).map(|k| v[k][i + 1] * v[k][j]).sum();
                for k in 0..=i {
                    v[k][j] -= g * d[k];
                }
            }
        }
        for row in &mut v[..=i] {
            row[i + 1] = 0.0;
        }
    }
    for j in 0..n {
        d[j] = v[n - 1][j];
        v[n - 1][j] = 0.0;
    }
    v[n - 1][n - 1] = 1.0;
    e[0] = 0.0;
}

/// Implicit QL on the tridiagonal matrix; `rows[k]` is turned into the vector of `d[k]`.
fn diagonalise(rows: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64]) {
    let n = d.len();
    e.rotate_left(1);
    e[n - 1] = 0.0;
    let (mut f, mut largest) = (0.0_f64, 0.0_f64);
    for l in 0..n {
        largest = largest.max(d[l].abs() + e[l].abs());
        let small = f64::EPSILON * largest;
        // `e[n - 1]` is zero, so there always is such an m.
        let m = (l..n).find(|&m| e[m].abs() <= small).unwrap_or(n - 1);
        while m > l && e[l].abs() > small {
            f += shift(d, e, l);
            chase(rows, d, e, l, m);
        }
        d[l] += f;
        e[l] = 0.0;
    }
}

/// Subtracts the implicit shift from the diagonal and returns it.
fn shift(d: &mut [f64], e: &[f64], l: usize) -> f64 {
    let g = d[l];
    let p = (d[l + 1] - g) / (2.0 * e[l]);
    let r = if p < 0.0 { -p.hypot(1.0) } else { p.hypot(1.0) };
    d[l] = e[l] / (p + r);
    d[l + 1] = e[l] * (p + r);
    let h = g - d[l];
    d[l + 2..].iter_mut().for_each(|x| *x -= h);
    h
}

/// One QL sweep from `m` up to `l`.
fn chase(rows: &mut [Vec<f64>], d: &mut [f64], e: &mut [f64], l: usize, m: usize) {
    let (mut c, mut c2, mut c3) = (1.0, 1.0, 1.0);
    let (mut s, mut s2) = (0.0, 0.0);
    let beside_next = e[l + 1];
    let diagonal_next = d[l + 1];
    let mut p = d[m];
    for i in (l..m).rev() {
        c3 = c2;
        c2 = c;
        s2 = s;
        let g = c * e[i];
        let h = c * p;
        let r = p.hypot(e[i]);
        e[i + 1] = s * r;
        s = e[i] / r;
        c = p / r;
        p = c * d[i] - s * g;
        d[i + 1] = h + s * (c * g + s * d[i]);
        let (left, right) = rows.split_at_mut(i + 1);
        for (a, b) in left[i].iter_mut().zip(&mut right[0]) {
            let h = *b;
            *b = s * *a + c * h;
            *a = c * *a - s * h;
        }
    }
    p = -s * s2 * c3 * beside_next * e[l] / diagonal_next;
    e[l] = s * p;
    d[l] = c * p;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng};

    #[test]
    fn vectors_times_values_times_vectors_give_the_matrix_back() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for size in [1, 2, 3, 17, 64] {
            let root: Vec<f64> = (0..size * size).map(|_| random.random::<f64>() - 0.5).collect();
            let entry = |i: usize, j: usize| (0..size / 2 + 1).map(|k| root[k * size + i] * root[k * size + j]).sum();
            let matrix: Vec<f64> = (0..size * size).map(|at| entry(at / size, at % size)).collect();
            let eigen = symmetric_eigen(&matrix, size);
            let v = |i: usize, k: usize| eigen.vectors[i * size + k];
            for i in 0..size {
                for j in 0..size {
                    let back: f64 = (0..size).map(|k| v(i, k) * eigen.values[k] * v(j, k)).sum();
                    assert!((back - matrix[i * size + j]).abs() < 1e-9, "size {size}, entry {i}, {j}");
                    let inner: f64 = (0..size).map(|k| v(k, i) * v(k, j)).sum();
                    assert!((inner - f64::from(u8::from(i == j))).abs() < 1e-9, "columns {i} and {j} of size {size}");
                }
            }
            assert!(eigen.values.is_sorted_by(|a, b| a >= b));
        }
    }
}
