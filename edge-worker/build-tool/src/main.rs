//! `worker-build-tool <name.wasm> <out folder>`: writes `name.js` and `name_bg.wasm`.
//!
//! The Wasm's functions are put into an order that compresses well, see [`order`].
//!
//! The glue is of wasm-bindgen's `web` kind, because that one takes an already compiled `WebAssembly.Module`, which is what
//! Cloudflare hands to a Worker; and it can be reset, so that the shim can replace an instance after a trap.

mod order;

use std::path::Path;

use anyhow::{Context as _, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(input), Some(out)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: worker-build-tool <name.wasm> <out folder>");
    };
    Bindgen::new()
        .input_path(&input)
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        .reset_state_function(true)
        .remove_name_section(false)
        .remove_producers_section(true)
        .generate(Path::new(&out))
        .with_context(|| format!("wasm-bindgen over {input}"))?;
    let name = Path::new(&input).file_stem().context("the input has no name")?;
    let module = Path::new(&out).join(format!("{}_bg.wasm", name.display()));
    let ordered = order::ordered(&std::fs::read(&module)?)?;
    std::fs::write(&module, ordered).with_context(|| format!("writing {}", module.display()))
}
