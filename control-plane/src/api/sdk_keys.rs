//! SDK keys of an environment: shown once, stored as hashes, published with the config.

use super::answer::{self, ListOf};
use super::change::Change;
use crate::definition::{salt, schema};
use crate::error::{ApiError, ProblemDocument};
use crate::http::auth::digest;
use crate::http::idempotency::SecretMember;
use crate::http::{Body, Caller, EmptyBody, InEnvironment, ListQuery, PathKey, Query};
use crate::state::AppState;
use crate::store::keys::{self, SdkKeyRow, kind_word};
use crate::store::resource::Page;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use eval_core::source::KeyKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

/// Words by which lists of keys and tokens are filtered.
pub(super) const KEY_STATUSES: [&str; 2] = ["active", "revoked"];

/// Random characters at the end of a key: 160 bits.
const SECRET_LENGTH: usize = 32;

/// What the new key is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSdkKey {
    /// What people call it.
    #[serde(default)]
    #[schema(max_length = 128)]
    name: Option<String>,
    /// `server` for servers; `client` for browsers and apps.
    #[schema(value_type = KeyKindWord)]
    kind: KeyKind,
    /// When it stops working by itself; never when absent.
    #[serde(default)]
    #[schema(value_type = Option<schema::Time>)]
    expires_at: Option<Timestamp>,
}

/// Kind of an SDK key.
#[derive(ToSchema)]
#[schema(as = KeyKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "exists as a schema")]
enum KeyKindWord {
    /// May read the whole config.
    Server,
    /// Sees answers only.
    Client,
}

/// An SDK key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SdkKey {
    /// Id.
    id: String,
    /// What people call it.
    name: String,
    /// `server` or `client`.
    #[schema(value_type = KeyKindWord)]
    kind: KeyKind,
    /// Its last four characters.
    hint: String,
    /// When it was made.
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When it stopped working.
    #[schema(value_type = Option<schema::Time>)]
    revoked_at: Option<Timestamp>,
    /// When it stops working by itself.
    #[schema(value_type = Option<schema::Time>)]
    expires_at: Option<Timestamp>,
    /// The key itself: only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

impl SdkKey {
    fn new(row: SdkKeyRow, key: Option<String>) -> Self {
        let SdkKeyRow { id, name, kind, hint, created_at, revoked_at, expires_at, .. } = row;
        Self { id, name, kind, hint, created_at, revoked_at, expires_at, key }
    }
}

/// A new key for an environment.
pub(crate) fn new_key(environment_id: &str, kind: KeyKind) -> String {
    format!("sk_{}_{environment_id}_{}", kind_word(kind), salt::random_base32(SECRET_LENGTH))
}

/// The row of a key.
pub(crate) fn row(key: &str, name: &str, kind: KeyKind, now: Timestamp) -> SdkKeyRow {
    SdkKeyRow {
        id: Uuid::now_v7().to_string(),
        name: name.to_owned(),
        kind,
        sha256: digest(key),
        hint: key.chars().skip(key.chars().count().saturating_sub(4)).collect(),
        created_at: now,
        revoked_at: None,
        expires_at: None,
    }
}

