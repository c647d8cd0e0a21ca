//! Deliveries to webhooks: events of the feed, in order, each at least once, signed as in
//! [Standard Webhooks](https://www.standardwebhooks.com).

use super::{
    App,
    api::{Event, Message},
    auth::random,
    signing::signatures,
    store::{EventRow, Scope, WebhookRow, WebhookState, wall},
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet};
use tradewind_json::hex;
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// Maximum number of webhooks that a replica delivers to at a time.
const AT_A_TIME: usize = 16;

/// Maximum events read together.
const BATCH: i64 = 100;

/// Maximum time of a delivery; half of the lease.
const DELIVERY: Duration = Duration::from_secs(15);

/// Time for which an idle connection is used again: less than receivers keep it open.
const IDLE: Duration = Duration::from_secs(3);

/// Maximum time between two searches for events: other replicas write some, too.
const LOOK: Duration = Duration::from_secs(2);

/// Time for which events are gathered before a search.
const GATHER: Duration = Duration::from_millis(100);

/// Time for which running deliveries may finish when the service stops.
const ENDING: Duration = Duration::from_secs(1);

/// Pauses after failed attempts, in milliseconds; an attempt that fails after the last one is the last.
const PAUSES: [i64; 9] = {
    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;
    [5_000, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
};

/// Failed attempt.
enum Failure {
    /// The receiver ends the webhook.
    Gone,
    Other(String),
}

/// Runs until told to stop.
pub(super) async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    while !*stop.borrow() {
        if let Err(error) = start(&app, &mut running, &stop).await {
            tracing::warn!(%error, "webhooks not read");
        }
        tokio::select! {
            () = app.store.committed() => tokio::time::sleep(GATHER).await,
            Some(_) = running.join_next() => {}
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
    let ended = async { while running.join_next().await.is_some() {} };
    // The lease of an unfinished delivery expires: it may still arrive.
    let _ = tokio::time::timeout(ENDING, ended).await;
}

/// Starts deliveries to webhooks with new events.
async fn start(app: &Arc<App>, running: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> sqlx::Result<()> {
    let free = AT_A_TIME.saturating_sub(running.len());
    if free == 0 {
        return Ok(());
    }
    let lease = random::<16>().map(|bytes| hex(&bytes)).map_err(|error| sqlx::Error::Encode(error.into()))?;
    for webhook in app.store.claim_webhooks(&lease, free as i64).await? {
        let (app, lease, stop) = (Arc::clone(app), lease.clone(), stop.clone());
        running.spawn(async move {
            let id = webhook.id.clone();
            if let Err(error) = deliver(&app, webhook, &lease, &stop).await {
                tracing::warn!(webhook = id, %error, "delivery interrupted; it continues after its lease");
            }
        });
    }
    Ok(())
}

/// Delivers events to a claimed webhook until there are no more, an attempt fails, the lease is lost, or the service
/// stops.
async fn deliver(app: &App, mut webhook: WebhookRow, lease: &str, stop: &watch::Receiver<bool>) -> sqlx::Result<()> {
    loop {
        let events = app.store.events(&Scope::All, webhook.place, BATCH).await?;
        if events.is_empty() {
            return app.store.release_webhook(&webhook.id, lease).await;
        }
        let mut skipped = false;
        for event in events {
            if *stop.borrow() {
                return app.store.release_webhook(&webhook.id, lease).await;
            }
            let place = event.place;
            skipped = !webhook.wants(&event.kind);
            if !skipped {
                if let Err(failure) = post(app, &webhook, event).await {
                    return failed(app, &webhook, lease, failure).await;
                }
                metrics::counter!("tradewind_webhook_deliveries_total").increment(1);
                let Some(secrets) = app.store.advance_webhook(&webhook.id, lease, place, Some(wall())).await? else {
                    return Ok(());
                };
                (webhook.secrets, webhook.tries) = (secrets, 0);
            }
            webhook.place = place;
        }
        if skipped && app.store.advance_webhook(&webhook.id, lease, webhook.place, None).await?.is_none() {
            return Ok(());
        }
    }
}

/// Records a failed attempt: the event is delivered again after a pause, or the webhook ends.
async fn failed(app: &App, webhook: &WebhookRow, lease: &str, failure: Failure) -> sqlx::Result<()> {
    metrics::counter!("tradewind_webhook_failures_total").increment(1);
    let tries = webhook.tries + 1;
    let pause = usize::try_from(webhook.tries).ok().and_then(|tries| PAUSES.get(tries));
    let (state, error) = match (failure, pause) {
        (Failure::Gone, _) => (WebhookState::Gone, "the receiver responded 410 (gone)".to_owned()),
        (Failure::Other(error), Some(_)) => (WebhookState::Active, error),
        (Failure::Other(error), None) => (WebhookState::Failed, error),
    };
    // Addresses may contain secrets.
    let id = &webhook.id;
    match state {
        WebhookState::Active => tracing::warn!(webhook = id, tries, error, "delivery failed"),
        WebhookState::Failed | WebhookState::Gone => {
            tracing::error!(webhook = id, tries, error, "webhook ended");
        }
    }
    let due = pause.map_or(0, |pause| wall() + jittered(*pause));
    app.store.fail_webhook(id, lease, state, tries, due, &error).await
}

/// Pause of 90 to 110 percent, so that receivers are not called by all at once.
fn jittered(pause: i64) -> i64 {
    let part = random::<1>().map_or(0, |[byte]| i64::from(byte));
    pause * 9 / 10 + pause / 5 * part / 255
}

/// Sends an event.
async fn post(app: &App, webhook: &WebhookRow, event: EventRow) -> Result<(), Failure> {
    let other = |error: &dyn std::fmt::Display| Failure::Other(error.to_string());
    let message = Message::new(Event::new(event, app.clock));
    let (id, timestamp) = (message.id().to_owned(), wall() / 1_000);
    let body = serde_json::to_string(&message).map_err(|error| other(&error))?;
    let signature = signatures(&webhook.secrets, wall(), &format!("{id}.{timestamp}.{body}"));
    let url = webhook.url.clone();
    let sent = tokio::task::spawn_blocking(move || {
        let request = agent().post(url).header("content-type", "application/json").header("webhook-id", id);
        let request = request.header("webhook-timestamp", timestamp.to_string()).header("webhook-signature", signature);
        request.send(body).map(|response| response.status().as_u16())
    });
    match sent.await.map_err(|error| other(&error))?.map_err(|error| other(&error))? {
        200..=299 => Ok(()),
        410 => Err(Failure::Gone),
        status => Err(Failure::Other(format!("the receiver responded {status}"))),
    }
}

/// Client of all deliveries, with the certificates that the system trusts.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let roots = rustls_native_certs::load_native_certs();
        for error in &roots.errors {
            tracing::warn!(%error, "certificates of the system not read");
        }
        let roots: Vec<_> = roots.certs.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots)));
        let tls = tls.unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let agent = Agent::config_builder().tls_config(tls.build()).timeout_global(Some(DELIVERY)).max_idle_age(IDLE);
        let agent = agent.http_status_as_error(false).max_redirects(0).max_redirects_will_error(false);
        agent.user_agent(concat!("tradewind/", env!("CARGO_PKG_VERSION"))).build().into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_by_a_tenth() {
        assert!(PAUSES.is_sorted());
        for pause in PAUSES {
            assert!((pause * 9 / 10..=pause * 11 / 10).contains(&jittered(pause)));
        }
    }
}
