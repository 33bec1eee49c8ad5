//! Products and their stock: what may be listed and what a stored product holds; saving one is in `products`.

use std::collections::BTreeMap;

use dhow_events::{Category, Money, ProductId, Region, SaleRegions, SellerId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::media::{self, MediaReference};
use crate::prices::{self, PriceList};
use crate::words::worded;
use crate::{FieldProblem, PRODUCT_ATTRIBUTES_MAX, ProductReview, Variant};

/// The longest title, in bytes of UTF-8.
pub const TITLE_BYTES_MAX: usize = 300;
/// The longest description, in bytes of UTF-8.
pub const DESCRIPTION_BYTES_MAX: usize = 10_000;
/// The longest seller's reference, in bytes of UTF-8.
pub const REFERENCE_BYTES_MAX: usize = 100;
/// The highest price of one unit, in minor units.
pub(crate) const PRICE_MINOR_MAX: i64 = 1_000_000_000_000;
/// The heaviest unit: 1,000 tonnes.
const WEIGHT_GRAMS_MAX: i64 = 1_000_000_000;

worded! {
    /// Whether a product can be bought.
    ProductState {
        /// Waits for the marketplace's review.
        InReview = "in_review",
        /// On offer.
        Listed = "listed",
        /// The marketplace does not want it on offer.
        Rejected = "rejected",
        /// Taken off offer.
        Delisted = "delisted",
    }
}

/// What a seller says about a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductInput {
    /// Who offers it.
    pub seller: SellerId,
    /// What the seller calls it.
    pub reference: String,
    /// Its title.
    pub title: String,
    /// Its description; may be empty.
    #[serde(default)]
    pub description: String,
    /// Its category.
    pub category: Category,
    /// The price of one unit where no price list holds.
    pub price: Money,
    /// Prices by region, currency, quantity and date.
    #[serde(default)]
    pub prices: Vec<PriceList>,
    /// Where it ships from.
    pub region: Region,
    /// Where it may be sold.
    #[serde(default)]
    pub sale_regions: SaleRegions,
    /// The weight of one unit.
    pub weight_grams: i64,
    /// Pictures, films and papers, the first one first.
    #[serde(default)]
    pub media: Vec<MediaReference>,
    /// What its category declares, by key.
    #[serde(default)]
    pub attributes: BTreeMap<String, Value>,
    /// What it is a variant of; nothing where it stands by itself.
    #[serde(default)]
    pub variant: Option<Variant>,
}

impl ProductInput {
    /// Checks lengths and ranges.
    ///
    /// # Errors
    /// Every field that is wrong, with what would be right.
    pub fn check(&self) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        let mut text = |pointer: &str, value: &str, least: usize, most: usize| {
            if !(least..=most).contains(&value.len()) {
                problems.push(FieldProblem::new(
                    pointer,
                    format!("has {} bytes; it must have from {least} to {most}", value.len()),
                ));
            }
        };
        text("/title", self.title.trim(), 1, TITLE_BYTES_MAX);
        text("/description", &self.description, 0, DESCRIPTION_BYTES_MAX);
        text("/reference", self.reference.trim(), 1, REFERENCE_BYTES_MAX);
        let mut range = |pointer: &str, value: i64, most: i64, unit: &str| {
            if !(0..=most).contains(&value) {
                problems.push(FieldProblem::new(pointer, format!("is {value}; it must be from 0 to {most} {unit}")));
            }
        };
        range("/price/amount", self.price.amount_minor, PRICE_MINOR_MAX, "minor units");
        range("/weight_grams", self.weight_grams, WEIGHT_GRAMS_MAX, "grams");
        problems.extend(prices::check(&self.prices));
        problems.extend(media::check(&self.media));
        problems.extend(self.variant.iter().flat_map(Variant::check));
        if self.attributes.len() > PRODUCT_ATTRIBUTES_MAX {
            let message = format!("has {} entries; at most {PRODUCT_ATTRIBUTES_MAX} are taken", self.attributes.len());
            problems.push(FieldProblem::new("/attributes", message));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// A stored product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Whose row it is.
    pub tenant: TenantId,
    /// Which.
    pub id: ProductId,
    /// What the seller says about it.
    #[serde(flatten)]
    pub input: ProductInput,
    /// Whether it can be bought.
    pub state: ProductState,
    /// What the marketplace decided about it last; nothing before a first decision.
    #[serde(default)]
    pub review: Option<ProductReview>,
    /// Grows by one with every change, from 1; the product's ETag.
    pub version: i64,
    /// When it was first listed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Units of a product: `0 <= reserved <= on_hand`, held by the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLevel {
    /// Which product.
    pub product: ProductId,
    /// Units there.
    pub on_hand: i64,
    /// Units among them that pending checkouts hold.
    pub reserved: i64,
}

impl StockLevel {
    /// Units that can be bought.
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}
