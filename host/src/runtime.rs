//! `tradewind.wasm` under wasmtime.

use crate::trust::sha256;
use std::{
    fs::DirBuilder,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};
use tradewind_core::{
    Digest,
    guest::{GuestError, Instance, ModuleGuest},
};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, Memory, Module, PoolingAllocationConfig,
    Store, StoreLimits, StoreLimitsBuilder, TypedFunc,
};

/// How often the clock that stops calls ticks.
const TICK: Duration = Duration::from_millis(50);

/// The most memory an instance may have, in bytes: what the module itself is linked for.
const MAX_MEMORY: usize = 128 << 20;

/// What of an instance's memory stays mapped between two that use the same place of a pool, in bytes.
const KEEP_RESIDENT: usize = 256 << 10;

/// The module, compiled. Clones share the compiled code.
///
/// Settings are those under which every engine gives the same bytes: no relaxed SIMD, no threads.
/// What a call may take, [`Limits`] say.
#[derive(Clone)]
pub struct Runtime {
    module: Module,
    digest: Digest,
    limits: Limits,
    ticker: Arc<Ticker>,
}

/// What a call may take before it is stopped.
///
/// ```
/// use std::time::Duration;
/// use tradewind_host::Limits;
///
/// let limits = Limits::default().deadline(Duration::from_millis(500)).memory(64 << 20);
/// assert_eq!(limits.fuel, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How long one call may take (default: 30 s), to within 50 ms.
    pub deadline: Duration,
    /// The most wasmtime fuel for each call, which does not depend on the machine (default: unlimited). A batch of
    /// 64 orders over 12 nodes uses about 10⁹.
    pub fuel: Option<u64>,
    /// The most memory of an instance, packs and snapshot included, in bytes (default and maximum: 128 MiB).
    pub memory: usize,
}

/// How the module is compiled and its instances are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeConfig {
    /// What a call may take.
    pub limits: Limits,
    /// At most so many instances at a time, from a pool that is reserved beforehand; each on demand when absent.
    pub pool: Option<u32>,
    /// A folder for compiled code, which is there at the next start. What lies in it is run as it is found, so
    /// nobody else may write to it.
    pub cache: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), fuel: None, memory: MAX_MEMORY }
    }
}

impl Limits {
    /// Sets how long one call may take.
    #[must_use]
    pub const fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sets the most fuel for each call, or counts none.
    #[must_use]
    pub const fn fuel(self, fuel: Option<u64>) -> Self {
        Self { fuel, ..self }
    }

    /// Sets the most memory of an instance, in bytes.
    #[must_use]
    pub const fn memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }
}

impl RuntimeConfig {
    /// Sets what a call may take.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Reserves memory for this many instances, or makes each on demand.
    #[must_use]
    pub fn pool(self, pool: Option<u32>) -> Self {
        Self { pool, ..self }
    }

    /// Keeps compiled code in a private folder, or nowhere.
    #[must_use]
    pub fn cache(self, cache: Option<PathBuf>) -> Self {
        Self { cache, ..self }
    }
}

/// An instance of the module under wasmtime.
pub struct WasmInstance {
    store: Store<StoreLimits>,
    memory: Memory,
    exports: Exports,
    limits: Limits,
    /// Calls have deadlines for as long as there are instances.
    _ticker: Arc<Ticker>,
}

/// A guest under wasmtime: see [`Runtime::unverified_guest`].
pub type WasmGuest = ModuleGuest<WasmInstance>;

struct Exports {
    abi_version: TypedFunc<(), u32>,
    alloc: TypedFunc<u32, u32>,
    dealloc: TypedFunc<(u32, u32), ()>,
    load: TypedFunc<(u32, u32), u32>,
    call: TypedFunc<(u32, u32), u32>,
    score: TypedFunc<(u32, u32, u32, u32, u32, u32), u32>,
}

impl Runtime {
    /// Compiles the module. Takes tenths of a second.
    ///
    /// # Errors
    /// [`GuestError::Module`] when the bytes are no module, or it imports something.
    pub fn new(wasm: &[u8]) -> Result<Self, GuestError> {
        Self::with(wasm, &RuntimeConfig::default())
    }

