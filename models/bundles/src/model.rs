//! The fitted pairs of all regions, and the questions that they answer.

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::BundlesError;
use crate::baskets::{Baskets, MAX_ITEMS};
use crate::error::{check_count, check_range};
use crate::scope::{MAX_PARTNERS, Scope};

/// At most so many regions have pairs of their own: those with the most baskets.
pub const MAX_REGIONS: usize = 64;
/// The fewest complements of a starter kit.
pub const MIN_KIT_COMPLEMENTS: usize = 2;
/// The most complements of a starter kit.
pub const MAX_KIT_COMPLEMENTS: usize = 4;

/// What counts as a pair.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BundleSettings {
    /// A pair is in at least so many baskets; at least 1.
    pub min_support: u32,
    /// A pair's log-likelihood ratio is at least this: 10.8 by chance in one of 1,000 independent pairs, 24 in one of a
    /// million. 0 to 10,000.
    pub min_evidence: f64,
    /// Partners kept of each item, 1 to [`MAX_PARTNERS`].
    pub partners: usize,
    /// Baskets added to a pair's, and to those by chance, before kits compare lifts. Above 0, at most 1,000,000.
    pub prior_baskets: f64,
    /// A region with fewer baskets has no pairs of its own; at least 1.
    pub min_region_baskets: usize,
}

impl Default for BundleSettings {
    fn default() -> Self {
        Self { min_support: 5, min_evidence: 24.0, partners: 50, prior_baskets: 5.0, min_region_baskets: 500 }
    }
}

impl BundleSettings {
    fn check(&self) -> Result<(), BundlesError> {
        check_range("min_support", f64::from(self.min_support), 1.0..=f64::MAX, "at least 1")?;
        check_range("min_evidence", self.min_evidence, 0.0..=10_000.0, "0 to 10,000")?;
        check_range("partners", self.partners as f64, 1.0..=MAX_PARTNERS as f64, "1 to 200")?;
        check_range("prior_baskets", self.prior_baskets, 1e-6..=1e6, "above 0 and at most 1,000,000")?;
        check_range("min_region_baskets", self.min_region_baskets as f64, 1.0..=f64::MAX, "at least 1")
    }
}

/// Whose baskets say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Those of the region that was asked for.
    Region,
    /// All baskets, which stand in where the region knows too little, or where no region was given.
    All,
}

/// An item bought together with another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Partner {
    /// The item.
    pub item: u32,
    /// Baskets that hold both.
    pub support: u32,
    /// Share of the other item's baskets that hold this one too, 0 to 1.
    pub confidence: f64,
    /// How many times more often the two meet than by chance; above 1.
    pub lift: f64,
    /// The pair's log-likelihood ratio.
    pub evidence: f64,
    /// Whose baskets were counted.
    pub reach: Reach,
}

/// What a starter kit may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KitRules {
    /// Complements at most, 2 to 4; a kit may have fewer, but never fewer than 2.
    pub complements: usize,
    /// Items of one category at most, the anchor among them; at least 1.
    pub max_per_category: usize,
}

impl Default for KitRules {
    fn default() -> Self {
        Self { complements: MAX_KIT_COMPLEMENTS, max_per_category: 2 }
    }
}

/// An item with others that go with it and with one another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kit {
    /// What the kit is for.
    pub anchor: u32,
    /// The others, in the order in which they were chosen, with what pairs them to the anchor.
    pub complements: Vec<Partner>,
    /// The logarithm of the joint lift: the sum of the logarithms of all pairs' shrunk lifts; above 0.
    pub log_joint_lift: f64,
    /// Whose baskets were counted; one for the whole kit.
    pub reach: Reach,
}

/// What is bought together, by region and over all. Immutable; share it between threads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct BundleModel {
    settings: BundleSettings,
    categories: Vec<u32>,
    all: Scope,
    /// By region number, ascending.
    regions: Vec<(u32, Scope)>,
    baskets_cut_short: usize,
}