/// Makes an SDK key. The answer shows it, and nothing does again.
#[utoipa::path(post, path = "/sdk-keys", tag = "sdk keys", request_body = NewSdkKey,
    responses((status = 201, body = SdkKey), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_sdk_key(
    State(state): State<AppState>,
    scope: InEnvironment,
    body: Body<NewSdkKey>,
) -> Result<Response, ApiError> {
    let request = body.complete()?;
    let mut change = Change::in_environment(&state, &scope).await?;
    let key = new_key(&scope.environment_id, request.kind);
    let name = request.name.unwrap_or_else(|| format!("{} key", kind_word(request.kind)));
    if request.expires_at.is_some_and(|end| end <= change.now) {
        return Err(ApiError::invalid("/expires_at", "out_of_range", "has passed already"));
    }
    let expires_at = request.expires_at;
    let row = SdkKeyRow { expires_at, ..row(&key, &name, request.kind, change.now) };
    keys::insert(&mut change.tx, &scope.environment_id, &row).await?;
    note(&mut change, &row, 1, "created").await?;
    change.commit().await?;
    let location = format!("/sdk-keys/{}", row.id);
    let mut response = answer::created(1, &location, SdkKey::new(row, Some(key)));
    response.extensions_mut().insert(SecretMember("key"));
    Ok(response)
}

/// Lists the SDK keys of the environment, revoked and expired ones included, oldest first.
#[utoipa::path(get, path = "/sdk-keys", tag = "sdk keys", params(ListQuery),
    responses((status = 200, body = ListOf<SdkKey>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_sdk_keys(
    State(state): State<AppState>,
    scope: InEnvironment,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&KEY_STATUSES)?;
    let mut tx = state.db.read().await?;
    let mut rows = keys::list(&mut tx, &scope.environment_id).await?;
    rows.retain(|row| fits(&page, &row.name, row.revoked_at));
    let (rows, next) = answer::cut(rows, &page, |row| &row.id);
    let views: Vec<SdkKey> = rows.into_iter().map(|row| SdkKey::new(row, None)).collect();
    Ok(answer::list(&uri, next, views))
}

/// Whether a key or token belongs to a filtered list.
pub(super) fn fits(page: &Page, name: &str, revoked_at: Option<Timestamp>) -> bool {
    let status = if revoked_at.is_some() { "revoked" } else { "active" };
    let contains = |text: &String| name.to_lowercase().contains(&text.to_lowercase());
    page.status.as_ref().is_none_or(|wanted| wanted == status)
        && page.contains.as_ref().is_none_or(contains)
}

/// Stops an SDK key from working.
#[utoipa::path(post, path = "/sdk-keys/{id}/revoke", tag = "sdk keys",
    responses((status = 200, body = SdkKey), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn revoke_sdk_key(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(id): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(&state, &scope).await?;
    let rows = keys::list(&mut change.tx, &scope.environment_id).await?;
    let Some(mut row) = rows.into_iter().find(|row| row.id == id) else {
        return Err(ApiError::not_found("SDK key", id));
    };
    if row.revoked_at.is_none() {
        row.revoked_at = Some(change.now);
        keys::revoke(&mut change.tx, &scope.environment_id, &row.id, change.now).await?;
        note(&mut change, &row, 2, "revoked").await?;
        change.commit().await?;
    }
    Ok(answer::ok(2, SdkKey::new(row, None)))
}

async fn note(
    change: &mut Change<'_>,
    row: &SdkKeyRow,
    version: i64,
    action: &str,
) -> Result<(), ApiError> {
    let image = json!({
        "name": row.name, "kind": row.kind, "hint": row.hint, "expires_at": row.expires_at
    });
    let id = (&*row.id, &*row.name);
    change.note_values("sdk_key", id, Some(version), action, None, Some(image)).await
}

/// Takes a key whose time is over out of its environment's config: edges check keys without the control plane, by what
/// is published. Answers whether this call did.
pub(crate) async fn expire(
    state: &AppState,
    author: &str,
    environment_id: &str,
    id: &str,
    now: Timestamp,
) -> Result<bool, ApiError> {
    let caller = Caller::system(author);
    let mut change = Change::of_environment(state, environment_id, &caller).await?;
    let rows = keys::list(&mut change.tx, environment_id).await?;
    let due = |row: &SdkKeyRow| {
        row.id == id && row.revoked_at.is_none() && row.expires_at.is_some_and(|end| end <= now)
    };
    let Some(row) = rows.into_iter().find(due) else { return Ok(false) };
    keys::revoke(&mut change.tx, environment_id, &row.id, change.now).await?;
    note(&mut change, &row, 2, "expired").await?;
    change.commit().await?;
    Ok(true)
}