    /// As [`new`](Self::new), counting fuel: see [`WasmInstance::fuel_used`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn metered(wasm: &[u8]) -> Result<Self, GuestError> {
        let limits = Limits::default().fuel(Some(u64::MAX));
        Self::with(wasm, &RuntimeConfig::default().limits(limits))
    }

    /// As [`new`](Self::new), as it is configured.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the folder for compiled code is not private.
    pub fn with(wasm: &[u8], RuntimeConfig { limits, pool, cache }: &RuntimeConfig) -> Result<Self, GuestError> {
        let module_error = |error| GuestError::Module(said(error));
        let mut config = Config::new();
        config.wasm_simd(true).wasm_relaxed_simd(false).epoch_interruption(true).consume_fuel(limits.fuel.is_some());
        if let Some(instances) = *pool {
            let mut pool = PoolingAllocationConfig::default();
            pool.total_core_instances(instances).total_memories(instances).total_tables(4 * instances);
            pool.max_tables_per_module(4).max_memory_size(MAX_MEMORY);
            // Where the kernel can say which pages were written (Linux 6.7), only those are put back.
            pool.linear_memory_keep_resident(KEEP_RESIDENT).pagemap_scan(Enabled::Auto);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
        if let Some(folder) = cache {
            make_private(folder).map_err(|why| GuestError::Module(format!("`{}`: {why}", folder.display())))?;
            let mut cache = CacheConfig::new();
            cache.with_directory(folder);
            config.cache(Some(Cache::new(cache).map_err(module_error)?));
        }
        let engine = Engine::new(&config).map_err(module_error)?;
        let module = Module::from_binary(&engine, wasm).map_err(module_error)?;
        if let Some(import) = module.imports().next() {
            let name = format!("it imports `{}` from `{}`; it must import nothing", import.name(), import.module());
            return Err(GuestError::Module(name));
        }
        Ok(Self { module, digest: sha256(wasm), limits: *limits, ticker: Arc::new(Ticker::start(engine)) })
    }

    /// SHA-256 of the module.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// A new instance that loads whatever bytes it is given: for tests of the module itself. Everything else goes
    /// through [`Tradewind`](crate::Tradewind), which loads [verified](crate::Verified) files only.
    ///
    /// # Errors
    /// [`GuestError::Module`] when an export is missing, [`GuestError::Abi`] when it is another
    /// version.
    pub fn unverified_guest(&self) -> Result<WasmGuest, GuestError> {
        let memory = self.limits.memory.min(MAX_MEMORY);
        let limits = StoreLimitsBuilder::new().memory_size(memory).instances(1).memories(1).tables(4).build();
        let mut store = Store::new(self.module.engine(), limits);
        store.limiter(|limits| limits);
        let module_error = |error| GuestError::Module(said(error));
        refill(&mut store, self.limits).map_err(module_error)?;
        let instance = wasmtime::Instance::new(&mut store, &self.module, &[]).map_err(module_error)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| GuestError::Module("it does not export `memory`".into()))?;
        let exports = Exports {
            abi_version: instance.get_typed_func(&mut store, "abi_version").map_err(module_error)?,
            alloc: instance.get_typed_func(&mut store, "alloc").map_err(module_error)?,
            dealloc: instance.get_typed_func(&mut store, "dealloc").map_err(module_error)?,
            load: instance.get_typed_func(&mut store, "load").map_err(module_error)?,
            call: instance.get_typed_func(&mut store, "call").map_err(module_error)?,
            score: instance.get_typed_func(&mut store, "score").map_err(module_error)?,
        };
        let ticker = Arc::clone(&self.ticker);
        ModuleGuest::new(WasmInstance { store, memory, exports, limits: self.limits, _ticker: ticker })
    }
}

impl WasmInstance {
    /// Fuel that the last request used; 0 where none is counted.
    pub fn fuel_used(&self) -> u64 {
        let left = self.store.get_fuel().ok();
        self.limits.fuel.zip(left).map_or(0, |(full, left)| full - left)
    }
}

impl Instance for WasmInstance {
    fn begin(&mut self) -> Result<(), String> {
        refill(&mut self.store, self.limits).map_err(said)
    }

    fn abi_version(&mut self) -> Result<u32, String> {
        self.exports.abi_version.call(&mut self.store, ()).map_err(said)
    }

    fn alloc(&mut self, len: u32) -> Result<u32, String> {
        self.exports.alloc.call(&mut self.store, len).map_err(said)
    }

    fn dealloc(&mut self, ptr: u32, len: u32) -> Result<(), String> {
        self.exports.dealloc.call(&mut self.store, (ptr, len)).map_err(said)
    }

    fn load(&mut self, ptr: u32, len: u32) -> Result<u32, String> {
        self.exports.load.call(&mut self.store, (ptr, len)).map_err(said)
    }

    fn call(&mut self, ptr: u32, len: u32) -> Result<u32, String> {
        self.exports.call.call(&mut self.store, (ptr, len)).map_err(said)
    }

    fn score(&mut self, pack: u32, input: (u32, u32), rows: u32, output: (u32, u32)) -> Result<u32, String> {
        let arguments = (pack, input.0, input.1, rows, output.0, output.1);
        self.exports.score.call(&mut self.store, arguments).map_err(said)
    }

    fn read(&mut self, ptr: u32, bytes: &mut [u8]) -> bool {
        self.memory.read(&self.store, ptr as usize, bytes).is_ok()
    }

    fn write(&mut self, ptr: u32, bytes: &[u8]) -> bool {
        self.memory.write(&mut self.store, ptr as usize, bytes).is_ok()
    }

    fn memory_len(&self) -> usize {
        self.memory.data_size(&self.store)
    }
}

/// Makes a folder that nobody else may write to, or checks that it is one.
fn make_private(folder: &Path) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(said)?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&folder.metadata().map_err(said)?);
        if mode & 0o022 != 0 {
            return Err("others may write to it, and compiled code is run as it is found: `chmod 700` it".into());
        }
    }
    Ok(())
}

/// Everything an engine says of a trap.
fn said(error: wasmtime::Error) -> String {
    format!("{error:#}")
}

/// Gives the next call a fresh deadline, and a full tank where fuel is counted.
fn refill(store: &mut Store<StoreLimits>, limits: Limits) -> wasmtime::Result<()> {
    store.set_epoch_deadline((limits.deadline.as_millis() / TICK.as_millis()).max(1) as u64);
    limits.fuel.map_or(Ok(()), |fuel| store.set_fuel(fuel))
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
