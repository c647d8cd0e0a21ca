//! Operators' pages: exceptions and their actions. Rendered on the server, without scripts; every form has a token that
//! only this page knows.

mod parts;
mod problems;
mod words;

use super::{
    App, act,
    api::{Form, OrderStatus, Path, ReleaseStatus, order_statuses},
    auth::{Caller, KeyName, Role},
    live, overview,
    problem::{Answer, Problem},
    store::Scope,
};
use axum::{
    Extension, Router,
    extract::{FromRequestParts, State},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use maud::{DOCTYPE, Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use tradewind_core::exceptions::Action;
use tradewind_json::{PROBLEMS, ProblemKind};
use words::Reader;

/// Maximum entries and orders shown.
const SHOWN: i64 = 25;

pub(super) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(worklist))
        .route("/orders/{id}", get(order))
        .route("/login", get(login).post(sign_in))
        .route("/logout", post(sign_out))
        .route("/act/{id}", post(act_on))
        .route("/feedback/{id}", post(feedback))
        .route("/orders/{id}/retry", post(retry))
        .route("/nodes/{code}/{to}", post(turn_node))
        .route(PROBLEMS, get(problems::show))
        .route("/style.css", get(style))
}

/// Redirect for users who are not signed in, or error for missing permissions.
enum Refused {
    SignIn,
    Problem(Problem),
}

impl<E: Into<Problem>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn => Redirect::to("/login").into_response(),
            Self::Problem(problem) => refused(problem),
        }
    }
}

/// Page of an error.
pub(super) fn refused(problem: Problem) -> Response {
    let main = html! {
        h1 { "That did not work" }
        p.notice role="alert" { (problem.detail()) }
        p { a href="/" { "Back to the worklist" } }
    };
    let page = page("That did not work", &Reader::english(), None, &main);
    // Status and headers are those of the document.
    let (mut parts, _) = problem.into_response().into_parts();
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    (parts, page.into_string()).into_response()
}

type Shown = Result<Response, Refused>;

/// Received form, or its error, which is also shown as a page.
type Sent<T> = Result<T, Problem>;

/// Signed-in user, and the token of their forms.
struct Visitor {
    caller: Caller,
    token: String,
    reader: Reader,
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let (caller, token) = app.signed_in(&parts.headers).await?.ok_or(Refused::SignIn)?;
        if let Some(name) = parts.extensions.get::<KeyName>() {
            name.set(&caller);
        }
        Ok(Self { caller, token, reader: Reader::of(&parts.headers) })
    }
}

impl Visitor {
    /// Sender of one of this page's forms, with permission.
    fn sends(self, token: &str, roles: &[Role]) -> Answer<Caller> {
        if self.token != token {
            let detail = "the form is from another session; load the page again";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        self.caller.may(roles)?;
        Ok(self.caller)
    }
}

fn page(title: &str, reader: &Reader, visitor: Option<&Visitor>, main: &Markup) -> Markup {
    let t = |text: &str| reader.label(text);
    html! {
        (DOCTYPE)
        html lang=(reader.language()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Tradewind" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#main" { (t("Skip to the content")) }
                header {
                    a.brand href="/" { "Tradewind" }
                    nav aria-label=(t("Pages")) {
                        a href="/" { (t("Worklist")) }
                        a href="/docs" { "API" }
                    }
                    @if let Some(visitor) = visitor {
                        form method="post" action="/logout" {
                            span.who { (visitor.caller.key) " · " (visitor.caller.role) }
                            (hidden(visitor))
                            button.quiet type="submit" { (t("Sign out")) }
                        }
                    }
                }
                main #main { (main) }
            }
        }
    }
}

fn hidden(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="token" value=(visitor.token); }
}

async fn worklist(State(app): State<Arc<App>>, visitor: Visitor) -> Shown {
    let store = &app.store;
    let scope = &visitor.caller.scope;
    let counts = store.order_counts().await?;
    let open = store.worklist(scope, "open", None, SHOWN).await?;
    let acted = store.worklist(scope, "acted", None, 10).await?;
    let orders = match visitor.caller.may_use_orders() {
        Ok(()) => Some(order_statuses(&app, store.orders(scope, None, None, SHOWN).await?).await?),
        Err(_) => None,
    };
    let mut nodes = store.nodes().await?;
    nodes.retain(|node, _| scope.has(Some(node), None));
    let sums = overview::latest(&app).await;
    let release = app.release();
    let workloads = live::workloads(store, store.pool(), &release, app.clock.now()).await?;
    let troubles: Vec<String> = [&app.planned, &app.looked].into_iter().filter_map(|pulse| pulse.trouble()).collect();
    let main = html! {
        h1 { (visitor.reader.label("Worklist")) }
        @for trouble in &troubles { p.notice role="alert" { (trouble) } }
        @if *scope == Scope::All { (parts::counts(&visitor, &counts, store.open_work().await?)) }
        (parts::exceptions(&visitor, &release, &open))
        (parts::acted(&visitor, &release, &acted))
        @if let Some(orders) = orders { (parts::orders(&visitor, &orders)) }
        @if !nodes.is_empty() { (parts::nodes(&visitor, &nodes, sums.as_deref(), &workloads)) }
        @if *scope == Scope::All { (parts::cover(&visitor, sums.as_deref().map(|sums| (sums, sums.made(&app))))) }
        (parts::digests(&visitor, &ReleaseStatus::from(&*release)))
    };
    Ok(page(&visitor.reader.label("Worklist"), &visitor.reader, Some(&visitor), &main).into_response())
}

