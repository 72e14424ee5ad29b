//! Which answers of origins a shared cache may keep, and under which key.
//!
//! The key is the URL at the origin and the variants of those experiments that can change what the origin answers there. Experiments of
//! other URLs, and those that only write decisions into the page, are not in it: they would split the cache for nothing.

use xxhash_rust::xxh3::xxh3_64;

use super::Head;

/// Bytes of a body that a cache of the edge keeps.
pub const MAX_STORED_BYTES: usize = 2 * 1024 * 1024;

/// The key of a request, a URL that no origin is ever asked for; `None` when a cache must not answer it.
pub(crate) fn key(
    head: &Head<'_>,
    url: &str,
    variants: &str,
    headers: &[(&str, &str)],
) -> Option<String> {
    let is_plain = head.method == "GET"
        && head.header("range").is_none()
        && head.header("authorization").is_none();
    if !is_plain {
        return None;
    }
    let mut text = String::new();
    for (name, value) in headers {
        text.extend([name, ":", value, "\n"]);
    }
    let set =
        if text.is_empty() { String::new() } else { format!(".{:016x}", xxh3_64(text.as_bytes())) };
    let separator = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{separator}__sortition={variants}{set}"))
}

/// The directives of a `Cache-Control` header, names in lower case.
fn directives(header: &str) -> impl Iterator<Item = (String, &str)> {
    header.split(',').map(|directive| {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"'))
    })
}

/// Whether an answer may be kept for other visitors (RFC 9111). Stricter than the rule: only what names its freshness, sets no cookie,
/// varies by nothing but the encoding, and is not encoded.
pub(crate) fn is_storable(status: u16, headers: &[(&str, &str)]) -> bool {
    let value =
        |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    let Some(cache_control) = value("cache-control") else { return false };
    let mut is_fresh = false;
    for (name, value) in directives(cache_control) {
        match name.as_str() {
            "no-store" | "no-cache" | "private" => return false,
            "s-maxage" | "max-age" => is_fresh |= value.parse::<u64>().is_ok_and(|age| age > 0),
            _ => {}
        }
    }
    let varies = headers
        .iter()
        .filter(|(name, _)| *name == "vary")
        .flat_map(|(_, value)| value.split(','))
        .any(|name| !name.trim().eq_ignore_ascii_case("accept-encoding"));
    let is_encoded = value("content-encoding")
        .is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    let length = value("content-length").and_then(|length| length.parse::<usize>().ok());
    status == 200
        && is_fresh
        && !varies
        && !is_encoded
        && value("set-cookie").is_none()
        && length.is_none_or(|length| length <= MAX_STORED_BYTES)
}

/// The `Cache-Control` of an answer that is one visitor's. Pages are asked for again each time, so that a stopped experiment stops.
pub(crate) fn private(cache_control: Option<&str>, is_page: bool) -> String {
    let cache_control = cache_control.unwrap_or_default();
    if directives(cache_control).any(|(name, _)| name == "no-store") {
        return "private, no-store".to_owned();
    }
    if is_page {
        return "private, no-cache".to_owned();
    }
    let mut kept = "private".to_owned();
    for directive in cache_control.split(',').map(str::trim) {
        let name = directive.split(['=', ' ']).next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(name.as_str(), "" | "public" | "private" | "s-maxage" | "proxy-revalidate") {
            kept.extend([", ", directive]);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_holds_the_variants_and_the_headers_that_routes_set() {
        let head = Head { method: "GET", ..Head::default() };
        let key_of = |headers: &[(&str, &str)]| {
            key(&head, "https://o.example/a?b=1", "checkout=t", headers).unwrap()
        };
        assert_eq!(key_of(&[]), "https://o.example/a?b=1&__sortition=checkout=t");
        let one = key_of(&[("x-a", "1")]);
        assert!(one.starts_with("https://o.example/a?b=1&__sortition=checkout=t."));
        assert_ne!(one, key_of(&[("x-a", "2")]));
        for (method, header) in
            [("POST", None), ("GET", Some("range")), ("GET", Some("authorization"))]
        {
            let headers = header.into_iter().map(|name| (name, "x")).collect();
            let head = Head { method, headers, ..Head::default() };
            assert_eq!(key(&head, "https://o.example/", "", &[]), None, "{method} {header:?}");
        }
    }

    #[test]
    fn only_what_says_that_it_is_for_all_is_kept() {
        type Case = (u16, &'static [(&'static str, &'static str)], bool);
        let cases: [Case; 13] = [
            (200, &[("cache-control", "public, max-age=60")], true),
            (200, &[("cache-control", "S-MaxAge=60"), ("vary", "Accept-Encoding")], true),
            (200, &[("cache-control", "max-age=60"), ("content-length", "100")], true),
            (200, &[], false),
            (200, &[("cache-control", "public")], false),
            (200, &[("cache-control", "max-age=0")], false),
            (200, &[("cache-control", "max-age=60, no-store")], false),
            (200, &[("cache-control", "private, max-age=60")], false),
            (200, &[("cache-control", "max-age=60"), ("vary", "Accept-Encoding, Cookie")], false),
            (200, &[("cache-control", "max-age=60"), ("set-cookie", "a=1")], false),
            (200, &[("cache-control", "max-age=60"), ("content-encoding", "gzip")], false),
            (200, &[("cache-control", "max-age=60"), ("content-length", "99999999")], false),
            (404, &[("cache-control", "max-age=60")], false),
        ];
        for (status, headers, expected) in cases {
            assert_eq!(is_storable(status, headers), expected, "{status} {headers:?}");
        }
    }

    #[test]
    fn what_is_one_visitors_is_private() {
        let cases = [
            (None, true, "private, no-cache"),
            (Some("public, max-age=600"), true, "private, no-cache"),
            (
                Some("public, max-age=600, s-maxage=9, immutable"),
                false,
                "private, max-age=600, immutable",
            ),
            (Some("no-store"), true, "private, no-store"),
            (None, false, "private"),
        ];
        for (given, is_page, expected) in cases {
            assert_eq!(private(given, is_page), expected, "{given:?}");
        }
    }
}
