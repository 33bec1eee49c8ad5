//! What W is: the weights of reconciliation from structure, variances or residuals; nothing is solved here.

use crate::error::{HierarchyError, check_not_negative, check_vector};
use crate::solve::dot;
use crate::structure::Hierarchy;
use rayon::prelude::*;

/// The most residuals per node from which a covariance is estimated.
pub const MAX_RESIDUALS: usize = 1024;
/// The least shrinkage that is used: below it W could not be told from a singular matrix.
pub const MIN_SHRINKAGE: f64 = 0.01;

/// How far each node's base forecast may be trusted: the covariance W of the base forecasts' errors, up to a factor.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    /// W = I (ordinary least squares).
    Equal,
    /// W is diagonal, each node's number of bottom rows (Athanasopoulos et al. 2017, structural scaling).
    Structural,
    /// W is diagonal with these variances of the nodes' errors, at least 0, in the nodes' order (Hyndman, Lee and Wang 2016). A
    /// variance of 0 is taken as the smallest one above 0.
    Variances(&'a [f64]),
    /// W = λ D + (1 − λ) Σ with the second moments Σ of these residuals, D its diagonal and λ by [`shrinkage`], at least
    /// [`MIN_SHRINKAGE`] (MinT-shrink, Wickramasuriya et al. 2019). One vector of all nodes' residuals per period, 2 to
    /// [`MAX_RESIDUALS`] of them. Variances of 0 are treated as above.
    Shrunk(&'a [Vec<f64>]),
}

/// W = diag(`diagonal`) + Σ f fᵀ over `factors`, and W's own diagonal.
pub(crate) struct Covariance {
    pub diagonal: Vec<f64>,
    pub factors: Vec<Vec<f64>>,
    pub variances: Vec<f64>,
}

impl Covariance {
    pub fn new(hierarchy: &Hierarchy, weights: &Weights) -> Result<Covariance, HierarchyError> {
        let diagonal = match weights {
            Weights::Equal => vec![1.0; hierarchy.nodes()],
            Weights::Structural => hierarchy.sizes().map(|size| size as f64).collect(),
            Weights::Variances(variances) => {
                check_not_negative("the variances", variances, hierarchy.nodes())?;
                without_zeros(variances.to_vec(), "the variances")?
            }
            Weights::Shrunk(residuals) => return Covariance::shrunk(hierarchy, residuals),
        };
        Ok(Covariance { variances: diagonal.clone(), diagonal, factors: Vec::new() })
    }

    fn shrunk(hierarchy: &Hierarchy, residuals: &[Vec<f64>]) -> Result<Covariance, HierarchyError> {
        check_residuals(residuals, hierarchy.nodes())?;
        let variances = without_zeros(second_moments(residuals), "the residuals")?;
        let shrunk_by = shrinkage(residuals)?.max(MIN_SHRINKAGE);
        let factor = ((1.0 - shrunk_by) / residuals.len() as f64).sqrt();
        let scaled = |row: &Vec<f64>| row.iter().map(|residual| residual * factor).collect();
        let factors = if factor > 0.0 { residuals.iter().map(scaled).collect() } else { Vec::new() };
        let diagonal = variances.iter().map(|variance| variance * shrunk_by).collect();
        Ok(Covariance { diagonal, factors, variances })
    }
}

/// How far correlations are shrunk towards none, 0 to 1, by the estimate of Schäfer and Strimmer (2005) of the least squared
/// error, about zero means: `λ = Σ_{i≠j} Var(r_ij) / Σ_{i≠j} r_ij²` with `Var(r_ij) = T / (T − 1)³ Σ_t (w_tij − w̄_ij)²`,
/// `w_tij = x_ti x_tj`, `r_ij = w̄_ij` and x the residuals over the root of their second moment. Nodes without residuals other
/// than 0 are left out; 1 when no two nodes are correlated at all.
///
/// The sums over all pairs of nodes are taken as sums over pairs of periods, in a time that grows with nodes times periods
/// squared: `Σ_ij r_ij² = Σ_ts (x_t · x_s)² / T²` and `Σ_ij Σ_t w_tij² = Σ_t (x_t · x_t)²`, where x_t·x_t of the second sum is over
/// the same node's squares.
///
/// # Errors
/// Too few or too many residuals, vectors that differ in length, and values that are not finite.
pub fn shrinkage(residuals: &[Vec<f64>]) -> Result<f64, HierarchyError> {
    check_residuals(residuals, residuals.first().map_or(0, Vec::len))?;
    let periods = residuals.len() as f64;
    let roots: Vec<f64> = second_moments(residuals).into_iter().map(f64::sqrt).collect();
    let scaled = |(residual, root): (&f64, &f64)| if *root > 0.0 { residual / root } else { 0.0 };
    let x: Vec<Vec<f64>> = residuals.iter().map(|row| row.iter().zip(&roots).map(scaled).collect()).collect();
    let active = roots.iter().filter(|root| **root > 0.0).count() as f64;
    let squares_of = |row: &Vec<f64>| x.iter().map(|other| dot(row, other).powi(2)).sum::<f64>();
    let correlations = x.par_iter().map(squares_of).collect::<Vec<f64>>().iter().sum::<f64>() / (periods * periods);
    let products: f64 = x.iter().map(|row| dot(row, row).powi(2)).sum();
    let fourth_powers: f64 = x.iter().flatten().map(|value| value.powi(4)).sum();
    // Of i = j: r_ii is 1, and Σ_t w_tii² is the sum of fourth powers.
    let off_diagonal = correlations - active;
    let spread = (products - fourth_powers) - periods * off_diagonal;
    let variance = periods / (periods - 1.0).powi(3) * spread;
    Ok(if off_diagonal <= f64::EPSILON * active { 1.0 } else { (variance / off_diagonal).clamp(0.0, 1.0) })
}

fn check_residuals(residuals: &[Vec<f64>], nodes: usize) -> Result<(), HierarchyError> {
    if !(2..=MAX_RESIDUALS).contains(&residuals.len()) {
        return Err(HierarchyError::Residuals { found: residuals.len() });
    }
    residuals.iter().try_for_each(|row| check_vector("a period's residuals", row, nodes))
}

fn second_moments(residuals: &[Vec<f64>]) -> Vec<f64> {
    let mut moments = vec![0.0; residuals.first().map_or(0, Vec::len)];
    for row in residuals {
        moments.iter_mut().zip(row).for_each(|(sum, residual)| *sum += residual * residual / residuals.len() as f64);
    }
    moments
}

fn without_zeros(mut variances: Vec<f64>, what: &'static str) -> Result<Vec<f64>, HierarchyError> {
    let smallest = variances.iter().copied().filter(|variance| *variance > 0.0).fold(f64::INFINITY, f64::min);
    if smallest == f64::INFINITY {
        return Err(HierarchyError::AllZero { what });
    }
    variances.iter_mut().filter(|variance| **variance == 0.0).for_each(|variance| *variance = smallest);
    Ok(variances)
}
