//! API: its routes, and the OpenAPI document.

mod body;
mod events;
mod health;
mod insights;
mod list;
mod orders;
mod quotes;
mod releases;
mod responses;
mod shipments;
mod stock;
mod variants;
mod webhooks;
mod worklist;

pub(super) use body::{Form, Path};
pub(super) use events::{Event, Message};
pub(super) use orders::{OrderStatus, statuses as order_statuses};
pub(super) use releases::ReleaseStatus;

use super::App;
use axum::{Json, Router, extract::DefaultBodyLimit};
use responses::Shared;
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as OpenApiDocument,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Maximum length of a request's body without a file, in bytes.
const MAX_BODY: usize = 4 << 20;

/// Maximum length of a file, in bytes: a pack with its signature.
const MAX_FILE: usize = tradewind_core::pack::MAX_PACK_LEN + 4_096;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tradewind warehouse API",
        description = "Orders in, allocations and a worklist out. Amounts are minor units of the snapshot's currency; \
            moments are RFC 3339, days are dates. Errors are problem+json (RFC 9457): `type` is \
            one of the kinds on the page `/problems`, `detail` has the error, the input and the fix. Responses with status 503 have `Retry-After`: the same request may be sent again.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/", description = "This service")),
    modifiers(&AccessKey, &Shared),
    security(("key" = [])),
    tags(
        (name = "orders", description = "Orders and their allocation to nodes"),
        (name = "stock", description = "Stock and state of nodes"),
        (name = "shipments", description = "Shipments and scans"),
        (name = "events", description = "What happened, in order"),
        (name = "webhooks", description = "Receivers of events"),
        (name = "worklist", description = "Exceptions that need a person, and actions on them"),
        (name = "quotes", description = "Prices at checkout"),
        (name = "insights", description = "Answers of models about shoppers, products and texts"),
        (name = "releases", description = "The module, packs and snapshot that decide"),
        (name = "service", description = "The service itself"),
    )
)]
struct Api;

struct AccessKey;

impl Modify for AccessKey {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).description(Some(
            "An access key, as printed by `tradewind serve key add`. Its role defines its permissions: shop, warehouse, \
             operator or admin. It may be limited to nodes or a shop, and may expire: what it may not see is left out of \
             lists, and unknown (404); a change at another node is refused (403).",
        ));
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme.build()));
    }
}

/// Routes of the API, and its OpenAPI document.
pub(super) fn router() -> (Router<Arc<App>>, OpenApiDocument) {
    let files = OpenApiRouter::new()
        .routes(routes!(releases::put_module))
        .routes(routes!(releases::put_pack))
        .routes(routes!(releases::put_snapshot))
        .layer(DefaultBodyLimit::max(MAX_FILE));
    let documents = OpenApiRouter::new()
        .routes(routes!(orders::submit, orders::list))
        .routes(routes!(orders::show))
        .routes(routes!(orders::cancel))
        .routes(routes!(orders::retry))
        .routes(routes!(orders::decision))
        .routes(routes!(stock::show, stock::count))
        .routes(routes!(stock::nodes))
        .routes(routes!(stock::close))
        .routes(routes!(stock::open))
        .routes(routes!(shipments::submit, shipments::list))
        .routes(routes!(shipments::show))
        .routes(routes!(shipments::scan))
        .routes(routes!(shipments::release))
        .routes(routes!(events::list))
        .routes(routes!(webhooks::add, webhooks::list))
        .routes(routes!(webhooks::remove))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::resume))
        .routes(routes!(worklist::list))
        .routes(routes!(worklist::act))
        .routes(routes!(worklist::feedback))
        .routes(routes!(quotes::verify))
        .routes(routes!(insights::ask))
        .routes(routes!(releases::list))
        .routes(routes!(releases::roll_back))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let (router, mut document) =
        OpenApiRouter::with_openapi(Api::openapi()).merge(files).merge(documents).split_for_parts();
    variants::name(&mut document);
    (router, document)
}

/// Response with a document.
type Answered<T> = super::problem::Answer<Json<T>>;
