//! Slates and related products; which ones is the engine's business.

use axum::Json;
use axum::extract::State;
use dhow_bundles::KitRules;
use dhow_engine::{BundleAsk, Offer, RecommendAsk, kind_word};
use dhow_events::{BuyerId, Category, Money, ProductId, Region, SellerId, SessionId};
use dhow_recommend::{PriceBand, Reason, Seen, SlateRequest, Step, Surface};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answers::ModelPart;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId};
use crate::problem::Problem;
use crate::schemas;

/// Products of a slate where the request does not say.
const COUNT_DEFAULT: usize = 10;

/// Prices between two bounds in US cents, both included.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceBandBody {
    from_usd_minor: i64,
    to_usd_minor: i64,
}

/// What should this shopper see now? Everything may be left out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecommendationRequest {
    /// Who asks, when signed in.
    #[schema(value_type = Option<String>)]
    buyer: Option<BuyerId>,
    /// The visit: what its events told is known already.
    #[schema(value_type = Option<String>)]
    session: Option<SessionId>,
    /// Where the slate is shown: `home`, `product`, `cart` or `email`.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "home")]
    surface: Surface,
    /// Where the shopper is: products that are not sold there are left out.
    #[schema(value_type = Option<String>)]
    region: Option<Region>,
    /// Only this category and its parts.
    #[schema(value_type = Option<String>)]
    category: Option<Category>,
    price_band: Option<PriceBandBody>,
    /// What the shopper looked at in this visit, most recent last, where events did not tell it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    session_items: Vec<ProductId>,
    /// What the person acted on earlier, most recent last, where events did not tell it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    person_history: Vec<ProductId>,
    /// Never these; at most 10,000.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    exclude: Vec<ProductId>,
    /// Which products of the visit may come again: `hide_current`, `hide_session` or `show`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    seen: Seen,
    /// At most so many of one seller.
    max_per_seller: Option<usize>,
    /// At most so many of one category.
    max_per_category: Option<usize>,
    /// How many, 1 to 100; 10 where it is absent.
    #[schema(minimum = 1, maximum = 100)]
    count: Option<usize>,
}

impl From<RecommendationRequest> for RecommendAsk {
    fn from(body: RecommendationRequest) -> Self {
        let band =
            |band: PriceBandBody| PriceBand { from_usd_minor: band.from_usd_minor, to_usd_minor: band.to_usd_minor };
        let slate = SlateRequest {
            person: body.buyer,
            session: body.session,
            session_items: body.session_items,
            person_history: body.person_history,
            surface: body.surface,
            region: body.region,
            category: body.category,
            price_band: body.price_band.map(band),
            exclude: body.exclude,
            seen: body.seen,
            max_per_seller: body.max_per_seller,
            max_per_category: body.max_per_category,
            count: body.count.unwrap_or(COUNT_DEFAULT),
            ..SlateRequest::default()
        };
        Self { slate }
    }
}

/// One product of a slate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecommendedItem {
    #[schema(value_type = String)]
    product: ProductId,
    title: String,
    #[schema(value_type = String)]
    category: Category,
    #[schema(value_type = String)]
    seller: SellerId,
    #[schema(value_type = String)]
    region: Region,
    /// The price of one unit in US cents, at the rate of its last change.
    #[schema(value_type = schemas::Money)]
    price_usd: Money,
    /// Comparable within a step.
    score: f64,
    /// The step that brought it.
    #[schema(value_type = String)]
    step: Step,
    /// Why, as a stable code.
    #[schema(value_type = String)]
    reason: Reason,
    /// The shopper's product that spoke for it most, if one did.
    #[schema(value_type = Option<String>, required)]
    because: Option<ProductId>,
    /// `organic`, `sponsored` or `exploration`.
    kind: &'static str,
    /// The probability with which it was put here; below 1 only beside exploration.
    propensity: f64,
}

/// A slate, best first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecommendationAnswer {
    items: Vec<RecommendedItem>,
    /// The experiment and the shopper's arm, where one runs.
    #[schema(required)]
    arm: Option<String>,
    #[serde(flatten)]
    model: ModelPart,
}

/// Recommend products to a shopper.
///
/// Products that are available now, best first. `degraded` says that a weaker step stood in.
#[utoipa::path(
    post, path = "/v1/recommendations", tag = "models",
    request_body = RecommendationRequest, responses((status = 200, body = RecommendationAnswer)),
)]
pub(crate) async fn post_recommendations(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<RecommendationRequest>,
) -> Result<Json<RecommendationAnswer>, Problem> {
    let answer = app.engine.recommend(caller.tenant, body.value.into()).await?;
    let (slate, model) = ModelPart::split(answer);
    let item = |found: dhow_engine::RecommendedProduct| RecommendedItem {
        product: found.product,
        title: found.offer.title.to_string(),
        category: found.offer.category,
        seller: found.offer.seller,
        region: found.offer.region,
        price_usd: Money::usd(found.offer.price_usd_minor),
        score: found.score,
        step: found.step,
        reason: found.reason,
        because: found.because,
        kind: kind_word(found.kind),
        propensity: found.propensity,
    };
    let items = slate.products.into_iter().map(item).collect();
    Ok(Json(RecommendationAnswer { items, arm: slate.arm, model }))
}

