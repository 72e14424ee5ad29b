//! `GET /v1/config-bundle`: the compiled config, for SDKs that evaluate by themselves. A server key gets the whole, a client key
//! the client form that was published with it.

use eval_core::source::KeyKind;

use crate::auth::Access;
use crate::client_form::Found;
use crate::freshness::{self, Told};
use crate::request::{Patience, Request};
use crate::response::{Answer, Problem};
use crate::service::{Outcome, Service};

pub(crate) fn config_bundle(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
) -> Outcome {
    // An SDK that a stream has told of a newer config must not be answered the one that it has, by an isolate that has not heard of it.
    if let Some(wanted) = freshness::wanted(Told::read(request), service, access, request) {
        return Outcome::Freshen(wanted);
    }
    let Some(held) = &access.held else {
        let detail = "no config is held for this environment yet";
        return Outcome::Answer(Problem::new(404, "no_config", detail).into());
    };
    if access.kind == KeyKind::Server {
        let etag = format!("\"{}\"", held.config.generation());
        return Outcome::Answer(bundle(request, held.config.bytes(), etag));
    }
    let retry_ms = service.config().refresh_interval_ms;
    match held.environment.client_form(&held.config, request.now_ms, retry_ms) {
        Found::Form(form) => Outcome::Answer(bundle(request, &form.bytes, form.etag.clone())),
        Found::Untried if request.patience > Patience::None => {
            Outcome::LoadClientForm(held.environment.clone())
        }
        Found::Untried | Found::Unavailable => {
            let detail = "the client form of the config cannot be had now; let the edge decide";
            Outcome::Answer(Problem::new(503, "no_client_form", detail).into())
        }
    }
}

fn bundle(request: &Request<'_>, bytes: &[u8], etag: String) -> Answer {
    let answer = if etag_matches(request.headers.if_none_match, &etag) {
        Answer::empty(304)
    } else {
        Answer { status: 200, headers: Vec::new(), body: bytes.to_vec() }
            .with("content-type", "application/octet-stream")
    };
    answer.with("etag", etag).with("cache-control", "private, max-age=5, stale-while-revalidate=60")
}

/// Whether an `If-None-Match` header lists the tag. The comparison is weak, as RFC 9110 asks for this header.
pub(crate) fn etag_matches(if_none_match: Option<&str>, etag: &str) -> bool {
    if_none_match.is_some_and(|tags| {
        tags.split(',').map(str::trim).any(|tag| tag.strip_prefix("W/").unwrap_or(tag) == etag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_compared_weakly_and_in_lists() {
        for header in ["\"3\"", "W/\"3\"", "\"2\", \"3\""] {
            assert!(etag_matches(Some(header), "\"3\""), "{header}");
        }
        for header in ["3", "\"33\"", "*", ""] {
            assert!(!etag_matches(Some(header), "\"3\""), "{header}");
        }
        assert!(!etag_matches(None, "\"3\""));
    }
}
