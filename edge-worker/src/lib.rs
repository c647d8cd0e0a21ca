//! The shell at the CDN edge: a Worker that fills the slots and prices of an origin's pages, and answers the
//! storefront API, with the module.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`], [`card`], [`region`] | the document that configures it |
//! | [`closed`] | what keeps a page whole whose slot does not end |
//! | `shop` | the loaded module, packs and snapshot of an isolate, and what is asked of them |
//! | `page`, `pump`, `rewriter` | pages |
//! | `api`, `problem`, `offer` | the API |
//! | `profile` | the profile of a shopper who wants it kept, in a cookie |
//! | `text` | prices and dates as people read them |
//!
//! Nothing that goes wrong in here makes a page worse than the origin's: where there is no answer, what the origin
//! wrote stays.

pub mod card;
pub mod closed;
pub mod config;
pub mod region;

#[cfg(target_arch = "wasm32")]
mod api;
#[cfg(target_arch = "wasm32")]
mod offer;
#[cfg(target_arch = "wasm32")]
mod page;
#[cfg(target_arch = "wasm32")]
mod problem;
#[cfg(target_arch = "wasm32")]
mod profile;
#[cfg(target_arch = "wasm32")]
mod pump;
#[cfg(target_arch = "wasm32")]
mod rewriter;
#[cfg(target_arch = "wasm32")]
mod shop;
#[cfg(target_arch = "wasm32")]
mod text;

#[cfg(target_arch = "wasm32")]
#[worker::event(fetch)]
async fn fetch(
    request: worker::Request,
    env: worker::Env,
    context: worker::Context,
) -> worker::Result<worker::Response> {
    context.pass_through_on_exception();
    match api::Route::of(&request.path()) {
        Some(route) => api::answer(route, request, env, context).await,
        None => page::answer(request, env, context).await,
    }
}