async fn order(State(app): State<Arc<App>>, visitor: Visitor, path: Sent<Path<String>>) -> Shown {
    visitor.caller.may_use_orders()?;
    let Path(id) = path?;
    let unknown = || Problem::not_found("order", &id);
    let row = app.store.order(&id).await?.filter(|row| visitor.caller.scope.has(None, row.shop.as_deref()));
    let row = row.ok_or_else(unknown)?;
    let status: OrderStatus = order_statuses(&app, vec![row]).await?.pop().ok_or_else(unknown)?;
    let main = parts::order(&visitor, &app.release(), &status);
    Ok(page(&id, &visitor.reader, Some(&visitor), &main).into_response())
}

async fn login(headers: HeaderMap) -> Markup {
    sign_in_page(&Reader::of(&headers), None)
}

fn sign_in_page(reader: &Reader, wrong: Option<&str>) -> Markup {
    let t = |text: &str| reader.label(text);
    let main = html! {
        h1 { (t("Sign in")) }
        @if let Some(wrong) = wrong { p.notice role="alert" { (wrong) } }
        form.login method="post" action="/login" {
            label for="key" { (t("Access key")) }
            input #key type="password" name="key" required autocomplete="current-password" aria-describedby="hint";
            p.hint #hint { (t("The operator of this service makes one:")) " " code { "tradewind serve key add NAME --role operator" } }
            button type="submit" { (t("Sign in")) }
        }
    };
    page(&t("Sign in"), reader, None, &main)
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

async fn sign_in(
    State(app): State<Arc<App>>,
    Extension(name): Extension<KeyName>,
    headers: HeaderMap,
    form: Sent<Form<Key>>,
) -> Response {
    let signed_in = match form {
        Ok(Form(form)) => app.sign_in(form.key.trim()).await,
        Err(problem) => Err(problem),
    };
    match signed_in {
        Ok((caller, cookie)) => {
            name.set(&caller);
            ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
        }
        Err(problem) => {
            let page = sign_in_page(&Reader::of(&headers), Some(problem.detail()));
            (problem.status(), page).into_response()
        }
    }
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

async fn sign_out(State(app): State<Arc<App>>, visitor: Visitor, headers: HeaderMap, form: Sent<Form<Token>>) -> Shown {
    let Form(form) = form?;
    visitor.sends(&form.token, &Role::ALL)?;
    let cookie = app.sign_out(&headers).await?;
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/login")).into_response())
}

#[derive(Deserialize)]
struct Chosen {
    token: String,
    /// Action, in the API's form.
    action: String,
}

async fn act_on(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Sent<Path<String>>,
    form: Sent<Form<Chosen>>,
) -> Shown {
    let (Path(id), Form(form)) = (path?, form?);
    let caller = visitor.sends(&form.token, &[Role::Operator])?;
    let action: Action =
        serde_json::from_str(&form.action).map_err(|error| Problem::bad(format!("the action: {error}")))?;
    act::act(&app, &caller, &id, &action).await?;
    Ok(Redirect::to("/").into_response())
}

#[derive(Deserialize)]
struct Said {
    token: String,
    useful: bool,
}

async fn feedback(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Sent<Path<String>>,
    form: Sent<Form<Said>>,
) -> Shown {
    let (Path(id), Form(form)) = (path?, form?);
    let caller = visitor.sends(&form.token, &[Role::Operator])?;
    act::feedback(&app, &caller, &id, form.useful, "").await?;
    Ok(Redirect::to("/").into_response())
}

async fn retry(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Sent<Path<String>>,
    form: Sent<Form<Token>>,
) -> Shown {
    let (Path(id), Form(form)) = (path?, form?);
    let caller = visitor.sends(&form.token, &[Role::Operator])?;
    act::retry(&app, &caller, &id).await?;
    Ok(Redirect::to("/").into_response())
}

async fn turn_node(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    path: Sent<Path<(String, String)>>,
    form: Sent<Form<Token>>,
) -> Shown {
    let (Path((code, to)), Form(form)) = (path?, form?);
    let caller = visitor.sends(&form.token, &[Role::Warehouse, Role::Operator])?;
    let closed = match to.as_str() {
        "close" => true,
        "open" => false,
        _ => return Err(Problem::not_found("resource", &format!("/nodes/{code}/{to}")).into()),
    };
    act::set_closed(&app, &caller, &code, closed).await?;
    Ok(Redirect::to("/").into_response())
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("pages/style.css"))
}
