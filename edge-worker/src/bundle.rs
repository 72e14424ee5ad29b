//! `GET /v1/config-bundle`: the compiled config, for SDKs that evaluate by themselves. A server key gets the whole, a client key
//! the client form.

use eval_core::source::KeyKind;

use crate::auth::Access;
use crate::request::Request;
use crate::response::{Answer, Problem};

pub(crate) fn config_bundle(access: &Access<'_>, request: &Request<'_>) -> Result<Answer, Problem> {
    let Some(held) = &access.held else {
        return Err(Problem::new(404, "no_config", "no config is held for this environment yet"));
    };
    let (bytes, etag) = match access.kind {
        KeyKind::Server => (held.config.bytes(), format!("\"{}\"", held.config.generation())),
        KeyKind::Client => {
            let form = held.config.client_form();
            (&*form.bytes, format!("\"{}.{:016x}\"", held.config.generation(), form.hash))
        }
    };
    let answer = if etag_matches(request.headers.if_none_match, &etag) {
        Answer::empty(304)
    } else {
        Answer { status: 200, headers: Vec::new(), body: bytes.to_vec() }
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
