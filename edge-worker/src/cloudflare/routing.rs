//! What `shim/routing.js` calls to route a request. The fetching is JavaScript's, because bodies shall not pass through Wasm.
//!
//! A step answers one byte string, as in [`crate::frame`]:
//!
//! ```text
//! byte 0      0 answer of the edge's own, 1 load an environment first, 5 go by the plan, 6 next attempt, 7 send the origin's answer
//! byte 1      1 when background work waits
//! bytes 2..4  status, little endian (of 7)
//! byte 4      of 7: 1 a script is to be written, 2 without body, 4 may be stored (added up)
//! bytes 5..8  0
//! then        of 7: the changes of its headers, one a line, as `Edits::to_lines` writes them
//! ```

use wasm_bindgen::prelude::wasm_bindgen;

use super::isolate;
use crate::frame;
use crate::routing::{self, Edits, Head, Plan, Routed, Verdict};

const GO: u8 = 5;
const NEXT: u8 = 6;
const SEND: u8 = 7;

/// Whether a request is for a site behind this edge.
#[wasm_bindgen]
pub fn is_routed(authority: &str, path: &str) -> bool {
    isolate().is_some_and(|isolate| isolate.service.is_routed(authority, path))
}

/// A request on its way.
#[wasm_bindgen]
#[derive(Debug, Default)]
pub struct Route {
    step: Vec<u8>,
    plan: Option<Box<Plan>>,
    script: Option<Vec<u8>>,
}

fn simple(kind: u8) -> Vec<u8> {
    vec![kind, 0, 0, 0, 0, 0, 0, 0]
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a clock in milliseconds fits for 200 million years"
)]
fn ms(now_ms: f64) -> i64 {
    now_ms as i64
}

fn lines(text: &str) -> Vec<(&str, &str)> {
    text.split('\n').filter_map(|line| line.split_once(": ")).collect()
}

#[wasm_bindgen]
impl Route {
    /// Assigns the visitor. `head` is method, scheme, host, path, query, the client's address and the headers, one a line.
    #[wasm_bindgen(constructor)]
    pub fn new(head: &str, now_ms: f64) -> Self {
        let Some(isolate) = isolate() else {
            return Self { step: super::not_started(), ..Self::default() };
        };
        let mut parts = head.splitn(7, '\n');
        let mut next = || parts.next().unwrap_or_default();
        let head = Head {
            method: next(),
            scheme: next(),
            authority: next(),
            path: next(),
            query: next(),
            client_ip: Some(next()).filter(|ip| !ip.is_empty()),
            headers: lines(next()),
            now_ms: ms(now_ms),
        };
        match isolate.service.route(&head) {
            Routed::Fetch(plan) => Self { step: simple(GO), plan: Some(plan), script: None },
            Routed::Load(environment) => {
                Self { step: frame::load(environment.id()), ..Self::default() }
            }
            Routed::Answer(answer) => {
                let waits = isolate.service.has_background_work(ms(now_ms));
                Self { step: frame::answer(&answer, waits), ..Self::default() }
            }
            Routed::Elsewhere => Self { step: super::not_started(), ..Self::default() },
        }
    }

    /// What to do first.
    pub fn step(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.step)
    }

    /// Attempt `n`: URL, key for the cache (or nothing), milliseconds to wait, and the changes of the request's headers, one a line.
    pub fn attempt(&self, n: usize) -> Option<String> {
        let attempt = self.plan.as_ref()?.attempts.get(n)?;
        let timeout_ms = isolate()?.service.config().routing.origin_timeout_ms;
        let key = attempt.cache_key.as_deref().unwrap_or_default();
        Some(format!("{}\n{key}\n{timeout_ms}\n{}", attempt.url, attempt.edits.to_lines()))
    }

    /// An origin or the cache has answered attempt `n`.
    pub fn answered(
        &mut self,
        n: usize,
        status: u16,
        headers: &str,
        is_cached: bool,
        now_ms: f64,
    ) -> Vec<u8> {
        let (Some(isolate), Some(plan)) = (isolate(), &self.plan) else {
            return super::not_started();
        };
        let now_ms = ms(now_ms);
        let verdict = isolate.service.answered(plan, n, status, &lines(headers), is_cached, now_ms);
        self.verdict(verdict, isolate.service.has_background_work(now_ms))
    }

    /// Attempt `n` brought no answer.
    pub fn failed(&mut self, n: usize, has_timed_out: bool, now_ms: f64) -> Vec<u8> {
        let (Some(isolate), Some(plan)) = (isolate(), &self.plan) else {
            return super::not_started();
        };
        let now_ms = ms(now_ms);
        let verdict = isolate.service.failed(plan, n, has_timed_out, now_ms);
        self.verdict(verdict, isolate.service.has_background_work(now_ms))
    }

    /// What writes the script, after a step that asked for it.
    pub fn injector(&mut self) -> Injector {
        Injector(routing::Injector::new(self.script.take().unwrap_or_default()))
    }

    fn verdict(&mut self, verdict: Verdict, waits: bool) -> Vec<u8> {
        match verdict {
            Verdict::Fallback => simple(NEXT),
            Verdict::Refuse(answer) => frame::answer(&answer, waits),
            Verdict::Send(answer) => {
                self.script = answer.script;
                let flags = u8::from(self.script.is_some())
                    | u8::from(answer.is_empty) << 1
                    | u8::from(answer.is_storable) << 2;
                let [low, high] = answer.status.to_le_bytes();
                let mut step = vec![SEND, u8::from(waits), low, high, flags, 0, 0, 0];
                step.extend_from_slice(Edits::to_lines(&answer.edits).as_bytes());
                step
            }
        }
    }
}

/// Writes a script into a page.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Injector(routing::Injector);

#[wasm_bindgen]
impl Injector {
    /// Takes bytes of the page; answers what can go on.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(chunk.len());
        self.0.push(chunk, &mut out);
        out
    }

    /// The page has ended; answers what was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.finish(&mut out);
        out
    }

    /// Whether the rest may pass as it is.
    #[wasm_bindgen(getter)]
    pub fn done(&self) -> bool {
        self.0.is_done()
    }
}
