//! `tradewind.wasm`: the core behind a C ABI, without imports. `core/ABI.md` describes it.
//!
//! Every buffer that a shell has been given is on a list, and every pointer that comes back is
//! looked up there: a pointer that was not given out is a fault in the reply, not a trap or worse.
//! So the ABI needs no unsafe code.

#[cfg(target_family = "wasm")]
mod abi;
