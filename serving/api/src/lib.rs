//! The HTTP API: routes with their permissions, authentication, errors, OpenAPI, metrics and the console page; it computes no answer.
//!
//! A request passes `app::observe` (counted, timed), the panic net and, once its route is known,
//! `app::guard`: its key, permission, rate, parameters and time. Handlers stand in `routes`, one file for each
//! kind of question; what each route needs stands in one table in `access`. Every error is a `problem`.

mod access;
mod app;
mod audit;
mod connections;
mod document;
mod event_schemas;
mod fraud_schemas;
mod grpc;
mod input;
mod metrics;
mod operations;
mod problem;
mod routes;
mod schemas;
mod serve;
mod sessions;
mod settings;
mod traces;
mod watch_schemas;

pub use document::openapi;
pub use operations::{ALERT_RULES, DASHBOARD};
pub use serve::{ApiError, Entrances, router, router_with_login, serve, serve_all};
pub use settings::{
    ApiSettings, BODY_BYTES_MAX, EVENTS_PER_REQUEST_MAX, INFER_BODY_BYTES_MAX, KEY_MEMORY_MICROS, KEYS_REMEMBERED_MAX,
    PAGE_LIMIT_DEFAULT, SQL_MEMORY_BYTES_MAX, SQL_QUERIES_MAX, SQL_ROWS_MAX, SQL_TIME_MAX,
};
