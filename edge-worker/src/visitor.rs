//! Who sends a request: the region that was chosen, and what the platform says of the place.

use crate::region::Place;
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use worker::Request;

/// Who asks, as far as a request says.
pub struct Visitor {
    /// The code of a region that the shopper chose.
    pub code: Option<String>,
    /// Where the request comes from.
    pub place: Option<Place>,
}

impl Visitor {
    /// Who sends a request.
    pub fn of(request: &Request) -> Self {
        Self { code: cookie(request, "tw_region"), place: place(request) }
    }
}

/// A cookie's value.
pub fn cookie(request: &Request, name: &str) -> Option<String> {
    let cookies = request.headers().get("cookie").ok()??;
    let mut pairs = cookies.split(';').filter_map(|cookie| cookie.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// Where the platform says that a request comes from. Not by `worker::Cf`, which panics where a coordinate is no number.
fn place(request: &Request) -> Option<Place> {
    let cf = Reflect::get(request.inner(), &"cf".into()).ok().filter(JsValue::is_object)?;
    let text = |name: &str| Reflect::get(&cf, &name.into()).ok()?.as_string();
    let degrees = |name: &str| text(name)?.parse().ok();
    Some(Place { country: text("country")?, latitude: degrees("latitude")?, longitude: degrees("longitude")? })
}
