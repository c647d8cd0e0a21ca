//! Errors as callers get them: RFC 9457, `application/problem+json`.

use super::guests::AskError;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tradewind_core::{ErrorKind, guest::ClientError};

/// What went wrong, what it was about, and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    /// Members beside the standard ones, such as what differs from what.
    members: Map<String, Value>,
}

/// What [`Problem`] is written as.
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "it describes what `Problem` writes")]
pub(crate) struct ProblemSchema {
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What was wrong, with what, and what to do.
    detail: String,
}

pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), members: Map::new() }
    }

    /// The request is not one.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The request is well-formed, and cannot be carried out as it is.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no {what} `{id}`"))
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Something that is the service's own fault: it is logged, and the caller learns no more.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the service could not answer; its log says why")
    }

    /// What is not there now and will be.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    pub(crate) fn with(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
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
        let Self { status, detail, mut members } = self;
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
            tracing::warn!(%error, "the database does not answer");
            return Self::unavailable("the database does not answer; try again");
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
