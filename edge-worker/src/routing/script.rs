//! What is injected: the decisions as a script that any page can hold.
//!
//! ```html
//! <script>window.__SORTITION__={"generation":42,"units":{"anonymous_id":"…"},"decisions":{"checkout":{"variant":"treatment",
//! "value":{…},"enrolled":true,"reason":"split"}}}</script>
//! ```
//!
//! The text is plain ASCII, whatever encoding the page has, and holds no `<`, `>` or `&`, so that no value can end the script. Where the
//! page has a Content-Security-Policy that forbids inline scripts, the script carries the policy's own nonce, else its hash is added
//! to the policy.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The script's text, out of JSON that is well-formed.
pub(crate) fn body(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 64);
    text.push_str("window.__SORTITION__=");
    for c in json.chars() {
        match c {
            // In JSON these stand in strings only, where an escape means the same.
            '<' | '>' | '&' | '\u{7f}' => {
                write!(text, "\\u{:04x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c if c.is_ascii() => text.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04x}").expect("writing to a string cannot fail");
                }
            }
        }
    }
    text
}

/// The whole element.
pub(crate) fn element(body: &str, nonce: Option<&str>) -> Vec<u8> {
    let nonce = nonce.map(|nonce| format!(" nonce=\"{nonce}\"")).unwrap_or_default();
    format!("<script{nonce}>{body}</script>").into_bytes()
}

/// What a policy needs so that the script runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Nothing.
    Given,
    /// The script must carry this nonce.
    Nonce(String),
    /// The policy must be this one instead.
    Policy(String),
}

/// Reads one `Content-Security-Policy` header, which may hold several policies.
pub(crate) fn permission(policies: &str, body: &str) -> Permission {
    let mut nonce = None;
    let mut has_changed = false;
    let amended: Vec<String> = policies
        .split(',')
        .map(|policy| {
            let mut directives: Vec<Cow<'_, str>> = policy.split(';').map(Cow::Borrowed).collect();
            let Some(governing) = directives.get_mut(governing(policy)) else {
                return policy.to_owned();
            };
            let sources = sources(governing);
            if !needs_permission(sources) {
                return policy.to_owned();
            }
            if let Some(found) = nonce_of(sources) {
                nonce.get_or_insert_with(|| found.to_owned());
                return policy.to_owned();
            }
            has_changed = true;
            *governing = Cow::Owned(with_hash(governing, body));
            directives.join(";")
        })
        .collect();
    match (has_changed, nonce) {
        // Policies that ask for different things: the hash satisfies each of them.
        (true, _) => Permission::Policy(amended.join(",")),
        (false, Some(nonce)) => Permission::Nonce(nonce),
        (false, None) => Permission::Given,
    }
}

/// Place of the directive that governs inline scripts: `script-src-elem`, else `script-src`, else `default-src`; beyond the end where
/// there is none.
fn governing(policy: &str) -> usize {
    let place = |wanted: &str| {
        policy.split(';').position(|directive| {
            let name = directive.split_ascii_whitespace().next();
            name.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        })
    };
    let places =
        ["script-src-elem", "script-src", "default-src"].iter().find_map(|name| place(name));
    places.unwrap_or(usize::MAX)
}

/// What a directive allows, after its name.
fn sources(directive: &str) -> &str {
    let directive = directive.trim_start();
    directive.split_once(char::is_whitespace).map_or("", |(_, sources)| sources)
}

fn needs_permission(sources: &str) -> bool {
    let mut allows_inline = false;
    let mut is_strict = false;
    for source in sources.split_ascii_whitespace() {
        let source = source.to_ascii_lowercase();
        allows_inline |= source == "'unsafe-inline'";
        // Beside these browsers ignore 'unsafe-inline'.
        is_strict |= source == "'strict-dynamic'"
            || ["'nonce-", "'sha256-", "'sha384-", "'sha512-"]
                .iter()
                .any(|start| source.starts_with(start));
    }
    !allows_inline || is_strict
}

fn nonce_of(sources: &str) -> Option<&str> {
    let nonce = sources.split_ascii_whitespace().find_map(|source| {
        let (start, rest) = source.split_at_checked(7)?;
        start.eq_ignore_ascii_case("'nonce-").then(|| rest.strip_suffix('\'')).flatten()
    })?;
    let is_base64 =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=');
    (!nonce.is_empty() && nonce.bytes().all(is_base64)).then_some(nonce)
}

/// The directive with the script's hash among its sources.
fn with_hash(directive: &str, body: &str) -> String {
    let hash = format!("'sha256-{}'", base64(&Sha256::digest(body)));
    let kept =
        directive.split_ascii_whitespace().filter(|word| !word.eq_ignore_ascii_case("'none'"));
    let space = if directive.starts_with(char::is_whitespace) { " " } else { "" };
    format!("{space}{}", kept.chain([hash.as_str()]).collect::<Vec<_>>().join(" "))
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let symbol = ALPHABET.get((bits >> (18 - 6 * at) & 63) as usize).copied();
            text.push(if at > chunk.len() { '=' } else { symbol.map_or('A', char::from) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_end_the_script() {
        let json = "{\"a\":\"</script><!--&\u{2028}é🎲\u{7f}\",\"b\":\"\\u003c\"}";
        let text = body(json);
        assert_eq!(
            text,
            r#"window.__SORTITION__={"a":"\u003c/script\u003e\u003c!--\u0026\u2028\u00e9\ud83c\udfb2\u007f","b":"\u003c"}"#
        );
        let read: serde_json::Value =
            serde_json::from_str(text.split_once('=').unwrap().1).unwrap();
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(json).unwrap());
    }

    #[test]
    fn policies_let_the_script_run_and_stay_as_strict() {
        // python3: base64.b64encode(hashlib.sha256(b"window.__SORTITION__={}").digest())
        let hash =
            "'sha256-HASH'".replace("HASH", &base64(&Sha256::digest("window.__SORTITION__={}")));
        let policy = |text: &str| Permission::Policy(text.replace("[H]", &hash));
        let cases = [
            ("img-src 'self'", Permission::Given),
            ("script-src 'self' 'unsafe-inline'", Permission::Given),
            ("default-src 'self'; script-src-elem 'unsafe-inline'", Permission::Given),
            ("script-src 'nonce-aB3+/='", Permission::Nonce("aB3+/=".to_owned())),
            (
                "Script-Src 'unsafe-inline' 'NONCE-abc'; img-src *",
                Permission::Nonce("abc".to_owned()),
            ),
            ("script-src 'self'; img-src *", policy("script-src 'self' [H]; img-src *")),
            ("default-src 'none'", policy("default-src [H]")),
            ("script-src;img-src *", policy("script-src [H];img-src *")),
            (
                "script-src 'unsafe-inline' 'sha256-x'",
                policy("script-src 'unsafe-inline' 'sha256-x' [H]"),
            ),
            ("script-src 'nonce-a\">'", policy("script-src 'nonce-a\">' [H]")),
            (
                "script-src 'nonce-a', default-src 'self'",
                policy("script-src 'nonce-a', default-src 'self' [H]"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(permission(text, "window.__SORTITION__={}"), expected, "{text}");
        }
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
