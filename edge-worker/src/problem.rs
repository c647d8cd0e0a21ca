//! API errors (RFC 9457).

use crate::shop::Trouble;
use serde::Serialize;
use tradewind_core::{ErrorKind, message::Fault};
use worker::{Headers, Response, ResponseBuilder};

/// Reason why a request failed.
#[derive(Debug, Serialize)]
pub struct Problem {
    title: &'static str,
    status: u16,
    detail: String,
    /// Code of the module's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<u16>,
}

impl Problem {
    /// Fault and advice.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        let title = match status {
            400 => "Bad Request",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            413 => "Content Too Large",
            415 => "Unsupported Media Type",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        Self { title, status, detail: detail.into(), fault: None }
    }

    /// Response with headers that are already set.
    ///
    /// # Errors
    /// The platform's error about headers.
    pub fn response(&self, headers: Headers) -> worker::Result<Response> {
        headers.set("content-type", "application/problem+json")?;
        let builder = ResponseBuilder::new().with_status(self.status).with_headers(headers);
        Ok(builder.fixed(serde_json::to_vec(self)?))
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble.fault() {
            Some(fault) => fault.clone().into(),
            None => {
                // Internal details are logged, and not part of the response.
                worker::console_error!("tradewind: {}", trouble.message());
                Self::new(503, "decisions are unavailable; try again later")
            }
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = match fault.kind() {
            Some(ErrorKind::BadRequest | ErrorKind::Malformed) => 400,
            Some(ErrorKind::TooLarge) => 413,
            Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired) => 503,
            _ => 500,
        };
        Self { fault: Some(fault.code), ..Self::new(status, fault.message) }
    }
}

impl From<tradewind_core::Error> for Problem {
    fn from(error: tradewind_core::Error) -> Self {
        Fault::from(error).into()
    }
}

impl From<worker::Error> for Problem {
    fn from(error: worker::Error) -> Self {
        Trouble::other(error).into()
    }
}
