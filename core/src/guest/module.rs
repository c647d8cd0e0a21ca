//! Guest that runs the module in any WebAssembly engine: the shell's side of the ABI.

use super::Guest;
use crate::ABI_VERSION;
use alloc::{format, string::String, vec, vec::Vec};
use core::fmt;

/// Maximum length of a reply, in bytes.
const MAX_REPLY_LEN: usize = 128 << 20;

/// Access to an instance of the module: its exports and its memory.
///
/// Errors are messages of the engine; each means that the instance trapped or was stopped.
pub trait Instance {
    /// Called before each request, for engines that set a deadline.
    fn begin(&mut self) -> Result<(), String> {
        Ok(())
    }

    /// Calls the export of this name.
    fn abi_version(&mut self) -> Result<u32, String>;

    /// Calls the export of this name.
    fn alloc(&mut self, len: u32) -> Result<u32, String>;

    /// Calls the export of this name.
    fn dealloc(&mut self, ptr: u32, len: u32) -> Result<(), String>;

    /// Calls the export of this name.
    fn load(&mut self, ptr: u32, len: u32) -> Result<u32, String>;

    /// Calls the export of this name.
    fn call(&mut self, ptr: u32, len: u32) -> Result<u32, String>;

    /// Calls the export of this name; input and output are pointer and length of a buffer.
    fn score(&mut self, pack: u32, input: (u32, u32), rows: u32, output: (u32, u32)) -> Result<u32, String>;

    /// Copies bytes from the memory; `false` if the range is not inside the memory.
    fn read(&mut self, ptr: u32, bytes: &mut [u8]) -> bool;

    /// Copies bytes into the memory; `false` if they do not fit.
    fn write(&mut self, ptr: u32, bytes: &[u8]) -> bool;

    /// Size of the memory, in bytes.
    fn memory_len(&self) -> usize;
}

/// Guest that is an instance of the module.
///
/// A trap kills it: all further calls fail, and a new guest is needed. Numbers from the module are not trusted until
/// they are checked.
#[derive(Debug)]
pub struct ModuleGuest<I> {
    instance: I,
    dead: bool,
}

/// Reason why a guest could not be created, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestError {
    /// The module cannot be used.
    Module(String),
    /// The module is for another ABI.
    Abi {
        /// ABI version of the module.
        found: u32,
    },
    /// The call trapped (a bug in the module), or was stopped at its deadline.
    Trap(String),
    /// The guest trapped earlier.
    Dead,
    /// The module could not allocate this number of bytes.
    OutOfMemory(usize),
    /// The module returned an invalid number.
    Nonsense(String),
}

impl<I: Instance> ModuleGuest<I> {
    /// Creates a guest, if the instance has this ABI.
    ///
    /// # Errors
    /// [`GuestError::Abi`] if it has another ABI, [`GuestError::Trap`] if the call traps.
    pub fn new(instance: I) -> Result<Self, GuestError> {
        let mut guest = Self { instance, dead: false };
        match guest.enter(Instance::abi_version)? {
            ABI_VERSION => Ok(guest),
            found => Err(GuestError::Abi { found }),
        }
    }

    /// Instance of the guest.
    pub const fn instance(&self) -> &I {
        &self.instance
    }

    /// Calls the instance; a trap kills the guest.
    fn enter<T>(&mut self, f: impl FnOnce(&mut I) -> Result<T, String>) -> Result<T, GuestError> {
        if self.dead {
            return Err(GuestError::Dead);
        }
        f(&mut self.instance).map_err(|trap| {
            self.dead = true;
            GuestError::Trap(trap)
        })
    }

    /// Allocates a buffer in the module; returns pointer and length.
    fn alloc(&mut self, len: usize) -> Result<(u32, u32), GuestError> {
        let wanted = u32::try_from(len).map_err(|_| GuestError::OutOfMemory(len))?;
        match self.enter(|instance| instance.alloc(wanted))? {
            0 => Err(GuestError::OutOfMemory(len)),
            ptr => Ok((ptr, wanted)),
        }
    }

    /// Allocates a buffer in the module and copies bytes into it.
    fn give(&mut self, bytes: &[u8]) -> Result<(u32, u32), GuestError> {
        let (ptr, len) = self.alloc(bytes.len())?;
        if self.instance.write(ptr, bytes) { Ok((ptr, len)) } else { Err(outside(ptr, bytes.len())) }
    }

    fn free(&mut self, (ptr, len): (u32, u32)) -> Result<(), GuestError> {
        self.enter(|instance| instance.dealloc(ptr, len))
    }

    fn read(&mut self, ptr: u32, bytes: &mut [u8]) -> Result<(), GuestError> {
        if self.instance.read(ptr, bytes) { Ok(()) } else { Err(outside(ptr, bytes.len())) }
    }

    /// Copies the bytes of a reply and frees its buffer.
    fn take_reply(&mut self, ptr: u32) -> Result<Vec<u8>, GuestError> {
        if ptr == 0 {
            return Err(GuestError::Nonsense("no reply: out of memory".into()));
        }
        let mut len = [0; 4];
        self.read(ptr, &mut len)?;
        let len = u32::from_le_bytes(len);
        // Check the length before allocating.
        if len as usize > MAX_REPLY_LEN.min(self.instance.memory_len()) {
            return Err(GuestError::Nonsense(format!("a reply of {len} bytes; the limit is {MAX_REPLY_LEN}")));
        }
        let body = ptr.checked_add(4).ok_or_else(|| outside(ptr, 4))?;
        let mut reply = vec![0; len as usize];
        self.read(body, &mut reply)?;
        self.free((ptr, len + 4))?;
        Ok(reply)
    }
}

impl<I: Instance> Guest for ModuleGuest<I> {
    type Error = GuestError;

    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, GuestError> {
        self.enter(Instance::begin)?;
        let (ptr, len) = self.give(pack)?;
        let reply = self.enter(|instance| instance.load(ptr, len))?;
        self.take_reply(reply)
    }

    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, GuestError> {
        self.enter(Instance::begin)?;
        let (ptr, len) = self.give(request)?;
        let reply = self.enter(|instance| instance.call(ptr, len))?;
        self.free((ptr, len))?;
        self.take_reply(reply)
    }

    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, GuestError> {
        self.enter(Instance::begin)?;
        // The module rejects row counts beyond its limit, and so also this one.
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let input = self.give(bytemuck::cast_slice(columns))?;
        let output = self.alloc(size_of_val(scores))?;
        let reply = self.enter(|instance| instance.score(pack, input, rows, output))?;
        self.read(output.0, bytemuck::cast_slice_mut(scores))?;
        self.free(input)?;
        self.free(output)?;
        self.take_reply(reply)
    }

    fn is_dead(&self) -> bool {
        self.dead
    }
}

#[cold]
fn outside(ptr: u32, len: usize) -> GuestError {
    GuestError::Nonsense(format!("a buffer of {len} bytes at {ptr}, outside its memory"))
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module(why) => write!(f, "the module cannot be used: {why}"),
            Self::Abi { found } => {
                write!(f, "the module has ABI {found}, this shell has ABI {ABI_VERSION}; build both from one version")
            }
            Self::Trap(trap) => write!(f, "the module trapped: {trap}; the guest is dead, make another"),
            Self::Dead => f.write_str("the guest trapped earlier and is dead; make another"),
            Self::OutOfMemory(len) => write!(f, "the module has no memory for {len} bytes"),
            Self::Nonsense(what) => write!(f, "the module answered nonsense: {what}"),
        }
    }
}

impl core::error::Error for GuestError {}
