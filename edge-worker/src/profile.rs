//! Profile of a shopper who agreed to keep it at the edge: a cookie that only the edge can read.
//!
//! A cookie needs no storage, no identifier and no request to a storage location; erasing it deletes the data. It
//! contains the profile, encrypted with AES-GCM under the secret `PROFILE_KEY`, the time of consent, the time of
//! writing, and a random consent number. Revoking consent stores that number in KV until every cookie with it has
//! expired, so copies of the cookie are worthless.

use crate::{shop::Trouble, visitor::cookie, work::Work};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use js_sys::{Array, Date, Promise, Set, Uint8Array};
use tradewind_core::{Millis, Profile};
use tradewind_js::{said, web_crypto};
use tradewind_json::unhex;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AesGcmParams, CryptoKey, SubtleCrypto};
use worker::{Env, Request};

const NAME: &str = "tw_profile";
/// Maximum bytes of the cookie, name and value.
const MAX_COOKIE: usize = 2_500;
/// Seconds for which a profile is kept after the last visit with an event: half a year.
const MAX_AGE: u32 = 15_552_000;
/// Seconds for which KV may serve cached reads: the minimum it allows.
const KV_AGE: u64 = 60;
/// Additional authenticated data: kind and version.
const WHAT: &[u8] = b"tradewind profile 2";
const IV: usize = 12;
const TAG: usize = 16;
/// Consent number, time of consent, and time of writing.
const HEAD: usize = 8 + 8 + 8;
/// Maximum bytes of a profile.
const MOST: usize = (MAX_COOKIE - NAME.len() - 1) / 4 * 3 - IV - TAG - HEAD;
/// Maximum number of revoked consents remembered by an isolate.
const MAX_REVOKED: u32 = 10_000;

// In JavaScript, so that it survives a trap of the instance.
#[wasm_bindgen(inline_js = "export const revoked = new Set();")]
extern "C" {
    /// Consents revoked in this isolate, which KV may not return yet.
    #[wasm_bindgen(thread_local_v2, js_name = revoked)]
    static REVOKED: Set;
}

/// Profile in a request.
pub struct Known {
    /// Consent number, in hexadecimal.
    agreement: String,
    /// Time of consent, in milliseconds since 1970.
    agreed: f64,
    /// Profile, in postcard.
    bytes: Vec<u8>,
}

impl Known {
    /// Decodes the profile, if it has this version.
    pub fn profile(&self) -> Option<Profile> {
        postcard::from_bytes(&self.bytes).ok()
    }
}

/// Bytes of the profile in a request, for its page; empty without one.
#[wasm_bindgen(js_name = profileOf)]
pub fn profile_of(request: web_sys::Request, env: Env) -> Work {
    Work::new(async move {
        let known = read(&request.into(), &env).await;
        Ok(known.map_or(JsValue::UNDEFINED, |known| Uint8Array::from(&known.bytes[..]).into()))
    })
}

/// Whether the browser sends Global Privacy Control.
pub fn is_refused(request: &Request) -> bool {
    request.headers().get("sec-gpc").ok().flatten().is_some_and(|gpc| gpc.trim() == "1")
}

/// Reads the profile of a request, if the edge wrote it and its consent is valid.
pub async fn read(request: &Request, env: &Env) -> Option<Known> {
    if is_refused(request) {
        return None;
    }
    let read = async {
        match open(request, env).await? {
            Some(known) if !is_revoked(&known.agreement, env).await? => Ok(Some(known)),
            _ => Ok(None),
        }
    };
    read.await.unwrap_or_else(|trouble: Trouble| {
        worker::console_error!("tradewind: reading a profile failed: {}", trouble.message());
        None
    })
}

/// Returns the header that stores a profile in the browser, shortened to fit, under the existing consent or a new one.
///
/// # Errors
/// If the secret is missing.
pub async fn keep(profile: Profile, at: Millis, known: Option<&Known>, env: &Env) -> Result<String, Trouble> {
    let now = Date::now();
    let agreement = match known {
        Some(known) => known.agreement.clone(),
        None => tradewind_json::hex(&random::<8>()?),
    };
    let agreed = known.map_or(now, |known| known.agreed);
    let number: [u8; 8] = unhex(&agreement).ok_or_else(|| Trouble::other("consent without a number"))?;
    let plain = [&number[..], &agreed.to_be_bytes(), &now.to_be_bytes(), &shortened(profile, at)?].concat();
    let iv = random::<IV>()?;
    let key = imported(secret(env)?).await?;
    let sealed =
        finished(subtle()?.encrypt_with_object_and_js_u8_array(&how(&iv), &key, &Uint8Array::from(&plain[..])));
    let sealed = [&iv[..], &sealed.await?].concat();
    Ok(header(&BASE64_URL_SAFE_NO_PAD.encode(sealed), MAX_AGE))
}

/// Returns the header that deletes the cookie.
pub fn forget() -> String {
    header("", 0)
}

