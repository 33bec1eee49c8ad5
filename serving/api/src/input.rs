//! What handlers read of a request: JSON bodies, ids of the path, query parameters, preconditions; errors name the place.

use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use dhow_commerce::{ExpectedVersion, FieldProblem, Idempotency, PageRequest};
use dhow_events::IdError;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;
use utoipa::IntoParams;

use crate::problem::Problem;
use crate::settings::{BODY_BYTES_MAX, PAGE_LIMIT_DEFAULT};

/// The media type of most bodies.
pub(crate) const JSON_TYPE: &str = "application/json";

/// A body with its media type, in lower case and without parameters.
pub(crate) struct RawBody {
    pub media_type: String,
    pub bytes: Bytes,
}

impl RawBody {
    /// Reads the body where its media type is one of `allowed`.
    pub(crate) async fn read(request: Request, allowed: &[&str]) -> Result<Self, Problem> {
        let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let media_type = given.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        if !allowed.contains(&media_type.as_str()) {
            let detail = format!("the content type is `{media_type}`; it must be {}", allowed.join(" or "));
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
        }
        let bytes = Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = format!("the body has more than {BODY_BYTES_MAX} bytes");
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
            }
            _ => Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", "the body ended before its end"),
        })?;
        Ok(Self { media_type, bytes })
    }
}

/// A JSON body, and the bytes that it was read from.
pub(crate) struct JsonBody<T> {
    pub value: T,
    pub bytes: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = RawBody::read(request, &[JSON_TYPE]).await?.bytes;
        let value = parse_json(&bytes)?;
        // Serde would also take an array with the fields in their order, which nobody is promised.
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::invalid([FieldProblem::new("", "must be a JSON object")]));
        }
        Ok(Self { value, bytes })
    }
}

/// Reads JSON; what is no JSON is malformed, what is of the wrong shape is invalid at its place.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Only what is wrong is read again to find where: to keep note of the place takes longer than the reading.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, inner) = (error.path().clone(), error.into_inner());
        // A wrong field may stand before the place where the JSON breaks off; what is no JSON is called so all the same.
        match serde_json::from_slice::<IgnoredAny>(bytes) {
            Err(broken) => malformed(&broken),
            Ok(_) => {
                let words = inner.to_string();
                let message = words.split(" at line ").next().unwrap_or_default().to_owned();
                Problem::invalid([FieldProblem::new(pointer_of(&path, &message), message)])
            }
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", format!("the body is not JSON: {error}"))
}

/// The JSON Pointer of `path`; a missing or unknown field is named too, which only the message knows.
fn pointer_of(path: &serde_path_to_error::Path, message: &str) -> String {
    let mut parts: Vec<String> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect();
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|begin| message.strip_prefix(begin)?.split('`').next())
        .filter(|name| parts.last().map(String::as_str) != Some(*name));
    parts.extend(named.map(str::to_owned));
    parts.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

/// An id in the path.
pub(crate) struct PathId<T>(pub T);

impl<T: FromStr<Err = IdError>, S: Send + Sync> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let PathText(text) = PathText::from_request_parts(parts, state).await?;
        text.parse().map(Self).map_err(|error: IdError| Problem::parameter("id", error.to_string()))
    }
}

/// A text in the path.
pub(crate) struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::<String>::from_request_parts(parts, state).await;
        read.map(|Path(text)| Self(text)).map_err(|rejection| Problem::parameter("id", rejection.body_text()))
    }
}

/// Whether `Accept` names this media type.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim() == media_type)
}

/// Query parameters; unknown ones were refused before, because only documented ones are let through.
pub(crate) struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(value)| Self(value)).map_err(|rejection| {
            let words = rejection.body_text();
            let words = words.strip_prefix("Failed to deserialize query string: ").unwrap_or(&words);
            match words.split_once(": ") {
                Some((name, message)) if !name.contains(' ') => Problem::parameter(name, message),
                _ => Problem::parameter("", words),
            }
        })
    }
}

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParameters {
    /// The most items, 1 to 100; 20 where it is absent.
    pub limit: Option<u32>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

/// The page of a list whose ids begin with `prefix`.
pub(crate) fn page_request(limit: Option<u32>, cursor: Option<&str>, prefix: &str) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(PAGE_LIMIT_DEFAULT);
    PageRequest::new(limit, cursor, prefix).map_err(|error| Problem::from(error).into_parameter())
}

/// The request's `Idempotency-Key`, bound to its route and body.
pub(crate) fn idempotency(headers: &HeaderMap, route: &str, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let wrong = |message: String| Problem::parameter("Idempotency-Key", message);
    let text = value.to_str().map_err(|_| wrong("must have visible ASCII characters only".to_owned()))?;
    Idempotency::new(text, route, body).map(Some).map_err(|error| wrong(error.to_string()))
}

/// The ETag of a version.
pub(crate) fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Which stored version a PUT is for: `If-Match` with its ETag, or `If-None-Match: *` for a new thing.
pub(crate) fn expected_version(headers: &HeaderMap) -> Result<ExpectedVersion, Problem> {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    if text(header::IF_NONE_MATCH) == Some("*") {
        return Ok(ExpectedVersion::Absent);
    }
    let Some(wanted) = text(header::IF_MATCH) else {
        let detail = "send If-Match with the ETag that GET gave, or If-None-Match: * to create";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "precondition_required", detail));
    };
    let version =
        wanted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|digits| digits.parse().ok());
    version.map(ExpectedVersion::Exactly).ok_or_else(|| {
        let detail = format!("If-Match is `{wanted}`, which no version has; ETags look like \"3\"");
        Problem::new(StatusCode::PRECONDITION_FAILED, "stale_version", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        #[expect(dead_code, reason = "only its absence and its type matter here")]
        quantity: i64,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cart {
        #[expect(dead_code, reason = "only its shape matters here")]
        lines: Vec<Line>,
    }

    #[test]
    fn a_wrong_a_missing_and_an_unknown_field_are_pointed_at() {
        let pointer = |text: &str| format!("{:?}", parse_json::<Cart>(text.as_bytes()).expect_err("it is wrong"));
        for (text, place) in [
            (r#"{"lines":[{"quantity":"two"}]}"#, "\"/lines/0/quantity\""),
            (r#"{"lines":[{"quantity":1},{}]}"#, "\"/lines/1/quantity\""),
            (r#"{"lines":[{"quantity":1,"colour/x":2}]}"#, "\"/lines/0/colour~1x\""),
            (r#"{"lines":[],"note":""}"#, "\"/note\""),
        ] {
            assert!(pointer(text).contains(place), "{text}: {}", pointer(text));
        }
        for text in ["{", "", "{\"lines\":[]} x", "nothing"] {
            assert!(pointer(text).contains("malformed_json"), "{text}: {}", pointer(text));
        }
    }
}
