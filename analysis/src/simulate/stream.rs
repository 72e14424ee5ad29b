//! Random numbers of runs, and runs on many threads.
//!
//! Each run has a generator of its own, whose state follows from the seed, the name of what is drawn
//! and the number of the run. So a run draws the same numbers on every machine and on any number of
//! threads, and what is drawn for one thing does not move when another is added.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// Source of random numbers of one run: xoshiro256++, which gives the same numbers in every version.
pub type Rng = Xoshiro256PlusPlus;

/// How far a computation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'t> {
    /// What is being computed.
    pub what: &'t str,
    /// Runs that are done.
    pub done: u64,
    /// Runs in all.
    pub of: u64,
}

/// Where runs are drawn: the seed, the threads, and who is told how far they are.
pub struct Runner<'p> {
    seed: u64,
    threads: usize,
    progress: &'p (dyn Fn(Progress<'_>) + Sync),
}

/// Runs that a thread takes at once. Part of the answer: sums are formed within each and then over
/// all in order.
const CHUNK: u64 = 16;

impl<'p> Runner<'p> {
    /// Draws with a seed on so many threads; `progress` is called from any of them.
    pub fn new(seed: u64, threads: usize, progress: &'p (dyn Fn(Progress<'_>) + Sync)) -> Self {
        Self { seed, threads: threads.max(1), progress }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What each of some runs gives, in their order. `name` tells their random numbers from others'.
    pub fn collect<T: Send>(
        &self,
        name: &str,
        runs: u64,
        run: impl Fn(&mut Rng) -> T + Sync,
    ) -> Vec<T> {
        let mut all = Vec::new();
        self.fold(
            name,
            runs,
            |rng| vec![run(rng)],
            |chunk| all.extend(chunk),
            |mut a, b| {
                a.extend(b);
                a
            },
        );
        all
    }

    /// Joins what runs give within chunks by `join`, and hands the chunks over in order.
    pub fn fold<T: Send>(
        &self,
        name: &str,
        runs: u64,
        run: impl Fn(&mut Rng) -> T + Sync,
        mut take: impl FnMut(T),
        join: impl Fn(T, T) -> T + Sync,
    ) {
        let chunks = runs.div_ceil(CHUNK);
        let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let found: Mutex<Vec<(u64, T)>> = Mutex::new(Vec::new());
        let work = || {
            loop {
                let chunk = next.fetch_add(1, Ordering::Relaxed);
                if chunk >= chunks {
                    return;
                }
                let members = chunk * CHUNK..((chunk + 1) * CHUNK).min(runs);
                let n = members.end - members.start;
                let joined = members.map(|i| run(&mut stream(self.seed, name, i))).reduce(&join);
                let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                found.extend(joined.map(|joined| (chunk, joined)));
                drop(found);
                let done = done.fetch_add(n, Ordering::Relaxed) + n;
                (self.progress)(Progress { what: name, done, of: runs });
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.threads {
                scope.spawn(work);
            }
            work();
        });
        let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.sort_by_key(|(chunk, _)| *chunk);
        for (_, chunk) in found {
            take(chunk);
        }
    }
}

/// The generator of one run.
pub fn stream(seed: u64, name: &str, run: u64) -> Rng {
    // FNV-1a: only to tell names apart; what it gives is mixed below.
    let named = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut state = [0_u8; 32];
    let mut word = 0;
    for (place, part) in state.chunks_exact_mut(8).zip([seed, named, run, named ^ run]) {
        word = mix(word ^ part);
        place.copy_from_slice(&word.to_le_bytes());
    }
    Rng::from_seed(state)
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn runs_are_the_same_on_any_number_of_threads() {
        let drawn =
            |threads| Runner::new(7, threads, &|_| {}).collect("a", 1000, Rng::random::<u64>);
        let one = drawn(1);
        assert_eq!(one.len(), 1000);
        assert_eq!(one, drawn(5));
        let mut distinct = one.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 1000);
    }

    #[test]
    fn another_name_or_seed_draws_other_numbers() {
        let first = |seed, name| stream(seed, name, 0).random::<u64>();
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }
}
