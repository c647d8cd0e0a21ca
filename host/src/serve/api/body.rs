//! Request bodies, forms, paths and queries. Unreadable input of any kind is a [`Problem`].

use crate::serve::problem::Problem;
use axum::{
    body::Bytes,
    extract::{self, FromRequest, FromRequestParts, Request, rejection::BytesRejection},
    http::{StatusCode, request::Parts},
    response::IntoResponse,
};
use serde::de::DeserializeOwned;
use std::error::Error;
use tower_http::timeout::TimeoutError;
use tradewind_json::{ProblemKind, without_bom};

/// Document in a request.
pub(crate) struct Body<T>(pub(crate) T);

/// File in a request.
pub(crate) struct File(pub(crate) Vec<u8>);

/// Fields of a form.
pub(crate) struct Form<T>(pub(crate) T);

/// Parameters in the path of the address.
pub(crate) struct Path<T>(pub(crate) T);

/// Parameters in the query of the address.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    /// Reads JSON. Malformed JSON is status 400; valid JSON of another type is 422, with the path of the field.
    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state).await.map_err(unread)?;
        let document = &mut serde_json::Deserializer::from_slice(without_bom(&bytes));
        let read = serde_path_to_error::deserialize(&mut *document).map_err(|error| {
            let path = error.path().to_string();
            let at = if path == "." { String::new() } else { format!(", `{path}`") };
            let detail = format!("the body{at}: {}", error.inner());
            if error.inner().is_data() { Problem::unprocessable(detail) } else { Problem::bad(detail) }
        })?;
        document.end().map_err(|error| Problem::bad(format!("the body: {error}")))?;
        Ok(Self(read))
    }
}

impl<S: Send + Sync> FromRequest<S> for File {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(Bytes::from_request(request, state).await.map_err(unread)?.into()))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match extract::Form::from_request(request, state).await {
            Ok(extract::Form(form)) => Ok(Self(form)),
            Err(rejection) => Err(rejected("the form", rejection.status(), &rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(rejected("the path", rejection.status(), &rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match extract::Query::from_request_parts(parts, state).await {
            Ok(extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(rejected("the query", rejection.status(), &rejection.body_text())),
        }
    }
}

fn unread(rejection: BytesRejection) -> Problem {
    if is_timeout(&rejection) {
        return Problem::new(ProblemKind::TooSlow, "the body comes too slowly");
    }
    let detail = rejection.body_text();
    match rejection.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(ProblemKind::TooLarge, "the body is too long"),
        _ => Problem::bad(format!("the body could not be read: {detail}")),
    }
}

/// Whether an error, or what caused it, is that nothing came for too long.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.is::<TimeoutError>() || error.source().is_some_and(is_timeout)
}

/// Converts the framework's rejection, without the name of its type.
fn rejected(what: &str, status: StatusCode, said: &str) -> Problem {
    let said = said.split_once(": ").map_or(said, |(_, said)| said);
    Problem::new(ProblemKind::of_status(status.as_u16()), format!("{what}: {said}"))
}
