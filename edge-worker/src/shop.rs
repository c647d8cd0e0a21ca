//! Loaded shop, and calls of its module.

use crate::{
    config::{Config, Product},
    region,
    text::Words,
    visitor::Visitor,
};
use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc};
use tradewind_core::{
    Millis, Sku, SkuBits,
    guest::{Client, ClientError, Exchange, GuestError, Revived},
    insight::{InsightRequest, Insights},
    message::{Fault, PackInfo},
    quote::{Quote, QuoteRequest},
    rank::{RankRequest, RankTables, Ranking},
    snapshot::{Region, Snapshot},
};
use tradewind_js::JsGuest;
use wasm_bindgen::prelude::wasm_bindgen;

/// Creates another instance of the module, with all files loaded.
pub type Make = Box<dyn FnMut() -> Result<Client<JsGuest>, Trouble>>;

/// Loaded shop. Running requests keep it alive.
#[wasm_bindgen]
pub struct Shop(Rc<Inside>);

/// Data for serving requests.
pub struct Inside {
    /// Configuration.
    pub config: Config,
    /// Snapshot.
    pub snapshot: Snapshot,
    /// Texts of products, by SKU.
    pub products: HashMap<String, Product>,
    /// Formatting of prices and dates in the shop's language.
    pub words: Words,
    /// Loaded packs.
    pub packs: Vec<PackInfo>,
    /// Pack for ranking, with its tables.
    pub ranker: Option<(String, RankTables)>,
    /// Products of that catalogue that can be shown.
    pub shown: SkuBits,
    /// Module.
    pub guest: RefCell<Revived<JsGuest, Make>>,
}

/// Reason for a failure: a fault of the module, or an internal error.
#[wasm_bindgen]
#[derive(Debug, Clone)]
pub struct Trouble {
    message: String,
    fault: Option<Fault>,
}

#[wasm_bindgen]
impl Shop {
    /// Another reference to the same shop.
    pub fn held(&self) -> Shop {
        Self(self.0.clone())
    }

    /// Seconds between checks of the configuration.
    #[wasm_bindgen(getter, js_name = refreshSeconds)]
    pub fn refresh_seconds(&self) -> u32 {
        self.0.config.edge.refresh_seconds
    }
}

impl Shop {
    /// Creates a shop from loaded data.
    pub fn new(inside: Inside) -> Self {
        Self(Rc::new(inside))
    }

    /// Loaded data.
    pub fn inside(self) -> Rc<Inside> {
        self.0
    }
}

impl Inside {
    /// Time of decisions.
    pub fn now(&self) -> Millis {
        self.config.at.unwrap_or_else(|| Millis(js_sys::Date::now() as i64))
    }

    /// Region of a request: the chosen one, or the nearest.
    pub fn region(&self, visitor: &Visitor) -> Option<&Region> {
        let code = match &visitor.code {
            Some(code) => code,
            None => region::nearest(&self.config.edge.regions, visitor.place.as_ref()?)?,
        };
        region_of(&self.snapshot, code)
    }

    /// Ranks products.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn rank(&self, request: RankRequest) -> Result<(Ranking, Exchange), Trouble> {
        self.ask(|client| client.rank(request))
    }

    /// Runs an insight model.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn insight(&self, request: InsightRequest) -> Result<Insights, Trouble> {
        self.ask(|client| client.insight(request)).map(|(insights, _)| insights)
    }

    /// Prices a product for a region, with the shop's goals.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn quote(&self, sku: Sku, region: &Region, at: Millis) -> Result<(Quote, Exchange), Trouble> {
        let (snapshot, objective) = (self.snapshot.root, self.config.objective);
        self.ask(|client| {
            client.quote(QuoteRequest { pack: None, snapshot, at, sku, region: region.code.clone(), objective })
        })
    }

    /// Calls the module, in a new instance after a trap.
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Client<JsGuest>) -> Result<T, ClientError<GuestError>>,
    ) -> Result<(T, Exchange), Trouble> {
        let mut guest = self.guest.borrow_mut();
        let client = guest.client()?;
        let answer = question(client)?;
        let exchange = client.take_exchange().ok_or_else(|| Trouble::other("a reply without an exchange"))?;
        Ok((answer, exchange))
    }
}

#[wasm_bindgen]
impl Trouble {
    /// Fault and advice.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> String {
        self.message.clone()
    }
}

impl Trouble {
    /// Internal error.
    pub fn other(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), fault: None }
    }

    /// Fault of the module, if it refused the request.
    pub const fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self { message: fault.message.clone(), fault: Some(fault) }
    }
}

impl From<ClientError<GuestError>> for Trouble {
    fn from(error: ClientError<GuestError>) -> Self {
        match error {
            ClientError::Fault(fault) => fault.into(),
            ClientError::Guest(error) => Self::other(error),
            ClientError::Protocol(message) => Self::other(message),
        }
    }
}

/// Region with a code.
pub fn region_of<'a>(snapshot: &'a Snapshot, code: &str) -> Option<&'a Region> {
    snapshot.storefront.regions.iter().find(|region| region.code.as_str() == code)
}
