//! What the routes that match a URL come to for one visitor.

use eval_core::route::{Actions, Captures, Matched, Redirect, RequestPath, RouteTable, fill};
use eval_core::{CompiledConfig, Decision};
use std::borrow::Cow;

use super::qa::Overrides;

/// Redirects within the site that are followed in thought, to find out whether they end.
const MAX_REDIRECTS: usize = 4;

/// The decision about one key of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decided<'c> {
    pub(super) key: &'c str,
    pub(super) variant: Option<&'c str>,
    /// Serialized JSON.
    pub(super) value: Option<&'c str>,
    pub(super) reason: &'static str,
    /// `None` under an override.
    pub(super) decision: Option<Decision<'c>>,
}

/// Decides keys, each once.
pub(super) struct Decider<'c> {
    pub(super) config: &'c CompiledConfig<'c>,
    pub(super) evaluation: eval_core::Request<'c>,
    pub(super) overrides: Option<&'c Overrides>,
    pub(super) known: Vec<Decided<'c>>,
}

impl<'c> Decider<'c> {
    pub(super) fn decide(&mut self, key: &'c str) -> Decided<'c> {
        if let Some(known) = self.known.iter().find(|known| known.key == key) {
            return *known;
        }
        let wanted = self.overrides.and_then(|overrides| overrides.variant(key));
        let overridden = wanted.and_then(|variant| self.config.variant_named(key, variant));
        let decided = if let Some((variant, value)) = overridden {
            let (variant, value) = (Some(variant), Some(value));
            Decided { key, variant, value, reason: "override", decision: None }
        } else {
            let decision = self.evaluation.evaluate(key);
            Decided {
                key,
                variant: decision.variant(),
                value: decision.value(),
                reason: decision.reason().as_str(),
                decision: Some(decision),
            }
        };
        self.known.push(decided);
        decided
    }

    /// What the routes come to with the visitor's own variants.
    pub(super) fn target(&mut self, matched: &[Matched<'c>]) -> Target<'c> {
        Target::of(matched, |matched| {
            let key = matched.route.experiment.as_deref()?;
            self.decide(key).variant
        })
    }

    /// Whether redirects within the site end, beginning with one to this path.
    pub(super) fn settles(
        &mut self,
        table: &'c RouteTable<'c>,
        host: &str,
        location: &str,
    ) -> bool {
        let mut location = location.to_owned();
        for _ in 0..MAX_REDIRECTS {
            let path = location.split(['?', '#']).next().unwrap_or_default();
            let Some(path) = RequestPath::parse(path) else { return true };
            let matched = table.matching(host, &path);
            let next = self.target(&matched).redirect.and_then(|redirect| redirect.location(&path));
            match next {
                Some(next) if next.split(['?', '#']).next() != Some(path.as_str()) => {
                    if !next.starts_with('/') {
                        return true;
                    }
                    location = next;
                }
                _ => return true,
            }
        }
        false
    }
}

/// A redirect and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leads<'c> {
    pub(super) redirect: &'c Redirect<Cow<'c, str>>,
    pattern: &'c str,
    /// Key of the experiment that has decided so.
    pub(super) key: Option<&'c str>,
}

impl Leads<'_> {
    pub(super) fn location(&self, path: &RequestPath<'_>) -> Option<String> {
        Some(fill(&self.redirect.location, &Captures::of(self.pattern, path)?))
    }
}

/// Where a request goes, and with what.
#[derive(Debug, Clone, Default)]
pub(super) struct Target<'c> {
    pub(super) origin: Option<&'c str>,
    /// Template and pattern.
    pub(super) path: Option<(&'c str, &'c str)>,
    pub(super) redirect: Option<Leads<'c>>,
    pub(super) request_headers: Vec<(&'c str, &'c str)>,
    pub(super) response_headers: Vec<(&'c str, &'c str)>,
}

impl<'c> Target<'c> {
    /// Folds routes from the least to the most specific; the later word counts.
    pub(super) fn of(
        matched: &[Matched<'c>],
        mut variant_of: impl FnMut(&Matched<'c>) -> Option<&'c str>,
    ) -> Self {
        let mut target = Self::default();
        for row in matched.iter().rev() {
            target.add(&row.route.base, row.pattern, None);
            if let Some(variant) = variant_of(row)
                && let Some(actions) = row.route.actions_of(variant)
            {
                target.add(actions, row.pattern, row.route.experiment.as_deref());
            }
        }
        target
    }

    fn add(&mut self, actions: &'c Actions<Cow<'c, str>>, pattern: &'c str, key: Option<&'c str>) {
        if let Some(origin) = &actions.origin {
            self.origin = Some(origin);
            self.redirect = None;
        }
        if let Some(path) = &actions.path {
            self.path = Some((path, pattern));
            self.redirect = None;
        }
        if let Some(redirect) = &actions.redirect {
            self.redirect = Some(Leads { redirect, pattern, key });
        }
        let add = |list: &mut Vec<(&'c str, &'c str)>,
                   headers: &'c [(Cow<'c, str>, Cow<'c, str>)]| {
            for (name, value) in headers {
                list.retain(|(known, _)| known != name);
                list.push((name, value));
            }
        };
        add(&mut self.request_headers, &actions.request_headers);
        add(&mut self.response_headers, &actions.response_headers);
    }

    /// The URL at the origin; `None` when nothing names an origin.
    pub(super) fn url(
        &self,
        default: Option<&str>,
        path: &RequestPath<'_>,
        query: &str,
    ) -> Option<String> {
        let origin = self.origin.or(default)?;
        let filled = self
            .path
            .and_then(|(template, pattern)| Some(fill(template, &Captures::of(pattern, path)?)));
        let path = filled.as_deref().unwrap_or(path.as_str());
        let mark = if query.is_empty() { "" } else { "?" };
        Some(format!("{origin}{path}{mark}{query}"))
    }
}
