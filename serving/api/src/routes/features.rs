//! Feature values of one entity or of many, as a request at this moment would read them.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use dhow_engine::{FeatureAsk, FeatureTable, ViewReading};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JSON_TYPE, JsonBody, PathText};
use crate::problem::Problem;
use crate::schemas;

/// An entity's features.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeaturesAnswer {
    entity: String,
    /// Every view that has such an entity.
    #[schema(value_type = Vec<schemas::ViewReading>)]
    views: Vec<ViewReading>,
}

/// Read an entity's features.
#[utoipa::path(
    get, path = "/v1/features/{entity_id}", tag = "features",
    params(("entity_id" = String, Path, description = "A buyer, product, seller, card, device or address.")),
    responses((status = 200, body = FeaturesAnswer)),
)]
pub(crate) async fn get_features(
    State(app): State<Shared>,
    caller: Caller,
    PathText(entity): PathText,
) -> Result<Json<FeaturesAnswer>, Problem> {
    let views = app.engine.entity_features(caller.tenant, &entity);
    let views = views.map_err(|error| Problem::from(error).into_parameter())?;
    Ok(Json(FeaturesAnswer { entity, views }))
}

/// Features of many entities.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeaturesRequest {
    /// Names of features; entities times features are at most 100,000.
    #[schema(example = json!(["buyer_checkouts_count_30d", "card_checkouts_count_1d"]))]
    features: Vec<String>,
    /// For each entity the columns that the features are keyed by.
    #[schema(value_type = Vec<BTreeMap<String, String>>)]
    entities: Vec<BTreeMap<String, serde_json::Value>>,
}

/// Read features of many entities.
///
/// All values are of one consistent cut of the log; `event_times` says how fresh each entity is in each view.
#[utoipa::path(
    post, path = "/v1/features", tag = "features",
    request_body = FeaturesRequest, responses((status = 200, body = schemas::FeatureTable)),
)]
pub(crate) async fn post_features(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<FeaturesRequest>,
) -> Result<Response, Problem> {
    let FeaturesRequest { features, entities } = body.value;
    table_answer(&app.engine.feature_table(caller.tenant, FeatureAsk { features, entities })?)
}

/// Bytes that a value takes as JSON, mostly; more make the buffer grow.
const VALUE_BYTES: usize = 8;

/// Thousands of numbers, written into one buffer.
fn table_answer(table: &FeatureTable) -> Result<Response, Problem> {
    let values = table.rows.len() * (table.features.len() + table.views.len());
    let mut body = Vec::with_capacity(1024 + values * VALUE_BYTES);
    serde_json::to_writer(&mut body, table).map_err(Problem::internal)?;
    Ok(([(header::CONTENT_TYPE, JSON_TYPE)], body).into_response())
}
