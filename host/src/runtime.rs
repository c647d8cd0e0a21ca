//! `tradewind.wasm` under wasmtime.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tradewind_core::{ABI_VERSION, guest::Guest};
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc};

/// How long one call may take before it is stopped.
const DEADLINE: Duration = Duration::from_secs(30);

/// How often the clock that stops calls ticks.
const TICK: Duration = Duration::from_millis(50);

/// The longest reply that is read, in bytes.
const MAX_REPLY_LEN: usize = 128 << 20;

/// The most memory an instance may have, in bytes: what the module itself is linked for.
const MAX_MEMORY: usize = 128 << 20;

/// The module, compiled.
///
/// Settings are those under which every engine gives the same bytes: no relaxed SIMD, no threads.
/// Calls are stopped by epochs after 30 seconds; with [`Runtime::metered`] they also consume fuel,
/// which is a count of the work done that does not depend on the machine.
pub struct Runtime {
    module: Module,
    metered: bool,
    ticker: Arc<Ticker>,
}

/// One instance of the module.
///
/// A trap kills the guest: it answers no more, and another is made by [`Runtime::guest`].
pub struct WasmGuest {
    store: Store<StoreLimits>,
    memory: Memory,
    exports: Exports,
    metered: bool,
    dead: bool,
    /// Calls have deadlines for as long as there are guests.
    _ticker: Arc<Ticker>,
}

struct Exports {
    alloc: TypedFunc<u32, u32>,
    dealloc: TypedFunc<(u32, u32), ()>,
    load: TypedFunc<(u32, u32), u32>,
    call: TypedFunc<(u32, u32), u32>,
    score: TypedFunc<(u32, u32, u32, u32, u32, u32), u32>,
}

/// Why a guest could not be made, or did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuestError {
    /// The module cannot be used.
    #[error("the module cannot be used: {0}")]
    Module(String),
    /// The module is for another ABI.
    #[error("the module has ABI {found}, this host has ABI {ABI_VERSION}; build both from one version")]
    Abi {
        /// What the module says.
        found: u32,
    },
    /// The call trapped, which is a bug in the module, or was stopped after 30 seconds.
    #[error("the module trapped: {0}; the guest is dead, make another")]
    Trap(String),
    /// The guest trapped earlier.
    #[error("the guest trapped earlier and is dead; make another")]
    Dead,
    /// The module has no memory for the request.
    #[error("the module has no memory for {0} bytes")]
    OutOfMemory(usize),
    /// The module returned a number that cannot be right.
    #[error("the module answered nonsense: {0}")]
    Nonsense(String),
}

impl Runtime {
    /// Compiles the module. Takes tenths of a second.
    ///
    /// # Errors
    /// [`GuestError::Module`] when the bytes are no module, or it imports something.
    pub fn new(wasm: &[u8]) -> Result<Self, GuestError> {
        Self::with_fuel(wasm, false)
    }

    /// As [`new`](Self::new), counting fuel: see [`WasmGuest::fuel_used`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn metered(wasm: &[u8]) -> Result<Self, GuestError> {
        Self::with_fuel(wasm, true)
    }

    fn with_fuel(wasm: &[u8], metered: bool) -> Result<Self, GuestError> {
        let mut config = Config::new();
        config.wasm_simd(true).wasm_relaxed_simd(false).epoch_interruption(true).consume_fuel(metered);
        let module_error = |error: wasmtime::Error| GuestError::Module(format!("{error:#}"));
        let engine = Engine::new(&config).map_err(module_error)?;
        let module = Module::from_binary(&engine, wasm).map_err(module_error)?;
        if let Some(import) = module.imports().next() {
            let name = format!("it imports `{}` from `{}`; it must import nothing", import.name(), import.module());
            return Err(GuestError::Module(name));
        }
        Ok(Self { module, metered, ticker: Arc::new(Ticker::start(engine)) })
    }

    /// A new instance.
    ///
    /// # Errors
    /// [`GuestError::Module`] when an export is missing, [`GuestError::Abi`] when it is another
    /// version.
    pub fn guest(&self) -> Result<WasmGuest, GuestError> {
        let limits = StoreLimitsBuilder::new().memory_size(MAX_MEMORY).instances(1).memories(1).tables(4).build();
        let mut store = Store::new(self.module.engine(), limits);
        store.limiter(|limits| limits);
        let module_error = |error: wasmtime::Error| GuestError::Module(format!("{error:#}"));
        refill(&mut store, self.metered).map_err(module_error)?;
        let instance = Instance::new(&mut store, &self.module, &[]).map_err(module_error)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| GuestError::Module("it does not export `memory`".into()))?;
        let version = instance.get_typed_func::<(), u32>(&mut store, "abi_version").map_err(module_error)?;
        let found = version.call(&mut store, ()).map_err(module_error)?;
        if found != ABI_VERSION {
            return Err(GuestError::Abi { found });
        }
        let exports = Exports {
            alloc: instance.get_typed_func(&mut store, "alloc").map_err(module_error)?,
            dealloc: instance.get_typed_func(&mut store, "dealloc").map_err(module_error)?,
            load: instance.get_typed_func(&mut store, "load").map_err(module_error)?,
            call: instance.get_typed_func(&mut store, "call").map_err(module_error)?,
            score: instance.get_typed_func(&mut store, "score").map_err(module_error)?,
        };
        let ticker = Arc::clone(&self.ticker);
        Ok(WasmGuest { store, memory, exports, metered: self.metered, dead: false, _ticker: ticker })
    }
}

impl WasmGuest {
    /// Fuel that the last call used; 0 unless the runtime is [metered](Runtime::metered).
    pub fn fuel_used(&self) -> u64 {
        self.store.get_fuel().map_or(0, |left| u64::MAX - left)
    }

