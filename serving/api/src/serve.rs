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
use dhow_inference::grpc::{GrpcError, serve_grpc};
use dhow_login::Login;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::{App, guard, observe, panicked, unknown_path, wrong_method};
use crate::connections::serve_connections;
use crate::document::document;
use crate::grpc::{ApiGate, bounds};
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
    /// The gRPC server failed.
    #[error(transparent)]
    Grpc(#[from] GrpcError),
}

/// The whole API over `engine`. Open access is as the settings say: [`serve`] is what ties it to a loopback address.
pub fn router(engine: Arc<Engine>, settings: ApiSettings) -> Router {
    router_of(app_of(engine, settings, None))
}

/// The same, where people log in and nobody is let in without a key or a session.
pub fn router_with_login(engine: Arc<Engine>, settings: ApiSettings, login: Arc<Login>) -> Router {
    router_of(app_of(engine, settings, Some(login)))
}

fn app_of(engine: Arc<Engine>, settings: ApiSettings, login: Option<Arc<Login>>) -> Arc<App> {
    Arc::new(App::new(engine, settings, login, &document()))
}

fn router_of(app: Arc<App>) -> Router {
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
    serve_all(engine, settings, Entrances { listener, grpc: None, login: None }, shutdown).await
}

/// Where requests come in.
pub struct Entrances {
    /// For HTTP.
    pub listener: TcpListener,
    /// For the Open Inference Protocol over gRPC, where it is served.
    pub grpc: Option<TcpListener>,
    /// Where people log in, if they do: then a server without a key may be reached from elsewhere.
    pub login: Option<Arc<Login>>,
}

/// The same at several entrances: with the calls of the Open Inference Protocol over gRPC on a listener of their own, where
/// there is one, and with people who log in, where they do. All know the same keys and count the same rates. Where one fails,
/// all end.
///
/// # Errors
/// As [`serve`], for each of the addresses.
pub async fn serve_all(
    engine: Arc<Engine>,
    settings: ApiSettings,
    Entrances { listener, grpc, login }: Entrances,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ApiError> {
    let mut open = login.is_none() && open_access(&engine, settings, listener.local_addr()?).await?;
    if let Some(grpc) = grpc.as_ref().filter(|_| login.is_none()) {
        open &= open_access(&engine, settings, grpc.local_addr()?).await?;
    }
    let settings = ApiSettings { open_access: open, ..settings };
    let app = app_of(engine, settings, login);
    let (stopping, stopped) = watch::channel(false);
    let told = |mut stopped: watch::Receiver<bool>| async move {
        // A sender that is gone stops the server too.
        let _gone = stopped.wait_for(|stopped| *stopped).await;
    };
    let (gate, inference) = (Arc::new(ApiGate(app.clone())), app.engine.inference().clone());
    let calls = {
        let stopped = told(stopped.clone());
        async move {
            match grpc {
                None => stopped.await,
                Some(grpc) => serve_grpc(inference, gate, bounds(&settings), grpc, stopped).await?,
            }
            Ok(())
        }
    };
    let requests = async move {
        serve_connections(listener, router_of(app), settings, told(stopped)).await;
        Ok::<(), ApiError>(())
    };
    let stop = tokio::spawn(async move {
        shutdown.await;
        stopping.send_replace(true);
    });
    let ended = tokio::try_join!(requests, calls);
    stop.abort();
    ended.map(|_| ())
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
