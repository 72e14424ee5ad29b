//! `SORTITION_HOSTS`: for which hosts this edge stands in front of a site, and whose.

use eval_core::route::check_origin;

use crate::environments::is_environment_id;
use crate::sorted::sorted_once;

/// The hosts of an edge. Empty: it routes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Host>);

/// A host, or everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Lower-case name; with a dot in front: every name below it; `*`: every host.
    name: String,
    /// Environment whose routes apply.
    pub(crate) environment: String,
    /// Where requests go for which no route names an origin, and all of them while there is no config.
    pub(crate) origin: Option<String>,
}

impl Hosts {
    /// Reads a list such as `www.example.com=production-k3v9x2mq@https://origin.example.com, *.example.com=staging-k3v9x2mq`.
    ///
    /// # Errors
    ///
    /// A sentence that names the entry and the rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|e| !e.is_empty());
        Ok(Self(entries.map(Host::parse).collect::<Result<_, _>>()?))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The environments of all entries, each once.
    pub(crate) fn environments(&self) -> impl Iterator<Item = &str> {
        sorted_once(self.0.iter().map(|host| host.environment.as_str())).into_iter()
    }

    /// The entry for a host name (without port): its own, else that of the longest suffix, else that of every host; the first of them.
    pub(crate) fn find(&self, host: &str) -> Option<&Host> {
        let matching = self.0.iter().filter(|entry| match entry.name.as_bytes().first() {
            Some(b'*') => true,
            Some(b'.') => {
                let start = host.len().checked_sub(entry.name.len()).filter(|start| *start > 0);
                start
                    .and_then(|at| host.get(at..))
                    .is_some_and(|end| end.eq_ignore_ascii_case(&entry.name))
            }
            _ => entry.name.eq_ignore_ascii_case(host),
        });
        matching.min_by_key(|entry| match entry.name.as_bytes().first() {
            Some(b'*') => (2, 0),
            Some(b'.') => (1, usize::MAX - entry.name.len()),
            _ => (0, 0),
        })
    }
}

impl Host {
    fn parse(entry: &str) -> Result<Self, String> {
        let problem = |rule: &str| Err(format!("SORTITION_HOSTS: `{entry}`: {rule}"));
        let Some((name, rest)) = entry.split_once('=') else {
            return problem("must be host=environment or host=environment@origin");
        };
        let (environment, origin) = match rest.split_once('@') {
            Some((environment, origin)) => (environment, Some(origin)),
            None => (rest, None),
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        let below = name.strip_prefix("*.");
        if name != "*" && !is_name(below.unwrap_or(name)) {
            return problem("the host must be a name, `*.` and a name, or `*`");
        }
        if !is_environment_id(environment) {
            return problem("what follows `=` must be an environment id");
        }
        if let Some(origin) = origin
            && let Err(error) = check_origin(origin)
        {
            return problem(&error);
        }
        let name = below
            .map_or_else(|| name.to_ascii_lowercase(), |b| format!(".{}", b.to_ascii_lowercase()));
        let origin = origin.map(|origin| origin.trim_end_matches('/').to_owned());
        Ok(Self { name, environment: environment.to_owned(), origin })
    }
}

/// The host name of an authority: without port, user or brackets around nothing. `None` for what no `Host` header may hold.
pub(crate) fn host_name(authority: &str) -> Option<&str> {
    let name = match authority.strip_prefix('[') {
        Some(_) => authority.get(..=authority.find(']')?)?,
        None => authority.split(':').next()?,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_fine =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    let is_authority = |b: u8| is_fine(b) || b == b':';
    (!name.is_empty() && authority.len() <= 260 && authority.bytes().all(is_authority))
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_host_is_found() {
        let hosts = Hosts::parse(
            "*=all-a, *.example.com=below-a,*.shop.example.com=shop-a www.Example.com=www-a@https://o.example:8443/x/",
        )
        .unwrap();
        let cases = [
            ("WWW.example.com", "www-a"),
            ("a.b.example.com", "below-a"),
            ("de.shop.example.com", "shop-a"),
            ("example.com", "all-a"),
            ("badexample.com", "all-a"),
        ];
        for (host, environment) in cases {
            assert_eq!(hosts.find(host).unwrap().environment, environment, "{host}");
        }
        let www = hosts.find("www.example.com").unwrap();
        assert_eq!(www.origin.as_deref(), Some("https://o.example:8443/x"));
        assert_eq!(Hosts::parse("a.example=e").unwrap().find("b.example"), None);
        assert!(Hosts::parse(" ").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_entry_is_named() {
        for entry in
            ["a.example", "=e", "a b=e_f", "a=e@ftp://o", "a=e@https://u@o", "*.=e", "a=", "a/b=e"]
        {
            let error = Hosts::parse(entry).unwrap_err();
            assert!(error.starts_with("SORTITION_HOSTS: `"), "{error}");
        }
    }

    #[test]
    fn host_names_are_read_without_port() {
        let cases = [
            ("www.example.com", Some("www.example.com")),
            ("www.example.com:8787", Some("www.example.com")),
            ("www.example.com.", Some("www.example.com")),
            ("[::1]:80", Some("[::1]")),
            ("[::1", None),
            ("", None),
            (":80", None),
            ("a@b", None),
            ("a/b", None),
            ("a\"b", None),
        ];
        for (authority, expected) in cases {
            assert_eq!(host_name(authority), expected, "{authority}");
        }
    }
}
