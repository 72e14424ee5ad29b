//! Flags: create, read, list, patch, archive, kill, history, rollback.

use super::answer::{self, ListOf};
use super::change::Change;
use super::history::{self, RollbackRequest, Version};
use super::shared::to_value;
use crate::definition::{FlagDefinition, FlagState, ServeDefinition, salt, schema};
use crate::error::{ApiError, ProblemDocument, Problems};
use crate::http::body::check;
use crate::http::{
    Body, EmptyBody, IfMatch, InEnvironment, ListQuery, MergePatch, NoQuery, PathKey, Query,
    RequiredIfMatch,
};
use crate::lifecycle::split;
use crate::state::AppState;
use crate::store::{Versioned, load_environment_in, resource};
use crate::validate::{flag as rules, usage};
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A flag.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Flag {
    /// Id.
    pub(crate) id: String,
    /// The definition.
    #[serde(flatten)]
    pub(crate) definition: FlagDefinition,
    /// `active` or `archived`.
    pub(crate) status: String,
    /// When it was archived.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) archived_at: Option<Timestamp>,
    /// 1, 2, 3, …; also the `ETag`.
    pub(crate) version: i64,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    pub(crate) created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = schema::Time)]
    pub(crate) updated_at: Timestamp,
}

impl From<Versioned<FlagDefinition>> for Flag {
    fn from(item: Versioned<FlagDefinition>) -> Self {
        let Versioned { id, definition, state, version, created_at, updated_at, .. } = item;
        let status = if state.archived_at.is_some() { "archived" } else { "active" };
        Self {
            id,
            definition,
            status: status.to_owned(),
            archived_at: state.archived_at,
            version,
            created_at,
            updated_at,
        }
    }
}

