//! The path of a request, in the one form that is matched and sent on.

use std::borrow::Cow;
use std::ops::Range;

/// Longest path in bytes that routes are matched against.
pub const MAX_PATH_BYTES: usize = 8192;

/// A path taken apart: dot segments are gone, escapes are decoded for matching and kept for sending on.
///
/// `..` never leads above the root, written plainly or as `%2e%2e`. Empty segments (`//`) count for nothing in matching and are sent
/// on. `%2F` is part of its segment and separates nothing.
#[derive(Clone, Debug)]
pub struct RequestPath<'r> {
    text: Cow<'r, str>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) range: Range<usize>,
    /// `None`: as written.
    decoded: Option<Vec<u8>>,
}

impl<'r> RequestPath<'r> {
    /// Reads a path as it stands in the request line, without the query. `None`: it is too long, does not begin with a slash, or holds
    /// bytes that no path may hold.
    pub fn parse(path: &'r str) -> Option<Self> {
        let is_allowed = |byte: u8| byte > b' ' && byte != 0x7f && !matches!(byte, b'?' | b'#');
        if path.len() > MAX_PATH_BYTES || !path.starts_with('/') || !path.bytes().all(is_allowed) {
            return None;
        }
        // Servers and URL parsers disagree about what a backslash is, so it is sent on as an escape.
        let path =
            if path.contains('\\') { Cow::Owned(path.replace('\\', "%5C")) } else { path.into() };
        let text = match without_dots(&path) {
            Some(text) => Cow::Owned(text),
            None => path,
        };
        let segments = segments(&text);
        Some(Self { text, segments })
    }

    /// The path to send on: as received, without dot segments.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(crate) fn bytes_of<'s>(&'s self, segment: &'s Segment) -> &'s [u8] {
        match &segment.decoded {
            Some(decoded) => decoded,
            None => self.text.as_bytes().get(segment.range.clone()).unwrap_or_default(),
        }
    }

    /// The text between two places, as received.
    pub(crate) fn text_of(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

/// 1 for `.`, 2 for `..`, in any spelling.
fn dots(segment: &str) -> usize {
    match segment {
        "." => 1,
        ".." => 2,
        _ if segment.len() <= 6 && segment.contains('%') => {
            match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
                "." => 1,
                ".." => 2,
                _ => 0,
            }
        }
        _ => 0,
    }
}

/// The path with its dot segments resolved as RFC 3986, section 5.2.4, says; `None` when it has none.
fn without_dots(path: &str) -> Option<String> {
    if !path.split('/').any(|segment| dots(segment) > 0) {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let n_dots = dots(segment);
        if n_dots == 0 {
            kept.push(segment);
            continue;
        }
        if n_dots == 2 {
            kept.pop();
        }
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    Some(kept.iter().flat_map(|segment| ["/", segment]).collect())
}

fn segments(path: &str) -> Vec<Segment> {
    let mut found = Vec::new();
    let mut start = 0usize;
    for text in path.split('/') {
        let end = start.saturating_add(text.len());
        if !text.is_empty() {
            let decoded = text.contains('%').then(|| percent_decode(text));
            found.push(Segment { range: start..end, decoded });
        }
        start = end.saturating_add(1);
    }
    found
}

/// Decodes `%XX`; anything else, malformed escapes included, stays as it is.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let digit =
        |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0usize;
    while let Some(&byte) = bytes.get(at) {
        let high = digit(bytes.get(at.saturating_add(1)));
        let low = digit(bytes.get(at.saturating_add(2)));
        if let (b'%', Some(high), Some(low)) = (byte, high, low) {
            decoded.push(high << 4 | low);
            at = at.saturating_add(3);
        } else {
            decoded.push(byte);
            at = at.saturating_add(1);
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments_are_resolved_however_they_are_written() {
        let cases = [
            ("/", "/"),
            ("/a//b/", "/a//b/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e", "/"),
            ("/../../etc", "/etc"),
            ("/a/b/..", "/a/"),
            ("/a/b/.", "/a/b/"),
            ("/a/...", "/a/..."),
            ("/a/..b", "/a/..b"),
            ("/a%2Fb/..%2f", "/a%2Fb/..%2f"),
            ("/a\\..\\b", "/a%5C..%5Cb"),
            ("/100%", "/100%"),
        ];
        for (path, expected) in cases {
            assert_eq!(RequestPath::parse(path).unwrap().as_str(), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = format!("/{}", "x".repeat(MAX_PATH_BYTES));
        for path in ["", "*", "a/b", "http://x/", "/a b", "/a\nb", "/a?b", "/a#b", &long] {
            assert!(RequestPath::parse(path).is_none(), "{path:.20}");
        }
    }
}
