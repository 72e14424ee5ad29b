//! Loading a config and deciding all of it in WebAssembly: plain exports, called and timed by `run.mjs`.

#![expect(clippy::unwrap_used, reason = "a benchmark stops when its set-up is wrong")]

#[path = "../../../tests/support/mod.rs"]
mod support;
#[path = "../../../benches/typical/mod.rs"]
mod typical;

use eval_core::{CompiledConfig, Context, Decision, Request, blob, compile};
use std::hint::black_box;
use std::sync::OnceLock;

static BLOB: OnceLock<Vec<u8>> = OnceLock::new();
static CONFIG: OnceLock<CompiledConfig<'static>> = OnceLock::new();
static USERS: OnceLock<Vec<Context<'static>>> = OnceLock::new();

/// Makes the blob of `n` typical experiments and says how many bytes it has.
#[expect(unsafe_code, reason = "an export keeps its name")]
#[unsafe(no_mangle)]
pub extern "C" fn prepare(n: usize) -> usize {
    let blob = BLOB.get_or_init(|| blob::encode(&compile(&typical::many(n)).unwrap(), 1, 1));
    CONFIG.get_or_init(|| blob::decode(blob).unwrap().1);
    USERS.get_or_init(typical::panels);
    blob.len()
}

/// Loads the blob anew and says how many keys it has.
#[expect(unsafe_code, reason = "an export keeps its name")]
#[unsafe(no_mangle)]
pub extern "C" fn load() -> usize {
    blob::decode(black_box(BLOB.get().unwrap())).unwrap().1.n_keys()
}

/// Decides every key for one of sixteen users, reads all of every answer, and says in how many experiments the user is.
#[expect(unsafe_code, reason = "an export keeps its name")]
#[unsafe(no_mangle)]
pub extern "C" fn decide_all(user: usize) -> usize {
    let users = USERS.get().unwrap();
    let user = &users[user % users.len()];
    let mut n_enrolled = 0;
    Request::new(CONFIG.get().unwrap(), user, None, 0).evaluate_all(|decision| {
        read(decision);
        n_enrolled += usize::from(decision.enrolled());
    });
    n_enrolled
}

fn read(decision: &Decision<'_>) {
    black_box(&decision.variant());
    black_box(&decision.value_bytes());
    black_box(&decision.reason());
    black_box(&decision.exposure());
}
