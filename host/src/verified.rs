//! Files that were checked, as types: what is loaded is one of these, so nothing can be loaded unchecked.

use crate::trust::{Trust, TrustError, sha256};
use std::{fmt, ops::Deref, sync::Arc};
use tradewind_core::{
    Digest, Task,
    pack::{PackView, SectionKind},
    snapshot::Snapshot,
};
use tradewind_json::hex;

/// A file whose digests and signature were checked against a [`Trust`], and what was read of it.
///
/// There is no other way to make one than [`Verified::pack`], [`Verified::snapshot`] and [`Verified::module`]. A
/// file that nobody signed passes only with [`Trust::unsigned`]. Clones share the bytes.
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

/// What is known of a pack without running it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pack {
    /// The name that requests use.
    pub name: String,
    /// The version of the model.
    pub version: String,
    /// The digest that names the pack in receipts.
    pub root: Digest,
    /// What the model is for.
    pub task: Task,
}

/// What is known of a module without compiling it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Module {
    /// Its detached signature, where it was given one.
    pub signature: Option<String>,
}

impl<T> Verified<T> {
    fn new(bytes: Vec<u8>, contents: T) -> Self {
        let digest = sha256(&bytes);
        Self { file: Arc::new(File { bytes, digest, contents }) }
    }

    /// The file.
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
    /// As [`Trust::verify`]; [`TrustError::Kind`] for a snapshot; [`TrustError::Contents`] when the pack does not say
    /// what it is for.
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

    /// The pack's sections.
    ///
    /// # Errors
    /// None in practice: the same bytes were read when the pack was verified.
    pub fn view(&self) -> tradewind_core::Result<PackView<'_>> {
        PackView::parse(self.bytes())
    }
}

impl Verified<Snapshot> {
    /// Checks a snapshot's structure, digests and signature, and reads it.
    ///
    /// # Errors
    /// As [`Trust::verify`]; [`TrustError::Kind`] for a pack; [`TrustError::Contents`] when a section does not decode
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
    /// As [`Trust::verify_module`].
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
        // Files are megabytes.
        let (digest, len) = (hex(&self.digest()), self.bytes().len());
        f.debug_struct("Verified").field("digest", &digest).field("len", &len).finish_non_exhaustive()
    }
}
