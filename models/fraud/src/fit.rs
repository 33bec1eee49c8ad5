//! Ridge logistic regression by linfa, the one file that speaks to it; what the columns mean is decided elsewhere.

use linfa::dataset::DatasetBase;
use linfa::traits::Fit;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

/// Bound on the solver's steps.
const MAX_ITERATIONS: u64 = 300;
/// The solver stops at this norm of the gradient per row.
const GRADIENT_TOLERANCE_PER_ROW: f64 = 1e-5;

/// Weights of the columns and the log-odds where all columns are zero.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearFit {
    pub(crate) weights: Vec<f64>,
    pub(crate) intercept: f64,
}

/// Rows of columns with their labels, ready for the solver.
pub(crate) struct Design {
    dataset: DatasetBase<Array2<f64>, Array1<bool>>,
    fraud_is_majority: bool,
}

impl Design {
    /// Wraps row-major columns, `width` of them per label.
    ///
    /// # Errors
    /// Says so where the numbers do not fill the rows.
    pub(crate) fn new(columns: Vec<f64>, width: usize, labels: Vec<bool>) -> Result<Self, String> {
        let frauds = labels.iter().filter(|&&label| label).count();
        // Which class linfa counts as positive where both are of one size depends on the first label that it meets.
        let tie_goes_to_fraud = 2 * frauds == labels.len() && labels.first() == Some(&true);
        let fraud_is_majority = 2 * frauds > labels.len() || tie_goes_to_fraud;
        let records = Array2::from_shape_vec((labels.len(), width), columns).map_err(|error| error.to_string())?;
        let dataset = DatasetBase::new(records, Array1::from_vec(labels));
        Ok(Self { dataset, fraud_is_majority })
    }

    /// Minimises Σ log-loss + ½·`l2`·‖weights‖² (the intercept is free), starting from `start` where given.
    ///
    /// # Errors
    /// The solver's own words where it fails.
    pub(crate) fn fit(&self, l2: f64, start: Option<&LinearFit>) -> Result<LinearFit, String> {
        let rows = self.dataset.records.nrows() as f64;
        let mut solver = LogisticRegression::default()
            .alpha(l2)
            .max_iterations(MAX_ITERATIONS)
            .gradient_tolerance(GRADIENT_TOLERANCE_PER_ROW * rows);
        if let Some(start) = start {
            solver = solver.initial_params(self.solver_parameters(start));
        }
        let fitted = solver.fit(&self.dataset).map_err(|error| error.to_string())?;
        let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
        Ok(LinearFit {
            weights: fitted.params().iter().map(|weight| sign * weight).collect(),
            intercept: sign * fitted.intercept(),
        })
    }

    /// linfa's vector of parameters: the intercept last, and signs such that the larger class is positive.
    fn solver_parameters(&self, fit: &LinearFit) -> Array1<f64> {
        let sign = if self.fraud_is_majority { 1.0 } else { -1.0 };
        fit.weights.iter().chain([&fit.intercept]).map(|parameter| sign * parameter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gradient of the objective, written out naively.
    fn gradient(fit: &LinearFit, columns: &[f64], labels: &[bool], l2: f64) -> Vec<f64> {
        let width = fit.weights.len();
        let mut gradient: Vec<f64> = fit.weights.iter().map(|weight| l2 * weight).collect();
        gradient.push(0.0);
        for (row, &label) in columns.chunks(width).zip(labels) {
            let margin: f64 = fit.intercept + row.iter().zip(&fit.weights).map(|(x, w)| x * w).sum::<f64>();
            let slope = 1.0 / (1.0 + (-margin).exp()) - f64::from(u8::from(label));
            for (sum, x) in gradient.iter_mut().zip(row.iter().chain([&1.0])) {
                *sum += slope * x;
            }
        }
        gradient
    }

    #[test]
    fn the_fit_stands_where_the_objective_is_flat_whichever_class_is_larger_or_first() {
        let columns: Vec<f64> = (0..600).map(|i| f64::from(i * 7919 % 1000) / 500.0 - 1.0).collect();
        for pattern in [3_i32, 2, -3, -2] {
            let labels: Vec<bool> = columns
                .chunks(2)
                .enumerate()
                .map(|(i, row)| {
                    let noisy = row[0] + f64::from(i as u32 * 31 % 17) / 17.0 - 0.5 > 0.6;
                    let mixed = if pattern.abs() == 2 { i % 2 == 0 } else { noisy };
                    mixed == (pattern > 0)
                })
                .collect();
            let design = Design::new(columns.clone(), 2, labels.clone()).unwrap();
            let cold = design.fit(2.0, None).unwrap();
            let warm = design.fit(2.0, Some(&cold)).unwrap();
            for fit in [&cold, &warm] {
                let steepest = gradient(fit, &columns, &labels, 2.0).into_iter().fold(0.0_f64, |a, b| a.max(b.abs()));
                assert!(steepest < 5e-3, "{steepest} for pattern {pattern}");
            }
            assert!((cold.intercept - warm.intercept).abs() < 1e-3);
        }
    }
}
