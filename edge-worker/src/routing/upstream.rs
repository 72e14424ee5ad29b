//! What changes in a request's headers on the way to an origin.

use super::edits::Edits;
use super::{Head, hosts};
use crate::identity::COOKIE_NAME;

/// Times that a request may pass through edges before it is taken for one that goes in a circle.
pub(super) const MAX_HOPS: u32 = 3;
const HOPS: &str = "x-sortition-hops";

/// What an answer for one visitor asks of the request.
#[derive(Debug, Clone)]
pub(super) struct Personal {
    /// Ending of the entity tags that this visitor's pages carry.
    pub(super) tag: String,
    /// The tags among the client's that end so, without the ending.
    pub(super) known_tags: Option<String>,
    /// A script may have to be written into the answer.
    injects: bool,
}

impl Personal {
    pub(super) fn new(head: &Head<'_>, hash: u64, injects: bool) -> Self {
        let tag = format!("~s{hash:016x}");
        let ending = format!("{tag}\"");
        let tags = head.header("if-none-match").unwrap_or_default().split(',').map(str::trim);
        let mut known = Vec::new();
        for tag in tags {
            if let Some(start) = tag.strip_suffix(&ending) {
                // Pages with a script in them were given weak tags, whatever the origin's was.
                let strong = start.strip_prefix("W/").unwrap_or(start);
                known.extend([format!("{strong}\""), format!("W/{strong}\"")]);
            }
        }
        Self { tag, known_tags: (!known.is_empty()).then(|| known.join(", ")), injects }
    }
}

/// How often a request has passed through edges.
pub(super) fn hops(head: &Head<'_>) -> u32 {
    head.header(HOPS).and_then(|hops| hops.parse().ok()).unwrap_or(0)
}

/// The changes. `told` is what the origin is told of decisions.
pub(super) fn edits(head: &Head<'_>, told: &str, personal: Option<&Personal>) -> Edits {
    let mut edits = Edits::default();
    edits.remove_hop_by_hop(head.header("connection"));
    for (name, _) in &head.headers {
        if name.starts_with("x-sortition-") {
            edits.remove((*name).to_owned());
        }
    }
    edits.remove("host");
    edits.remove("expect");
    edits.set(HOPS, (hops(head) + 1).to_string());
    edits.set("x-forwarded-host", head.authority);
    edits.set("x-forwarded-proto", head.scheme);
    if let Some(ip) = head.client_ip {
        let before =
            head.header("x-forwarded-for").map(|list| format!("{list}, ")).unwrap_or_default();
        edits.set("x-forwarded-for", format!("{before}{ip}"));
    }
    if !told.is_empty() {
        edits.set("x-sortition-variants", told);
    }
    let Some(personal) = personal else { return edits };
    if personal.injects {
        // A script can be written into plain text only.
        edits.set("accept-encoding", "identity");
    }
    edits.remove("if-modified-since");
    match &personal.known_tags {
        Some(tags) => edits.set("if-none-match", tags),
        None => edits.remove("if-none-match"),
    }
    edits
}

/// An origin's `Location` as the client must see it: what leads to the origin's own host leads to ours.
pub(super) fn public_location(
    location: &str,
    url: &str,
    base: &str,
    public: &str,
) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let base_path = base.split_once("://")?.1.split_once('/').map(|(_, path)| format!("/{path}"));
    let is_same = |scheme: &str, authority: &str| {
        location.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(authority))
    };
    let place = is_same(&format!("{scheme}://"), authority)
        .or_else(|| is_same("//", authority))
        .filter(|place| place.is_empty() || place.starts_with(['/', '?', '#']));
    let is_absolute = place.is_some();
    let place = match place {
        Some(place) => place,
        None if location.starts_with('/') && !location.starts_with("//") => location,
        None => return None,
    };
    let inner = base_path.as_deref().and_then(|base| {
        let inner = place.strip_prefix(base)?;
        (inner.is_empty() || inner.starts_with(['/', '?', '#'])).then_some(inner)
    });
    let shown = inner.unwrap_or(place);
    let slash = if shown.starts_with('/') { "" } else { "/" };
    if is_absolute {
        Some(format!("{public}{slash}{shown}"))
    } else {
        inner.map(|inner| format!("{slash}{inner}"))
    }
}

