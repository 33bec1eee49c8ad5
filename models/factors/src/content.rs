//! Items without behaviour: attributes mapped to the factor space by ridge regression; trust moves to behaviour as it comes.
//!
//! 1. An item's attribute vector a is 1/√(number of its attributes) at each attribute, so that all items weigh the same.
//! 2. W = argmin Σ nᵢ/(nᵢ + k) ‖aᵢ W − yᵢ‖² + μ‖W‖², over items with factors yᵢ and nᵢ persons (ridge regression, as
//!    Gantner et al. 2010 map attributes to factors).
//! 3. An item's factors are `n/(n + k) y + k/(n + k) a W`: content alone at n = 0, behaviour alone in the limit.

use crate::ease::invert;
use crate::error::{FactorsError, check_setting};
use crate::interactions::Interactions;
use crate::kernels::{add_scaled, padded};
use crate::matrix::{Matrix, multiply};

/// Most different attributes; their square must fit in memory.
pub const MAX_ATTRIBUTES: usize = 20_480;

/// A map from attributes to factors.
#[derive(Debug, Clone)]
pub struct ContentMap {
    /// One row per attribute.
    weights: Matrix,
    trust: f32,
}

impl ContentMap {
    /// Learns the map from the items' attributes (row i: those of item i) and factors.
    ///
    /// `regularization` is μ, above zero; `trust` is k, above zero: so many persons outweigh the content.
    ///
    /// # Errors
    /// A setting out of range, attributes of another number of items, or too many different attributes.
    pub fn fit(
        attributes: &[Vec<u32>],
        interactions: &Interactions,
        factors: &Matrix,
        regularization: f32,
        trust: f32,
    ) -> Result<Self, FactorsError> {
        const POSITIVE: &str = "a finite number above zero";
        let positive = f64::from(f32::MIN_POSITIVE)..=f64::from(f32::MAX);
        check_setting("regularization", regularization.into(), positive.clone(), POSITIVE)?;
        check_setting("trust", trust.into(), positive, POSITIVE)?;
        for (what, got) in [("attributes", attributes.len()), ("interactions", interactions.items())] {
            if got != factors.rows() {
                return Err(FactorsError::WrongLength { what, got, expected: factors.rows() });
            }
        }
        let count = attributes.iter().flatten().max().map_or(0, |most| *most as usize + 1);
        if count > MAX_ATTRIBUTES {
            return Err(FactorsError::TooMany { what: "attributes", count, limit: MAX_ATTRIBUTES });
        }
        let size = padded(count.max(1));
        let mut system = vec![0.0_f32; size * size];
        let mut right = Matrix::zeros(size, factors.columns());
        let stride = right.stride();
        for (item, own) in attributes.iter().enumerate() {
            let support = interactions.support(item as u32) as f32;
            let confidence = support / (support + trust);
            let value = entry(own);
            for a in own {
                for b in own {
                    system[*a as usize * size + *b as usize] += confidence * value * value;
                }
                let target = &mut right.values_mut()[*a as usize * stride..][..stride];
                add_scaled(target, confidence * value, factors.padded_row(item));
            }
        }
        (0..size).for_each(|at| system[at * size + at] += regularization);
        invert(&mut system, size)?;
        let mut weights = Matrix::zeros(size, factors.columns());
        multiply(&system, size, right.values(), stride, weights.values_mut());
        Ok(Self { weights, trust })
    }

    /// Factors that the attributes alone predict; attributes never seen say nothing.
    pub fn predict(&self, attributes: &[u32]) -> Vec<f32> {
        let mut factors = vec![0.0; self.weights.stride()];
        for attribute in attributes.iter().filter(|attribute| (**attribute as usize) < self.weights.rows()) {
            add_scaled(&mut factors, entry(attributes), self.weights.padded_row(*attribute as usize));
        }
        factors.truncate(self.weights.columns());
        factors
    }

    /// Factors of an item whose behaviour gave `factors` and which `support` persons took: n/(n + k) of them, the rest
    /// from its attributes.
    ///
    /// # Errors
    /// Factors of another length than the map's.
    pub fn blend(&self, attributes: &[u32], factors: &[f32], support: usize) -> Result<Vec<f32>, FactorsError> {
        if factors.len() != self.weights.columns() {
            let (got, expected) = (factors.len(), self.weights.columns());
            return Err(FactorsError::WrongLength { what: "an item's factors", got, expected });
        }
        let share = support as f32 / (support as f32 + self.trust);
        let content = self.predict(attributes);
        Ok(factors.iter().zip(content).map(|(own, content)| share * own + (1.0 - share) * content).collect())
    }
}

/// The value of each attribute of an item.
fn entry(attributes: &[u32]) -> f32 {
    1.0 / (attributes.len().max(1) as f32).sqrt()
}
