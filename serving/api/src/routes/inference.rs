//! The Open Inference Protocol 2: paths, headers and status numbers; what a request says and what a model answers is elsewhere.

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_inference::rest::{HEADER_LENGTH, read_request, write_answer};
use dhow_inference::{ErrorKind, InferenceError, ServerMetadata};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::app::Shared;
use crate::input::JSON_TYPE;
use crate::problem::Problem;
use crate::settings::{BODY_BYTES_MAX, INFER_BODY_BYTES_MAX};

/// The media type of an answer with bytes behind its JSON.
const BYTES_TYPE: &str = "application/octet-stream";

/// The error body of the protocol.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceError)]
pub(crate) struct ErrorBody {
    /// What happened and what would be right.
    pub error: String,
}

/// A failed call.
#[derive(Debug)]
pub(crate) struct ProtocolError {
    status: StatusCode,
    message: String,
}

impl ProtocolError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<InferenceError> for ProtocolError {
    fn from(error: InferenceError) -> Self {
        let status = match error.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::Forbidden => StatusCode::FORBIDDEN,
            ErrorKind::Busy => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, message: error.message }
    }
}

impl IntoResponse for ProtocolError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(ErrorBody { error: self.message })).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Whether a path belongs to the protocol, which has an error body of its own.
pub(crate) fn is_protocol_path(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// A problem of a path of the protocol in the protocol's words; its headers stay.
pub(crate) fn in_protocol_words(problem: &str, response: Response) -> Response {
    let (mut parts, _) = response.into_parts();
    let body = json!({ "error": problem }).to_string();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON_TYPE));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.into())
}

type Answered = Result<Response, ProtocolError>;

fn answer(value: &impl Serialize) -> Answered {
    let body = serde_json::to_vec(value).map_err(|error| {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        ProtocolError::new(status, error.to_string())
    })?;
    Ok(([(header::CONTENT_TYPE, JSON_TYPE)], body).into_response())
}

/// Tell what the server is.
#[utoipa::path(get, path = "/v2", tag = "inference", responses((status = 200, body = Value, content_type = "application/json")))]
pub(crate) async fn get_server_metadata(_: Caller) -> Answered {
    answer(&ServerMetadata::this())
}

/// Whether the server is alive.
#[utoipa::path(get, path = "/v2/health/live", tag = "inference", responses((status = 200, description = "It is.")))]
pub(crate) async fn get_server_live() -> StatusCode {
    StatusCode::OK
}

/// Whether requests can be answered.
#[utoipa::path(get, path = "/v2/health/ready", tag = "inference", responses((status = 200, description = "They can.")))]
pub(crate) async fn get_server_ready(State(app): State<Shared>) -> Result<StatusCode, Problem> {
    super::health::readyz(State(app)).await.map(|_| StatusCode::OK)
}

macro_rules! of_a_model {
    ($(#[doc = $doc:literal] $method:ident $path:literal $plain:ident $versioned:ident => $work:ident,
       responses($responses:tt);)*) => { $(
        #[doc = $doc]
        #[utoipa::path(
            $method, path = concat!("/v2/models/{model}", $path), tag = "inference",
            params(("model" = String, Path, description = "A model's name, or `<task>.<alias>`.")),
            responses($responses),
        )]
        pub(crate) async fn $plain(
            State(app): State<Shared>,
            caller: Caller,
            Path(model): Path<String>,
            request: Request,
        ) -> Answered {
            $work(app, caller, &model, None, request).await
        }

        #[doc = $doc]
        #[utoipa::path(
            $method, path = concat!("/v2/models/{model}/versions/{version}", $path), tag = "inference",
            params(
                ("model" = String, Path, description = "A model's name, or `<task>.<alias>`."),
                ("version" = String, Path, description = "A loaded version: a model's id."),
            ),
            responses($responses),
        )]
        pub(crate) async fn $versioned(
            State(app): State<Shared>,
            caller: Caller,
            Path((model, version)): Path<(String, String)>,
            request: Request,
        ) -> Answered {
            $work(app, caller, &model, Some(&version), request).await
        }
    )* };
}

of_a_model! {
    #[doc = "Tell what a model takes and gives."]
    get "" get_model_metadata get_version_metadata => metadata,
        responses((status = 200, body = Value, content_type = "application/json"));
    #[doc = "Whether a model is loaded."]
    get "/ready" get_model_ready get_version_ready => ready, responses((status = 200, description = "It is."));
    #[doc = "Tell how a model is served, and why its requests run alone where they do."]
    get "/config" get_model_config get_version_config => config,
        responses((status = 200, body = Value, content_type = "application/json"));
    #[doc = "Tell what a model's loaded versions counted."]
    get "/stats" get_model_statistics get_version_statistics => statistics,
        responses((status = 200, body = Value, content_type = "application/json"));
    #[doc = "Ask a model. Tensors stand in the JSON, or as bytes behind it."]
    post "/infer" post_infer post_version_infer => infer,
        responses((status = 200, content((Value = "application/json"), (Vec<u8> = "application/octet-stream"))));
}

async fn metadata(app: Shared, caller: Caller, model: &str, version: Option<&str>, _: Request) -> Answered {
    answer(&app.engine.inference().metadata(caller.tenant, model, version)?)
}

async fn ready(app: Shared, caller: Caller, model: &str, version: Option<&str>, _: Request) -> Answered {
    app.engine.inference().served(caller.tenant, model, version)?;
    Ok(StatusCode::OK.into_response())
}

