//! Answers that every resource gives alike.

use crate::error::ApiError;
use crate::http::precondition::etag;
use crate::http::query::encode_cursor;
use crate::store::resource::{self, Page};
use crate::store::{Resource, Tx, Versioned};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// 200 with the version's `ETag`.
pub(crate) fn ok(version: i64, view: impl Serialize) -> Response {
    ([(header::ETAG, etag(version))], Json(view)).into_response()
}

/// 201 with `ETag` and `Location`.
pub(crate) fn created(version: i64, location: &str, view: impl Serialize) -> Response {
    let mut response = (StatusCode::CREATED, ok(version, view)).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1{location}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// 204.
pub(crate) fn deleted() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListOf<T> {
    /// The items.
    pub(crate) data: Vec<T>,
    /// `cursor` of the next page; null at the end.
    pub(crate) next_cursor: Option<String>,
}

/// A page; `next` is the sort key of its last item when there is more, answered as `next_cursor` and in a
/// `Link` header.
pub(crate) fn list<T: Serialize>(uri: &Uri, next: Option<String>, data: Vec<T>) -> Response {
    let next_cursor = next.map(|key| encode_cursor(&key));
    let link = next_cursor.as_ref().and_then(|cursor| {
        let others = uri.query().unwrap_or_default().split('&');
        let mut query: Vec<&str> =
            others.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor=")).collect();
        let cursor = format!("cursor={cursor}");
        query.push(&cursor);
        // Handlers see the path below `/api/v1`.
        let link = format!("</api/v1{}?{}>; rel=\"next\"", uri.path(), query.join("&"));
        HeaderValue::from_str(&link).ok()
    });
    let mut response = Json(ListOf { data, next_cursor }).into_response();
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

/// Cuts one page out of a whole list that is sorted by a key: the items, and the key of the last one when there is more.
pub(crate) fn cut<T>(
    items: Vec<T>,
    page: &Page,
    key: impl Fn(&T) -> &str,
) -> (Vec<T>, Option<String>) {
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut items: Vec<T> = items
        .into_iter()
        .filter(|item| page.after.as_deref().is_none_or(|after| key(item) > after))
        .take(limit.saturating_add(1))
        .collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|item| key(item).to_owned());
    (items, next)
}

/// Reads one page of a resource: the items, and the sort key of the last one when there is more.
pub(crate) async fn page<D: Resource>(
    tx: &mut Tx,
    scope_id: &str,
    page: &Page,
) -> Result<(Vec<Versioned<D>>, Option<String>), ApiError> {
    let one_more = Page { limit: page.limit + 1, ..page.clone() };
    let mut items = resource::list::<D>(tx, scope_id, &one_more).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(sort_key);
    Ok((items, next))
}

/// What a list of this resource is sorted by.
fn sort_key<D: Resource>(item: &Versioned<D>) -> String {
    if D::NEWEST_FIRST { item.id.clone() } else { item.definition.key().to_owned() }
}
