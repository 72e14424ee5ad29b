//! Times, memory and sizes, measured for every peer in the same way.

use crate::counting::{Memory, measure};
use crate::model::{User, Work};
use crate::peer::Peer;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// What was measured of one peer.
pub(crate) struct Figures {
    pub(crate) name: &'static str,
    /// Nanoseconds and allocations of one decision; none for a peer that only decides everything.
    pub(crate) one: Option<(f64, f64)>,
    /// The way in which it decides everything, and microseconds for a user.
    pub(crate) all: Vec<(&'static str, Vec<f64>)>,
    pub(crate) load_ms: Vec<f64>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) sizes: Vec<Size>,
}

/// Size of a payload in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) raw: usize,
    pub(crate) zstd: usize,
    pub(crate) brotli: usize,
}

/// Numbers of experiments of the configs that are decided as a whole.
pub(crate) const SCALES: [usize; 2] = [1000, 10_000];

/// CPU time of this thread in nanoseconds: other work on the machine does not count.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Median nanoseconds of a run, over batches of at least 20 ms.
fn time(mut run: impl FnMut()) -> f64 {
    let mut batch = |n: usize| {
        let began = cpu_ns();
        for _ in 0..n {
            run();
        }
        cpu_ns() - began
    };
    let mut n = 1;
    while batch(n) < 2e7 {
        n *= 2;
    }
    let n_batches = if n == 1 { 9 } else { 25 };
    let mut times: Vec<f64> = (0..n_batches).map(|_| batch(n) / n as f64).collect();
    times.sort_by(f64::total_cmp);
    times[n_batches / 2]
}

/// Measures a peer, and checks that it does the work: everybody who matches is in, nobody else.
pub(crate) fn figures<P: Peer>() -> Figures {
    Figures {
        name: P::NAME,
        one: one::<P>(),
        all: all::<P>(),
        load_ms: SCALES.iter().map(|&n| load_ms::<P>(n)).collect(),
        memory: SCALES.iter().map(|&n| memory::<P>(n)).collect(),
        sizes: SCALES.iter().map(|&n| size(&P::payload(&Work::many(n)))).collect(),
    }
}

fn one<P: Peer>() -> Option<(f64, f64)> {
    let decide = P::ONE?;
    let work = Work::single();
    let payload = P::payload(&work);
    let config = P::load(&payload);
    let key = work.experiments[0].key.as_str();
    let users = User::stream(10_000);
    let contexts: Vec<P::User> = users.iter().map(P::user).collect();
    for (user, context) in users.iter().zip(&contexts) {
        let is_in = decide(&config, key, context);
        assert_eq!(is_in, work.experiments[0].matches(user), "{}: {}", P::NAME, user.id);
    }
    let pass = || {
        let mut n_in = 0;
        for context in &contexts {
            n_in += usize::from(decide(&config, black_box(key), context));
        }
        black_box(n_in);
    };
    let ((), memory) = measure(pass);
    Some((time(pass) / users.len() as f64, memory.n_allocations as f64 / users.len() as f64))
}

fn all<P: Peer>() -> Vec<(&'static str, Vec<f64>)> {
    let mut rows: Vec<(&'static str, Vec<f64>)> =
        P::ALL.iter().map(|(name, _)| (*name, Vec::new())).collect();
    for n in SCALES {
        let work = Work::many(n);
        let payload = P::payload(&work);
        let config = P::load(&payload);
        let keys: Vec<String> = work.experiments.iter().map(|e| e.key.clone()).collect();
        let users = User::panels();
        let contexts: Vec<P::User> = users.iter().map(P::user).collect();
        for ((_, decide), (name, times)) in P::ALL.iter().zip(&mut rows) {
            for (user, context) in users.iter().zip(&contexts) {
                if let Some(n_in) = decide(&config, &keys, context) {
                    assert_eq!(n_in, work.n_matching(user), "{} {name}", P::NAME);
                }
            }
            let mut at = 0;
            let took = time(|| {
                at = (at + 1) % contexts.len();
                black_box(decide(&config, &keys, &contexts[at]));
            });
            times.push(took / 1e3);
        }
    }
    rows
}

fn load_ms<P: Peer>(n: usize) -> f64 {
    let payload = P::payload(&Work::many(n));
    time(|| {
        black_box(&P::load(black_box(&payload)));
    }) / 1e6
}

fn memory<P: Peer>(n: usize) -> Memory {
    let payload = P::payload(&Work::many(n));
    let (config, memory) = measure(|| P::load(&payload));
    drop(config);
    memory
}

fn size(payload: &[u8]) -> Size {
    let mut brotli = Vec::new();
    let params = brotli::enc::BrotliEncoderParams {
        quality: 11,
        lgwin: 24,
        size_hint: payload.len(),
        ..Default::default()
    };
    // Quality 11 takes a minute for the largest payloads, and zstd says the same of them.
    if payload.len() < 3_000_000 {
        brotli::BrotliCompress(&mut &payload[..], &mut brotli, &params).expect("memory is enough");
    }
    let zstd = zstd::encode_all(payload, 19).expect("memory is enough");
    Size { raw: payload.len(), zstd: zstd.len(), brotli: brotli.len() }
}
