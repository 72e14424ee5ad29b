//! Path parameters, refused as a problem when they are not text.

use crate::error::ApiError;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

/// The one parameter of a path.
pub(crate) struct PathKey(pub(crate) String);

/// The two parameters of a path.
pub(crate) struct PathKeys(pub(crate) String, pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [key] = read(parts, state).await?;
        Ok(Self(key))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathKeys {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [first, second] = read(parts, state).await?;
        Ok(Self(first, second))
    }
}

async fn read<S: Send + Sync, const N: usize>(
    parts: &mut Parts,
    state: &S,
) -> Result<[String; N], ApiError> {
    let refuse =
        |detail: String| ApiError::InvalidParameter { parameter: "path".to_owned(), detail };
    let params = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|rejection| refuse(rejection.body_text()))?;
    let mut keys = params.iter().map(|(_, value)| value.to_owned());
    let mut found = [const { String::new() }; N];
    for place in &mut found {
        *place = keys.next().ok_or_else(|| refuse("is missing".to_owned()))?;
        // PostgreSQL refuses text with a NUL; no id or key holds one.
        if place.contains('\0') {
            return Err(ApiError::not_found("resource", place.replace('\0', "\u{fffd}")));
        }
    }
    Ok(found)
}
