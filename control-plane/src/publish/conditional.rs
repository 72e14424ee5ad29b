//! `ETag` and `If-None-Match` of published bytes.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use object_store::path::Path;

use super::upload::{Caching, content_type};
use crate::error::ApiError;

/// 200 with the bytes, or 304 without reading them when the client names their tag.
pub(super) async fn answer_unless_known(
    request: &HeaderMap,
    tag: &str,
    caching: Caching,
    path: &Path,
    bytes: impl AsyncFnOnce() -> Result<Bytes, ApiError>,
) -> Result<Response, ApiError> {
    let mut response = if is_known(request, tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let content_type = HeaderValue::from_static(content_type(path));
        ([(header::CONTENT_TYPE, content_type)], bytes().await?).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching.header()));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Whether `If-None-Match` names the tag; weak and strong tags compare alike (RFC 9110, 13.1.2).
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_alone_in_a_list_weak_and_as_star() {
        for (header_value, known) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a", false),
        ] {
            let mut request = HeaderMap::new();
            request.insert(header::IF_NONE_MATCH, HeaderValue::from_static(header_value));
            assert_eq!(is_known(&request, "\"a\""), known, "{header_value}");
        }
        assert!(!is_known(&HeaderMap::new(), "\"a\""));
    }
}