/// A `Set-Cookie` of the origin for the host that the client sees: a cookie for the origin's own host becomes one for ours.
pub(super) fn public_cookie(cookie: &str, url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split(['/', '?']).next()?;
    let host = hosts::host_name(authority)?;
    let is_ours = |part: &str| {
        part.trim().split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("domain")
                && value.trim().trim_start_matches('.').eq_ignore_ascii_case(host)
        })
    };
    if !cookie.split(';').skip(1).any(is_ours) {
        return None;
    }
    let kept: Vec<&str> = cookie
        .split(';')
        .enumerate()
        .filter(|(at, part)| *at == 0 || !is_ours(part))
        .map(|(_, part)| part)
        .collect();
    Some(kept.join(";"))
}

/// Whether a `Set-Cookie` of the origin would take the place of our own cookie.
pub(super) fn is_reserved_cookie(cookie: &str) -> bool {
    let name = cookie.split(['=', ';']).next().unwrap_or_default().trim();
    name == COOKIE_NAME || name == super::QA_NAME
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_client_says_of_itself_reaches_the_origin_as_ours() {
        let head = Head {
            method: "GET",
            scheme: "https",
            authority: "www.example.com",
            headers: vec![
                ("connection", "x-secret, keep-alive"),
                ("x-sortition-variants", "checkout=forged"),
                ("x-sortition-hops", "1"),
                ("x-forwarded-for", "203.0.113.9"),
            ],
            client_ip: Some("192.0.2.7"),
            ..Head::default()
        };
        let edits = edits(&head, "checkout=t", None);
        for name in ["x-secret", "x-sortition-variants", "host", "transfer-encoding"] {
            assert!(edits.remove.iter().any(|removed| removed == name), "{name}");
        }
        for (name, value) in [
            ("x-sortition-hops", "2"),
            ("x-forwarded-host", "www.example.com"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "203.0.113.9, 192.0.2.7"),
            ("x-sortition-variants", "checkout=t"),
        ] {
            assert!(edits.set.iter().any(|set| *set == (name.into(), value.to_owned())), "{name}");
        }
    }

    #[test]
    fn only_tags_of_the_same_decisions_are_sent_on() {
        let headers = vec![(
            "if-none-match",
            "\"a~s0000000000000007\", W/\"b~s0000000000000007\", \"c\", \"d~s08\"",
        )];
        let head = Head { headers, ..Head::default() };
        assert_eq!(
            Personal::new(&head, 7, false).known_tags.as_deref(),
            Some("\"a\", W/\"a\", \"b\", W/\"b\"")
        );
        assert_eq!(Personal::new(&head, 8, false).known_tags, None);
    }

    #[test]
    fn locations_of_the_origin_become_ours() {
        let public = "https://www.example.com";
        let cases = [
            ("https://o.example/a?b", "https://o.example", Some("https://www.example.com/a?b")),
            ("//o.example/a", "https://o.example", Some("https://www.example.com/a")),
            ("https://o.example", "https://o.example", Some("https://www.example.com/")),
            ("https://o.example/v2/a", "https://o.example/v2", Some("https://www.example.com/a")),
            ("/v2/a", "https://o.example/v2", Some("/a")),
            ("/v2", "https://o.example/v2", Some("/")),
            ("/v22/a", "https://o.example/v2", None),
            ("https://o.example/v22", "https://o.example/v2", Some("https://www.example.com/v22")),
            ("/a", "https://o.example", None),
            ("a", "https://o.example", None),
            ("https://o.example.evil/a", "https://o.example", None),
            ("https://other.example/a", "https://o.example", None),
        ];
        for (location, base, expected) in cases {
            let url = format!("{base}/x?y");
            assert_eq!(
                public_location(location, &url, base, public).as_deref(),
                expected,
                "{location}"
            );
        }
    }

    #[test]
    fn cookies_for_the_origins_host_become_cookies_for_ours() {
        let cases = [
            ("a=1; Domain=o.example; Path=/", Some("a=1; Path=/")),
            ("a=1; domain = .O.example", Some("a=1")),
            ("a=1; Domain=example.com", None),
            ("Domain=o.example; Path=/", None),
        ];
        for (cookie, expected) in cases {
            assert_eq!(
                public_cookie(cookie, "https://o.example:8443/a").as_deref(),
                expected,
                "{cookie}"
            );
        }
        assert!(
            is_reserved_cookie("sortition_id=forged; Path=/")
                && !is_reserved_cookie("sortition_idx=1")
        );
    }
}
