//! Fixes what the linker decides of the module: how large its memory may become.

use std::env;

fn main() {
    // `cargo build --workspace` compiles the crate natively too, and that linker has no such options.
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("wasm32") {
        return;
    }
    // A Worker's isolate has 128 MB; past it an allocation fails, which the module answers with a
    // fault.
    println!("cargo::rustc-link-arg-cdylib=--max-memory=134217728");
    // The stack lies below the data, so that an overflow traps instead of overwriting.
    println!("cargo::rustc-link-arg-cdylib=--stack-first");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size=262144");
}
