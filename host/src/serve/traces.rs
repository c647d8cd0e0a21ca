//! OpenTelemetry: traces of requests and decisions, sent to a collector (OTLP over HTTP). The standard variables
//! `OTEL_*` configure it.

use axum::extract::{MatchedPath, Request};
use opentelemetry::{global, propagation::Extractor, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use std::env;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

/// Variables that name the collector; without one of them, no traces are sent.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// Sender of traces.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Creates the sender; `None` if no collector is configured.
    ///
    /// # Errors
    /// If a variable is invalid.
    pub fn from_env() -> Result<Option<Self>, ExporterBuildError> {
        let is_disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
        if is_disabled || ENDPOINTS.iter().all(|name| env::var_os(name).is_none()) {
            return Ok(None);
        }
        global::set_text_map_propagator(TraceContextPropagator::new());
        let mut resource = Resource::builder();
        if env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("tradewind");
        }
        let exporter = SpanExporter::builder().with_http().build()?;
        let provider = SdkTracerProvider::builder().with_resource(resource.build()).with_batch_exporter(exporter);
        Ok(Some(Self(provider.build())))
    }

    /// Layer that turns the service's spans into traces.
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> OpenTelemetryLayer<S, SdkTracer> {
        tracing_opentelemetry::layer().with_tracer(self.0.tracer("tradewind"))
    }
}

impl Drop for Traces {
    /// Sends the remaining traces.
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            eprintln!("tradewind: the last traces were not sent: {error}");
        }
    }
}

/// Makes the span of a request a part of the caller's trace (W3C `traceparent`), with the names of OpenTelemetry's
/// conventions.
pub(super) fn follow(span: &Span, request: &Request) {
    let method = request.method().to_string();
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    span.record("otel.name", format!("{method} {route}").trim_end());
    span.record("otel.kind", "server");
    span.set_attribute("http.request.method", method);
    span.set_attribute("http.route", route);
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(request)));
    // Fails only without a layer.
    let _ = span.set_parent(parent);
}

/// Headers of a request.
struct Headers<'a>(&'a Request);

impl Extractor for Headers<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.headers().get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.headers().keys().map(|name| name.as_str()).collect()
    }
}
