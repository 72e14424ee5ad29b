//! Optimistic concurrency: `ETag` and `If-Match`.

use crate::error::ApiError;
use crate::store::{Resource, Versioned};
use axum::extract::FromRequestParts;
use axum::http::{HeaderValue, header, request::Parts};
use serde_json::json;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// The strong entity tag of a version.
pub(crate) fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits in quotes are a header value")
}

/// `If-Match`, where it may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    /// 412 when the header names versions and the current one is not among them.
    pub(crate) fn check<D: Resource>(&self, item: &Versioned<D>) -> Result<(), ApiError> {
        self.check_version(item.version, &item.definition)
    }

    /// Like [`IfMatch::check`], for what is no definition.
    pub(crate) fn check_version(
        &self,
        version: i64,
        current_value: &impl serde::Serialize,
    ) -> Result<(), ApiError> {
        let Some(given) = &self.0 else { return Ok(()) };
        let current = format!("\"{version}\"");
        let fits = given.split(',').map(str::trim).any(|tag| tag == "*" || tag == current);
        if fits {
            return Ok(());
        }
        Err(ApiError::Stale { current_version: version, current: json!(current_value) })
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        match parts.headers.get(header::IF_MATCH).map(HeaderValue::to_str) {
            None => Ok(Self(None)),
            Some(Ok(value)) if !value.trim().is_empty() => Ok(Self(Some(value.to_owned()))),
            Some(_) => Err(ApiError::InvalidParameter {
                parameter: "If-Match".to_owned(),
                detail: "is not an entity tag".to_owned(),
            }),
        }
    }
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![described(Required::False)]
    }
}

/// `If-Match`, where it is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequiredIfMatch(pub(crate) IfMatch);

impl<S: Sync> FromRequestParts<S> for RequiredIfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let condition = IfMatch::from_request_parts(parts, state).await?;
        if condition.0.is_none() {
            return Err(ApiError::PreconditionRequired);
        }
        Ok(Self(condition))
    }
}

impl IntoParams for RequiredIfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![described(Required::True)]
    }
}

/// The header's entry in the API's description.
fn described(required: Required) -> Parameter {
    ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some("`ETag` of the version that the change is meant for"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
