//! SDK keys: where they travel, which environment they name, and whether the held config knows them.

use std::sync::Arc;

use eval_core::source::KeyKind;
use sha2::{Digest, Sha256};

use crate::config::HeldConfig;
use crate::environments::{Environment, is_environment_id};
use crate::request::Request;
use crate::service::Service;
use crate::standing::Standing;

/// A request that may go on.
#[derive(Debug)]
pub(crate) struct Access<'r> {
    /// The whole SDK key.
    pub(crate) key: &'r str,
    /// What it may see.
    pub(crate) kind: KeyKind,
    /// The environment with its config; `None` when nothing is held, so that callers get their defaults.
    pub(crate) held: Option<Held>,
}

impl Access<'_> {
    /// How good the config is that it is answered from.
    pub(crate) fn standing(&self) -> Standing {
        self.held.as_ref().map_or(Standing::Nothing, |held| held.environment.standing())
    }
}

/// An environment and the config that this request is answered from.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) environment: Arc<Environment>,
    pub(crate) config: Arc<HeldConfig>,
}

impl Access<'_> {
    /// Id of the environment that the key belongs to, also while nothing is held of it.
    pub(crate) fn environment_id(&self, service: &Service) -> Option<String> {
        let held = self.held.as_ref().map(|held| held.environment.id());
        let id = held.or_else(|| environment_of(self.key));
        id.or(service.config().default_environment.as_deref()).map(ToOwned::to_owned)
    }
}

/// Why a request may not go on, or not yet.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No key was sent.
    Missing,
    /// A server key came in the URL, where logs and proxies see it.
    ServerKeyInUrl,
    /// The environment does not know the key.
    Unknown,
    /// Nothing is known of this environment yet: load it, then ask again.
    Untried(Arc<Environment>),
}

impl Refused {
    /// A sentence for people.
    pub(crate) fn detail(&self) -> &'static str {
        match self {
            Self::Missing => {
                "an SDK key is needed: send it as Authorization: Bearer <key>, or as X-SDK-Key"
            }
            Self::ServerKeyInUrl => {
                "only a client key may travel in the URL; send a server key as Authorization: Bearer <key>"
            }
            Self::Unknown => "this SDK key is not known to its environment",
            Self::Untried(_) => "the environment is being loaded",
        }
    }
}

/// Decides on the key of a request.
///
/// The key names its environment. A key that names none, or one that the store does not have, is looked up in the default
/// environment. Where nothing is held to check against, every key is accepted and no flag is found: a 401 would stop some clients for
/// good, while an edge without a config must only make them fall back to their defaults.
pub(crate) fn authorize<'r>(
    service: &Service,
    request: &Request<'r>,
    is_ofrep: bool,
) -> Result<Access<'r>, Refused> {
    let key = presented_key(request, is_ofrep)?;
    let named = environment_of(key);
    if let Some(id) = named {
        let environment = service.environment(id, request.now_ms, request.patience)?;
        if let Some(config) = environment.held() {
            return check(key, environment, config);
        }
        if !environment.status().absent {
            return Ok(unchecked(key));
        }
    }
    if let Some(id) =
        service.config().default_environment.as_deref().filter(|id| Some(*id) != named)
    {
        let environment = service.environment(id, request.now_ms, request.patience)?;
        if let Some(config) = environment.held() {
            return check(key, environment, config);
        }
    }
    Ok(unchecked(key))
}

fn check(
    key: &str,
    environment: Arc<Environment>,
    config: Arc<HeldConfig>,
) -> Result<Access<'_>, Refused> {
    let sha256: [u8; 32] = Sha256::digest(key).into();
    match config.config().sdk_key(&sha256) {
        Some(kind) => Ok(Access { key, kind, held: Some(Held { environment, config }) }),
        None => Err(Refused::Unknown),
    }
}

fn unchecked(key: &str) -> Access<'_> {
    let kind = if key.starts_with("sk_server_") { KeyKind::Server } else { KeyKind::Client };
    Access { key, kind, held: None }
}

fn presented_key<'r>(request: &Request<'r>, is_ofrep: bool) -> Result<&'r str, Refused> {
    let headers = &request.headers;
    let bearer = headers.authorization.and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key)
    });
    let api_key = headers.x_api_key.filter(|_| is_ofrep);
    let mut sent = [bearer, headers.x_sdk_key, api_key].into_iter().flatten().map(str::trim);
    if let Some(key) = sent.find(|key| !key.is_empty()) {
        return Ok(key);
    }
    match request.query_value("key") {
        None | Some("") => Err(Refused::Missing),
        Some(key) if key.starts_with("sk_server_") => Err(Refused::ServerKeyInUrl),
        Some(key) => Ok(key),
    }
}

/// The environment id in `sk_server_{environment}_{secret}` or `sk_client_…`.
pub(crate) fn environment_of(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("sk_server_").or_else(|| key.strip_prefix("sk_client_"))?;
    let (environment, secret) = rest.split_once('_')?;
    (is_environment_id(environment) && !secret.is_empty()).then_some(environment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Headers;

    #[test]
    fn a_key_names_its_environment() {
        let cases = [
            ("sk_server_production-k3v9x2mq_abc", Some("production-k3v9x2mq")),
            ("sk_client_staging_abc_def", Some("staging")),
            ("sk_client_staging", None),
            ("sk_client__abc", None),
            ("sk_client_../x_abc", None),
            ("st_token", None),
        ];
        for (key, expected) in cases {
            assert_eq!(environment_of(key), expected, "{key}");
        }
    }

    #[test]
    fn the_key_is_found_wherever_it_may_travel() {
        let with = |headers: Headers<'static>, query, is_ofrep| {
            presented_key(&Request { query, headers, ..Request::default() }, is_ofrep).ok()
        };
        let none = Headers::default();
        assert_eq!(with(Headers { authorization: Some("bearer a"), ..none }, "", false), Some("a"));
        assert_eq!(
            with(
                Headers { authorization: Some("Basic a"), x_sdk_key: Some("b"), ..none },
                "",
                false
            ),
            Some("b")
        );
        assert_eq!(with(Headers { x_api_key: Some("c"), ..none }, "", true), Some("c"));
        assert_eq!(with(Headers { x_api_key: Some("c"), ..none }, "", false), None);
        assert_eq!(with(none, "key=sk_client_e_s", false), Some("sk_client_e_s"));
        assert_eq!(with(none, "key=sk_server_e_s", false), None);
    }
}
