//! Routes: which experiment decides about which URLs, and what each variant does to a request.
//!
//! An edge that stands in front of a site looks up every route that matches the URL ([`RouteTable::matching`]), lets the
//! experiments of those routes decide, and applies what the routes and the variants say. Evaluation knows nothing of
//! routes: they stand beside it in the config, refer to its keys, and cost a config without them nothing.
//!
//! # Patterns
//!
//! - A host pattern is a host name, or `*.` and a host name for every name below it. No host patterns: every host.
//! - A path pattern is a list of segments. `*` stands for one segment, or for part of one (`*.html`); `**`, at most once,
//!   for any number of segments, none included. Letters count as written; a slash at the end, or one too many, does not.
//!   No path patterns: every path.
//!
//! # Precedence
//!
//! All routes that match apply. Where two say different things, the more specific one wins: first by host (a name before `*.`, the
//! longer suffix first, any host last), then by path, segment by segment from the left (text before `a*b` before `*` before
//! `**`), then by the number of literal bytes, then by the route's key, in the order of the alphabet.

mod compile;
mod path;
mod pattern;

pub use compile::{MAX_ROUTES, check_origin};
pub use path::{MAX_PATH_BYTES, RequestPath};
pub use pattern::{Captures, fill};

pub(crate) use compile::{compile, problem};

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One route; `S` is how its strings are held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route<S> {
    /// Name, for logs and counters.
    pub key: S,
    /// Host patterns; empty: every host.
    #[serde(default = "Vec::new")]
    pub hosts: Vec<S>,
    /// Path patterns; empty: every path.
    #[serde(default = "Vec::new")]
    pub paths: Vec<S>,
    /// Key of the experiment or flag that decides, as clients ask for it.
    #[serde(default = "none")]
    pub experiment: Option<S>,
    /// What applies to everyone.
    #[serde(default = "Actions::default")]
    pub base: Actions<S>,
    /// What applies to a variant besides, and wins over `base`.
    #[serde(default = "Vec::new")]
    pub variants: Vec<VariantActions<S>>,
    /// Whether the decision is written into the head of HTML pages.
    #[serde(default)]
    pub inject: bool,
    /// Whether the origin is told the variant in a request header, so that its pages may differ by it.
    #[serde(default)]
    pub tell_origin: bool,
}

// `#[serde(default)]` would ask strings of every kind for a default.
fn none<S>() -> Option<S> {
    None
}

/// What one variant does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantActions<S> {
    /// Name of the variant.
    pub variant: S,
    /// What it does.
    pub actions: Actions<S>,
}

/// What is done to a request and its answer. Everything is optional.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actions<S> {
    /// Base URL of the origin, such as `https://v2.example.com` or `https://example.com/v2`.
    #[serde(default = "none")]
    pub origin: Option<S>,
    /// Path at the origin. Its `*` and `**` stand for what those of the path pattern matched.
    #[serde(default = "none")]
    pub path: Option<S>,
    /// Send the client elsewhere instead.
    #[serde(default = "none")]
    pub redirect: Option<Redirect<S>>,
    /// Headers set on the request to the origin; an empty value removes the header.
    #[serde(default = "Vec::new")]
    pub request_headers: Vec<(S, S)>,
    /// Headers set on the answer; an empty value removes the header.
    #[serde(default = "Vec::new")]
    pub response_headers: Vec<(S, S)>,
}

impl<S> Default for Actions<S> {
    fn default() -> Self {
        Self {
            origin: None,
            path: None,
            redirect: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
        }
    }
}

/// Where to send a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect<S> {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// A path, or a whole URL; wildcards as in [`Actions::path`]. The query of the request is kept.
    pub location: S,
}

/// A route as it is authored, for [`ConfigSource::routes`](crate::source::ConfigSource::routes).
pub type RouteSource = Route<String>;

impl<S> Actions<S> {
    /// Whether the origin may answer differently because of these.
    pub fn reach_origin(&self) -> bool {
        self.origin.is_some() || self.path.is_some() || !self.request_headers.is_empty()
    }

    pub(crate) fn map<'s, T>(&'s self, to: &mut impl FnMut(&'s S) -> T) -> Actions<T> {
        let mut headers = |list: &'s [(S, S)]| -> Vec<(T, T)> {
            list.iter().map(|(name, value)| (to(name), to(value))).collect()
        };
        let request_headers = headers(&self.request_headers);
        let response_headers = headers(&self.response_headers);
        Actions {
            origin: self.origin.as_ref().map(&mut *to),
            path: self.path.as_ref().map(&mut *to),
            redirect: self.redirect.as_ref().map(|redirect| Redirect {
                status: redirect.status,
                location: to(&redirect.location),
            }),
            request_headers,
            response_headers,
        }
    }
}

impl<S> Route<S> {
    pub(crate) fn map<'s, T>(&'s self, to: &mut impl FnMut(&'s S) -> T) -> Route<T> {
        Route {
            key: to(&self.key),
            hosts: self.hosts.iter().map(&mut *to).collect(),
            paths: self.paths.iter().map(&mut *to).collect(),
            experiment: self.experiment.as_ref().map(&mut *to),
            base: self.base.map(to),
            variants: self
                .variants
                .iter()
                .map(|row| VariantActions {
                    variant: to(&row.variant),
                    actions: row.actions.map(to),
                })
                .collect(),
            inject: self.inject,
            tell_origin: self.tell_origin,
        }
    }
}

impl<S: AsRef<str>> Route<S> {
    /// What a variant does; `None` when it does nothing of its own.
    pub fn actions_of(&self, variant: &str) -> Option<&Actions<S>> {
        self.variants.iter().find(|row| row.variant.as_ref() == variant).map(|row| &row.actions)
    }

    /// Whether the origin's answer may depend on the variant, so that a cache must keep the variants apart.
    pub fn varies_origin(&self) -> bool {
        self.experiment.is_some()
            && (self.tell_origin || self.variants.iter().any(|row| row.actions.reach_origin()))
    }
}

/// A pair of patterns and the route that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row<'b> {
    /// Empty: every host.
    pub(crate) host: Cow<'b, str>,
    pub(crate) path: Cow<'b, str>,
    /// Index of the route.
    pub(crate) route: u32,
}

/// The routes of a config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTable<'b> {
    /// Sorted by key.
    pub(crate) routes: Vec<Route<Cow<'b, str>>>,
    /// Control variant of each route's experiment; empty where there is none.
    pub(crate) controls: Vec<Cow<'b, str>>,
    /// The most specific first.
    pub(crate) rows: Vec<Row<'b>>,
}

/// A route that matches a URL.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The route.
    pub route: &'t Route<Cow<'t, str>>,
    /// Control variant of its experiment.
    pub control: &'t str,
    /// The path pattern that matched.
    pub pattern: &'t str,
}

impl RouteTable<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// The routes that match, the most specific first. `host` is without port; upper and lower case are the same.
    pub fn matching(&self, host: &str, path: &RequestPath<'_>) -> Vec<Matched<'_>> {
        let mut found: Vec<Matched<'_>> = Vec::new();
        for row in &self.rows {
            if !pattern::host_matches(&row.host, host) || !pattern::path_matches(&row.path, path) {
                continue;
            }
            let at = row.route as usize;
            let (Some(route), Some(control)) = (self.routes.get(at), self.controls.get(at)) else {
                continue;
            };
            if !found.iter().any(|earlier| std::ptr::eq(earlier.route, route)) {
                found.push(Matched { route, control, pattern: &row.path });
            }
        }
        found
    }
}
