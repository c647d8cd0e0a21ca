//! Lists in pages. Each is in one order, and continues after the last item of the page before, whatever was added or
//! removed meanwhile.

use crate::serve::problem::{Answer, Problem};
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use tradewind_json::{hex, unhex_all};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Ref, RefOr, Schema,
        schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type},
    },
};

/// Items of a page if the request has no limit.
const LIMIT: u16 = 100;

/// Maximum items of a page.
const MAX_LIMIT: u16 = 1_000;

/// Page of a list.
#[derive(Serialize)]
pub(crate) struct Page<T> {
    /// Items, in the list's order.
    items: Vec<T>,
    /// Cursor: the next page is the same request with `after` set to it. Null on the last page.
    next: Option<String>,
}

/// Which page of a list.
pub(crate) struct Part {
    /// Cursor of the page before.
    after: Option<String>,
    limit: u16,
}

impl Part {
    /// Page with a list's parameters `after` and `limit`.
    pub(crate) fn new(after: Option<String>, limit: Option<u16>) -> Self {
        Self { after, limit: limit.unwrap_or(LIMIT).clamp(1, MAX_LIMIT) }
    }

    /// Maximum number of items.
    pub(crate) fn items(&self) -> i64 {
        i64::from(self.limit)
    }

    /// Number of rows to read: one more than the page has, which tells whether there is another page.
    pub(crate) fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Key of the item after which the page begins.
    pub(crate) fn key<K: DeserializeOwned>(&self) -> Answer<Option<K>> {
        let Some(after) = &self.after else { return Ok(None) };
        let key = unhex_all(after).and_then(|bytes| serde_json::from_slice(&bytes).ok());
        key.map(Some)
            .ok_or_else(|| Problem::bad(format!("`after` is not a cursor: `{after}` (expected `next` of a page)")))
    }

    /// Page of rows, each with its key.
    pub(crate) fn page<R, K: Serialize>(&self, mut rows: Vec<R>, key: impl Fn(&R) -> K) -> Answer<Page<R>> {
        let limit = usize::from(self.limit);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more).map(|row| serde_json::to_vec(&key(row)));
        let next = last.transpose().map_err(|error| Problem::internal(&error))?;
        Ok(Page { items: rows, next: next.map(|next| hex(&next)) })
    }
}

impl<T> Page<T> {
    /// Page with these items, and the cursor of the next one.
    pub(crate) const fn new(items: Vec<T>, next: Option<String>) -> Self {
        Self { items, next }
    }

    /// Items, and the cursor of the next page.
    pub(crate) fn split(self) -> (Vec<T>, Option<String>) {
        (self.items, self.next)
    }

    /// Page with other items.
    pub(crate) fn map<U>(self, item: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(item).collect(), next: self.next }
    }
}

// A derived schema of a generic type contains the schema of its items, and does not name it.
impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let items = ArrayBuilder::new().items(Ref::from_schema_name(T::name()));
        let items = items.description(Some("Items, in the list's order."));
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
            .description(Some("Cursor: `after` of the next page's request. Null on the last page."));
        let page = ObjectBuilder::new().description(Some("Page of a list."));
        page.property("items", items).required("items").property("next", next).required("next").into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Page", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into(), T::schema()));
        T::schemas(schemas);
    }
}
