//! QA override: a signed link that shows a page as a given variant, to whoever opens it, until it expires.
//!
//! The parameter `sortition_qa` (and the cookie of the same name, which keeps it while the visitor goes on) holds
//!
//! ```text
//! base64url( payload ‖ first 16 bytes of HMAC-SHA-256(key, payload) )
//! payload = "1;" expiry in seconds since the Unix epoch ";" key "=" variant ";" key "=" variant …
//! key     = HMAC-SHA-256(SORTITION_LIST_SECRET, "qa:" + environment id)
//! ```
//!
//! with `%`, `;` and `=` in names percent-encoded. `sortition_qa=off` ends it. An override enrols nobody and logs nothing.

use std::fmt::Write as _;

use crate::base64url;
use crate::request::percent_decode;
use crate::signing::SigningKey;

/// Name of the query parameter and of the cookie.
pub const QA_NAME: &str = "sortition_qa";
/// Characters that a token may have.
const MAX_TOKEN_CHARS: usize = 2048;
/// Overrides that a token may hold.
const MAX_OVERRIDES: usize = 32;

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overrides {
    /// Seconds since the Unix epoch.
    pub expires_s: i64,
    /// Experiment or flag key, and variant.
    pub variants: Vec<(String, String)>,
}

impl Overrides {
    /// Writes a token.
    pub fn sign(&self, key: &SigningKey) -> String {
        let mut payload = format!("1;{}", self.expires_s);
        for (name, variant) in &self.variants {
            write!(payload, ";{}={}", escape(name), escape(variant))
                .expect("writing to a string cannot fail");
        }
        let mut signed = payload.into_bytes();
        key.seal(&mut signed);
        base64url::encode(&signed)
    }

    /// Reads a token; `None` when it was not signed with this key, or has expired.
    pub fn read(token: &str, key: &SigningKey, now_ms: i64) -> Option<Self> {
        if token.len() > MAX_TOKEN_CHARS {
            return None;
        }
        let signed = base64url::decode(token)?;
        let mut parts = std::str::from_utf8(key.open(&signed)?).ok()?.split(';');
        if parts.next()? != "1" {
            return None;
        }
        let expires_s: i64 = parts.next()?.parse().ok()?;
        if now_ms.div_euclid(1000) >= expires_s {
            return None;
        }
        let decode = |text| percent_decode(text).map(std::borrow::Cow::into_owned);
        let variants = parts
            .take(MAX_OVERRIDES)
            .map(|pair| {
                let (name, variant) = pair.split_once('=')?;
                Some((decode(name)?, decode(variant)?))
            })
            .collect::<Option<_>>()?;
        Some(Self { expires_s, variants })
    }

    /// The variant that a key is given.
    pub(crate) fn variant(&self, key: &str) -> Option<&str> {
        self.variants.iter().find(|(name, _)| name == key).map(|(_, variant)| variant.as_str())
    }
}

fn escape(text: &str) -> String {
    text.replace('%', "%25").replace(';', "%3B").replace('=', "%3D")
}

/// What a request says about overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked<'r> {
    /// Nothing.
    No,
    /// Use this token, and keep it.
    Token(&'r str),
    /// Use the token of the cookie.
    Kept(&'r str),
    /// Forget it.
    Off,
}

impl<'r> Asked<'r> {
    /// From query and `Cookie` header. The query wins.
    pub(crate) fn of(query: &'r str, cookie: Option<&'r str>) -> Self {
        let parameter =
            query.split('&').find_map(|pair| pair.strip_prefix(QA_NAME)?.strip_prefix('='));
        if let Some(value) = parameter {
            return if value == "off" { Self::Off } else { Self::Token(value) };
        }
        let kept = super::cookie(cookie, QA_NAME);
        kept.map_or(Self::No, Self::Kept)
    }
}

/// The query without our parameter.
pub(crate) fn strip(query: &str) -> String {
    let is_ours = |pair: &&str| {
        *pair == QA_NAME || pair.strip_prefix(QA_NAME).is_some_and(|rest| rest.starts_with('='))
    };
    if !query.contains(QA_NAME) {
        return query.to_owned();
    }
    query.split('&').filter(|pair| !is_ours(pair)).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKeys;

    fn key() -> SigningKey {
        SigningKeys::derive(&[0x11; 32], "production-k3v9x2mq").qa
    }

    #[test]
    fn a_token_is_the_documented_text_and_reads_back() {
        let overrides = Overrides {
            expires_s: 1_795_170_600,
            variants: vec![("checkout".into(), "treatment_a".into()), ("a;b=%".into(), "c".into())],
        };
        let token = overrides.sign(&key());
        // python3: k = hmac.new(b"\x11"*32, b"qa:production-k3v9x2mq", "sha256").digest()
        //          p = b"1;1795170600;checkout=treatment_a;a%3Bb%3D%25=c"
        //          base64.urlsafe_b64encode(p + hmac.new(k, p, "sha256").digest()[:16]).rstrip(b"=")
        assert_eq!(
            token,
            "MTsxNzk1MTcwNjAwO2NoZWNrb3V0PXRyZWF0bWVudF9hO2ElM0JiJTNEJTI1PWOeJ4I39OBVckOpjW-8KbJL"
        );
        assert_eq!(Overrides::read(&token, &key(), 1_795_170_599_999), Some(overrides));
        assert_eq!(Overrides::read(&token, &key(), 1_795_170_600_000), None, "expired");
        let other = SigningKeys::derive(&[0x11; 32], "staging-k3v9x2mq").qa;
        assert_eq!(Overrides::read(&token, &other, 0), None);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(Overrides::read(&String::from_utf8(forged).unwrap(), &key(), 0), None);
        }
    }

    #[test]
    fn the_parameter_wins_over_the_cookie_and_goes_no_further() {
        let cookie = Some("a=1; sortition_qa=kept; sortition_qax=2");
        let cases = [
            ("a=1", cookie, Asked::Kept("kept"), "a=1"),
            ("a=1&sortition_qa=t&b", cookie, Asked::Token("t"), "a=1&b"),
            ("sortition_qa=off", cookie, Asked::Off, ""),
            ("sortition_qax=1", None, Asked::No, "sortition_qax=1"),
            ("sortition_qa", None, Asked::No, ""),
            ("", None, Asked::No, ""),
        ];
        for (query, cookie, asked, stripped) in cases {
            assert_eq!(Asked::of(query, cookie), asked, "{query}");
            assert_eq!(strip(query), stripped, "{query}");
        }
    }
}
