//! The module under JavaScript: in a page, a web worker, or a Worker at the edge.

use js_sys::{
    Function, Object, Reflect, Uint8Array,
    WebAssembly::{self, Memory, Module},
};
use tradewind_core::guest::{GuestError, Instance, ModuleGuest};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = String, catch)]
    fn string(value: &JsValue) -> Result<String, JsValue>;
}

/// Instance of the module in the current engine.
#[derive(Debug)]
pub struct JsInstance {
    memory: Memory,
    exports: Exports,
}

#[derive(Debug)]
struct Exports {
    abi_version: Function,
    alloc: Function,
    dealloc: Function,
    load: Function,
    call: Function,
    score: Function,
}

/// Guest in the current engine.
pub type JsGuest = ModuleGuest<JsInstance>;

/// Instantiates a compiled module.
///
/// # Errors
/// [`GuestError::Module`] if it has imports or lacks an export, [`GuestError::Abi`] for another version.
pub fn instantiate(module: &Module) -> Result<JsGuest, GuestError> {
    instantiate_with(module, |export| export)
}

/// Instantiates a module whose exported functions are wrapped by `through`.
///
/// # Errors
/// As for [`instantiate`].
pub fn instantiate_with(module: &Module, through: impl Fn(Function) -> Function) -> Result<JsGuest, GuestError> {
    if let Some(import) = Module::imports(module).iter().next() {
        let part =
            |name: &str| Reflect::get(&import, &name.into()).ok().and_then(|part| part.as_string()).unwrap_or_default();
        return Err(GuestError::Module(format!(
            "it imports `{}` from `{}`; it must import nothing",
            part("name"),
            part("module")
        )));
    }
    let instance =
        WebAssembly::Instance::new(module, &Object::new()).map_err(|error| GuestError::Module(said(&error)))?;
    let exports = instance.exports();
    let export = |name: &str| {
        let export = Reflect::get(&exports, &name.into()).unwrap_or(JsValue::UNDEFINED);
        export.dyn_into().map(&through).map_err(|_| missing(name))
    };
    let memory = Reflect::get(&exports, &"memory".into()).unwrap_or(JsValue::UNDEFINED);
    JsGuest::new(JsInstance {
        memory: memory.dyn_into().map_err(|_| missing("memory"))?,
        exports: Exports {
            abi_version: export("abi_version")?,
            alloc: export("alloc")?,
            dealloc: export("dealloc")?,
            load: export("load")?,
            call: export("call")?,
            score: export("score")?,
        },
    })
}

impl JsInstance {
    /// View of a range of the memory, if the range is inside. Growth of the memory invalidates it.
    fn view(&self, ptr: u32, len: usize) -> Option<Uint8Array> {
        let end = ptr.checked_add(u32::try_from(len).ok()?)?;
        let memory = Uint8Array::new(&self.memory.buffer());
        (end <= memory.length()).then(|| memory.subarray(ptr, end))
    }
}

impl Instance for JsInstance {
    fn abi_version(&mut self) -> Result<u32, String> {
        number(self.exports.abi_version.call0(&JsValue::UNDEFINED))
    }

    fn alloc(&mut self, len: u32) -> Result<u32, String> {
        number(self.exports.alloc.call1(&JsValue::UNDEFINED, &len.into()))
    }

    fn dealloc(&mut self, ptr: u32, len: u32) -> Result<(), String> {
        let done = self.exports.dealloc.call2(&JsValue::UNDEFINED, &ptr.into(), &len.into());
        done.map(|_| ()).map_err(|error| said(&error))
    }

    fn load(&mut self, ptr: u32, len: u32) -> Result<u32, String> {
        number(self.exports.load.call2(&JsValue::UNDEFINED, &ptr.into(), &len.into()))
    }

    fn call(&mut self, ptr: u32, len: u32) -> Result<u32, String> {
        number(self.exports.call.call2(&JsValue::UNDEFINED, &ptr.into(), &len.into()))
    }

    fn score(&mut self, pack: u32, input: (u32, u32), rows: u32, output: (u32, u32)) -> Result<u32, String> {
        let arguments = [pack, input.0, input.1, rows, output.0, output.1].map(JsValue::from);
        number(self.exports.score.apply(&JsValue::UNDEFINED, &arguments.iter().collect()))
    }

    fn read(&mut self, ptr: u32, bytes: &mut [u8]) -> bool {
        self.view(ptr, bytes.len()).map(|view| view.copy_to(bytes)).is_some()
    }

    fn write(&mut self, ptr: u32, bytes: &[u8]) -> bool {
        self.view(ptr, bytes.len()).map(|view| view.copy_from(bytes)).is_some()
    }

    fn memory_len(&self) -> usize {
        Uint8Array::new(&self.memory.buffer()).length() as usize
    }
}

/// Result of an export. JavaScript sees an `i32`, and pointers in the upper half as negative.
fn number(result: Result<JsValue, JsValue>) -> Result<u32, String> {
    let value = result.map_err(|error| said(&error))?;
    match value.as_f64() {
        Some(number) if number == f64::from(number as i32) => Ok(number as i32 as u32),
        _ => Err("an export did not return an i32".into()),
    }
}

/// Message of an exception.
pub fn said(error: &JsValue) -> String {
    // `Debug` would add more code to a page than everything else here.
    string(error).unwrap_or_else(|_| "an exception without text".into())
}

fn missing(export: &str) -> GuestError {
    GuestError::Module(format!("it does not export `{export}`"))
}
