//! Hostile modules: the host checks every number that a guest returns.

use anyhow::{Result, ensure};
use tradewind_core::guest::{Guest, GuestError};
use tradewind_host::Runtime;

/// Module whose `alloc` and `call` have these bodies, and whose memory begins with these bytes.
fn module(abi: u32, alloc: &str, call: &str, memory: &str) -> Result<Vec<u8>> {
    let text = format!(
        r#"(module
             (memory (export "memory") 1)
             (data (i32.const 0) "{memory}")
             (func (export "abi_version") (result i32) i32.const {abi})
             (func (export "alloc") (param i32) (result i32) {alloc})
             (func (export "dealloc") (param i32 i32))
             (func (export "load") (param i32 i32) (result i32) {call})
             (func (export "call") (param i32 i32) (result i32) {call})
             (func (export "score") (param i32 i32 i32 i32 i32 i32) (result i32) {call}))"#
    );
    Ok(wat::parse_str(text)?)
}

/// Result of one call in the host.
fn answer(alloc: &str, call: &str, memory: &str) -> Result<Result<Vec<u8>, GuestError>> {
    let mut guest = Runtime::new(&module(1, alloc, call, memory)?)?.unverified_guest()?;
    Ok(Guest::call(&mut guest, b"question"))
}

#[test]
fn pointers_and_lengths_are_held_against_the_memory() -> Result<()> {
    let honest = "i32.const 64";
    let ok = answer(honest, "i32.const 0x100", "")?;
    ensure!(matches!(&ok, Ok(reply) if reply.is_empty()), "an honest module was refused: {ok:?}");
    let lies = [
        ("a buffer outside the memory", "i32.const 0xfff0000", honest, ""),
        ("a buffer across its end", "i32.const 65530", honest, ""),
        ("a reply outside the memory", honest, "i32.const 0xfff0000", ""),
        ("a reply at the last byte of all", honest, "i32.const -1", ""),
        ("a reply longer than the memory", honest, "i32.const 8", r"\00\00\00\00\00\00\00\00\00\00\02\00"),
        ("a reply of four gigabytes", honest, "i32.const 8", r"\00\00\00\00\00\00\00\00\ff\ff\ff\ff"),
        ("no reply", honest, "i32.const 0", ""),
    ];
    for (what, alloc, call, memory) in lies {
        let answer = answer(alloc, call, memory)?;
        ensure!(matches!(answer, Err(GuestError::Nonsense(_))), "{what}: {answer:?}");
    }
    ensure!(matches!(answer("i32.const 0", honest, "")?, Err(GuestError::OutOfMemory(8))));
    Ok(())
}

#[test]
fn a_trap_kills_the_guest_and_no_other() -> Result<()> {
    let runtime = Runtime::new(&module(1, "i32.const 64", "unreachable", "")?)?;
    let (mut guest, mut other) = (runtime.unverified_guest()?, runtime.unverified_guest()?);
    ensure!(matches!(guest.load(b"pack"), Err(GuestError::Trap(_))) && guest.is_dead());
    ensure!(matches!(Guest::call(&mut guest, b"again"), Err(GuestError::Dead)));
    ensure!(!other.is_dead() && matches!(Guest::call(&mut other, b"first"), Err(GuestError::Trap(_))));
    Ok(())
}

#[test]
fn a_module_for_another_host_is_refused() -> Result<()> {
    let other = Runtime::new(&module(2, "i32.const 64", "i32.const 64", "")?)?.unverified_guest();
    ensure!(matches!(other, Err(GuestError::Abi { found: 2 })));
    let bare = wat::parse_str(r#"(module (memory (export "memory") 1))"#)?;
    ensure!(matches!(Runtime::new(&bare)?.unverified_guest(), Err(GuestError::Module(_))));
    let curious = wat::parse_str(r#"(module (import "wasi_snapshot_preview1" "clock_time_get" (func)))"#)?;
    ensure!(matches!(Runtime::new(&curious), Err(GuestError::Module(_))));
    ensure!(matches!(Runtime::new(b"no wasm"), Err(GuestError::Module(_))));
    Ok(())
}
