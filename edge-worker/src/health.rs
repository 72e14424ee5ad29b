//! `GET /healthz`: the process answers. `GET /readyz`: which configs it holds, how old, and what it refused.

use std::sync::Arc;

use serde::Serialize;

use crate::auth::Refused;
use crate::environments::{Environment, is_environment_id};
use crate::exposures::ExposureCounts;
use crate::request::Request;
use crate::response::{Answer, Problem, to_json};
use crate::routing::RoutingCounters;
use crate::service::{Outcome, Service};

#[derive(Serialize)]
struct Readiness<'s> {
    status: &'static str,
    /// Of the environment asked for, or the default one.
    generation: Option<u64>,
    /// Milliseconds since the config was published.
    age_ms: Option<i64>,
    /// How good the config is: `current`, `last-good`, `copy`, `bundled` or `none`; `null` where no environment is asked for.
    config: Option<&'static str>,
    /// Requests that ended in a panic or a trap, and were answered with the defaults.
    panics: u64,
    /// Names of the keys under which configs must be signed; `null` when they need not be.
    public_keys: Option<Vec<&'s str>>,
    environments: Vec<EnvironmentReadiness<'s>>,
    exposures: ExposureReadiness<'s>,
    streams: StreamReadiness,
    /// Absent where nothing is routed.
    #[serde(skip_serializing_if = "Option::is_none")]
    routing: Option<RoutingReadiness<'s>>,
}

#[derive(Serialize)]
struct StreamReadiness {
    /// Streams that are open now, and that were opened since the start.
    open: usize,
    opened: u64,
}

#[derive(Serialize)]
struct RoutingReadiness<'s> {
    /// Environments of routed hosts that have no SDK key here: their exposures are not logged.
    missing_sdk_keys: Vec<&'s str>,
    /// There is no secret to sign cookies with: visitors have no id and see control.
    missing_cookie_key: bool,
    #[serde(flatten)]
    counters: RoutingCounters,
}

#[derive(Serialize)]
struct EnvironmentReadiness<'s> {
    environment: &'s str,
    generation: Option<u64>,
    age_ms: Option<i64>,
    /// As above, of this environment.
    config: &'static str,
    /// Key under which the held config says to be signed; checked where `public_keys` is not `null`.
    key_id: Option<String>,
    /// Milliseconds since the store last confirmed that nothing newer exists.
    confirmed_ms_ago: Option<i64>,
    checked_ms_ago: Option<i64>,
    /// Loads that failed, and those of them in which a pointer or blob was refused, since the process or isolate started.
    loads_failed: u64,
    loads_refused: u64,
    last_error: Option<String>,
    last_refused: Option<RefusedReadiness>,
    /// Why no copy of the config could be kept on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy_error: Option<String>,
    /// The config has lists of unit ids, and this edge no list secret: they match nobody.
    missing_list_key: bool,
    /// Damaged entries of the config, which are inactive.
    faults: Vec<String>,
}

#[derive(Serialize)]
struct RefusedReadiness {
    generation: Option<u64>,
    object: String,
    reason: String,
    ms_ago: i64,
}

#[derive(Serialize)]
struct ExposureReadiness<'s> {
    /// Name of this process or isolate in its events.
    producer_id: &'s str,
    pending: u64,
    pending_bytes: usize,
    #[serde(flatten)]
    counts: ExposureCounts,
    /// Times in a row that the collector failed, and milliseconds until it is asked again.
    collector_failures: u32,
    collector_rests_ms: i64,
}

