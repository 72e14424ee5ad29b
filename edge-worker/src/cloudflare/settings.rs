//! The Worker's variables and secrets.

use js_sys::Reflect;

use super::{Env, console};
use crate::routing::{Hosts, RoutingConfig};
use crate::service::ServiceConfig;
use crate::trust::PublicKeys;

/// The R2 binding that holds `configs/…`.
const BUCKET: &str = "CONFIGS";
/// The Cloudflare Queue that takes events while the collector cannot be reached.
const QUEUE: &str = "EXPOSURES";

/// Milliseconds between two looks for a newer config while somebody reads a stream; each costs a subrequest.
const STREAM_REFRESH_INTERVAL_MS: i64 = 1000;
/// Streams of an isolate, which shares 128 MB among all its requests.
const MAX_STREAMS: usize = 1000;
/// Cloudflare's free plan allows 50 subrequests a request; two more may be needed before the stream begins, and one for each new config.
const MAX_STREAM_READS: u32 = 45;

/// What the variables say. A variable that is empty counts as absent, because `wrangler.toml` can only override, not remove.
#[derive(Debug)]
pub(super) struct WorkerSettings {
    pub(super) service: ServiceConfig,
    /// `SORTITION_CONFIG_URL`: base URL under which `configs/{environment}/latest.json` is served. Used where no R2 bucket is bound as
    /// `CONFIGS`.
    pub(super) config_url: Option<String>,
    /// `SORTITION_COLLECTOR_URL`: base URL of the collector. Without it exposures are not logged and events are refused.
    pub(super) collector_url: Option<String>,
    /// `SORTITION_STREAM_SUBREQUESTS`: times that one stream may read the store before it ends and the client connects again.
    pub(super) max_stream_reads: u32,
}

impl WorkerSettings {
    pub(super) fn read(env: &Env, seed: [u8; 32]) -> Self {
        let text = |name: &str| {
            let value = Reflect::get(env, &name.into()).ok()?.as_string();
            value.filter(|value| !value.is_empty())
        };
        let number = |name| text(name).and_then(|text| text.parse::<i64>().ok());
        let is_bound =
            |name: &str| Reflect::get(env, &name.into()).is_ok_and(|value| value.is_object());
        let url = |name| text(name).map(|url| url.trim_end_matches('/').to_owned());
        let (config_url, collector_url) =
            (url("SORTITION_CONFIG_URL"), url("SORTITION_COLLECTOR_URL"));
        let list_secret = text("SORTITION_LIST_SECRET").and_then(|secret| {
            let decoded = crate::service::parse_secret(&secret);
            if decoded.is_none() {
                console::error(
                    "SORTITION_LIST_SECRET is not 32 bytes in hex; lists of unit ids match nobody",
                );
            }
            decoded
        });
        let defaults = ServiceConfig::default();
        Self {
            service: ServiceConfig {
                // Environment of keys that name none that exists, and of /readyz.
                default_environment: text("SORTITION_ENVIRONMENT"),
                list_secret,
                refresh_interval_ms: number("SORTITION_REFRESH_INTERVAL_MS")
                    .unwrap_or(defaults.refresh_interval_ms),
                stream_refresh_interval_ms: number("SORTITION_STREAM_REFRESH_INTERVAL_MS")
                    .unwrap_or(STREAM_REFRESH_INTERVAL_MS),
                max_streams: number("SORTITION_MAX_STREAMS")
                    .and_then(|n| n.try_into().ok())
                    .unwrap_or(MAX_STREAMS),
                has_collector: collector_url.is_some(),
                has_queue: is_bound(QUEUE),
                has_store: config_url.is_some() || is_bound(BUCKET),
                cookie_domain: text("SORTITION_COOKIE_DOMAIN"),
                routing: routing(&text),
                public_keys: public_keys(&text("SORTITION_PUBLIC_KEYS").unwrap_or_default()),
                seed,
            },
            config_url,
            collector_url,
            max_stream_reads: number("SORTITION_STREAM_SUBREQUESTS")
                .and_then(|n| n.try_into().ok())
                .unwrap_or(MAX_STREAM_READS),
        }
    }
}

/// Whose configs are taken. A setting that cannot be read must not mean everyone's.
fn public_keys(text: &str) -> PublicKeys {
    PublicKeys::parse(text).unwrap_or_else(|error| {
        console::error(&format!("SORTITION_PUBLIC_KEYS: {error}; no config is taken"));
        PublicKeys::NOBODY
    })
}

/// What this edge is in front of.
fn routing(text: &dyn Fn(&str) -> Option<String>) -> RoutingConfig {
    let hosts = Hosts::parse(&text("SORTITION_HOSTS").unwrap_or_default());
    let defaults = RoutingConfig::default();
    RoutingConfig {
        hosts: hosts.unwrap_or_else(|error| {
            console::error(&format!("{error}; no request is routed"));
            Hosts::default()
        }),
        sdk_keys: RoutingConfig::parse_keys(&text("SORTITION_ROUTING_KEYS").unwrap_or_default()),
        origin_timeout_ms: text("SORTITION_ORIGIN_TIMEOUT_MS")
            .and_then(|text| text.parse().ok())
            .unwrap_or(defaults.origin_timeout_ms),
    }
}
