//! The feed of changes: pages by cursor, and the same as server-sent events; what is told and kept is commerce's.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{FEED_PAGE_MAX, FeedEvent, FeedPage, FeedStart, event_kinds, told};
use dhow_events::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::Shared;
use crate::event_schemas;
use crate::input::{Parameters, accepts};
use crate::problem::Problem;
use crate::settings::{EVENT_PAUSE, EVENT_STREAM_TIME_MAX, EVENT_STREAMS_MAX, PAGE_LIMIT_DEFAULT};

/// The media type of server-sent events.
const STREAM_TYPE: &str = "text/event-stream";
/// How often a stream without news shows that it lives.
const HEART_BEAT: Duration = Duration::from_secs(10);

/// Which part of the feed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedParameters {
    /// The `next` of the page before, or an event's `cursor`; `now` for what is told from now on. The oldest event that is
    /// kept where it is absent.
    after: Option<String>,
    /// The most events, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// Only of these types, at most 20 with commas between them: `order_placed,payment_captured`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    types: Option<String>,
}

/// An event of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedItem {
    /// The place after it.
    cursor: String,
    #[schema(value_type = event_schemas::ToldEvent)]
    event: Value,
}

impl FeedItem {
    fn of(event: &FeedEvent) -> Self {
        Self { cursor: event.cursor().encode(), event: told(&event.record) }
    }
}

/// A page of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedAnswer {
    /// In the order of the feed.
    items: Vec<FeedItem>,
    /// Where the next page begins. It is there also where nothing follows yet: ask with it again.
    next: String,
    /// Whether the feed goes on after this page already.
    more: bool,
}

/// Read every committed change, once and in order.
///
/// Each change is told when the log has taken it. Pages by `after` never miss one that commits later, and of one `subject` the
/// `sequence` rises. Events are kept for 30 days, or as the server is configured; an older cursor is answered with 410
/// `cursor_expired`, which names the oldest that can be read from. With `types` a page may be empty while `more` is true.
///
/// With `Accept: text/event-stream` the same events come as server-sent events, each with its cursor as its id, so that
/// `Last-Event-ID` goes on where a broken stream ended; a comment every ten seconds shows that the stream lives. It ends after
/// 11 minutes, and clients connect again by themselves.
///
/// Events that clients send to `POST /v1/events` are not changes of ours and do not stand here.
#[utoipa::path(
    get, path = "/v1/events", tag = "events",
    params(
        FeedParameters,
        ("Last-Event-ID" = Option<String>, Header, description = "Of a stream: the last event that was received; it goes before `after`."),
    ),
    responses((status = 200, content((FeedAnswer = "application/json"), (String = "text/event-stream")))),
)]
pub(crate) async fn get_events(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Parameters(parameters): Parameters<FeedParameters>,
) -> Result<Response, Problem> {
    let FeedParameters { after, limit, types } = parameters;
    let types = types.as_deref().into_iter().flat_map(|types| types.split(','));
    let parameter = |error| Problem::from(error).into_parameter();
    let kinds = event_kinds(types, "/type").map_err(parameter)?;
    if !accepts(&headers, STREAM_TYPE) {
        let start = FeedStart::parse(after.as_deref()).map_err(parameter)?;
        let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
        let page = app.engine.commerce().feed_page(caller.tenant, start, &kinds, limit).await.map_err(parameter)?;
        return Ok(Json(answer(&page)).into_response());
    }
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
    let start = FeedStart::parse(last.or(after.as_deref())).map_err(parameter)?;
    stream(app, caller.tenant, start, kinds).await
}

fn answer(page: &FeedPage) -> FeedAnswer {
    FeedAnswer { items: page.events.iter().map(FeedItem::of).collect(), next: page.next.encode(), more: page.more }
}

async fn stream(
    app: Shared,
    tenant: TenantId,
    start: FeedStart,
    kinds: Vec<&'static str>,
) -> Result<Response, Problem> {
    let place = app.stream_places.clone().try_acquire_owned();
    let place =
        place.map_err(|_| Problem::busy("busy", format!("{EVENT_STREAMS_MAX} streams of events are open already")))?;
    // A cursor that cannot be read from is told before the stream begins.
    let first = app.engine.commerce().feed_page(tenant, start, &kinds, FEED_PAGE_MAX).await;
    let FeedPage { events, next, .. } = first.map_err(|error| Problem::from(error).into_parameter())?;
    let until = app.tick() + EVENT_STREAM_TIME_MAX.as_micros() as i64;
    let reader =
        Reader { app, tenant, kinds, next: FeedStart::After(next), unread: events.into(), until, _place: place };
    let alive = KeepAlive::new().interval(HEART_BEAT);
    Ok(Sse::new(futures::stream::unfold(reader, next_event)).keep_alive(alive).into_response())
}

/// Somebody who reads the feed as it grows. A page at most is read ahead: who reads slowly makes nothing wait.
struct Reader {
    app: Shared,
    tenant: TenantId,
    kinds: Vec<&'static str>,
    next: FeedStart,
    unread: VecDeque<FeedEvent>,
    until: Timestamp,
    _place: OwnedSemaphorePermit,
}

/// The next event, once there is one; nothing after the stream's time.
async fn next_event(mut reader: Reader) -> Option<(Result<Event, Infallible>, Reader)> {
    while reader.app.tick() < reader.until {
        if let Some(event) = reader.unread.pop_front() {
            let data = json!(FeedItem::of(&event)).to_string();
            return Some((Ok(Event::default().id(event.cursor().encode()).data(data)), reader));
        }
        let commerce = reader.app.engine.commerce();
        match commerce.feed_page(reader.tenant, reader.next, &reader.kinds, FEED_PAGE_MAX).await {
            Ok(page) => {
                reader.next = FeedStart::After(page.next);
                reader.unread = page.events.into();
                if reader.unread.is_empty() && !page.more {
                    tokio::time::sleep(EVENT_PAUSE).await;
                }
            }
            Err(error) => {
                // The reader connects again with its last cursor, and is told then.
                tracing::error!(%error, "a stream of the feed ended early");
                return None;
            }
        }
    }
    None
}
