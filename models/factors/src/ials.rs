//! Implicit-feedback matrix factorisation: settings, fitting with warm starts, the loss; scoring and fold-in stand elsewhere.

use crate::eigen::symmetric_eigen;
use crate::error::{FactorsError, check_setting};
use crate::fold_in::{FoldIn, same_length};
use crate::gradients::step_row;
use crate::interactions::{Interactions, Row, Rows};
use crate::kernels::{LANES, dot, simd_kernel};
use crate::matrix::Matrix;
use crate::solve::{Loss, Side, Workspace, improve_row, solve_row};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};

/// Most dimensions of a factor model.
pub const MAX_DIMENSIONS: usize = 1024;
/// Most iterations of a fit.
pub const MAX_ITERATIONS: usize = 1000;
/// Most steps of conjugate gradients in a half-step.
pub const MAX_STEPS: usize = 100;
/// Rows that one task solves.
const CHUNK_ROWS: usize = 128;

/// How a half-step solves its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Solver {
    /// Every row exactly, by the smaller of its two systems.
    Exact,
    /// That many steps of conjugate gradients from the factors of the iteration before, 1 to [`MAX_STEPS`]: the fastest.
    ConjugateGradients {
        /// Steps of a row; 3 come to the loss of exact solves.
        steps: usize,
    },
    /// iALS++: Newton steps over blocks of that many dimensions, a multiple of 16; pays above about 200 dimensions.
    Subspace {
        /// Dimensions of a block.
        block: usize,
    },
}

/// Settings of [`FactorModel::fit`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FactorSettings {
    /// Numbers per person and item, 1 to [`MAX_DIMENSIONS`].
    pub dimensions: usize,
    /// Passes over both sides, 0 to [`MAX_ITERATIONS`].
    pub iterations: usize,
    /// Weight of an observed pair of weight 1 (α of Hu et al.), above zero.
    pub observed_weight: f32,
    /// Weight of every pair, observed or not (α₀ of Rendle et al.), above zero.
    pub unobserved_weight: f32,
    /// λ, above zero.
    pub regularization: f32,
    /// ν, from 0 (λ is the same for all rows) to 1 (λ grows with a row's evidence).
    pub frequency_exponent: f32,
    /// How rows are solved.
    pub solver: Solver,
    /// Seed of the first factors.
    pub seed: u64,
}

impl Default for FactorSettings {
    fn default() -> Self {
        Self {
            dimensions: 64,
            iterations: 15,
            observed_weight: 1.0,
            unobserved_weight: 0.1,
            regularization: 0.003,
            frequency_exponent: 1.0,
            solver: Solver::Exact,
            seed: 1,
        }
    }
}

impl FactorSettings {
    pub(crate) fn check(&self) -> Result<(), FactorsError> {
        const POSITIVE: &str = "a finite number above zero";
        let positive = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
        check_setting("dimensions", self.dimensions as f64, 1.0..=MAX_DIMENSIONS as f64, "1 to 1024")?;
        check_setting("iterations", self.iterations as f64, 0.0..=MAX_ITERATIONS as f64, "0 to 1000")?;
        check_setting("observed_weight", self.observed_weight.into(), positive.clone(), POSITIVE)?;
        check_setting("unobserved_weight", self.unobserved_weight.into(), positive.clone(), POSITIVE)?;
        check_setting("regularization", self.regularization.into(), positive, POSITIVE)?;
        check_setting("frequency_exponent", self.frequency_exponent.into(), 0.0..=1.0, "0 to 1")?;
        if let Solver::Subspace { block } = self.solver
            && (block == 0 || !block.is_multiple_of(LANES))
        {
            let expected = "a multiple of 16 above zero";
            return Err(FactorsError::BadSetting { name: "solver.block", value: block as f64, expected });
        }
        if let Solver::ConjugateGradients { steps } = self.solver {
            check_setting("solver.steps", steps as f64, 1.0..=MAX_STEPS as f64, "1 to 100")?;
        }
        Ok(())
    }

    pub(crate) fn loss(&self) -> Loss {
        Loss {
            unobserved_weight: self.unobserved_weight,
            observed_weight: self.observed_weight,
            regularization: self.regularization,
            frequency_exponent: self.frequency_exponent,
        }
    }
}

