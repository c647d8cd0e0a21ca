//! Packs: a compiled model with everything that its decisions need, as one signed file.
//!
//! ```text
//! 0    "TWPK"                          magic
//! 4    u16   format version            FORMAT
//! 6    u16   ABI version               ABI_VERSION
//! 8    u32   length without signature  a multiple of 16
//! 12   u32   length of the manifest
//! 16   16 zero bytes
//! 32   SHA-256 of the manifest         root: identifies the pack
//! 64   manifest                        postcard; holds the SHA-256 of each section
//!      sections                        each at a multiple of 16, zeros between
//!      public key (32) signature (64)  ed25519 over the first 64 bytes; absent when unsigned
//! ```
//!
//! All numbers are little-endian. The signature covers the header, the header's root covers the manifest, and the
//! manifest covers the sections, so one signature covers every byte, and a shell can check one section without the
//! others.
//!
//! A file can be [`cut`] after one of its sections, if its maker signs the result: its header has a smaller length and
//! the same root. [Snapshots](crate::snapshot) are published in this way.
//!
//! [`PackView::parse`] checks the structure. It computes no digests, because the module trusts the shell that loads it;
//! shells call [`PackView::verify`] first.

mod card;
mod write;

pub use card::{DataSource, Metric, ModelCard};
pub use write::{PackWriter, cut, sign};

use crate::{
    ABI_VERSION,
    aligned::{ALIGNMENT, AlignedBytes, headroom},
    bounded,
    columns::{ColumnReader, ColumnWriter, Columns},
    domain::digest::{self, Digest},
    error::{Error, ErrorKind, Result},
    tensor::Tensor,
};
use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::{fmt, ops::Range};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Format version that this build reads and writes.
pub const FORMAT: u16 = 5;

/// Length of the header, which is the signed part, in bytes.
pub const HEADER_LEN: usize = 64;

/// Length of the signature block, in bytes.
pub const SIGNATURE_LEN: usize = 96;

/// Maximum length of a pack, in bytes.
pub const MAX_PACK_LEN: usize = 512 << 20;

/// First bytes of every pack.
pub const MAGIC: [u8; 4] = *b"TWPK";

/// Contents of a pack: name, version and sections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the pack in requests.
    pub name: String,
    /// Version of the model, in its maker's scheme.
    pub version: String,
    /// Sections, in order.
    #[serde(deserialize_with = "bounded::list::<64, _, _>")]
    pub sections: Vec<Section>,
}

/// Part of a pack with its own digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Kind of its content.
    pub kind: SectionKind,
    /// Offset in the pack, in bytes; a multiple of 16.
    pub offset: u32,
    /// Length, in bytes.
    pub len: u32,
    /// SHA-256 of its bytes.
    #[serde(deserialize_with = "digest::read")]
    pub digest: Digest,
}

/// Kind of a section's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SectionKind {
    /// [`Plan`](crate::plan::Plan), postcard.
    Plan,
    /// Constants of the plan: as in memory, or [encoded](crate::plan::Encoding).
    Weights,
    /// [`Task`](crate::Task), postcard.
    Task,
    /// Tables of the task ([`RankTables`](crate::rank::RankTables)), [columns](crate::columns).
    Tables,
    /// [`ModelCard`], postcard.
    Card,
    /// [`Sample`]s, postcard.
    Samples,
    /// [`Storefront`](crate::snapshot::Storefront), [columns](crate::columns). A file that has it is a snapshot.
    Storefront,
    /// [`Pricing`](crate::snapshot::Pricing), [columns](crate::columns).
    Pricing,
    /// [`Fulfilment`](crate::snapshot::Fulfilment), [columns](crate::columns).
    Fulfilment,
    /// [`Forecast`](crate::snapshot::Forecast), [columns](crate::columns).
    Forecast,
    /// Texts for the task's evidence, by language, JSON. The module does not read it.
    Words,
}

