//! Starter kits around a product, by region, from what was bought in one basket; the counting is `dhow-bundles`'.

use dhow_bundles::{BundleModel, BundleSettings, KitRules, Reach};
use dhow_events::{ProductId, Region};
use serde::{Deserialize, Serialize};

use crate::model::TrainError;
use crate::sequences::actions;
use crate::{Interaction, InteractionKind, RecommendError, RecommendModel};

/// What is bought in one basket, everywhere and by region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kits {
    /// Ascending; places are the regions' numbers.
    regions: Vec<Region>,
    bundles: BundleModel,
}

/// A product that completes a kit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Complement {
    /// The product.
    pub product: ProductId,
    /// Baskets with it and the anchor.
    pub baskets: u32,
    /// The share of the anchor's baskets that hold it too, 0 to 1.
    pub confidence: f64,
    /// How many times more often than by chance the two meet.
    pub lift: f64,
    /// Whether this was counted in the shopper's region, not in all.
    pub regional: bool,
}

impl RecommendModel {
    /// Adds starter kits, counted in the baskets of `interactions`.
    ///
    /// # Errors
    /// More baskets or items than can be counted.
    pub fn with_kits(mut self, interactions: &[Interaction]) -> Result<Self, TrainError> {
        let actions = actions(interactions, &self.items);
        let bought: Vec<_> = actions.iter().filter(|action| action.kind == InteractionKind::Purchase).collect();
        let mut regions: Vec<Region> = bought.iter().filter_map(|action| action.region).collect();
        regions.sort_unstable();
        regions.dedup();
        let basket = |lines: &[&crate::sequences::Action]| {
            let region =
                lines.iter().find_map(|line| line.region).and_then(|region| regions.binary_search(&region).ok());
            // Baskets of an unknown region count for all regions together; no region has that number.
            (region.unwrap_or(regions.len()) as u32, lines.iter().map(|line| line.item).collect::<Vec<u32>>())
        };
        let baskets: Vec<(u32, Vec<u32>)> = bought.chunk_by(|a, b| a.session == b.session).map(basket).collect();
        let categories = (0..self.items.len() as u32)
            .map(|item| self.items.categories_of(item).first().copied().unwrap_or(u32::MAX))
            .collect();
        let bundles = BundleModel::fit(baskets, categories, BundleSettings::default())?;
        self.kits = Some(Kits { regions, bundles });
        Ok(self)
    }

    /// Two to four products that complete `product`, best first, from eligible ones; none where too little was bought with it.
    ///
    /// # Errors
    /// [`RecommendError::UnknownProduct`], or rules out of their ranges.
    pub fn kit(
        &self,
        product: ProductId,
        region: Option<Region>,
        rules: KitRules,
        eligible: &dyn Fn(ProductId) -> bool,
    ) -> Result<Vec<Complement>, RecommendError> {
        let anchor = self.items.find(product).ok_or(RecommendError::UnknownProduct(product))?;
        let Some(kits) = &self.kits else { return Ok(Vec::new()) };
        let region = region.and_then(|region| kits.regions.binary_search(&region).ok()).map(|number| number as u32);
        let eligible = |item: u32| eligible(self.items.product(item));
        let kit = kits.bundles.kit(anchor, region, rules, &eligible)?;
        let complement = |partner: &dhow_bundles::Partner| Complement {
            product: self.items.product(partner.item),
            baskets: partner.support,
            confidence: partner.confidence,
            lift: partner.lift,
            regional: partner.reach == Reach::Region,
        };
        Ok(kit.map(|kit| kit.complements.iter().map(complement).collect()).unwrap_or_default())
    }
}

impl Kits {
    pub(crate) fn is_sound(&self, items: usize) -> bool {
        self.regions.is_sorted_by(|a, b| a < b) && self.bundles.items() == items
    }
}
