//! Digests and signatures with WebCrypto, which is asynchronous.

use crate::instance::said;
use js_sys::{Array, Reflect, Uint8Array};
use std::fmt;
use tradewind_core::{
    Digest,
    pack::{HEADER_LEN, PackView, Signature},
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Crypto, CryptoKey, SubtleCrypto};

/// Reason why a pack or a snapshot is not trusted.
#[derive(Debug)]
#[non_exhaustive]
pub enum VerifyError {
    /// It failed its checks.
    Pack(tradewind_core::Error),
    /// WebCrypto is unavailable (pages have it only over HTTPS and on loopback), or has no Ed25519.
    Crypto(String),
}

/// Checks every digest of a pack or a snapshot, and that it is signed by one of `trusted`.
///
/// # Errors
/// As for [`PackView::parse`] and [`PackView::verify`]; [`VerifyError::Crypto`] if the engine cannot check.
pub async fn verify<'a>(bytes: &'a [u8], trusted: &[[u8; 32]]) -> Result<PackView<'a>, VerifyError> {
    let view = PackView::parse(bytes).map_err(VerifyError::Pack)?;
    let mut digests = Vec::new();
    for part in view.digested() {
        digests.push((part.as_ptr_range(), sha256(part).await?));
    }
    let signed = match view.signature() {
        None => false,
        Some(signature) => is_signed(&bytes[..HEADER_LEN], &signature).await?,
    };
    // Digests computed before are looked up by address.
    let digest = |part: &[u8]| {
        let found = digests.iter().find(|(place, _)| *place == part.as_ptr_range());
        found.map_or([0; 32], |(_, digest)| *digest)
    };
    view.verify(Some(trusted), digest, |_, _, _| signed).map_err(VerifyError::Pack)?;
    Ok(view)
}

/// SHA-256.
///
/// # Errors
/// [`VerifyError::Crypto`].
pub async fn sha256(bytes: &[u8]) -> Result<Digest, VerifyError> {
    let promise = subtle()?.digest_with_str_and_js_u8_array("SHA-256", &Uint8Array::from(bytes)).map_err(crypto)?;
    let digest = JsFuture::from(promise).await.map_err(crypto)?;
    let mut bytes = [0; 32];
    Uint8Array::new(&digest).copy_to(&mut bytes);
    Ok(bytes)
}

async fn is_signed(header: &[u8], signature: &Signature) -> Result<bool, VerifyError> {
    let subtle = subtle()?;
    let key = subtle
        .import_key_with_str(
            "raw",
            &Uint8Array::from(&signature.key[..]),
            "Ed25519",
            false,
            &Array::of1(&"verify".into()),
        )
        .map_err(crypto)?;
    // Without Ed25519 the engine cannot check signatures; with an invalid key the signature is invalid.
    let key: CryptoKey = match JsFuture::from(key).await {
        Ok(key) => key.unchecked_into(),
        Err(error) if Reflect::get(&error, &"name".into()).is_ok_and(|name| name == "DataError") => return Ok(false),
        Err(error) => return Err(crypto(error)),
    };
    let (signature, header) = (Uint8Array::from(&signature.signature[..]), Uint8Array::from(header));
    let verified =
        subtle.verify_with_str_and_js_u8_array_and_js_u8_array("Ed25519", &key, &signature, &header).map_err(crypto)?;
    Ok(JsFuture::from(verified).await.map_err(crypto)?.is_truthy())
}

/// WebCrypto of the engine.
///
/// # Errors
/// [`VerifyError::Crypto`].
pub fn web_crypto() -> Result<Crypto, VerifyError> {
    let found = Reflect::get(&js_sys::global(), &"crypto".into()).ok().filter(JsValue::is_object);
    // A page without HTTPS has an empty `crypto`.
    found
        .map(JsCast::unchecked_into)
        .filter(|crypto: &Crypto| crypto.subtle().is_object())
        .ok_or_else(|| VerifyError::Crypto("`crypto.subtle` is missing: serve the page over HTTPS".into()))
}

fn subtle() -> Result<SubtleCrypto, VerifyError> {
    Ok(web_crypto()?.subtle())
}

fn crypto(error: JsValue) -> VerifyError {
    VerifyError::Crypto(said(&error))
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pack(error) => error.fmt(f),
            Self::Crypto(what) => write!(f, "signatures cannot be checked here: {what}"),
        }
    }
}

impl std::error::Error for VerifyError {}
