//! Parcels: weight, size, and the weight that a carrier charges for; it knows no prices.

use serde::{Deserialize, Serialize};

/// The most parcels of a shipment.
pub const PARCELS_MAX: usize = 100;
/// The heaviest parcel, in grams.
pub const GRAMS_MAX: u32 = 1_000_000;
/// The longest edge, in millimetres.
pub const MILLIMETRES_MAX: u32 = 5_000;

/// A parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parcel {
    /// Its weight in grams, packaging included.
    pub weight_grams: u32,
    /// Its length in millimetres.
    pub length_mm: u32,
    /// Its width in millimetres.
    pub width_mm: u32,
    /// Its height in millimetres.
    pub height_mm: u32,
}

/// How a carrier turns size into weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumetricRule {
    /// Cubic centimetres that count as a kilogram, above 0: 5,000 with most express carriers.
    pub cm3_per_kg: u32,
    /// Grams to whose next multiple the charged weight is rounded up, above 0.
    pub step_grams: u32,
}

/// Why parcels were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// None, or too many.
    #[error("{0} parcels; a shipment has 1 to {PARCELS_MAX}")]
    Number(usize),
    /// A weight or an edge that cannot be.
    #[error("parcel {parcel}: {what} is {found}; it must be from 1 to {most}")]
    Measure {
        /// Which parcel, from 0.
        parcel: usize,
        /// Which measure.
        what: &'static str,
        /// What it is.
        found: u32,
        /// The most that it may be.
        most: u32,
    },
}

impl Parcel {
    /// The weight that its size counts as, in grams, rounded up.
    pub fn volumetric_grams(&self, rule: VolumetricRule) -> u64 {
        let mm3 = u64::from(self.length_mm) * u64::from(self.width_mm) * u64::from(self.height_mm);
        // A cm³ is 1,000 mm³ and a kilogram 1,000 g: so many cm³ per kg are as many mm³ per g.
        mm3.div_ceil(u64::from(rule.cm3_per_kg.max(1)))
    }

    /// The weight that is charged, in grams: the larger of both, rounded up to the rule's step.
    pub fn chargeable_grams(&self, rule: VolumetricRule) -> u64 {
        let grams = self.volumetric_grams(rule).max(u64::from(self.weight_grams));
        grams.next_multiple_of(u64::from(rule.step_grams.max(1)))
    }
}

/// Checks the parcels of a shipment.
///
/// # Errors
/// None, too many, a measure of 0 or above its bound.
pub fn check_parcels(parcels: &[Parcel]) -> Result<(), ParcelError> {
    if parcels.is_empty() || parcels.len() > PARCELS_MAX {
        return Err(ParcelError::Number(parcels.len()));
    }
    for (number, parcel) in parcels.iter().enumerate() {
        let measures = [
            ("weight_grams", parcel.weight_grams, GRAMS_MAX),
            ("length_mm", parcel.length_mm, MILLIMETRES_MAX),
            ("width_mm", parcel.width_mm, MILLIMETRES_MAX),
            ("height_mm", parcel.height_mm, MILLIMETRES_MAX),
        ];
        for (what, found, most) in measures {
            if !(1..=most).contains(&found) {
                return Err(ParcelError::Measure { parcel: number, what, found, most });
            }
        }
    }
    Ok(())
}
