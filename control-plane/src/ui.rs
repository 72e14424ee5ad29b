//! The dashboard: files of a Vite build inside the binary (feature `embed-ui`), else a page that says so.

use crate::error::ApiError;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};

/// Scripts and data from here alone; styles also inline, because the component library writes them into elements.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'self'; \
    form-action 'self'; frame-ancestors 'none'";

/// Files whose name holds a hash of their content never change.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_EVERY_TIME: &str = "no-cache";

/// Answers a path outside the API: a file, or the dashboard's page, which knows its own paths.
pub(crate) fn serve(method: &Method, path: &str) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return ApiError::MethodNotAllowed.into_response();
    }
    let name = path.trim_start_matches('/');
    let file = files::find(name).map(|file| (name, file));
    let names_a_file = name.rsplit('/').next().is_some_and(|last| last.contains('.'));
    let (name, file) = match file {
        Some(found) => found,
        None if names_a_file => return ApiError::UnknownRoute.into_response(),
        None => ("index.html", files::index()),
    };
    let cached = if name.starts_with("assets/") { FOR_EVER } else { ASK_EVERY_TIME };
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CACHE_CONTROL, HeaderValue::from_static(cached)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (headers, file.bytes).into_response()
}

/// One file.
struct File {
    media_type: HeaderValue,
    bytes: std::borrow::Cow<'static, [u8]>,
}

#[cfg(feature = "embed-ui")]
mod files {
    use super::{File, HeaderValue};
    use rust_embed::RustEmbed;

    #[derive(RustEmbed)]
    #[folder = "../dashboard/dist"]
    struct Dist;

    pub(super) fn find(name: &str) -> Option<File> {
        let file = Dist::get(name)?;
        let media_type = HeaderValue::from_str(file.metadata.mimetype())
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        Some(File { media_type, bytes: file.data })
    }

    pub(super) fn index() -> File {
        find("index.html").unwrap_or_else(|| File {
            media_type: HeaderValue::from_static("text/html; charset=utf-8"),
            bytes:
                b"<!doctype html><title>Sortition</title><p>The dashboard was not built.</p>"[..]
                    .into(),
        })
    }
}

#[cfg(not(feature = "embed-ui"))]
mod files {
    use super::{File, HeaderValue};

    const PLACEHOLDER: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Sortition</title>\
        <h1>Sortition</h1><p>This binary was built without the dashboard (feature <code>embed-ui</code>). \
        The API is described at <a href=\"/api/v1/openapi.json\">/api/v1/openapi.json</a>.</p></html>";

    pub(super) fn find(_name: &str) -> Option<File> {
        None
    }

    pub(super) fn index() -> File {
        File {
            media_type: HeaderValue::from_static("text/html; charset=utf-8"),
            bytes: PLACEHOLDER.as_bytes().into(),
        }
    }
}
