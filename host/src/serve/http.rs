//! Routes, and middleware for all of them.

use super::{App, api, auth::KeyName, pages, problem::Problem};
use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::RequestBodyTimeoutLayer,
    trace::{DefaultOnFailure, DefaultOnResponse, TraceLayer},
};
use tracing::{Level, field::Empty};
use tradewind_json::ProblemKind;
use utoipa_swagger_ui::SwaggerUi;

#[cfg(feature = "otel")]
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Content policy of pages: nothing from other origins, and no scripts.
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The API page needs a script with its own styles.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Maximum time of a request, with its body.
const LONGEST: Duration = Duration::from_secs(60);

/// Maximum time between two parts of a request's body.
const BODY: Duration = Duration::from_secs(10);

/// All routes.
pub(super) fn router(app: Arc<App>) -> Router {
    let (api, document) = api::router();
    let docs: Router<Arc<App>> = Router::new()
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .layer(middleware::from_fn(found))
        .layer(header_layer(header::CONTENT_SECURITY_POLICY, DOCS_POLICY));
    let pages = pages::router().layer(header_layer(header::CONTENT_SECURITY_POLICY, PAGE_POLICY));
    // Failures are logged at their cause; a counter records rejections.
    let trace = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_response(DefaultOnResponse::new())
        .on_failure(DefaultOnFailure::new().level(Level::DEBUG));
    api.merge(pages)
        .merge(docs)
        .fallback(|request: Request| async move {
            refused(request.headers(), Problem::not_found("resource", request.uri().path()))
        })
        .method_not_allowed_fallback(|request: Request| async move {
            let (method, path) = (request.method(), request.uri().path());
            let detail = format!("method `{method}` is not allowed for `{path}`; see the `Allow` header");
            refused(request.headers(), Problem::new(ProblemKind::MethodNotAllowed, detail))
        })
        .layer(RequestBodyTimeoutLayer::new(BODY))
        .layer(middleware::from_fn(timed))
        .layer(middleware::from_fn(plain))
        .layer(middleware::from_fn(measured))
        .layer(header_layer(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header_layer(header::REFERRER_POLICY, "same-origin"))
        .layer(header_layer(header::CACHE_CONTROL, "no-store"))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(trace)
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .with_state(app)
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

fn header_layer(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

/// Refuses control characters in URLs: no name contains any, and some databases cannot handle them.
async fn plain(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map_or("", |address| address.as_str()).as_bytes();
    let control = |escaped: &&[u8]| {
        let digits = escaped.strip_prefix(b"%").and_then(|digits| str::from_utf8(digits).ok());
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(|byte| byte.is_ascii_control())
    };
    match address.windows(3).find(control) {
        None => next.run(request).await,
        Some(found) => {
            let detail = format!("the URL contains the control character `{}`", String::from_utf8_lossy(found));
            refused(request.headers(), Problem::bad(detail))
        }
    }
}

/// Ends requests that take too long. Their transactions are rolled back.
async fn timed(request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    match tokio::time::timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            refused(&headers, Problem::unavailable(format!("the request took more than {} s", LONGEST.as_secs())))
        }
    }
}

/// Gives missing files of the API page the same response as other missing paths.
async fn found(request: Request, next: Next) -> Response {
    let (headers, path) = (request.headers().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if response.status() == StatusCode::NOT_FOUND {
        return refused(&headers, Problem::not_found("resource", &path));
    }
    response
}

/// Error response: a page for browsers, otherwise a document.
fn refused(headers: &HeaderMap, problem: Problem) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accepted| accepted.to_str().ok());
    if accepted.map(str::to_ascii_lowercase).any(|accepted| accepted.contains("text/html")) {
        return pages::refused(problem);
    }
    problem.into_response()
}

/// Counts, times and logs requests by route, never by content of the URL.
async fn measured(route: Option<MatchedPath>, mut request: Request, next: Next) -> Response {
    let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
    let method = request.method().to_string();
    let id = request_id(&request).to_owned();
    let key = KeyName::default();
    request.extensions_mut().insert(key.clone());
    let started = Instant::now();
    let response = next.run(request).await;
    let (took, status) = (started.elapsed(), response.status().as_u16());
    #[cfg(feature = "otel")]
    tracing::Span::current().set_attribute("http.response.status_code", i64::from(status));
    // Outside the span of the request, which has the same fields.
    tracing::info!(
        target: "tradewind_host::access", parent: None,
        method, route, status, ms = took.as_micros() as f64 / 1_000.0, key = key.get(), id, "request"
    );
    let labels = [("route", route), ("method", known(method)), ("status", status.to_string())];
    metrics::histogram!("tradewind_http_seconds", &labels).record(took.as_secs_f64());
    response
}

/// Method as a label: clients can send any word, but the number of labels must stay small.
fn known(method: String) -> String {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"].contains(&method.as_str());
    if known { method } else { "other".to_owned() }
}

fn request_id(request: &Request) -> &str {
    request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default()
}

fn span(request: &Request) -> tracing::Span {
    let (method, path, id) = (request.method(), request.uri().path(), request_id(request));
    // Empty fields are not logged.
    let span = tracing::info_span!("request", %method, path, id, otel.name = Empty, otel.kind = Empty);
    #[cfg(feature = "otel")]
    super::traces::follow(&span, request);
    span
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    Problem::internal(&said.unwrap_or("a panic")).into_response()
}