async fn config(app: Shared, caller: Caller, model: &str, version: Option<&str>, _: Request) -> Answered {
    answer(&app.engine.inference().config(caller.tenant, model, version)?)
}

async fn statistics(app: Shared, caller: Caller, model: &str, version: Option<&str>, _: Request) -> Answered {
    answer(&json!({ "model_stats": app.engine.inference().statistics(caller.tenant, Some(model), version)? }))
}

/// Tell what all loaded models counted.
#[utoipa::path(
    get, path = "/v2/models/stats", tag = "inference",
    responses((status = 200, body = Value, content_type = "application/json")),
)]
pub(crate) async fn get_all_statistics(State(app): State<Shared>, caller: Caller) -> Answered {
    answer(&json!({ "model_stats": app.engine.inference().statistics(caller.tenant, None, None)? }))
}

async fn infer(app: Shared, caller: Caller, model: &str, version: Option<&str>, request: Request) -> Answered {
    let encoding = request.headers().get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    if let Some(encoding) = encoding.filter(|encoding| *encoding != "identity") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ProtocolError::new(status, format!("the body is compressed by `{encoding}`; send it as it is")));
    }
    let header_length = request.headers().get(HEADER_LENGTH).map(|value| value.to_str().unwrap_or("?").to_owned());
    let body = read_body(request, INFER_BODY_BYTES_MAX).await?;
    // What serves is found first, so that who asks for nothing is not told of his tensors.
    let entry = app.engine.inference().entry(caller.tenant, model, version)?;
    let asked = read_request(&body, header_length.as_deref())?;
    drop(body);
    let (outputs, binary) = (asked.outputs.clone(), asked.binary_outputs);
    let written = write_answer(&entry.infer(asked).await?, &outputs, binary)?;
    let Some(length) = written.header_length else {
        return Ok(([(header::CONTENT_TYPE, JSON_TYPE)], written.bytes).into_response());
    };
    let mut response = ([(header::CONTENT_TYPE, BYTES_TYPE)], written.bytes).into_response();
    response.headers_mut().insert(HeaderName::from_static(HEADER_LENGTH), HeaderValue::from(length));
    Ok(response)
}

async fn read_body(request: Request, bytes_max: usize) -> Result<Bytes, ProtocolError> {
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => {
            ProtocolError::new(status, format!("the body has more than {bytes_max} bytes"))
        }
        _ => ProtocolError::new(StatusCode::BAD_REQUEST, "the body ended before its end"),
    })
}

/// Reads a small JSON body, which may be absent.
async fn read_small<T: for<'de> Deserialize<'de> + Default>(request: Request) -> Result<T, ProtocolError> {
    let body = read_body(request, BODY_BYTES_MAX).await?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let wrong = |error: serde_json::Error| {
        ProtocolError::new(StatusCode::BAD_REQUEST, format!("the request is not as the protocol says: {error}"))
    };
    serde_json::from_slice(&body).map_err(wrong)
}

#[derive(Default, Deserialize)]
struct IndexRequest {
    #[serde(default)]
    ready: bool,
}

/// List the models that can be loaded, and those that are.
#[utoipa::path(
    post, path = "/v2/repository/index", tag = "inference",
    responses((status = 200, body = Value, content_type = "application/json")),
)]
pub(crate) async fn post_repository_index(State(app): State<Shared>, caller: Caller, request: Request) -> Answered {
    let IndexRequest { ready } = read_small(request).await?;
    let (inference, tenant) = (app.engine.inference().clone(), caller.tenant);
    let read = tokio::task::spawn_blocking(move || inference.index(tenant, ready)).await;
    let read = read.map_err(|error| InferenceError::failed(error.to_string()))?;
    answer(&read?)
}

#[derive(Default, Deserialize)]
struct LoadRequest {
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// Load a model beside what serves, and put it in force at once; the version before stays loaded for the way back.
#[utoipa::path(
    post, path = "/v2/repository/models/{model}/load", tag = "inference",
    params(("model" = String, Path, description = "A model's name, or `<task>.<alias>`.")),
    responses((status = 200, description = "It serves.")),
)]
pub(crate) async fn post_repository_load(
    State(app): State<Shared>,
    caller: Caller,
    Path(model): Path<String>,
    request: Request,
) -> Answered {
    let LoadRequest { parameters } = read_small(request).await?;
    let mut version = None;
    for (name, value) in &parameters {
        match (name.as_str(), value.as_str()) {
            ("version", Some(text)) => version = Some(text.to_owned()),
            _ => {
                let what = format!("parameter `{name}` of a load is not supported; `version` with a text is");
                return Err(InferenceError::unsupported(what).into());
            }
        }
    }
    app.engine.inference().load(caller.tenant, &model, version.as_deref()).await?;
    Ok(StatusCode::OK.into_response())
}

/// Take a model out of force; requests under way end on it.
#[utoipa::path(
    post, path = "/v2/repository/models/{model}/unload", tag = "inference",
    params(("model" = String, Path, description = "A model's name, or `<task>.<alias>`.")),
    responses((status = 200, description = "It serves no more.")),
)]
pub(crate) async fn post_repository_unload(
    State(app): State<Shared>,
    caller: Caller,
    Path(model): Path<String>,
) -> Answered {
    app.engine.inference().unload(caller.tenant, &model)?;
    Ok(StatusCode::OK.into_response())
}
