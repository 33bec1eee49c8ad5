//! Every error as RFC 9457 problem details with a stable code; what happened inside is logged, never answered.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dhow_commerce::{CommerceError, FieldProblem, NoticeError, StorageError};
use dhow_engine::EngineError;
use dhow_shipping::CarrierError;
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of problem details.
pub(crate) const PROBLEM_TYPE: &str = "application/problem+json";
/// The code of a checkout that no model scored.
const NOT_SCORED: &str = "not_scored";
/// When to try again after the server was too busy, in seconds.
const BUSY_RETRY_S: i64 = 1;

/// One field that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemField {
    /// A JSON Pointer into the body, or `/` and the name of a query parameter.
    #[schema(example = "/lines/0/quantity")]
    pub pointer: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Problem details by RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Always `about:blank`: the code says what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    #[schema(example = "not_found")]
    pub code: &'static str,
    /// What happened, for people.
    pub detail: String,
    /// The fields that are wrong; absent where none is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<ProblemField>,
}

/// What a problem says, for people; it travels with its response, for who must say it in another form.
#[derive(Debug, Clone)]
pub(crate) struct ProblemWords(pub String);

/// An error on its way to the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<ProblemField>,
    retry_after_s: Option<i64>,
}

impl Problem {
    /// A problem without fields.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), errors: Vec::new(), retry_after_s: None }
    }

    /// A fault of ours: logged in full, answered without its inside.
    pub(crate) fn internal(what: impl fmt::Display) -> Self {
        tracing::error!(%what, "a request failed");
        let detail = "the server failed to answer; its log says why";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Something that is too busy, or away, for a moment.
    pub(crate) fn busy(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(BUSY_RETRY_S)
    }

    /// A well-formed body that says something wrong.
    pub(crate) fn invalid(fields: impl IntoIterator<Item = FieldProblem>) -> Self {
        let detail = "the request is well-formed, but fields of it are wrong";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail).with_errors(fields)
    }

    /// A wrong parameter of the path, the query or a header.
    pub(crate) fn parameter(name: &str, message: impl Into<String>) -> Self {
        Self::invalid([FieldProblem::new(format!("/{name}"), message)]).into_parameter()
    }

    /// The same problem, where its fields are parameters and not parts of a body.
    pub(crate) fn into_parameter(mut self) -> Self {
        if self.code == "invalid_request" {
            (self.status, self.code) = (StatusCode::BAD_REQUEST, "invalid_parameter");
            self.detail = "a parameter of the request is wrong".to_owned();
        }
        self
    }

    /// There is no such thing, or it is another tenant's.
    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what}"))
    }

    /// Its HTTP status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What it says, its fields included.
    pub(crate) fn words(&self) -> String {
        let fields = self.errors.iter().map(|field| format!("; {} {}", field.pointer, field.message));
        self.detail.clone() + &fields.collect::<String>()
    }

    /// Whether a checkout could not be scored.
    pub(crate) fn is_not_scored(&self) -> bool {
        self.code == NOT_SCORED
    }

    /// Names the fields that are wrong.
    pub(crate) fn with_errors(mut self, fields: impl IntoIterator<Item = FieldProblem>) -> Self {
        let field = |field: FieldProblem| ProblemField { pointer: field.pointer, message: field.message };
        self.errors = fields.into_iter().map(field).collect();
        self
    }

    /// Says when the same request may succeed.
    pub(crate) fn retry_after(mut self, seconds: i64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let words = ProblemWords(self.words());
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, axum::Json(body)).into_response();
        response.extensions_mut().insert(words);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Invalid(fields) => Self::invalid(fields),
            EngineError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string()),
            EngineError::NoModel { .. } | EngineError::KindNotScored { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_model", error.to_string())
            }
            EngineError::Conflict(_) => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            EngineError::Busy(_) => Self::busy("busy", error.to_string()),
            EngineError::FeaturesUnavailable(_) => Self::busy("features_unavailable", error.to_string()),
            EngineError::Commerce(error) => error.into(),
            EngineError::Failed { .. } => Self::internal(error),
        }
    }
}

