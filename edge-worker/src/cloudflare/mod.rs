//! The Worker: what `shim/index.js` calls, and the I/O that only Cloudflare's bindings can do.
//!
//! The hot path is one synchronous call, [`answer`]: text and bytes in, one framed byte string out, no promise and no JavaScript
//! object made or read by Wasm. What needs I/O is asynchronous and rare: [`load`], [`forward`], [`background`]. No future of one request is
//! ever awaited by another; what they share is plain data in the [`Service`].

#![expect(
    unreachable_pub,
    reason = "wasm-bindgen exports what is `pub`, whoever else can reach it"
)]

mod collector;
mod console;
mod io;
mod routing;
mod settings;
mod signature;
mod store;
mod stream;

use std::cell::OnceCell;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::archive::Wanted;
use crate::fail_open;
use crate::frame;
use crate::request::{Patience, Request};
use crate::response::{Answer, Problem};
use crate::service::{Outcome, Service};
use crate::standing::Source;
use settings::WorkerSettings;

/// The Worker's bindings, variables and secrets.
type Env = js_sys::Object;

struct Isolate {
    service: Service,
    settings: WorkerSettings,
}

thread_local! {
    static ISOLATE: OnceCell<Rc<Isolate>> = const { OnceCell::new() };
}

/// The isolate's state, once [`start`] has made it.
fn isolate() -> Option<Rc<Isolate>> {
    ISOLATE.with(|cell| cell.get().cloned())
}

fn now_ms() -> i64 {
    milliseconds(js_sys::Date::now())
}

/// Reads the variables and makes the service. To be called once per instance, before anything else; the bindings are the same for all
/// requests of an isolate. `seed` is 32 bytes from `crypto`, `n_traps` the number of instances that this one follows.
#[wasm_bindgen]
pub fn start(env: &Env, seed: &[u8], n_traps: u32) {
    let seed = seed.first_chunk().copied().unwrap_or_default();
    ISOLATE.with(|cell| {
        cell.get_or_init(|| {
            let settings = WorkerSettings::read(env, seed);
            let service = Service::new(settings.service.clone());
            service.count_panics(n_traps.into());
            Rc::new(Isolate { service, settings })
        });
    });
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a clock in milliseconds fits for 200 million years"
)]
fn milliseconds(now_ms: f64) -> i64 {
    now_ms as i64
}

/// Answers a request from memory. `head` is method, path, query and the headers of [`Headers::NAMES`], one a line; `patience` is the number of a
/// [`Patience`].
#[wasm_bindgen]
pub fn answer(head: &str, body: &[u8], body_too_large: bool, patience: u8, now_ms: f64) -> Vec<u8> {
    let Some(isolate) = isolate() else { return not_started() };
    let now_ms = milliseconds(now_ms);
    let patience = Patience::from_number(patience);
    let request = Request { patience, ..Request::from_lines(head, body, body_too_large, now_ms) };
    frame::outcome(&isolate.service, &isolate.service.handle(&request), now_ms)
}

fn not_started() -> Vec<u8> {
    frame::answer(&Problem::new(500, "not_started", "the Worker was not started").into(), false)
}

/// Loads an environment of which nothing is known yet, its client form (`environment/client`), or `environment@generation` out of the
/// archive. Whether a config is held then, or none is needed.
#[wasm_bindgen]
pub fn load(env: Env, environment: String) -> Promise {
    promise(async move { try_load(&env, &environment).await.into() })
}

async fn try_load(env: &Env, environment: &str) -> bool {
    let Some(isolate) = isolate() else { return false };
    if let Some(environment) = environment.strip_suffix(frame::CLIENT_FORM) {
        let environment = isolate.service.environments().get(environment, now_ms());
        store::load_client_form(env, &isolate.settings, &environment).await;
        return true;
    }
    if let Some((environment, generation)) = environment.split_once('@') {
        let environment = isolate.service.environments().get(environment, now_ms());
        let wanted = Wanted { environment, generation: generation.parse().unwrap_or(0) };
        let loaded = store::load_archived(env, &isolate.settings, &wanted).await;
        isolate.service.archive().put(&wanted, loaded, now_ms());
        return true;
    }
    let environment = isolate.service.environments().get(environment, now_ms());
    store::load(env, &isolate.settings, &environment).await;
    environment.held().is_some()
}

/// Serves what a file of copies has of an environment: one that the shim kept of an earlier instance, or the one that was bundled.
#[wasm_bindgen]
pub fn adopt(environment: String, file: Vec<u8>, is_bundled: bool) -> Promise {
    promise(async move {
        if let Some(isolate) = isolate() {
            let environment = isolate.service.environments().get(&environment, now_ms());
            let source = if is_bundled { Source::Bundle } else { Source::Copy };
            store::adopt(&isolate.settings, &environment, &file, source).await;
        }
        JsValue::UNDEFINED
    })
}

