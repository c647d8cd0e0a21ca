//! Responses with errors of the API (RFC 9457).

use crate::shop::Trouble;
use tradewind_core::message::Fault;
use tradewind_json::{Problem as Document, ProblemKind};
use worker::{Headers, Response, ResponseBuilder};

/// Reason why a request failed.
#[derive(Debug)]
pub struct Problem(Document);

impl Problem {
    /// Kind of the problem, and the fault, input and fix.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self(Document::new(kind, detail))
    }

    /// Response with headers that are already set.
    ///
    /// # Errors
    /// The platform's error about headers.
    pub fn response(&self, headers: Headers) -> worker::Result<Response> {
        headers.set("content-type", "application/problem+json")?;
        let builder = ResponseBuilder::new().with_status(self.0.status).with_headers(headers);
        Ok(builder.fixed(serde_json::to_vec(&self.0)?))
    }
}

impl From<Trouble> for Problem {
    fn from(trouble: Trouble) -> Self {
        match trouble.fault() {
            Some(fault) => fault.clone().into(),
            None => {
                // Internal details are logged, and not part of the response.
                worker::console_error!("tradewind: {}", trouble.message());
                Self::new(ProblemKind::Unavailable, "decisions are unavailable; try again later")
            }
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self(fault.into())
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
