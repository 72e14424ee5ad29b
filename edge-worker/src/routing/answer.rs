//! What becomes of an origin's answer.

use super::edits::Edits;
use super::plan::{Attempt, Plan};
use super::state::count;
use super::{cache, script, upstream};
use crate::bundle::etag_matches;
use crate::response::{Answer, Problem};
use crate::service::Service;

/// What a shell does after an attempt.
#[derive(Debug)]
pub enum Verdict {
    /// Drop this answer and make the next attempt.
    Fallback,
    /// Send this answer on.
    Send(Box<OriginAnswer>),
    /// No origin has answered: send this.
    Refuse(Answer),
}

/// How to send an origin's answer on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginAnswer {
    /// Status to send.
    pub status: u16,
    /// Changes of the origin's headers.
    pub edits: Edits,
    /// Script to write into the body, through an [`Injector`](super::Injector).
    pub script: Option<Vec<u8>>,
    /// The body must not be sent.
    pub is_empty: bool,
    /// The origin's answer, as it came, may be kept under the attempt's cache key.
    pub is_storable: bool,
}

/// Headers that describe a body as it was before something was written into it.
const BODY_HEADERS: [&str; 6] =
    ["content-length", "content-md5", "digest", "repr-digest", "content-digest", "accept-ranges"];
/// Headers that speak to shared caches, who must not keep what is one visitor's.
const SHARED_CACHE_HEADERS: [&str; 5] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
    "expires",
    "last-modified",
];

impl Service {
    /// An origin, or the cache, has answered attempt `n` of a plan. `headers` are in lower case.
    pub fn answered(
        &self,
        plan: &Plan,
        n: usize,
        status: u16,
        headers: &[(&str, &str)],
        is_cached: bool,
        now_ms: i64,
    ) -> Verdict {
        let Some(attempt) = plan.attempts.get(n) else { return unreachable_origin(false) };
        if is_cached {
            count(&self.routing().cached);
        } else {
            self.routing().record(&attempt.origin, status >= 500, now_ms);
        }
        if status >= 500 && n + 1 < plan.attempts.len() {
            count(&self.routing().fell_back);
            return Verdict::Fallback;
        }
        plan.log_exposures(self);
        let answer = answer(plan, attempt, status, headers, is_cached);
        if plan.script.is_some() && is_page(headers) && !answer.is_empty && !plan.is_head {
            let routing = self.routing();
            count(if answer.script.is_some() { &routing.injected } else { &routing.not_injected });
        }
        Verdict::Send(Box::new(answer))
    }

    /// Attempt `n` of a plan brought no answer.
    pub fn failed(&self, plan: &Plan, n: usize, has_timed_out: bool, now_ms: i64) -> Verdict {
        if let Some(attempt) = plan.attempts.get(n) {
            self.routing().record(&attempt.origin, true, now_ms);
        }
        if n + 1 < plan.attempts.len() {
            count(&self.routing().fell_back);
            return Verdict::Fallback;
        }
        count(&self.routing().failed);
        unreachable_origin(has_timed_out)
    }
}

fn unreachable_origin(has_timed_out: bool) -> Verdict {
    let problem = if has_timed_out {
        Problem::new(504, "origin_timeout", "the origin did not begin to answer in time")
    } else {
        Problem::new(502, "origin_unreachable", "the origin cannot be reached")
    };
    Verdict::Refuse(Answer::from(problem).with("cache-control", "no-store"))
}

fn value<'h>(headers: &[(&str, &'h str)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Whether the body is HTML in an encoding that has ASCII in it.
fn is_page(headers: &[(&str, &str)]) -> bool {
    let content_type = value(headers, "content-type").unwrap_or_default().to_ascii_lowercase();
    let (kind, parameters) = content_type.split_once(';').unwrap_or((&content_type, ""));
    kind.trim() == "text/html" && !parameters.contains("utf-16") && !parameters.contains("utf-32")
}

