//! Errors in responses: RFC 9457, `application/problem+json`.

use super::guests::AskError;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tradewind_core::guest::ClientError;
use tradewind_json::{Problem as Document, ProblemKind};

/// Error: what failed, for which input, and the fix.
#[derive(Debug)]
pub(crate) struct Problem {
    document: Document,
    /// Whether the transaction was aborted because of a conflict; a retry may succeed.
    is_aborted: bool,
}

pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Document::new(kind, detail).into()
    }

    /// The request is malformed.
    pub(crate) fn bad(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::MalformedRequest, detail)
    }

    /// The request is well-formed, but invalid.
    pub(crate) fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidRequest, detail)
    }

    pub(crate) fn not_found(what: &str, id: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("unknown {what} `{id}`"))
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, detail)
    }

    /// Something else has the id.
    pub(crate) fn taken(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::IdTaken, detail)
    }

    /// Internal error: it is logged, and the caller gets no details.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(ProblemKind::Internal, "internal error; see the service's log")
    }

    /// Temporarily unavailable.
    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unavailable, detail)
    }

    /// The transaction must be repeated, because its input has changed; only if that fails too does the caller know.
    pub(crate) fn aborted(detail: impl Into<String>) -> Self {
        Self { is_aborted: true, ..Self::unavailable(detail) }
    }

    pub(crate) fn with(self, name: &str, value: Value) -> Self {
        Self { document: self.document.with(name, value), ..self }
    }

    pub(crate) const fn is_aborted(&self) -> bool {
        self.is_aborted
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.document.detail
    }
}

impl From<Document> for Problem {
    fn from(document: Document) -> Self {
        Self { document, is_aborted: false }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = (status, Json(self.document)).into_response();
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
        match error {
            AskError::Client(ClientError::Fault(fault)) => {
                let problem = Self::from(Document::from(fault));
                match problem.status() {
                    StatusCode::INTERNAL_SERVER_ERROR => Self::internal(&problem.detail()),
                    _ => problem,
                }
            }
            AskError::Client(error) => Self::internal(&error),
            error => Self::unavailable(error.to_string()),
        }
    }
}

impl From<tradewind_core::Error> for Problem {
    fn from(error: tradewind_core::Error) -> Self {
        Self::unprocessable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_explains_every_kind() {
        let readme = include_str!("../../README.md");
        for kind in ProblemKind::ALL {
            let row = format!("| `{}` | {} | {} |", kind.uri(), kind.status(), kind.about());
            assert!(readme.contains(&row), "missing row: {row}");
        }
    }
}
