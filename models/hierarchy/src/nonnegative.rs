//! The nearest coherent values that are not negative, by block principal pivoting; weights are diagonal here.

use crate::error::HierarchyError;
use crate::solve::System;
use crate::structure::Hierarchy;

/// The most pivots of one projection; a few suffice nearly always.
pub const MAX_PIVOTS: usize = 1_000;
/// Pivots in blocks without fewer rows on the wrong side, after which rows are exchanged one at a time.
const PATIENCE: usize = 3;
/// Values of this share of the largest count as zero.
const NEGLIGIBLE: f64 = 1e-10;

/// Minimises `Σ (S b − target)²_k / variances_k` over bottom rows b ≥ 0 and returns S b.
///
/// Block principal pivoting (Júdice and Pires 1994; Kim and Park 2011): rows are either free or held at zero. The free ones are
/// solved for; free rows below zero are then held and held ones whose gradient is negative are freed, all at once, as long as
/// there are ever fewer of both, else only the last of them (Murty 1974), which always ends.
pub(crate) fn project(hierarchy: &Hierarchy, variances: &[f64], target: Vec<f64>) -> Result<Vec<f64>, HierarchyError> {
    let uppers = hierarchy.uppers();
    if target[uppers..].iter().all(|value| *value >= 0.0) {
        return Ok(target);
    }
    let problem = Problem { hierarchy, variances, target: &target };
    let mut is_held: Vec<bool> = target[uppers..].iter().map(|value| *value < 0.0).collect();
    let (mut fewest, mut patience) = (usize::MAX, PATIENCE);
    let mut left = 0;
    for _ in 0..MAX_PIVOTS {
        let bottom = problem.solve(&is_held)?;
        let wrong = problem.on_wrong_side(&bottom, &is_held);
        left = wrong.len();
        match wrong.last() {
            None => {
                let bottom = bottom.into_iter().map(|value| value.max(0.0)).collect();
                return Ok(hierarchy.with_uppers(bottom));
            }
            Some(_) if left < fewest => (fewest, patience) = (left, PATIENCE),
            Some(_) if patience > 0 => patience -= 1,
            Some(last) => {
                is_held[*last] = !is_held[*last];
                continue;
            }
        }
        wrong.into_iter().for_each(|row| is_held[row] = !is_held[row]);
    }
    Err(HierarchyError::NotSettled { left })
}

struct Problem<'a> {
    hierarchy: &'a Hierarchy,
    variances: &'a [f64],
    target: &'a [f64],
}

impl Problem<'_> {
    /// The minimum over the free rows: a held row is one whose target and variance are zero.
    fn solve(&self, is_held: &[bool]) -> Result<Vec<f64>, HierarchyError> {
        let uppers = self.hierarchy.uppers();
        let (upper, bottom) = self.variances.split_at(uppers);
        let free = |(values, held): (&f64, &bool)| if *held { 0.0 } else { *values };
        let bottom: Vec<f64> = bottom.iter().zip(is_held).map(free).collect();
        let mut values = self.target[..uppers].to_vec();
        values.extend(self.target[uppers..].iter().zip(is_held).map(free));
        let system = System { hierarchy: self.hierarchy, upper, bottom: &bottom };
        let z = system.solve(&self.hierarchy.incoherence(&values))?;
        let mut change = vec![0.0; bottom.len()];
        self.hierarchy.spread(&z, &mut change);
        for ((change, weight), value) in change.iter_mut().zip(&bottom).zip(&values[uppers..]) {
            *change = value + *change * weight;
        }
        Ok(change)
    }

    /// Free rows below zero and held rows whose gradient is negative, in order.
    fn on_wrong_side(&self, bottom: &[f64], is_held: &[bool]) -> Vec<usize> {
        let uppers = self.hierarchy.uppers();
        let values = self.hierarchy.with_uppers(bottom.to_vec());
        let distance: Vec<f64> = values.iter().zip(self.target).map(|(value, target)| value - target).collect();
        let pulls: Vec<f64> =
            distance.iter().zip(self.variances).map(|(distance, variance)| distance / variance).collect();
        let mut gradient = vec![0.0; bottom.len()];
        self.hierarchy.spread(&pulls[..uppers], &mut gradient);
        let largest = self.target[uppers..].iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let is_wrong = |row: &usize| {
            let variance = self.variances[uppers + row];
            match is_held[*row] {
                true => (gradient[*row] + pulls[uppers + row]) * variance < -NEGLIGIBLE * largest,
                false => bottom[*row] < -NEGLIGIBLE * largest,
            }
        };
        (0..bottom.len()).filter(is_wrong).collect()
    }
}
