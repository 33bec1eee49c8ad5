//! The models and what runs.

use axum::Json;
use axum::extract::State;
use dhow_engine::{FeatureHealth, Quantiles};
use dhow_events::{ModelId, TenantId, Timestamp};
use dhow_registry::{Alias, ModelCard, RegistryError, Task};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::problem::Problem;
use crate::schemas;

/// Which model has which role now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AliasAnswer {
    #[schema(value_type = String)]
    task: Task,
    /// `champion`, `challenger` or `shadow`.
    #[schema(value_type = String)]
    alias: Alias,
    #[schema(value_type = String)]
    model_id: ModelId,
    /// Since when.
    #[schema(value_type = String)]
    at: Timestamp,
    /// Why it was promoted.
    why: String,
}

/// The tenant's models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelsAnswer {
    aliases: Vec<AliasAnswer>,
    /// Every registered model, oldest first.
    #[schema(value_type = Vec<schemas::ModelCard>)]
    cards: Vec<ModelCard>,
}

/// List models with their cards and roles.
#[utoipa::path(get, path = "/v1/models", tag = "models", responses((status = 200, body = ModelsAnswer)))]
pub(crate) async fn get_models(State(app): State<Shared>, caller: Caller) -> Result<Json<ModelsAnswer>, Problem> {
    let engine = app.engine.clone();
    let read = move || {
        let (registry, tenant) = (engine.registry(), caller.tenant);
        let (ledger, cards) = (registry.ledger()?, registry.list(&tenant)?);
        let roles = Task::ALL.iter().flat_map(|task| Alias::ALL.iter().map(|alias| (*task, *alias)));
        let held = roles.filter_map(|(task, alias)| ledger.last(&tenant, task, alias));
        let alias = |promotion: &dhow_registry::Promotion| AliasAnswer {
            task: promotion.task,
            alias: promotion.alias,
            model_id: promotion.model_id,
            at: promotion.at,
            why: promotion.why.clone(),
        };
        Ok::<_, RegistryError>(ModelsAnswer { aliases: held.map(alias).collect(), cards })
    };
    let answer = tokio::task::spawn_blocking(read).await.map_err(Problem::internal)?;
    answer.map(Json).map_err(Problem::internal)
}

/// A model in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelInForce {
    task: String,
    /// Its name and id.
    model: String,
}

/// Quantiles of durations, in microseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quantiles)]
pub(crate) struct QuantilesAnswer {
    /// How many were measured.
    count: usize,
    p50: i64,
    p90: i64,
    p99: i64,
    max: i64,
}

impl From<Quantiles> for QuantilesAnswer {
    fn from(quantiles: Quantiles) -> Self {
        let Quantiles { count, p50, p90, p99, max } = quantiles;
        Self { count, p50, p90, p99, max }
    }
}

/// What runs and how it goes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StatusAnswer {
    /// The platform's clock.
    #[schema(value_type = String)]
    now: Timestamp,
    /// The caller's tenant.
    #[schema(value_type = String)]
    tenant: TenantId,
    /// `open` while no key exists, otherwise `key`, or `session` where a person logged in.
    access: &'static str,
    /// `running`, or `failed`: the log says why.
    worker: &'static str,
    /// Events in the log.
    log_events: u64,
    /// Events applied since the start.
    applied_events: u64,
    /// Events acknowledged and not applied yet.
    lag_events: u64,
    /// From acknowledgement to visible in a feature read.
    freshness_us: QuantilesAnswer,
    /// Entities with features in memory.
    feature_keys: u64,
    late_events: u64,
    duplicate_events: u64,
    /// Products known.
    products: usize,
    /// Requests answered since the start.
    requests: u64,
    /// How signing secrets of webhooks stand in the database: `sealed`, or `clear` where no key is configured.
    webhook_secrets: &'static str,
    /// The models in force.
    models: Vec<ModelInForce>,
    /// What the monitor found of the features that fraud scores were served with.
    feature_health: FeatureHealthAnswer,
}

/// What the monitor found since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeatureHealthAnswer {
    /// `waiting` for its first round, `sound`, `alert`, or `failed`: the log says why.
    state: &'static str,
    /// When the last round ended.
    #[schema(value_type = Option<String>)]
    checked_at: Option<Timestamp>,
    /// Served values computed again from the log.
    parity_values: u64,
    /// Values that came out otherwise.
    parity_differences: u64,
    /// Vectors served while known events waited to be applied.
    stale_vectors: u64,
    /// Vectors of the last window that was compared with the model's training data.
    drift_vectors: usize,
    /// Features of that window that have drifted.
    drifted: Vec<String>,
    /// Expectations that it breaks.
    broken_expectations: Vec<String>,
}

impl From<FeatureHealth> for FeatureHealthAnswer {
    fn from(health: FeatureHealth) -> Self {
        let drift = health.drift.as_ref();
        let drifted: Vec<String> =
            drift.map(|check| check.drifted.iter().map(|one| one.feature.clone()).collect()).unwrap_or_default();
        let broken_expectations: Vec<String> =
            drift.map(|check| check.violations.iter().map(ToString::to_string).collect()).unwrap_or_default();
        let alert = health.parity.difference_count > 0 || !drifted.is_empty() || !broken_expectations.is_empty();
        let state = match (&health.failure, health.checked_at) {
            (Some(_), _) => "failed",
            (None, None) => "waiting",
            _ if alert => "alert",
            _ => "sound",
        };
        Self {
            state,
            checked_at: health.checked_at,
            parity_values: health.parity.values,
            parity_differences: health.parity.difference_count,
            stale_vectors: health.parity.stale_vectors,
            drift_vectors: drift.map_or(0, |check| check.vectors),
            drifted,
            broken_expectations,
        }
    }
}

/// What runs and how it goes.
#[utoipa::path(get, path = "/v1/status", tag = "operation", responses((status = 200, body = StatusAnswer)))]
pub(crate) async fn get_status(State(app): State<Shared>, caller: Caller) -> Result<Json<StatusAnswer>, Problem> {
    let status = app.engine.status(caller.tenant)?;
    let in_force = |(task, model): (&'static str, String)| ModelInForce { task: task.to_owned(), model };
    Ok(Json(StatusAnswer {
        now: status.now,
        tenant: caller.tenant,
        access: match (caller.key, caller.session) {
            (Some(_), _) => "key",
            (None, Some(_)) => "session",
            (None, None) => "open",
        },
        worker: if status.worker_failure.is_none() { "running" } else { "failed" },
        log_events: status.log_events,
        applied_events: status.applied_events,
        lag_events: status.lag_events,
        freshness_us: status.freshness_us.into(),
        feature_keys: status.feature_keys,
        late_events: status.late_events,
        duplicate_events: status.duplicate_events,
        products: status.products,
        requests: app.metrics.request_count(),
        webhook_secrets: if status.secrets_sealed_by.is_some() { "sealed" } else { "clear" },
        models: status.models.into_iter().map(in_force).collect(),
        feature_health: status.feature_health.into(),
    }))
}
