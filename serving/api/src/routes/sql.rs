//! SELECTs over the caller's tables of the lake, bounded; rows as JSON.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::FieldProblem;
use dhow_engine::Engine;
use dhow_events::{TenantId, Timestamp};
use dhow_offline::{Lake, OfflineError, QueryBounds, SqlSession};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::{JsonBody, accepts};
use crate::problem::Problem;
use crate::settings::{SQL_MEMORY_BYTES_MAX, SQL_QUERIES_MAX, SQL_ROWS_MAX, SQL_SPILL_BYTES_MAX, SQL_TIME_MAX};

/// The media type of Arrow IPC streams.
const ARROW_STREAM_TYPE: &str = "application/vnd.apache.arrow.stream";

/// A query.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One SELECT. There is a table for each kind of fact.
    #[schema(example = "SELECT category, count(*) AS products FROM product_listed GROUP BY category")]
    query: String,
}

/// A column of the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SqlColumn {
    name: String,
    /// Arrow's name of its type.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    data_type: String,
}

/// The answer of a query.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SqlAnswer {
    columns: Vec<SqlColumn>,
    /// The rows; values in the order of the columns.
    rows: Vec<Vec<Value>>,
}

/// Ask the lake by SQL.
///
/// One SELECT over the tables as of the lake's last checkpoint: at most 10 s, 256 MiB and 10,000 rows. With `Accept:
/// application/vnd.apache.arrow.stream` the answer is an Arrow IPC stream.
#[utoipa::path(
    post, path = "/v1/sql", tag = "features", request_body = SqlRequest,
    responses((status = 200, content((SqlAnswer = "application/json"), (Vec<u8> = "application/vnd.apache.arrow.stream")))),
)]
pub(crate) async fn post_sql(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody<SqlRequest>,
) -> Result<Response, Problem> {
    let place = app.sql_places.clone().try_acquire_owned().map_err(|_| {
        Problem::busy("busy", format!("{SQL_QUERIES_MAX} queries are running already; try again shortly"))
    })?;
    let batches = ask(&app.engine, caller.tenant, &body.value.query, place).await?;
    if accepts(&headers, ARROW_STREAM_TYPE) {
        let bytes = arrow_stream(&batches).map_err(Problem::internal)?;
        return Ok(([(header::CONTENT_TYPE, ARROW_STREAM_TYPE)], bytes).into_response());
    }
    Ok(Json(answer(&batches).map_err(Problem::internal)?).into_response())
}

fn arrow_stream(batches: &[RecordBatch]) -> Result<Vec<u8>, ArrowError> {
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.into_inner()
}

async fn ask(
    engine: &Engine,
    tenant: TenantId,
    query: &str,
    place: OwnedSemaphorePermit,
) -> Result<Vec<RecordBatch>, Problem> {
    let lake = engine.lake().clone();
    let bounds = QueryBounds {
        memory_bytes_max: SQL_MEMORY_BYTES_MAX,
        spill_bytes_max: SQL_SPILL_BYTES_MAX,
        time_max: SQL_TIME_MAX,
        rows_max: SQL_ROWS_MAX,
    };
    let open = move || SqlSession::open(&Lake::open(lake)?, &tenant, bounds);
    let session = tokio::task::spawn_blocking(open).await.map_err(Problem::internal)?.map_err(Problem::internal)?;
    session.query_holding(query, place).await.map_err(|error| match error {
        OfflineError::Query(message) => Problem::invalid([FieldProblem::new("/query", message)]),
        OfflineError::Bound(message) => query_bound(format!("the query was ended: {message}")),
        other => Problem::internal(other),
    })
}

fn query_bound(message: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "query_bound", message)
}

fn answer(batches: &[RecordBatch]) -> Result<SqlAnswer, ArrowError> {
    let schema = batches.first().map(RecordBatch::schema);
    let columns = schema.as_ref().map_or_else(Vec::new, columns);
    let mut rows = Vec::new();
    for batch in batches {
        let values: Vec<Vec<Value>> = batch.columns().iter().map(values).collect::<Result<_, _>>()?;
        rows.extend((0..batch.num_rows()).map(|row| values.iter().map(|column| column[row].clone()).collect()));
    }
    Ok(SqlAnswer { columns, rows })
}

fn columns(schema: &SchemaRef) -> Vec<SqlColumn> {
    let column = |field: &Arc<arrow::datatypes::Field>| SqlColumn {
        name: field.name().clone(),
        data_type: field.data_type().to_string(),
    };
    schema.fields().iter().map(column).collect()
}

/// A column as JSON: numbers as numbers, times in RFC 3339, whatever else as Arrow shows it.
fn values(array: &ArrayRef) -> Result<Vec<Value>, ArrowError> {
    use DataType as T;
    Ok(match array.data_type() {
        T::Boolean => array.as_boolean().iter().map(|flag| json!(flag)).collect(),
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 => {
            cast(array, &T::Int64)?.as_primitive::<Int64Type>().iter().map(|number| json!(number)).collect()
        }
        T::UInt64 => array.as_primitive::<UInt64Type>().iter().map(|number| json!(number)).collect(),
        T::Float16 | T::Float32 | T::Float64 => {
            cast(array, &T::Float64)?.as_primitive::<Float64Type>().iter().map(|number| json!(number)).collect()
        }
        T::Timestamp(_, zone) => {
            let micros = cast(array, &T::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let time = |micros: Option<i64>| json!(micros.map(Timestamp::from_micros));
            micros.as_primitive::<TimestampMicrosecondType>().iter().map(time).collect()
        }
        _ => {
            let nulls = array.logical_nulls();
            let shown = |row| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                true => Ok(Value::Null),
                false => array_value_to_string(array, row).map(Value::String),
            };
            (0..array.len()).map(shown).collect::<Result<_, _>>()?
        }
    })
}
