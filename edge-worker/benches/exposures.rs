//! What an exposure costs the answer: one evaluation through the whole service that logs nothing, logs, or hands out a token.
//!
//! Each request is of a visitor who was not seen before, so that nothing is saved by deduplication. The difference of the first two is
//! what logging adds to an answer; the design asks for at most 100 µs.

#[path = "../examples/edge-fixture/source.rs"]
mod source;

use std::cell::Cell;

use divan::Bencher;
use edge_worker::environments::Next;
use edge_worker::exposures::Delivery;
use edge_worker::request::{Headers, Request};
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::trust::PublicKeys;

const NOW_MS: i64 = 1_795_170_600_000;

fn main() {
    divan::main();
}

fn service() -> Service {
    let service = Service::new(ServiceConfig {
        list_secret: Some(source::LIST_SECRET),
        has_collector: true,
        ..ServiceConfig::default()
    });
    let environment = service.environments().get(source::ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(1);
    let Next::Fetch(pointer) =
        environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS)
    else {
        panic!("the first pointer is always followed")
    };
    assert!(environment.offer(
        &pointer,
        source::encode(&source::source(1), 1, NOW_MS).expect("the fixture compiles"),
        true,
        NOW_MS
    ));
    service
}

#[divan::bench(args = ["none", "log", "deferred"])]
fn answer(bencher: Bencher<'_, '_>, exposure: &str) {
    let service = service();
    let n = Cell::new(0_u64);
    bencher
        .with_inputs(|| {
            n.set(n.get() + 1);
            // As the shell does meanwhile: what waits is taken away.
            if n.get().is_multiple_of(1000) {
                while let Some((parcel, _)) = service.lease_exposures(NOW_MS) {
                    let done = Delivery::Done { rejected: 0 };
                    service.exposures().settle(parcel.id, done, NOW_MS);
                }
            }
            format!(
                r#"{{"units":{{"anonymous_id":"a-{}"}},"attributes":{{"country":"US"}},"keys":["visitors"],"exposure":"{exposure}"}}"#,
                n.get()
            )
        })
        .bench_local_refs(|body| {
            let headers =
                Headers { x_sdk_key: Some(source::CLIENT_KEY), ..Headers::default() };
            let request = Request {
                method: "POST",
                path: "/v1/evaluate",
                headers,
                body: body.as_bytes(),
                now_ms: NOW_MS,
                ..Request::default()
            };
            match service.handle(&request) {
                Outcome::Answer(answer) => answer,
                _ => panic!("the config is held"),
            }
        });
}
