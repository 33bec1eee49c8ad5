//! How many of all products that answer have which value; it filters nothing.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::document::ATTRIBUTES_MAX;
use crate::error::SearchProblem;
use crate::fusion::Candidate;
use crate::index::View;

/// Values that one facet tells, those with the most products first.
pub const FACET_VALUES_MAX: usize = 50;

/// Which facets are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FacetsAsked {
    /// The categories, those above included.
    pub categories: bool,
    /// The sellers.
    pub sellers: bool,
    /// The least and the highest price.
    pub prices: bool,
    /// The values of these attributes.
    pub attributes: Vec<String>,
}

/// A value and how many products have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCount {
    /// The value.
    pub value: String,
    /// Products.
    pub count: u64,
}

/// What was asked for; the rest is empty. They count all products that answer, on whatever page they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facets {
    /// Paths of categories, those above included.
    pub categories: Vec<FacetCount>,
    /// Sellers' ids.
    pub sellers: Vec<FacetCount>,
    /// The least and the highest price, in the index's minor units.
    pub prices: Option<(i64, i64)>,
    /// Values by the attribute's name.
    pub attributes: BTreeMap<String, Vec<FacetCount>>,
}

impl FacetsAsked {
    pub(crate) fn check(&self, problems: &mut Vec<SearchProblem>) {
        if self.attributes.len() > ATTRIBUTES_MAX {
            let detail = format!("names {} attributes; at most {ATTRIBUTES_MAX} are counted", self.attributes.len());
            problems.push(SearchProblem { part: "facets", detail });
        }
    }

    /// Counts the candidates.
    pub(crate) fn count(&self, view: &View<'_>, candidates: &[Candidate]) -> Facets {
        let found = || candidates.iter().filter_map(|candidate| view.state.product(candidate.slot));
        let mut facets = Facets::default();
        if self.categories {
            facets.categories = ranked(found().flat_map(|held| held.document.categories().map(str::to_owned)));
        }
        if self.sellers {
            facets.sellers = ranked(found().map(|held| held.document.seller).map(|seller| seller.to_string()));
        }
        if self.prices {
            let (low, high) = (found().map(|held| held.price_minor).min(), found().map(|held| held.price_minor).max());
            facets.prices = low.zip(high);
        }
        for name in &self.attributes {
            let values = found().filter_map(|held| held.document.attributes.get(name)).cloned();
            facets.attributes.insert(name.clone(), ranked(values));
        }
        facets
    }
}

fn ranked(values: impl Iterator<Item = String>) -> Vec<FacetCount> {
    let mut counts: FxHashMap<String, u64> = FxHashMap::default();
    values.for_each(|value| *counts.entry(value).or_default() += 1);
    let mut counts: Vec<FacetCount> = counts.into_iter().map(|(value, count)| FacetCount { value, count }).collect();
    counts.sort_unstable_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
    counts.truncate(FACET_VALUES_MAX);
    counts
}
