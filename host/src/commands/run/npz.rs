//! .npz files: a zip archive of .npy files, uncompressed by default.

use anyhow::{Context, bail, ensure};

/// Signatures of the three kinds of record.
const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";

/// Length of each record without its names and extras.
const LOCAL_LEN: usize = 30;
const CENTRAL_LEN: usize = 46;
const END_LEN: usize = 22;

/// Version of the format for uncompressed files only.
const VERSION: u16 = 20;
/// 1 January 1980, so that the same arrays give identical bytes.
const DATE: u16 = 0x21;

/// Files of an archive: name and bytes, in order.
///
/// # Errors
/// If the bytes are not an archive, or a file is compressed.
pub fn read(bytes: &[u8]) -> anyhow::Result<Vec<(String, &[u8])>> {
    let end = (0..=bytes.len().saturating_sub(END_LEN)).rev().find(|&at| bytes[at..].starts_with(&END));
    let end = end.context("invalid .npz: the directory of the zip archive is missing")?;
    let count = u16_at(bytes, end + 10)?;
    let mut at = u32_at(bytes, end + 16)?;
    let mut files = Vec::new();
    for _ in 0..count {
        ensure!(range(bytes, at, 4)? == CENTRAL, "its directory is damaged");
        let name_len = usize::from(u16_at(bytes, at + 28)?);
        let name = String::from_utf8_lossy(range(bytes, at + CENTRAL_LEN, name_len)?).into_owned();
        if u16_at(bytes, at + 10)? != 0 {
            bail!("`{name}` is compressed; save it with numpy.savez, not savez_compressed");
        }
        let (len, local) = (u32_at(bytes, at + 24)?, u32_at(bytes, at + 42)?);
        let before = usize::from(u16_at(bytes, local + 26)?) + usize::from(u16_at(bytes, local + 28)?);
        let file = range(bytes, local + LOCAL_LEN + before, len).with_context(|| format!("`{name}`"))?;
        let extras = usize::from(u16_at(bytes, at + 30)?) + usize::from(u16_at(bytes, at + 32)?);
        at += CENTRAL_LEN + name_len + extras;
        files.push((name, file));
    }
    Ok(files)
}

/// Writes an archive of files.
///
/// # Errors
/// If a length does not fit 32 bits.
pub fn write(files: &[(String, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, file) in files {
        let offset = u32::try_from(archive.len())?.to_le_bytes();
        let mut common = Vec::new();
        // Version, flags (names are UTF-8), stored, time, date.
        for field in [VERSION, 1 << 11, 0, 0, DATE] {
            common.extend(field.to_le_bytes());
        }
        let len = u32::try_from(file.len())?.to_le_bytes();
        common.extend([crc32(file).to_le_bytes(), len, len].concat());
        common.extend([u16::try_from(name.len())?.to_le_bytes(), [0; 2]].concat());

        archive.extend([&LOCAL, &common[..], name.as_bytes(), file].concat());
        // In the directory: made by, the same, comment, disk, internal and external attributes, offset.
        directory.extend([&CENTRAL, &VERSION.to_le_bytes()[..], &common, &[0; 10], &offset, name.as_bytes()].concat());
    }
    let count = u16::try_from(files.len())?.to_le_bytes();
    let (len, at) = (u32::try_from(directory.len())?.to_le_bytes(), u32::try_from(archive.len())?.to_le_bytes());
    archive.extend(directory);
    archive.extend([&END[..], &[0; 4], &count, &count, &len, &at, &[0; 2]].concat());
    Ok(archive)
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

fn range(bytes: &[u8], at: usize, len: usize) -> anyhow::Result<&[u8]> {
    at.checked_add(len).and_then(|end| bytes.get(at..end)).context("the archive is truncated")
}

fn u16_at(bytes: &[u8], at: usize) -> anyhow::Result<u16> {
    Ok(u16::from_le_bytes(range(bytes, at, 2)?.try_into()?))
}

fn u32_at(bytes: &[u8], at: usize) -> anyhow::Result<usize> {
    Ok(u32::from_le_bytes(range(bytes, at, 4)?.try_into()?) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_checked() {
        let files = vec![("x.npy".to_owned(), b"123456789".to_vec()), ("ü.npy".to_owned(), Vec::new())];
        let archive = write(&files).expect("small files");
        let found = read(&archive).expect("an archive");
        assert_eq!(found, [("x.npy".to_owned(), &b"123456789"[..]), ("ü.npy".to_owned(), &[][..])]);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926, "the check value of CRC-32");
        for len in 0..archive.len() {
            let cut = read(&archive[..len]);
            assert!(cut.is_err(), "cut at {len}");
        }
    }
}
