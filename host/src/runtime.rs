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

/// Interval of the clock that interrupts calls.
const TICK: Duration = Duration::from_millis(50);

/// Maximum memory of an instance in bytes: the limit for which the module is linked.
const MAX_MEMORY: usize = 1 << 30;

/// Bytes of an instance's memory that stay mapped for the next one in the same slot of a pool.
const KEEP_RESIDENT: usize = 256 << 10;

/// Compiled module. Clones share the compiled code.
///
/// wasmtime's settings make results byte-identical to other engines: no relaxed SIMD, no threads. [`Limits`] bound
/// calls.
#[derive(Clone)]
pub struct Runtime {
    module: Module,
    digest: Digest,
    limits: Limits,
    ticker: Arc<Ticker>,
}

/// Limits of a call.
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
    /// Maximum time of one call (default: 30 s), to within 50 ms.
    pub deadline: Duration,
    /// Maximum wasmtime fuel for each call, independent of the machine (default: unlimited). A batch of 64 orders over
    /// 12 nodes uses about 10⁹.
    pub fuel: Option<u64>,
    /// Maximum memory of an instance, including packs and snapshot, in bytes (default and maximum: 1 GiB).
    pub memory: usize,
}

/// Options for compiling the module and creating instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuntimeConfig {
    /// Limits of a call.
    pub limits: Limits,
    /// Maximum number of concurrent instances, with memory reserved in a pool; `None` creates each on demand.
    pub pool: Option<u32>,
    /// Folder that keeps compiled code for the next start. Its contents are executed unchecked, so nobody else may have
    /// write access.
    pub cache: Option<PathBuf>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(30), fuel: None, memory: MAX_MEMORY }
    }
}

impl Limits {
    /// Sets the maximum time of one call.
    #[must_use]
    pub const fn deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Sets the maximum fuel for each call, or disables fuel.
    #[must_use]
    pub const fn fuel(self, fuel: Option<u64>) -> Self {
        Self { fuel, ..self }
    }

    /// Sets the maximum memory of an instance, in bytes.
    #[must_use]
    pub const fn memory(self, memory: usize) -> Self {
        Self { memory, ..self }
    }
}

impl RuntimeConfig {
    /// Sets the limits of a call.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Reserves memory for this number of instances, or creates each on demand.
    #[must_use]
    pub fn pool(self, pool: Option<u32>) -> Self {
        Self { pool, ..self }
    }

    /// Keeps compiled code in a private folder, or not at all.
    #[must_use]
    pub fn cache(self, cache: Option<PathBuf>) -> Self {
        Self { cache, ..self }
    }
}

/// Instance of the module under wasmtime.
pub struct WasmInstance {
    store: Store<StoreLimits>,
    memory: Memory,
    exports: Exports,
    limits: Limits,
    /// Deadlines work as long as instances exist.
    _ticker: Arc<Ticker>,
}

/// Guest under wasmtime: see [`Runtime::unverified_guest`].
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
    /// Compiles the module, which takes tenths of a second.
    ///
    /// # Errors
    /// [`GuestError::Module`] if the bytes are not a module, or it has imports.
    pub fn new(wasm: &[u8]) -> Result<Self, GuestError> {
        Self::with(wasm, &RuntimeConfig::default())
    }

    /// Like [`new`](Self::new), with fuel counting: see [`WasmInstance::fuel_used`].
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn metered(wasm: &[u8]) -> Result<Self, GuestError> {
        let limits = Limits::default().fuel(Some(u64::MAX));
        Self::with(wasm, &RuntimeConfig::default().limits(limits))
    }

    /// Like [`new`](Self::new), with options.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and if the folder for compiled code is not private.
    pub fn with(wasm: &[u8], RuntimeConfig { limits, pool, cache }: &RuntimeConfig) -> Result<Self, GuestError> {
        let module_error = |error| GuestError::Module(said(error));
        let mut config = Config::new();
        config.wasm_simd(true).wasm_relaxed_simd(false).epoch_interruption(true).consume_fuel(limits.fuel.is_some());
        if let Some(instances) = *pool {
            let mut pool = PoolingAllocationConfig::default();
            pool.total_core_instances(instances).total_memories(instances).total_tables(4 * instances);
            pool.max_tables_per_module(4).max_memory_size(MAX_MEMORY);
            // If the kernel reports written pages (Linux 6.7), only those are reset.
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

    /// Creates an instance that loads any bytes, for tests of the module itself. All other code uses
    /// [`Tradewind`](crate::Tradewind), which loads only [verified](crate::Verified) files.
    ///
    /// # Errors
    /// [`GuestError::Module`] if an export is missing, [`GuestError::Abi`] for another version.
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
    /// Fuel used by the last request; 0 without fuel counting.
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

/// Creates a folder without write access for others, or checks an existing one.
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
            return Err("others have write access to it, and its code is executed unchecked: `chmod 700` it".into());
        }
    }
    Ok(())
}

/// Complete error text of a trap.
fn said(error: wasmtime::Error) -> String {
    format!("{error:#}")
}

/// Resets the deadline, and the fuel if it is counted.
fn refill(store: &mut Store<StoreLimits>, limits: Limits) -> wasmtime::Result<()> {
    store.set_epoch_deadline((limits.deadline.as_millis() / TICK.as_millis()).max(1) as u64);
    limits.fuel.map_or(Ok(()), |fuel| store.set_fuel(fuel))
}

/// Thread that advances the engine's epoch until dropped.
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
