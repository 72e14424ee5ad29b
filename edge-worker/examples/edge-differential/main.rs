//! Makes requests out of a seed, answers them by the native build of the service, and writes both out, so that
//! `tests/edge/differential.mjs` can answer the same requests by the Wasm build and compare the bytes.
//!
//! ```text
//! edge-differential <seed> <number of requests>
//! ```
//!
//! The clock, the random seed and every object that is read are part of what is written, and nothing else reaches either build. What
//! the service answers comes back in later requests: cookies, tokens, entity tags. On the way new generations are published, some of
//! them damaged, and exposures are flushed.
//!
//! ```text
//! record    kind u8 (0 request, 1 background work, 9 end), clock f64, body too large u8,
//!           head, body, objects read: count u32, (key, present u8, bytes)…, expected: count u32, bytes…
//! text, bytes   length u32, then so many
//! ```

#[path = "../edge-fixture/client_form.rs"]
mod client_form;
mod generate;
#[path = "../edge-fixture/source.rs"]
mod source;
mod store;

use std::io::Write;

use edge_worker::exposures::Delivery;
use edge_worker::frame;
use edge_worker::freshness::{FRESHEN_MS, STEP_MS, Wanted};
use edge_worker::request::{MAX_WAITS, Patience, Request};
use edge_worker::response::Answer;
use edge_worker::service::{Outcome, Service, ServiceConfig};
use generate::{Asked, Generator};
use store::Store;

/// Requests between two rounds of background work.
const BACKGROUND_EVERY: u64 = 150;
/// Generations that are published on the way.
const N_GENERATIONS: u64 = 40;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seed, n_requests] = &arguments[..] else {
        anyhow::bail!("usage: edge-differential <seed> <number of requests>")
    };
    let (seed, n_requests): (u64, u64) = (seed.parse()?, n_requests.parse()?);
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let service = Service::new(ServiceConfig {
        default_environment: Some(source::ENVIRONMENT.to_owned()),
        list_secret: Some(source::LIST_SECRET),
        has_collector: true,
        stream_refresh_interval_ms: 1000,
        max_streams: 1000,
        seed: [7; 32],
        ..ServiceConfig::default()
    });
    let mut generator = Generator::new(seed);
    let mut store = Store::default();
    let publish_every = (n_requests / N_GENERATIONS).max(50);
    for n in 0..n_requests {
        if n % publish_every == 0 {
            let generation = 1 + n / publish_every;
            // Not the first: what is damaged later leaves what is held.
            store.publish(generation, generation > 1 && generator.random.one_in(4))?;
        }
        let asked = generator.next();
        let frame = answer(&service, &mut store, &asked, &mut generator);
        record(&mut out, 0, &asked, &mut store, &[frame])?;
        if n % BACKGROUND_EVERY == BACKGROUND_EVERY - 1 {
            let now_ms = asked.now_ms;
            let posted = background(&service, &mut store, now_ms);
            record(&mut out, 1, &Asked { now_ms, ..Asked::default() }, &mut store, &posted)?;
        }
    }
    record(&mut out, 9, &Asked::default(), &mut store, &[])?;
    Ok(out.flush()?)
}

/// As the shim asks: what is missing is loaded and news is looked for, a few times at most.
fn answer(
    service: &Service,
    store: &mut Store,
    asked: &Asked,
    generator: &mut Generator,
) -> Vec<u8> {
    let now_ms = asked.now_ms;
    let mut request = Request::from_lines(&asked.head, &asked.body, asked.is_too_large, now_ms);
    for _ in 0..MAX_WAITS {
        let outcome = service.handle(&request);
        match &outcome {
            Outcome::Load(environment) => store.load(environment, now_ms),
            Outcome::LoadClientForm(environment) => store.load_client_form(environment, now_ms),
            Outcome::LoadArchived(wanted) => {
                service.archive().put(wanted, store.load_archived(wanted), now_ms);
            }
            Outcome::Freshen(wanted) => {
                freshen(store, wanted, now_ms);
                request.patience = Patience::Loads;
            }
            Outcome::Answer(answer) => {
                generator.learn(answer);
                return frame::outcome(service, &outcome, now_ms);
            }
            Outcome::Forward(_) | Outcome::Stream(_) => {
                return frame::outcome(service, &outcome, now_ms);
            }
        }
    }
    request.patience = Patience::None;
    let outcome = service.handle(&request);
    frame::outcome(service, &outcome, now_ms)
}