/// Creates a flag.
#[utoipa::path(post, path = "/flags", tag = "flags", request_body = FlagDefinition,
    responses((status = 201, body = Flag), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_flag(
    State(state): State<AppState>,
    scope: InEnvironment,
    body: Body<FlagDefinition>,
) -> Result<Response, ApiError> {
    let (definition, problems) = body.partial()?;
    let mut change = Change::in_environment(&state, &scope).await?;
    let item = define(&mut change, &scope.environment_id, definition, problems).await?;
    change.commit().await?;
    let location = format!("/flags/{}", item.definition.key);
    Ok(answer::created(item.version, &location, Flag::from(item)))
}

/// Stores a new flag within an open change. `problems` are what was wrong with its body.
pub(crate) async fn define(
    change: &mut Change<'_>,
    environment_id: &str,
    mut definition: FlagDefinition,
    mut problems: Problems,
) -> Result<Versioned<FlagDefinition>, ApiError> {
    let snapshot = load_environment_in(&mut change.tx, environment_id).await?;
    problems.extend(rules::check(&definition, "", &snapshot));
    problems.into_result()?;
    complete(&mut definition);
    let split = with_splits(&definition, FlagState::default());
    change.create(environment_id, None, definition, split).await
}

/// Fills in salts.
fn complete(definition: &mut FlagDefinition) {
    definition.salt.get_or_insert_with(salt::generate);
    for rule in &mut definition.rules {
        rule.salt.get_or_insert_with(salt::generate);
    }
}

/// Buckets of each weighted split: a split whose weights changed moves as few as it can.
fn with_splits(definition: &FlagDefinition, mut state: FlagState) -> FlagState {
    let before = std::mem::take(&mut state.split_ranges);
    for rule in &definition.rules {
        let (ServeDefinition::Split(parts), Some(salt)) = (&rule.serve, &rule.salt) else {
            continue;
        };
        let weights: Vec<(&str, u16)> =
            parts.iter().map(|part| (part.variant.as_str(), part.weight.buckets())).collect();
        let ranges = match before.get(salt) {
            Some(current) => split::rebalanced(current, &weights),
            None => split::contiguous(weights),
        };
        state.split_ranges.insert(salt.clone(), ranges);
    }
    state
}

/// Lists flags, sorted by key.
#[utoipa::path(get, path = "/flags", tag = "flags", params(ListQuery),
    responses((status = 200, body = ListOf<Flag>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_flags(
    State(state): State<AppState>,
    scope: InEnvironment,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&["active", "archived"])?;
    let mut tx = state.db.read().await?;
    let (items, next) =
        answer::page::<FlagDefinition>(&mut tx, &scope.environment_id, &page).await?;
    Ok(answer::list(&uri, next, items.into_iter().map(Flag::from).collect()))
}

/// Answers a flag by its key or id.
#[utoipa::path(get, path = "/flags/{key}", tag = "flags",
    responses((status = 200, body = Flag), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_flag(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item = resource::load::<FlagDefinition>(&mut tx, &scope.environment_id, &key).await?;
    Ok(answer::ok(item.version, Flag::from(item)))
}

/// Changes a flag by a JSON Merge Patch; `{"enabled": false}` is the kill switch.
#[utoipa::path(patch, path = "/flags/{key}", tag = "flags",
    params(RequiredIfMatch),
    request_body(content = FlagDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Flag), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_flag(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    apply(&state, &scope, &key, &condition, "updated", patch).await
}

/// Serves the off variant to everyone, whatever the version.
#[utoipa::path(post, path = "/flags/{key}/kill", tag = "flags",
    params(IfMatch),
    responses((status = 200, body = Flag), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn kill_flag(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let off = MergePatch::of("enabled", json!(false));
    apply(&state, &scope, &key, &condition, "killed", off).await
}

async fn apply(
    state: &AppState,
    scope: &InEnvironment,
    key: &str,
    condition: &IfMatch,
    action: &str,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(state, scope).await?;
    let before: Versioned<FlagDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, key).await?;
    condition.check(&before)?;
    let merged = patch.apply(to_value(&before.definition)?);
    replace(change, action, before, merged).await
}

/// Defines a flag again as an earlier version did.
#[utoipa::path(post, path = "/flags/{key}/rollback", tag = "flags", request_body = RollbackRequest,
    params(IfMatch),
    responses((status = 200, body = Flag), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_flag(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    condition: IfMatch,
    body: Body<RollbackRequest>,
) -> Result<Response, ApiError> {
    let version = body.complete()?.version;
    let mut change = Change::in_environment(&state, &scope).await?;
    let before: Versioned<FlagDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &key).await?;
    condition.check(&before)?;
    let earlier =
        history::definition_at::<FlagDefinition>(&mut change.tx, &before.id, version).await?;
    replace(change, "rolled_back", before, earlier).await
}

async fn replace(
    mut change: Change<'_>,
    action: &str,
    before: Versioned<FlagDefinition>,
    after: Value,
) -> Result<Response, ApiError> {
    let item = redefine(&mut change, action, &before, after).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Flag::from(item)))
}

/// Gives a flag another definition within an open change, under the rules of a patch.
pub(crate) async fn redefine(
    change: &mut Change<'_>,
    action: &str,
    before: &Versioned<FlagDefinition>,
    after: Value,
) -> Result<Versioned<FlagDefinition>, ApiError> {
    require_active(before)?;
    let (definition, mut problems) = check::<FlagDefinition>(after);
    let Some(mut definition) = definition else { return Err(ApiError::Invalid(problems)) };
    let snapshot = load_environment_in(&mut change.tx, &before.scope_id).await?;
    problems.extend(rules::check(&definition, &before.definition.key, &snapshot));
    problems.into_result()?;
    rules::check_required_variants(&definition, &snapshot)?;
    complete(&mut definition);
    let state = with_splits(&definition, before.state.clone());
    change.update(action, before, definition, state).await
}

fn require_active(flag: &Versioned<FlagDefinition>) -> Result<(), ApiError> {
    if flag.state.archived_at.is_none() {
        return Ok(());
    }
    Err(ApiError::conflict("archived", "the flag is archived"))
}

/// Puts a flag away; clients that still ask for it get their own default.
#[utoipa::path(post, path = "/flags/{key}/archive", tag = "flags",
    params(IfMatch),
    responses((status = 200, body = Flag), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn archive_flag(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    condition: IfMatch,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = Change::in_environment(&state, &scope).await?;
    let before: Versioned<FlagDefinition> =
        resource::load(&mut change.tx, &scope.environment_id, &key).await?;
    condition.check(&before)?;
    require_active(&before)?;
    let snapshot = load_environment_in(&mut change.tx, &scope.environment_id).await?;
    usage::of_flag(&before.definition.key, &snapshot).forbid("the flag", "archived")?;
    let mut archived = before.state.clone();
    archived.archived_at = Some(change.now);
    let item = change.update("archived", &before, before.definition.clone(), archived).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Flag::from(item)))
}

/// Lists the changes of a flag, newest first.
#[utoipa::path(get, path = "/flags/{key}/history", tag = "flags", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_flag_history(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(key): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut tx = state.db.read().await?;
    let item: Versioned<FlagDefinition> =
        resource::load(&mut tx, &scope.environment_id, &key).await?;
    history::answer::<FlagDefinition>(&mut tx, &item.id, &query, &uri).await
}
