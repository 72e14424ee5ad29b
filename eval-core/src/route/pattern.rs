//! Matching: one pass over the segments from the left, and one from the right after `**`. Nothing is tried twice.

use super::path::{RequestPath, Segment};
use std::cmp::Ordering;

/// What the wildcards of a path pattern stood for in a path, as received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures<'p> {
    /// One text for each `*`, in order.
    pub stars: Vec<&'p str>,
    /// The text for `**`, without the slash before it.
    pub rest: Option<&'p str>,
}

/// Whether a host is meant. `""` means every host.
pub(super) fn host_matches(pattern: &str, host: &str) -> bool {
    if pattern.is_empty() {
        return true;
    }
    match pattern.strip_prefix('*') {
        None => pattern.eq_ignore_ascii_case(host),
        Some(suffix) => {
            let start = host.len().checked_sub(suffix.len()).filter(|start| *start > 0);
            start
                .and_then(|start| host.get(start..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        }
    }
}

pub(super) fn parts(pattern: &str) -> impl Iterator<Item = &str> + Clone {
    pattern.split('/').filter(|part| !part.is_empty())
}

fn part_matches(part: &str, segment: &[u8]) -> bool {
    match part.split_once('*') {
        None => part.as_bytes() == segment,
        Some((start, end)) => {
            segment.len() >= start.len().saturating_add(end.len())
                && segment.starts_with(start.as_bytes())
                && segment.ends_with(end.as_bytes())
        }
    }
}

/// Whether a path is meant.
pub(super) fn path_matches(pattern: &str, path: &RequestPath<'_>) -> bool {
    walk(pattern, path, |_, _| {}).is_some()
}

/// Walks pattern and path together and answers the stretch of segments that `**` stands for, empty where there is none; `None` when
/// the pattern does not match. `see` is told of each part and its segment.
fn walk<'t>(
    pattern: &'t str,
    path: &'t RequestPath<'_>,
    mut see: impl FnMut(&'t str, &'t Segment),
) -> Option<&'t [Segment]> {
    let mut segments = path.segments();
    let mut parts = parts(pattern);
    let mut rest: &[Segment] = &[];
    while let Some(part) = parts.next() {
        if part == "**" {
            let n_rest = segments.len().checked_sub(parts.clone().count())?;
            (rest, segments) = segments.split_at_checked(n_rest)?;
            continue;
        }
        let (segment, others) = segments.split_first()?;
        if !part_matches(part, path.bytes_of(segment)) {
            return None;
        }
        see(part, segment);
        segments = others;
    }
    segments.is_empty().then_some(rest)
}

impl<'p> Captures<'p> {
    /// What the wildcards of a pattern stand for; `None` when it does not match.
    pub fn of(pattern: &str, path: &'p RequestPath<'_>) -> Option<Self> {
        let mut ranges = Vec::new();
        let rest = walk(pattern, path, |part, segment| {
            if let Some((start, end)) = part.split_once('*') {
                // The literal ends may be written with escapes in the path; then the whole segment is what is known.
                let text = path.text_of(segment.range.clone());
                let inner = text.strip_prefix(start).and_then(|text| text.strip_suffix(end));
                let begin = segment.range.start.saturating_add(start.len());
                let range = match inner {
                    Some(inner) => begin..begin.saturating_add(inner.len()),
                    None => segment.range.clone(),
                };
                ranges.push(range);
            }
        })?;
        let stars = ranges.into_iter().map(|range| path.text_of(range)).collect();
        let has_rest = parts(pattern).any(|part| part == "**");
        let ends_open = pattern.trim_end_matches('/').ends_with("**");
        let rest = match (rest.first(), rest.last()) {
            // A slash at the end belongs to what `**` stands for, where `**` comes last.
            (Some(first), Some(_)) if ends_open => {
                path.text_of(first.range.start..path.as_str().len())
            }
            (Some(first), Some(last)) => path.text_of(first.range.start..last.range.end),
            _ => "",
        };
        Some(Self { stars, rest: has_rest.then_some(rest) })
    }
}

/// A template with its wildcards replaced by what they stand for.
pub fn fill(template: &str, captures: &Captures<'_>) -> String {
    let mut filled = String::with_capacity(template.len().saturating_add(32));
    let mut stars = captures.stars.iter();
    let mut text = template;
    while let Some((before, after)) = text.split_once('*') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('*') {
            filled.push_str(captures.rest.unwrap_or_default());
            text = after;
        } else {
            filled.push_str(stars.next().copied().unwrap_or_default());
            text = after;
        }
    }
    filled.push_str(text);
    filled
}

