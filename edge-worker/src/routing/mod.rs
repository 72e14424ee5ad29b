//! Routing: the edge in front of a site.
//!
//! A request for a host of [`Hosts`] that is none of the edge's own paths is assigned first and routed then. The routes stand in the
//! config ([`eval_core::route`]); this module decides what they mean for a request, the shells carry it out:
//!
//! ```text
//! service.route(&head)          → an answer of its own (a redirect, a refusal), or a Plan
//! for each attempt of the plan:
//!     shell: fetch attempt.url with attempt.edits, or take it from a cache under attempt.cache_key
//!     service.answered(…) / service.failed(…)   → fall back to the next attempt, or an OriginAnswer
//! shell: send status, edited headers, and the body, through an Injector where there is a script
//! ```
//!
//! Bodies never enter the service, but for the beginning of a page into which a script is written. Only origins that the config or a setting
//! names are ever asked: nothing of a request can choose one.

mod answer;
mod attributes;
mod cache;
mod decide;
mod edits;
mod hosts;
mod inject;
mod plan;
mod qa;
mod script;
mod state;
mod upstream;

pub use answer::{OriginAnswer, Verdict};
pub use cache::MAX_STORED_BYTES;
pub use edits::Edits;
pub use hosts::Hosts;
pub use inject::{Injector, MAX_SCANNED_BYTES};
pub use plan::{Attempt, Plan, Routed};
pub use qa::{Overrides, QA_NAME};
pub use state::RoutingCounters;

pub(crate) use state::RoutingState;

/// What routing needs to know.
#[derive(Debug, Clone)]
pub struct RoutingConfig {
    /// The hosts that are routed.
    pub hosts: Hosts,
    /// SDK keys under which exposures of routed requests are logged, at most one for each environment.
    pub sdk_keys: Vec<String>,
    /// Milliseconds that an origin may take until it begins to answer.
    pub origin_timeout_ms: u32,
}

impl Default for RoutingConfig {
    fn default() -> Self {
        Self { hosts: Hosts::default(), sdk_keys: Vec::new(), origin_timeout_ms: 10_000 }
    }
}

impl RoutingConfig {
    /// SDK keys from a list.
    pub fn parse_keys(text: &str) -> Vec<String> {
        let keys = text.split(|c: char| c == ',' || c.is_whitespace());
        keys.filter(|key| !key.is_empty()).map(ToOwned::to_owned).collect()
    }

    pub(crate) fn sdk_key(&self, environment: &str) -> Option<&str> {
        let of_environment = |key: &&String| crate::auth::environment_of(key) == Some(environment);
        self.sdk_keys.iter().find(of_environment).map(String::as_str)
    }
}

/// A request to be routed, without its body.
#[derive(Debug, Clone, Default)]
pub struct Head<'r> {
    /// Upper-case method.
    pub method: &'r str,
    /// `http` or `https`, as the client sees it.
    pub scheme: &'r str,
    /// Host and perhaps port, as the client sees them.
    pub authority: &'r str,
    /// Path as received.
    pub path: &'r str,
    /// Query without `?`.
    pub query: &'r str,
    /// Headers, names in lower case. Those that are not UTF-8 may be missing.
    pub headers: Vec<(&'r str, &'r str)>,
    /// Address of the client, where it is known.
    pub client_ip: Option<&'r str>,
    /// Wall clock, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

impl<'r> Head<'r> {
    pub(crate) fn header(&self, name: &str) -> Option<&'r str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(crate) fn is_safe(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS")
    }

    /// Whether a page is asked for, as opposed to what belongs to one.
    pub(crate) fn wants_page(&self) -> bool {
        match self.header("sec-fetch-dest") {
            Some(destination) => {
                matches!(
                    destination,
                    "document" | "iframe" | "frame" | "fencedframe" | "object" | "embed"
                )
            }
            None => self
                .header("accept")
                .is_none_or(|accept| accept.trim() == "*/*" || accept.contains("text/html")),
        }
    }

    /// Whether the answer is only fetched for later.
    pub(crate) fn is_prefetch(&self) -> bool {
        ["sec-purpose", "purpose", "x-moz"]
            .iter()
            .any(|name| self.header(name).is_some_and(|value| value.contains("prefetch")))
    }
}

/// A value of a `Cookie` header.
pub(crate) fn cookie<'r>(header: Option<&'r str>, name: &str) -> Option<&'r str> {
    header?.split(';').find_map(|pair| {
        let (known, value) = pair.split_once('=')?;
        (known.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}