/// What is written of a model.
#[derive(Serialize, Deserialize)]
struct Stored {
    settings: BundleSettings,
    categories: Vec<u32>,
    all: Scope,
    regions: Vec<(u32, Scope)>,
    baskets_cut_short: usize,
}

impl From<BundleModel> for Stored {
    fn from(model: BundleModel) -> Self {
        let BundleModel { settings, categories, all, regions, baskets_cut_short } = model;
        Self { settings, categories, all, regions, baskets_cut_short }
    }
}

impl TryFrom<Stored> for BundleModel {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { settings, categories, all, regions, baskets_cut_short } = stored;
        settings.check().map_err(|error| error.to_string())?;
        let sound = |scope: &Scope| scope.is_sound(categories.len());
        if !sound(&all) || !regions.iter().all(|(_, scope)| sound(scope)) || !regions.is_sorted_by(|a, b| a.0 < b.0) {
            return Err("a bundle model's counts do not fit together".to_owned());
        }
        Ok(Self { settings, categories, all, regions, baskets_cut_short })
    }
}

impl BundleModel {
    /// Counts baskets, each with its region's number. `categories` has the category of every item, and so says how many items
    /// there are. A basket's duplicates count once, its items beyond [`crate::MAX_BASKET_ITEMS`] not at all; empty baskets
    /// are passed over.
    ///
    /// # Errors
    /// No basket with an item, an unknown item, settings out of range, more than the bounds of the crate allow.
    pub fn fit<B: AsRef<[u32]>>(
        baskets: impl IntoIterator<Item = (u32, B)>,
        categories: Vec<u32>,
        settings: BundleSettings,
    ) -> Result<Self, BundlesError> {
        settings.check()?;
        check_count("items", categories.len(), MAX_ITEMS)?;
        let items = categories.len();
        let baskets = Baskets::collect(baskets, items)?;
        let everything: Vec<u32> = (0..baskets.regions.len() as u32).collect();
        let all = Scope::fit(&baskets, &everything, items, &settings);
        let regions = by_region(&baskets, settings.min_region_baskets)
            .into_iter()
            .map(|(region, of)| (region, Scope::fit(&baskets, &of, items, &settings)))
            .collect();
        Ok(Self { settings, categories, all, regions, baskets_cut_short: baskets.cut_short })
    }

    /// How many items there are.
    pub fn items(&self) -> usize {
        self.categories.len()
    }

    /// Baskets counted: with an item, and cut short at [`crate::MAX_BASKET_ITEMS`] distinct ones.
    pub fn baskets(&self) -> (u32, usize) {
        (self.all.baskets, self.baskets_cut_short)
    }

    /// The numbers of the regions that have pairs of their own, ascending.
    pub fn regions(&self) -> impl Iterator<Item = u32> {
        self.regions.iter().map(|(region, _)| *region)
    }

    /// At most `count` items bought together with `item`, most evidence first: those of the region's baskets, then, where
    /// they are too few, others of all baskets. Only items that `eligible` lets through. Empty for an unknown item.
    pub fn partners(
        &self,
        item: u32,
        region: Option<u32>,
        count: usize,
        eligible: &dyn Fn(u32) -> bool,
    ) -> Vec<Partner> {
        let mut found: Vec<Partner> = Vec::new();
        for (scope, reach) in self.scopes(region) {
            for &(other, support) in scope.partners.row(item as usize) {
                if found.len() == count {
                    return found;
                }
                if !found.iter().any(|partner| partner.item == other) && eligible(other) {
                    found.push(partner(scope, item, other, support, reach));
                }
            }
        }
        found
    }

