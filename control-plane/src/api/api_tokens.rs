//! API tokens: shown once, stored as hashes.

use super::answer::{self, ListOf};
use super::change::Change;
use super::sdk_keys::{KEY_STATUSES, fits};
use crate::access::{Reach, Role};
use crate::definition::{EnvironmentDefinition, ProjectDefinition, salt, schema};
use crate::error::{ApiError, ProblemDocument};
use crate::http::auth::{TOKEN_PREFIX, digest, token_prefix};
use crate::http::idempotency::SecretMember;
use crate::http::{Body, Caller, EmptyBody, ListQuery, PathKey, Query};
use crate::state::AppState;
use crate::store::Tx;
use crate::store::resource::{self, INSTANCE};
use crate::store::tokens::{self, ApiTokenRow};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

/// Random characters of a token: 160 bits.
const SECRET_LENGTH: usize = 32;

/// What the new token is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApiToken {
    /// What people call it; the author of what is done with it.
    #[schema(value_type = schema::Name)]
    name: String,
    /// What it may do.
    role: Role,
    /// The only project that it sees; every project when absent.
    #[serde(default)]
    #[schema(value_type = Option<schema::Slug>)]
    project: Option<String>,
    /// The only environment of that project that it sees, by name or id.
    #[serde(default)]
    #[schema(value_type = Option<schema::Slug>)]
    environment: Option<String>,
    /// When it stops working by itself; never when absent.
    #[serde(default)]
    #[schema(value_type = Option<schema::Time>)]
    expires_at: Option<Timestamp>,
}

/// An API token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiToken {
    /// Id.
    id: String,
    /// What people call it.
    name: String,
    /// What it may do.
    role: Role,
    /// The only project that it sees.
    project: Option<String>,
    /// Id of the only environment that it sees.
    environment: Option<String>,
    /// Its first characters.
    prefix: String,
    /// When it was made.
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When it stopped working.
    #[schema(value_type = Option<schema::Time>)]
    revoked_at: Option<Timestamp>,
    /// When it stops working by itself.
    #[schema(value_type = Option<schema::Time>)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    #[schema(value_type = Option<schema::Time>)]
    last_used_at: Option<Timestamp>,
    /// The token itself: only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl ApiToken {
    fn new(row: ApiTokenRow, token: Option<String>) -> Self {
        let ApiTokenRow {
            id,
            name,
            role,
            project_id,
            environment_id,
            prefix,
            created_at,
            revoked_at,
            expires_at,
            last_used_at,
            ..
        } = row;
        Self {
            id,
            name,
            role,
            project: project_id,
            environment: environment_id,
            prefix,
            created_at,
            revoked_at,
            expires_at,
            last_used_at,
            token,
        }
    }
}

/// A new token.
pub(crate) fn new_token() -> String {
    format!("{TOKEN_PREFIX}{}", salt::random_base32(SECRET_LENGTH))
}

/// The row of a token that sees everything.
pub(crate) fn row(token: &str, name: &str, role: Role, now: Timestamp) -> ApiTokenRow {
    ApiTokenRow {
        id: Uuid::now_v7().to_string(),
        project_id: None,
        environment_id: None,
        name: name.to_owned(),
        role,
        prefix: token_prefix(token),
        sha256: digest(token),
        created_at: now,
        revoked_at: None,
        expires_at: None,
        last_used_at: None,
    }
}

