//! The catalogue's snapshot behind dense item numbers, and the filters that follow from it; live stock and price are the caller's.

use dhow_events::{Category, ProductId, Region, SellerId};
use serde::{Deserialize, Serialize};

use crate::lists::Lists;
use crate::model::TrainError;
use crate::places::{category_and_parents, region_and_around};
use crate::{CatalogueItem, PriceBand};

/// Products in ascending order of their ids; the position is the dense item number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Items {
    products: Vec<ProductId>,
    sellers: Vec<SellerId>,
    prices_usd_minor: Vec<i64>,
    texts: Vec<String>,
    /// Every category of the catalogue and its parents, ascending.
    categories: Vec<Category>,
    /// Per item: its category and the parents, nearest first, as positions in `categories`.
    item_categories: Lists<u32>,
    /// Per item: where it may be sold; an empty row means everywhere.
    item_regions: Lists<Region>,
    /// Items by price, derived from the above.
    #[serde(skip)]
    by_price: Vec<u32>,
}

/// The part of a request that the snapshot can judge.
pub(crate) struct Filter {
    category: Option<Option<u32>>,
    regions: Vec<Region>,
    price_band: Option<PriceBand>,
}

impl Items {
    pub(crate) fn new(catalogue: &[CatalogueItem]) -> Result<Self, TrainError> {
        if catalogue.is_empty() {
            return Err(TrainError::NoCatalogue);
        }
        let mut sorted: Vec<&CatalogueItem> = catalogue.iter().collect();
        sorted.sort_by_key(|item| item.product);
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].product == pair[1].product) {
            return Err(TrainError::DuplicateProduct(pair[0].product));
        }
        if let Some(item) = sorted.iter().find(|item| item.price_usd_minor < 0) {
            return Err(TrainError::NegativePrice { product: item.product, price_usd_minor: item.price_usd_minor });
        }
        let mut categories: Vec<Category> =
            sorted.iter().flat_map(|item| category_and_parents(item.category)).collect();
        categories.sort_unstable();
        categories.dedup();
        let number = |category: Category| categories.binary_search(&category).ok().map(|at| at as u32);
        let item_categories =
            sorted.iter().map(|item| category_and_parents(item.category).filter_map(number).collect::<Vec<_>>());
        let mut items = Self {
            products: sorted.iter().map(|item| item.product).collect(),
            sellers: sorted.iter().map(|item| item.seller).collect(),
            texts: sorted.iter().map(|item| item.text.clone()).collect(),
            prices_usd_minor: sorted.iter().map(|item| item.price_usd_minor).collect(),
            item_categories: Lists::from_rows(item_categories),
            item_regions: Lists::from_rows(sorted.iter().map(|item| item.regions.clone())),
            categories,
            by_price: Vec::new(),
        };
        items.sort_by_price();
        Ok(items)
    }

    /// Derives what is not written to a file: to be called once after reading.
    pub(crate) fn sort_by_price(&mut self) {
        self.by_price = (0_u32..).take(self.products.len()).collect();
        self.by_price.sort_by_key(|item| (self.prices_usd_minor[*item as usize], *item));
    }

    /// The items within a band, cheapest first.
    pub(crate) fn in_band(&self, band: PriceBand) -> &[u32] {
        let price = |item: &u32| self.prices_usd_minor[*item as usize];
        let from = self.by_price.partition_point(|item| price(item) < band.from_usd_minor);
        let to = self.by_price.partition_point(|item| price(item) <= band.to_usd_minor);
        &self.by_price[from.min(to)..to]
    }

    pub(crate) fn len(&self) -> usize {
        self.products.len()
    }

    pub(crate) fn find(&self, product: ProductId) -> Option<u32> {
        self.products.binary_search(&product).ok().map(|at| at as u32)
    }

    pub(crate) fn products(&self) -> &[ProductId] {
        &self.products
    }

    pub(crate) fn product(&self, item: u32) -> ProductId {
        self.products[item as usize]
    }

    pub(crate) fn seller(&self, item: u32) -> SellerId {
        self.sellers[item as usize]
    }

    pub(crate) fn text(&self, item: u32) -> &str {
        &self.texts[item as usize]
    }

    /// The item's category and its parents, nearest first, by name.
    pub(crate) fn category_names(&self, item: u32) -> impl Iterator<Item = Category> {
        self.categories_of(item).iter().map(|category| self.categories[*category as usize])
    }

    pub(crate) fn price_usd_minor(&self, item: u32) -> i64 {
        self.prices_usd_minor[item as usize]
    }

    pub(crate) fn category_count(&self) -> usize {
        self.categories.len()
    }

    pub(crate) fn find_category(&self, category: Category) -> Option<u32> {
        self.categories.binary_search(&category).ok().map(|at| at as u32)
    }

    /// The item's category and its parents, nearest first.
    pub(crate) fn categories_of(&self, item: u32) -> &[u32] {
        self.item_categories.row(item as usize)
    }

    pub(crate) fn filter(
        &self,
        category: Option<Category>,
        region: Option<Region>,
        price_band: Option<PriceBand>,
    ) -> Filter {
        Filter {
            category: category.map(|category| self.find_category(category)),
            regions: region.into_iter().flat_map(region_and_around).collect(),
            price_band,
        }
    }

    pub(crate) fn passes(&self, item: u32, filter: &Filter) -> bool {
        let in_category = || match filter.category {
            None => true,
            Some(None) => false,
            Some(Some(wanted)) => self.categories_of(item).contains(&wanted),
        };
        let in_region = || {
            let sold_in = self.item_regions.row(item as usize);
            filter.regions.is_empty()
                || sold_in.is_empty()
                || sold_in.iter().any(|region| filter.regions.contains(region))
        };
        filter.price_band.is_none_or(|band| band.contains(self.prices_usd_minor[item as usize]))
            && in_category()
            && in_region()
    }

    pub(crate) fn is_sound(&self) -> bool {
        let items = self.products.len();
        items > 0
            && self.products.is_sorted_by(|a, b| a < b)
            && self.sellers.len() == items
            && self.prices_usd_minor.len() == items
            && self.texts.len() == items
            && self.prices_usd_minor.len() == items
            && self.categories.is_sorted_by(|a, b| a < b)
            && self.item_categories.is_sound(items, |category| (*category as usize) < self.categories.len())
            && self.item_regions.is_sound(items, |_| true)
    }
}
