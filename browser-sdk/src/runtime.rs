//! The loaded module, and what a page asks of it.

use crate::{
    error::{client, input, refused},
    pack::Pack,
    products::listed,
    reply, request,
    value::object,
};
use js_sys::{Array, Uint8Array, WebAssembly::Module};
use tradewind_core::{
    Millis,
    guest::{Ask, Client, ClientError, GuestError, Revived},
    pack::Digest,
    quote::QuoteRequest,
    rank::RankRequest,
    snapshot::{Code as Place, Storefront},
};
use tradewind_js::{JsGuest, instantiate};
use wasm_bindgen::prelude::*;

type Make = Box<dyn FnMut() -> Result<Client<JsGuest>, ClientError<GuestError>>>;

/// The module with packs and snapshot loaded; a new instance of it after a trap.
#[wasm_bindgen]
pub struct Runtime {
    guest: Revived<JsGuest, Make>,
    /// The name of the pack that ranks.
    ranker: Option<String>,
    snapshot: Option<(Digest, Storefront)>,
}

#[wasm_bindgen]
impl Runtime {
    /// The module with these packs and this snapshot, which are verified.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    #[wasm_bindgen(constructor)]
    pub fn new(module: Module, packs: Vec<Pack>, snapshot: Option<Pack>) -> Result<Runtime, JsValue> {
        let mut ranker = None;
        for pack in &packs {
            let view = pack.view()?;
            if view.ranks() {
                ranker = Some(view.manifest().name.clone());
            }
        }
        let listed = match &snapshot {
            None => None,
            Some(file) => {
                let view = file.view()?;
                Some((view.root(), Storefront::listed(&view).map_err(|why| refused(&why))?))
            }
        };
        let packs = packs.into_iter().map(Pack::checked).collect::<Result<Vec<_>, _>>()?;
        let file = snapshot.map(Pack::checked).transpose()?;
        let make: Make = Box::new(move || {
            let mut client = Client::new(instantiate(&module).map_err(ClientError::Guest)?);
            packs.iter().try_for_each(|pack| client.load(pack).map(|_| ()))?;
            file.iter().try_for_each(|snapshot| client.load_snapshot(snapshot).map(|_| ()))?;
            Ok(client)
        });
        Ok(Self { guest: Revived::new(make).map_err(client)?, ranker, snapshot: listed })
    }

    /// Ranks.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub fn rank(&mut self, request: &JsValue) -> Result<JsValue, JsValue> {
        let ranker =
            self.ranker.as_ref().ok_or_else(|| input(&["no pack that ranks is loaded; name one in `packs`"]))?;
        let request = request::rank(request, ranker)?;
        let ranking = self.guest.client().map_err(client)?.rank(request).map_err(client)?;
        Ok(reply::ranking(&ranking))
    }

    /// Prices a product.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub fn quote(&mut self, request: &JsValue) -> Result<JsValue, JsValue> {
        let (root, storefront) = self.snapshot()?;
        let (request, currency) = (request::quote(request, *root)?, storefront.currency);
        let quote = self.guest.client().map_err(client)?.quote(request).map_err(client)?;
        Ok(reply::quote(&quote, currency))
    }

    /// What everyone may know of products, in the order of their SKUs.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    pub fn products(&self, skus: &Array, region: Option<String>, at: f64) -> Result<Array, JsValue> {
        let (_, storefront) = self.snapshot()?;
        let region = match region {
            None => None,
            Some(code) => {
                let code = Place::new(code).map_err(|why| refused(&why))?;
                let found = storefront.regions.iter().find(|region| region.code == code);
                Some(found.ok_or_else(|| input(&["the snapshot has no region `", code.as_str(), "`"]))?)
            }
        };
        let one = |sku: JsValue| listed(storefront, &sku.as_string().unwrap_or_default(), region, Millis(at as i64));
        Ok(skus.iter().map(one).collect())
    }

    /// Hands over the bytes of a request and returns those of the reply, which may be a fault.
    ///
    /// # Errors
    /// An `Error` with a `code` where there is no reply.
    pub fn exchange(&mut self, request: Vec<u8>) -> Result<Vec<u8>, JsValue> {
        self.guest.client().map_err(client)?.exchange(request).map_err(client)
    }

    /// The bytes of the last request and its reply, once.
    ///
    /// # Errors
    /// An `Error` with a `code`.
    #[wasm_bindgen(js_name = takeExchange)]
    pub fn take_exchange(&mut self) -> Result<JsValue, JsValue> {
        let exchange = self.guest.client().map_err(client)?.take_exchange();
        Ok(exchange.map_or(JsValue::NULL, |exchange| {
            object([
                ("request", Uint8Array::from(&exchange.request[..]).into()),
                ("reply", Uint8Array::from(&exchange.reply[..]).into()),
            ])
        }))
    }

    /// A ranking that was made elsewhere, from the bytes of its reply.
    ///
    /// # Errors
    /// An `Error` with a `code` for any other bytes.
    #[wasm_bindgen(js_name = readRanking)]
    pub fn read_ranking(&self, bytes: &[u8]) -> Result<JsValue, JsValue> {
        RankRequest::read(bytes).map(|ranking| reply::ranking(&ranking)).map_err(client)
    }

    /// A price that was made elsewhere, from the bytes of its reply.
    ///
    /// # Errors
    /// An `Error` with a `code` for any other bytes.
    #[wasm_bindgen(js_name = readQuote)]
    pub fn read_quote(&self, bytes: &[u8]) -> Result<JsValue, JsValue> {
        let (_, storefront) = self.snapshot()?;
        QuoteRequest::read(bytes).map(|quote| reply::quote(&quote, storefront.currency)).map_err(client)
    }

    /// What a profile holds, for people.
    ///
    /// # Errors
    /// An `Error` with a `code` for bytes that are none.
    pub fn profile(&self, bytes: &JsValue, at: f64) -> Result<JsValue, JsValue> {
        Ok(reply::profile(&request::profile(bytes)?, Millis(at as i64)))
    }

    fn snapshot(&self) -> Result<&(Digest, Storefront), JsValue> {
        self.snapshot.as_ref().ok_or_else(|| input(&["no snapshot is loaded; name one in `snapshot`"]))
    }
}
