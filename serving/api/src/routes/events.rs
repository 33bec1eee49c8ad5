//! Events in: one CloudEvent, a batch, or NDJSON; each is judged alone, and the right ones go in.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use dhow_commerce::FieldProblem;
use dhow_events::cloudevents::{EVENT_BYTES_MAX, from_json, from_line};
use dhow_events::{Event, EventId, EventProblem, TenantId, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JSON_TYPE, RawBody, parse_json};
use crate::problem::Problem;
use crate::schemas::CloudEvent;
use crate::settings::EVENTS_PER_REQUEST_MAX;

const LINES_TYPE: &str = "application/x-ndjson";
const TYPES: [&str; 4] = [JSON_TYPE, "application/cloudevents+json", "application/cloudevents-batch+json", LINES_TYPE];

/// What became of the events of one request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsAnswer {
    /// The ids of the events that are in the log now, on disk.
    #[schema(value_type = Vec<String>)]
    accepted: Vec<EventId>,
    /// The events that were refused; they may be mended and sent again.
    rejected: Vec<RejectedEvent>,
}

/// An event that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RejectedEvent {
    /// Its place in the request, from 0.
    pub index: usize,
    /// A JSON Pointer into the body; of NDJSON, its first part is the line from 0.
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Take events in.
///
/// One CloudEvent, an array of at most 1,000, or NDJSON; at most 4 MiB. The tenant is the key's. Each event is judged
/// alone: the right ones are on disk when this answers, the wrong ones are listed with their place. Sending an event
/// again is safe: its id makes it a duplicate.
#[utoipa::path(
    post, path = "/v1/events", tag = "events",
    request_body(content(
        (CloudEvent = "application/json"), (CloudEvent = "application/cloudevents+json"),
        (Vec<CloudEvent> = "application/cloudevents-batch+json"), (String = "application/x-ndjson"),
    )),
    responses((status = 202, body = EventsAnswer)),
)]
pub(crate) async fn post_events(
    State(app): State<Shared>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<EventsAnswer>), Problem> {
    let body = RawBody::read(request, &TYPES).await?;
    let judged = judge(&body, caller.tenant, app.engine.clock().now())?;
    let (mut events, mut rejected) = (Vec::with_capacity(judged.len()), Vec::new());
    for (index, (place, event)) in judged.into_iter().enumerate() {
        match event {
            Ok(event) => events.push(event),
            Err(problem) => {
                let pointer = format!("{place}{}", problem.pointer);
                rejected.push(RejectedEvent { index, pointer, message: problem.message });
            }
        }
    }
    if events.is_empty() {
        let fields = rejected.into_iter().map(|event| FieldProblem::new(event.pointer, event.message));
        let detail = "every event was refused; nothing was taken in";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "events_rejected", detail).with_errors(fields));
    }
    let accepted = events.iter().map(|event| event.id).collect();
    app.engine.append(events).await?;
    Ok((StatusCode::ACCEPTED, Json(EventsAnswer { accepted, rejected })))
}

type Judged = Vec<(String, Result<Event, EventProblem>)>;

/// Each event with its place in the body.
fn judge(body: &RawBody, tenant: TenantId, now: Timestamp) -> Result<Judged, Problem> {
    let checked = |event: Result<Event, EventProblem>| event.and_then(|event| event.check(now).map(|()| event));
    let placed = |index: usize| format!("/{index}");
    if body.media_type == LINES_TYPE {
        let text = std::str::from_utf8(&body.bytes).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("is not UTF-8: {error}"))
        })?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        check_count("", lines.len())?;
        return Ok(lines.iter().enumerate().map(|(i, line)| (placed(i), checked(from_line(line, tenant)))).collect());
    }
    let small = body.bytes.len() <= EVENT_BYTES_MAX;
    let read =
        |json: &Value| checked(if small { Ok(()) } else { check_size(json) }.and_then(|()| from_json(json, tenant)));
    match parse_json(&body.bytes)? {
        Value::Array(batch) => {
            check_count("", batch.len())?;
            Ok(batch.iter().enumerate().map(|(i, json)| (placed(i), read(json))).collect())
        }
        one => Ok(vec![(String::new(), read(&one))]),
    }
}

/// Checks how many events stand at `place` of the body.
pub(super) fn check_count(place: &str, count: usize) -> Result<(), Problem> {
    if (1..=EVENTS_PER_REQUEST_MAX).contains(&count) {
        return Ok(());
    }
    let message = format!("has {count} events; it must have from 1 to {EVENTS_PER_REQUEST_MAX}");
    Err(Problem::invalid([FieldProblem::new(place, message)]))
}

/// Checks the size of one event.
pub(super) fn check_size(json: &Value) -> Result<(), EventProblem> {
    let bytes = json.to_string().len();
    if bytes <= EVENT_BYTES_MAX {
        return Ok(());
    }
    Err(EventProblem::new("", format!("has {bytes} bytes; at most {EVENT_BYTES_MAX} are allowed")))
}
