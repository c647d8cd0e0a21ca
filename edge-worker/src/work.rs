//! Work that takes its time: a Rust future that the JavaScript carries on.
//!
//! `wasm-bindgen-futures` would run the futures of all requests from one queue, in microtasks of its own. There, a trap
//! is nobody's exception, and the future of a request that was canceled is never dropped. A [`Work`] is called by the
//! request that it belongs to, like everything else in here, and is gone with it.

use crate::shop::Trouble;
use js_sys::{Array, Function};
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};
use wasm_bindgen::prelude::*;
use worker::send::SendWrapper;

/// A future, and where it is.
#[wasm_bindgen]
pub struct Work(Pin<Box<dyn Future<Output = Result<JsValue, Trouble>>>>);

impl Work {
    /// Work that begins when it is first called.
    pub fn new<T: Into<JsValue>>(future: impl Future<Output = Result<T, Trouble>> + 'static) -> Self {
        Self(Box::pin(async { future.await.map(Into::into) }))
    }
}

#[wasm_bindgen]
impl Work {
    /// Goes on as far as it can. Returns the result, as the only element of an array, or nothing while it waits;
    /// `wake` is called when it should go on.
    ///
    /// # Errors
    /// What went wrong.
    #[wasm_bindgen(js_name = goOn)]
    pub fn go_on(&mut self, wake: Function) -> Result<Option<Array>, Trouble> {
        let waker = Waker::from(Arc::new(Woken(SendWrapper(wake))));
        match self.0.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => result.map(|result| Some(Array::of1(&result))),
            Poll::Pending => Ok(None),
        }
    }
}

struct Woken(SendWrapper<Function>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        // It throws nothing.
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}
