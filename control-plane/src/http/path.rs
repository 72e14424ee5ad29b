//! Path parameters, refused as a problem when they are not text.

use crate::error::ApiError;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

/// The one parameter of a path.
pub(crate) struct PathKey(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let refuse =
            |detail: String| ApiError::InvalidParameter { parameter: "path".to_owned(), detail };
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|rejection| refuse(rejection.body_text()))?;
        let key = params.iter().next().map(|(_, value)| value.to_owned());
        let key = key.ok_or_else(|| refuse("is missing".to_owned()))?;
        // PostgreSQL refuses text with a NUL; no id or key holds one.
        if key.contains('\0') {
            return Err(ApiError::not_found("resource", key.replace('\0', "\u{fffd}")));
        }
        Ok(Self(key))
    }
}
