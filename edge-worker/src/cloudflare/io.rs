//! What JavaScript does for the service, in `shim/io.js`: reading objects, posting events, filling the queue, waiting.
//!
//! The crate `worker` could do it from here, but its wrappers of requests, responses, streams and bindings make the Worker a fifth
//! larger, used or not, and each call crosses into JavaScript many times. These cross once.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use super::Env;
use crate::events::Forwarded;

#[wasm_bindgen(raw_module = "./io.js")]
extern "C" {
    #[wasm_bindgen(js_name = readObject)]
    fn read_object(env: &Env, base: Option<&str>, key: &str, timeout_ms: u32) -> Promise;
    #[wasm_bindgen(js_name = postEvents)]
    fn post_events(url: &str, headers: &str, body: Uint8Array) -> Promise;
    #[wasm_bindgen(js_name = putMessage)]
    fn put_message(env: &Env, message: Uint8Array) -> Promise;
    fn wait(ms: f64) -> Promise;
}

/// None of the promises is ever rejected: what goes wrong comes as a text.
async fn settled(promise: Promise) -> JsValue {
    JsFuture::from(promise).await.unwrap_or_else(|error| error)
}

fn text(value: &JsValue) -> String {
    value.as_string().unwrap_or_else(|| "an unknown error".to_owned())
}

/// The object's bytes; `None` when the store does not have it. `base` is the URL to read from where no bucket is bound.
pub(super) async fn read(
    env: &Env,
    base: Option<&str>,
    key: &str,
    timeout_ms: u32,
) -> Result<Option<Vec<u8>>, String> {
    let found = settled(read_object(env, base, key, timeout_ms)).await;
    if found.is_undefined() {
        return Ok(None);
    }
    match found.dyn_ref::<Uint8Array>() {
        Some(bytes) => Ok(Some(bytes.to_vec())),
        None => Err(format!("reading {key}: {}", text(&found))),
    }
}

/// Posts a body. `headers` are lines of `name: value`.
pub(super) async fn post(url: &str, headers: &str, body: &[u8]) -> Result<Forwarded, String> {
    let answered = settled(post_events(url, headers, Uint8Array::from(body))).await;
    let Some(parts) = answered.dyn_ref::<Array>() else { return Err(text(&answered)) };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a status has three digits"
    )]
    let status = parts.get(0).as_f64().unwrap_or_default() as u16;
    let (content_type, retry_after) = (parts.get(1).as_string(), parts.get(2).as_string());
    Ok(Forwarded::answered(
        status,
        content_type,
        retry_after,
        Uint8Array::new(&parts.get(3)).to_vec(),
    ))
}

/// Hands a message to the queue; it is durable when this returns.
pub(super) async fn put(env: &Env, message: &[u8]) -> Result<(), String> {
    let put = settled(put_message(env, Uint8Array::from(message))).await;
    if put.is_undefined() { Ok(()) } else { Err(text(&put)) }
}

/// Waits.
pub(super) async fn sleep(ms: u64) {
    settled(wait(ms as f64)).await;
}
