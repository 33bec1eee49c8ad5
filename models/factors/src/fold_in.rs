//! Factors for persons outside the model, on the request thread: one exact solve against what fitting left; no fitting.

use crate::error::FactorsError;
use crate::ials::FactorSettings;
use crate::interactions::{Row, check_item, check_weight, merge_repeated};
use crate::kernels::{dot, simd_kernel};
use crate::matrix::Matrix;
use crate::solve::{Side, Workspace, solve_row};
use serde::{Deserialize, Serialize};

/// What serving needs of a factor model: the items' factors and the spectrum of their Gramian, without the persons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldIn {
    pub(crate) items: Matrix,
    /// Eigenvalues of the items' Gramian: what fold-in needs of everybody else.
    pub(crate) spectrum: Vec<f32>,
    pub(crate) settings: FactorSettings,
}

impl FoldIn {
    /// Factors of the items.
    pub fn items(&self) -> &Matrix {
        &self.items
    }

    /// Whether the parts fit each other: to be asked once of what was read from bytes, before it is used.
    ///
    /// # Errors
    /// A setting out of its range, a part of the wrong length, or a number that is not finite.
    pub fn check(&self) -> Result<(), FactorsError> {
        self.settings.check()?;
        self.items.check()?;
        same_length("columns of the items' factors", self.items.columns(), self.settings.dimensions)?;
        same_length("the spectrum", self.spectrum.len(), self.items.stride())?;
        match self.spectrum.iter().find(|value| !(value.is_finite() && **value >= 0.0)) {
            Some(value) => {
                let expected = "a finite number, zero or above";
                Err(FactorsError::BadSetting { name: "spectrum", value: f64::from(*value), expected })
            }
            None => Ok(()),
        }
    }

    /// Factors of a person from a history of items and weights: one exact solve against the cached Gramian. An empty
    /// history gives zeros. A repeated item counts with the sum of its weights.
    ///
    /// # Errors
    /// An unknown item, or a weight that is not finite and above zero.
    pub fn fold_in(&self, history: &[(u32, f32)]) -> Result<Vec<f32>, FactorsError> {
        let mut entries = history.to_vec();
        for (row, (item, weight)) in history.iter().enumerate() {
            check_item(row, *item, self.items.rows())?;
            check_weight(row, *weight)?;
        }
        merge_repeated(&mut entries);
        let (columns, weights): (Vec<u32>, Vec<f32>) = entries.into_iter().unzip();
        let side = Side { factors: &self.items, spectrum: &self.spectrum, loss: self.settings.loss() };
        let mut solution = vec![0.0; self.items.stride()];
        let mut work = Workspace::default();
        let row = Row { columns: &columns, weights: &weights };
        if !solve_one(&side, row, &mut work, &mut solution) {
            return Err(FactorsError::NotPositiveDefinite { what: "a person" });
        }
        solution.truncate(self.items.columns());
        Ok(solution)
    }

    /// The scores of some items for a person's factors, in the order of `items`.
    ///
    /// # Errors
    /// Factors of another length than the items', or an unknown item.
    pub fn scores(&self, person: &[f32], items: &[u32]) -> Result<Vec<f32>, FactorsError> {
        same_length("a person's factors", person.len(), self.items.columns())?;
        for (row, item) in items.iter().enumerate() {
            check_item(row, *item, self.items.rows())?;
        }
        let mut padded = person.to_vec();
        padded.resize(self.items.stride(), 0.0);
        let mut scores = vec![0.0; items.len()];
        score_some(&self.items, &padded, items, &mut scores);
        Ok(scores)
    }
}

simd_kernel! {
    fn solve_one<'a>(simd, side: &'a Side<'a>, row: Row<'a>, work: &'a mut Workspace, solution: &'a mut [f32]) -> bool {
        solve_row(simd, side, row, work, solution)
    }
}

simd_kernel! {
    fn score_some<'a>(simd, factors: &'a Matrix, person: &'a [f32], items: &'a [u32], scores: &'a mut [f32]) {
        for (item, score) in items.iter().zip(scores) {
            *score = dot(simd, person, factors.padded_row(*item as usize));
        }
    }
}

/// Refuses two sizes that differ.
pub(crate) fn same_length(what: &'static str, got: usize, expected: usize) -> Result<(), FactorsError> {
    if got == expected { Ok(()) } else { Err(FactorsError::WrongLength { what, got, expected }) }
}
