//! What the ranker knows of a candidate: one row of numbers, the same at training and at serving; how they are weighed is learned.

use crate::RecommendModel;
use crate::ranking::Sources;
use crate::ranking::candidates::{Pool, Shopper};

/// The columns of a row. Scores of a source are shares of its best score, 0 where the source did not name the item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Column {
    /// Past visits like this one.
    Visits,
    /// 1 / rank among those.
    VisitsRank,
    /// Co-occurrence with the visit's products.
    AlsoViewed,
    /// The probability of coming right after the current product.
    Follower,
    /// Co-occurrence with the current product alone.
    AfterCurrent,
    /// The person's factors times the item's, as a share of the best in the pool; below 0 is disliked.
    Taste,
    /// The cosine of the person's factors and the item's.
    TasteCosine,
    /// How the person's taste for words and categories meets the item.
    Content,
    /// Co-occurrence with the products of the person's history.
    History,
    /// Bought in one basket with the current product.
    Basket,
    /// ln(1 + popularity).
    Popularity,
    /// The same in the shopper's region.
    RegionPopularity,
    /// 1 if of the current product's category.
    CurrentCategory,
    /// The share of the visit's products that are of its category.
    VisitCategory,
    /// The share of the history's products that are of its category.
    HistoryCategory,
    /// The share of the visit's and the history's products that are its seller's.
    Seller,
    /// The distance of its price's logarithm from the mean of the visit's.
    VisitPrice,
    /// The same from the history's.
    HistoryPrice,
    /// 1 / steps back to where it stands in the visit.
    SeenInVisit,
    /// 1 / steps back to where it stands in the history.
    SeenInHistory,
}

/// The columns' names, in their order.
pub(crate) const COLUMN_NAMES: [&str; WIDTH] = [
    "visits",
    "visits_rank",
    "also_viewed",
    "follower",
    "after_current",
    "taste",
    "taste_cosine",
    "content",
    "history",
    "basket",
    "popularity",
    "region_popularity",
    "current_category",
    "visit_category",
    "history_category",
    "seller",
    "visit_price",
    "history_price",
    "seen_in_visit",
    "seen_in_history",
];

/// How many columns a row has.
pub(crate) const WIDTH: usize = Column::SeenInHistory as usize + 1;

/// Of each column whether it is a source's score, of which more never speaks against an item.
pub(super) fn is_evidence() -> [bool; WIDTH] {
    std::array::from_fn(|column| column <= Column::RegionPopularity as usize)
}

/// Fills in what does not depend on where a candidate came from, and turns each source's scores into shares.
pub(crate) fn complete(
    pool: &mut Pool,
    model: &RecommendModel,
    sources: &Sources,
    shopper: &Shopper,
    taste: Option<&[f32]>,
) {
    let visit = Company::of(model, &shopper.session);
    let history = Company::of(model, &shopper.history);
    let current = shopper.session.last().map(|item| category(model, *item));
    for row in 0..pool.len() {
        let item = pool.item(row);
        if let Some(taste) = taste {
            let (product, cosine) = sources.taste_of(taste, item);
            pool.set(row, Column::Taste, product);
            pool.set(row, Column::TasteCosine, cosine);
        }
        let of_category = category(model, item);
        pool.set(row, Column::Popularity, sources.popularity_of(item));
        pool.set(row, Column::CurrentCategory, f64::from(u8::from(current == Some(of_category))));
        pool.set(row, Column::VisitCategory, visit.share_of_category(of_category));
        pool.set(row, Column::HistoryCategory, history.share_of_category(of_category));
        let seller = model.items.seller(item);
        let of_seller = visit.of_seller(seller) + history.of_seller(seller);
        pool.set(row, Column::Seller, of_seller as f64 / (visit.len() + history.len()).max(1) as f64);
        pool.set(row, Column::VisitPrice, visit.price_distance(model, item));
        pool.set(row, Column::HistoryPrice, history.price_distance(model, item));
        pool.set(row, Column::SeenInVisit, nearness(&shopper.session, item));
        pool.set(row, Column::SeenInHistory, nearness(&shopper.history, item));
    }
    if let Some(taste) = pool.content_taste {
        for row in 0..pool.len() {
            pool.set(row, Column::Content, sources.content_score(&taste, pool.item(row)));
        }
    }
    for column in
        [Column::Visits, Column::AlsoViewed, Column::AfterCurrent, Column::Taste, Column::History, Column::Basket]
    {
        pool.as_shares(column);
    }
}

/// 1 / steps back from the end; 0 where the item is not there.
pub(super) fn nearness(items: &[u32], item: u32) -> f64 {
    items.iter().rev().position(|other| *other == item).map_or(0.0, |steps| 1.0 / (steps as f64 + 1.0))
}

fn category(model: &RecommendModel, item: u32) -> Option<u32> {
    model.items.categories_of(item).first().copied()
}

fn log_price(model: &RecommendModel, item: u32) -> f64 {
    (model.items.price_usd_minor(item) as f64 + 1.0).ln()
}

/// What a list of items is like: counted once, asked for every candidate.
struct Company {
    categories: Vec<Option<u32>>,
    sellers: Vec<dhow_events::SellerId>,
    mean_log_price: f64,
}

impl Company {
    fn of(model: &RecommendModel, items: &[u32]) -> Self {
        let prices: f64 = items.iter().map(|item| log_price(model, *item)).sum();
        Self {
            categories: items.iter().map(|item| category(model, *item)).collect(),
            sellers: items.iter().map(|item| model.items.seller(*item)).collect(),
            mean_log_price: prices / items.len().max(1) as f64,
        }
    }

    fn len(&self) -> usize {
        self.sellers.len()
    }

    fn share_of_category(&self, category: Option<u32>) -> f64 {
        let same = self.categories.iter().filter(|other| **other == category).count();
        same as f64 / self.len().max(1) as f64
    }

    fn of_seller(&self, seller: dhow_events::SellerId) -> usize {
        self.sellers.iter().filter(|other| **other == seller).count()
    }

    /// Zero, the middle, where there is nothing to compare with.
    fn price_distance(&self, model: &RecommendModel, item: u32) -> f64 {
        if self.sellers.is_empty() { 0.0 } else { (log_price(model, item) - self.mean_log_price).abs() }
    }
}
