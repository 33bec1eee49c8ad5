//! What every request passes on its way in and out: counting, the bound of requests at once, the guard; routes are elsewhere.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use dhow_engine::Engine;
use dhow_events::Timestamp;
use dhow_login::Login;
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::access::{BySession, Keys, Need, Rates, Rules};
use crate::audit::{self, REQUEST_ID, RequestId};
use crate::metrics::RequestMetrics;
use crate::problem::{Problem, ProblemWords};
use crate::routes::inference::{in_protocol_words, is_protocol_path};
use crate::sessions::Sessions;
use crate::settings::{ApiSettings, EVENT_STREAMS_MAX, SQL_QUERIES_MAX};
use crate::traces::span_of;

/// What handlers share.
pub(crate) struct App {
    pub engine: Arc<Engine>,
    pub settings: ApiSettings,
    pub document: String,
    pub rules: Rules,
    pub keys: Keys,
    pub sessions: Sessions,
    /// Where people log in, if they do.
    pub login: Option<Arc<Login>>,
    pub rates: Rates,
    pub metrics: RequestMetrics,
    pub places: Arc<Semaphore>,
    pub sql_places: Arc<Semaphore>,
    pub stream_places: Arc<Semaphore>,
}

/// The state of the router.
pub(crate) type Shared = Arc<App>;

impl App {
    /// The state of a fresh server. Where people log in, nobody is let in without a key or a session.
    pub(crate) fn new(
        engine: Arc<Engine>,
        settings: ApiSettings,
        login: Option<Arc<Login>>,
        document: &serde_json::Value,
    ) -> Self {
        Self {
            engine,
            settings,
            document: format!("{document:#}"),
            rules: Rules::new(document),
            keys: Keys::new(settings.open_access && login.is_none()),
            sessions: Sessions::default(),
            login,
            rates: Rates::new(&settings),
            metrics: RequestMetrics::default(),
            places: Arc::new(Semaphore::new(settings.requests_at_once_max)),
            sql_places: Arc::new(Semaphore::new(SQL_QUERIES_MAX)),
            stream_places: Arc::new(Semaphore::new(EVENT_STREAMS_MAX)),
        }
    }

    /// The instant by which durations are measured.
    pub(crate) fn tick(&self) -> Timestamp {
        self.engine.stopwatch().now()
    }
}

/// Counts and times every answer, those to unknown paths too.
///
/// Every request has an id, which its answer carries: the caller's `x-request-id`, or a fresh one.
pub(crate) async fn observe(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let begin = app.tick();
    let id = RequestId::of(request.headers(), || app.engine.random());
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let of_protocol = is_protocol_path(request.uri().path());
    let span = span_of(&method, &route, request.headers());
    let mut response = next.run(request).instrument(span.clone()).await;
    span.record("http.response.status_code", response.status().as_u16());
    drop(span);
    if of_protocol && let Some(ProblemWords(words)) = response.extensions().get::<ProblemWords>().cloned() {
        response = in_protocol_words(&words, response);
    }
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    app.metrics.observe(&method, &route, response.status().as_u16(), app.tick().micros_since(begin));
    response
}

/// Lets a request through to its route: permission, rate, parameters, time. A route without a rule is let through to nobody.
pub(crate) async fn guard(
    State(app): State<Shared>,
    matched: MatchedPath,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let rule = app.rules.of(request.method(), matched.as_str());
    let rule = rule.ok_or_else(|| Problem::internal(format!("{} has no declared need", matched.as_str())))?;
    let Need::Of(permission) = rule.need else {
        rule.check_parameters(request.uri())?;
        let row = audit::row_of(&app, None, matched.as_str(), &request);
        return Ok(audit::answer(&app, row, next.run(request)).await);
    };
    let _place = app.places.try_acquire().map_err(|_| {
        let detail = format!("{} requests are under way already", app.settings.requests_at_once_max);
        Problem::busy("overloaded", detail)
    })?;
    let now = app.tick();
    let (wall, method) = (app.engine.clock().now(), request.method());
    let by_session = |login| BySession { login, sessions: &app.sessions, method, now: wall };
    let by_session = app.login.as_deref().map(by_session);
    let admitted = app.keys.admit(app.engine.store(), request.headers(), permission, now, by_session).await?;
    app.rates.take(&admitted.caller, now)?;
    rule.check_parameters(request.uri())?;
    request.extensions_mut().insert(admitted.caller);
    let time_max = app.settings.request_time_max;
    let row = audit::row_of(&app, Some(&admitted), matched.as_str(), &request);
    let work = async {
        let answered = tokio::time::timeout(time_max, next.run(request)).await;
        answered.unwrap_or_else(|_| timed_out(time_max).into_response())
    };
    Ok(audit::answer(&app, row, work).await)
}

fn timed_out(time_max: Duration) -> Problem {
    let detail = format!("the answer took longer than {} s", time_max.as_secs_f64());
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "timeout", detail)
}

/// The answer where a handler panicked: the connection lives on.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Problem::internal(words.unwrap_or("a handler panicked without words")).into_response()
}

/// The answer for a path that is no route.
pub(crate) async fn unknown_path(request: Request) -> Problem {
    let detail = format!("there is no `{}`; /docs lists what there is", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "unknown_path", detail)
}

/// The answer for a route that has no such method.
pub(crate) async fn wrong_method(request: Request) -> Problem {
    let detail = format!("`{}` does not take {}; /docs lists what it takes", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}
