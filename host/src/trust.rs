//! Digests, signatures of packs and modules, and the keys that are trusted.

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

/// The keys whose packs are loaded.
#[derive(Debug, Clone)]
pub struct Trust {
    /// `None`: unsigned packs are loaded too, because someone asked for that by name.
    keys: Option<Vec<[u8; 32]>>,
}

/// A key to sign packs with.
pub struct KeyPair(SigningKey);

/// Why a key or a pack cannot be trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The pack did not pass.
    #[error(transparent)]
    Pack(#[from] tradewind_core::Error),
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds no key.
    #[error("`{path}` holds no {kind} key: it needs one line, `{kind} ` and 64 hexadecimal digits")]
    Key {
        /// The file.
        path: String,
        /// `ed25519-public` or `ed25519-secret`.
        kind: &'static str,
    },
    /// The file is trusted, and of another kind.
    #[error("it is {found}, not {expected}")]
    Kind {
        /// What it is.
        found: &'static str,
        /// What was asked for.
        expected: &'static str,
    },
    /// The file is trusted, and what is in it cannot be read.
    #[error(transparent)]
    Contents(tradewind_core::Error),
    /// A module is not signed by a key that is trusted.
    #[error("the module {0}; sign it with `tradewind sign` and a key that is trusted here")]
    Module(&'static str),
    /// What should be a signature is none.
    #[error("this is no signature: it needs one line, `{SIGNATURE} `, 64 and 128 hexadecimal digits")]
    Signature,
    /// The system gave no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
}

const PUBLIC: &str = "ed25519-public";
const SECRET: &str = "ed25519-secret";
const SIGNATURE: &str = "ed25519-signature";
/// What goes before a module's digest where it is signed, so that its signature cannot be that of a pack.
const MODULE: &[u8] = b"tradewind module\0";

impl Trust {
    /// Trusts the public keys in these files.
    ///
    /// # Errors
    /// When a file cannot be read or holds no key.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, TrustError> {
        let keys = paths.iter().map(|path| read_key(path.as_ref(), PUBLIC)).collect::<Result<_, _>>()?;
        Ok(Self { keys: Some(keys) })
    }

    /// Accepts files that nobody signed: the one way to load them. Digests are checked all the same, and so is a
    /// signature that is there, but by whom it is does not matter.
    ///
    /// For files that this process made itself, and for trying something out; a service that takes files from elsewhere
    /// names its keys with [`Trust::read`].
    pub const fn unsigned() -> Self {
        Self { keys: None }
    }

    /// Checks the structure, digests and signature of a pack or a snapshot, for reading it. To load it, make a
    /// [`Verified`](crate::Verified) of it.
    ///
    /// # Errors
    /// [`TrustError::Pack`], whose kind tells what is wrong.
    pub fn verify<'a>(&self, pack: &'a [u8]) -> Result<PackView<'a>, TrustError> {
        let view = PackView::parse(pack)?;
        view.verify(self.keys.as_deref(), sha256, is_signed)?;
        Ok(view)
    }

    /// Checks a module's detached signature, the text of [`KeyPair::sign_module`], and returns the module's digest.
    ///
    /// # Errors
    /// [`TrustError::Module`] when there is none, or not of these bytes by a key that is trusted;
    /// [`TrustError::Signature`] when the text is none.
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
            return Err(TrustError::Module("is not what was signed"));
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
    /// A new key from the system's random numbers.
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
    /// When the file cannot be read or holds no key.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TrustError> {
        Ok(Self(SigningKey::from_bytes(&read_key(path.as_ref(), SECRET)?)))
    }

    /// Writes `NAME.key`, readable by its owner only, and `NAME.pub`. Neither may exist.
    ///
    /// # Errors
    /// [`TrustError::File`].
    pub fn write(&self, name: &Path) -> Result<(), TrustError> {
        let (secret, public) = (with_suffix(name, ".key"), with_suffix(name, ".pub"));
        // The public key first: a secret key is not left behind without it.
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

    /// Signs a module: one line of text, which goes beside it (`tradewind.wasm.sig`).
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

fn file_error(path: &Path, source: std::io::Error) -> TrustError {
    TrustError::File { path: path.display().to_string(), source }
}
