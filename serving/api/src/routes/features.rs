//! Feature values of one entity, as a request at this moment would read them.

use axum::Json;
use axum::extract::State;
use dhow_engine::ViewReading;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::PathText;
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
