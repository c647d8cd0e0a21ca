//! Errors in the OpenAPI document: those that many operations share.

use std::collections::BTreeMap;
use tradewind_json::Problem;
use utoipa::{
    IntoResponses, Modify, PartialSchema, ToSchema,
    openapi::{
        ContentBuilder, HeaderBuilder, Ref, RefOr, Response, ResponseBuilder,
        schema::{ObjectBuilder, Type},
    },
};

/// Statuses with the name and description of their response.
const SHARED: [(&str, &str, &str); 8] = [
    ("400", "MalformedRequest", "the URL, a header or the body cannot be read"),
    ("401", "Unauthenticated", "the access key is missing, unknown or expired"),
    ("403", "Forbidden", "the access key's role, nodes or shop do not allow this"),
    ("408", "TooSlow", "the body comes too slowly"),
    ("413", "TooLarge", "the body is too long"),
    ("422", "InvalidRequest", "a value is invalid: `detail` names it, and the valid values"),
    ("500", "Internal", "an error of the service, which its log explains"),
    ("503", "Unavailable", "temporarily unavailable: the same request may be sent again after `Retry-After`"),
];

/// Errors of operations without a key.
pub(super) struct Open;

/// Errors of operations that every key may call.
pub(super) struct Keyed;

/// Errors of operations for keys with some roles.
pub(super) struct ForRoles;

/// Errors of operations for keys with some roles, with a body.
pub(super) struct WithBody;

impl IntoResponses for Open {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["400", "500", "503"])
    }
}

impl IntoResponses for Keyed {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["400", "401", "500", "503"])
    }
}

impl IntoResponses for ForRoles {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["400", "401", "403", "500", "503"])
    }
}

impl IntoResponses for WithBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["400", "401", "403", "408", "413", "422", "500", "503"])
    }
}

/// Error of operations without a body whose query may have an invalid value.
pub(super) struct InvalidQuery;

impl IntoResponses for InvalidQuery {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        shared(&["422"])
    }
}

fn shared(statuses: &[&str]) -> BTreeMap<String, RefOr<Response>> {
    let shared = SHARED.iter().filter(|(status, ..)| statuses.contains(status));
    shared.map(|(status, name, _)| ((*status).to_owned(), Ref::from_response_name(*name).into())).collect()
}

/// Adds the shared responses to the document.
pub(super) struct Shared;

impl Modify for Shared {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.schemas.insert(Problem::name().into(), Problem::schema());
        for (status, name, description) in SHARED {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
            let response = ResponseBuilder::new().description(description).content("application/problem+json", content);
            let header = |kind, about| {
                HeaderBuilder::new()
                    .schema(Some(ObjectBuilder::new().schema_type(kind)))
                    .description(Some(about))
                    .build()
            };
            let response = match status {
                "401" => response.header("WWW-Authenticate", header(Type::String, "scheme of authentication")),
                "503" => response.header("Retry-After", header(Type::Integer, "seconds to wait")),
                _ => response,
            };
            components.responses.insert(name.into(), response.build().into());
        }
    }
}