/// Recorded inputs, and the outputs of the model's own runtime for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// One tensor for each input.
    pub inputs: Vec<Tensor>,
    /// One tensor for each output.
    pub outputs: Vec<Tensor>,
}

/// Pack whose structure is checked.
#[derive(Debug, Clone)]
pub struct PackView<'a> {
    bytes: &'a [u8],
    root: Digest,
    manifest_range: Range<usize>,
    manifest: Manifest,
    /// Length without the signature, in bytes.
    len: usize,
    signature: Option<Signature>,
}

/// Ed25519 signature, and the key that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Public key.
    pub key: [u8; 32],
    /// Signature of the header.
    pub signature: [u8; 64],
}

impl<'a> PackView<'a> {
    /// Parses the structure of a pack: header, manifest, and ranges of sections.
    ///
    /// # Errors
    /// [`NotAPack`](ErrorKind::NotAPack), [`PackFormat`](ErrorKind::PackFormat),
    /// [`PackAbi`](ErrorKind::PackAbi), [`PackTruncated`](ErrorKind::PackTruncated),
    /// [`TooLarge`](ErrorKind::TooLarge), or [`PackCorrupt`](ErrorKind::PackCorrupt) for
    /// contents that contradict each other.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.get(..4) != Some(&MAGIC) {
            return Err(Error::new(ErrorKind::NotAPack, "not a pack: the file does not begin with `TWPK`"));
        }
        let header = bytes.get(..HEADER_LEN).ok_or_else(|| truncated(bytes.len(), HEADER_LEN))?;
        let format = u16_at(header, 4);
        if format != FORMAT {
            return Err(Error::new(
                ErrorKind::PackFormat,
                format!("the pack has format {format}, this build reads format {FORMAT}; pack the model again"),
            ));
        }
        let abi = u16_at(header, 6);
        if u32::from(abi) != ABI_VERSION {
            return Err(Error::new(
                ErrorKind::PackAbi,
                format!("the pack is for ABI {abi}, this build has ABI {ABI_VERSION}; pack the model again"),
            ));
        }
        let len = u32_at(header, 8) as usize;
        if len > MAX_PACK_LEN {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("the pack has {len} bytes; the limit is {MAX_PACK_LEN}"),
            ));
        }
        if bytes.len() < len {
            return Err(truncated(bytes.len(), len));
        }
        let manifest_range = HEADER_LEN..HEADER_LEN.saturating_add(u32_at(header, 12) as usize);
        if manifest_range.end > len || header[16..32].iter().any(|&byte| byte != 0) {
            return Err(corrupt(&"its header is inconsistent"));
        }
        let signature = match bytes.len() - len {
            0 => None,
            SIGNATURE_LEN => Some(Signature { key: array(&bytes[len..]), signature: array(&bytes[len + 32..]) }),
            extra if extra < SIGNATURE_LEN => return Err(truncated(bytes.len(), len + SIGNATURE_LEN)),
            extra => return Err(corrupt(&format_args!("{} bytes follow its signature", extra - SIGNATURE_LEN))),
        };
        let manifest: Manifest = decode(&bytes[manifest_range.clone()], &"manifest")?;
        let mut end = manifest_range.end;
        let mut cut = false;
        for section in &manifest.sections {
            let start = section.offset as usize;
            cut |= start >= len && section.len > 0;
            if cut {
                if start < len {
                    return Err(corrupt(&"it is cut within its sections"));
                }
                continue;
            }
            if !is_padding(bytes, end..start) {
                return Err(corrupt(&"there is data between its sections"));
            }
            if !start.is_multiple_of(ALIGNMENT) || start.saturating_add(section.len as usize) > len {
                return Err(corrupt(&format_args!("its section {:?} is misplaced", section.kind)));
            }
            end = start + section.len as usize;
        }
        if !is_padding(bytes, end..len) {
            return Err(corrupt(&"there is data after its sections"));
        }
        Ok(Self { bytes, root: array(&header[32..]), manifest_range, manifest, len, signature })
    }

    /// Checks all digests, and that the pack is signed by a key of `trusted`.
    ///
    /// The shell provides the cryptography: `sha256` computes a digest, `verify(key, message, signature)` verifies
    /// ed25519. `trusted` is `None` only if unsigned packs are explicitly allowed.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt), [`PackUnsigned`](ErrorKind::PackUnsigned),
    /// [`PackSignature`](ErrorKind::PackSignature) or [`PackUntrusted`](ErrorKind::PackUntrusted).
    pub fn verify(
        &self,
        trusted: Option<&[[u8; 32]]>,
        sha256: impl Fn(&[u8]) -> Digest,
        verify: impl Fn(&[u8; 32], &[u8], &[u8; 64]) -> bool,
    ) -> Result<()> {
        if let Some(signature) = self.signature
            && !verify(&signature.key, &self.bytes[..HEADER_LEN], &signature.signature)
        {
            return Err(Error::new(ErrorKind::PackSignature, "the pack's signature is invalid: it was altered"));
        }
        if sha256(&self.bytes[self.manifest_range.clone()]) != self.root {
            return Err(corrupt(&"its manifest does not match its digest"));
        }
        for section in &self.manifest.sections {
            if let Some(range) = self.range(section)
                && sha256(&self.bytes[range]) != section.digest
            {
                return Err(corrupt(&format_args!("its section {:?} does not match its digest", section.kind)));
            }
        }
        match (trusted, self.signature) {
            (None, _) => Ok(()),
            (Some(_), None) => {
                Err(Error::new(ErrorKind::PackUnsigned, "the pack is not signed; sign it, or allow unsigned packs"))
            }
            (Some(trusted), Some(signature)) if trusted.contains(&signature.key) => Ok(()),
            (Some(_), Some(_)) => {
                Err(Error::new(ErrorKind::PackUntrusted, "the pack is signed by a key that is not trusted here"))
            }
        }
    }

    /// Signed bytes: the header.
    pub fn signed(&self) -> &'a [u8] {
        &self.bytes[..HEADER_LEN]
    }

    /// Byte ranges that [`verify`](Self::verify) digests, for shells that compute digests in advance.
    pub fn digested(&self) -> impl Iterator<Item = &'a [u8]> {
        let sections = self.manifest.sections.iter().filter_map(|section| self.range(section));
        core::iter::once(self.manifest_range.clone()).chain(sections).map(|range| &self.bytes[range])
    }

    /// Manifest of the pack.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Digest that identifies the pack: that of its manifest, which contains the digests of its sections.
    pub const fn root(&self) -> Digest {
        self.root
    }

    /// Signature, if any; it may be invalid: see [`verify`](Self::verify).
    pub const fn signature(&self) -> Option<Signature> {
        self.signature
    }

    /// Byte range of a section; `None` if the pack has none, or was cut before it.
    pub fn section(&self, kind: SectionKind) -> Option<Range<usize>> {
        self.range(self.manifest.sections.iter().find(|section| section.kind == kind)?)
    }

    /// Bytes of a section; `None` as for [`section`](Self::section).
    pub fn bytes(&self, kind: SectionKind) -> Option<&'a [u8]> {
        self.bytes.get(self.section(kind)?)
    }

    /// Decodes a section.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if the section is missing or does not decode.
    pub fn read<T: DeserializeOwned>(&self, kind: SectionKind) -> Result<T> {
        let range = self.section(kind).ok_or_else(|| corrupt(&format_args!("it has no section {kind:?}")))?;
        decode(&self.bytes[range], &format_args!("section {kind:?}"))
    }

    /// Decodes an optional section.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if it does not decode.
    pub fn read_optional<T: DeserializeOwned>(&self, kind: SectionKind) -> Result<Option<T>> {
        self.section(kind).map(|_| self.read(kind)).transpose()
    }

    /// Reads a section of columns in place; `bytes` must be the bytes that were parsed.
    ///
    /// # Errors
    /// [`PackCorrupt`](ErrorKind::PackCorrupt) if the section is missing, and errors of [`Columns::read`].
    pub fn columns<T: Columns>(&self, kind: SectionKind, bytes: &Arc<AlignedBytes>) -> Result<T> {
        let section = self.section(kind).ok_or_else(|| corrupt(&format_args!("it has no section {kind:?}")))?;
        ColumnReader::read(bytes, section)
    }

    /// Reads a copy of a section of columns, for shells that keep the file elsewhere.
    ///
    /// # Errors
    /// Errors of [`columns`](Self::columns), and [`OutOfMemory`](ErrorKind::OutOfMemory).
    pub fn copied_columns<T: Columns>(&self, kind: SectionKind) -> Result<T> {
        let section = self.bytes(kind).ok_or_else(|| corrupt(&format_args!("it has no section {kind:?}")))?;
        ColumnReader::read(&Arc::new(AlignedBytes::copy_of(section)?), 0..section.len())
    }

    /// Reads an optional section of columns in place.
    ///
    /// # Errors
    /// Errors of [`Columns::read`].
    pub fn optional_columns<T: Columns>(&self, kind: SectionKind, bytes: &Arc<AlignedBytes>) -> Result<Option<T>> {
        self.section(kind).map(|section| ColumnReader::read(bytes, section)).transpose()
    }

    fn range(&self, section: &Section) -> Option<Range<usize>> {
        let start = section.offset as usize;
        let end = start.saturating_add(section.len as usize);
        (end <= self.len).then_some(start..end)
    }
}

