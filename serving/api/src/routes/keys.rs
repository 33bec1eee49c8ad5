//! API keys: made, listed, revoked; the secret is shown once and never stored.

use std::io::Read;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dhow_commerce::{AccessStorage, ApiKey, ApiKeySecret, FieldProblem, Permission};
use dhow_events::KeyId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, PathId};
use crate::problem::Problem;
use crate::schemas;

/// The longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKeyRequest {
    /// What people call it; 1 to 100 bytes.
    name: String,
    /// What it may do, at least one.
    #[schema(value_type = Vec<String>, example = json!(["events:write", "recommendations:read"]))]
    permissions: Vec<Permission>,
}

/// A new key with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyAnswer {
    #[schema(value_type = schemas::ApiKey)]
    key: ApiKey,
    /// What a client sends as `Authorization: Bearer <secret>`. It is not shown again.
    secret: String,
}

/// The keys of the tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeysAnswer {
    /// Oldest first, at most 100.
    #[schema(value_type = Vec<schemas::ApiKey>)]
    items: Vec<ApiKey>,
}

/// List API keys, revoked ones too.
#[utoipa::path(get, path = "/v1/api-keys", tag = "access", responses((status = 200, body = ApiKeysAnswer)))]
pub(crate) async fn get_api_keys(State(app): State<Shared>, caller: Caller) -> Result<Json<ApiKeysAnswer>, Problem> {
    Ok(Json(ApiKeysAnswer { items: app.engine.store().api_keys(caller.tenant).await? }))
}

/// Make an API key.
///
/// The first key of an installation ends open access. A repeated request makes another key, since the secret is not
/// stored; revoke the one that was lost.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "access", request_body = ApiKeyRequest,
    responses((status = 201, body = ApiKeyAnswer)),
)]
pub(crate) async fn post_api_keys(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ApiKeyRequest>,
) -> Result<(StatusCode, Json<ApiKeyAnswer>), Problem> {
    let ApiKeyRequest { name, mut permissions } = body.value;
    permissions.sort_unstable();
    permissions.dedup();
    check(&name, &permissions)?;
    let secret = ApiKeySecret::from_random(random_bits().map_err(Problem::internal)?);
    let now = app.engine.clock().now();
    let key = ApiKey {
        id: KeyId::at(now, app.engine.random()),
        tenant: caller.tenant,
        name,
        permissions,
        last_four: secret.last_four(),
        created_at: now,
        revoked_at: None,
    };
    app.engine.store().create_api_key(&key, &secret.hash()).await?;
    app.keys.close();
    Ok((StatusCode::CREATED, Json(ApiKeyAnswer { key, secret: secret.reveal().to_owned() })))
}

/// Revoke an API key.
///
/// This server refuses it at once, others on the same database within a second.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "access",
    params(("id" = String, Path, description = "The key.")),
    responses((status = 204)),
)]
pub(crate) async fn delete_api_key(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<KeyId>,
) -> Result<StatusCode, Problem> {
    let revoked = app.engine.store().revoke_api_key(caller.tenant, id, app.engine.clock().now()).await?;
    app.keys.forget();
    if revoked { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found(format!("API key {id} in force"))) }
}

fn check(name: &str, permissions: &[Permission]) -> Result<(), Problem> {
    let mut problems = Vec::new();
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX {
        let message = format!("has {} bytes; it must have from 1 to {NAME_BYTES_MAX}", name.trim().len());
        problems.push(FieldProblem::new("/name", message));
    }
    if permissions.is_empty() {
        problems.push(FieldProblem::new("/permissions", "must name at least one permission"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}

/// Random bits of the operating system: a secret must not follow from anything else that we answer.
pub(crate) fn random_bits() -> std::io::Result<[u8; 32]> {
    let mut bits = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bits)?;
    Ok(bits)
}
