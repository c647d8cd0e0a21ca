//! Writing packs.

use super::{FORMAT, HEADER_LEN, MAGIC, MAX_PACK_LEN, Manifest, PackView, Section, SectionKind, Signature};
use crate::{
    ABI_VERSION,
    aligned::align_up,
    columns::{ColumnWriter, Columns},
    domain::digest::Digest,
    error::{Error, ErrorKind, Result},
};
use alloc::{format, string::String, vec::Vec};
use serde::Serialize;

/// Builder of a pack from sections.
///
/// ```
/// use tradewind_core::{Task, pack::{PackView, PackWriter, SectionKind}};
///
/// # let sha256 = |bytes: &[u8]| [bytes.len() as u8; 32]; // a shell brings a real one
/// let pack = PackWriter::new("prices", "1.2.0")
///     .bytes(SectionKind::Weights, vec![0; 64])
///     .postcard(SectionKind::Task, &Task::Infer)?
///     .finish(sha256)?;
/// let view = PackView::parse(&pack)?;
/// assert_eq!(view.manifest().name, "prices");
/// assert_eq!(view.read::<Task>(SectionKind::Task)?, Task::Infer);
/// assert_eq!(view.section(SectionKind::Weights).map(|range| range.start % 16), Some(0));
/// # Ok::<(), tradewind_core::Error>(())
/// ```
#[derive(Debug)]
pub struct PackWriter {
    name: String,
    version: String,
    sections: Vec<(SectionKind, Vec<u8>)>,
}

impl PackWriter {
    /// Creates a pack of this name and version, without sections.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self { name: name.into(), version: version.into(), sections: Vec::new() }
    }

    /// Adds a section of bytes.
    #[must_use]
    pub fn bytes(mut self, kind: SectionKind, bytes: Vec<u8>) -> Self {
        self.sections.push((kind, bytes));
        self
    }

    /// Adds a section in postcard.
    ///
    /// # Errors
    /// [`Malformed`](ErrorKind::Malformed) if postcard cannot encode the value.
    pub fn postcard<T: Serialize>(self, kind: SectionKind, value: &T) -> Result<Self> {
        let bytes = postcard::to_allocvec(value)
            .map_err(|error| Error::new(ErrorKind::Malformed, format!("section {kind:?} does not encode: {error}")))?;
        Ok(self.bytes(kind, bytes))
    }

    /// Adds a section of [columns](crate::columns).
    ///
    /// # Errors
    /// Errors of [`Columns::write`].
    pub fn columns(self, kind: SectionKind, value: &impl Columns) -> Result<Self> {
        Ok(self.bytes(kind, ColumnWriter::section(value)?))
    }

    /// Encodes the pack, unsigned: see [`sign`].
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge) past [`MAX_PACK_LEN`].
    pub fn finish(self, sha256: impl Fn(&[u8]) -> Digest) -> Result<Vec<u8>> {
        let mut manifest = Manifest { name: self.name, version: self.version, sections: Vec::new() };
        for (kind, bytes) in &self.sections {
            manifest.sections.push(Section { kind: *kind, offset: 0, len: bytes.len() as u32, digest: sha256(bytes) });
        }
        // Offsets depend on the length of the manifest, and its length on the offsets (they are variable-length
        // numbers), so repeat until it is stable.
        let mut encoded = encode(&manifest)?;
        loop {
            let mut end = HEADER_LEN + encoded.len();
            for section in &mut manifest.sections {
                section.offset = align_up(end) as u32;
                end = section.offset as usize + section.len as usize;
            }
            let settled = encode(&manifest)?;
            if settled.len() == encoded.len() {
                encoded = settled;
                break;
            }
            encoded = settled;
        }
        let end = manifest.sections.last().map_or(HEADER_LEN + encoded.len(), |last| (last.offset + last.len) as usize);
        let len = align_up(end);
        if len > MAX_PACK_LEN || self.sections.iter().any(|(_, bytes)| bytes.len() > MAX_PACK_LEN) {
            return Err(Error::new(ErrorKind::TooLarge, format!("a pack of {len} bytes; the limit is {MAX_PACK_LEN}")));
        }
        let mut pack = Vec::with_capacity(len);
        pack.extend_from_slice(&MAGIC);
        pack.extend_from_slice(&FORMAT.to_le_bytes());
        pack.extend_from_slice(&(ABI_VERSION as u16).to_le_bytes());
        pack.extend_from_slice(&(len as u32).to_le_bytes());
        pack.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
        pack.extend_from_slice(&[0; 16]);
        pack.extend_from_slice(&sha256(&encoded));
        pack.extend_from_slice(&encoded);
        for (section, (_, bytes)) in manifest.sections.iter().zip(&self.sections) {
            pack.resize(section.offset as usize, 0);
            pack.extend_from_slice(bytes);
        }
        pack.resize(len, 0);
        Ok(pack)
    }
}

/// Truncates an unsigned pack after a section: the result has the same root, and only the sections up to that one.
///
/// # Errors
/// [`PackCorrupt`](ErrorKind::PackCorrupt) if it has no such section, and errors of [`PackView::parse`].
pub fn cut(pack: &[u8], last: SectionKind) -> Result<Vec<u8>> {
    let section = PackView::parse(pack)?.section(last);
    let Some(end) = section.map(|section| align_up(section.end)).filter(|&end| end <= pack.len()) else {
        return Err(Error::new(ErrorKind::PackCorrupt, format!("it has no section {last:?} to cut after")));
    };
    let mut part = pack[..end].to_vec();
    part[8..12].copy_from_slice(&(end as u32).to_le_bytes());
    Ok(part)
}

/// Appends a signature of the pack's first [`HEADER_LEN`] bytes to an unsigned pack.
pub fn sign(pack: &mut Vec<u8>, signature: &Signature) {
    pack.extend_from_slice(&signature.key);
    pack.extend_from_slice(&signature.signature);
}

fn encode(manifest: &Manifest) -> Result<Vec<u8>> {
    postcard::to_allocvec(manifest)
        .map_err(|error| Error::new(ErrorKind::Malformed, format!("the manifest does not encode: {error}")))
}
