//! `GET /v1/config-bundle`: the compiled config, for SDKs that evaluate by themselves.

use eval_core::source::KeyKind;

use crate::auth::Access;
use crate::request::Request;
use crate::response::{Answer, Problem};

pub(crate) fn config_bundle(access: &Access<'_>, request: &Request<'_>) -> Result<Answer, Problem> {
    if access.kind != KeyKind::Server {
        return Err(Problem::new(
            403,
            "client_form_unavailable",
            "a client key may not see the server form of the config, and this environment publishes no client form",
        ));
    }
    let Some(held) = &access.held else {
        return Err(Problem::new(404, "no_config", "no config is held for this environment yet"));
    };
    let etag = format!("\"{}\"", held.config.generation());
    let answer = if etag_matches(request.headers.if_none_match, &etag) {
        Answer::empty(304)
    } else {
        Answer { status: 200, headers: Vec::new(), body: held.config.bytes().to_vec() }
            .with("content-type", "application/octet-stream")
    };
    Ok(answer
        .with("etag", etag)
        .with("cache-control", "private, max-age=5, stale-while-revalidate=60"))
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
