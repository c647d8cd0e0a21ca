//! Errors in responses: RFC 9457, `application/problem+json`.

use super::guests::AskError;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tradewind_core::{ErrorKind, guest::ClientError};

/// Error: what failed, for which input, and the fix.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    /// Members besides the standard ones, such as differing fields.
    members: Map<String, Value>,
    /// Whether the transaction was aborted because of a conflict; a retry may succeed.
    is_aborted: bool,
}

/// Schema of a written [`Problem`].
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "it describes what `Problem` writes")]
pub(crate) struct ProblemSchema {
    /// Status as text.
    title: String,
    /// Status.
    status: u16,
    /// Fault, input and fix.
    detail: String,
}

pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), members: Map::new(), is_aborted: false }
    }

    /// The request is malformed.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The request is well-formed, but invalid.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("unknown {what} `{id}`"))
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Internal error: it is logged, and the caller gets no details.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; see the service's log")
    }

    /// Temporarily unavailable.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// The transaction must be repeated, because its input has changed; only if that fails too does the caller know.
    pub(crate) fn aborted(detail: impl Into<String>) -> Self {
        Self { is_aborted: true, ..Self::unavailable(detail) }
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    pub(crate) const fn is_aborted(&self) -> bool {
        self.is_aborted
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail, mut members, .. } = self;
        members.insert("title".into(), json!(status.canonical_reason().unwrap_or("Error")));
        members.insert("status".into(), json!(status.as_u16()));
        members.insert("detail".into(), Value::String(detail));
        let mut response = (status, Value::Object(members).to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tradewind\""));
            }
            _ => {}
        }
        response
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if super::store::is_away(&error) {
            let is_aborted = super::store::is_conflict(&error);
            tracing::warn!(%error, "database unreachable");
            return Self { is_aborted, ..Self::unavailable("the database is unreachable; try again") };
        }
        Self::internal(&error)
    }
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        let AskError::Client(client) = &error else { return Self::unavailable(error.to_string()) };
        let ClientError::Fault(fault) = client else { return Self::internal(&error) };
        match fault.kind() {
            Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired | ErrorKind::UnknownPack) => {
                Self::unavailable(error.to_string())
            }
            Some(ErrorKind::BadRequest | ErrorKind::TooLarge) => Self::unprocessable(error.to_string()),
            _ => Self::internal(&error),
        }
    }
}

impl From<tradewind_core::Error> for Problem {
    fn from(error: tradewind_core::Error) -> Self {
        Self::unprocessable(error.to_string())
    }
}
