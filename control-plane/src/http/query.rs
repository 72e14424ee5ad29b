//! Query parameters. Unknown ones are refused: a misspelt `dry_run` must not write.

use crate::error::ApiError;
use crate::store::resource::Page;
use axum::extract::FromRequestParts;
use axum::http::{Uri, request::Parts};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

/// Items on a page unless `limit` says otherwise.
const DEFAULT_LIMIT: i64 = 50;
/// Most items on a page.
const MAX_LIMIT: i64 = 500;

/// Refuses a request that has query parameters.
pub(crate) fn refuse_query(uri: &Uri) -> Result<(), ApiError> {
    match uri.query().filter(|query| !query.is_empty()) {
        None => Ok(()),
        Some(query) => {
            let parameter = query.split(['=', '&']).next().unwrap_or_default().to_owned();
            Err(ApiError::InvalidParameter {
                detail: format!("this request takes no query parameter `{parameter}`"),
                parameter,
            })
        }
    }
}

/// Extractor for requests without query parameters.
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        refuse_query(&parts.uri).map(|()| Self)
    }
}

/// Query parameters of type `T`, which refuses unknown ones.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(
            |rejection| {
                use std::error::Error;
                let detail =
                    rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
                // `field: what is wrong`, or "unknown field `x`".
                let parameter = detail
                    .split_once(": ")
                    .map(|(field, _)| field.to_owned())
                    .or_else(|| detail.split('`').nth(1).map(str::to_owned))
                    .unwrap_or_default();
                ApiError::InvalidParameter { parameter, detail }
            },
        )
    }
}

/// Parameters of every list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Most items to answer, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only items of this status.
    status: Option<String>,
    /// Only items whose name or key contains this text.
    q: Option<String>,
}

/// How far to read, where `status` and `q` mean nothing.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    /// Largest number of items.
    pub(crate) limit: i64,
    after: Option<String>,
}

impl Paging {
    /// Reads `limit` and `cursor`.
    pub(crate) fn read(limit: Option<i64>, cursor: Option<&str>) -> Result<Self, ApiError> {
        let query = ListQuery { limit, cursor: cursor.map(str::to_owned), ..ListQuery::default() };
        let Page { limit, after, .. } = query.page(&[])?;
        Ok(Self { limit, after })
    }

    /// The cursor of a list that is sorted by a number.
    pub(crate) fn after_number(&self) -> Result<Option<i64>, ApiError> {
        let refused = |_| ApiError::InvalidParameter {
            parameter: "cursor".to_owned(),
            detail: "is not a cursor of this list".to_owned(),
        };
        self.after.as_deref().map(|after| after.parse().map_err(refused)).transpose()
    }
}

impl ListQuery {
    /// The page that is asked for; `statuses` are the words that `status` may be.
    pub(crate) fn page(&self, statuses: &[&str]) -> Result<Page, ApiError> {
        let refuse = |parameter: &str, detail: String| {
            Err(ApiError::InvalidParameter { parameter: parameter.to_owned(), detail })
        };
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MAX_LIMIT).contains(&limit) {
            return refuse("limit", format!("must be 1 to {MAX_LIMIT}"));
        }
        if let Some(status) = self.status.as_deref().filter(|status| !statuses.contains(status)) {
            return refuse("status", format!("`{status}` is not one of {}", statuses.join(", ")));
        }
        if self.q.as_ref().is_some_and(|q| q.len() > 128 || q.contains('\0')) {
            return refuse("q", "may have at most 128 bytes".to_owned());
        }
        let after = match self.cursor.as_deref().map(decode_cursor) {
            None => None,
            Some(Some(after)) => Some(after),
            Some(None) => {
                return refuse("cursor", "is not a cursor of this list".to_owned());
            }
        };
        Ok(Page { limit, after, status: self.status.clone(), contains: self.q.clone() })
    }
}

/// The cursor after an item with this sort key.
pub(crate) fn encode_cursor(sort_key: &str) -> String {
    URL_SAFE_NO_PAD.encode(sort_key)
}

fn decode_cursor(cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok().filter(|key| !key.is_empty() && !key.contains('\0'))
}
