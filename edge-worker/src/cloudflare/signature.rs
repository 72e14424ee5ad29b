//! The publishers' signatures, checked by Web Crypto: the platform's own Ed25519 costs the Worker no bytes and a millisecond at most.

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use super::console;
use crate::trust::SignatureCheck;

const ALGORITHM: &str = "Ed25519";

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = importKey)]
    fn import_key(
        format: &str,
        key: &Uint8Array,
        algorithm: &str,
        extractable: bool,
        usages: &Array,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = ["crypto", "subtle"], js_name = verify)]
    fn verify(
        algorithm: &str,
        key: &JsValue,
        signature: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
}

/// Whether a blob bears out the signature; true where none is asked for.
pub(super) async fn is_authentic(check: Option<&SignatureCheck>, blob: &[u8]) -> bool {
    match check {
        None => true,
        Some(check) => match try_verify(check, blob).await {
            Ok(is_authentic) => is_authentic,
            Err(error) => {
                console::error_of("signature not checked:", &error);
                false
            }
        },
    }
}

async fn try_verify(check: &SignatureCheck, blob: &[u8]) -> Result<bool, JsValue> {
    let key = Uint8Array::from(check.key.bytes().as_slice());
    let usages = Array::of1(&"verify".into());
    let key = JsFuture::from(import_key("raw", &key, ALGORITHM, false, &usages)?).await?;
    let signature = Uint8Array::from(check.signature.as_slice());
    // A copy: Wasm's memory may grow, and so move, before the promise is settled.
    let blob = Uint8Array::from(blob);
    let verified = JsFuture::from(verify(ALGORITHM, &key, &signature, &blob)?).await?;
    Ok(verified.is_truthy())
}
