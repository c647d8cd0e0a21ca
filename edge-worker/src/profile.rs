//! The profile of a shopper who wants the edge to know it: in a cookie that only the edge can read.
//!
//! A cookie needs no storage, no name for the shopper and no way to a place where the storage is; to erase it is to
//! forget it. It holds AES-GCM of the profile's postcard, under the secret `PROFILE_KEY`. A profile may be 5 KB and
//! the cookie at most [`MAX_COOKIE`] bytes: of a longer one, the products that say most are kept.

use crate::shop::{Trouble, cookie, other};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use js_sys::{Array, Promise, Uint8Array};
use tradewind_core::{Millis, Profile};
use tradewind_js::{said, web_crypto};
use tradewind_json::unhex;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AesGcmParams, CryptoKey};
use worker::{Env, Request};

/// The cookie.
pub const NAME: &str = "tw_profile";
/// The most bytes of the cookie, name and value.
const MAX_COOKIE: usize = 2_500;
/// For how many seconds a browser keeps it after the last visit with an event: half a year.
const MAX_AGE: u32 = 15_552_000;
/// What is encrypted is this, in this version; anything else does not open.
const WHAT: &[u8] = b"tradewind profile 1";
const IV: usize = 12;
const TAG: usize = 16;

/// Whether the browser says that its user's data may not be kept or sold (Global Privacy Control).
pub fn is_refused(request: &Request) -> bool {
    request.headers().get("sec-gpc").ok().flatten().is_some_and(|gpc| gpc.trim() == "1")
}

/// The profile that a request brings, if it is one that the edge has written.
pub async fn read(request: &Request, env: &Env) -> Option<Profile> {
    let sealed = BASE64_URL_SAFE_NO_PAD.decode(cookie(request, NAME)?).ok()?;
    let (iv, sealed) = sealed.split_at_checked(IV)?;
    let opened = crypt(env, iv, sealed, false).await.ok()?;
    postcard::from_bytes(&opened).ok()
}

/// The header that has a browser keep a profile, of which as much is taken as fits.
///
/// # Errors
/// Without the secret.
pub async fn keep(mut profile: Profile, now: Millis, env: &Env) -> Result<String, Trouble> {
    let most = (MAX_COOKIE - NAME.len() - 1) / 4 * 3 - IV - TAG;
    let mut plain = postcard::to_allocvec(&profile).map_err(other)?;
    while plain.len() > most && !profile.items().is_empty() {
        profile.keep(profile.items().len() - 1, now);
        plain = postcard::to_allocvec(&profile).map_err(other)?;
    }
    let mut iv = [0; IV];
    web_crypto().map_err(other)?.get_random_values_with_u8_array(&mut iv).map_err(|error| other(said(&error)))?;
    let sealed = [&iv[..], &crypt(env, &iv, &plain, true).await?].concat();
    Ok(header(&BASE64_URL_SAFE_NO_PAD.encode(sealed), MAX_AGE))
}

/// The header that has a browser forget.
pub fn forget() -> String {
    header("", 0)
}

fn header(value: &str, max_age: u32) -> String {
    format!("{NAME}={value}; Path=/; Max-Age={max_age}; HttpOnly; Secure; SameSite=Lax")
}

/// The secret.
///
/// # Errors
/// Where there is none.
pub fn secret(env: &Env) -> Result<[u8; 32], Trouble> {
    let secret = env.secret("PROFILE_KEY").ok().and_then(|secret| unhex(&secret.to_string()));
    secret.ok_or_else(|| {
        let what = "the secret `PROFILE_KEY` is not 64 hexadecimal digits: set it with `wrangler secret put PROFILE_KEY`, \
                    in development with `--var PROFILE_KEY:DIGITS`";
        Trouble::Other(what.into())
    })
}

/// Encrypts, or decrypts, under the secret.
async fn crypt(env: &Env, iv: &[u8], bytes: &[u8], encrypt: bool) -> Result<Vec<u8>, Trouble> {
    let secret = secret(env)?;
    let subtle = web_crypto().map_err(other)?.subtle();
    let failed = |error| other(said(&error));
    let (secret, uses) = (Uint8Array::from(&secret[..]), Array::of2(&"encrypt".into(), &"decrypt".into()));
    let key = subtle.import_key_with_str("raw", &secret, "AES-GCM", false, &uses).map_err(failed)?;
    let key: CryptoKey = JsFuture::from(key).await.map_err(failed)?.unchecked_into();
    let how = AesGcmParams::new("AES-GCM", &Uint8Array::from(iv));
    how.set_additional_data(&Uint8Array::from(WHAT));
    let bytes = Uint8Array::from(bytes);
    let done: Promise = if encrypt {
        subtle.encrypt_with_object_and_js_u8_array(&how, &key, &bytes)
    } else {
        subtle.decrypt_with_object_and_js_u8_array(&how, &key, &bytes)
    }
    .map_err(failed)?;
    Ok(Uint8Array::new(&JsFuture::from(done).await.map_err(failed)?).to_vec())
}
