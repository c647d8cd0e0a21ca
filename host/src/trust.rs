//! Digests, signatures of packs and modules, and trusted keys.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tradewind_core::{
    Digest,
    pack::{PackView, Signature},
};
use tradewind_json::{hex, unhex};

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// Keys whose packs are loaded.
#[derive(Debug, Clone)]
pub struct Trust {
    /// `None`: unsigned packs are loaded too, on explicit request.
    keys: Option<Vec<[u8; 32]>>,
}

/// Key pair for signing packs.
pub struct KeyPair(SigningKey);

/// Reason why a key or a pack is not trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The pack failed its checks.
    #[error(transparent)]
    Pack(#[from] tradewind_core::Error),
    /// A file cannot be read or written.
    #[error("`{path}`: {error}")]
    File {
        /// Path of the file.
        path: String,
        /// Error of the system.
        error: std::io::Error,
    },
    /// A file contains no key.
    #[error("`{path}` contains no {kind} key (expected one line, `{kind} ` and 64 hexadecimal digits)")]
    Key {
        /// Path of the file.
        path: String,
        /// `ed25519-public` or `ed25519-secret`.
        kind: &'static str,
    },
    /// The file is trusted, but has another kind.
    #[error("it is {found}, not {expected}")]
    Kind {
        /// Kind of the file.
        found: &'static str,
        /// Expected kind.
        expected: &'static str,
    },
    /// The file is trusted, but its contents cannot be read.
    #[error(transparent)]
    Contents(tradewind_core::Error),
    /// A module is not signed by a trusted key.
    #[error("the module {0}; sign it with `tradewind sign` and a trusted key")]
    Module(&'static str),
    /// The text is not a signature.
    #[error("invalid signature (expected one line, `{SIGNATURE} `, 64 and 128 hexadecimal digits)")]
    Signature,
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    Random(getrandom::Error),
}

const PUBLIC: &str = "ed25519-public";
const SECRET: &str = "ed25519-secret";
const SIGNATURE: &str = "ed25519-signature";
/// Prefix of a module's digest in its signature, so that it cannot be the signature of a pack.
const MODULE: &[u8] = b"tradewind module\0";

impl Trust {
    /// Trusts the public keys in these files.
    ///
    /// # Errors
    /// If a file cannot be read or contains no key.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, TrustError> {
        let keys = paths.iter().map(|path| read_key(path.as_ref(), PUBLIC)).collect::<Result<_, _>>()?;
        Ok(Self { keys: Some(keys) })
    }

    /// Trusts these public keys.
    pub fn keys(keys: impl IntoIterator<Item = [u8; 32]>) -> Self {
        Self { keys: Some(keys.into_iter().collect()) }
    }

    /// Accepts unsigned files: the only way to load them. Digests are still checked, and so is an existing signature,
    /// but by any key.
    ///
    /// For files that this process has just made, and for experiments; a service that accepts files from elsewhere
    /// names its keys with [`Trust::read`].
    pub const fn unsigned() -> Self {
        Self { keys: None }
    }

    /// Checks the structure, digests and signature of a pack or a snapshot, for reading. To load it, make a
    /// [`Verified`](crate::Verified).
    ///
    /// # Errors
    /// [`TrustError::Pack`], with the fault as its kind.
    pub fn verify<'a>(&self, pack: &'a [u8]) -> Result<PackView<'a>, TrustError> {
        let view = PackView::parse(pack)?;
        view.verify(self.keys.as_deref(), sha256, is_signed)?;
        Ok(view)
    }

    /// Checks a module's detached signature, the text of [`KeyPair::sign_module`], and returns the module's digest.
    ///
    /// # Errors
    /// [`TrustError::Module`] if the signature is missing, or not of these bytes by a trusted key;
    /// [`TrustError::Signature`] if the text is invalid.
    pub fn verify_module(&self, wasm: &[u8], signature: Option<&str>) -> Result<Digest, TrustError> {
        let digest = sha256(wasm);
        let Some(keys) = &self.keys else { return Ok(digest) };
        let text = signature.ok_or(TrustError::Module("is not signed"))?;
        let mut parts = text.split_whitespace();
        let (Some(SIGNATURE), Some(key), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TrustError::Signature);
        };
        let key: [u8; 32] = unhex(key).ok_or(TrustError::Signature)?;
        let signature: [u8; 64] = unhex(signature).ok_or(TrustError::Signature)?;
        if !keys.contains(&key) {
            return Err(TrustError::Module("is signed by a key that is not trusted"));
        }
        if !is_signed(&key, &module_message(&digest), &signature) {
            return Err(TrustError::Module("differs from the signed one"));
        }
        Ok(digest)
    }
}

fn is_signed(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
}

fn module_message(digest: &Digest) -> Vec<u8> {
    [MODULE, digest].concat()
}

impl KeyPair {
    /// Generates a key from the system's random numbers.
    ///
    /// # Errors
    /// [`TrustError::Random`].
    pub fn generate() -> Result<Self, TrustError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(TrustError::Random)?;
        Ok(Self(SigningKey::from_bytes(&secret)))
    }

    /// Reads a secret key.
    ///
    /// # Errors
    /// If the file cannot be read or contains no key.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        Ok(Self(SigningKey::from_bytes(&read_key(path.as_ref(), SECRET)?)))
    }

    /// Writes `NAME.key`, readable by its owner only, and `NAME.pub`. Neither may exist.
    ///
    /// # Errors
    /// [`TrustError::File`].
    pub fn write(&self, name: &Path) -> Result<(), TrustError> {
        let (secret, public) = (with_suffix(name, ".key"), with_suffix(name, ".pub"));
        // The public key first, so that no secret key is left without it.
        write_key(&public, PUBLIC, &self.public(), 0o644)?;
        write_key(&secret, SECRET, &self.0.to_bytes(), 0o600)
    }

    /// The public key.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a pack's header.
    pub fn sign(&self, header: &[u8]) -> Signature {
        Signature { key: self.public(), signature: self.0.sign(header).to_bytes() }
    }

    /// Signs a module: returns one line of text, stored beside it (`tradewind.wasm.sig`).
    pub fn sign_module(&self, wasm: &[u8]) -> String {
        let signature = self.0.sign(&module_message(&sha256(wasm)));
        format!("{SIGNATURE} {} {}", hex(&self.public()), hex(&signature.to_bytes()))
    }
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn read_key(path: &Path, kind: &'static str) -> Result<[u8; 32], TrustError> {
    let text = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
    let key = text.trim().strip_prefix(kind).map(str::trim).and_then(unhex);
    key.ok_or_else(|| TrustError::Key { path: path.display().to_string(), kind })
}

fn write_key(path: &Path, kind: &str, key: &[u8; 32], mode: u32) -> Result<(), TrustError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let mut file = options.open(path).map_err(|source| file_error(path, source))?;
    writeln!(file, "{kind} {}", hex(key)).map_err(|source| file_error(path, source))
}

fn file_error(path: &Path, error: std::io::Error) -> TrustError {
    TrustError::File { path: path.display().to_string(), error }
}
