//! The host as a library: builder, verified files, typed calls from any thread, limits, and features.

use anyhow::{Context, Result, ensure};
use std::{fs, num::NonZeroUsize, process::Command, sync::Barrier, thread, time::Duration};
use tradewind_core::{
    DECISIONS, ErrorKind, Millis,
    guest::{
        ClientError, GuestError,
        checkout::{Claim, Refusal},
    },
    message::Describe,
    pack::SIGNATURE_LEN,
    quote::QuoteRequest,
    rank::RankRequest,
};
use tradewind_host::{
    AskError, BuildError, Builder, KeyPair, Limits, Runtime, Tradewind, Trust, TrustError, Unavailable,
};
use tradewind_tests::{decisions, dist, module, root};

#[expect(dead_code, reason = "`main` is the program's")]
#[path = "../../host/examples/allocate.rs"]
mod allocate;
#[expect(dead_code, reason = "`main` is the program's")]
#[path = "../../host/examples/rank.rs"]
mod rank;
#[expect(dead_code, reason = "`main` is the program's")]
#[path = "../../host/examples/swap.rs"]
mod swap;

/// Builder with the built module and keys.
fn builder() -> Result<Builder> {
    let signature = fs::read_to_string(dist("tradewind.wasm.sig")?)?;
    Ok(Tradewind::builder().module(module()?).signature(signature).trust(Trust::read(&[dist("keys/dev.pub")?])?))
}

fn pack(name: &str) -> Result<Vec<u8>> {
    Ok(fs::read(dist(&format!("packs/{name}.pack"))?)?)
}

fn snapshot() -> Result<Vec<u8>> {
    Ok(fs::read(dist("reference.snapshot")?)?)
}

/// Module whose `call` has this body.
fn made_up(call: &str) -> Result<Runtime> {
    let text = format!(
        r#"(module
             (memory (export "memory") 1)
             (func (export "abi_version") (result i32) i32.const 1)
             (func (export "alloc") (param i32) (result i32) i32.const 64)
             (func (export "dealloc") (param i32 i32))
             (func (export "load") (param i32 i32) (result i32) i32.const 0)
             (func (export "call") (param i32 i32) (result i32) {call})
             (func (export "score") (param i32 i32 i32 i32 i32 i32) (result i32) i32.const 0))"#
    );
    let limits = Limits::default().deadline(Duration::from_millis(400));
    Ok(Runtime::with(&wat::parse_str(text)?, &tradewind_host::RuntimeConfig::default().limits(limits))?)
}

/// Body that never returns.
const LOOP: &str = "(loop (br 0)) unreachable";

/// State of the instance after a call without a reply.
fn unavailable<T>(answer: Result<T, AskError>) -> Option<Unavailable> {
    match answer {
        Err(ClientError::Guest(error)) => Some(error),
        _ => None,
    }
}

#[test]
fn the_examples_run() -> Result<()> {
    let dist = root().join("dist");
    rank::run(&dist)?;
    allocate::run(&dist)?;
    swap::run(&dist)
}

#[test]
fn every_decision_has_a_call() -> Result<()> {
    let source = fs::read_to_string(root().join("host/src/tradewind.rs"))?;
    let (_, calls) = source.split_once("\ncalls! {").context("no list of calls")?;
    // `packs` and `snapshot` describe the loaded files.
    for (_, name) in DECISIONS.iter().filter(|(_, name)| *name != "describe") {
        ensure!(calls.contains(&format!("\n    {name}: ")), "`Tradewind` has no call `{name}`");
    }
    Ok(())
}

#[test]
fn any_thread_asks_and_all_get_the_same_answer() -> Result<()> {
    let tradewind = builder()?.pack(pack("price")?).snapshot(snapshot()?).build()?;
    let request = decisions::quotes(tradewind.snapshot().context("no snapshot")?.root)?.swap_remove(0);
    let expected = tradewind.quote(&request)?;
    thread::scope(|scope| {
        let ask = || -> Result<()> {
            for _ in 0..20 {
                ensure!(tradewind.quote(&request)? == expected, "another price");
            }
            Ok(())
        };
        let askers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().try_for_each(|asker| asker.join().ok().context("a thread panicked")?)
    })
}

