//! Products as files: taking in a file of comma-separated values, and giving the products out as one; what a file says is commerce's.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{PAGE_LIMIT_MAX, ProductImport, Storage, write_product_file};
use dhow_events::ProductId;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::checkouts::replayed;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::{PageParameters, Parameters, RawBody, idempotency, page_request};
use crate::problem::Problem;

/// The media type of the files.
const CSV_TYPE: &str = "text/csv";
/// Where the next part of the products begins.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

/// How a file is taken in.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParameters {
    /// `true` where the file is only tried: the answer is that of an import, and nothing is kept.
    #[serde(default)]
    dry_run: bool,
}

/// What a file of products came to.
#[derive(ToSchema)]
#[expect(dead_code, reason = "this type describes what commerce serialises; nothing constructs it")]
pub(crate) struct ProductImportAnswer {
    /// Products that are new.
    created: usize,
    /// Products that were changed.
    changed: usize,
    /// Products that are as the file says already.
    unchanged: usize,
    /// Whether it was only tried.
    dry_run: bool,
}

/// List, change and delist products by a file: all of its rows or none.
///
/// CSV in UTF-8, with a header and at most 1,000 rows: `id`, `state`, `seller`, `reference`, `title`, `description`, `category`,
/// `price_amount` (minor units), `price_currency`, `region`, `sale_regions`, `weight_grams`, `prices`, `media`, `attributes` and `variant` (JSON), in any
/// order;
/// `id`, `state`, `description`, `sale_regions` and the last four may be left out. A row without an id makes a new product. Where
/// anything is wrong nothing is taken in, and each wrong field is told of at `/<line>/<column>`, the first 100 of them.
#[utoipa::path(
    post, path = "/v1/products/import", tag = "commerce",
    params(ImportParameters, ("Idempotency-Key" = Option<String>, Header, description = "Makes sending it again safe.")),
    request_body(content = String, content_type = "text/csv", description = "The file."),
    responses((status = 200, body = ProductImportAnswer)),
)]
pub(crate) async fn post_product_import(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<ImportParameters>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let file = RawBody::read(request, &[CSV_TYPE]).await?.bytes;
    let dry_run = parameters.dry_run;
    let key = idempotency(&headers, &format!("POST /v1/products/import?dry_run={dry_run}"), &file)?;
    let commerce = app.engine.commerce();
    let answered = commerce.import_product_file(caller.tenant, &file, dry_run, key.as_ref()).await?;
    let value: ProductImport = answered.value;
    Ok((replayed(answered.replayed), Json(value)).into_response())
}

/// Give products out as a file that `POST /v1/products/import` takes in unchanged, oldest first.
///
/// The header `next-cursor` names where the next part begins; it is absent on the last. A body has a bound, so where products
/// have many price lists a part is taken in again only if `limit` is small enough.
#[utoipa::path(
    get, path = "/v1/products/export", tag = "commerce", params(PageParameters),
    responses((status = 200, content_type = "text/csv", body = String)),
)]
pub(crate) async fn get_product_export(
    State(app): State<Shared>,
    caller: Caller,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Response, Problem> {
    let limit = parameters.limit.unwrap_or(PAGE_LIMIT_MAX);
    let page = page_request(Some(limit), parameters.cursor.as_deref(), ProductId::KIND.prefix)?;
    let page = app.engine.store().products(caller.tenant, None, &page).await?;
    let file = write_product_file(&page.items).map_err(Problem::internal)?;
    let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], file).into_response();
    if let Some(next) = page.next {
        let next = HeaderValue::from_str(&next).map_err(Problem::internal)?;
        response.headers_mut().insert(NEXT_CURSOR, next);
    }
    Ok(response)
}
