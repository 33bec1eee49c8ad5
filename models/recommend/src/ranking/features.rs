//! What the ranker knows of a candidate: one row of numbers, the same at training and at serving; how they are weighed is learned.

use rustc_hash::FxHashMap;

use crate::marks::Marks;
use crate::ranking::Sources;
use crate::ranking::candidates::{Pool, Shopper};
use crate::ranking::content::Direction;
use crate::{RecommendError, RecommendModel};

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
    content_taste: Option<&Direction>,
) -> Result<(), RecommendError> {
    let items: Vec<u32> = (0..pool.len()).map(|row| pool.item(row)).collect();
    let (visit, history) = (Company::of(model, &shopper.session), Company::of(model, &shopper.history));
    let [in_visit, in_history] =
        [&shopper.session, &shopper.history].map(|seen| Marks::steps_back(seen, model.items.len()));
    let current = shopper.session.last().and_then(|item| category(model, *item));
    for (row, &item) in pool.rows_mut().iter_mut().zip(&items) {
        let of_category = category(model, item);
        let seller = model.items.seller(item);
        let of_seller = visit.of_seller(seller) + history.of_seller(seller);
        let log_price = log_price(model, item);
        let mut set = |column: Column, value: f64| row[column as usize] = value;
        set(Column::Popularity, sources.popularity_of(item));
        set(Column::CurrentCategory, f64::from(u8::from(current.is_some() && current == of_category)));
        set(Column::VisitCategory, visit.share_of_category(of_category));
        set(Column::HistoryCategory, history.share_of_category(of_category));
        set(Column::Seller, f64::from(of_seller) / (visit.items + history.items).max(1) as f64);
        set(Column::VisitPrice, visit.price_distance(log_price));
        set(Column::HistoryPrice, history.price_distance(log_price));
        set(Column::SeenInVisit, in_visit.get(item).map_or(0.0, nearness_of));
        set(Column::SeenInHistory, in_history.get(item).map_or(0.0, nearness_of));
        set(Column::Content, content_taste.map_or(0.0, |taste| sources.content_score(taste, item)));
    }
    if let Some(taste) = taste {
        for (row, (product, cosine)) in sources.taste_of(taste, &items)?.into_iter().enumerate() {
            pool.set(row, Column::Taste, product);
            pool.set(row, Column::TasteCosine, cosine);
        }
    }
    let of_sources =
        [Column::Visits, Column::AlsoViewed, Column::AfterCurrent, Column::Taste, Column::History, Column::Basket];
    pool.as_shares(of_sources);
    Ok(())
}

/// 1 / steps back from the end, the last one being one step back; 0 where the item is not there.
pub(super) fn nearness(items: &[u32], item: u32) -> f64 {
    items.iter().rev().position(|other| *other == item).map_or(0.0, |steps| nearness_of(steps as u32))
}

fn nearness_of(steps_back: u32) -> f64 {
    1.0 / (f64::from(steps_back) + 1.0)
}

fn category(model: &RecommendModel, item: u32) -> Option<u32> {
    model.items.categories_of(item).first().copied()
}

fn log_price(model: &RecommendModel, item: u32) -> f64 {
    (model.items.price_usd_minor(item) as f64 + 1.0).ln()
}

/// What a list of items is like: counted once, asked for every candidate.
struct Company {
    items: usize,
    /// By category.
    of_categories: Vec<u32>,
    of_sellers: FxHashMap<dhow_events::SellerId, u32>,
    mean_log_price: f64,
}

impl Company {
    fn of(model: &RecommendModel, items: &[u32]) -> Self {
        let mut company = Self {
            items: items.len(),
            of_categories: vec![0; model.items.category_count()],
            of_sellers: FxHashMap::default(),
            mean_log_price: 0.0,
        };
        for item in items {
            if let Some(category) = category(model, *item) {
                company.of_categories[category as usize] += 1;
            }
            *company.of_sellers.entry(model.items.seller(*item)).or_default() += 1;
            company.mean_log_price += log_price(model, *item);
        }
        company.mean_log_price /= items.len().max(1) as f64;
        company
    }

    fn share_of_category(&self, category: Option<u32>) -> f64 {
        let same = category.map_or(0, |category| self.of_categories[category as usize]);
        f64::from(same) / self.items.max(1) as f64
    }

    fn of_seller(&self, seller: dhow_events::SellerId) -> u32 {
        self.of_sellers.get(&seller).copied().unwrap_or_default()
    }

    /// Zero, the middle, where there is nothing to compare with.
    fn price_distance(&self, log_price: f64) -> f64 {
        if self.items == 0 { 0.0 } else { (log_price - self.mean_log_price).abs() }
    }
}
