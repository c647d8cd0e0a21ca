//! Errors of the API, as RFC 9457 has them.

use crate::shop::Trouble;
use serde::Serialize;
use tradewind_core::ErrorKind;
use worker::{Response, ResponseBuilder, Result};

/// Why a request is not answered.
#[derive(Debug, Serialize)]
pub struct Problem {
    title: &'static str,
    status: u16,
    detail: String,
    /// The code of the module's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<u16>,
}

impl Problem {
    /// What is wrong, and what to do.
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

    /// The answer.
    pub fn response(&self) -> Result<Response> {
        let builder = ResponseBuilder::new().with_status(self.status);
        let builder = builder.with_header("content-type", "application/problem+json")?;
        Ok(builder.fixed(serde_json::to_vec(self)?))
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Fault(fault) => {
                let status = match fault.kind() {
                    Some(ErrorKind::BadRequest | ErrorKind::Malformed) => 400,
                    Some(ErrorKind::TooLarge) => 413,
                    Some(ErrorKind::NoSnapshot | ErrorKind::SnapshotExpired) => 503,
                    _ => 500,
                };
                Self { fault: Some(fault.code), ..Self::new(status, fault.message) }
            }
            // Of the shop's inside, the log tells, and not the answer.
            Trouble::Other(what) => {
                worker::console_error!("tradewind: {what}");
                Self::new(503, "no decision can be made at the moment; try again later")
            }
        }
    }
}

impl From<tradewind_core::Error> for Problem {
    fn from(error: tradewind_core::Error) -> Self {
        Self { fault: Some(error.kind().code()), ..Self::new(400, error.message()) }
    }
}

impl From<worker::Error> for Problem {
    fn from(error: worker::Error) -> Self {
        Trouble::Other(error.to_string()).into()
    }
}
