//! The shapes of saved searches and price alerts for the OpenAPI document, beside those of commerce's other records.

#![expect(dead_code, reason = "these types describe what other crates serialise; nothing constructs them")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use crate::schemas::Money;

/// What is asked of a product beside its words; kinds are joined by *and*, values of one kind by *or*. At most 32 values of
/// a kind.
#[derive(ToSchema)]
pub(crate) struct SavedFilters {
    /// Categories; those below them count too.
    #[schema(required = false, example = json!(["home/kitchen"]))]
    categories: Vec<String>,
    #[schema(required = false)]
    sellers: Vec<String>,
    /// The least price in cents of US dollars, itself included.
    price_min: Option<i64>,
    /// The highest price in cents of US dollars, itself included.
    price_max: Option<i64>,
    /// For each name the values of which any will do. Where a product ships from is `ships_from`.
    #[schema(required = false, example = json!({ "ships_from": ["GB"] }))]
    attributes: BTreeMap<String, Vec<String>>,
    /// A region that the product may be bought in.
    region: Option<String>,
    /// `true` for what can be bought now alone.
    #[schema(required = false)]
    available: bool,
}

/// What a buyer saves.
#[derive(ToSchema)]
pub(crate) struct SavedSearchInput {
    #[schema(example = "buy_01890a5d-ac96-774b-bcce-b302099a8057")]
    buyer: String,
    /// What the buyer calls it; at most 200 bytes.
    #[schema(required = false)]
    name: String,
    /// Words that a product must have, all of them, in the spelling that it has, at most 512 bytes; may be empty where a
    /// filter asks something.
    #[schema(required = false, example = "copper pan")]
    q: String,
    #[schema(required = false)]
    filters: SavedFilters,
}

/// A saved search.
#[derive(ToSchema)]
pub(crate) struct SavedSearch {
    tenant: String,
    #[schema(example = "ssr_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    buyer: String,
    name: String,
    q: String,
    filters: SavedFilters,
    /// Products that it has told of, or that left it before it could; from 10,000 on it tells of no more.
    product_count: i64,
    created_at: String,
}

/// A page of saved searches.
#[derive(ToSchema)]
pub(crate) struct SavedSearchPage {
    items: Vec<SavedSearch>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// What a buyer waits for.
#[derive(ToSchema)]
pub(crate) struct PriceAlertInput {
    #[schema(example = "buy_01890a5d-ac96-774b-bcce-b302099a8057")]
    buyer: String,
    #[schema(example = "prd_01890a5d-ac96-774b-bcce-b302099a8057")]
    product: String,
    /// The price that it is to fall below. A price in another currency is compared in US cents.
    below: Money,
}

/// A price alert; it is told of once.
#[derive(ToSchema)]
pub(crate) struct PriceAlert {
    tenant: String,
    #[schema(example = "pal_01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    buyer: String,
    product: String,
    below: Money,
    /// The price in cents of US dollars, at the rate in force when the alert was made.
    below_usd_minor: i64,
    created_at: String,
    /// When it was told of; null while it waits.
    #[schema(required)]
    triggered_at: Option<String>,
}

/// A page of price alerts.
#[derive(ToSchema)]
pub(crate) struct PriceAlertPage {
    items: Vec<PriceAlert>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}
