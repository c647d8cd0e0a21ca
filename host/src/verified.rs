//! Checked files as types: only these can be loaded, so nothing is loaded unchecked.

use crate::trust::{Trust, TrustError, sha256};
use std::{fmt, ops::Deref, sync::Arc};
use tradewind_core::{
    Digest, Task,
    pack::{PackView, SectionKind},
    snapshot::Snapshot,
};
use tradewind_json::hex;

/// File whose digests and signature were checked against a [`Trust`], with its decoded contents.
///
/// It can be made only with [`Verified::pack`], [`Verified::snapshot`] and [`Verified::module`]. An unsigned file
/// passes only with [`Trust::unsigned`]. Clones share the bytes.
///
/// ```
/// use tradewind_host::{Trust, TrustError, Verified};
///
/// let refused = Verified::pack(b"not a pack".as_slice(), &Trust::unsigned());
/// assert!(matches!(refused, Err(TrustError::Pack(_))));
/// ```
///
/// Bytes are not a verified file:
///
/// ```compile_fail
/// # use tradewind_host::{Pack, Verified};
/// let pack: Verified<Pack> = std::fs::read("late.pack").unwrap().into();
/// ```
pub struct Verified<T> {
    file: Arc<File<T>>,
}

struct File<T> {
    bytes: Vec<u8>,
    digest: Digest,
    contents: T,
}

/// Facts about a pack without running it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pack {
    /// Name used in requests.
    pub name: String,
    /// Version of the model.
    pub version: String,
    /// Digest that identifies the pack in receipts.
    pub root: Digest,
    /// Task of the model.
    pub task: Task,
}

/// Facts about a module without compiling it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Module {
    /// Detached signature, if given.
    pub signature: Option<String>,
}

impl<T> Verified<T> {
    fn new(bytes: Vec<u8>, contents: T) -> Self {
        let digest = sha256(&bytes);
        Self { file: Arc::new(File { bytes, digest, contents }) }
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> &[u8] {
        &self.file.bytes
    }

    /// SHA-256 of the file.
    pub fn digest(&self) -> Digest {
        self.file.digest
    }
}

impl Verified<Pack> {
    /// Checks a pack's structure, digests and signature.
    ///
    /// # Errors
    /// As for [`Trust::verify`]; [`TrustError::Kind`] for a snapshot; [`TrustError::Contents`] if the pack has no task.
    pub fn pack(bytes: impl Into<Vec<u8>>, trust: &Trust) -> Result<Self, TrustError> {
        let bytes = bytes.into();
        let view = trust.verify(&bytes)?;
        if view.section(SectionKind::Storefront).is_some() {
            return Err(TrustError::Kind { found: "a snapshot", expected: "a pack" });
        }
        let task = view.read(SectionKind::Task).map_err(TrustError::Contents)?;
        let manifest = view.manifest();
        let pack = Pack { name: manifest.name.clone(), version: manifest.version.clone(), root: view.root(), task };
        Ok(Self::new(bytes, pack))
    }

    /// Sections of the pack.
    ///
    /// # Errors
    /// None in practice: the same bytes were read during verification.
    pub fn view(&self) -> tradewind_core::Result<PackView<'_>> {
        PackView::parse(self.bytes())
    }
}

impl Verified<Snapshot> {
    /// Checks a snapshot's structure, digests and signature, and decodes it.
    ///
    /// # Errors
    /// As for [`Trust::verify`]; [`TrustError::Kind`] for a pack; [`TrustError::Contents`] if a section does not decode
    /// or contradicts another.
    pub fn snapshot(bytes: impl Into<Vec<u8>>, trust: &Trust) -> Result<Self, TrustError> {
        let bytes = bytes.into();
        let view = trust.verify(&bytes)?;
        if view.section(SectionKind::Storefront).is_none() {
            return Err(TrustError::Kind { found: "a pack", expected: "a snapshot" });
        }
        let snapshot = Snapshot::read(&bytes).map_err(TrustError::Contents)?;
        Ok(Self::new(bytes, snapshot))
    }
}

impl Verified<Module> {
    /// Checks a module's detached signature, the text of [`KeyPair::sign_module`](crate::KeyPair::sign_module).
    ///
    /// # Errors
    /// As for [`Trust::verify_module`].
    pub fn module(wasm: impl Into<Vec<u8>>, signature: Option<String>, trust: &Trust) -> Result<Self, TrustError> {
        let wasm = wasm.into();
        trust.verify_module(&wasm, signature.as_deref())?;
        Ok(Self::new(wasm, Module { signature }))
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.file.contents
    }
}

impl<T> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self { file: Arc::clone(&self.file) }
    }
}

impl<T> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Files are megabytes, so only digest and length are shown.
        let (digest, len) = (hex(&self.digest()), self.bytes().len());
        f.debug_struct("Verified").field("digest", &digest).field("len", &len).finish_non_exhaustive()
    }
}