    /// Bytes of linear memory. It never shrinks, so this is the peak.
    pub fn memory_len(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    /// Whether it trapped, and answers no more.
    pub const fn is_dead(&self) -> bool {
        self.dead
    }

    /// Runs `f` against the store, with a fresh deadline; a trap kills the guest.
    fn enter<T>(
        &mut self,
        f: impl FnOnce(&Exports, &mut Store<StoreLimits>) -> wasmtime::Result<T>,
    ) -> Result<T, GuestError> {
        if self.dead {
            return Err(GuestError::Dead);
        }
        f(&self.exports, &mut self.store).map_err(|error| {
            self.dead = true;
            GuestError::Trap(format!("{error:#}"))
        })
    }

    fn refill(&mut self) -> Result<(), GuestError> {
        refill(&mut self.store, self.metered).map_err(|error| GuestError::Module(format!("{error:#}")))
    }

    /// A buffer of the module's with these bytes in it.
    fn write(&mut self, bytes: &[u8]) -> Result<u32, GuestError> {
        let ptr = self.alloc(bytes.len())?;
        self.bytes_mut(ptr, bytes.len())?.copy_from_slice(bytes);
        Ok(ptr)
    }

    fn alloc(&mut self, len: usize) -> Result<u32, GuestError> {
        let wanted = u32::try_from(len).map_err(|_| GuestError::OutOfMemory(len))?;
        match self.enter(|exports, store| exports.alloc.call(store, wanted))? {
            0 => Err(GuestError::OutOfMemory(len)),
            ptr => Ok(ptr),
        }
    }

    fn free(&mut self, ptr: u32, len: usize) -> Result<(), GuestError> {
        self.enter(|exports, store| exports.dealloc.call(store, (ptr, len as u32)))
    }

    /// The bytes of a reply, whose buffer is given back.
    fn take_reply(&mut self, ptr: u32) -> Result<Vec<u8>, GuestError> {
        if ptr == 0 {
            return Err(GuestError::Nonsense("no reply at all, for want of memory".into()));
        }
        let len = self.bytes_mut(ptr, 4)?.first_chunk().copied().map_or(0, u32::from_le_bytes) as usize;
        if len > MAX_REPLY_LEN {
            return Err(GuestError::Nonsense(format!("a reply of {len} bytes; at most {MAX_REPLY_LEN} are read")));
        }
        let body = ptr.checked_add(4).ok_or_else(|| GuestError::Nonsense(format!("a reply at {ptr}")))?;
        let reply = self.bytes_mut(body, len)?.to_vec();
        self.free(ptr, len + 4)?;
        Ok(reply)
    }

    /// A range of the module's memory; every number that a module returns is hostile until checked.
    fn bytes_mut(&mut self, ptr: u32, len: usize) -> Result<&mut [u8], GuestError> {
        let start = ptr as usize;
        let end = start.saturating_add(len);
        self.memory
            .data_mut(&mut self.store)
            .get_mut(start..end)
            .ok_or_else(|| GuestError::Nonsense(format!("a buffer at {start}..{end}, outside its memory")))
    }
}

impl Guest for WasmGuest {
    type Error = GuestError;

    fn load(&mut self, pack: &[u8]) -> Result<Vec<u8>, GuestError> {
        self.refill()?;
        let ptr = self.write(pack)?;
        let reply = self.enter(|exports, store| exports.load.call(store, (ptr, pack.len() as u32)))?;
        self.take_reply(reply)
    }

    fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, GuestError> {
        self.refill()?;
        let ptr = self.write(request)?;
        let reply = self.enter(|exports, store| exports.call.call(store, (ptr, request.len() as u32)))?;
        self.free(ptr, request.len())?;
        self.take_reply(reply)
    }

    fn score(&mut self, pack: u32, rows: usize, columns: &[f32], scores: &mut [f32]) -> Result<Vec<u8>, GuestError> {
        self.refill()?;
        // More rows than the ABI can say are more than the module takes, which it answers itself.
        let rows = u32::try_from(rows).unwrap_or(u32::MAX);
        let (input_len, output_len) = (size_of_val(columns), size_of_val(scores));
        let input = self.alloc(input_len)?;
        for (to, from) in self.bytes_mut(input, input_len)?.chunks_exact_mut(4).zip(columns) {
            to.copy_from_slice(&from.to_le_bytes());
        }
        let output = self.alloc(output_len)?;
        let arguments = (pack, input, input_len as u32, rows, output, output_len as u32);
        let reply = self.enter(|exports, store| exports.score.call(store, arguments))?;
        for (to, from) in scores.iter_mut().zip(self.bytes_mut(output, output_len)?.chunks_exact(4)) {
            *to = from.first_chunk().copied().map_or(f32::NAN, f32::from_le_bytes);
        }
        self.free(input, input_len)?;
        self.free(output, output_len)?;
        self.take_reply(reply)
    }
}

/// Gives the next call a fresh deadline, and a full tank where fuel is counted.
fn refill(store: &mut Store<StoreLimits>, metered: bool) -> wasmtime::Result<()> {
    store.set_epoch_deadline(DEADLINE.as_millis() as u64 / TICK.as_millis() as u64);
    if metered { store.set_fuel(u64::MAX) } else { Ok(()) }
}

/// A thread that advances the engine's epoch until it is dropped.
struct Ticker(Arc<AtomicBool>);

impl Ticker {
    fn start(engine: Engine) -> Self {
        let running = Arc::new(AtomicBool::new(true));
        let weak = engine.weak();
        let seen = Arc::clone(&running);
        thread::spawn(move || {
            while seen.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                let Some(engine) = weak.upgrade() else { return };
                engine.increment_epoch();
            }
        });
        Self(running)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
