//! A shop that is loaded, and what is asked of it.

use crate::{
    config::{Config, Product},
    region,
    text::Words,
    visitor::Visitor,
};
use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc};
use tradewind_core::{
    Catalog, Millis, Sku, SkuBits,
    guest::{Client, ClientError, Exchange, GuestError, Revived},
    insight::{InsightRequest, Insights},
    message::{Fault, PackInfo},
    quote::{Quote, QuoteRequest},
    rank::{RankRequest, Ranking},
    snapshot::{Region, Snapshot},
};
use tradewind_js::JsGuest;
use wasm_bindgen::prelude::wasm_bindgen;

/// Makes another instance of the module, with everything loaded.
pub type Make = Box<dyn FnMut() -> Result<Client<JsGuest>, Trouble>>;

/// A shop that is loaded. What is answered from it keeps it until it has ended.
#[wasm_bindgen]
pub struct Shop(Rc<Inside>);

/// Everything that requests are answered from.
pub struct Inside {
    /// The configuration.
    pub config: Config,
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Products' texts, by SKU.
    pub products: HashMap<String, Product>,
    /// Prices and dates in the shop's language.
    pub words: Words,
    /// The packs.
    pub packs: Vec<PackInfo>,
    /// The pack that ranks, and the products that it knows.
    pub ranker: Option<(String, Catalog)>,
    /// Those of them that can be shown.
    pub shown: SkuBits,
    /// The module.
    pub guest: RefCell<Revived<JsGuest, Make>>,
}

/// Why there is no answer: what the module says of the question, or something in the shop's inside.
#[wasm_bindgen]
#[derive(Debug, Clone)]
pub struct Trouble {
    message: String,
    fault: Option<Fault>,
}

#[wasm_bindgen]
impl Shop {
    /// The same shop, held by someone else, too.
    pub fn held(&self) -> Shop {
        Self(self.0.clone())
    }

    /// After how many seconds the configuration is looked at again.
    #[wasm_bindgen(getter, js_name = refreshSeconds)]
    pub fn refresh_seconds(&self) -> u32 {
        self.0.config.edge.refresh_seconds
    }
}

impl Shop {
    /// A shop of what was loaded.
    pub fn new(inside: Inside) -> Self {
        Self(Rc::new(inside))
    }

    /// What is loaded.
    pub fn inside(self) -> Rc<Inside> {
        self.0
    }
}

impl Inside {
    /// The moment as of which is decided.
    pub fn now(&self) -> Millis {
        self.config.at.unwrap_or_else(|| Millis(js_sys::Date::now() as i64))
    }

    /// The region from which a request comes: the one that was chosen, or the one that is nearest.
    pub fn region(&self, visitor: &Visitor) -> Option<&Region> {
        let code = match &visitor.code {
            Some(code) => code,
            None => region::nearest(&self.config.edge.regions, visitor.place.as_ref()?)?,
        };
        region_of(&self.snapshot, code)
    }

    /// Ranks.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn rank(&self, request: RankRequest) -> Result<(Ranking, Exchange), Trouble> {
        self.ask(|client| client.rank(request))
    }

    /// Asks an insight.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn insight(&self, request: InsightRequest) -> Result<Insights, Trouble> {
        self.ask(|client| client.insight(request)).map(|(insights, _)| insights)
    }

    /// Prices a product for a region, for what the shop's prices are for.
    ///
    /// # Errors
    /// [`Trouble`].
    pub fn quote(&self, sku: Sku, region: &Region, at: Millis) -> Result<(Quote, Exchange), Trouble> {
        let (snapshot, objective) = (self.snapshot.root, self.config.objective);
        self.ask(|client| {
            client.quote(QuoteRequest { pack: None, snapshot, at, sku, region: region.code.clone(), objective })
        })
    }

    /// Asks the module, in another instance where the last one trapped.
    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Client<JsGuest>) -> Result<T, ClientError<GuestError>>,
    ) -> Result<(T, Exchange), Trouble> {
        let mut guest = self.guest.borrow_mut();
        let client = guest.client()?;
        let answer = question(client)?;
        let exchange = client.take_exchange().ok_or_else(|| Trouble::other("an answer without an exchange"))?;
        Ok((answer, exchange))
    }
}

#[wasm_bindgen]
impl Trouble {
    /// What is wrong, and what to do.
    #[wasm_bindgen(getter)]
    pub fn message(&self) -> String {
        self.message.clone()
    }
}

impl Trouble {
    /// Something in the shop's inside.
    pub fn other(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), fault: None }
    }

    /// Why the module refused the question, if it did.
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

/// The region of a code.
pub fn region_of<'a>(snapshot: &'a Snapshot, code: &str) -> Option<&'a Region> {
    snapshot.storefront.regions.iter().find(|region| region.code.as_str() == code)
}
