//! A dense row-major f32 matrix whose rows are padded for the kernels; no algebra of its own beyond products of it.

use crate::error::{FactorsError, check_setting};
use crate::fold_in::same_length;
use crate::ials::MAX_DIMENSIONS;
use crate::kernels::{add_transposed_product, multiply_in_place, padded, product, simd_kernel};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Rows that one task handles; sums over rows are taken in this order whatever the number of threads.
const CHUNK_ROWS: usize = 1024;

/// Factors of persons or items: one row each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    columns: usize,
    stride: usize,
    values: Vec<f32>,
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        let stride = padded(columns);
        Self { columns, stride, values: vec![0.0; rows * stride] }
    }

    /// Takes rows of `columns` values each, one after the other.
    ///
    /// # Errors
    /// No columns, more than [`MAX_DIMENSIONS`], values that are no whole rows, or one that is not finite.
    pub fn from_rows(columns: usize, values: &[f32]) -> Result<Self, FactorsError> {
        check_setting("columns", columns as f64, 1.0..=MAX_DIMENSIONS as f64, "1 to 1024")?;
        same_length("a matrix's last row", values.len() % columns, 0)?;
        let mut matrix = Self::zeros(values.len() / columns, columns);
        let stride = matrix.stride;
        for (row, given) in matrix.values.chunks_exact_mut(stride).zip(values.chunks_exact(columns)) {
            row[..columns].copy_from_slice(given);
        }
        matrix.check()?;
        Ok(matrix)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.values.len() / self.stride
    }

    /// How many columns a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One row, `columns` long.
    ///
    /// # Panics
    /// If `index` is not below [`Matrix::rows`].
    pub fn row(&self, index: usize) -> &[f32] {
        &self.padded_row(index)[..self.columns]
    }

    /// Whether what was read from bytes is a matrix: whole padded rows of finite numbers, zeros in the padding.
    pub(crate) fn check(&self) -> Result<(), FactorsError> {
        same_length("padded columns", self.stride, padded(self.columns.max(1)))?;
        same_length("a matrix's last row", self.values.len() % self.stride, 0)?;
        let sound = |row: &[f32]| {
            row.iter().all(|value| value.is_finite()) && row[self.columns..].iter().all(|padding| *padding == 0.0)
        };
        match self.values.chunks_exact(self.stride).position(|row| !sound(row)) {
            Some(row) => Err(FactorsError::BadMatrix { row }),
            None => Ok(()),
        }
    }

    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    pub(crate) fn padded_row(&self, index: usize) -> &[f32] {
        &self.values[index * self.stride..(index + 1) * self.stride]
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The matrix times its own transpose from the left: columns × columns, unpadded, in f64.
    ///
    /// Chunks of rows are multiplied in f32 and added in f64 in their order.
    pub(crate) fn gramian(&self) -> Vec<f64> {
        let stride = self.stride;
        let parts: Vec<Vec<f32>> = self
            .values
            .par_chunks(CHUNK_ROWS * stride)
            .map(|rows| {
                let mut part = vec![0.0; stride * stride];
                add_gram(rows, stride, &mut part);
                part
            })
            .collect();
        let mut sum = vec![0.0_f64; self.columns * self.columns];
        for part in &parts {
            for i in 0..self.columns {
                for j in i..self.columns {
                    sum[i * self.columns + j] += f64::from(part[i * stride + j]);
                }
            }
        }
        for i in 0..self.columns {
            for j in 0..i {
                sum[i * self.columns + j] = sum[j * self.columns + i];
            }
        }
        sum
    }

    /// Every row times the row-major `square` of columns × columns.
    pub(crate) fn rotate(&mut self, square: &[f64]) {
        let (columns, stride) = (self.columns, self.stride);
        let mut right = vec![0.0_f32; stride * stride];
        for i in 0..columns {
            for j in 0..columns {
                right[i * stride + j] = square[i * columns + j] as f32;
            }
        }
        self.values.par_chunks_mut(CHUNK_ROWS * stride).for_each(|rows| rotate_rows(rows, &right, stride));
    }
}

simd_kernel! {
    fn add_gram<'a>(simd, rows: &'a [f32], stride: usize, part: &'a mut [f32]) {
        add_transposed_product(simd, rows, stride, rows, stride, true, part);
    }
}

simd_kernel! {
    fn rotate_rows<'a>(simd, rows: &'a mut [f32], square: &'a [f32], columns: usize) {
        multiply_in_place(simd, rows, square, columns);
    }
}

simd_kernel! {
    /// `out = left · right` for a left matrix of rows × `inner` and a right one of `inner` × `columns`.
    fn multiply<'a>(simd, left: &'a [f32], inner: usize, right: &'a [f32], columns: usize, out: &'a mut [f32]) {
        product(simd, left, inner, right, columns, out);
    }
}
