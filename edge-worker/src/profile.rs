//! The profile of a shopper who wants the edge to know it: in a cookie that only the edge can read.
//!
//! A cookie needs no storage, no name for the shopper and no way to a place where the storage is; to erase it is to
//! forget it. It holds AES-GCM of the profile under the secret `PROFILE_KEY`, and with it when the shopper agreed, when
//! it was written, and a random number for the agreement. To take an agreement back is to note that number in KV, until
//! every cookie that could have it is too old: so a copy of the cookie is worth nothing either.

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
/// The most bytes of the cookie, name and value.
const MAX_COOKIE: usize = 2_500;
/// For how many seconds a profile is kept after the last visit with an event: half a year.
const MAX_AGE: u32 = 15_552_000;
/// For how many seconds KV may answer from what it read before, which is the least it allows.
const KV_AGE: u64 = 60;
/// What is encrypted is this, in this version; anything else does not open.
const WHAT: &[u8] = b"tradewind profile 2";
const IV: usize = 12;
const TAG: usize = 16;
/// The agreement's number, when it was made, and when this was written.
const HEAD: usize = 8 + 8 + 8;
/// The most bytes of a profile.
const MOST: usize = (MAX_COOKIE - NAME.len() - 1) / 4 * 3 - IV - TAG - HEAD;
/// Agreements that are remembered as taken back by an isolate.
const MAX_REVOKED: u32 = 10_000;

// In JavaScript, so that it outlives an instance that traps.
#[wasm_bindgen(inline_js = "export const revoked = new Set();")]
extern "C" {
    /// Agreements that were taken back in this isolate, which KV may not say yet.
    #[wasm_bindgen(thread_local_v2, js_name = revoked)]
    static REVOKED: Set;
}

/// A profile that a request brings.
pub struct Known {
    /// The number of the agreement, in hexadecimal digits.
    agreement: String,
    /// When the shopper agreed, in milliseconds since 1970.
    agreed: f64,
    /// The profile, in postcard.
    bytes: Vec<u8>,
}

impl Known {
    /// The profile, if it is one of this version.
    pub fn profile(&self) -> Option<Profile> {
        postcard::from_bytes(&self.bytes).ok()
    }
}

/// The bytes of the profile that a request brings, for its page; nothing where it brings none.
#[wasm_bindgen(js_name = profileOf)]
pub fn profile_of(request: web_sys::Request, env: Env) -> Work {
    Work::new(async move {
        let known = read(&request.into(), &env).await;
        Ok(known.map_or(JsValue::UNDEFINED, |known| Uint8Array::from(&known.bytes[..]).into()))
    })
}

/// Whether the browser says that its user's data may not be kept or sold (Global Privacy Control).
pub fn is_refused(request: &Request) -> bool {
    request.headers().get("sec-gpc").ok().flatten().is_some_and(|gpc| gpc.trim() == "1")
}

/// The profile that a request brings, if it is one that the edge has written, and its agreement holds.
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
        worker::console_error!("tradewind: a profile cannot be read: {}", trouble.message());
        None
    })
}

/// The header that has a browser keep a profile, of which as much is taken as fits, under the agreement that it was
/// read with or a new one.
///
/// # Errors
/// Without the secret.
pub async fn keep(profile: Profile, at: Millis, known: Option<&Known>, env: &Env) -> Result<String, Trouble> {
    let now = Date::now();
    let agreement = match known {
        Some(known) => known.agreement.clone(),
        None => tradewind_json::hex(&random::<8>()?),
    };
    let agreed = known.map_or(now, |known| known.agreed);
    let number: [u8; 8] = unhex(&agreement).ok_or_else(|| Trouble::other("an agreement without a number"))?;
    let plain = [&number[..], &agreed.to_be_bytes(), &now.to_be_bytes(), &shortened(profile, at)?].concat();
    let iv = random::<IV>()?;
    let key = imported(secret(env)?).await?;
    let sealed =
        finished(subtle()?.encrypt_with_object_and_js_u8_array(&how(&iv), &key, &Uint8Array::from(&plain[..])));
    let sealed = [&iv[..], &sealed.await?].concat();
    Ok(header(&BASE64_URL_SAFE_NO_PAD.encode(sealed), MAX_AGE))
}

/// The header that has a browser forget.
pub fn forget() -> String {
    header("", 0)
}

/// Takes back the agreement of the cookie that a request brings, wherever there is a copy of it.
///
/// # Errors
/// Where KV does not take the note.
pub async fn revoke(request: &Request, env: &Env) -> Result<(), Trouble> {
    let Ok(Some(known)) = open(request, env).await else { return Ok(()) };
    REVOKED.with(|revoked| {
        if revoked.size() >= MAX_REVOKED {
            revoked.clear();
        }
        revoked.add(&known.agreement.as_str().into());
    });
    // A cookie that is written at this very moment may be a little younger.
    let note = env.kv("CONFIG").map_err(Trouble::other)?.put(&noted(&known.agreement), "").map_err(Trouble::other)?;
    note.expiration_ttl(u64::from(MAX_AGE) + 86_400).execute().await.map_err(Trouble::other)
}

/// The secret that profiles are written with.
///
/// # Errors
/// What is wrong with it.
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

/// A secret's text; empty where there is none.
fn said_by(env: &Env, name: &str) -> String {
    env.secret(name).map(|secret| secret.to_string()).unwrap_or_default()
}

/// The bytes of a profile; of a longer one than fits, the products that say most are kept.
fn shortened(mut profile: Profile, at: Millis) -> Result<Vec<u8>, Trouble> {
    loop {
        let bytes = postcard::to_allocvec(&profile).map_err(Trouble::other)?;
        match profile.items().len() {
            items if bytes.len() > MOST && items > 0 => profile.keep(items - 1, at),
            _ => return Ok(bytes),
        }
    }
}

/// What a cookie says, if it opens and is not too old.
async fn open(request: &Request, env: &Env) -> Result<Option<Known>, Trouble> {
    let Some(value) = cookie(request, NAME).filter(|value| value.len() <= MAX_COOKIE) else { return Ok(None) };
    let Ok(sealed) = BASE64_URL_SAFE_NO_PAD.decode(value) else { return Ok(None) };
    let Some((iv, sealed)) = sealed.split_at_checked(IV) else { return Ok(None) };
    let mut secrets = vec![secret(env)?];
    // The key before the present one goes on opening, so that another key forgets nobody.
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
