//! Persons who ask what is held of them, and to be forgotten; what is done for it is the engine's.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{ErasureCounts, ErasureRecord, PAGE_LIMIT_MAX, PersonPlace};
use dhow_engine::{ExportPart, ExportPlace};
use dhow_events::{BuyerId, ErasureId, TenantId, Timestamp, cloudevents};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::access::Caller;
use crate::app::{App, Shared};
use crate::input::{Parameters, PathId};
use crate::problem::Problem;
use crate::settings::PAGE_LIMIT_DEFAULT;

/// What is kept of an erased person, and why; told with every erasure.
const KEPT: [&str; 4] = [
    "orders, payments, refunds, returns, disputes, bids and decisions, with their amounts, under a pseudonym: the law asks for \
     the books",
    "the audit log, which names requests and what they changed, not persons",
    "block and allow lists of cards, devices and addresses, and notes that reviewers wrote",
    "models trained before, which may hold the id until they are trained again; they answer for it as for somebody unknown",
];

/// Which part of an export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportParameters {
    /// The most items, 1 to 100; 20 where it is absent.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// A thing that is held of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportItem {
    /// `checkouts`, `orders`, `order_lines`, `payments`, `transfers`, `returns`, `disputes`, `auction_bids`, `decisions`,
    /// `fraud_cases`, `fraud_list_log`, `events` or `features`.
    kind: String,
    /// What is stored: a row with its columns, a CloudEvent, or the features of a view.
    #[schema(value_type = Object)]
    data: Value,
}

/// A page of what is held of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExportPage {
    /// May be empty where the export goes on: a page looks at a bounded part of what is stored.
    items: Vec<ExportItem>,
    /// The cursor of the next page; null on the last one.
    next: Option<String>,
}

/// The erasure of a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErasureAnswer {
    #[schema(value_type = String)]
    id: ErasureId,
    /// `asked` or `done`.
    state: &'static str,
    #[schema(value_type = String)]
    asked_at: Timestamp,
    /// When nothing of the person was left; null before.
    #[schema(value_type = Option<String>, required)]
    done_at: Option<Timestamp>,
    /// Rows of the database that were rewritten.
    database_rows: u64,
    /// Records of the log that were rewritten.
    log_records: u64,
    /// Files of the lake that were rewritten.
    lake_files: u64,
    /// What is kept, and why.
    kept: Vec<&'static str>,
}

impl From<ErasureRecord> for ErasureAnswer {
    fn from(record: ErasureRecord) -> Self {
        let ErasureCounts { database_rows, log_records, lake_files } = record.counts;
        Self {
            id: record.id,
            state: if record.done_at.is_some() { "done" } else { "asked" },
            asked_at: record.asked_at,
            done_at: record.done_at,
            database_rows,
            log_records,
            lake_files,
            kept: KEPT.to_vec(),
        }
    }
}

/// Export what is held of a person.
///
/// Page after page: rows of the database, events of the log, features as they stand now. Go on with `next` until it is null.
#[utoipa::path(
    get, path = "/v1/persons/{id}/export", tag = "persons",
    params(("id" = String, Path, description = "The buyer."), ExportParameters),
    responses((status = 200, body = ExportPage)),
)]
pub(crate) async fn get_export(
    State(app): State<Shared>,
    caller: Caller,
    PathId(person): PathId<BuyerId>,
    Parameters(ExportParameters { limit, cursor }): Parameters<ExportParameters>,
) -> Result<Json<ExportPage>, Problem> {
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    if !(1..=PAGE_LIMIT_MAX).contains(&limit) {
        return Err(Problem::parameter("limit", format!("is {limit}; it must be from 1 to {PAGE_LIMIT_MAX}")));
    }
    let foreign = || Problem::parameter("cursor", "is not a cursor of this export; give back the `next` of before");
    let from = cursor.map(|text| read_cursor(&text).ok_or_else(foreign)).transpose()?;
    let exported = app.engine.export_person(caller.tenant, person, from, limit).await;
    let (part, next) = exported.map_err(|error| Problem::from(error).into_parameter())?;
    Ok(Json(ExportPage { items: items(part)?, next: next.map(|place| cursor_of(&place)) }))
}

