//! .npz files: a zip archive of .npy files.

use anyhow::Context;
use std::io::{Cursor, Read, Write};
use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

/// Files of an archive: name and bytes, in order.
///
/// # Errors
/// If the bytes are not an archive.
pub fn read(bytes: &[u8]) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context("invalid .npz")?;
    let files = (0..archive.len()).map(|n| {
        let mut file = archive.by_index(n)?;
        let (name, mut bytes) = (file.name()?.into_owned(), Vec::new());
        file.read_to_end(&mut bytes).with_context(|| format!("`{name}`"))?;
        Ok((name, bytes))
    });
    files.collect()
}

/// Writes an archive of files, uncompressed and without times: the same arrays give identical bytes.
///
/// # Errors
/// If there are two of one name.
pub fn write(files: &[(String, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, file) in files {
        archive
            .start_file(name.as_str(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored))?;
        archive.write_all(file)?;
    }
    Ok(archive.finish()?.into_inner())
}