#[test]
fn what_is_not_trusted_is_not_loaded() -> Result<()> {
    let refused = |builder: Builder| builder.build().err().context("it was loaded");
    ensure!(matches!(refused(Tradewind::builder())?, BuildError::NoModule));
    ensure!(matches!(refused(Tradewind::builder().module(module()?))?, BuildError::NoTrust));
    let runtime = Runtime::new(&module()?)?;
    let bare = || Tradewind::builder().runtime(runtime.clone());
    ensure!(matches!(refused(bare().pack(pack("late")?))?, BuildError::NoTrust));

    let trust = || Trust::read(&[dist("keys/dev.pub")?]).map_err(anyhow::Error::from);
    let stranger = KeyPair::generate()?.sign_module(&module()?);
    for (what, builder) in [
        ("no signature", Tradewind::builder().module(module()?).trust(trust()?)),
        ("a stranger's", Tradewind::builder().module(module()?).trust(trust()?).signature(stranger)),
        ("another module's", builder()?.module(module()?[1..].to_vec())),
    ] {
        let error = refused(builder)?;
        let untrusted = matches!(&error, BuildError::Trust { file, error: TrustError::Module(_) } if file == "module");
        ensure!(untrusted, "{what}: {error}");
    }

    let late = pack("late")?;
    let unsigned = late[..late.len() - SIGNATURE_LEN].to_vec();
    let mut altered = late.clone();
    altered[late.len() / 2] ^= 1;
    for (what, pack, kind) in
        [("unsigned", unsigned.clone(), ErrorKind::PackUnsigned), ("altered", altered, ErrorKind::PackCorrupt)]
    {
        let error = refused(builder()?.pack(pack))?;
        let refused =
            matches!(&error, BuildError::Trust { error: TrustError::Pack(error), .. } if error.kind() == kind);
        ensure!(refused && error.to_string().starts_with("the pack `late` is"), "{what}: {error}");
    }
    for builder in [builder()?.pack(snapshot()?), builder()?.snapshot(late)] {
        let error = refused(builder)?;
        ensure!(matches!(error, BuildError::Trust { error: TrustError::Kind { .. }, .. }), "{error}");
    }
    // Unsigned files are loaded only on explicit request.
    bare().trust(Trust::unsigned()).pack(unsigned).build()?;
    Ok(())
}

#[test]
fn an_instance_that_trapped_is_replaced() -> Result<()> {
    let one = NonZeroUsize::MIN;
    let tradewind = Tradewind::builder().runtime(made_up("unreachable")?).instances(one).build()?;
    for n in 0..3 {
        let found = unavailable(tradewind.ask(&Describe));
        // Reusing the instance would report that it is dead.
        ensure!(matches!(found, Some(Unavailable::Guest(GuestError::Trap(_)))), "call {n}: {found:?}");
    }
    Ok(())
}

#[test]
fn a_call_is_stopped_at_each_limit() -> Result<()> {
    let tradewind = Tradewind::builder().runtime(made_up(LOOP)?).build()?;
    let found = unavailable(tradewind.ask(&Describe));
    ensure!(matches!(found, Some(Unavailable::Guest(GuestError::Trap(_)))), "deadline: {found:?}");

    let request = RankRequest::new("recommend", Millis(1_512_345_600_000), 8);
    let limited = |limits| -> Result<_> { Ok(builder()?.pack(pack("recommend")?).limits(limits).build()) };
    let enough = limited(Limits::default().fuel(Some(1_000_000_000)).memory(64 << 20))??;
    enough.rank(&request)?;
    for (what, limits) in [("fuel", Limits::default().fuel(Some(1_000))), ("memory", Limits::default().memory(2 << 20))]
    {
        let refused = limited(limits)?.err().with_context(|| format!("{what}: the pack was loaded"))?;
        ensure!(matches!(refused, BuildError::Refused { .. }), "{what}: {refused}");
    }
    Ok(())
}