/// Revokes the consent of the cookie in a request, for all copies.
///
/// # Errors
/// If KV does not store the number.
pub async fn revoke(request: &Request, env: &Env) -> Result<(), Trouble> {
    let Ok(Some(known)) = open(request, env).await else { return Ok(()) };
    REVOKED.with(|revoked| {
        if revoked.size() >= MAX_REVOKED {
            revoked.clear();
        }
        revoked.add(&known.agreement.as_str().into());
    });
    // A cookie being written at this moment may be slightly younger.
    let note = env.kv("CONFIG").map_err(Trouble::other)?.put(&noted(&known.agreement), "").map_err(Trouble::other)?;
    note.expiration_ttl(u64::from(MAX_AGE) + 86_400).execute().await.map_err(Trouble::other)
}

/// Secret for encrypting profiles.
///
/// # Errors
/// The fault of the secret.
pub fn secret(env: &Env) -> Result<[u8; 32], Trouble> {
    secret_of(env, "PROFILE_KEY")
}

fn secret_of(env: &Env, name: &str) -> Result<[u8; 32], Trouble> {
    unhex(&said_by(env, name)).ok_or_else(|| {
        Trouble::other(format!(
            "the secret `{name}` is not 64 hexadecimal digits: set it with `wrangler secret put {name}`, in development \
             with `--var {name}:DIGITS`"
        ))
    })
}

/// Text of a secret; empty if missing.
fn said_by(env: &Env, name: &str) -> String {
    env.secret(name).map(|secret| secret.to_string()).unwrap_or_default()
}

/// Bytes of a profile; if it is too large, the most informative products are kept.
fn shortened(mut profile: Profile, at: Millis) -> Result<Vec<u8>, Trouble> {
    loop {
        let bytes = postcard::to_allocvec(&profile).map_err(Trouble::other)?;
        match profile.items().len() {
            items if bytes.len() > MOST && items > 0 => profile.keep(items - 1, at),
            _ => return Ok(bytes),
        }
    }
}

/// Content of a cookie, if it decrypts and has not expired.
async fn open(request: &Request, env: &Env) -> Result<Option<Known>, Trouble> {
    let Some(value) = cookie(request, NAME).filter(|value| value.len() <= MAX_COOKIE) else { return Ok(None) };
    let Ok(sealed) = BASE64_URL_SAFE_NO_PAD.decode(value) else { return Ok(None) };
    let Some((iv, sealed)) = sealed.split_at_checked(IV) else { return Ok(None) };
    let mut secrets = vec![secret(env)?];
    // The previous key still decrypts, so that a rotation keeps all profiles.
    let previous = "PROFILE_KEY_PREVIOUS";
    if !said_by(env, previous).is_empty() {
        secrets.push(secret_of(env, previous)?);
    }
    for secret in secrets {
        let key = imported(secret).await?;
        let plain = subtle()?.decrypt_with_object_and_js_u8_array(&how(iv), &key, &Uint8Array::from(sealed));
        let Ok(plain) = finished(plain).await else { continue };
        let Some((head, bytes)) = plain.split_at_checked(HEAD) else { continue };
        let number = |from: usize| head.get(from..from + 8)?.try_into().ok();
        let (Some(agreed), Some(written)) = (number(8).map(f64::from_be_bytes), number(16).map(f64::from_be_bytes))
        else {
            continue;
        };
        if Date::now() - written > f64::from(MAX_AGE) * 1_000.0 {
            return Ok(None);
        }
        let agreement = tradewind_json::hex(head.get(..8).unwrap_or_default());
        return Ok(Some(Known { agreement, agreed, bytes: bytes.to_vec() }));
    }
    Ok(None)
}

async fn is_revoked(agreement: &str, env: &Env) -> Result<bool, Trouble> {
    if REVOKED.with(|revoked| revoked.has(&agreement.into())) {
        return Ok(true);
    }
    let note = env.kv("CONFIG").map_err(Trouble::other)?.get(&noted(agreement)).cache_ttl(KV_AGE).text();
    Ok(note.await.map_err(Trouble::other)?.is_some())
}

fn noted(agreement: &str) -> String {
    format!("revoked/{agreement}")
}

fn header(value: &str, max_age: u32) -> String {
    format!("{NAME}={value}; Path=/; Max-Age={max_age}; HttpOnly; Secure; SameSite=Lax")
}

fn random<const N: usize>() -> Result<[u8; N], Trouble> {
    let mut bytes = [0; N];
    let crypto = web_crypto().map_err(Trouble::other)?;
    crypto.get_random_values_with_u8_array(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn how(iv: &[u8]) -> AesGcmParams {
    let how = AesGcmParams::new("AES-GCM", &Uint8Array::from(iv));
    how.set_additional_data(&Uint8Array::from(WHAT));
    how
}

async fn imported(secret: [u8; 32]) -> Result<CryptoKey, Trouble> {
    let uses = Array::of2(&"encrypt".into(), &"decrypt".into());
    let key = subtle()?.import_key_with_str("raw", &Uint8Array::from(&secret[..]), "AES-GCM", false, &uses);
    Ok(JsFuture::from(key.map_err(failed)?).await.map_err(failed)?.unchecked_into())
}

async fn finished(work: Result<Promise, JsValue>) -> Result<Vec<u8>, Trouble> {
    Ok(Uint8Array::new(&JsFuture::from(work.map_err(failed)?).await.map_err(failed)?).to_vec())
}

fn subtle() -> Result<SubtleCrypto, Trouble> {
    Ok(web_crypto().map_err(Trouble::other)?.subtle())
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn failed(error: JsValue) -> Trouble {
    Trouble::other(said(&error))
}
