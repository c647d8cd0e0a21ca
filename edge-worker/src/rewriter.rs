//! The platform's `HTMLRewriter`, which rewrites a page while it streams.

use js_sys::{Object, Reflect};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = HTMLRewriter)]
    pub type HtmlRewriter;
    #[wasm_bindgen(constructor, js_class = "HTMLRewriter")]
    pub fn new() -> HtmlRewriter;
    #[wasm_bindgen(method, js_name = on)]
    fn on_object(this: &HtmlRewriter, selector: &str, handlers: &Object) -> HtmlRewriter;
    #[wasm_bindgen(method, js_name = onDocument)]
    fn on_document(this: &HtmlRewriter, handlers: &Object) -> HtmlRewriter;
    #[wasm_bindgen(method)]
    pub fn transform(this: &HtmlRewriter, response: &web_sys::Response) -> web_sys::Response;

    /// An element whose start tag has come.
    pub type Element;
    #[wasm_bindgen(method, js_name = getAttribute)]
    pub fn attribute(this: &Element, name: &str) -> Option<String>;
    #[wasm_bindgen(method, catch, js_name = setAttribute)]
    pub fn set_attribute(this: &Element, name: &str, value: &str) -> Result<Element, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setInnerContent)]
    fn set_inner(this: &Element, content: &str, options: &JsValue) -> Result<Element, JsValue>;
    #[wasm_bindgen(method, catch, js_name = onEndTag)]
    fn on_end_tag(this: &Element, handler: &JsValue) -> Result<(), JsValue>;

    type EndTag;
    #[wasm_bindgen(method, catch)]
    fn before(this: &EndTag, content: &str, options: &JsValue) -> Result<EndTag, JsValue>;

    type DocumentEnd;
    #[wasm_bindgen(method, catch)]
    fn append(this: &DocumentEnd, content: &str, options: &JsValue) -> Result<DocumentEnd, JsValue>;
}

impl HtmlRewriter {
    /// Calls `handler` with each element that a selector finds.
    pub fn on(self, selector: &str, handler: impl FnMut(Element) + 'static) -> Self {
        self.on_object(selector, &handlers("element", Closure::new(handler)))
    }

    /// Calls `handler` once, where the page has ended, and appends what it gives.
    pub fn at_end(self, mut handler: impl FnMut() -> String + 'static) -> Self {
        let append = move |end: DocumentEnd| {
            // A page that is gone cannot be appended to, and nobody misses it.
            let _gone = end.append(&handler(), &html());
        };
        self.on_document(&handlers("end", Closure::new(append)))
    }
}

impl Element {
    /// Replaces what is in the element.
    pub fn fill(&self, content: &str) -> Result<Element, JsValue> {
        self.set_inner(content, &html())
    }

    /// Calls `handler` where the element's end tag comes, if it has one, and puts what it gives before it.
    pub fn before_end(&self, mut handler: impl FnMut() -> String + 'static) -> Result<(), JsValue> {
        let before = move |end: EndTag| {
            let _gone = end.before(&handler(), &html());
        };
        self.on_end_tag(&Closure::<dyn FnMut(EndTag)>::new(before).into_js_value())
    }
}

/// An object with one handler, which is dropped when the engine drops the object.
fn handlers<T: wasm_bindgen::closure::WasmClosure + ?Sized>(name: &str, handler: Closure<T>) -> Object {
    let handlers = Object::new();
    // A new object takes any property.
    let _set = Reflect::set(&handlers, &name.into(), &handler.into_js_value());
    handlers
}

/// Content is HTML, not text.
fn html() -> JsValue {
    let options = Object::new();
    let _set = Reflect::set(&options, &"html".into(), &JsValue::TRUE);
    options.into()
}
