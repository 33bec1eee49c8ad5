//! Filters as a set of products, made from postings before anything is scored; it scores nothing.

use std::collections::BTreeMap;

use dhow_events::SellerId;
use tantivy::Term;

use crate::SearchError;
use crate::bits::Bits;
use crate::error::SearchProblem;
use crate::index::View;

/// Values of one kind that a request may filter by.
pub const FILTER_VALUES_MAX: usize = 32;

/// What is asked of a product besides its words. Kinds are joined by *and*, values of one kind by *or*; what is empty asks
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filters {
    /// One of these categories, or one below it.
    pub categories: Vec<String>,
    /// One of these sellers.
    pub sellers: Vec<SellerId>,
    /// The least price, itself included, in the index's minor units.
    pub price_min: Option<i64>,
    /// The highest price, itself included.
    pub price_max: Option<i64>,
    /// For each name one of these values.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// May be sold in this region.
    pub region: Option<String>,
    /// Can be bought now.
    pub available_only: bool,
}

impl Filters {
    pub(crate) fn check(&self, problems: &mut Vec<SearchProblem>) {
        let values = self.attributes.values().map(Vec::len).sum();
        let counts = [("category", self.categories.len()), ("seller", self.sellers.len()), ("attribute", values)];
        for (part, count) in counts {
            if count > FILTER_VALUES_MAX {
                let detail = format!("has {count} values; at most {FILTER_VALUES_MAX} are taken");
                problems.push(SearchProblem { part, detail });
            }
        }
        if self.attributes.values().any(Vec::is_empty) {
            problems.push(SearchProblem { part: "attribute", detail: "has a name without a value".to_owned() });
        }
        if let (Some(min), Some(max)) = (self.price_min, self.price_max)
            && min > max
        {
            let detail = format!("is at least {min} and at most {max}: no price is both");
            problems.push(SearchProblem { part: "price", detail });
        }
    }

    /// The products that all kinds let through.
    pub(crate) fn allowed(&self, view: &View<'_>) -> Result<Bits, SearchError> {
        let columns = view.columns;
        let mut clauses: Vec<Vec<Term>> = Vec::new();
        if !self.categories.is_empty() {
            clauses.push(self.categories.iter().map(|path| columns.category_term(path.trim_matches('/'))).collect());
        }
        if !self.sellers.is_empty() {
            clauses.push(self.sellers.iter().map(|seller| columns.seller_term(&seller.to_string())).collect());
        }
        for (name, values) in &self.attributes {
            clauses.push(values.iter().map(|value| columns.attribute_term(name, value)).collect());
        }
        if self.available_only {
            clauses.push(vec![columns.available_term()]);
        }
        let mut allowed = view.state.present.clone();
        for clause in clauses {
            let mut either = Bits::none(view.state.products.len());
            for term in &clause {
                view.postings(term, |slot, _| either.insert(slot))?;
            }
            allowed.keep(&either);
        }
        if let Some(region) = &self.region {
            // Most products are sold everywhere; only of the others the rule is asked.
            view.postings(&columns.restricted_term(), |slot, _| {
                if !view.state.product(slot).is_some_and(|held| held.document.sale_regions.admits(region)) {
                    allowed.remove(slot);
                }
            })?;
        }
        if self.price_min.is_some() || self.price_max.is_some() {
            let (min, max) = (self.price_min.unwrap_or(i64::MIN), self.price_max.unwrap_or(i64::MAX));
            let outside =
                |slot: &u32| !view.state.product(*slot).is_some_and(|held| (min..=max).contains(&held.price_minor));
            let dropped: Vec<u32> = allowed.iter().filter(outside).collect();
            dropped.into_iter().for_each(|slot| allowed.remove(slot));
        }
        Ok(allowed)
    }
}
