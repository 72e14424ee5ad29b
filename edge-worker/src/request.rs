//! A request as the portable service sees it: borrowed text, the body read, the clock given.

/// One HTTP request. The shells fill it from what their platform hands them; `now_ms` makes the service pure but for its cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'r> {
    /// Upper-case method.
    pub method: &'r str,
    /// Path as received, percent-encoded, without the query.
    pub path: &'r str,
    /// Query without `?`; empty when there is none.
    pub query: &'r str,
    /// The headers that the service reads.
    pub headers: Headers<'r>,
    /// The body; empty when it was too large to be read.
    pub body: &'r [u8],
    /// The shell gave up reading because the body exceeds [`MAX_EVENTS_BODY_BYTES`].
    pub body_too_large: bool,
    /// Wall clock, milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// What the shell may still do before the answer.
    pub patience: Patience,
}

/// What a shell may still do for a request before it has to be answered.
///
/// A request waits for a few reads of the store at most, whatever comes of them. What was loaded for it may be forgotten again before it is
/// answered, where very many environments are asked for at once; then it is answered as if nothing could be loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Patience {
    /// Nothing: the request is answered with what is held, and where nothing is, with the defaults.
    None = 0,
    /// Load what is missing. It has looked for news already.
    Loads = 1,
    /// Load what is missing, and look for news that the client has heard of ([`Outcome::Freshen`](crate::service::Outcome::Freshen)).
    #[default]
    Full = 2,
}

impl Patience {
    /// By its number; anything else is none.
    pub fn from_number(number: u8) -> Self {
        match number {
            2 => Self::Full,
            1 => Self::Loads,
            _ => Self::None,
        }
    }
}

/// Times that a request may have to wait: for the environment that its key names, for the default one, for a client form or an archived
/// generation; and for news.
pub const MAX_WAITS: usize = 4;

/// Bytes that a batch of events may have, as sent (compressed or not).
pub const MAX_EVENTS_BODY_BYTES: usize = 5 * 1024 * 1024;
/// Bytes that any other body may have.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The request headers that matter, in the order in which the JavaScript shim joins them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'r> {
    /// `Authorization`.
    pub authorization: Option<&'r str>,
    /// `X-SDK-Key`.
    pub x_sdk_key: Option<&'r str>,
    /// `X-API-Key`, which OFREP clients may send.
    pub x_api_key: Option<&'r str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'r str>,
    /// `Origin`, sent by browsers.
    pub origin: Option<&'r str>,
    /// `Content-Type`.
    pub content_type: Option<&'r str>,
    /// `Content-Encoding`, passed on with events.
    pub content_encoding: Option<&'r str>,
    /// `Cookie`.
    pub cookie: Option<&'r str>,
    /// `Last-Event-ID`, of clients whose stream had ended.
    pub last_event_id: Option<&'r str>,
}

impl<'r> Headers<'r> {
    /// Names, lower-case, in the order of [`from_lines`](Self::from_lines); the native shell reads the same ones.
    pub const NAMES: [&'static str; 9] = [
        "authorization",
        "x-sdk-key",
        "x-api-key",
        "if-none-match",
        "origin",
        "content-type",
        "content-encoding",
        "cookie",
        "last-event-id",
    ];

    /// From one line per name, empty when the header is absent; missing lines count as absent. No header value can hold a line feed.
    pub fn from_lines(lines: &'r str) -> Self {
        Self::from_values(lines.split('\n').map(|line| (!line.is_empty()).then_some(line)))
    }

    /// From values in the order of [`NAMES`](Self::NAMES).
    pub fn from_values(values: impl IntoIterator<Item = Option<&'r str>>) -> Self {
        let mut values = values.into_iter();
        let mut next = || values.next().flatten();
        Self {
            authorization: next(),
            x_sdk_key: next(),
            x_api_key: next(),
            if_none_match: next(),
            origin: next(),
            content_type: next(),
            content_encoding: next(),
            cookie: next(),
            last_event_id: next(),
        }
    }
}

impl<'r> Request<'r> {
    /// From method, path, query and the headers of [`Headers::NAMES`], one a line.
    pub fn from_lines(head: &'r str, body: &'r [u8], body_too_large: bool, now_ms: i64) -> Self {
        let mut lines = head.splitn(4, '\n');
        let mut next = || lines.next().unwrap_or_default();
        Self {
            method: next(),
            path: next(),
            query: next(),
            headers: Headers::from_lines(next()),
            body,
            body_too_large,
            now_ms,
            patience: Patience::Full,
        }
    }

    /// The first value of a query parameter, as written (not decoded).
    pub fn query_value(&self, name: &str) -> Option<&'r str> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }
}

/// Decodes `%XX`; anything else, malformed escapes included, stays as it is. `None` when the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<std::borrow::Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%')
            .then(|| Some((hex_digit(*bytes.get(at + 1)?)?, hex_digit(*bytes.get(at + 2)?)?)))
            .flatten();
        if let Some((high, low)) = escaped {
            decoded.push(high << 4 | low);
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    String::from_utf8(decoded).ok().map(Into::into)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_from_lines_and_empty_ones_are_absent() {
        let headers = Headers::from_lines("Bearer k\n\n\n\"3\"\n\n\n\nsortition_id=x");
        assert_eq!(headers.authorization, Some("Bearer k"));
        assert_eq!(headers.x_sdk_key, None);
        assert_eq!(headers.if_none_match, Some("\"3\""));
        assert_eq!(headers.content_encoding, None);
        assert_eq!(headers.cookie, Some("sortition_id=x"));
    }

    #[test]
    fn percent_escapes_are_decoded_and_broken_ones_kept() {
        let cases = [
            ("new_nav", Some("new_nav")),
            ("a%2Fb", Some("a/b")),
            ("100%", Some("100%")),
            ("%zz", Some("%zz")),
            ("%ff", None),
        ];
        for (text, expected) in cases {
            assert_eq!(percent_decode(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn query_values_are_found_by_their_whole_name() {
        let request = Request { query: "xkey=1&key=sk&explain", ..Request::default() };
        assert_eq!(request.query_value("key"), Some("sk"));
        assert_eq!(request.query_value("explain"), Some(""));
        assert_eq!(request.query_value("ke"), None);
    }
}
