//! Linker options of the module: stack and maximum memory.

use std::env;

fn main() {
    // `cargo build --workspace` also compiles the crate natively, and that linker has no such options.
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("wasm32") {
        return;
    }
    // Room for a million products; shells with less memory set their own limits. Beyond it an allocation fails, which the
    // module reports as a fault.
    println!("cargo::rustc-link-arg-cdylib=--max-memory=1073741824");
    // The stack is below the data, so that an overflow traps instead of overwriting data.
    println!("cargo::rustc-link-arg-cdylib=--stack-first");
    println!("cargo::rustc-link-arg-cdylib=-zstack-size=262144");
}