/// As the Worker waits for news, by a clock that goes on only while it waits.
fn freshen(store: &mut Store, wanted: &Wanted, now_ms: i64) {
    let mut at_ms = now_ms;
    let ends_at_ms = now_ms.saturating_add_unsigned(FRESHEN_MS);
    while !wanted.is_here() && at_ms < ends_at_ms {
        if wanted.begin_load(at_ms) {
            store.load(&wanted.environment, at_ms);
        } else {
            at_ms = at_ms.saturating_add_unsigned(STEP_MS);
        }
    }
}

/// What the shells do beside the requests. Answers what was posted to the collector: key, line feed, events.
fn background(service: &Service, store: &mut Store, now_ms: i64) -> Vec<Vec<u8>> {
    for environment in service.begin_refreshes(now_ms) {
        store.load(&environment, now_ms);
    }
    for environment in service.begin_client_forms(now_ms) {
        store.load_client_form(&environment, now_ms);
    }
    let mut posted = Vec::new();
    if service.begin_flush(now_ms) {
        while let Some((parcel, _)) = service.lease_exposures(now_ms) {
            let mut post = format!("{}\n", parcel.key).into_bytes();
            post.extend_from_slice(&parcel.body);
            posted.push(post);
            let done = Delivery::Done { rejected: 0 };
            service.observe_collector(done, now_ms);
            service.exposures().settle(parcel.id, done, now_ms);
        }
        service.end_flush();
    }
    posted
}

fn record(
    out: &mut impl Write,
    kind: u8,
    asked: &Asked,
    store: &mut Store,
    expected: &[Vec<u8>],
) -> std::io::Result<()> {
    out.write_all(&[kind])?;
    #[expect(clippy::cast_precision_loss, reason = "a clock in milliseconds is exact")]
    out.write_all(&(asked.now_ms as f64).to_le_bytes())?;
    out.write_all(&[u8::from(asked.is_too_large)])?;
    write_bytes(out, asked.head.as_bytes())?;
    write_bytes(out, &asked.body)?;
    let reads = store.take_reads();
    write_len(out, reads.len())?;
    for (key, object) in &reads {
        write_bytes(out, key.as_bytes())?;
        out.write_all(&[u8::from(object.is_some())])?;
        write_bytes(out, object.as_deref().unwrap_or_default())?;
    }
    write_len(out, expected.len())?;
    expected.iter().try_for_each(|bytes| write_bytes(out, bytes))
}

fn write_len(out: &mut impl Write, len: usize) -> std::io::Result<()> {
    out.write_all(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes())
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    write_len(out, bytes.len())?;
    out.write_all(bytes)
}

/// What stands before a token in an answer.
const TOKEN: &[u8] = b"\"exposure_token\":\"";

impl Generator {
    /// Keeps what an answer hands out, for later requests.
    fn learn(&mut self, answer: &Answer) {
        for (name, value) in &answer.headers {
            match *name {
                "etag" => self.tags.keep(value.as_bytes()),
                "set-cookie" => {
                    self.cookies.keep(value.split(';').next().unwrap_or_default().as_bytes());
                }
                _ => {}
            }
        }
        let found = answer.body.windows(TOKEN.len()).position(|window| window == TOKEN);
        if let Some(at) = found {
            let token = answer.body[at + TOKEN.len()..].split(|byte| *byte == b'"').next();
            self.tokens.keep(token.unwrap_or_default());
        }
    }
}
