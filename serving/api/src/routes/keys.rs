//! API keys: made, listed, revoked; the secret is shown once and never stored.

use std::io::Read;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dhow_commerce::{AccessStorage, ApiKey, ApiKeySecret, FieldProblem, Permission, Revocation, Role, RoleName};
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
    /// What it may do, at least one, where no role is named.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["events:write", "recommendations:read"]))]
    permissions: Vec<Permission>,
    /// A role that it has the permissions of, as they are now, in place of a list.
    #[schema(value_type = Option<String>, example = "support")]
    role: Option<RoleName>,
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

/// The roles.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolesAnswer {
    /// From the one that may everything to the one that only looks.
    #[schema(value_type = Vec<schemas::Role>)]
    items: Vec<Role>,
}

/// List the roles that API keys can be made from.
#[utoipa::path(get, path = "/v1/roles", tag = "access", responses((status = 200, body = RolesAnswer)))]
pub(crate) async fn get_roles() -> Json<RolesAnswer> {
    Json(RolesAnswer { items: RoleName::ALL.iter().map(|name| name.role()).collect() })
}

/// List API keys, revoked ones too.
#[utoipa::path(get, path = "/v1/api-keys", tag = "access", responses((status = 200, body = ApiKeysAnswer)))]
pub(crate) async fn get_api_keys(State(app): State<Shared>, caller: Caller) -> Result<Json<ApiKeysAnswer>, Problem> {
    Ok(Json(ApiKeysAnswer { items: app.engine.store().api_keys(caller.tenant).await? }))
}

/// Make an API key.
///
/// The first key of an installation ends open access. A key grants no more than its maker has: anything else is refused with
/// 403 `beyond_maker`. A key that is made from a role keeps its permissions when the role changes later. A repeated request
/// makes another key, since the secret is not stored; revoke the one that was lost.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "access", request_body = ApiKeyRequest,
    responses((status = 201, body = ApiKeyAnswer)),
)]
pub(crate) async fn post_api_keys(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<ApiKeyRequest>,
) -> Result<(StatusCode, Json<ApiKeyAnswer>), Problem> {
    let ApiKeyRequest { name, permissions, role } = body.value;
    check(&name, &permissions, role)?;
    let mut permissions = role.map_or(permissions, |role| role.role().permissions);
    permissions.sort_unstable();
    permissions.dedup();
    let lacking = caller.may.lacking(&permissions);
    if !lacking.is_empty() {
        return Err(beyond("beyond_maker", "a key grants no more than its maker has", &lacking));
    }
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
/// This server refuses it at once, others on the same database within a second. A tenant's last key with `admin` is
/// refused with 409 `last_key_maker`: make another one first. A key that grants what the caller lacks is refused with 403
/// `beyond_revoker`.
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
    let revocation = app.engine.store().revoke_api_key(caller.tenant, id, caller.may, app.engine.clock().now()).await?;
    app.keys.forget();
    match revocation {
        Revocation::Revoked => Ok(StatusCode::NO_CONTENT),
        Revocation::NotInForce => Err(Problem::not_found(format!("API key {id} in force"))),
        Revocation::LastOfItsKind => {
            let detail = format!(
                "API key {id} is the last one of this tenant with `admin`, and without it nobody could be let in to \
                 everything again; make another such key first"
            );
            Err(Problem::new(StatusCode::CONFLICT, "last_key_maker", detail))
        }
        Revocation::Beyond(lacking) => {
            Err(beyond("beyond_revoker", "a key is revoked by who has all that it grants", &lacking))
        }
    }
}

fn beyond(code: &'static str, rule: &str, lacking: &[Permission]) -> Problem {
    let lacking: Vec<String> = lacking.iter().map(|permission| format!("`{permission}`")).collect();
    Problem::new(StatusCode::FORBIDDEN, code, format!("{rule}, and the caller lacks {}", lacking.join(", ")))
}

fn check(name: &str, permissions: &[Permission], role: Option<RoleName>) -> Result<(), Problem> {
    let mut problems = Vec::new();
    if name.trim().is_empty() || name.len() > NAME_BYTES_MAX {
        let message = format!("has {} bytes; it must have from 1 to {NAME_BYTES_MAX}", name.trim().len());
        problems.push(FieldProblem::new("/name", message));
    }
    match role {
        None if permissions.is_empty() => {
            problems.push(FieldProblem::new(
                "/permissions",
                "must name at least one permission, or `role` one of /v1/roles",
            ));
        }
        Some(_) if !permissions.is_empty() => {
            problems.push(FieldProblem::new("/role", "stands in the place of `permissions`: name one of the two"));
        }
        _ => {}
    }
    if problems.is_empty() { Ok(()) } else { Err(Problem::invalid(problems)) }
}

/// Random bits of the operating system: a secret must not follow from anything else that we answer.
pub(crate) fn random_bits() -> std::io::Result<[u8; 32]> {
    let mut bits = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bits)?;
    Ok(bits)
}