/// Factors of persons and items whose inner products are scores.
///
/// They stand in the eigenbasis of the items' Gramian, the strongest direction first; any common rotation of both
/// gives the same scores.
#[derive(Debug, Clone, PartialEq)]
pub struct FactorModel {
    people: Matrix,
    folding: FoldIn,
}

impl FactorModel {
    /// Fits from small random factors.
    ///
    /// # Errors
    /// A setting out of its range, or a system that f32 cannot solve (λ far too small).
    pub fn fit(interactions: &Interactions, settings: &FactorSettings) -> Result<Self, FactorsError> {
        Self::fit_from(interactions, settings, None)
    }

    /// Fits from the factors of `earlier`, whose persons and items keep their numbers; those with higher numbers begin
    /// small and random. An earlier model of other dimensions gives as many as both have.
    ///
    /// # Errors
    /// As [`FactorModel::fit`].
    pub fn fit_from(
        interactions: &Interactions,
        settings: &FactorSettings,
        earlier: Option<&Self>,
    ) -> Result<Self, FactorsError> {
        settings.check()?;
        let loss = settings.loss();
        let mut people = first_factors(interactions.people(), settings, 0, earlier.map(|model| &model.people));
        let mut items = first_factors(interactions.items(), settings, 1, earlier.map(FactorModel::items));
        for _ in 0..settings.iterations {
            half_step(&interactions.by_person, &mut items, &mut people, loss, settings.solver, "a person")?;
            half_step(&interactions.by_item, &mut people, &mut items, loss, settings.solver, "an item")?;
        }
        let (spectrum, basis) = spectrum_of(&items);
        items.rotate(&basis);
        people.rotate(&basis);
        Ok(Self { people, folding: FoldIn { items, spectrum, settings: *settings } })
    }

    /// Factors of the persons.
    pub fn people(&self) -> &Matrix {
        &self.people
    }

    /// Factors of the items.
    pub fn items(&self) -> &Matrix {
        &self.folding.items
    }

    /// What the model was fitted with.
    pub fn settings(&self) -> &FactorSettings {
        &self.folding.settings
    }

    /// What serving needs of the model: everything but the persons.
    pub fn to_fold_in(&self) -> FoldIn {
        self.folding.clone()
    }

    /// The loss that fitting lowers, per Hu et al. with frequency-scaled regularisation:
    /// `Σ_observed (α₀ + w)(1 − ŷ)² + α₀ Σ_unobserved ŷ² + Σ λ_row ‖row‖²`.
    ///
    /// # Errors
    /// `interactions` of other persons or items than the model has.
    pub fn loss(&self, interactions: &Interactions) -> Result<f64, FactorsError> {
        same_length("persons", interactions.people(), self.people.rows())?;
        let items = self.items();
        same_length("items", interactions.items(), items.rows())?;
        let loss = self.settings().loss();
        let base = f64::from(loss.unobserved_weight);
        let observed: Vec<f64> = (0..interactions.people())
            .into_par_iter()
            .map(|person| {
                let row = interactions.by_person.row(person);
                observed_loss(row, self.people.padded_row(person), items, loss)
            })
            .collect();
        let everywhere: f64 = self.people.gramian().iter().zip(&items.gramian()).map(|(a, b)| a * b).sum();
        Ok(observed.iter().sum::<f64>()
            + base * everywhere
            + penalty(&interactions.by_person, &self.people, items.rows(), loss)
            + penalty(&interactions.by_item, items, self.people.rows(), loss))
    }

    /// As [`FoldIn::fold_in`].
    ///
    /// # Errors
    /// As [`FoldIn::fold_in`].
    pub fn fold_in(&self, history: &[(u32, f32)]) -> Result<Vec<f32>, FactorsError> {
        self.folding.fold_in(history)
    }
}