    /// A starter kit for `anchor`: its partners are added one at a time, each time the one that multiplies the joint lift (the
    /// product of all pairs' shrunk lifts) the most, while it grows and the categories allow. From the region's baskets if they
    /// give at least [`MIN_KIT_COMPLEMENTS`] complements, else from all; nothing if those do not either, or for an unknown item.
    ///
    /// # Errors
    /// Rules out of range.
    pub fn kit(
        &self,
        anchor: u32,
        region: Option<u32>,
        rules: KitRules,
        eligible: &dyn Fn(u32) -> bool,
    ) -> Result<Option<Kit>, BundlesError> {
        let range = MIN_KIT_COMPLEMENTS as f64..=MAX_KIT_COMPLEMENTS as f64;
        check_range("complements of a kit", rules.complements as f64, range, "2 to 4")?;
        check_range("max_per_category", rules.max_per_category as f64, 1.0..=f64::MAX, "at least 1")?;
        Ok(self
            .scopes(region)
            .map(|(scope, reach)| self.kit_of(scope, reach, anchor, rules, eligible))
            .find(|kit| kit.complements.len() >= MIN_KIT_COMPLEMENTS))
    }

    fn kit_of(&self, scope: &Scope, reach: Reach, anchor: u32, rules: KitRules, eligible: &dyn Fn(u32) -> bool) -> Kit {
        let mut kit = Kit { anchor, complements: Vec::new(), log_joint_lift: 0.0, reach };
        // Each partner that may still come in, with the logarithm of what it would multiply the joint lift by.
        let prior = self.settings.prior_baskets;
        let mut left: Vec<(Partner, f64)> = scope
            .partners
            .row(anchor as usize)
            .iter()
            .filter(|(other, _)| eligible(*other))
            .map(|(other, support)| partner(scope, anchor, *other, *support, reach))
            .map(|partner| (partner, scope.shrunk_lift(anchor, partner.item, prior).ln()))
            .collect();
        while kit.complements.len() < rules.complements {
            left.retain(|(partner, _)| self.in_category(&kit, partner.item) < rules.max_per_category);
            let mut best: Option<usize> = None;
            for (at, (_, gain)) in left.iter().enumerate() {
                if *gain > best.map_or(0.0, |best| left[best].1) {
                    best = Some(at);
                }
            }
            let Some(at) = best else { break };
            let (chosen, gain) = left.remove(at);
            kit.log_joint_lift += gain;
            for (partner, gain) in &mut left {
                *gain += scope.shrunk_lift(chosen.item, partner.item, prior).ln();
            }
            kit.complements.push(chosen);
        }
        kit
    }

    /// How many items of the kit are of the category of `item`.
    fn in_category(&self, kit: &Kit, item: u32) -> usize {
        let category = |item: u32| self.categories[item as usize];
        let complements = kit.complements.iter().map(|partner| partner.item);
        complements.chain([kit.anchor]).filter(|other| category(*other) == category(item)).count()
    }

    /// The region's pairs, where it has any, then those of all.
    fn scopes(&self, region: Option<u32>) -> impl Iterator<Item = (&Scope, Reach)> {
        let own = region.and_then(|region| self.regions.binary_search_by_key(&region, |(number, _)| *number).ok());
        own.map(|at| (&self.regions[at].1, Reach::Region)).into_iter().chain([(&self.all, Reach::All)])
    }
}

fn partner(scope: &Scope, item: u32, other: u32, support: u32, reach: Reach) -> Partner {
    Partner {
        item: other,
        support,
        confidence: f64::from(support) / f64::from(scope.item_baskets[item as usize]),
        lift: scope.lift(item, other, support),
        evidence: scope.evidence(item, other, support),
        reach,
    }
}

/// The places of the baskets of each region that has enough, by ascending region; of too many regions the largest.
fn by_region(baskets: &Baskets, min_baskets: usize) -> Vec<(u32, Vec<u32>)> {
    let mut places: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
    for (at, region) in baskets.regions.iter().enumerate() {
        places.entry(*region).or_default().push(at as u32);
    }
    let mut regions: Vec<(u32, Vec<u32>)> = places.into_iter().filter(|(_, of)| of.len() >= min_baskets).collect();
    regions.sort_unstable_by_key(|(region, of)| (std::cmp::Reverse(of.len()), *region));
    regions.truncate(MAX_REGIONS);
    regions.sort_unstable_by_key(|(region, _)| *region);
    regions
}
