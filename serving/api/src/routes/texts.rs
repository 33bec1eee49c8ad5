//! How alike texts are in meaning.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answers::ModelPart;
use crate::access::Caller;
use crate::app::Shared;
use crate::input::JsonBody;
use crate::problem::Problem;

/// A text and those it is compared with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimilarityRequest {
    query: String,
    /// 1 to 64.
    texts: Vec<String>,
}

/// A text and how like the query it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarItem {
    /// Its place in the request, from 0.
    index: usize,
    /// The cosine of the two embeddings, −1 to 1.
    similarity: f64,
}

/// The texts, most like the query first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarityAnswer {
    items: Vec<SimilarItem>,
    #[serde(flatten)]
    model: ModelPart,
}

/// Compare texts by meaning.
#[utoipa::path(
    post, path = "/v1/text-similarity", tag = "models",
    request_body = SimilarityRequest, responses((status = 200, body = SimilarityAnswer)),
)]
pub(crate) async fn post_text_similarity(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<SimilarityRequest>,
) -> Result<Json<SimilarityAnswer>, Problem> {
    let SimilarityRequest { query, texts } = body.value;
    let (alike, model) = ModelPart::split(app.engine.similar_texts(caller.tenant, &query, &texts).await?);
    let items = alike.iter().map(|text| SimilarItem { index: text.index, similarity: text.similarity }).collect();
    Ok(Json(SimilarityAnswer { items, model }))
}