/// Generation that is held of each environment, by its id, one a line: `id generation`.
#[wasm_bindgen]
pub fn held() -> String {
    let Some(isolate) = isolate() else { return String::new() };
    let mut lines = String::new();
    for environment in isolate.service.environments().list() {
        if let Some(config) = environment.held() {
            lines.push_str(environment.id());
            lines.push(' ');
            lines.push_str(&config.generation().to_string());
            lines.push('\n');
        }
    }
    lines
}

/// A copy of what is held of an environment, for a later instance; empty where nothing is.
#[wasm_bindgen]
pub fn copy(environment: &str) -> Vec<u8> {
    let Some(isolate) = isolate() else { return Vec::new() };
    isolate.service.environments().get(environment, now_ms()).copy().unwrap_or_default()
}

/// Hands events to the collector and answers what it answered.
#[wasm_bindgen]
pub fn forward(env: Env, head: String, body: Vec<u8>) -> Promise {
    promise(
        async move { Uint8Array::from(try_forward(&env, &head, &body).await.as_slice()).into() },
    )
}

async fn try_forward(env: &Env, head: &str, body: &[u8]) -> Vec<u8> {
    let Some(isolate) = isolate() else { return not_started() };
    let request = Request::from_lines(head, body, false, now_ms());
    let request = Request { patience: Patience::None, ..request };
    let answer: Answer = match isolate.service.handle(&request) {
        Outcome::Forward(forward) => {
            forward.answer(collector::forward(&isolate, env, &forward, body).await)
        }
        Outcome::Answer(answer) => answer,
        // Never of a request that is to be forwarded, and without patience.
        Outcome::Load(_)
        | Outcome::LoadClientForm(_)
        | Outcome::LoadArchived(_)
        | Outcome::Freshen(_)
        | Outcome::Stream(_) => fail_open::answer(request.path, request.headers.origin),
    };
    frame::answer(&answer, isolate.service.has_background_work(now_ms()))
}

/// Refreshes the environments that are due and sends the exposures that wait. Runs after the answer, in `waitUntil`.
#[wasm_bindgen]
pub fn background(env: Env) -> Promise {
    promise(async move {
        if let Some(isolate) = isolate() {
            work(&env, &isolate).await;
        }
        JsValue::UNDEFINED
    })
}

async fn work(env: &Env, isolate: &Rc<Isolate>) {
    // Side by side: a store that hangs delays neither other environments nor the exposures.
    let refreshes = isolate.service.begin_refreshes(now_ms()).into_iter().map(|environment| {
        let (env, isolate) = (env.clone(), isolate.clone());
        promise(async move { store::load(&env, &isolate.settings, &environment).await.into() })
    });
    let refreshes: js_sys::Array = refreshes.collect();
    let reads = {
        let (env, isolate) = (env.clone(), isolate.clone());
        promise(async move {
            let _ = JsFuture::from(Promise::all(&refreshes)).await;
            // After the configs, so that the forms are those of the newest.
            for environment in isolate.service.begin_client_forms(now_ms()) {
                store::load_client_form(&env, &isolate.settings, &environment).await;
            }
            JsValue::UNDEFINED
        })
    };
    if isolate.service.begin_flush(now_ms()) {
        collector::flush(isolate, env).await;
        isolate.service.end_flush();
    }
    let _ = JsFuture::from(reads).await;
}

/// Takes messages of the queue, each with the number of times that it was brought. Answers for each the seconds after which the queue
/// shall bring it again, or -1 when it is done with.
#[wasm_bindgen]
pub fn consume(messages: js_sys::Array, n_attempts: Vec<u32>) -> Promise {
    promise(async move {
        let Some(isolate) = isolate() else { return js_sys::Array::new().into() };
        let messages = messages.iter().map(|message| Uint8Array::new(&message).to_vec());
        let delays = collector::consume(&isolate, messages.collect(), &n_attempts).await;
        js_sys::Int32Array::from(delays.as_slice()).into()
    })
}

/// A promise of what a future brings. The future is boxed, so that the machinery of promises is in the Worker once and not once for each.
fn promise(future: impl Future<Output = JsValue> + 'static) -> Promise {
    fn of(future: Pin<Box<dyn Future<Output = JsValue>>>) -> Promise {
        future_to_promise(async { Ok(future.await) })
    }
    of(Box::pin(future))
}
