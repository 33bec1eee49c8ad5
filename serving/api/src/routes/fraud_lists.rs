//! Block and allow lists: keys are listed, put on and taken off; what a list does to a decision is the engine's.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use dhow_events::Timestamp;
use dhow_rules::{Effect, ListEntry, ListKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::fraud_schemas;
use crate::input::{JsonBody, Parameters};
use crate::problem::Problem;
use crate::settings::PAGE_LIMIT_DEFAULT;

/// Which list, by the two parts of the path.
pub(crate) struct PathList(ListKind, Effect);

impl<S: Send + Sync> FromRequestParts<S> for PathList {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((kind, effect)) = read.map_err(|rejection| Problem::parameter("kind", rejection.body_text()))?;
        let names: Vec<&str> = ListKind::ALL.iter().map(|kind| kind.name()).collect();
        let found = ListKind::ALL.into_iter().find(|one| one.name() == kind);
        let kind = found.ok_or_else(|| Problem::parameter("kind", format!("must be one of {}", names.join(", "))))?;
        match effect.as_str() {
            "block" => Ok(Self(kind, Effect::Block)),
            "allow" => Ok(Self(kind, Effect::Allow)),
            _ => Err(Problem::parameter("effect", "must be `block` or `allow`")),
        }
    }
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListPage {
    /// Entries that count now, oldest first.
    #[schema(value_type = Vec<fraud_schemas::ListEntry>)]
    items: Vec<ListEntry>,
    /// The cursor of the next page; null on the last one.
    #[schema(required)]
    next: Option<String>,
}

/// Read a list.
#[utoipa::path(
    get, path = "/v1/fraud/lists/{kind}/{effect}", tag = "fraud",
    params(
        ("kind" = String, Path, description = "`card`, `device`, `address`, `buyer` or another kind of key."),
        ("effect" = String, Path, description = "`block` or `allow`."),
        ListParameters,
    ),
    responses((status = 200, body = ListPage)),
)]
pub(crate) async fn get_list(
    State(app): State<Shared>,
    caller: Caller,
    PathList(kind, effect): PathList,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<ListPage>, Problem> {
    let limit = parameters.limit.unwrap_or(PAGE_LIMIT_DEFAULT as usize);
    if !(1..=100).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is {limit}; it must be from 1 to 100")));
    }
    let from = parameters.cursor.as_deref().map_or(Ok(0), str::parse);
    let from = from.map_err(|_| Problem::parameter("cursor", "is not a cursor of this list"))?;
    let mut found = app.engine.list_entries(caller.tenant, (kind, effect), from, limit + 1);
    let next = found.get(limit).map(|(place, _)| place.to_string());
    found.truncate(limit);
    Ok(Json(ListPage { items: found.into_iter().map(|(_, entry)| entry).collect(), next }))
}

/// A key to be put on a list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListEntryRequest {
    /// The key: an id of the platform, a token, a hash. A card's number is refused.
    value: String,
    /// Why, 1 to 1,000 bytes; no card number.
    reason: String,
    /// More words.
    #[serde(default)]
    #[schema(required = false)]
    note: String,
    /// Who puts it there.
    author: String,
    /// From when on it no longer counts; never where it is absent.
    #[schema(value_type = Option<String>)]
    expires: Option<Timestamp>,
}

/// Put a key on a list.
///
/// It counts for the next decision of this server, and for those of others within five seconds.
#[utoipa::path(
    post, path = "/v1/fraud/lists/{kind}/{effect}", tag = "fraud", request_body = ListEntryRequest,
    params(
        ("kind" = String, Path, description = "The kind of key."),
        ("effect" = String, Path, description = "`block` or `allow`."),
    ),
    responses((status = 201, body = fraud_schemas::ListEntry)),
)]
pub(crate) async fn post_list(
    State(app): State<Shared>,
    caller: Caller,
    PathList(kind, effect): PathList,
    body: JsonBody<ListEntryRequest>,
) -> Result<(StatusCode, Json<ListEntry>), Problem> {
    let ListEntryRequest { value, reason, note, author, expires } = body.value;
    let created = app.engine.clock().now();
    let entry = ListEntry { kind, effect, value, reason, note, author, created, expires, removed: None };
    let entry = app.engine.add_list_entry(caller.tenant, entry).await?;
    Ok((StatusCode::CREATED, Json(entry)))
}

/// Which key is taken off, and by whom.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RemovalParameters {
    /// The key as the list shows it.
    value: String,
    /// Who takes it off.
    author: String,
}

/// Take a key off a list. Its entries are kept for the record.
#[utoipa::path(
    delete, path = "/v1/fraud/lists/{kind}/{effect}", tag = "fraud",
    params(
        ("kind" = String, Path, description = "The kind of key."),
        ("effect" = String, Path, description = "`block` or `allow`."),
        RemovalParameters,
    ),
    responses((status = 204)),
)]
pub(crate) async fn delete_list(
    State(app): State<Shared>,
    caller: Caller,
    PathList(kind, effect): PathList,
    Parameters(parameters): Parameters<RemovalParameters>,
) -> Result<StatusCode, Problem> {
    let RemovalParameters { value, author } = &parameters;
    app.engine.remove_list_entry(caller.tenant, (kind, effect), value, author).await?;
    Ok(StatusCode::NO_CONTENT)
}