/// Whether a range is valid and contains only zeros, fewer than [`ALIGNMENT`].
fn is_padding(bytes: &[u8], range: Range<usize>) -> bool {
    bytes.get(range).is_some_and(|padding| padding.len() < ALIGNMENT && padding.iter().all(|&byte| byte == 0))
}

/// Maximum bytes of memory for each byte of postcard: a SKU of one letter takes two bytes there, and in memory a string
/// with its own allocation in a list that doubles as it grows.
pub(crate) const GROWTH: usize = 24;

/// Reads a column of postcard.
pub(crate) fn read_part<T: DeserializeOwned>(from: &mut ColumnReader<'_>) -> Result<T> {
    let bytes = from.column::<u8>();
    headroom(GROWTH * bytes.len())?;
    decode(&bytes, &"head")
}

/// Writes a column of postcard.
pub(crate) fn write_part<T: Serialize>(to: &mut ColumnWriter, part: &T) -> Result<()> {
    let bytes = postcard::to_allocvec(part)
        .map_err(|error| Error::new(ErrorKind::Malformed, format!("a head does not encode: {error}")))?;
    to.column(&bytes);
    Ok(())
}

fn decode<T: DeserializeOwned>(bytes: &[u8], what: &dyn fmt::Display) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(corrupt(&format_args!("its {what} has {} bytes too many", rest.len()))),
        Err(error) => Err(corrupt(&format_args!("its {what} does not decode: {}", undecoded(&error)))),
    }
}

/// Short reason for a decoding error: postcard's own messages take half a kilobyte of the module.
pub(crate) const fn undecoded(error: &postcard::Error) -> &'static str {
    match error {
        postcard::Error::DeserializeUnexpectedEnd => "it ends too soon",
        postcard::Error::SerdeDeCustom => "a limit is exceeded",
        _ => "its bytes are invalid",
    }
}

#[cold]
fn truncated(found: usize, expected: usize) -> Error {
    Error::new(ErrorKind::PackTruncated, format!("the pack ends after {found} of {expected} bytes; fetch it again"))
}

#[cold]
fn corrupt(what: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::PackCorrupt, format!("the pack is damaged: {what}; fetch it again"))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array(&bytes[at..]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(&bytes[at..]))
}

/// First `N` bytes; zeros if there are fewer, which no caller allows.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}
