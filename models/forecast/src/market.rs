//! What the series of a marketplace add up to: products in regions by category, seller and region; nothing is forecast here.

use crate::demand::{DailySeries, DemandError, SeriesKey};
use dhow_events::{Category, ProductId, Region, SellerId};
use dhow_hierarchy::{Dimension, Grouping, Hierarchy, HierarchyError};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What demand is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Subject {
    /// One product.
    Product(ProductId),
    /// All products of a seller.
    Seller(SellerId),
    /// All products of a category and of those below it, such as `home` with `home/garden`.
    Category(Category),
    /// All products.
    All,
}

impl Subject {
    /// True for a single product.
    pub fn is_product(&self) -> bool {
        matches!(self, Subject::Product(_))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Product(product) => product.fmt(f),
            Subject::Seller(seller) => seller.fmt(f),
            Subject::Category(category) => write!(f, "category {}", category.as_str()),
            Subject::All => f.write_str("all products"),
        }
    }
}

/// Where a product belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Member {
    /// Its category; none where it is not known.
    pub category: Option<Category>,
    /// Who sells it; none where it is not known.
    pub seller: Option<SellerId>,
}

/// The nodes of a marketplace: every product, category, seller and all, each in every region where something of it was sold and
/// in all regions.
#[derive(Debug, Clone)]
pub struct Market {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) keys: Vec<SeriesKey>,
    bottoms: FxHashMap<(ProductId, Region), usize>,
}

/// The labels of all products and of all regions.
const ALL: &str = "all";

impl Market {
    /// The nodes over these products in regions; a product without a member belongs to all alone.
    ///
    /// # Errors
    /// No pair of product and region.
    pub fn new(
        pairs: &BTreeSet<(ProductId, Region)>,
        members: &BTreeMap<ProductId, Member>,
    ) -> Result<Market, DemandError> {
        if pairs.is_empty() {
            return Err(DemandError::Count { found: 0 });
        }
        let mut labels = Labels::default();
        let of = |product: &ProductId| members.get(product).copied().unwrap_or_default();
        let sold: BTreeMap<ProductId, Member> = pairs.iter().map(|(product, _)| (*product, of(product))).collect();
        let (mut by_category, mut by_seller) = (BTreeMap::new(), BTreeMap::new());
        for (product, member) in &sold {
            let label = labels.of(Subject::Product(*product));
            let mut child = label.clone();
            for category in member.category.into_iter().flat_map(ways_up) {
                let parent = labels.of(Subject::Category(category));
                by_category.insert(child, parent.clone());
                child = parent;
            }
            by_category.insert(child, ALL.to_owned());
            let seller = member.seller.map(|seller| labels.of(Subject::Seller(seller)));
            by_seller.insert(label, seller.clone().unwrap_or_else(|| ALL.to_owned()));
            by_seller.extend(seller.map(|seller| (seller, ALL.to_owned())));
        }
        let regions: BTreeSet<Region> = pairs.iter().map(|(_, region)| *region).collect();
        let by_label: BTreeMap<String, Region> =
            regions.iter().map(|region| (format!("in {}", region.as_str()), *region)).collect();
        let in_all: BTreeMap<String, String> = by_label.keys().map(|label| (label.clone(), ALL.to_owned())).collect();
        let products = vec![grouping("category", &by_category)?, grouping("seller", &by_seller)?];
        let dimensions =
            [Dimension::new("product", products), Dimension::new("region", vec![grouping("region", &in_all)?])];
        let rows: Vec<[String; 2]> = pairs
            .iter()
            .map(|(product, region)| [labels.of(Subject::Product(*product)), format!("in {}", region.as_str())])
            .collect();
        let hierarchy = Hierarchy::new(&dimensions, &rows)?;
        let key = |node: usize| {
            let names = hierarchy.labels(node).unwrap_or_default();
            let subject = labels.0.get(&names[0]).copied().unwrap_or(Subject::All);
            SeriesKey { subject, region: by_label.get(&names[1]).copied() }
        };
        let keys = (0..hierarchy.nodes()).map(key).collect();
        let bottoms = pairs.iter().copied().enumerate().map(|(row, pair)| (pair, row)).collect();
        Ok(Market { hierarchy, keys, bottoms })
    }

    /// What each node is of.
    pub fn keys(&self) -> &[SeriesKey] {
        &self.keys
    }

    /// The series of every node over the `days` from `first_day` on, each from its first demand on, from demand of products in
    /// regions; demand of another pair or day is left out.
    ///
    /// # Errors
    /// A quantity that is not finite.
    pub fn series(
        &self,
        demand: impl IntoIterator<Item = (ProductId, Region, i64, f64)>,
        first_day: i64,
        days: usize,
    ) -> Result<Vec<DailySeries>, DemandError> {
        let mut rows = vec![vec![0.0; self.hierarchy.bottoms()]; days];
        for (product, region, day, quantity) in demand {
            let row = usize::try_from(day.saturating_sub(first_day)).ok().and_then(|at| rows.get_mut(at));
            if let (Some(row), Some(bottom)) = (row, self.bottoms.get(&(product, region))) {
                row[*bottom] += quantity;
            }
        }
        let sums = rows.iter().map(|row| self.hierarchy.sum(row)).collect::<Result<Vec<_>, _>>()?;
        let of_node = |(node, key): (usize, &SeriesKey)| {
            let begin = sums.iter().position(|row| row[node] > 0.0)?;
            let quantities = sums[begin..].iter().map(|row| row[node]).collect();
            Some(DailySeries { key: *key, first_day: first_day + begin as i64, quantities })
        };
        Ok(self.keys.iter().enumerate().filter_map(of_node).collect())
    }
}

/// Texts of subjects, and back.
#[derive(Default)]
struct Labels(BTreeMap<String, Subject>);

impl Labels {
    fn of(&mut self, subject: Subject) -> String {
        let label = subject.to_string();
        self.0.insert(label.clone(), subject);
        label
    }
}

fn grouping(name: &str, parents: &BTreeMap<String, String>) -> Result<Grouping, HierarchyError> {
    Grouping::new(name, parents.iter().map(|(child, parent)| (&child[..], &parent[..])))
}

/// A category and those above it, the nearest first.
pub(crate) fn ways_up(category: Category) -> impl Iterator<Item = Category> {
    let above = |category: &Category| {
        let (head, _) = category.as_str().rsplit_once('/')?;
        Category::new(head).ok()
    };
    std::iter::successors(Some(category), above)
}
