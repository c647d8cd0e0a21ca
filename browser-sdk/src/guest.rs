//! The loaded module.

use crate::{js::client, pack::Pack};
use js_sys::WebAssembly::Module;
use tradewind_core::guest::{Client, ClientError, GuestError, Revived};
use tradewind_js::{JsGuest, instantiate};
use wasm_bindgen::prelude::*;

type Make = Box<dyn FnMut() -> Result<Client<JsGuest>, ClientError<GuestError>>>;

/// The module with packs and a snapshot loaded; a new instance of it after a trap.
///
/// Every error is an `Error` with a `code`.
#[wasm_bindgen]
pub struct Guest(Revived<JsGuest, Make>);

#[wasm_bindgen]
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Guest {
    /// The module with these packs and this snapshot, which are verified.
    #[wasm_bindgen(constructor)]
    pub fn new(module: Module, packs: Vec<Pack>, snapshot: Option<Pack>) -> Result<Guest, JsValue> {
        let packs = packs.into_iter().map(Pack::checked).collect::<Result<Vec<_>, _>>()?;
        let snapshot = snapshot.map(Pack::checked).transpose()?;
        let make: Make = Box::new(move || {
            let mut client = Client::new(instantiate(&module).map_err(ClientError::Guest)?);
            packs.iter().try_for_each(|pack| client.load(pack).map(|_| ()))?;
            snapshot.iter().try_for_each(|snapshot| client.load_snapshot(snapshot).map(|_| ()))?;
            Ok(client)
        });
        Revived::new(make).map(Self).map_err(client)
    }

    /// Hands over the bytes of a request and returns those of the reply, which may be a fault.
    pub fn exchange(&mut self, request: Vec<u8>) -> Result<Vec<u8>, JsValue> {
        self.0.client().map_err(client)?.exchange(request).map_err(client)
    }
}
