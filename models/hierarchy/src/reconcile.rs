//! The coherent forecast nearest to the base forecasts; the choice of weights and the solver are elsewhere.

use crate::covariance::{Covariance, Weights};
use crate::error::{HierarchyError, check_vector};
use crate::nonnegative::project;
use crate::solve::{Cholesky, System, add, dot};
use crate::structure::Hierarchy;
use rayon::prelude::*;

/// Reconciles base forecasts of one structure with one W, step by step of the horizon.
pub struct Reconciler<'a> {
    hierarchy: &'a Hierarchy,
    covariance: Covariance,
    correlated: Option<Correlated>,
}

/// The part of C W Cᵀ = K + V Vᵀ that is not diagonal in W: the columns of V = C F, of K⁻¹ V, and the factor of I + Vᵀ K⁻¹ V.
struct Correlated {
    incoherences: Vec<Vec<f64>>,
    solved: Vec<Vec<f64>>,
    core: Cholesky,
}

impl<'a> Reconciler<'a> {
    /// Prepares the weights. For [`Weights::Shrunk`] this takes one sparse solve per period of residuals.
    ///
    /// # Errors
    /// Weights of a wrong length, negative, not finite or all zero; too few or too many residuals; a solve that does not
    /// converge.
    pub fn new(hierarchy: &'a Hierarchy, weights: &Weights) -> Result<Reconciler<'a>, HierarchyError> {
        let mut reconciler =
            Reconciler { hierarchy, covariance: Covariance::new(hierarchy, weights)?, correlated: None };
        if !reconciler.covariance.factors.is_empty() {
            reconciler.correlated = Some(reconciler.prepare()?);
        }
        Ok(reconciler)
    }

    /// The coherent values nearest to `base`, one value per node in the nodes' order: upper values are the sums of the bottom
    /// rows', which may be negative.
    ///
    /// # Errors
    /// A wrong length, a value that is not finite, and a solve that does not converge.
    pub fn reconcile(&self, base: &[f64]) -> Result<Vec<f64>, HierarchyError> {
        check_vector("the base forecast", base, self.hierarchy.nodes())?;
        let z = self.solve(&self.hierarchy.incoherence(base))?;
        let mut correction = self.times_covariance(&z);
        correction.iter_mut().zip(&base[self.hierarchy.uppers()..]).for_each(|(change, base)| *change = base - *change);
        Ok(self.hierarchy.with_uppers(correction))
    }

    /// As [`Reconciler::reconcile`], with all values at least 0: the nearest such coherent values in the metric of W's diagonal,
    /// which for diagonal W are the nearest to the base forecasts.
    ///
    /// # Errors
    /// As `reconcile`; and when the search for the rows that are 0 does not end.
    pub fn reconcile_not_negative(&self, base: &[f64]) -> Result<Vec<f64>, HierarchyError> {
        let coherent = self.reconcile(base)?;
        project(self.hierarchy, &self.covariance.variances, coherent)
    }

    /// Reconciles every step of a horizon, in parallel: one vector of all nodes per step, none negative when
    /// `is_not_negative`.
    ///
    /// # Errors
    /// As of a single step.
    pub fn reconcile_steps(&self, steps: &[Vec<f64>], is_not_negative: bool) -> Result<Vec<Vec<f64>>, HierarchyError> {
        let one = |base: &Vec<f64>| match is_not_negative {
            true => self.reconcile_not_negative(base),
            false => self.reconcile(base),
        };
        steps.par_iter().map(one).collect()
    }

    fn prepare(&self) -> Result<Correlated, HierarchyError> {
        let incoherence = |factor: &Vec<f64>| self.hierarchy.incoherence(factor);
        let incoherences: Vec<Vec<f64>> = self.covariance.factors.par_iter().map(incoherence).collect();
        let system = self.system();
        let solved =
            incoherences.par_iter().map(|column| system.solve(column)).collect::<Result<Vec<Vec<f64>>, _>>()?;
        let row = |at: usize| (0..=at).map(|column| dot(&incoherences[at], &solved[column])).collect();
        let core = Cholesky::of_identity_plus((0..solved.len()).into_par_iter().map(row).collect());
        Ok(Correlated { incoherences, solved, core })
    }

    fn system(&self) -> System<'_> {
        let (upper, bottom) = self.covariance.diagonal.split_at(self.hierarchy.uppers());
        System { hierarchy: self.hierarchy, upper, bottom }
    }

    /// `(C W Cᵀ)⁻¹ right`, with Woodbury's identity for the part that is not diagonal.
    fn solve(&self, right: &[f64]) -> Result<Vec<f64>, HierarchyError> {
        let mut z = self.system().solve(right)?;
        if let Some(correlated) = &self.correlated {
            let mut shares: Vec<f64> = correlated.incoherences.iter().map(|column| dot(column, &z)).collect();
            correlated.core.solve(&mut shares);
            for (share, column) in shares.iter().zip(&correlated.solved) {
                add(&mut z, -share, column);
            }
        }
        Ok(z)
    }

    /// The bottom rows of `W Cᵀ z`.
    fn times_covariance(&self, z: &[f64]) -> Vec<f64> {
        let uppers = self.hierarchy.uppers();
        let mut rows = vec![0.0; self.hierarchy.bottoms()];
        self.hierarchy.spread(z, &mut rows);
        rows.iter_mut().zip(&self.covariance.diagonal[uppers..]).for_each(|(value, weight)| *value *= -weight);
        if let Some(correlated) = &self.correlated {
            for (incoherence, factor) in correlated.incoherences.iter().zip(&self.covariance.factors) {
                add(&mut rows, dot(incoherence, z), &factor[uppers..]);
            }
        }
        rows
    }
}
