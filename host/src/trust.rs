//! Digests, signatures, and the keys that are trusted.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};
use tradewind_core::pack::{Digest, PackView, Signature};

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
    /// The system gave no random numbers.
    #[error("no random numbers from the system: {0}")]
    Random(getrandom::Error),
}

const PUBLIC: &str = "ed25519-public";
const SECRET: &str = "ed25519-secret";

impl Trust {
    /// Trusts the public keys in these files.
    ///
    /// # Errors
    /// When a file cannot be read or holds no key.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, TrustError> {
        let keys = paths.iter().map(|path| read_key(path.as_ref(), PUBLIC)).collect::<Result<_, _>>()?;
        Ok(Self { keys: Some(keys) })
    }

    /// Loads unsigned packs too. Their digests are checked all the same.
    pub const fn unsigned() -> Self {
        Self { keys: None }
    }

    /// Checks a pack's structure, digests and signature.
    ///
    /// # Errors
    /// A [`tradewind_core::Error`] whose kind tells what is wrong.
    pub fn verify<'a>(&self, pack: &'a [u8]) -> Result<PackView<'a>, TrustError> {
        let view = PackView::parse(pack)?;
        view.verify(self.keys.as_deref(), sha256, |key, message, signature| {
            let signature = ed25519_dalek::Signature::from_bytes(signature);
            VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
        })?;
        Ok(view)
    }
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
}

/// The bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn read_key(path: &Path, kind: &'static str) -> Result<[u8; 32], TrustError> {
    let text = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
    let key = text.trim().strip_prefix(kind).map(str::trim).and_then(|digits| {
        let mut key = [0; 32];
        if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (n, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).ok()?;
        }
        Some(key)
    });
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
