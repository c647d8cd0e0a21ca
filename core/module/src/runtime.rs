//! Replacements for `std`: an allocator, and a panic handler.

use core::{arch::wasm32::unreachable, panic::PanicInfo};
use dlmalloc::GlobalDlmalloc;

#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unreachable()
}