simd_kernel! {
    /// `Σ (α₀ + w)(1 − ŷ)² − α₀ ŷ²` over the entries of one row.
    fn observed_loss<'a>(simd, row: Row<'a>, person: &'a [f32], items: &'a Matrix, loss: Loss) -> f64 {
        let base = f64::from(loss.unobserved_weight);
        let mut sum = 0.0;
        for (item, weight) in row.columns.iter().zip(row.weights) {
            let score = f64::from(dot(simd, person, items.padded_row(*item as usize)));
            let extra = f64::from(loss.observed_weight * weight);
            sum += (base + extra) * (1.0 - score).powi(2) - base * score * score;
        }
        sum
    }
}

/// Random factors of standard deviation `0.1 / √dimensions`, overwritten by those of an earlier model.
fn first_factors(rows: usize, settings: &FactorSettings, stream: u64, earlier: Option<&Matrix>) -> Matrix {
    let mut matrix = Matrix::zeros(rows, settings.dimensions);
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(settings.seed);
    random.set_stream(stream);
    let deviation = 0.1 / (settings.dimensions as f32).sqrt();
    let stride = matrix.stride();
    for (index, row) in matrix.values_mut().chunks_exact_mut(stride).enumerate() {
        for value in &mut row[..settings.dimensions] {
            let normal: f32 = StandardNormal.sample(&mut random);
            *value = deviation * normal;
        }
        if let Some(known) = earlier.filter(|known| index < known.rows()) {
            let shared = known.columns().min(settings.dimensions);
            row.fill(0.0);
            row[..shared].copy_from_slice(&known.row(index)[..shared]);
        }
    }
    matrix
}

/// Eigenvalues (padded with ones) and vectors of the Gramian.
fn spectrum_of(factors: &Matrix) -> (Vec<f32>, Vec<f64>) {
    let eigen = symmetric_eigen(&factors.gramian(), factors.columns());
    let mut spectrum: Vec<f32> = eigen.values.iter().map(|value| value.max(0.0) as f32).collect();
    spectrum.resize(factors.stride(), 1.0);
    (spectrum, eigen.vectors)
}

/// Solves every row of one side against the other, which is turned into its eigenbasis first.
fn half_step(
    rows: &Rows,
    other: &mut Matrix,
    solved: &mut Matrix,
    loss: Loss,
    solver: Solver,
    what: &'static str,
) -> Result<(), FactorsError> {
    let (spectrum, basis) = spectrum_of(other);
    other.rotate(&basis);
    if solver != Solver::Exact {
        solved.rotate(&basis);
    }
    let side = Side { factors: other, spectrum: &spectrum, loss };
    let failed = AtomicBool::new(false);
    let stride = solved.stride();
    solved.values_mut().par_chunks_mut(CHUNK_ROWS * stride).enumerate().for_each_init(
        Workspace::default,
        |work, (chunk, solutions)| {
            if !solve_chunk(&side, rows, chunk * CHUNK_ROWS, solver, work, solutions) {
                failed.store(true, Ordering::Relaxed);
            }
        },
    );
    if failed.into_inner() { Err(FactorsError::NotPositiveDefinite { what }) } else { Ok(()) }
}

simd_kernel! {
    /// Solves consecutive rows from `first` on; false where one could not be solved.
    fn solve_chunk<'a>(
        simd,
        side: &'a Side<'a>,
        rows: &'a Rows,
        first: usize,
        solver: Solver,
        work: &'a mut Workspace,
        solutions: &'a mut [f32],
    ) -> bool {
        let mut solved = true;
        for (offset, solution) in solutions.chunks_exact_mut(side.factors.stride()).enumerate() {
            let row = rows.row(first + offset);
            solved &= match solver {
                Solver::Exact => solve_row(simd, side, row, work, solution),
                Solver::ConjugateGradients { steps } => step_row(simd, side, row, steps, work, solution),
                Solver::Subspace { block } => improve_row(simd, side, row, block, work, solution),
            };
        }
        solved
    }
}

/// `Σ λ_row ‖row‖²` of one side.
fn penalty(rows: &Rows, factors: &Matrix, other_rows: usize, loss: Loss) -> f64 {
    (0..rows.len())
        .map(|index| {
            let regularization = loss.regularization_of(rows.row(index).columns.len(), other_rows);
            let norm: f64 = factors.row(index).iter().map(|value| f64::from(*value).powi(2)).sum();
            f64::from(regularization) * norm
        })
        .sum()
}
