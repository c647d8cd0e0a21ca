//! `tradewind.wasm`: the core behind a C ABI, without imports. `core/ABI.md` describes it.
//!
//! A list contains all buffers allocated for the shell, and every pointer from the shell is looked up there: an unknown
//! pointer is a fault in the reply, not undefined behaviour. So the ABI needs no unsafe code.

//!
//! It is built without `std`. A panic is a trap without a message: the module has no imports to report it, and is
//! smaller without the texts and their formatting.
#![cfg_attr(target_family = "wasm", no_std)]

#[cfg(target_family = "wasm")]
mod abi;
#[cfg(target_family = "wasm")]
mod runtime;
