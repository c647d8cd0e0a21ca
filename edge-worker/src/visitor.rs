//! Location of a request's sender: the chosen region, and the platform's location.

use crate::region::Place;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use worker::Request;

/// Sender of a request.
pub struct Visitor {
    /// Code of the region that the shopper chose.
    pub code: Option<String>,
    /// Location of the request.
    pub place: Option<Place>,
}

impl Visitor {
    /// Reads the sender of a request.
    pub fn of(request: &Request) -> Self {
        Self { code: cookie(request, "tw_region"), place: place(request) }
    }
}

/// Value of a cookie.
pub fn cookie(request: &Request, name: &str) -> Option<String> {
    let cookies = request.headers().get("cookie").ok()??;
    let mut pairs = cookies.split(';').filter_map(|cookie| cookie.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// Location of a request, from the platform. `worker::Cf` is not used, because it panics on coordinates that are not
/// numbers.
fn place(request: &Request) -> Option<Place> {
    let cf = Reflect::get(request.inner(), &"cf".into()).ok().filter(JsValue::is_object)?;
    let text = |name: &str| Reflect::get(&cf, &name.into()).ok()?.as_string();
    let degrees = |name: &str| text(name)?.parse().ok();
    Some(Place { country: text("country")?, latitude: degrees("latitude")?, longitude: degrees("longitude")? })
}
