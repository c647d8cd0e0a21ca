//! Feed of events.

use super::{Answered, body::Query, list::Part, responses::Keyed};
use crate::serve::{
    App, Clock,
    auth::Caller,
    problem::{Answer, Problem},
    store::{EventRow, Place},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tradewind_core::Millis;

/// Event: a new order, shipment or exception, or another state of one.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Event {
    /// Name of the event, different for each: a reader that gets it twice knows it.
    id: String,
    /// Moment of the event.
    at: Millis,
    /// What, and its new state: `order.queued`, `order.allocated`, `order.short`, `order.dead`, `order.cancelled`,
    /// `shipment.created` and the other states of scans, `shipment.cancelled`, `shipment.held`, `shipment.released`,
    /// `exception.open`, `exception.acted`, `exception.resolved`.
    r#type: String,
    /// Name of the order, the shipment or the entry of the worklist.
    subject: String,
    /// Order of the shipment, or shipment of the exception.
    parent: Option<String>,
}

/// Which events.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Name of the last event that is known; the first events if absent.
    after: Option<String>,
    /// Maximum number of events (default 100, at most 1,000).
    #[param(minimum = 0)]
    limit: Option<u16>,
}

impl Event {
    pub(crate) fn new(row: EventRow, clock: Clock) -> Self {
        let EventRow { place, at, kind, subject, parent } = row;
        Self { id: name(place), at: clock.at(Millis(at)), r#type: kind, subject, parent }
    }
}

/// Message of a webhook: an event as in the feed.
#[derive(Serialize)]
pub(crate) struct Message {
    r#type: String,
    timestamp: Millis,
    data: Event,
}

impl Message {
    pub(crate) fn new(event: Event) -> Self {
        Self { r#type: event.r#type.clone(), timestamp: event.at, data: event }
    }

    /// Name of the event.
    pub(crate) fn id(&self) -> &str {
        &self.data.id
    }
}

/// Part of the feed.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Feed {
    /// Events, oldest first.
    items: Vec<Event>,
    /// Name of the last event: `after` of the next request. With no new events it is that of this request.
    next: String,
}

/// Lists what happened, oldest first. For all roles; a limited key gets the events of its nodes or shop.
///
/// Events are written in the transaction that makes them, and none is added before one that was listed: a reader that
/// asks again with `next` misses none.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "listEvents", tag = "events", params(Which),
    responses((status = 200, body = Feed, description = "events, and where the next ones begin"), Keyed)
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(Which { after, limit }): Query<Which>,
) -> Answered<Feed> {
    let place = after.as_deref().map_or(Ok(Place::default()), place)?;
    let rows = app.store.events(&caller.scope, place, Part::new(None, limit).items()).await?;
    let last = rows.last().map_or(place, |row| row.place);
    let items = rows.into_iter().map(|row| Event::new(row, app.clock));
    Ok(Json(Feed { items: items.collect(), next: name(last) }))
}

pub(super) fn name(Place { tx, seq }: Place) -> String {
    format!("{tx}-{seq}")
}

pub(super) fn place(name: &str) -> Answer<Place> {
    let parsed =
        name.split_once('-').and_then(|(tx, seq)| Some(Place { tx: tx.parse().ok()?, seq: seq.parse().ok()? }));
    parsed.ok_or_else(|| Problem::bad(format!("`after` is not an event: `{name}` (expected the `id` of one)")))
}
