//! Events in as Segment's libraries send them: batches of calls, each judged alone; what they mean, `dhow_events::segment` says.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use dhow_commerce::FieldProblem;
use dhow_events::segment::{Intake, from_call};
use dhow_events::{Event, EventId, EventProblem, Money, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::events::{RejectedEvent, check_count, check_size};
use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::JsonBody;
use crate::problem::Problem;

/// A batch of Segment's tracking API. Fields that are not named here are passed over.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SegmentBatch {
    /// 1 to 1,000 calls as Segment's libraries write them, at most 64 KiB each.
    #[schema(value_type = Vec<Object>)]
    batch: Vec<Value>,
    /// When the sender's clock says that it was sent; times of the calls are moved by what that clock is wrong.
    #[schema(value_type = Option<String>)]
    sent_at: Option<Timestamp>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SegmentAnswer {
    /// Whether nothing was refused.
    success: bool,
    /// The ids of the events that are in the log now, on disk. A call can make several.
    #[schema(value_type = Vec<String>)]
    accepted: Vec<EventId>,
    /// Places of the calls, from 0, that say nothing of a fact: other kinds than `track`, and names that are not mapped.
    passed_over: Vec<usize>,
    /// The calls that were refused.
    rejected: Vec<RejectedEvent>,
}

/// Take events in as Segment's libraries send them.
///
/// Point a library at this server (`host` in Python, `host` and `path` in Node) with an API key as its write key. The
/// e-commerce events `Signed Up`, `Signed In`, `Products Searched`, `Product Viewed`, `Product Added`, `Product Removed`,
/// `Product Reviewed`, `Order Completed` and `Order Refunded` become facts; other calls are passed over. Each call is
/// judged alone: the right ones are on disk when this answers. Sending a call again is safe: its `messageId` makes it a
/// duplicate.
#[utoipa::path(
    post, path = "/v1/batch", tag = "events",
    request_body = SegmentBatch, responses((status = 200, body = SegmentAnswer)),
)]
pub(crate) async fn post_batch(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody<SegmentBatch>,
) -> Result<Json<SegmentAnswer>, Problem> {
    let (events, mut answer) = judge(&app, caller.tenant, &body.value)?;
    if events.is_empty() && answer.passed_over.is_empty() {
        let fields = answer.rejected.into_iter().map(|call| FieldProblem::new(call.pointer, call.message));
        let detail = "every call was refused; nothing was taken in";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "events_rejected", detail).with_errors(fields));
    }
    answer.accepted = events.iter().map(|event: &Event| event.id).collect();
    if !events.is_empty() {
        app.engine.append(events).await?;
    }
    Ok(Json(answer))
}

/// The events of the calls that are right, and what became of the others.
fn judge(app: &App, tenant: TenantId, body: &SegmentBatch) -> Result<(Vec<Event>, SegmentAnswer), Problem> {
    check_count("/batch", body.batch.len())?;
    let usd_minor = |amount: Money| app.engine.commerce().rates().usd_minor(amount).map_err(|error| error.to_string());
    let intake = Intake { tenant, now: app.engine.clock().now(), sent_at: body.sent_at, usd_minor: &usd_minor };
    let mut answer = SegmentAnswer { success: true, accepted: vec![], passed_over: vec![], rejected: vec![] };
    let mut events = Vec::with_capacity(body.batch.len());
    for (index, call) in body.batch.iter().enumerate() {
        match check_size(call).and_then(|()| from_call(call, &intake)) {
            Ok(facts) if facts.is_empty() => answer.passed_over.push(index),
            Ok(facts) => events.extend(facts),
            Err(problem) => answer.reject(index, problem),
        }
    }
    Ok((events, answer))
}

impl SegmentAnswer {
    fn reject(&mut self, index: usize, problem: EventProblem) {
        self.success = false;
        let pointer = format!("/batch/{index}{}", problem.pointer);
        self.rejected.push(RejectedEvent { index, pointer, message: problem.message });
    }
}
