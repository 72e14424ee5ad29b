//! People: who they are, what they may do where. Only admins of every project see and change them.

use super::answer::{self, ListOf};
use super::change::Change;
use super::history::{self, Version};
use super::passwords;
use crate::access::{Grant, Role};
use crate::definition::{ProjectDefinition, schema};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::RequiredIfMatch;
use crate::http::body::check;
use crate::http::{Body, Caller, ListQuery, MergePatch, NoQuery, PathKey, Query};
use crate::state::AppState;
use crate::store::Tx;
use crate::store::resource::{self, INSTANCE};
use crate::store::users::{self, UserRow};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

/// A role, in one project or in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserGrant {
    /// The project; every project when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Slug>)]
    project: Option<String>,
    /// The role there.
    role: Role,
}

/// A new user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    /// Address to sign in with; upper and lower case are the same.
    #[schema(min_length = 3, max_length = 254, pattern = "^[!-?A-~]+@[!-?A-~]+$")]
    email: String,
    /// What others see; the address when absent.
    #[serde(default)]
    #[schema(max_length = 128)]
    name: Option<String>,
    /// First password, of at least 12 characters; without one the user cannot sign in yet.
    #[serde(default)]
    #[schema(min_length = 12, max_length = 256)]
    password: Option<String>,
    /// What the user may do where.
    #[serde(default)]
    #[schema(max_items = 1000)]
    grants: Vec<UserGrant>,
}

/// What of a user can be changed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserDefinition {
    /// What others see.
    #[schema(max_length = 128)]
    name: String,
    /// What the user may do where.
    #[serde(default)]
    #[schema(max_items = 1000)]
    grants: Vec<UserGrant>,
    /// Whether the user may do nothing at all; sessions end at once.
    #[serde(default)]
    disabled: bool,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    /// Id.
    pub(crate) id: String,
    /// Address to sign in with.
    pub(crate) email: String,
    /// What others see.
    pub(crate) name: String,
    /// What the user may do where.
    pub(crate) grants: Vec<UserGrant>,
    /// Whether the user may do nothing at all.
    pub(crate) disabled: bool,
    /// Whether the user has a password.
    pub(crate) has_password: bool,
    /// 1, 2, 3, …; also the `ETag`.
    pub(crate) version: i64,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    pub(crate) created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = schema::Time)]
    pub(crate) updated_at: Timestamp,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id,
            email: row.email,
            name: row.name,
            grants: shown(&row.grants),
            disabled: row.disabled_at.is_some(),
            has_password: row.password.is_some(),
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Grants as the API writes them.
pub(crate) fn shown(grants: &[Grant]) -> Vec<UserGrant> {
    let grant = |grant: &Grant| UserGrant { project: grant.project_id.clone(), role: grant.role };
    grants.iter().map(grant).collect()
}

/// What history and audit keep: never a password.
fn image(user: &UserRow) -> serde_json::Value {
    json!({ "definition": {
        "email": user.email, "name": user.name, "grants": shown(&user.grants),
        "disabled": user.disabled_at.is_some(),
    } })
}

async fn read_grants(
    tx: &mut Tx,
    grants: Vec<UserGrant>,
    problems: &mut Problems,
) -> Result<Vec<Grant>, ApiError> {
    let mut read = Vec::new();
    for (index, UserGrant { project, role }) in grants.into_iter().enumerate() {
        if let Some(id) = &project
            && resource::find::<ProjectDefinition>(tx, INSTANCE, id).await?.is_none()
        {
            let detail = format!("there is no project `{id}`");
            problems.push(format!("/grants/{index}/project"), "unknown_project", detail);
        }
        let grant = Grant { project_id: project, role };
        if !read.contains(&grant) {
            read.push(grant);
        }
    }
    read.sort_by(|a, b| (&a.project_id, a.role.as_str()).cmp(&(&b.project_id, b.role.as_str())));
    Ok(read)
}

async fn load(tx: &mut Tx, id: &str) -> Result<UserRow, ApiError> {
    users::find(tx, id).await?.ok_or_else(|| ApiError::not_found("user", id))
}

fn check_password(pointer: &str, password: &str, problems: &mut Problems) {
    if password.len() > passwords::MAX_BYTES {
        problems.push(pointer, "out_of_range", "may have at most 256 bytes");
    }
}

