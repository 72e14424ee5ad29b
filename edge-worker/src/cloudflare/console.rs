//! The Worker's log: lines of Cloudflare's console.

use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// Writes a line as an error.
    #[wasm_bindgen(js_namespace = console)]
    pub(super) fn error(line: &str);

    /// Writes a line and what JavaScript threw.
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    pub(super) fn error_of(line: &str, thrown: &JsValue);

    /// Writes a line as a warning.
    #[wasm_bindgen(js_namespace = console)]
    pub(super) fn warn(line: &str);
}
