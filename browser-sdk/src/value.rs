//! Values of JavaScript, read and made by hand: serde's way takes a page three times the bytes.

use crate::error::input;
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::{JsCast, JsValue};

/// An object that was given, whose fields are read by name.
pub struct Fields<'a>(&'a JsValue);

impl<'a> Fields<'a> {
    /// An object with no other fields than these.
    ///
    /// # Errors
    /// Names what it is not, or what it has too much.
    pub fn of(value: &'a JsValue, what: &str, known: &[&str]) -> Result<Self, JsValue> {
        let object: &Object = value.dyn_ref().ok_or_else(|| input(&[what, " is no object"]))?;
        for key in Object::keys(object).iter() {
            let key = key.as_string().unwrap_or_default();
            if !known.contains(&key.as_str()) {
                return Err(input(&[what, " has an unknown field `", &key, "`; it takes ", &known.join(", ")]));
            }
        }
        Ok(Self(value))
    }

    /// A field; `None` where it is absent, `undefined` or `null`.
    pub fn optional(&self, name: &str) -> Option<JsValue> {
        let value = Reflect::get(self.0, &name.into()).unwrap_or(JsValue::NULL);
        (!value.is_undefined() && !value.is_null()).then_some(value)
    }

    /// A whole number of at most `most`.
    pub fn number(&self, name: &str, most: f64) -> Result<f64, JsValue> {
        self.optional(name)
            .and_then(|value| whole(&value, most))
            .ok_or_else(|| input(&["`", name, "` needs a whole number of at most ", &(most as i64).to_string()]))
    }

    /// A text.
    pub fn text(&self, name: &str) -> Result<String, JsValue> {
        self.optional(name).and_then(|value| value.as_string()).ok_or_else(|| input(&["`", name, "` needs a text"]))
    }

    /// A list; empty where it is absent.
    pub fn list(&self, name: &str) -> Result<Array, JsValue> {
        match self.optional(name) {
            None => Ok(Array::new()),
            Some(value) => value.dyn_into().map_err(|_| input(&["`", name, "` needs a list"])),
        }
    }
}

/// A whole number from 0.
fn whole(value: &JsValue, most: f64) -> Option<f64> {
    value.as_f64().filter(|number| (0.0..=most).contains(number) && *number == (*number as i64) as f64)
}

/// An object with these fields.
pub fn object<const N: usize>(fields: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // A new object takes any property.
        let _set = Reflect::set(&object, &name.into(), &value);
    }
    object.into()
}

/// A number that JavaScript holds exactly: amounts and moments stay far below 2⁵³.
pub fn number(value: i64) -> JsValue {
    (value as f64).into()
}