#[test]
fn who_finds_all_instances_busy_is_turned_away() -> Result<()> {
    let builder = Tradewind::builder().runtime(made_up(LOOP)?).instances(NonZeroUsize::MIN);
    let tradewind = builder.patience(Duration::from_millis(50)).build()?;
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            ready.wait();
            unavailable(tradewind.ask(&Describe))
        });
        ready.wait();
        thread::sleep(Duration::from_millis(100));
        let second = unavailable(tradewind.ask(&Describe));
        ensure!(matches!(second, Some(Unavailable::Overloaded)), "{second:?}");
        let first = first.join().ok().context("a thread panicked")?;
        ensure!(matches!(first, Some(Unavailable::Guest(_))), "{first:?}");
        Ok(())
    })
}

#[test]
fn a_successor_shares_the_module_and_takes_the_next_files() -> Result<()> {
    let first = builder()?.pack(pack("price")?).build()?;
    ensure!(first.snapshot().is_none() && first.packs().len() == 1);
    let next = first.successor().snapshot(snapshot()?).pack(pack("price")?).pack(pack("late")?).build()?;
    let names: Vec<&str> = next.packs().iter().map(|pack| pack.name.as_str()).collect();
    ensure!(names == ["price", "late"] && next.runtime().digest() == first.runtime().digest(), "{names:?}");

    let root = next.snapshot().context("no snapshot")?.root;
    let request = decisions::quotes(root)?.swap_remove(0);
    next.quote(&request)?;
    let fault = match first.quote(&request) {
        Err(ClientError::Fault(fault)) => fault.kind(),
        other => anyhow::bail!("{other:?}"),
    };
    ensure!(fault == Some(ErrorKind::NoSnapshot), "what was there before has changed");
    // The successor keeps the keys.
    let late = pack("late")?;
    let unsigned = first.successor().pack(&late[..late.len() - SIGNATURE_LEN]).build();
    ensure!(matches!(unsigned, Err(BuildError::Trust { .. })));
    // Its limits are compiled in.
    let limited = first.successor().limits(Limits::default()).build();
    ensure!(matches!(limited, Err(BuildError::Compiled)));
    Ok(())
}

#[test]
fn decisions_are_recorded_and_made_again() -> Result<()> {
    let tradewind = builder()?.pack(pack("price")?).snapshot(snapshot()?).build()?;
    let snapshot = tradewind.snapshot().context("no snapshot")?;
    let request = decisions::quotes(snapshot.root)?.swap_remove(3);
    let (quote, record) = tradewind.ask_recorded(&request);
    let (quote, mut record) = (quote?, record.context("no record")?);
    ensure!(tradewind.replay(&record)? == []);
    record.module.0[0] ^= 1;
    ensure!(tradewind.replay(&record)?.len() == 1);

    // A fault has a record too.
    let (answer, record) = tradewind.ask_recorded(&QuoteRequest { snapshot: [1; 32], ..request.clone() });
    ensure!(matches!(answer, Err(ClientError::Fault(_))) && record.is_some());

    let QuoteRequest { at, sku, region, objective, .. } = request;
    let claim = Claim { snapshot: snapshot.root, at, sku, price: quote.price };
    ensure!(tradewind.verify_quote(&claim, region.clone(), objective, at)? == Ok(quote));
    let before = tradewind.verify_quote(&claim, region, objective, Millis(at.0 - 1))?;
    ensure!(before == Err(Refusal::NotYet));
    Ok(())
}

#[test]
fn a_host_that_only_runs_packs_is_built_without_service_tables_and_compiler() -> Result<()> {
    let heavy = ["axum", "clap", "csv", "parquet", "sqlx", "tokio", "tract-onnx", "utoipa"];
    let tree = |features: &[&str]| -> Result<Vec<String>> {
        let tree = ["tree", "--locked", "--offline", "--package", "tradewind-host", "--edges", "normal"];
        let output = Command::new(env!("CARGO"))
            .args(tree)
            .args(["--prefix", "none", "--format", "{p}"])
            .args(features)
            .current_dir(root())
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    };
    let crates = tree(&["--no-default-features"])?;
    ensure!(crates.iter().any(|name| name == "wasmtime"), "{crates:?}");
    let found: Vec<_> = crates.iter().filter(|name| heavy.contains(&name.as_str())).collect();
    ensure!(found.is_empty(), "`default-features = false` brings {found:?}");
    let all = tree(&[])?;
    ensure!(heavy.iter().all(|name| all.iter().any(|found| found == name)), "a crate of the list is called otherwise");
    Ok(())
}