fn answer(
    plan: &Plan,
    attempt: &Attempt,
    status: u16,
    headers: &[(&str, &str)],
    is_cached: bool,
) -> OriginAnswer {
    let mut edits = Edits::default();
    edits.remove_hop_by_hop(value(headers, "connection"));
    if let Some(location) = value(headers, "location")
        && let Some(location) =
            upstream::public_location(location, &attempt.url, &attempt.origin, &plan.public)
    {
        edits.set("location", location);
    }
    rewrite_cookies(&mut edits, attempt, headers);
    let is_storable =
        attempt.cache_key.is_some() && !is_cached && cache::is_storable(status, headers);
    let is_page = is_page(headers);
    let has_body = !matches!(status, 100..=199 | 204 | 205 | 206 | 304);
    let is_plain = value(headers, "content-encoding")
        .is_none_or(|e| e.trim().eq_ignore_ascii_case("identity"));
    let may_change = value(headers, "cache-control")
        .is_none_or(|c| !c.to_ascii_lowercase().contains("no-transform"));
    let mut script = None;
    if let Some(body) =
        plan.script.as_deref().filter(|_| is_page && has_body && is_plain && may_change)
    {
        for name in BODY_HEADERS {
            edits.remove(name);
        }
        let nonce = allow_script(&mut edits, headers, body);
        script = Some(script::element(body, nonce.as_deref()));
    }
    let mut answer = OriginAnswer { status, edits, script, is_empty: false, is_storable };
    if plan.is_personal {
        make_personal(&mut answer, plan, headers, is_page);
    }
    for (name, value) in &plan.response_headers {
        answer.edits.apply(name, value);
    }
    if let Some(shown) = &plan.shown {
        answer.edits.set("x-sortition-variants", shown);
        answer.edits.set("x-sortition-cache", if is_cached { "hit" } else { "miss" });
    }
    for cookie in &plan.set_cookies {
        answer.edits.append("set-cookie", cookie);
    }
    if plan.is_head {
        answer.script = None;
    }
    answer
}

/// Cookies for the origin's own host become cookies for ours; ours are nobody else's to set.
fn rewrite_cookies(edits: &mut Edits, attempt: &Attempt, headers: &[(&str, &str)]) {
    let cookies: Vec<&str> =
        headers.iter().filter(|(name, _)| *name == "set-cookie").map(|(_, value)| *value).collect();
    let changed: Vec<Option<String>> =
        cookies.iter().map(|cookie| upstream::public_cookie(cookie, &attempt.url)).collect();
    let is_reserved = |cookie: &&str| upstream::is_reserved_cookie(cookie);
    if changed.iter().all(Option::is_none) && !cookies.iter().any(is_reserved) {
        return;
    }
    edits.remove("set-cookie");
    for (cookie, changed) in cookies.iter().zip(changed) {
        if !is_reserved(cookie) {
            edits.append("set-cookie", changed.unwrap_or_else(|| (*cookie).to_owned()));
        }
    }
}

/// Amends the page's policies so that the script runs; answers the nonce that it must carry.
fn allow_script(edits: &mut Edits, headers: &[(&str, &str)], body: &str) -> Option<String> {
    let mut nonce = None;
    for name in ["content-security-policy", "content-security-policy-report-only"] {
        let policies: Vec<&str> =
            headers.iter().filter(|(known, _)| *known == name).map(|(_, value)| *value).collect();
        if policies.is_empty() {
            continue;
        }
        match script::permission(&policies.join(", "), body) {
            script::Permission::Given => {}
            script::Permission::Nonce(found) => nonce = nonce.or(Some(found)),
            script::Permission::Policy(policy) => edits.set(name, policy),
        }
    }
    nonce
}

/// What depends on the visitor is kept by the visitor's browser alone, and told apart by its entity tag.
fn make_personal(answer: &mut OriginAnswer, plan: &Plan, headers: &[(&str, &str)], is_page: bool) {
    let edits = &mut answer.edits;
    edits.set("cache-control", cache::private(value(headers, "cache-control"), is_page));
    for name in SHARED_CACHE_HEADERS {
        edits.remove(name);
    }
    let vary: Vec<&str> =
        headers.iter().filter(|(name, _)| *name == "vary").map(|(_, value)| *value).collect();
    let names_cookie =
        |name: &str| matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("cookie");
    if !vary.iter().any(|line| line.split(',').any(names_cookie)) {
        let before = if vary.is_empty() { String::new() } else { format!("{}, ", vary.join(", ")) };
        edits.set("vary", format!("{before}Cookie"));
    }
    let Some(etag) = value(headers, "etag") else { return };
    let Some(start) = etag.strip_suffix('"') else {
        edits.remove("etag");
        return;
    };
    // With a script in it the page is no longer the same byte for byte.
    let is_changed = answer.script.is_some() || (plan.script.is_some() && answer.status == 304);
    let weak = if is_changed && !start.starts_with("W/") { "W/" } else { "" };
    edits.set("etag", format!("{weak}{start}{}\"", plan.tag));
    let bare = etag.strip_prefix("W/").unwrap_or(etag);
    if answer.status == 200 && etag_matches(plan.known_tags.as_deref(), bare) {
        answer.status = 304;
        answer.is_empty = true;
        answer.script = None;
        answer.is_storable = false;
        answer.edits.remove("content-length");
        answer.edits.remove("content-type");
    }
}
