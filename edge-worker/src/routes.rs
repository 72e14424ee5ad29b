//! The route table: every path of the edge, on one page.

use std::borrow::Cow;

use crate::auth::{self, Access, Refused};
use crate::events::{self, Intake};
use crate::request::{MAX_BODY_BYTES, MAX_EVENTS_BODY_BYTES, Request, percent_decode};
use crate::response::{Answer, Problem};
use crate::service::{Outcome, Service};
use crate::standing::{self, Standing};
use crate::{assignments, bundle, evaluate, health, ofrep, stream};

enum Route<'r> {
    Healthz,
    Readyz,
    Evaluate,
    ConfigBundle,
    Stream,
    Assignments(&'r str),
    Events(Intake),
    OfrepFlag(&'r str),
    OfrepFlags,
}

/// The method that a path takes, and its route.
fn find(path: &str) -> Option<(&'static str, Route<'_>)> {
    if let Some(id) = path.strip_prefix("/v1/units/") {
        return Some(("GET", Route::Assignments(id.strip_suffix("/assignments")?)));
    }
    Some(match path {
        "/healthz" => ("GET", Route::Healthz),
        "/readyz" => ("GET", Route::Readyz),
        "/v1/evaluate" => ("POST", Route::Evaluate),
        "/v1/config-bundle" => ("GET", Route::ConfigBundle),
        stream::PATH => ("GET", Route::Stream),
        "/v1/events/batch" => ("POST", Route::Events(Intake::Batch)),
        "/v1/exposures" => ("POST", Route::Events(Intake::Exposures)),
        "/v1/metrics" => ("POST", Route::Events(Intake::Metrics)),
        "/ofrep/v1/evaluate/flags" => ("POST", Route::OfrepFlags),
        _ => ("POST", Route::OfrepFlag(path.strip_prefix("/ofrep/v1/evaluate/flags/")?)),
    })
}

/// Whether a path is one of the edge's own, which are never routed to a site behind it.
pub(crate) fn is_own(path: &str) -> bool {
    find(path).is_some()
}

/// Answers a request, with the headers that browsers need.
pub(crate) fn dispatch(service: &Service, request: &Request<'_>) -> Outcome {
    if request.method == "OPTIONS" {
        return Outcome::Answer(preflight(request));
    }
    match route(service, request) {
        Outcome::Answer(answer) => Outcome::Answer(with_cors(answer, request.headers.origin)),
        Outcome::Stream(mut opened) => {
            opened.head = with_cors(opened.head, request.headers.origin);
            Outcome::Stream(opened)
        }
        other => other,
    }
}

fn route(service: &Service, request: &Request<'_>) -> Outcome {
    let is_ofrep = request.path.starts_with("/ofrep/");
    let Some((method, route)) = find(request.path) else {
        let problem = Problem::new(404, "unknown_path", "the edge has no such path");
        return Outcome::Answer(error(request, problem));
    };
    let is_head = request.method == "HEAD" && method == "GET";
    // What a look-up is told of the unit besides its id may be too long for a URL.
    let is_post = request.method == "POST" && matches!(route, Route::Assignments(_));
    if request.method != method && !is_head && !is_post {
        let problem = Problem::new(405, "method_not_allowed", format!("this path takes {method}"));
        return Outcome::Answer(error(request, problem).with("allow", method));
    }
    let limit =
        if matches!(route, Route::Events(_)) { MAX_EVENTS_BODY_BYTES } else { MAX_BODY_BYTES };
    if request.body_too_large || request.body.len() > limit {
        let detail = format!("the body has more than {limit} bytes");
        let problem = Problem::new(413, "body_too_large", detail);
        return Outcome::Answer(error(request, problem));
    }
    match route {
        Route::Healthz => return Outcome::Answer(health::healthz()),
        Route::Readyz => return health::readyz(service, request),
        _ => {}
    }
    let access = match auth::authorize(service, request, is_ofrep) {
        Ok(access) => access,
        Err(Refused::Untried(environment)) => return Outcome::Load(environment),
        Err(refused) => {
            let problem = Problem::new(401, "unauthorized", refused.detail());
            return Outcome::Answer(error(request, problem));
        }
    };
    let standing = access.standing();
    let answer = match route {
        Route::Evaluate => {
            evaluate::evaluate(service, &access, request).unwrap_or_else(Answer::from)
        }
        Route::ConfigBundle => return bundle::config_bundle(service, &access, request),
        Route::Stream => return stream::open(service, &access, request),
        Route::Assignments(id) => return assignments::assignments(service, &access, request, id),
        Route::OfrepFlags => match ofrep::evaluate_flags(service, &access, request) {
            Outcome::Answer(answer) => answer,
            other => return other,
        },
        Route::OfrepFlag(key) => ofrep_flag(service, &access, request, key),
        Route::Events(intake) => return events::post_events(service, &access, request, intake),
        Route::Healthz | Route::Readyz => health::healthz(),
    };
    Outcome::Answer(match standing {
        Standing::Current => answer,
        other => answer.with(standing::HEADER, other.as_str()),
    })
}

fn ofrep_flag(service: &Service, access: &Access<'_>, request: &Request<'_>, key: &str) -> Answer {
    match percent_decode(key) {
        Some(key) if !key.is_empty() => ofrep::evaluate_flag(service, access, request, &key),
        _ => ofrep::error(404, "FLAG_NOT_FOUND", "no flag has this key", Some(key)),
    }
}

/// A problem in the form of the path that was asked.
fn error(request: &Request<'_>, problem: Problem) -> Answer {
    if !request.path.starts_with("/ofrep/") {
        return problem.into();
    }
    let key = match find(request.path) {
        Some((_, Route::OfrepFlag(key))) => Some(percent_decode(key).unwrap_or(key.into())),
        _ => None,
    };
    ofrep::refuse(&problem, key.as_deref())
}

/// Lets a page of any origin read the answer: keys travel in headers, never in cookies, so nothing is gained by a narrower list.
/// Answers that were made with the identity cookie are for pages that asked for it, see [`evaluate`].
pub(crate) fn with_cors(answer: Answer, origin: Option<&str>) -> Answer {
    match origin {
        None => answer,
        Some(origin) => answer
            .with("access-control-allow-origin", Cow::Owned(origin.to_owned()))
            .with("access-control-expose-headers", "ETag, Retry-After")
            .with("vary", "Origin"),
    }
}

fn preflight(request: &Request<'_>) -> Answer {
    let answer = Answer::empty(204)
        .with("access-control-allow-methods", "POST, GET, OPTIONS")
        .with(
            "access-control-allow-headers",
            "content-type, content-encoding, authorization, x-sdk-key, x-api-key, if-none-match, last-event-id",
        )
        .with("access-control-max-age", "86400");
    let answer = match request.headers.origin {
        // A preflight shows no body, so whether the cookie is wanted is not known yet. The answer itself says so again.
        Some(origin) if origin != "null" && request.path == "/v1/evaluate" => {
            answer.with("access-control-allow-credentials", "true")
        }
        _ => answer,
    };
    with_cors(answer, request.headers.origin.or(Some("*")))
}
