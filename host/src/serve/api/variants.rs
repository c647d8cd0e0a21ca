//! Names for the parts of choices in the OpenAPI document, from which generators of clients make names of types.
//!
//! A Rust enum becomes a choice (`oneOf`) of objects with one property, such as `{"reroute": {"to": …}}`. Here each of
//! these objects, and what its property holds, becomes a named schema: `ActionStepReroute` and
//! `ActionStepRerouteFields`.

use std::mem;
use utoipa::openapi::{OpenApi, Ref, RefOr, Schema};

/// Names the parts of all choices.
pub(super) fn name(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    let mut named = Vec::new();
    for (name, schema) in &mut components.schemas {
        let RefOr::T(Schema::OneOf(choice)) = schema else { continue };
        for item in &mut choice.items {
            let RefOr::T(Schema::Object(variant)) = item else { continue };
            let mut properties = variant.properties.iter_mut();
            let (Some((property, fields)), None) = (properties.next(), properties.next()) else { continue };
            let name = format!("{name}{}", pascal(property));
            if matches!(fields, RefOr::T(_)) {
                named.push(moved(fields, format!("{name}Fields")));
            }
            named.push(moved(item, name));
        }
    }
    components.schemas.extend(named);
}

/// Replaces a schema by a reference to its name; returns it with its name.
fn moved(schema: &mut RefOr<Schema>, name: String) -> (String, RefOr<Schema>) {
    let reference = Ref::from_schema_name(name.as_str()).into();
    (name, mem::replace(schema, reference))
}

/// Converts a name from snake case to Pascal case.
fn pascal(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}
