//! How large blobs of typical experiments are: as they are, and compressed as they travel.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark stops when its set-up is wrong, and prints"
)]
#![allow(clippy::wildcard_imports, reason = "definitions name nearly every type of the module")]
#![allow(
    clippy::allow_attributes,
    reason = "whether a benchmark's items count as documented depends on the harness"
)]

#[path = "../tests/support/mod.rs"]
mod support;
mod typical;

use eval_core::{blob, compile};

fn brotli(bytes: &[u8]) -> usize {
    let mut out = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 24,
        size_hint: bytes.len(),
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &params).unwrap();
    out.len()
}

fn main() {
    for n in [1000, 10_000] {
        let bytes = blob::encode(&compile(&typical::many(n)).unwrap(), 1, 1);
        let zstd = zstd::encode_all(&bytes[..], 19).unwrap().len();
        println!(
            "blob of {n} experiments: {} bytes raw, {zstd} zstd -19, {} brotli 11",
            bytes.len(),
            brotli(&bytes)
        );
    }
}
