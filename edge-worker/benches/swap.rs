//! What exchanging the config in use for one of 10 000 experiments costs: from the bytes to the moment at which requests are decided by it,
//! hash, checksum, decoding and the freeing of the old one included. The design asks for at most 5 ms. Checking a
//! publisher's signature comes before it where public keys are set.

#[path = "../examples/edge-fixture/many.rs"]
mod many;
#[path = "../examples/edge-fixture/source.rs"]
#[expect(dead_code, reason = "its own config is too small for this")]
mod source;

use std::cell::Cell;

use divan::Bencher;
use ed25519_dalek::{Signer as _, SigningKey};
use edge_worker::config::Pointer;
use edge_worker::environments::{Environment, Next};
use edge_worker::service::{Service, ServiceConfig};
use edge_worker::trust::PublicKeys;
use eval_core::blob;

const NOW_MS: i64 = 1_795_170_600_000;

fn main() {
    divan::main();
}

/// Blobs of one config, with a generation after the other.
struct Generations {
    body: Vec<u8>,
    last: Cell<u64>,
}

impl Generations {
    fn new(n_experiments: usize) -> Self {
        let blob = source::encode(&many::source(n_experiments, 0), 1, NOW_MS);
        let blob = blob.expect("the fixture compiles");
        Self { body: blob[blob::HEADER_BYTES..].to_vec(), last: Cell::new(0) }
    }

    /// The next pointer, as publishing writes it, and its blob.
    fn next(&self) -> (Vec<u8>, Vec<u8>) {
        let generation = self.last.get() + 1;
        self.last.set(generation);
        let version = blob::FORMAT_VERSION;
        let blob = blob::frame(version, source::ENVIRONMENT, generation, NOW_MS, &self.body);
        let pointer = Pointer {
            generation,
            object: source::pointer(generation).1,
            blake3: Some(blake3::hash(&blob).to_hex().to_string()),
            ..Pointer::default()
        };
        (serde_json::to_vec(&pointer).expect("a pointer is written"), blob)
    }
}

fn swap(environment: &Environment, pointer: &[u8], blob: Vec<u8>) {
    let next = environment.receive_pointer(Some(pointer), &PublicKeys::EVERYONE, NOW_MS);
    let Next::Fetch(candidate) = next else { panic!("each pointer names a newer generation") };
    assert!(environment.offer(&candidate, blob, true, NOW_MS), "the blob is in order");
}

#[divan::bench(args = [1000, 10_000])]
fn swap_to(bencher: Bencher<'_, '_>, n_experiments: usize) {
    let service = Service::new(ServiceConfig::default());
    let environment = service.environments().get(source::ENVIRONMENT, NOW_MS);
    let generations = Generations::new(n_experiments);
    let (pointer, blob) = generations.next();
    swap(&environment, &pointer, blob);
    bencher
        .with_inputs(|| generations.next())
        .bench_local_values(|(pointer, blob)| swap(&environment, &pointer, blob));
}

#[divan::bench(args = [1000, 10_000])]
fn check_signature_of(bencher: Bencher<'_, '_>, n_experiments: usize) {
    let (_, blob) = Generations::new(n_experiments).next();
    let key = SigningKey::from_bytes(&[7; 32]);
    let signature = key.sign(&blob);
    bencher.bench_local(|| key.verifying_key().verify_strict(&blob, &signature).is_ok());
}