impl From<CommerceError> for Problem {
    fn from(error: CommerceError) -> Self {
        let words = error.to_string();
        match error {
            CommerceError::Invalid(fields) => Self::invalid(fields),
            CommerceError::NotFound(_) => Self::new(StatusCode::NOT_FOUND, "not_found", words),
            CommerceError::StaleVersion { .. } => Self::new(StatusCode::PRECONDITION_FAILED, "stale_version", words),
            CommerceError::InFlight { .. } => {
                Self::new(StatusCode::CONFLICT, "request_in_flight", words).retry_after(BUSY_RETRY_S)
            }
            CommerceError::KeyReused { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", words)
            }
            CommerceError::BidRefused { .. } => Self::new(StatusCode::CONFLICT, "bid_refused", words),
            CommerceError::NotOffered { .. } => Self::new(StatusCode::CONFLICT, "auction_not_offered", words),
            CommerceError::WatchBound(_) => Self::new(StatusCode::CONFLICT, "watch_bound", words),
            CommerceError::CreditRefused(_) => Self::new(StatusCode::CONFLICT, "credit_refused", words),
            CommerceError::AfterSaleRefused(_) => Self::new(StatusCode::CONFLICT, "after_sale_refused", words),
            CommerceError::ShippingRefused(_) => Self::new(StatusCode::CONFLICT, "shipping_refused", words),
            CommerceError::DeclarationRefused(_) => Self::new(StatusCode::CONFLICT, "declaration_refused", words),
            CommerceError::SupplierRefused(_) => Self::new(StatusCode::CONFLICT, "supplier_refused", words),
            CommerceError::CategoryInUse(_) => Self::new(StatusCode::CONFLICT, "category_in_use", words),
            CommerceError::BillingRefused(_) => Self::new(StatusCode::CONFLICT, "billing_refused", words),
            CommerceError::PlanLimit { .. } => Self::new(StatusCode::CONFLICT, "plan_limit_reached", words),
            CommerceError::Carrier(CarrierError::Refused(_)) => {
                Self::new(StatusCode::CONFLICT, "carrier_refused", words)
            }
            CommerceError::Carrier(CarrierError::NoAnswer(_)) => Self::busy("carrier_unavailable", words),
            CommerceError::NoFreeUnit(_) => Self::new(StatusCode::CONFLICT, "no_free_unit", words),
            CommerceError::CaseHeld { .. } => Self::new(StatusCode::CONFLICT, "case_claimed", words),
            CommerceError::BudgetSpent { .. } => Self::new(StatusCode::CONFLICT, "budget_spent", words),
            CommerceError::CursorExpired { .. } => Self::new(StatusCode::GONE, "cursor_expired", words),
            CommerceError::WebhookBound(_) => Self::new(StatusCode::CONFLICT, "webhook_bound", words),
            CommerceError::AmountExceeded { .. } => Self::new(StatusCode::CONFLICT, "amount_exceeded", words),
            CommerceError::NotCompleted { .. } => Self::new(StatusCode::CONFLICT, "state_conflict", words),
            CommerceError::Notice(NoticeError::Malformed(_)) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed_notice", words)
            }
            CommerceError::Notice(_) => Self::new(StatusCode::UNAUTHORIZED, "bad_signature", words),
            CommerceError::Commission(_) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "no_commission", words),
            CommerceError::CaseNotClaimed => Self::new(StatusCode::CONFLICT, "case_not_claimed", words),
            CommerceError::AnotherPersonNeeded { .. } => {
                Self::new(StatusCode::CONFLICT, "another_person_needed", words)
            }
            CommerceError::SecondPersonNeeded => Self::new(StatusCode::CONFLICT, "second_person_needed", words),
            CommerceError::Transition(_) => Self::new(StatusCode::CONFLICT, "state_conflict", words),
            CommerceError::FraudCheck(error) => {
                tracing::error!(%error, "a checkout was not scored");
                Self::busy(NOT_SCORED, "the checkout could not be scored, so it was not decided")
            }
            CommerceError::Storage(error) => error.into(),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => {
                tracing::error!(%error, "the database is away");
                Self::busy("database_unavailable", "the database does not answer; the same request may be sent again")
            }
            StorageError::Rule { .. } => Self::new(StatusCode::CONFLICT, "rule_broken", error.to_string()),
            StorageError::Exists(_) => Self::new(StatusCode::CONFLICT, "exists", "it exists already"),
            StorageError::Corrupt { .. } | StorageError::Failed(_) => Self::internal(error),
        }
    }
}
