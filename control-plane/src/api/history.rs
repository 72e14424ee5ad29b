//! History: who changed what when, and what it was before.

use super::answer;
use super::diff::{Difference, diff};
use crate::error::ApiError;
use crate::http::ListQuery;
use crate::store::history::{self, VersionRow};
use crate::store::{Resource, Tx};
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// One recorded change.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the version that a change made is its version")]
pub(crate) struct Version {
    /// Version that the change made.
    pub(crate) version: i64,
    /// What was done: `created`, `updated`, `started`, …
    pub(crate) action: String,
    /// Name of the token or e-mail address of the user that did it, or `scheduler`.
    pub(crate) author: String,
    /// When.
    #[schema(value_type = crate::definition::schema::Time)]
    pub(crate) at: Timestamp,
    /// Why, as its author said in `?comment=`.
    pub(crate) comment: Option<String>,
    /// What differs.
    pub(crate) diff: Vec<Difference>,
    /// `definition` and `state` before; null at the creation.
    #[schema(value_type = Option<Object>)]
    pub(crate) before: Option<Value>,
    /// The same afterwards; null at the deletion.
    #[schema(value_type = Option<Object>)]
    pub(crate) after: Option<Value>,
}

impl From<VersionRow> for Version {
    fn from(row: VersionRow) -> Self {
        let VersionRow { version, action, author, at, comment, before, after } = row;
        let diff = diff(before.as_ref(), after.as_ref());
        Self { version, action, author, at, comment, diff, before, after }
    }
}

/// Which version to go back to.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackRequest {
    /// Version whose definition holds again, under a new version.
    #[schema(minimum = 1)]
    pub(crate) version: i64,
}

/// The definition that a thing had at a version.
pub(crate) async fn definition_at<D: Resource>(
    tx: &mut Tx,
    id: &str,
    version: i64,
) -> Result<Value, ApiError> {
    history::definition_at::<D>(tx, id, version).await?.ok_or_else(|| {
        ApiError::invalid("/version", "unknown_version", format!("there is no version {version}"))
    })
}

/// One page of the history of a thing.
pub(crate) async fn answer<D: Resource>(
    tx: &mut Tx,
    id: &str,
    query: &ListQuery,
    uri: &Uri,
) -> Result<Response, ApiError> {
    answer_kind(tx, D::KIND, id, query, uri).await
}

/// Like [`answer`], for what is no definition.
pub(crate) async fn answer_kind(
    tx: &mut Tx,
    kind: &str,
    id: &str,
    query: &ListQuery,
    uri: &Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&[])?;
    let below = match page.after.as_deref().map(str::parse::<i64>) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => {
            return Err(ApiError::InvalidParameter {
                parameter: "cursor".to_owned(),
                detail: "is not a cursor of this list".to_owned(),
            });
        }
    };
    let mut rows = history::list(tx, kind, id, below, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.version.to_string());
    Ok(answer::list(uri, next, rows.into_iter().map(Version::from).collect()))
}
