//! A page's bytes on their way through a [`Lookahead`].
//!
//! What takes time here is how often JavaScript is entered, so a page is read in pieces as long as they come, and not
//! in the platform's own of 4 KB, and goes on through a stream that is the platform's from end to end.

use crate::closed::Lookahead;
use js_sys::{Reflect, Uint8Array};
use std::{cell::RefCell, rc::Rc};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, ReadableStreamByobReader, WritableStream, WritableStreamDefaultWriter};
use worker::Context;

/// The longest piece.
const PIECE: u32 = 64 << 10;

#[wasm_bindgen]
extern "C" {
    type IdentityTransformStream;
    #[wasm_bindgen(constructor)]
    fn new() -> IdentityTransformStream;
    #[wasm_bindgen(method, getter)]
    fn readable(this: &IdentityTransformStream) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    fn writable(this: &IdentityTransformStream) -> WritableStream;
}

/// A body whose bytes go through `lookahead` as they come.
///
/// # Errors
/// For a body that is not of bytes or is being read.
pub fn through(
    body: &ReadableStream,
    lookahead: Rc<RefCell<Lookahead>>,
    context: &Context,
) -> Result<ReadableStream, JsValue> {
    let reader = ReadableStreamByobReader::new(body)?;
    let stream = IdentityTransformStream::new();
    let writer = stream.writable().get_writer()?;
    context.wait_until(async move {
        if let Err(error) = pump(&reader, &writer, &lookahead).await {
            // The origin has broken off, or nobody reads any more: each side learns of the other. That they know
            // already is all that can go wrong.
            let _known = JsFuture::from(writer.abort_with_reason(&error)).await;
            let _known = JsFuture::from(reader.cancel_with_reason(&error)).await;
        }
    });
    Ok(stream.readable())
}

async fn pump(
    reader: &ReadableStreamByobReader,
    writer: &WritableStreamDefaultWriter,
    lookahead: &RefCell<Lookahead>,
) -> Result<(), JsValue> {
    let mut room = Uint8Array::new_with_length(PIECE);
    loop {
        let read = JsFuture::from(reader.read_with_array_buffer_view(&room)).await?;
        let done = Reflect::get(&read, &"done".into())?.is_truthy();
        let bytes = if done {
            lookahead.borrow_mut().finish()
        } else {
            let piece: Uint8Array = Reflect::get(&read, &"value".into())?.unchecked_into();
            room = Uint8Array::new(&piece.buffer());
            lookahead.borrow_mut().push(&piece.to_vec())
        };
        if !bytes.is_empty() {
            JsFuture::from(writer.write_with_chunk(&Uint8Array::from(&bytes[..]))).await?;
        }
        if done {
            JsFuture::from(writer.close()).await?;
            return Ok(());
        }
    }
}
