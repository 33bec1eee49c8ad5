//! The category tree and reviews of products over HTTP; the rules are commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{CategoryNode, CategoryStorage, CategoryTree, FieldProblem, ProductState};
use dhow_events::ProductId;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, PathId, etag, expected_version};
use crate::problem::Problem;
use crate::schemas;

/// An attribute that products of a category, and of those below it, have.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads and writes")]
pub(crate) struct AttributeBody {
    /// Its name in products: 1 to 40 small letters, digits and `_`.
    #[schema(example = "capacity")]
    key: String,
    /// `text`, `number`, `yes_no` or `one_of`.
    #[schema(example = "number")]
    kind: String,
    /// The unit of a number; at most 100 bytes.
    #[schema(required = false, example = "l")]
    unit: String,
    /// What one is chosen from, where the kind is `one_of`; at most 200.
    #[schema(required = false)]
    values: Vec<String>,
    /// A product must have it; false where it is absent.
    #[schema(required = false)]
    required: bool,
}

/// A category.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce reads and writes")]
pub(crate) struct CategoryBody {
    /// From the general to the special; at most 39 bytes. The category above must be declared, too.
    #[schema(example = "home/kitchen")]
    path: String,
    /// What people read; 1 to 100 bytes.
    #[schema(example = "Kitchen")]
    name: String,
    /// Attributes that it adds to those of the categories above; at most 30.
    #[schema(required = false)]
    attributes: Vec<AttributeBody>,
}

/// A category tree.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what commerce writes")]
pub(crate) struct CategoryTreeBody {
    tenant: String,
    /// Sorted by path.
    categories: Vec<CategoryBody>,
    /// Counts its changes; also its ETag.
    version: i64,
    updated_at: String,
}

/// All categories that there are to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CategoriesRequest {
    /// At most 2,000, in any order; without one, products name the category that they like.
    #[schema(value_type = Vec<CategoryBody>)]
    categories: Vec<CategoryNode>,
}

/// What the marketplace decides about a product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewRequest {
    /// The person, 1 to 100 bytes.
    by: String,
    /// `listed` or `rejected`.
    #[schema(example = "listed")]
    to: String,
    /// Words for the seller, at most 1,000 bytes; a rejection needs some.
    #[serde(default)]
    #[schema(required = false)]
    note: String,
}

/// Read the category tree.
#[utoipa::path(get, path = "/v1/categories", tag = "commerce", responses((status = 200, body = CategoryTreeBody)))]
pub(crate) async fn get_categories(State(app): State<Shared>, caller: Caller) -> Result<Response, Problem> {
    let tree = app.engine.store().categories(caller.tenant).await?;
    Ok(answered(tree.ok_or_else(|| Problem::not_found("category tree yet; PUT writes the first one"))?))
}

/// Write the category tree as a whole.
///
/// Products are found by their category and those above it. From the first tree on, a product must be in a declared category and have
/// the attributes that it and those above it declare. A category that products are in cannot go: 409 `category_in_use`.
/// `If-None-Match: *` writes the first tree, `If-Match` names the version that is changed.
#[utoipa::path(
    put, path = "/v1/categories", tag = "commerce", request_body = CategoriesRequest,
    params(
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that is changed."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be none yet."),
    ),
    responses((status = 200, body = CategoryTreeBody)),
)]
pub(crate) async fn put_categories(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<CategoriesRequest>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let categories = body.value.categories;
    Ok(answered(app.engine.commerce().put_categories(caller.tenant, categories, expected).await?))
}

/// Put a product that waits for a review on offer, or reject one.
///
/// Where `catalogue.reviews_products` is set, a product waits (`in_review`) before it is on offer, and again when more of it changes than
/// its prices. One that is on offer can be rejected at any time; who changes a rejected product submits it again.
#[utoipa::path(
    post, path = "/v1/products/{id}/reviews", tag = "commerce", request_body = ReviewRequest,
    params(
        ("id" = String, Path, description = "The product."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was looked at; required."),
    ),
    responses((status = 200, body = schemas::Product)),
)]
pub(crate) async fn post_product_reviews(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ProductId>,
    headers: HeaderMap,
    body: JsonBody<ReviewRequest>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let ReviewRequest { by, to, note } = body.value;
    let state = ProductState::from_word(&to).filter(|to| [ProductState::Listed, ProductState::Rejected].contains(to));
    let wrong = || Problem::invalid([FieldProblem::new("/to", format!("is `{to}`; it must be listed or rejected"))]);
    let state = state.ok_or_else(wrong)?;
    let product = app.engine.commerce().review_product(caller.tenant, id, expected, state, (&by, &note)).await?;
    Ok(([(header::ETAG, etag(product.version))], Json(product)).into_response())
}

fn answered(tree: CategoryTree) -> Response {
    ([(header::ETAG, etag(tree.version))], Json(tree)).into_response()
}
