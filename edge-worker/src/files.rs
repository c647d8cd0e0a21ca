//! Files of a shop: the configuration in KV, the full snapshot in R2, all others among the static assets.

use crate::{config::Integrity, shop::Trouble, work::Work};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use js_sys::Uint8Array;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
use worker::Env;

/// Text of the configuration.
#[wasm_bindgen]
pub fn configuration(env: Env) -> Work {
    Work::new(async move {
        let found = env.kv("CONFIG").map_err(Trouble::other)?.get("config").text().await.map_err(Trouble::other)?;
        found.ok_or_else(|| Trouble::other("KV has no `config`: upload it with `wrangler kv key put`"))
    })
}

/// Reads a static asset.
///
/// # Errors
/// If it cannot be fetched.
pub async fn asset(env: &Env, path: &str) -> Result<Vec<u8>, Trouble> {
    let assets = env.assets("ASSETS").map_err(Trouble::other)?;
    // Assets have paths; the host is ignored.
    let mut found = assets.fetch(format!("https://assets{path}"), None).await.map_err(Trouble::other)?;
    match found.status_code() {
        200 => found.bytes().await.map_err(Trouble::other),
        status => Err(Trouble::other(format!("the static asset `{path}` has status {status}"))),
    }
}

/// Reads an object of the private bucket.
///
/// # Errors
/// If it cannot be fetched.
pub async fn object(env: &Env, key: &str) -> Result<Vec<u8>, Trouble> {
    let bucket = env.bucket("PRIVATE").map_err(Trouble::other)?;
    let found = bucket.get(key).execute().await.map_err(Trouble::other)?;
    match found.as_ref().and_then(worker::Object::body) {
        Some(body) => body.bytes().await.map_err(Trouble::other),
        None => Err(Trouble::other(format!("R2 has no `{key}`: upload it with `wrangler r2 object put`"))),
    }
}

/// Compares bytes with their Subresource Integrity.
///
/// # Errors
/// If they differ.
pub async fn compare(path: &str, bytes: &[u8], integrity: &Integrity) -> Result<(), Trouble> {
    let failed = |error| Trouble::other(tradewind_js::said(&error));
    let subtle = tradewind_js::web_crypto().map_err(Trouble::other)?.subtle();
    let algorithm = integrity.algorithm();
    let digest = subtle.digest_with_str_and_js_u8_array(&algorithm.replace("sha", "SHA-"), &Uint8Array::from(bytes));
    let digest = JsFuture::from(digest.map_err(failed)?).await.map_err(failed)?;
    let found = format!("{algorithm}-{}", BASE64_STANDARD.encode(Uint8Array::new(&digest).to_vec()));
    if found == integrity.to_string() {
        return Ok(());
    }
    Err(Trouble::other(format!(
        "`{path}` is refused: its digest is {found}, but the configuration requires {integrity}"
    )))
}
