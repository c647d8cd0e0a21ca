//! Asynchronous work: Rust futures driven by JavaScript.
//!
//! `wasm-bindgen-futures` would run the futures of all requests from one queue, in separate microtasks. There, a trap
//! goes unnoticed, and the future of a cancelled request is never dropped. The request that owns a [`Work`] calls it,
//! and drops it when it ends.

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

/// Future with its state.
#[wasm_bindgen]
pub struct Work(Pin<Box<dyn Future<Output = Result<JsValue, Trouble>>>>);

impl Work {
    /// Creates work that starts at the first call.
    pub fn new<T: Into<JsValue>>(future: impl Future<Output = Result<T, Trouble>> + 'static) -> Self {
        Self(Box::pin(async { future.await.map(Into::into) }))
    }
}

#[wasm_bindgen]
impl Work {
    /// Advances the future. Returns the result as the only element of an array, or `undefined` while it waits; `wake`
    /// is called when it can continue.
    ///
    /// # Errors
    /// The future's error.
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
        // It never throws.
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}
