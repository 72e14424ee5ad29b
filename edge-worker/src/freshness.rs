//! Answers to clients that were told of a newer config than this edge holds.
//!
//! An OFREP client that a stream has told to look again says in its query what the stream said: `flagConfigEtag`, and
//! `flagConfigLastModified`. So does an SDK that asks for the config itself. The stream may have been another isolate's, which heard of the news first. Then the pointer is looked at
//! before the answer, for [`FRESHEN_MS`] at most: the one case, besides an isolate's first request, in which a request waits for the store.
//! Whatever comes of it, what the query says never makes a 304 of what would be a 200 without it; it can only make a 200 of a 304.

use std::sync::Arc;

use eval_core::time::parse_rfc3339;

use crate::auth::{Access, Held};
use crate::environments::Environment;
use crate::request::{Patience, Request, percent_decode};
use crate::service::Service;
use crate::stream::Edition;

/// Milliseconds for which an answer waits for the store at most.
pub const FRESHEN_MS: u64 = 250;
/// Milliseconds between two looks at the pointer, so that clients that make up generations cannot make an edge ask the store for each
/// of their requests.
const MIN_AGE_MS: i64 = 100;
/// Milliseconds after which a shell that has nothing to load asks again.
pub const STEP_MS: u64 = 20;

/// A config that a client has heard of.
#[derive(Debug)]
pub struct Wanted {
    /// Whose.
    pub environment: Arc<Environment>,
    /// Generation that was held when the client asked: older than the one it knows of.
    pub held: u64,
}

impl Wanted {
    /// Anything newer than a generation.
    pub fn new(environment: Arc<Environment>, held: u64) -> Self {
        Self { environment, held }
    }

    /// Whether something newer is held by now.
    pub fn is_here(&self) -> bool {
        self.environment.held().is_some_and(|held| held.generation() > self.held)
    }

    /// Whether it is for the caller to load the environment now. Else somebody else is at it, or was just now.
    pub fn begin_load(&self, now_ms: i64) -> bool {
        self.environment.begin_load(now_ms, MIN_AGE_MS)
    }
}

/// What a client says of the config that it was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    edition: Option<Edition>,
    /// Seconds since the epoch.
    last_modified_s: Option<i64>,
}

impl Told {
    /// Reads the query. What cannot be read counts as absent: it is advice, and no reason to refuse an answer.
    pub(crate) fn read(request: &Request<'_>) -> Option<Self> {
        if request.query.is_empty() {
            return None;
        }
        let edition = request.query_value("flagConfigEtag").and_then(Edition::parse_encoded);
        let last_modified_s = request
            .query_value("flagConfigLastModified")
            .and_then(percent_decode)
            .and_then(|text| {
                let seconds = text.parse().ok();
                seconds.or_else(|| parse_rfc3339(&text).map(|ms| ms.div_euclid(1000)))
            });
        (edition.is_some() || last_modified_s.is_some())
            .then_some(Self { edition, last_modified_s })
    }

    /// Whether the client knows of a newer config than the one held. Any is newer than none.
    pub(crate) fn is_newer_than(self, held: Option<&Held>) -> bool {
        let held = held.map(|held| &held.config);
        match (self.edition, self.last_modified_s) {
            // A generation is exact, and a time is only as good as two clocks.
            (Some(edition), _) => edition.generation > held.map_or(0, |held| held.generation()),
            (None, Some(at_s)) => {
                held.is_none_or(|held| at_s > held.header().created_at_ms.div_euclid(1000))
            }
            (None, None) => false,
        }
    }

    /// Whether an answer that the client has already may have been made before what it was told of.
    pub(crate) fn forbids_304(self, held: &Held, edition: Edition) -> bool {
        self.is_newer_than(Some(held))
            || self.edition.is_some_and(|told| {
                told.generation == edition.generation && told.is_news_after(edition)
            })
    }
}

/// What to wait for before the answer, if anything.
pub(crate) fn wanted(
    told: Option<Told>,
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
) -> Option<Wanted> {
    let held = access.held.as_ref();
    if request.patience < Patience::Full || !told?.is_newer_than(held) {
        return None;
    }
    if let Some(held) = held {
        return Some(Wanted::new(held.environment.clone(), held.config.generation()));
    }
    let id = access.environment_id(service).filter(|_| service.config().has_store)?;
    Some(Wanted::new(service.environments().get(&id, request.now_ms), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(query: &str) -> Option<Told> {
        Told::read(&Request { query, ..Request::default() })
    }

    #[test]
    fn the_query_is_read_in_every_form_that_clients_send() {
        let edition = Edition::parse("42.1f");
        for query in [
            "flagConfigEtag=42.1f",
            "flagConfigEtag=%2242.1f%22",
            "x=1&flagConfigEtag=\"42.1f\"",
            "flagConfigEtag=42.1f&flagConfigLastModified=soon",
        ] {
            assert_eq!(told(query), Some(Told { edition, last_modified_s: None }), "{query}");
        }
        for query in [
            "flagConfigLastModified=1771622898",
            "flagConfigLastModified=2026-02-20T21%3A28%3A18Z",
            "flagConfigLastModified=2026-02-20T21:28:18Z&flagConfigEtag=elsewhere",
        ] {
            let expected = Told { edition: None, last_modified_s: Some(1_771_622_898) };
            assert_eq!(told(query), Some(expected), "{query}");
        }
        for query in ["", "flagConfigEtag=", "flagConfigEtag=x&flagConfigLastModified=y"] {
            assert_eq!(told(query), None, "{query}");
        }
    }
}
