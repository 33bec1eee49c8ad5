//! Search for products, and the reading of its parameters.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use dhow_engine::{Correction, FacetCount, FacetsAsked, Filters, Hit, SearchAsk, SearchMode};
use dhow_events::{Money, ProductId, SellerId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::input::Parameters;
use crate::problem::Problem;
use crate::schemas;
use crate::settings::PAGE_LIMIT_DEFAULT;

/// What products are searched by.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    /// Words.
    Keyword,
    /// Words and meanings; by words alone where no embedding model is in force, which the answer says.
    #[default]
    Hybrid,
}

/// What is searched for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchParameters {
    /// Words, 1 to 512 bytes. A word that no product has is replaced by the nearest ones that products have.
    q: String,
    /// `keyword` or `hybrid`; `hybrid` where it is absent.
    #[serde(default)]
    #[param(inline)]
    mode: Mode,
    /// `true` where the last word may be the beginning of one.
    #[serde(default)]
    as_you_type: bool,
    /// Categories, separated by commas; those below them count too.
    category: Option<String>,
    /// Sellers, separated by commas.
    seller: Option<String>,
    /// The least price in cents of US dollars, itself included.
    price_min: Option<i64>,
    /// The highest price in cents of US dollars, itself included.
    price_max: Option<i64>,
    /// Attributes as `name:value`, separated by commas; of several values of one name any will do. Where a product ships
    /// from is `ships_from`.
    attribute: Option<String>,
    /// A region that the product may be sold in, such as `NG-LA`.
    region: Option<String>,
    /// `true` for what can be bought now alone.
    #[serde(default)]
    available: bool,
    /// What to count among all that is found: `category`, `seller`, `price` and names of attributes, separated by commas.
    facets: Option<String>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before, of the same question.
    cursor: Option<String>,
}

/// A product that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundItem {
    #[schema(value_type = String)]
    product: ProductId,
    title: String,
    category: String,
    #[schema(value_type = String)]
    seller: SellerId,
    #[schema(value_type = schemas::Money)]
    price_usd: Money,
    /// Where it ships from, and what else is known of it.
    attributes: BTreeMap<String, String>,
    /// Whether it can be bought now.
    available: bool,
    /// What it is ordered by; comparable within an answer.
    score: f64,
    /// How like the words it is in meaning, −1 to 1.
    similarity: Option<f64>,
}

/// A value and how many of all found products have it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FacetItem {
    value: String,
    count: u64,
}

/// A word that no product has, and the words that were looked for in its place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CorrectionItem {
    word: String,
    used: Vec<String>,
}

/// A page of what was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchPage {
    /// The products, best first; of equal scores the lower id first.
    items: Vec<FoundItem>,
    /// How many products answer, on all pages.
    total: usize,
    /// What was asked to be counted, the most frequent first: at most 50 values each. `price` has the least and the
    /// highest price in cents as its values.
    facets: BTreeMap<String, Vec<FacetItem>>,
    corrections: Vec<CorrectionItem>,
    /// The cursor of the next page; nothing on the last one.
    next: Option<String>,
    /// The embedding model and its id, or `words`.
    model: String,
    /// Whether meanings were asked for and words alone answered.
    degraded: bool,
    /// How long it took, in microseconds.
    latency_us: i64,
}

/// Search products.
///
/// The storefront tells what was searched for by the event `search_performed`.
#[utoipa::path(
    get, path = "/v1/search", tag = "models", params(SearchParameters), responses((status = 200, body = SearchPage)),
)]
pub(crate) async fn get_search(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<SearchParameters>,
) -> Result<Json<SearchPage>, Problem> {
    let ask = parameters.ask()?;
    let prices_asked = ask.facets.prices;
    let (categories_asked, sellers_asked) = (ask.facets.categories, ask.facets.sellers);
    let found = app.engine.search(caller.tenant, ask).await;
    let found = found.map_err(|error| Problem::from(error).into_parameter())?;
    let counted = |counts: Vec<FacetCount>| -> Vec<FacetItem> {
        counts.into_iter().map(|FacetCount { value, count }| FacetItem { value, count }).collect()
    };
    let mut facets: BTreeMap<String, Vec<FacetItem>> =
        found.facets.attributes.into_iter().map(|(name, counts)| (name, counted(counts))).collect();
    if categories_asked {
        facets.insert("category".to_owned(), counted(found.facets.categories));
    }
    if sellers_asked {
        facets.insert("seller".to_owned(), counted(found.facets.sellers));
    }
    if prices_asked {
        let ends = found.facets.prices.into_iter().flat_map(|(low, high)| [low, high]);
        let item = |end: i64| FacetItem { value: end.to_string(), count: found.total as u64 };
        facets.insert("price".to_owned(), ends.map(item).collect());
    }
    let corrections =
        found.corrections.into_iter().map(|Correction { word, used }| CorrectionItem { word, used }).collect();
    Ok(Json(SearchPage {
        items: found.hits.iter().map(item).collect(),
        total: found.total,
        facets,
        corrections,
        next: found.next,
        model: found.model,
        degraded: found.degraded,
        latency_us: found.latency_us,
    }))
}

fn item(hit: &Hit) -> FoundItem {
    let product = &hit.product;
    FoundItem {
        product: product.product,
        title: product.title.clone(),
        category: product.category.clone(),
        seller: product.seller,
        price_usd: Money::usd(product.price_minor),
        attributes: product.attributes.clone(),
        available: product.available,
        score: hit.score,
        similarity: hit.cosine,
    }
}

impl SearchParameters {
    fn ask(self) -> Result<SearchAsk, Problem> {
        let sellers = listed(self.seller.as_deref())
            .map(|text| text.parse::<SellerId>().map_err(|error| Problem::parameter("seller", error.to_string())));
        let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in listed(self.attribute.as_deref()) {
            let (name, value) = text.split_once(':').ok_or_else(|| {
                Problem::parameter("attribute", format!("`{text}` has no colon; it must be `name:value`"))
            })?;
            attributes.entry(name.trim().to_owned()).or_default().push(value.trim().to_owned());
        }
        let mut facets = FacetsAsked::default();
        for name in listed(self.facets.as_deref()) {
            match name {
                "category" => facets.categories = true,
                "seller" => facets.sellers = true,
                "price" => facets.prices = true,
                other => facets.attributes.push(other.to_owned()),
            }
        }
        Ok(SearchAsk {
            mode: match self.mode {
                Mode::Keyword => SearchMode::Keyword,
                Mode::Hybrid => SearchMode::Hybrid,
            },
            as_you_type: self.as_you_type,
            filters: Filters {
                categories: listed(self.category.as_deref()).map(str::to_owned).collect(),
                sellers: sellers.collect::<Result<_, _>>()?,
                price_min: self.price_min,
                price_max: self.price_max,
                attributes,
                region: self.region,
                available_only: self.available,
            },
            facets,
            limit: self.limit.unwrap_or(PAGE_LIMIT_DEFAULT) as usize,
            cursor: self.cursor,
            text: self.q,
        })
    }
}

/// The parts of a list that commas separate, without the empty ones.
fn listed(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.into_iter().flat_map(|text| text.split(',')).map(str::trim).filter(|part| !part.is_empty())
}
