//! The Cloudflare Queue that is bound as `EXPOSURES`, as far as it is needed: the binding's own wrapper would bring a serializer along.

use js_sys::{Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use worker::Env;

/// Name of the binding.
const BINDING: &str = "EXPOSURES";

#[wasm_bindgen]
extern "C" {
    type Producer;

    #[wasm_bindgen(method, catch)]
    fn send(this: &Producer, message: &JsValue, options: &JsValue) -> Result<Promise, JsValue>;
}

/// A queue that takes messages.
pub(super) struct Queue(Producer);

impl Queue {
    /// The bound queue, if there is one.
    pub(super) fn bound(env: &Env) -> Option<Self> {
        let binding = Reflect::get(env, &BINDING.into()).ok()?;
        binding.is_object().then(|| Self(binding.unchecked_into()))
    }

    /// Keeps a message; it is durable when this returns.
    pub(super) async fn put(&self, message: &[u8]) -> Result<(), JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"contentType".into(), &"bytes".into())?;
        let sent = self.0.send(&Uint8Array::from(message), &options)?;
        JsFuture::from(sent).await.map(|_| ())
    }
}
