//! How good the config is that requests are decided by: the chain last-good → copy → bundled → defaults, in one word.

use std::sync::atomic::{AtomicU8, Ordering};

/// Header of answers that were not decided by a config which the store has confirmed; its value is [`Standing::as_str`].
pub const HEADER: &str = "x-sortition-config";

/// Where a config came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The store.
    Store,
    /// A copy that this edge had made of a config that it was serving.
    Copy,
    /// The deployment.
    Bundle,
}

/// How good the config of an environment is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    /// The store's newest, as far as the last look went.
    Current = 0,
    /// It came from the store, but the last look failed or what it found was refused.
    LastGood = 1,
    /// The copy of a config that an earlier process or instance had served.
    Copy = 2,
    /// The one that was bundled at deploy time.
    Bundled = 3,
    /// There is none: callers get their defaults.
    #[default]
    Nothing = 4,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Current, Self::LastGood, Self::Copy, Self::Bundled, Self::Nothing];

    pub(crate) fn of(source: Option<Source>, has_error: bool) -> Self {
        match source {
            Some(Source::Store) if !has_error => Self::Current,
            Some(Source::Store) => Self::LastGood,
            Some(Source::Copy) => Self::Copy,
            Some(Source::Bundle) => Self::Bundled,
            None => Self::Nothing,
        }
    }

    /// The word for it, in headers, `/readyz` and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::LastGood => "last-good",
            Self::Copy => "copy",
            Self::Bundled => "bundled",
            Self::Nothing => "none",
        }
    }
}

/// A standing that every request reads and every load may change.
#[derive(Debug)]
pub(crate) struct SharedStanding(AtomicU8);

impl Default for SharedStanding {
    fn default() -> Self {
        Self(AtomicU8::new(Standing::Nothing as u8))
    }
}

impl SharedStanding {
    pub(crate) fn get(&self) -> Standing {
        let at = usize::from(self.0.load(Ordering::Relaxed));
        Standing::ALL.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn set(&self, standing: Standing) {
        self.0.store(standing as u8, Ordering::Relaxed);
    }
}
