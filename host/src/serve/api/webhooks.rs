//! Webhooks: receivers of events.

use super::{
    Answered,
    body::{Body, Path},
    events::place,
    responses::{ForRoles, WithBody},
};
use crate::serve::{
    App,
    auth::{Caller, random},
    door,
    problem::{Answer, Problem},
    signing::{FORMER, secret},
    store::{Place, Secrets, WebhookRow, WebhookState, wall},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tradewind_core::Millis;
use tradewind_json::{Problem as Document, hex};

/// Webhook to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewWebhook {
    /// Address of the receiver, `https://…` or `http://…`, without a user name or password.
    #[schema(min_length = 8, max_length = 2048)]
    url: String,
    /// Types of events that it gets; all if absent.
    kinds: Option<Vec<String>>,
    /// Name of the last event that it does not get; only new events follow if absent.
    after: Option<String>,
}

/// Webhook.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Webhook {
    /// Name of the webhook.
    id: String,
    /// Address of the receiver.
    url: String,
    /// Types of events that it gets; null if it gets all.
    kinds: Option<Vec<String>>,
    /// State of the webhook.
    state: WebhookState,
    /// Moment at which it was added.
    made: Millis,
    /// Name of the last event that was delivered, or that it does not get.
    after: String,
    /// Moment of the last delivery.
    delivered: Option<Millis>,
    /// Number of failed attempts to deliver the next event.
    #[schema(minimum = 0)]
    tries: i64,
    /// Moment of the next attempt after a failure.
    retry: Option<Millis>,
    /// Reason for the last failure since the last delivery.
    last_error: Option<String>,
}

/// Webhook with its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: Webhook,
    /// Secret that signs deliveries, `whsec_…`: only this response contains it.
    secret: String,
}

impl Webhook {
    fn new(app: &App, row: WebhookRow) -> Self {
        let WebhookRow { id, url, kinds, state, place, tries, due, error, made, delivered, .. } = row;
        let at = |wall| app.clock.at(Millis(wall));
        let retry = (due > 0 && state == WebhookState::Active).then(|| at(due));
        let after = super::events::name(place);
        Self {
            id,
            url,
            kinds,
            state,
            made: at(made),
            after,
            delivered: delivered.map(at),
            tries,
            retry,
            last_error: error,
        }
    }
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("webhook", id)
}

/// Adds a webhook: a receiver to which events are posted, in order, each at least once.
///
/// Deliveries follow [Standard Webhooks](https://www.standardwebhooks.com): a `POST` with the headers `webhook-id`,
/// `webhook-timestamp` and `webhook-signature`, and a body with `type`, `timestamp` and the event as `data`. A response
/// with status 2xx within 15 seconds confirms it; 410 ends the webhook. Any other is repeated after growing pauses, for
/// three days; then the webhook has failed, until it is resumed. For admins.
#[utoipa::path(
    post, path = "/v1/webhooks", operation_id = "addWebhook", tag = "webhooks",
    request_body(content = NewWebhook, example = json!({
        "url": "https://shop.example/tradewind", "kinds": ["order.allocated", "shipment.picked_up"],
    })),
    responses(
        (status = 201, body = WebhookWithSecret, description = "the webhook is active"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "there are too many webhooks"),
        WithBody,
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    Body(NewWebhook { url, kinds, after }): Body<NewWebhook>,
) -> Answer<(StatusCode, Json<WebhookWithSecret>)> {
    caller.may(&[])?;
    door::receiver("url", &url)?;
    let kinds = kinds.map(door::kinds).transpose()?;
    let place = match after {
        Some(after) => place(&after)?,
        None => app.store.last_event().await?,
    };
    let row = new(url, kinds, place).map_err(|error| Problem::internal(&error))?;
    if !app.store.add_webhook(&row).await? {
        return Err(Problem::conflict("there are too many webhooks; remove one first"));
    }
    let secret = row.secrets.current.clone();
    Ok((StatusCode::CREATED, Json(WebhookWithSecret { webhook: Webhook::new(&app, row), secret })))
}

/// Lists webhooks, oldest first. For admins.
#[utoipa::path(
    get, path = "/v1/webhooks", operation_id = "listWebhooks", tag = "webhooks",
    responses((status = 200, body = [Webhook], description = "all webhooks"), ForRoles)
)]
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Answered<Vec<Webhook>> {
    caller.may(&[])?;
    let rows = app.store.webhooks().await?.into_iter();
    Ok(Json(rows.map(|row| Webhook::new(&app, row)).collect()))
}

/// Removes a webhook. For admins.
#[utoipa::path(
    delete, path = "/v1/webhooks/{id}", operation_id = "removeWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "name of the webhook")),
    responses(
        (status = 204, description = "the webhook is removed; a delivery that has begun may still arrive"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "unknown webhook"),
        ForRoles,
    )
)]
pub(super) async fn remove(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answer<StatusCode> {
    caller.may(&[])?;
    if !app.store.remove_webhook(&id).await? {
        return Err(unknown(&id));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the secret of a webhook. For a day, deliveries have two signatures: of the new and of the former secret. For
/// admins.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/rotate", operation_id = "rotateWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "name of the webhook")),
    responses(
        (status = 200, body = WebhookWithSecret, description = "the webhook, with its new secret"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "unknown webhook"),
        ForRoles,
    )
)]
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answered<WebhookWithSecret> {
    caller.may(&[])?;
    let secret = secret().map_err(|error| Problem::internal(&error))?;
    let row = app.store.rotate_webhook(&id, &secret, wall() + FORMER).await?.ok_or_else(|| unknown(&id))?;
    Ok(Json(WebhookWithSecret { webhook: Webhook::new(&app, row), secret }))
}

/// Resumes a failed webhook after its last delivered event, or repeats a failed attempt at once. For admins.
///
/// Events that retention has removed meanwhile are skipped.
#[utoipa::path(
    post, path = "/v1/webhooks/{id}/resume", operation_id = "resumeWebhook", tag = "webhooks",
    params(("id" = String, Path, description = "name of the webhook")),
    responses(
        (status = 200, body = Webhook, description = "the webhook is active"),
        (status = 404, body = Document, content_type = "application/problem+json", description = "unknown webhook"),
        (status = 409, body = Document, content_type = "application/problem+json",
            description = "the receiver has ended the webhook"),
        ForRoles,
    )
)]
pub(super) async fn resume(State(app): State<Arc<App>>, caller: Caller, Path(id): Path<String>) -> Answered<Webhook> {
    caller.may(&[])?;
    if let Some(row) = app.store.resume_webhook(&id).await? {
        app.store.wake_webhooks();
        return Ok(Json(Webhook::new(&app, row)));
    }
    let known = app.store.webhooks().await?.iter().any(|row| row.id == id);
    Err(if known {
        Problem::conflict(format!("the receiver of `{id}` responded 410; add another webhook"))
    } else {
        unknown(&id)
    })
}

/// New webhook that gets the events after a place.
fn new(url: String, kinds: Option<Vec<String>>, place: Place) -> Result<WebhookRow, getrandom::Error> {
    Ok(WebhookRow {
        id: hex(&random::<8>()?),
        url,
        kinds,
        secrets: Secrets { current: secret()?, former: None },
        state: WebhookState::Active,
        place,
        tries: 0,
        due: 0,
        error: None,
        made: wall(),
        delivered: None,
    })
}
