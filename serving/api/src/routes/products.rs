//! Products and their stock; rules and versions are commerce's.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{CommerceError, Page, Product, ProductInput, ProductState, StockLevel, Storage};
use dhow_events::ProductId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, Parameters, PathId, etag, expected_version, idempotency, page_request};
use crate::problem::Problem;
use crate::schemas;

/// Which products.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProductParameters {
    /// Only in this state: `in_review`, `listed`, `rejected` or `delisted`.
    #[param(value_type = Option<String>)]
    state: Option<ProductState>,
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// List products, oldest first.
#[utoipa::path(
    get, path = "/v1/products", tag = "commerce", params(ProductParameters),
    responses((status = 200, body = schemas::ProductPage)),
)]
pub(crate) async fn get_products(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<ProductParameters>,
) -> Result<Json<Page<Product>>, Problem> {
    let page = page_request(parameters.limit, parameters.cursor.as_deref(), ProductId::KIND.prefix)?;
    Ok(Json(app.engine.store().products(caller.tenant, parameters.state, &page).await?))
}

/// List a new product.
#[utoipa::path(
    post, path = "/v1/products", tag = "commerce", request_body = schemas::ProductInput,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    responses((status = 201, body = schemas::Product)),
)]
pub(crate) async fn post_products(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<ProductInput>,
) -> Result<Response, Problem> {
    let key = idempotency(&headers, "POST /v1/products", &body.bytes)?;
    let answered = app.engine.commerce().create_product(caller.tenant, &body.value, key.as_ref()).await?;
    let (product, again) = (answered.value, replayed(answered.replayed));
    let place = [(header::LOCATION, format!("/v1/products/{}", product.id)), (header::ETAG, etag(product.version))];
    Ok((StatusCode::CREATED, place, again, Json(product)).into_response())
}

/// Read a product; its ETag is what a change must name.
#[utoipa::path(
    get, path = "/v1/products/{id}", tag = "commerce",
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = schemas::Product)),
)]
pub(crate) async fn get_product(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ProductId>,
) -> Result<Response, Problem> {
    let product = app.engine.store().product(caller.tenant, id).await?;
    let product = product.ok_or_else(|| Problem::not_found(format!("product {id}")))?;
    Ok(([(header::ETAG, etag(product.version))], Json(product)).into_response())
}

/// Change a product, or list one under an id of your choice.
///
/// `If-Match` names the version that is changed; `If-None-Match: *` creates. Without either: 428. Stale: 412.
#[utoipa::path(
    put, path = "/v1/products/{id}", tag = "commerce", request_body = schemas::ProductInput,
    params(
        ("id" = String, Path, description = "The product."),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that is changed."),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there must be no such product yet."),
    ),
    responses((status = 200, body = schemas::Product)),
)]
pub(crate) async fn put_product(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ProductId>,
    headers: HeaderMap,
    body: JsonBody<ProductInput>,
) -> Result<Response, Problem> {
    let expected = expected_version(&headers)?;
    let saved = app.engine.commerce().save_product(caller.tenant, id, &body.value, expected, None).await;
    let product = match saved {
        Ok(answered) => answered.value,
        Err(CommerceError::StaleVersion { found: None, .. }) => {
            return Err(Problem::not_found(format!("product {id}")));
        }
        Err(error) => return Err(error.into()),
    };
    Ok(([(header::ETAG, etag(product.version))], Json(product)).into_response())
}

/// All variants of what a product is a variant of.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProductVariants {
    /// By their options, the product itself among them; at most 200.
    #[schema(value_type = Vec<schemas::Product>)]
    items: Vec<Product>,
}

/// List the variants of a product: all of its seller's group, on offer or not; only the product where it is none.
#[utoipa::path(
    get, path = "/v1/products/{id}/variants", tag = "commerce",
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = ProductVariants)),
)]
pub(crate) async fn get_variants(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ProductId>,
) -> Result<Json<ProductVariants>, Problem> {
    Ok(Json(ProductVariants { items: app.engine.commerce().variants(caller.tenant, id).await? }))
}

/// How many units there are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StockInput {
    /// Units there, 0 to 1,000,000,000.
    on_hand: i64,
}

/// Read a product's stock.
#[utoipa::path(
    get, path = "/v1/products/{id}/stock", tag = "commerce",
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = schemas::StockLevel)),
)]
pub(crate) async fn get_stock(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ProductId>,
) -> Result<Json<StockLevel>, Problem> {
    let stock = app.engine.store().stock(caller.tenant, id).await?;
    stock.map(Json).ok_or_else(|| Problem::not_found(format!("stock of product {id}")))
}

/// Set a product's stock.
#[utoipa::path(
    put, path = "/v1/products/{id}/stock", tag = "commerce", request_body = StockInput,
    params(("id" = String, Path, description = "The product.")),
    responses((status = 200, body = schemas::StockLevel)),
)]
pub(crate) async fn put_stock(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ProductId>,
    body: JsonBody<StockInput>,
) -> Result<Json<StockLevel>, Problem> {
    Ok(Json(app.engine.commerce().set_stock(caller.tenant, id, body.value.on_hand, None).await?.value))
}