/// A product that shoppers turn to after, or before, another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelatedItem {
    #[schema(value_type = String)]
    product: ProductId,
    title: String,
    #[schema(value_type = String)]
    category: Category,
    #[schema(value_type = String)]
    seller: SellerId,
    #[schema(value_type = String)]
    region: Region,
    #[schema(value_type = schemas::Money)]
    price_usd: Money,
    score: f64,
}

/// Related products, strongest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RelatedAnswer {
    items: Vec<RelatedItem>,
    #[serde(flatten)]
    model: ModelPart,
}

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RelatedParameters {
    /// How many, 1 to 100; 10 where it is absent.
    count: Option<usize>,
    /// Where the shopper is: products that are not sold there are left out.
    #[param(value_type = Option<String>)]
    region: Option<Region>,
}

/// Products related to one.
#[utoipa::path(
    get, path = "/v1/products/{id}/related", tag = "models",
    params(("id" = String, Path, description = "The product."), RelatedParameters),
    responses((status = 200, body = RelatedAnswer)),
)]
pub(crate) async fn get_related(
    State(app): State<Shared>,
    caller: Caller,
    PathId(product): PathId<ProductId>,
    Parameters(parameters): Parameters<RelatedParameters>,
) -> Result<Json<RelatedAnswer>, Problem> {
    let count = parameters.count.unwrap_or(COUNT_DEFAULT);
    let answer = app.engine.related(caller.tenant, product, parameters.region, count).await;
    let (related, model) = ModelPart::split(answer.map_err(|error| Problem::from(error).into_parameter())?);
    let item = |(product, offer, score): (ProductId, Offer, f64)| RelatedItem {
        product,
        title: offer.title.to_string(),
        category: offer.category,
        seller: offer.seller,
        region: offer.region,
        price_usd: Money::usd(offer.price_usd_minor),
        score,
    };
    Ok(Json(RelatedAnswer { items: related.into_iter().map(item).collect(), model }))
}

/// A question for a starter kit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BundleRequest {
    /// The product that the kit is around.
    #[schema(value_type = String)]
    product: ProductId,
    /// Where the shopper is; what is bought there counts first.
    #[schema(value_type = Option<String>)]
    region: Option<Region>,
    /// How many products complete it at most, 2 to 4; 4 where it is absent.
    #[schema(minimum = 2, maximum = 4)]
    complements: Option<usize>,
    /// At most so many of one category.
    max_per_category: Option<usize>,
}

/// A product of a kit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BundledItem {
    #[schema(value_type = String)]
    product: ProductId,
    title: String,
    #[schema(value_type = String)]
    category: Category,
    #[schema(value_type = schemas::Money)]
    price_usd: Money,
    /// Baskets with it and the first product.
    baskets: u32,
    /// The share of the first product's baskets that hold it too.
    confidence: f64,
    /// How many times more often than by chance the two are bought together.
    lift: f64,
    /// `region` where this was counted in the shopper's region, otherwise `all`.
    counted_in: &'static str,
}

/// A starter kit; empty where too little was bought with the product.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BundleAnswer {
    items: Vec<BundledItem>,
    #[serde(flatten)]
    model: ModelPart,
}

/// Put a starter kit together.
///
/// Available products that complete one product, as they were bought in one basket with it more often than by chance.
#[utoipa::path(
    post, path = "/v1/bundles", tag = "models",
    request_body = BundleRequest, responses((status = 200, body = BundleAnswer)),
)]
pub(crate) async fn post_bundles(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<BundleRequest>,
) -> Result<Json<BundleAnswer>, Problem> {
    let BundleRequest { product, region, complements, max_per_category } = body.value;
    let usual = KitRules::default();
    let rules = KitRules {
        complements: complements.unwrap_or(usual.complements),
        max_per_category: max_per_category.unwrap_or(usual.max_per_category),
    };
    let answer = app.engine.bundle(caller.tenant, BundleAsk { product, region, rules }).await?;
    let (kit, model) = ModelPart::split(answer);
    let item = |found: dhow_engine::BundledProduct| BundledItem {
        product: found.complement.product,
        title: found.offer.title.to_string(),
        category: found.offer.category,
        price_usd: Money::usd(found.offer.price_usd_minor),
        baskets: found.complement.baskets,
        confidence: found.complement.confidence,
        lift: found.complement.lift,
        counted_in: if found.complement.regional { "region" } else { "all" },
    };
    Ok(Json(BundleAnswer { items: kit.into_iter().map(item).collect(), model }))
}
