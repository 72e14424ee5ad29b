//! Memory over many swaps of the config, natively. The Wasm build is held to the same by `tests/edge/swaps.mjs`.

#[path = "../examples/edge-fixture/many.rs"]
mod many;
#[path = "../examples/edge-fixture/source.rs"]
#[expect(dead_code, reason = "its own config is too small for this")]
mod source;

use edge_worker::environments::Next;
use edge_worker::request::{Headers, Request};
use edge_worker::service::{Outcome, Service, ServiceConfig};
use edge_worker::trust::PublicKeys;
use eval_core::blob;

const NOW_MS: i64 = 1_795_170_600_000;

/// What the process has in memory, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it does");
    let kilobytes = line.split_whitespace().nth(1).expect("a number follows");
    1024 * kilobytes.parse::<usize>().expect("in kilobytes")
}

fn swap(service: &Service, generation: u64, body: &[u8]) {
    let environment = service.environments().get(source::ENVIRONMENT, NOW_MS);
    let (pointer, _) = source::pointer(generation);
    let next = environment.receive_pointer(Some(pointer.as_bytes()), &PublicKeys::EVERYONE, NOW_MS);
    let Next::Fetch(candidate) = next else { panic!("the pointer names a newer generation") };
    let version = blob::FORMAT_VERSION;
    let blob = blob::frame(version, source::ENVIRONMENT, generation, NOW_MS, body);
    assert!(environment.offer(&candidate, blob, true, NOW_MS));
}

/// Asks for everything; answers the generation that decided.
fn ask(service: &Service) -> String {
    let request = Request {
        method: "POST",
        path: "/ofrep/v1/evaluate/flags",
        headers: Headers { x_sdk_key: Some(source::CLIENT_KEY), ..Headers::default() },
        body: br#"{"context":{"targetingKey":"u-1","country":"US"}}"#,
        now_ms: NOW_MS,
        ..Request::default()
    };
    let Outcome::Answer(answer) = service.handle(&request) else { panic!("a config is held") };
    assert_eq!(answer.status, 200);
    answer.header("etag").expect("a bulk answer has a tag").to_owned()
}

#[test]
#[ignore = "takes a minute"]
fn memory_is_flat_over_ten_thousand_swaps_to_ten_thousand_experiments() {
    const N_SWAPS: u64 = 10_000;
    const WARM_UP: u64 = 200;
    // Two sizes by turns, so that what one leaves free is not simply what the other takes.
    let bodies = [9000, 10_000].map(|n_experiments| {
        let encoded = source::encode(&many::source(n_experiments, 0), 1, NOW_MS);
        encoded.expect("the fixture compiles")[blob::HEADER_BYTES..].to_vec()
    });
    let service = Service::new(ServiceConfig::default());
    let (mut early, mut late) = (0, 0);
    for generation in 1..=N_SWAPS {
        swap(&service, generation, &bodies[usize::from(generation % 2 == 0)]);
        if generation % 100 == 0 {
            assert!(ask(&service).starts_with(&format!("\"{generation}.")));
            let most = if generation <= WARM_UP { &mut early } else { &mut late };
            *most = resident_bytes().max(*most);
        }
    }
    println!("{early} bytes at most in the first {WARM_UP} swaps, {late} in the others");
    // Half of one config: a leak of a thousandth part of each swap would be found.
    let allowed = early + bodies[1].len() / 2;
    assert!(late <= allowed, "{late} bytes after {early}");
}