pub(crate) fn healthz() -> Answer {
    Answer::json(200, br#"{"status":"ok"}"#.to_vec()).with("cache-control", "no-store")
}

/// 503 until the default environment, or the one in `?environment=`, has a config; 200 when no environment was named, because there is
/// nothing to wait for.
pub(crate) fn readyz(service: &Service, request: &Request<'_>) -> Outcome {
    let asked =
        request.query_value("environment").or(service.config().default_environment.as_deref());
    if let Some(id) = asked {
        if !is_environment_id(id) {
            let problem = Problem::new(
                400,
                "invalid_environment",
                "the parameter environment is not an environment id",
            );
            return Outcome::Answer(problem.into());
        }
        let found = service.environment(id, request.now_ms, request.patience);
        if let Err(Refused::Untried(environment)) = found {
            return Outcome::Load(environment);
        }
    }
    let environments = service.environments().list();
    let wanted =
        asked.and_then(|id| environments.iter().find(|environment| environment.id() == id));
    let held = wanted.and_then(|environment| environment.held());
    let is_ready = asked.is_none() || held.is_some();
    let keys = &service.config().public_keys;
    let exposures = service.exposures();
    let readiness = Readiness {
        status: if is_ready { "ready" } else { "no_config" },
        generation: held.as_ref().map(|held| held.generation()),
        age_ms: held.as_ref().map(|held| request.now_ms - held.header().created_at_ms),
        config: wanted.map(|environment| environment.standing().as_str()),
        panics: service.n_panics(),
        public_keys: keys.is_required().then(|| keys.ids().collect()),
        environments: environments
            .iter()
            .map(|environment| describe(service, environment, request.now_ms))
            .collect(),
        exposures: ExposureReadiness {
            producer_id: exposures.producer(),
            pending: exposures.n_pending(),
            pending_bytes: exposures.n_pending_bytes(),
            counts: exposures.counts(),
            collector_failures: exposures.n_failures(),
            collector_rests_ms: exposures.rest_ms(request.now_ms),
        },
        streams: StreamReadiness {
            open: service.streams().len(),
            opened: service.streams().n_opened(),
        },
        routing: describe_routing(service),
    };
    let status = if is_ready { 200 } else { 503 };
    Outcome::Answer(Answer::json(status, to_json(&readiness)).with("cache-control", "no-store"))
}

fn describe_routing(service: &Service) -> Option<RoutingReadiness<'_>> {
    let config = &service.config().routing;
    if config.hosts.is_empty() {
        return None;
    }
    let has_no_key = |environment: &&str| config.sdk_key(environment).is_none();
    Some(RoutingReadiness {
        missing_sdk_keys: config.hosts.environments().filter(has_no_key).collect(),
        missing_cookie_key: service.config().list_secret.is_none(),
        counters: service.routing_counters(),
    })
}

fn describe<'s>(
    service: &Service,
    environment: &'s Arc<Environment>,
    now_ms: i64,
) -> EnvironmentReadiness<'s> {
    let held = environment.held();
    let status = environment.status();
    let config = held.as_ref().map(|held| held.config());
    EnvironmentReadiness {
        environment: environment.id(),
        generation: held.as_ref().map(|held| held.generation()),
        age_ms: held.as_ref().map(|held| now_ms - held.header().created_at_ms),
        config: environment.standing().as_str(),
        key_id: status.pointer.and_then(|pointer| pointer.key_id),
        loads_failed: status.n_failed,
        loads_refused: status.n_refused,
        copy_error: status.copy_error,
        confirmed_ms_ago: status.confirmed_at_ms.map(|at| now_ms - at),
        checked_ms_ago: status.checked_at_ms.map(|at| now_ms - at),
        last_error: status.last_error,
        last_refused: status.last_refused.map(|refused| RefusedReadiness {
            generation: refused.generation,
            object: refused.object,
            reason: refused.reason,
            ms_ago: now_ms - refused.at_ms,
        }),
        missing_list_key: service.config().list_secret.is_none()
            && config.is_some_and(eval_core::CompiledConfig::has_lists),
        faults: config
            .map(|config| {
                config
                    .faults()
                    .iter()
                    .map(|fault| format!("{}: {}", fault.entry, fault.problem))
                    .collect()
            })
            .unwrap_or_default(),
    }
}
