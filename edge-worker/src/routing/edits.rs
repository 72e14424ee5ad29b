//! Changes of headers, for a shell to carry out on the headers that it holds: what nobody changes never crosses into the service.

use std::borrow::Cow;

/// Header names are lower-case throughout.
pub(crate) type Name = Cow<'static, str>;

/// Removals first, then replacements, then additions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Headers to take away.
    pub remove: Vec<Cow<'static, str>>,
    /// Headers to set to one value.
    pub set: Vec<(Cow<'static, str>, String)>,
    /// Header lines to add to what is there.
    pub append: Vec<(Cow<'static, str>, String)>,
}

impl Edits {
    pub(crate) fn remove(&mut self, name: impl Into<Name>) {
        self.remove.push(name.into());
    }

    pub(crate) fn set(&mut self, name: impl Into<Name>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        self.set.retain(|(known, _)| *known != name);
        self.set.push((name, value));
    }

    pub(crate) fn append(&mut self, name: impl Into<Name>, value: impl Into<String>) {
        self.append.push((name.into(), value.into()));
    }

    /// What a route says: a value sets, an empty one removes.
    pub(crate) fn apply(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.set.retain(|(known, _)| known != name);
            self.remove(name.to_owned());
        } else {
            self.set(name.to_owned(), value);
        }
    }

    /// Removes what belongs to one connection alone (RFC 9110, section 7.6.1).
    pub(crate) fn remove_hop_by_hop(&mut self, connection: Option<&str>) {
        const HOP_BY_HOP: [&str; 9] = [
            "connection",
            "keep-alive",
            "proxy-authenticate",
            "proxy-authorization",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
        ];
        self.remove.extend(HOP_BY_HOP.map(Cow::Borrowed));
        let named = connection.unwrap_or_default().split(',').map(str::trim);
        let is_name = |name: &&str| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        self.remove.extend(named.filter(is_name).map(|name| Cow::Owned(name.to_ascii_lowercase())));
    }

    /// One line per change: `-name`, `=name: value`, `+name: value`. No header value holds a line feed.
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn to_lines(&self) -> String {
        let mut lines = String::new();
        for name in &self.remove {
            lines.extend(["-", name, "\n"]);
        }
        for (sign, list) in [("=", &self.set), ("+", &self.append)] {
            for (name, value) in list {
                lines.extend([sign, name, ": ", value, "\n"]);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_header_counts() {
        let mut edits = Edits::default();
        edits.set("a", "1");
        edits.set("a", "2");
        edits.apply("b", "3");
        edits.apply("b", "");
        edits.append("c", "4");
        edits.append("c", "5");
        assert_eq!(edits.to_lines(), "-b\n=a: 2\n+c: 4\n+c: 5\n");
    }

    #[test]
    fn headers_that_connection_names_go_no_further() {
        let mut edits = Edits::default();
        edits.remove_hop_by_hop(Some("close, X-Private,, b\u{e9}"));
        for name in ["transfer-encoding", "close", "x-private"] {
            assert!(edits.remove.iter().any(|removed| removed == name), "{name}");
        }
        assert!(!edits.remove.iter().any(|removed| removed.is_empty() || !removed.is_ascii()));
    }
}
