//! A pack or a snapshot on its way into the module: JavaScript has the cryptography, and answers later.

use crate::js::{untrusted, unverified};
use js_sys::{Array, Uint8Array};
use tradewind_core::{
    Task,
    pack::{PackView, SectionKind},
};
use wasm_bindgen::prelude::*;

/// A pack or a snapshot. It is loaded only after it was [`verify`](Pack::verify)-ed.
#[wasm_bindgen]
pub struct Pack {
    pub(crate) bytes: Vec<u8>,
    pub(crate) verified: bool,
}

#[wasm_bindgen]
impl Pack {
    /// A file as it was fetched.
    #[wasm_bindgen(constructor)]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, verified: false }
    }

    /// What WebCrypto is to compute: public key, signature and what is signed (all empty in an unsigned file), and
    /// then every part whose SHA-256 is wanted.
    ///
    /// # Errors
    /// An `Error` with a `code` for what is no pack of this ABI.
    pub fn parts(&self) -> Result<Array, JsValue> {
        let view = self.view()?;
        let signature = view.signature();
        let (key, signature) = signature
            .map_or((Vec::new(), Vec::new()), |signature| (signature.key.to_vec(), signature.signature.to_vec()));
        let parts = Array::of3(&bytes(&key), &bytes(&signature), &bytes(view.signed()));
        view.digested().for_each(|part| {
            parts.push(&bytes(part));
        });
        Ok(parts)
    }

    /// Takes what was computed: the digests, one after another, and whether the signature holds. `keys` are the
    /// public keys that may have signed, 32 bytes each.
    ///
    /// # Errors
    /// An `Error` with a `code` unless all is as it must be.
    pub fn verify(&mut self, digests: &[u8], signed: bool, keys: &[u8]) -> Result<(), JsValue> {
        let view = self.view()?;
        let digests = digests.as_chunks().0;
        let digest = |part: &[u8]| {
            let found = view.digested().zip(digests).find(|(other, _)| other.as_ptr_range() == part.as_ptr_range());
            found.map_or([0; 32], |(_, digest)| *digest)
        };
        view.verify(Some(keys.as_chunks().0), digest, |_, _, _| signed).map_err(untrusted)?;
        self.verified = true;
        Ok(())
    }

    /// What it is: name, version, what names it (its root), whether it is a pack that ranks, and what it knows of
    /// products; then its words, in JSON. What it knows is of a snapshot what everyone may know, postcard of
    /// `tradewind_core::snapshot::Storefront`, and of a ranking pack its tables, which begin with the SKUs.
    ///
    /// One function, since each takes room in the page.
    ///
    /// # Errors
    /// As [`parts`](Self::parts).
    pub fn about(&self) -> Result<Array, JsValue> {
        let view = self.view()?;
        let manifest = view.manifest();
        let products = view.bytes(SectionKind::Storefront).or_else(|| view.bytes(SectionKind::Tables));
        let products = products.unwrap_or_default();
        let (name, version) = (manifest.name.as_str().into(), manifest.version.as_str().into());
        let about = Array::of5(&name, &version, &bytes(&view.root()), &Task::ranks(&view).into(), &bytes(products));
        about.push(&bytes(view.bytes(SectionKind::Words).unwrap_or_default()));
        Ok(about)
    }
}

impl Pack {
    pub(crate) fn view(&self) -> Result<PackView<'_>, JsValue> {
        PackView::parse(&self.bytes).map_err(untrusted)
    }

    /// Its bytes, if they may be loaded.
    pub(crate) fn checked(self) -> Result<Vec<u8>, JsValue> {
        if self.verified { Ok(self.bytes) } else { Err(unverified()) }
    }
}

fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}