/// Erase a person.
///
/// The person's id, visits, devices, cards and addresses become those of a pseudonym that nobody is told, in the database, the
/// log, the lake and the features; words that the person wrote are blanked, and places of delivery rounded to whole degrees.
/// Money, stock and books stay as they are. What names the person from now on is taken in under the pseudonym, and new
/// checkouts and bids are refused. Sent again, the same erasure is answered: 202 while it is under way, 200 once it is done.
/// 409 where the log is a Kafka topic or the features are in Redis, of which nothing can be taken out.
#[utoipa::path(
    post, path = "/v1/persons/{id}/erase", tag = "persons",
    params(("id" = String, Path, description = "The buyer.")),
    responses((status = 200, body = ErasureAnswer), (status = 202, body = ErasureAnswer)),
)]
pub(crate) async fn post_erase(
    State(app): State<Shared>,
    caller: Caller,
    PathId(person): PathId<BuyerId>,
) -> Result<Response, Problem> {
    let record = app.engine.ask_erasure(caller.tenant, person).await?;
    let status = if record.done_at.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let place = [(header::LOCATION, format!("/v1/erasures/{}", record.id))];
    Ok((status, place, Json(ErasureAnswer::from(record))).into_response())
}

/// Read how far an erasure came.
#[utoipa::path(
    get, path = "/v1/erasures/{id}", tag = "persons",
    params(("id" = String, Path, description = "The erasure.")),
    responses((status = 200, body = ErasureAnswer)),
)]
pub(crate) async fn get_erasure(
    State(app): State<Shared>,
    caller: Caller,
    PathId(id): PathId<ErasureId>,
) -> Result<Json<ErasureAnswer>, Problem> {
    Ok(Json(app.engine.erasure(caller.tenant, id).await?.into()))
}

/// Refuses a person who was erased: nothing new is stored of one.
pub(super) fn check_not_erased(app: &App, tenant: TenantId, person: BuyerId) -> Result<(), Problem> {
    if !app.engine.is_erased(tenant, person) {
        return Ok(());
    }
    let detail = format!("{person} was erased, and nothing new is stored under this id; give the person another one");
    Err(Problem::new(StatusCode::CONFLICT, "person_erased", detail))
}

fn items(part: ExportPart) -> Result<Vec<ExportItem>, Problem> {
    let item = |kind: &str, data: Value| ExportItem { kind: kind.to_owned(), data };
    match part {
        ExportPart::Rows(rows) => Ok(rows.rows.into_iter().map(|row| item(&rows.table, row)).collect()),
        ExportPart::Events(events) => {
            Ok(events.iter().map(|event| item("events", cloudevents::to_json(event))).collect())
        }
        ExportPart::Features(readings) => {
            let data = |reading| serde_json::to_value(reading).map_err(Problem::internal);
            readings.into_iter().map(|reading| Ok(item("features", data(reading)?))).collect()
        }
    }
}

/// An opaque text: the place in hexadecimal digits.
fn cursor_of(place: &ExportPlace) -> String {
    let parts = match place {
        ExportPlace::Database(PersonPlace { table, after }) => {
            [&["rows".to_owned(), table.clone()], after.as_slice()].concat()
        }
        ExportPlace::Log(partition, offset) => vec!["events".to_owned(), partition.to_string(), offset.to_string()],
        ExportPlace::Features => vec!["features".to_owned()],
    };
    parts.join(",").bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_cursor(text: &str) -> Option<ExportPlace> {
    let pairs = text.as_bytes().chunks(2).map(std::str::from_utf8);
    let bytes: Option<Vec<u8>> = pairs.map(|pair| u8::from_str_radix(pair.ok()?, 16).ok()).collect();
    let plain = String::from_utf8(bytes?).ok()?;
    let parts: Vec<&str> = plain.split(',').collect();
    match parts.as_slice() {
        ["rows", table, after @ ..] => {
            let after = after.iter().map(|part| (*part).to_owned()).collect();
            Some(ExportPlace::Database(PersonPlace { table: (*table).to_owned(), after }))
        }
        ["events", partition, offset] => Some(ExportPlace::Log(partition.parse().ok()?, offset.parse().ok()?)),
        ["features"] => Some(ExportPlace::Features),
        _ => None,
    }
}
