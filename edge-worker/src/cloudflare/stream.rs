//! What `shim/stream.js` calls to serve a stream. Waiting and writing are JavaScript's; each request waits for itself.

use js_sys::Promise;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use super::{Env, Isolate, io, isolate, milliseconds, now_ms, promise, store};
use crate::frame;
use crate::freshness::{FRESHEN_MS, STEP_MS, Wanted};
use crate::request::Request;
use crate::service::Outcome;
use crate::stream::Feed;

/// Milliseconds between two looks at what other requests of the isolate have loaded; nobody can call a request of its own.
const LOOK_MS: i64 = 250;

/// An open stream.
#[wasm_bindgen]
#[derive(Debug)]
pub struct EventStream {
    head: Vec<u8>,
    feed: Feed,
    n_reads: u32,
    max_reads: u32,
}

/// Opens a stream; nothing when the request is answered otherwise, which only [`super::answer`] can say. `head` is as for `answer`, with
/// `Last-Event-ID` in it.
#[wasm_bindgen]
pub fn open_stream(head: &str, now_ms: f64) -> Option<EventStream> {
    let isolate = isolate()?;
    let Outcome::Stream(opened) =
        isolate.service.handle(&Request::from_lines(head, b"", false, milliseconds(now_ms)))
    else {
        return None;
    };
    Some(EventStream {
        head: frame::answer(&opened.head, false),
        feed: opened.feed,
        n_reads: 0,
        max_reads: isolate.settings.max_stream_reads,
    })
}

#[wasm_bindgen]
impl EventStream {
    /// Status and headers, as [`frame`] writes them.
    pub fn head(&self) -> Vec<u8> {
        self.head.clone()
    }

    /// What to do now:
    ///
    /// ```text
    /// byte 0      1 when the stream ends after this
    /// byte 1      1 when the store is to be read first, by [`refresh`](Self::refresh), and this asked again
    /// bytes 4..8  milliseconds to wait, little endian
    /// then        bytes to send
    /// ```
    pub fn advance(&mut self, now_ms: f64) -> Vec<u8> {
        let now_ms = milliseconds(now_ms);
        let Some(isolate) = isolate() else { return vec![1, 0, 0, 0, 0, 0, 0, 0] };
        let beat = self.feed.advance(&isolate.service, now_ms);
        // Every read of the store is a subrequest, of which a request has only so many.
        let is_over = beat.is_over || self.n_reads >= self.max_reads;
        let refreshes = !is_over && isolate.service.is_refresh_due(self.feed.environment(), now_ms);
        let wait_ms = (beat.wake_at_ms - now_ms).clamp(0, LOOK_MS);
        let mut bytes = vec![u8::from(is_over), u8::from(refreshes), 0, 0];
        bytes.extend_from_slice(&u32::try_from(wait_ms).unwrap_or(0).to_le_bytes());
        bytes.extend_from_slice(&beat.bytes);
        bytes
    }

    /// Counts a read of the store, and names the environment that is to be loaded by [`refresh_environment`].
    pub fn refresh(&mut self) -> String {
        self.n_reads += 1;
        self.feed.environment().to_owned()
    }
}

/// Looks for a newer config of an environment, if it is still due.
#[wasm_bindgen]
pub fn refresh_environment(env: Env, environment: String) -> Promise {
    promise(async move {
        if let Some(isolate) = isolate()
            && let Some(environment) = isolate.service.begin_refresh(&environment, now_ms())
        {
            store::load(&env, &isolate.settings, &environment).await;
        }
        JsValue::UNDEFINED
    })
}

/// Waits for a newer config that a client has heard of, for a moment. `wanted` is `environment@generation` with the one that is held.
#[wasm_bindgen]
pub fn freshen(env: Env, wanted: String) -> Promise {
    promise(async move {
        if let Some(isolate) = isolate()
            && let Some((environment, held)) = wanted.split_once('@')
        {
            let environment = isolate.service.environments().get(environment, now_ms());
            let wanted = Wanted::new(environment, held.parse().unwrap_or(0));
            wait_for(&env, &isolate, &wanted).await;
        }
        JsValue::UNDEFINED
    })
}

async fn wait_for(env: &Env, isolate: &Isolate, wanted: &Wanted) {
    let ends_at_ms = now_ms().saturating_add_unsigned(FRESHEN_MS);
    while !wanted.is_here() && now_ms() < ends_at_ms {
        if wanted.begin_load(now_ms()) {
            store::load(env, &isolate.settings, &wanted.environment).await;
        } else {
            io::sleep(STEP_MS).await;
        }
    }
}
