//! What effects are measured from: sales of products by region and day, with listed prices and discounts; checked, nothing else.

use crate::EffectError;
use crate::error::check;
use dhow_events::{Category, ProductId};

/// What a product sold in a region on a day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoldOn {
    /// The region's number, below the panel's `regions`.
    pub region: usize,
    /// The day's number, below the panel's `days`.
    pub day: usize,
    /// Units, above 0.
    pub units: f64,
}

/// One product of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct PanelProduct {
    /// Which.
    pub product: ProductId,
    /// Its category; none where it is not known.
    pub category: Option<Category>,
    /// What it sold, each region and day once.
    pub sold: Vec<SoldOn>,
    /// The listed price of each day, above 0; NaN while it was not on offer.
    pub prices: Vec<f64>,
    /// The share that a promotion took off the price on each day, 0 for none, below 1.
    pub discounts: Vec<f64>,
}

/// Products over the same days.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// Days.
    pub days: usize,
    /// Regions.
    pub regions: usize,
    /// The products.
    pub products: Vec<PanelProduct>,
}

impl Panel {
    /// Refuses what cannot be measured from.
    pub(crate) fn check(&self) -> Result<(), EffectError> {
        for (product, one) in self.products.iter().enumerate() {
            for (what, found) in [("prices", one.prices.len()), ("discounts", one.discounts.len())] {
                if found != self.days {
                    return Err(EffectError::Length { product, what, found, expected: self.days });
                }
            }
            for price in &one.prices {
                check(
                    "price",
                    *price,
                    "finite and above 0, or NaN",
                    price.is_nan() || (price.is_finite() && *price > 0.0),
                )?;
            }
            for discount in &one.discounts {
                check("discount", *discount, "at least 0 and below 1", (0.0..1.0).contains(discount))?;
            }
            for sold in &one.sold {
                check("units", sold.units, "finite and above 0", sold.units.is_finite() && sold.units > 0.0)?;
                check("region", sold.region as f64, "below the panel's regions", sold.region < self.regions)?;
                check("day", sold.day as f64, "below the panel's days", sold.day < self.days)?;
            }
        }
        Ok(())
    }
}
