//! Where messages may be sent: the addresses of a URL are looked up, checked, and connected to as they were checked.
//!
//! A name could be looked up once for the check and lead elsewhere when it is looked up again to connect. So the client
//! is handed the addresses, and follows no redirect.

use super::network::{Network, is_public};
use crate::error::Problems;
use reqwest::redirect::Policy;
use std::net::SocketAddr;
use std::time::Duration;
use url::{Host, Url};

/// How long a receiver may take to answer.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Reports what can be said against a URL without looking its name up.
pub(crate) fn check_url(text: &str, allowed: &[Network], problems: &mut Problems) {
    let mut refuse = |code: &str, rule: &str| problems.push("/url", code, rule);
    let Ok(url) = Url::parse(text) else {
        return refuse("format", "is not a URL");
    };
    match url.scheme() {
        "https" => {}
        "http" if !allowed.is_empty() => {}
        "http" => refuse("not_allowed", "must begin with https"),
        _ => return refuse("not_allowed", "must begin with https"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        refuse("not_allowed", "must not hold a user or password: messages are signed instead");
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        _ => None,
    };
    if literal.is_some_and(|address| !is_allowed(address, allowed)) {
        refuse("private_address", "leads to an address that is not public");
    }
}

fn is_allowed(address: std::net::IpAddr, allowed: &[Network]) -> bool {
    is_public(address) || allowed.iter().any(|network| network.contains(address))
}

/// A client that connects to the checked addresses of a URL and to no other, or why there is none.
pub(super) async fn client(url: &Url, allowed: &[Network]) -> Result<reqwest::Client, String> {
    let port = url.port_or_known_default().ok_or("the URL has no port")?;
    let builder = reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("sortition/", env!("CARGO_PKG_VERSION")));
    let (builder, addresses) = match url.host() {
        Some(Host::Domain(name)) => {
            let found = tokio::net::lookup_host((name, port)).await;
            let found: Vec<SocketAddr> =
                found.map_err(|error| format!("`{name}` is not known: {error}"))?.collect();
            (builder.resolve_to_addrs(name, &found), found)
        }
        Some(Host::Ipv4(address)) => (builder, vec![(address, port).into()]),
        Some(Host::Ipv6(address)) => (builder, vec![(address, port).into()]),
        None => return Err("the URL has no host".to_owned()),
    };
    if addresses.is_empty() {
        return Err("the host has no address".to_owned());
    }
    for address in &addresses {
        let within = allowed.iter().any(|network| network.contains(address.ip()));
        if !within && (url.scheme() != "https" || !is_public(address.ip())) {
            return Err(format!("{} is not an address that messages may be sent to", address.ip()));
        }
    }
    builder.build().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{check_url, client};
    use crate::error::Problems;
    use url::Url;

    #[test]
    fn urls_that_lead_inside_are_refused() {
        for (url, code) in [
            ("https://hooks.example.org/x?y=1", None),
            ("https://8.8.8.8:8443/", None),
            ("http://hooks.example.org", Some("not_allowed")),
            ("ftp://hooks.example.org", Some("not_allowed")),
            ("file:///etc/passwd", Some("not_allowed")),
            ("hooks.example.org", Some("format")),
            ("https://user:pass@hooks.example.org", Some("not_allowed")),
            ("https://127.0.0.1/", Some("private_address")),
            ("https://0x7f.1/", Some("private_address")),
            ("https://2130706433/", Some("private_address")),
            ("https://[::1]/", Some("private_address")),
            ("https://[::ffff:10.0.0.1]/", Some("private_address")),
            ("https://169.254.169.254/latest/meta-data", Some("private_address")),
        ] {
            let mut problems = Problems::default();
            check_url(url, &[], &mut problems);
            assert_eq!(problems.iter().next().map(|problem| problem.code.as_str()), code, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_refused_when_it_is_looked_up() {
        let url = |text: &str| Url::parse(text).unwrap();
        let refused = client(&url("https://localhost/"), &[]).await.unwrap_err();
        assert!(refused.contains("is not an address"), "{refused}");
        let networks = ["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        assert!(client(&url("http://localhost/"), &networks).await.is_ok());
        assert!(
            client(&url("http://8.8.8.8/"), &networks).await.is_err(),
            "not in clear to the outside"
        );
    }
}
