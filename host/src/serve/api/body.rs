//! What is sent: JSON, and the names that go into addresses.

use crate::serve::problem::{Answer, Problem};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::StatusCode,
    response::IntoResponse,
};
use serde::de::DeserializeOwned;

/// A document of a request.
pub(crate) struct Body<T>(pub(crate) T);

/// A file of a request.
pub(crate) struct File(pub(crate) Vec<u8>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Problem::bad(format!("the body: {error}")))
    }
}

impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(Bytes::from_request(request, state).await.map_err(unread)?.into()))
    }
}

fn unread(rejection: BytesRejection) -> Problem {
    let detail = rejection.body_text();
    match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long"),
        _ => Problem::bad(format!("the body could not be read: {detail}")),
    }
}

/// Checks a name that is given here and goes into addresses: 1 to 48 letters, digits, `.`, `_` and `-`.
pub(crate) fn name(what: &str, name: &str) -> Answer<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=48).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(Problem::unprocessable(format!("{what} `{name}`: it takes 1 to 48 letters, digits, `.`, `_` and `-`")))
}
