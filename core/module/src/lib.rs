//! `tradewind.wasm`: the core behind a C ABI, without imports. `core/ABI.md` describes it.
//!
//! Every buffer that a shell has been given is on a list, and every pointer that comes back is
//! looked up there: a pointer that was not given out is a fault in the reply, not a trap or worse.
//! So the ABI needs no unsafe code.

//!
//! It is built without `std`. A panic is a trap, and its message is never made: nothing is imported by which it could
//! leave, and without its texts and their formatting the module is smaller.
#![cfg_attr(target_family = "wasm", no_std)]

#[cfg(target_family = "wasm")]
mod abi;
#[cfg(target_family = "wasm")]
mod runtime;