/// Makes an API token. The answer shows it, and nothing does again.
#[utoipa::path(post, path = "/api-tokens", tag = "api tokens", request_body = NewApiToken,
    responses((status = 201, body = ApiToken), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_api_token(
    State(state): State<AppState>,
    caller: Caller,
    body: Body<NewApiToken>,
) -> Result<Response, ApiError> {
    let request = body.complete()?;
    let mut change = Change::begin(&state, &caller).await?;
    if request.expires_at.is_some_and(|end| end <= change.now) {
        return Err(ApiError::invalid("/expires_at", "out_of_range", "has passed already"));
    }
    let reach = caller.reach_as(Role::Admin);
    let project_id = match (&reach, request.project) {
        (Reach::Projects(own), None) if own.len() == 1 => own.first().cloned(),
        (Reach::Projects(_), None) => {
            let detail = "name one of the projects that you administer";
            return Err(ApiError::invalid("/project", "required", detail));
        }
        (Reach::Projects(_), Some(asked)) if !reach.includes(&asked) => {
            let detail = format!("there is no project `{asked}`");
            return Err(ApiError::invalid("/project", "unknown_project", detail));
        }
        (_, asked) => asked,
    };
    if let Some(id) = &project_id
        && resource::find::<ProjectDefinition>(&mut change.tx, INSTANCE, id).await?.is_none()
    {
        let detail = format!("there is no project `{id}`");
        return Err(ApiError::invalid("/project", "unknown_project", detail));
    }
    let asked = request.environment.or_else(|| caller.environment_id.clone());
    let environment_id = match (&project_id, asked) {
        (_, None) => None,
        (None, Some(_)) => {
            return Err(ApiError::invalid("/environment", "not_applicable", "needs a project"));
        }
        (Some(project_id), Some(asked)) => {
            let found =
                resource::find::<EnvironmentDefinition>(&mut change.tx, project_id, &asked).await?;
            let in_reach = found.filter(|environment| {
                caller.environment_id.as_ref().is_none_or(|own| *own == environment.id)
            });
            let Some(environment) = in_reach else {
                let detail = format!("there is no environment `{asked}`");
                return Err(ApiError::invalid("/environment", "unknown_environment", detail));
            };
            Some(environment.id)
        }
    };
    let token = new_token();
    let row = ApiTokenRow {
        project_id,
        environment_id,
        expires_at: request.expires_at,
        ..row(&token, &request.name, request.role, change.now)
    };
    tokens::insert(&mut change.tx, &row).await?;
    note(&mut change, &row, 1, "created").await?;
    change.commit().await?;
    let location = format!("/api-tokens/{}", row.id);
    let mut response = answer::created(1, &location, ApiToken::new(row, Some(token)));
    response.extensions_mut().insert(SecretMember("token"));
    Ok(response)
}

async fn note(
    change: &mut Change<'_>,
    row: &ApiTokenRow,
    version: i64,
    action: &str,
) -> Result<(), ApiError> {
    if let Some(project_id) = &row.project_id {
        change.about_project(project_id);
    }
    let image = json!({
        "name": row.name, "role": row.role, "project": row.project_id, "environment": row.environment_id,
        "prefix": row.prefix, "expires_at": row.expires_at
    });
    let id = (&*row.id, &*row.name);
    change.note_values("api_token", id, Some(version), action, None, Some(image)).await
}

/// Tokens that see no more than the caller does.
async fn in_reach(tx: &mut Tx, caller: &Caller) -> Result<Vec<ApiTokenRow>, ApiError> {
    let reach = caller.reach_as(Role::Admin);
    let mut rows = tokens::list(tx, None).await?;
    rows.retain(|row| match (&reach, &row.project_id) {
        (Reach::Everything, _) => true,
        (Reach::Projects(_), Some(project)) => reach.includes(project),
        (Reach::Projects(_), None) => false,
    });
    if caller.environment_id.is_some() {
        rows.retain(|row| row.environment_id == caller.environment_id);
    }
    Ok(rows)
}

/// Lists the API tokens in reach, revoked ones included, oldest first.
#[utoipa::path(get, path = "/api-tokens", tag = "api tokens", params(ListQuery),
    responses((status = 200, body = ListOf<ApiToken>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_api_tokens(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&KEY_STATUSES)?;
    let mut tx = state.db.read().await?;
    let mut rows = in_reach(&mut tx, &caller).await?;
    rows.retain(|row| fits(&page, &row.name, row.revoked_at));
    let (rows, next) = answer::cut(rows, &page, |row| &row.id);
    let views: Vec<ApiToken> = rows.into_iter().map(|row| ApiToken::new(row, None)).collect();
    Ok(answer::list(&uri, next, views))
}

/// Stops an API token from working.
#[utoipa::path(post, path = "/api-tokens/{id}/revoke", tag = "api tokens",
    responses((status = 200, body = ApiToken), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn revoke_api_token(
    State(state): State<AppState>,
    caller: Caller,
    PathKey(id): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = Change::begin(&state, &caller).await?;
    let rows = in_reach(&mut change.tx, &caller).await?;
    let Some(mut row) = rows.into_iter().find(|row| row.id == id) else {
        return Err(ApiError::not_found("API token", id));
    };
    if row.revoked_at.is_none() {
        row.revoked_at = Some(change.now);
        let project = row.project_id.clone();
        // Of two that revoke at the same time, one does.
        if tokens::revoke(&mut change.tx, project.as_deref(), &row.id, change.now).await? {
            note(&mut change, &row, 2, "revoked").await?;
        }
        change.commit().await?;
    }
    Ok(answer::ok(2, ApiToken::new(row, None)))
}