/// How many `*` and `**` a pattern or template has.
pub(super) fn wildcards(text: &str) -> (usize, usize) {
    let doubles = text.matches("**").count();
    (text.matches('*').count().saturating_sub(doubles.saturating_mul(2)), doubles)
}

fn rank(part: &str) -> u8 {
    match part {
        "**" => 0,
        "*" => 2,
        _ if part.contains('*') => 3,
        _ => 4,
    }
}

/// Rank of the end of a pattern: before `**`, which may go on.
const END: u8 = 1;

fn literals(text: &str) -> usize {
    text.bytes().filter(|byte| *byte != b'*').count()
}

/// The more specific pair of patterns first.
pub(super) fn by_precedence(a: (&str, &str), b: (&str, &str)) -> Ordering {
    let host_rank = |host: &str| match host.as_bytes().first() {
        None => (0, 0),
        Some(b'*') => (1, host.len()),
        Some(_) => (2, host.len()),
    };
    let ranks = |pattern| parts(pattern).map(rank).chain([END]);
    let ((host_a, path_a), (host_b, path_b)) = (a, b);
    host_rank(host_b)
        .cmp(&host_rank(host_a))
        .then_with(|| ranks(path_b).cmp(ranks(path_a)))
        .then_with(|| literals(path_b).cmp(&literals(path_a)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_by_name_or_below_a_name() {
        let cases = [
            ("", "anything", true),
            ("www.example.com", "WWW.example.com", true),
            ("www.example.com", "example.com", false),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", "é.example.com", true),
            ("*.example.com", "éexample.com", false),
        ];
        for (pattern, host, expected) in cases {
            assert_eq!(host_matches(pattern, host), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn paths_match_segment_by_segment() {
        let cases = [
            ("/", "/", true),
            ("/", "//", true),
            ("/", "/a", false),
            ("/a", "/a/", true),
            ("/a/", "/a", true),
            ("/a", "/A", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", false),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/c/", true),
            ("/a/**", "/ab", false),
            ("/**", "/", true),
            ("/**/c", "/c", true),
            ("/**/c", "/a/b/c", true),
            ("/**/c", "/a/c/b", false),
            ("/a/**/b", "/a/b", true),
            ("/a/**/b", "/a", false),
            ("/a/**/a", "/a", false),
            ("/*.html", "/index.html", true),
            ("/*.html", "/index.htm", false),
            ("/item-*", "/item-", true),
            ("/a*a", "/a", false),
            ("/käse", "/k%C3%A4se", true),
            ("/a/b", "/a%2Fb", false),
            ("/a b", "/a%20b", true),
            ("/checkout", "/x/../checkout", true),
            ("/checkout", "/x/%2e%2e/checkout", true),
        ];
        for (pattern, path, expected) in cases {
            let parsed = RequestPath::parse(path).unwrap();
            assert_eq!(path_matches(pattern, &parsed), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn templates_are_filled_with_what_the_wildcards_stood_for() {
        let cases = [
            ("/a/**", "/v2/**", "/a/b/c/", "/v2/b/c/"),
            ("/a/**", "/v2/**", "/a", "/v2/"),
            ("/**", "/v2/**", "/", "/v2/"),
            ("/*/x/*", "/y/*/*", "/1/x/2", "/y/1/2"),
            ("/p/*.html", "/q/*.php", "/p/k%C3%A4se.html", "/q/k%C3%A4se.php"),
            ("/a/**/z", "/b/**/y", "/a/1//2/z", "/b/1//2/y"),
            ("/a/*/**", "/fixed", "/a/b/c", "/fixed"),
            ("/a/*", "/b?x=*", "/a/%2e%2ec", "/b?x=%2e%2ec"),
        ];
        for (pattern, template, path, expected) in cases {
            let path = RequestPath::parse(path).unwrap();
            let captures = Captures::of(pattern, &path).unwrap();
            assert_eq!(fill(template, &captures), expected, "{pattern} {template}");
        }
    }

    #[test]
    fn the_more_specific_patterns_come_first() {
        let expected = [
            ("www.example.com", "/**"),
            ("*.shop.example.com", "/a"),
            ("*.example.com", "/a/b"),
            ("", "/a/b/c"),
            ("", "/a/b"),
            ("", "/a/bb*"),
            ("", "/a/b*"),
            ("", "/a/*"),
            ("", "/a"),
            ("", "/a/**/c"),
            ("", "/a/**"),
            ("", "/*/b"),
            ("", "/**"),
        ];
        let mut rows = expected;
        rows.reverse();
        rows.sort_by(|a, b| by_precedence(*a, *b));
        assert_eq!(rows, expected);
    }
}
