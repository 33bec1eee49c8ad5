//! Puts the router together and serves it on a listener until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Router, middleware};
use dhow_commerce::{AccessStorage, StorageError};
use dhow_engine::Engine;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::{App, guard, observe, panicked, unknown_path, wrong_method};
use crate::connections::serve_connections;
use crate::document::document;
use crate::routes;
use crate::settings::{ApiSettings, BODY_BYTES_MAX};

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no key, and others than this machine could reach the server.
    #[error(
        "no API key is configured, so only a loopback address may be served, and {address} is none; start on 127.0.0.1, \
         make a key there with `POST /v1/api-keys` and {{\"name\":\"first\",\"permissions\":[\"admin\"]}}, and start again"
    )]
    NoKeys {
        /// The address that was to be served.
        address: SocketAddr,
    },
    /// There is no key, and the settings forbid open access.
    #[error("no API key is configured, and the settings do not allow open access")]
    OpenAccessForbidden,
    /// The database could not say whether there are keys.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Listener(#[from] std::io::Error),
}

/// The whole API over `engine`. Open access is as the settings say: [`serve`] is what ties it to a loopback address.
pub fn router(engine: Arc<Engine>, settings: ApiSettings) -> Router {
    let document = document();
    let app = Arc::new(App::new(engine, settings, &document));
    let (routes, _) = routes::all().split_for_parts();
    let pages = Router::new()
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json").deep_linking(true)))
        .route("/", get(console));
    routes
        .route_layer(middleware::from_fn_with_state(app.clone(), guard))
        .merge(pages)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(app.clone(), observe))
        .with_state(app)
}

/// Serves `engine` on `listener` until `shutdown` ends; requests under way then have the settings' time to end.
///
/// # Errors
/// No key is configured and the address is not a loopback one, the database fails, or the listener does.
pub async fn serve(
    engine: Arc<Engine>,
    settings: ApiSettings,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ApiError> {
    let address = listener.local_addr()?;
    let settings = ApiSettings { open_access: open_access(&engine, settings, address).await?, ..settings };
    let router = router(engine, settings);
    serve_connections(listener, router, settings, shutdown).await;
    Ok(())
}

/// Whether requests without a key are answered while there is no key.
async fn open_access(engine: &Engine, settings: ApiSettings, address: SocketAddr) -> Result<bool, ApiError> {
    let loopback = address.ip().is_loopback();
    if engine.store().has_api_keys().await? {
        return Ok(false);
    }
    if !loopback {
        return Err(ApiError::NoKeys { address });
    }
    if !settings.open_access {
        return Err(ApiError::OpenAccessForbidden);
    }
    tracing::warn!(%address, "no API key is configured: access is open, as ten_default with every permission, to this machine");
    Ok(true)
}

/// The console page. It loads nothing from elsewhere, and its policy lets it load nothing.
async fn console() -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let headers: [(HeaderName, &str); 2] =
        [(header::CONTENT_SECURITY_POLICY, policy), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Html(include_str!("console.html")))
}