/// Creates a user.
#[utoipa::path(post, path = "/users", tag = "people", request_body = NewUser,
    responses((status = 201, body = User), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_user(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<NewUser>,
) -> Result<Response, ApiError> {
    let (request, mut problems) = body.partial()?;
    if let Some(password) = &request.password {
        check_password("/password", password, &mut problems);
    }
    problems.into_result()?;
    let password = match request.password {
        Some(password) => Some(passwords::hash(password).await?),
        None => None,
    };
    let mut change = Change::begin(&state, &caller).await?;
    let mut problems = Problems::default();
    let grants = read_grants(&mut change.tx, request.grants, &mut problems).await?;
    problems.into_result()?;
    let email = request.email.to_lowercase();
    let user = UserRow {
        id: Uuid::now_v7().to_string(),
        name: request.name.unwrap_or_else(|| email.clone()),
        email,
        password,
        version: 1,
        created_at: change.now,
        updated_at: change.now,
        disabled_at: None,
        n_failures: 0,
        failing_since: None,
        grants,
    };
    users::insert(&mut change.tx, &user).await?;
    let id = (&*user.id, &*user.email);
    change.note_values("user", id, Some(1), "created", None, Some(image(&user))).await?;
    change.commit().await?;
    let location = format!("/users/{}", user.id);
    Ok(answer::created(1, &location, User::from(user)))
}

/// Lists users, sorted by e-mail address.
#[utoipa::path(get, path = "/users", tag = "people", params(ListQuery),
    responses((status = 200, body = ListOf<User>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_users(
    State(state): State<AppState>,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&[])?;
    let mut tx = state.db.read().await?;
    let (after, contains) = (page.after.as_deref(), page.contains.as_deref());
    let mut rows = users::list(&mut tx, after, contains, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.email.clone());
    Ok(answer::list(&uri, next, rows.into_iter().map(User::from).collect()))
}

/// Answers a user by id or e-mail address.
#[utoipa::path(get, path = "/users/{id}", tag = "people",
    responses((status = 200, body = User), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_user(
    State(state): State<AppState>,
    PathKey(id): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let user = load(&mut tx, &id).await?;
    Ok(answer::ok(user.version, User::from(user)))
}

/// Changes name, grants or `disabled` of a user by a JSON Merge Patch.
#[utoipa::path(patch, path = "/users/{id}", tag = "people",
    params(RequiredIfMatch),
    request_body(content = UserDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = User), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_user(
    State(state): State<AppState>,
    caller: Caller,
    PathKey(id): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let mut change = Change::begin(&state, &caller).await?;
    let before = load(&mut change.tx, &id).await?;
    let current = json!({
        "name": before.name, "grants": shown(&before.grants),
        "disabled": before.disabled_at.is_some(),
    });
    condition.check_version(before.version, &current)?;
    let (definition, mut problems) = check::<UserDefinition>(patch.apply(current));
    let Some(definition) = definition else { return Err(ApiError::Invalid(problems)) };
    let grants = read_grants(&mut change.tx, definition.grants, &mut problems).await?;
    problems.into_result()?;
    let disabled_at = definition.disabled.then(|| before.disabled_at.unwrap_or(change.now));
    let after = UserRow {
        name: definition.name,
        grants,
        disabled_at,
        version: before.version + 1,
        updated_at: change.now,
        ..before.clone()
    };
    if image(&after) == image(&before) {
        return Ok(answer::ok(before.version, User::from(before)));
    }
    users::update(&mut change.tx, &after).await?;
    if after.disabled_at.is_some() {
        users::delete_sessions(&mut change.tx, &after.id).await?;
    }
    let (name, version) = ((&*after.id, &*after.email), Some(after.version));
    let (old, new) = (Some(image(&before)), Some(image(&after)));
    change.note_values("user", name, version, "updated", old, new).await?;
    change.commit().await?;
    Ok(answer::ok(after.version, User::from(after)))
}

/// Lists the changes of a user, newest first.
#[utoipa::path(get, path = "/users/{id}/history", tag = "people", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_user_history(
    State(state): State<AppState>,
    PathKey(id): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let user = load(&mut tx, &id).await?;
    history::answer_kind(&mut tx, "user", &user.id, &query, &uri).await
}

/// A new password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPassword {
    /// At least 12 characters.
    #[schema(min_length = 12, max_length = 256)]
    password: String,
    /// The present one: needed by whoever changes their own.
    #[serde(default)]
    #[schema(max_length = 256)]
    current_password: Option<String>,
}

/// Sets a password: one's own with the present one, anybody's as admin of every project. Every session of the
/// user ends.
#[utoipa::path(post, path = "/users/{id}/password", tag = "people", request_body = NewPassword,
    responses((status = 200, body = User), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn set_password(
    State(state): State<AppState>,
    caller: Caller,
    PathKey(id): PathKey,
    body: Body<NewPassword>,
) -> Result<Response, ApiError> {
    let (request, mut problems) = body.partial()?;
    check_password("/password", &request.password, &mut problems);
    problems.into_result()?;
    let mut tx = state.db.read().await?;
    let found = users::find(&mut tx, &id).await?;
    drop(tx);
    let is_own = found.as_ref().is_some_and(|user| user.id == caller.id);
    let is_admin = caller.grants.iter().any(|g| g.project_id.is_none() && g.role == Role::Admin);
    if !is_own && !is_admin {
        return Err(ApiError::Forbidden("only admins set the passwords of others".to_owned()));
    }
    let before = found.ok_or_else(|| ApiError::not_found("user", id))?;
    if is_own {
        let given = request.current_password.unwrap_or_default();
        if !passwords::verify(given, before.password.clone()).await? {
            let detail = "is not the present password";
            return Err(ApiError::invalid("/current_password", "wrong_password", detail));
        }
    }
    let password = passwords::hash(request.password).await?;
    let mut change = Change::begin(&state, &caller).await?;
    let after = UserRow {
        password: Some(password),
        version: before.version + 1,
        updated_at: change.now,
        ..before.clone()
    };
    users::update(&mut change.tx, &after).await?;
    users::delete_sessions(&mut change.tx, &after.id).await?;
    let (name, version) = ((&*after.id, &*after.email), Some(after.version));
    let (old, new) = (Some(image(&before)), Some(image(&after)));
    change.note_values("user", name, version, "password_set", old, new).await?;
    change.commit().await?;
    Ok(answer::ok(after.version, User::from(after)))
}
