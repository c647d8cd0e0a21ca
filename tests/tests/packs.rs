//! Invalid packs: each fault has its own error, and nothing panics.

use anyhow::{Context, Result, ensure};
use proptest::prelude::*;
use std::sync::OnceLock;
use tradewind_core::{
    Engine, ErrorKind,
    aligned::AlignedBytes,
    guest::Client,
    message::{self, InferRequest},
    pack::{self, HEADER_LEN, PackView, SIGNATURE_LEN, SectionKind},
    tensor::Tensor,
};
use tradewind_host::{KeyPair, Trust, TrustError};
use tradewind_tests::{Case, PACK, cases, pack_of, runtimes};

fn case(name: &str) -> Result<Case> {
    cases()?.into_iter().find(|case| case.name == name).with_context(|| format!("no case `{name}`"))
}

/// Signed pack, and a trust with its key.
fn signed() -> Result<(Vec<u8>, Trust, tempfile::TempDir)> {
    signed_case("lightgbm-regression")
}

fn signed_case(name: &str) -> Result<(Vec<u8>, Trust, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let key = KeyPair::generate()?;
    key.write(&folder.path().join("mine"))?;
    let mut bytes = pack_of(&case(name)?)?;
    let signature = KeyPair::read(folder.path().join("mine.key"))?.sign(&bytes[..HEADER_LEN]);
    pack::sign(&mut bytes, &signature);
    let trust = Trust::read(&[folder.path().join("mine.pub")])?;
    Ok((bytes, trust, folder))
}

fn kind(result: Result<PackView<'_>, TrustError>) -> Option<ErrorKind> {
    match result {
        Err(TrustError::Pack(error)) => Some(error.kind()),
        _ => None,
    }
}

#[test]
fn a_signed_pack_is_trusted_and_loads_on_every_runtime() -> Result<()> {
    let (bytes, trust, _folder) = signed()?;
    let root = trust.verify(&bytes)?.root();
    for runtime in runtimes()? {
        let info = Client::new(runtime.guest).load(&bytes).map_err(anyhow::Error::msg)?;
        ensure!(info.root == root && info.name == PACK, "{}: {info:?}", runtime.name);
    }
    Ok(())
}

#[test]
fn every_fault_of_a_pack_has_its_own_error() -> Result<()> {
    let (bytes, trust, _folder) = signed()?;
    let view = PackView::parse(&bytes)?;
    let weights = view.section(SectionKind::Weights).context("no weights")?;
    let signature = bytes.len() - SIGNATURE_LEN;
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    let faults = [
        ("no magic", flipped(0), ErrorKind::NotAPack),
        ("another format", flipped(4), ErrorKind::PackFormat),
        ("another ABI", flipped(6), ErrorKind::PackAbi),
        ("cut in the header", bytes[..40].to_vec(), ErrorKind::PackTruncated),
        ("cut in the weights", bytes[..weights.start + 5].to_vec(), ErrorKind::PackTruncated),
        ("cut in the signature", bytes[..bytes.len() - 1].to_vec(), ErrorKind::PackTruncated),
        ("bytes added", [&bytes[..], &[0]].concat(), ErrorKind::PackCorrupt),
        ("a weight altered", flipped(weights.start), ErrorKind::PackCorrupt),
        ("the manifest altered", flipped(HEADER_LEN + 1), ErrorKind::PackCorrupt),
        ("the root altered", flipped(33), ErrorKind::PackSignature),
        ("the signature altered", flipped(signature + 40), ErrorKind::PackSignature),
        ("the key altered", flipped(signature + 3), ErrorKind::PackSignature),
        ("the signature taken off", bytes[..signature].to_vec(), ErrorKind::PackUnsigned),
    ];
    for (what, bytes, expected) in faults {
        ensure!(
            kind(trust.verify(&bytes)) == Some(expected),
            "{what}: {:?}",
            trust.verify(&bytes).map(|view| view.root())
        );
    }
    let (_, others, _folder) = signed()?;
    ensure!(kind(others.verify(&bytes)) == Some(ErrorKind::PackUntrusted));
    // With unsigned packs allowed, digests and an existing signature are still checked.
    Trust::unsigned().verify(&bytes[..signature])?;
    ensure!(kind(Trust::unsigned().verify(&flipped(weights.start))) == Some(ErrorKind::PackCorrupt));
    Ok(())
}

#[test]
fn one_signature_vouches_for_every_byte() -> Result<()> {
    let (signed, trust, _folder) = signed_case("mlp-fixed-batch")?;
    for at in 0..signed.len() {
        let mut bytes = signed.clone();
        bytes[at] ^= 0x10;
        ensure!(trust.verify(&bytes).is_err(), "byte {at} of {} may be altered", signed.len());
    }
    Ok(())
}

#[test]
fn the_files_of_a_key_are_read_strictly() -> Result<()> {
    let (_, _, folder) = signed()?;
    let mine = folder.path().join("mine");
    ensure!(KeyPair::generate()?.write(&mine).is_err(), "a key was overwritten");
    ensure!(KeyPair::read(mine.with_extension("pub")).is_err(), "a public key was taken for a secret one");
    std::fs::write(mine.with_extension("pub"), "ed25519-public 12")?;
    ensure!(Trust::read(&[mine.with_extension("pub")]).is_err());
    Ok(())
}

/// Pack with a request that it answers.
fn loaded() -> &'static (Vec<u8>, Vec<u8>) {
    static LOADED: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    LOADED.get_or_init(|| made().unwrap_or_default())
}

fn made() -> Result<(Vec<u8>, Vec<u8>)> {
    let case = case("lightgbm-multiclass")?;
    let inputs: Vec<Tensor> = case.sets[0].inputs.clone();
    Ok((pack_of(&case)?, message::request(&InferRequest { pack: PACK.into(), inputs })))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_altered_request_never_panics(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (pack, request) = loaded();
        let mut engine = Engine::new();
        let loaded = AlignedBytes::copy_of(pack).map(|bytes| engine.load(bytes));
        prop_assert!(loaded.is_ok_and(|reply| message::fault(&reply).is_none()));
        let mut bytes = request.clone();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        engine.call(&bytes);
    }

    #[test]
    fn noise_is_no_pack_and_no_request(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut engine = Engine::new();
        let reply = AlignedBytes::copy_of(&noise).map(|bytes| engine.load(bytes));
        prop_assert!(reply.is_ok_and(|reply| message::fault(&reply).is_some()));
        engine.call(&noise);
    }
}
