//! Byte buffers that can be read in place as any element type.

use crate::error::{Error, ErrorKind, Result};
use alloc::{format, vec::Vec};
use bytemuck::{Pod, Zeroable, allocation::try_zeroed_vec};

/// Alignment of buffers, weights and pack sections, in bytes: a SIMD register.
pub const ALIGNMENT: usize = 16;

/// An owned, zero-initialised byte buffer that starts on a multiple of [`ALIGNMENT`].
#[derive(Debug, Default)]
pub struct AlignedBytes {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
struct Block([u8; ALIGNMENT]);

impl AlignedBytes {
    /// Allocates `len` zero bytes, or returns an [`OutOfMemory`](ErrorKind::OutOfMemory) error.
    pub fn zeroed(len: usize) -> Result<Self> {
        // The allocator fills memory by one instruction.
        let blocks = try_zeroed_vec(len.div_ceil(ALIGNMENT)).map_err(|()| {
            Error::new(
                ErrorKind::OutOfMemory,
                format!("no memory for {len} bytes; load less, or give the module more memory"),
            )
        })?;
        Ok(Self { blocks, len })
    }

    /// Copies `bytes`.
    pub fn copy_of(bytes: &[u8]) -> Result<Self> {
        let mut aligned = Self::zeroed(bytes.len())?;
        aligned.as_mut_slice().copy_from_slice(bytes);
        Ok(aligned)
    }

    /// The number of bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        bytemuck::cast_slice(&self.blocks).get(..self.len).unwrap_or_default()
    }

    /// The bytes, mutable.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.blocks).get_mut(..self.len).unwrap_or_default()
    }
}

/// The first multiple of [`ALIGNMENT`] at or after `offset`.
pub const fn align_up(offset: usize) -> usize {
    offset.saturating_add(ALIGNMENT - 1) & !(ALIGNMENT - 1)
}

/// Checks that the memory of a call is available before the call begins. The allocations of a call are bounded by
/// `bytes`, so none of them can fail during the call, which would trap.
///
/// # Errors
/// [`OutOfMemory`](ErrorKind::OutOfMemory).
pub fn headroom(bytes: usize) -> Result<()> {
    let mut probe: Vec<u8> = Vec::new();
    let reserved = probe.try_reserve_exact(bytes);
    // Used, so that the allocation is not optimised away.
    core::hint::black_box(&probe);
    reserved.map_err(|_| {
        Error::new(ErrorKind::OutOfMemory, format!("no memory for this call, which may need {bytes} bytes"))
    })
}
