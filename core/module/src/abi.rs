//! The exports.
#![expect(unsafe_code, reason = "`no_mangle` counts as unsafe: no other symbol of the module has these names")]

extern crate alloc as heap;

use core::arch::wasm32::unreachable;
use heap::{format, vec::Vec};
use spin::Mutex;
use tradewind_core::{
    ABI_VERSION, Engine, Error, ErrorKind,
    aligned::AlignedBytes,
    message::{FAULT, Fault, encode},
};

/// State of the module between calls.
struct Module {
    engine: Engine,
    buffers: Buffers,
}

/// Buffers allocated for the shell, by ascending address.
struct Buffers(Vec<(usize, AlignedBytes)>);

static MODULE: Mutex<Module> = Mutex::new(Module { engine: Engine::new(), buffers: Buffers(Vec::new()) });

/// Version of this interface.
#[unsafe(no_mangle)]
pub extern "C" fn abi_version() -> u32 {
    ABI_VERSION
}

/// Allocates `len` zero bytes, aligned to 16 bytes; returns 0 if memory is exhausted.
#[unsafe(no_mangle)]
pub extern "C" fn alloc(len: usize) -> usize {
    with(|module| match AlignedBytes::zeroed(len.max(1)) {
        Ok(buffer) => module.buffers.give(buffer),
        Err(_) => 0,
    })
}

/// Frees a buffer. Unknown buffers are ignored.
#[unsafe(no_mangle)]
pub extern "C" fn dealloc(ptr: usize, _len: usize) {
    with(|module| {
        module.buffers.take(ptr);
    });
}

/// Loads the pack in the buffer at `ptr`, and takes ownership of the buffer.
#[unsafe(no_mangle)]
pub extern "C" fn load(ptr: usize, len: usize) -> usize {
    with(|module| {
        let reply = match module.buffers.take(ptr) {
            Some(buffer) if buffer.len() == len.max(1) => module.engine.load(buffer),
            taken => {
                if let Some(buffer) = taken {
                    module.buffers.give(buffer);
                }
                fault(bad_pointer(ptr, len))
            }
        };
        module.reply(&reply)
    })
}

/// Answers the request in the first `len` bytes of the buffer at `ptr`, which the shell keeps.
#[unsafe(no_mangle)]
pub extern "C" fn call(ptr: usize, len: usize) -> usize {
    with(|module| {
        let request = module.buffers.get(ptr).and_then(|buffer| buffer.as_slice().get(..len));
        let reply = match request {
            Some(request) => module.engine.call(request),
            None => fault(bad_pointer(ptr, len)),
        };
        module.reply(&reply)
    })
}

/// Scores `rows` rows of column-major f32 in the buffer `input` into the buffer `output`; the shell keeps both. Lengths
/// are in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn score(
    pack: u32,
    input: usize,
    input_len: usize,
    rows: usize,
    output: usize,
    output_len: usize,
) -> usize {
    with(|module| {
        // The output is removed from the list meanwhile, so that both can be borrowed.
        let reply = match module.buffers.take(output) {
            None => fault(bad_pointer(output, output_len)),
            Some(mut scores) => {
                let reply = module.score(pack, (input, input_len), rows, (&mut scores, output, output_len));
                module.buffers.give(scores);
                reply
            }
        };
        module.reply(&reply)
    })
}

impl Buffers {
    /// Position of a buffer in the list, or the position to insert it.
    fn find(&self, ptr: usize) -> Result<usize, usize> {
        self.0.binary_search_by_key(&ptr, |&(ptr, _)| ptr)
    }

    fn get(&self, ptr: usize) -> Option<&AlignedBytes> {
        self.find(ptr).ok().map(|at| &self.0[at].1)
    }

    /// Removes a buffer from the list.
    fn take(&mut self, ptr: usize) -> Option<AlignedBytes> {
        self.find(ptr).ok().map(|at| self.0.remove(at).1)
    }

    /// Adds a buffer to the list, and returns its address for the shell.
    fn give(&mut self, buffer: AlignedBytes) -> usize {
        let ptr = buffer.as_slice().as_ptr().expose_provenance();
        if let Err(at) = self.find(ptr) {
            self.0.insert(at, (ptr, buffer));
        }
        ptr
    }
}

impl Module {
    /// Allocates a buffer with the reply's length and bytes; returns 0 if there is no memory even for a fault.
    fn reply(&mut self, reply: &[u8]) -> usize {
        let out_of_memory = || fault(Error::new(ErrorKind::OutOfMemory, "no memory for the reply"));
        let buffer = framed(reply).or_else(|_| framed(&out_of_memory()));
        buffer.map_or(0, |buffer| self.buffers.give(buffer))
    }

    fn score(
        &mut self,
        pack: u32,
        (input, input_len): (usize, usize),
        rows: usize,
        (scores, output, output_len): (&mut AlignedBytes, usize, usize),
    ) -> Vec<u8> {
        let columns = self.buffers.get(input).and_then(|buffer| buffer.as_slice().get(..input_len));
        let Some(columns) = columns.and_then(|bytes| bytemuck::try_cast_slice(bytes).ok()) else {
            return fault(bad_pointer(input, input_len));
        };
        let scores = scores.as_mut_slice().get_mut(..output_len);
        let Some(scores) = scores.and_then(|bytes| bytemuck::try_cast_slice_mut(bytes).ok()) else {
            return fault(bad_pointer(output, output_len));
        };
        self.engine.score(pack, rows, columns, scores)
    }
}

fn with<T>(f: impl FnOnce(&mut Module) -> T) -> T {
    // There is only one thread: the lock is taken only if an earlier call has trapped, and then this one traps too.
    match MODULE.try_lock() {
        Some(mut module) => f(&mut module),
        None => unreachable(),
    }
}

/// `[len: u32 LE][bytes]`
fn framed(bytes: &[u8]) -> Result<AlignedBytes, Error> {
    let mut buffer = AlignedBytes::zeroed(4 + bytes.len())?;
    let (len, body) = buffer.as_mut_slice().split_at_mut(4);
    len.copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    body.copy_from_slice(bytes);
    Ok(buffer)
}

fn fault(error: Error) -> Vec<u8> {
    encode(FAULT, &Fault::from(error))
}

fn bad_pointer(ptr: usize, len: usize) -> Error {
    Error::new(
        ErrorKind::BadPointer,
        format!("{len} bytes at {ptr} are not a buffer that `alloc` gave out; write requests to such a buffer"),
    )
}
