//! Webhooks: create, read, list, change, delete, rotate the secret, try out, and the log of deliveries.

use super::answer::{self, ListOf};
use super::change::Change;
use super::history::{self, Version};
use super::shared::to_value;
use crate::definition::{WebhookDefinition, WebhookState, schema};
use crate::error::{ApiError, ProblemDocument};
use crate::http::body::check;
use crate::http::idempotency::SecretMember;
use crate::http::path::PathKeys;
use crate::http::{
    Body, EmptyBody, InProject, ListQuery, MergePatch, NoQuery, PathKey, Query, RequiredIfMatch,
};
use crate::state::AppState;
use crate::store::webhooks::{self, DeliveryRow};
use crate::store::{Versioned, resource};
use crate::webhooks::{check_url, fan_out, sign};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// How long the secret before signs, too, so that receivers can change over.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// Words by which lists are filtered.
const STATUSES: [&str; 2] = ["active", "disabled"];
const DELIVERY_STATUSES: [&str; 3] = ["pending", "delivered", "failed"];

/// A webhook.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Webhook {
    /// Id.
    id: String,
    /// The definition.
    #[serde(flatten)]
    definition: WebhookDefinition,
    /// 1, 2, 3, …; also the `ETag`.
    version: i64,
    /// When it was created.
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = schema::Time)]
    updated_at: Timestamp,
    /// What its messages are signed with: only in the answers to its creation and to a rotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl Webhook {
    fn new(item: Versioned<WebhookDefinition>, secret: Option<String>) -> Self {
        let Versioned { id, definition, version, created_at, updated_at, .. } = item;
        Self { id, definition, version, created_at, updated_at, secret }
    }
}

/// A message on its way to a receiver.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    /// Id of the message: its `webhook-id`.
    id: String,
    /// Its type, such as `experiment.started`.
    event: String,
    /// `pending`, `delivered` or `failed`.
    status: String,
    /// What is posted.
    #[schema(value_type = Object)]
    body: Value,
    /// When the message was written.
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When it is sent next; null at its end.
    #[schema(value_type = Option<schema::Time>)]
    next_attempt_at: Option<Timestamp>,
    /// Every try so far, oldest first.
    attempts: Vec<DeliveryAttempt>,
}

/// One try.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryAttempt {
    /// When.
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// HTTP status of the answer; null when there was none.
    status: Option<i64>,
    /// Why there was none.
    error: Option<String>,
    /// How long it took.
    duration_ms: i64,
}

impl From<DeliveryRow> for Delivery {
    fn from(row: DeliveryRow) -> Self {
        let DeliveryRow { id, event, body, status, created_at, next_at, attempts } = row;
        let attempts = attempts.into_iter().map(|attempt| DeliveryAttempt {
            at: attempt.at,
            status: attempt.status,
            error: attempt.error,
            duration_ms: attempt.duration_ms,
        });
        Self {
            id,
            event,
            status,
            body: serde_json::from_str(&body).unwrap_or_default(),
            created_at,
            next_attempt_at: next_at,
            attempts: attempts.collect(),
        }
    }
}

/// A change of what the project tells others. No config depends on it.
async fn begin<'s>(state: &'s AppState, scope: &InProject) -> Result<Change<'s>, ApiError> {
    scope.caller.require_whole_project()?;
    let mut change = Change::begin(state, &scope.caller).await?;
    change.about_project(&scope.project_id);
    Ok(change)
}

/// Tells a URL what happens in the project from now on. The answer shows the secret of its signatures, once.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = WebhookDefinition,
    responses((status = 201, body = Webhook), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn create_webhook(
    State(state): State<AppState>,
    scope: InProject,
    body: Body<WebhookDefinition>,
) -> Result<Response, ApiError> {
    let (definition, mut problems) = body.partial()?;
    check_url(&definition.url, &state.settings.webhook_networks, &mut problems);
    problems.into_result()?;
    let mut change = begin(&state, &scope).await?;
    let enabled = WebhookState { enabled: definition.enabled };
    let item = change.create(&scope.project_id, None, definition, enabled).await?;
    let secret = sign::new_secret();
    webhooks::add_secret(&mut change.tx, &item.id, &secret, change.now, change.now).await?;
    change.commit().await?;
    let location = format!("/webhooks/{}", item.definition.name);
    let view = Webhook::new(item, Some(secret));
    let mut response = answer::created(view.version, &location, view);
    response.extensions_mut().insert(SecretMember("secret"));
    Ok(response)
}

/// Lists the project's webhooks, sorted by name.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", params(ListQuery),
    responses((status = 200, body = ListOf<Webhook>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_webhooks(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    scope.caller.require_whole_project()?;
    let page = query.page(&STATUSES)?;
    let mut tx = state.db.read().await?;
    let (items, next) =
        answer::page::<WebhookDefinition>(&mut tx, &scope.project_id, &page).await?;
    let views: Vec<Webhook> = items.into_iter().map(|item| Webhook::new(item, None)).collect();
    Ok(answer::list(&uri, next, views))
}

/// Answers a webhook by its name or id.
#[utoipa::path(get, path = "/webhooks/{name}", tag = "webhooks",
    responses((status = 200, body = Webhook), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_webhook(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    _: NoQuery,
) -> Result<Response, ApiError> {
    scope.caller.require_whole_project()?;
    let mut tx = state.db.read().await?;
    let item = resource::load::<WebhookDefinition>(&mut tx, &scope.project_id, &name).await?;
    Ok(answer::ok(item.version, Webhook::new(item, None)))
}

/// Changes a webhook by a JSON Merge Patch. Messages that wait go to its new URL; while it is not enabled they wait.
#[utoipa::path(patch, path = "/webhooks/{name}", tag = "webhooks",
    params(RequiredIfMatch),
    request_body(content = WebhookDefinition, content_type = "application/merge-patch+json"),
    responses((status = 200, body = Webhook), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn patch_webhook(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    patch: MergePatch,
) -> Result<Response, ApiError> {
    let mut change = begin(&state, &scope).await?;
    let before: Versioned<WebhookDefinition> =
        resource::load(&mut change.tx, &scope.project_id, &name).await?;
    condition.check(&before)?;
    let merged = patch.apply(to_value(&before.definition)?);
    let (definition, mut problems) = check::<WebhookDefinition>(merged);
    let Some(definition) = definition else { return Err(ApiError::Invalid(problems)) };
    check_url(&definition.url, &state.settings.webhook_networks, &mut problems);
    problems.into_result()?;
    let enabled = WebhookState { enabled: definition.enabled };
    let item = change.update("updated", &before, definition, enabled).await?;
    change.commit().await?;
    Ok(answer::ok(item.version, Webhook::new(item, None)))
}

/// Deletes a webhook with its deliveries.
#[utoipa::path(delete, path = "/webhooks/{name}", tag = "webhooks",
    params(RequiredIfMatch),
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn delete_webhook(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    RequiredIfMatch(condition): RequiredIfMatch,
    _: NoQuery,
) -> Result<Response, ApiError> {
    let mut change = begin(&state, &scope).await?;
    let item: Versioned<WebhookDefinition> =
        resource::load(&mut change.tx, &scope.project_id, &name).await?;
    condition.check(&item)?;
    change.delete(&item).await?;
    change.commit().await?;
    Ok(answer::deleted())
}

/// Lists the changes of a webhook, newest first.
#[utoipa::path(get, path = "/webhooks/{name}/history", tag = "webhooks", params(ListQuery),
    responses((status = 200, body = ListOf<Version>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_webhook_history(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    scope.caller.require_whole_project()?;
    let mut tx = state.db.read().await?;
    let item: Versioned<WebhookDefinition> =
        resource::load(&mut tx, &scope.project_id, &name).await?;
    history::answer::<WebhookDefinition>(&mut tx, &item.id, &query, &uri).await
}

/// Gives a webhook a new secret. For 24 hours messages are signed with both.
#[utoipa::path(post, path = "/webhooks/{name}/rotate-secret", tag = "webhooks",
    responses((status = 200, body = Webhook), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn rotate_webhook_secret(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = begin(&state, &scope).await?;
    let item: Versioned<WebhookDefinition> =
        resource::load(&mut change.tx, &scope.project_id, &name).await?;
    let secret = sign::new_secret();
    let (now, end) = (change.now, change.now + OVERLAP);
    webhooks::add_secret(&mut change.tx, &item.id, &secret, now, end).await?;
    let id = (&*item.id, &*item.definition.name);
    change.note_values("webhook", id, None, "secret_rotated", None, None).await?;
    change.commit().await?;
    let mut response = answer::ok(item.version, Webhook::new(item, Some(secret)));
    response.extensions_mut().insert(SecretMember("secret"));
    Ok(response)
}

/// Sends a message of type `webhook.test`, whatever the webhook's patterns.
#[utoipa::path(post, path = "/webhooks/{name}/test", tag = "webhooks",
    responses((status = 202, body = Delivery), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn test_webhook(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = begin(&state, &scope).await?;
    let item: Versioned<WebhookDefinition> =
        resource::load(&mut change.tx, &scope.project_id, &name).await?;
    let event = "webhook.test";
    let data = json!({ "project": scope.project_id, "webhook": item.definition.name });
    let body = fan_out::message(event, change.now, &data);
    let now = change.now;
    let id = webhooks::insert_delivery(&mut change.tx, &item.id, event, &body, now).await?;
    finish_sending(change, &item, &id, "tested").await
}

/// Sends a message again under its own id, and tries for 24 hours as at first.
#[utoipa::path(post, path = "/webhooks/{name}/deliveries/{delivery}/replay", tag = "webhooks",
    responses((status = 202, body = Delivery), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn replay_delivery(
    State(state): State<AppState>,
    scope: InProject,
    PathKeys(name, id): PathKeys,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = begin(&state, &scope).await?;
    let item: Versioned<WebhookDefinition> =
        resource::load(&mut change.tx, &scope.project_id, &name).await?;
    let now = change.now;
    if !webhooks::replay(&mut change.tx, &item.id, &id, now).await? {
        return Err(ApiError::not_found("delivery", id));
    }
    finish_sending(change, &item, &id, "replayed").await
}

async fn finish_sending(
    mut change: Change<'_>,
    item: &Versioned<WebhookDefinition>,
    id: &str,
    action: &str,
) -> Result<Response, ApiError> {
    let row = webhooks::find(&mut change.tx, &item.id, id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("delivery", id))?;
    let image = Some(json!({ "delivery": id }));
    let name = (&*item.id, &*item.definition.name);
    change.note_values("webhook", name, None, action, None, image).await?;
    change.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(Delivery::from(row))).into_response())
}

/// Lists the deliveries of a webhook, newest first, with every try. They are kept for 30 days.
#[utoipa::path(get, path = "/webhooks/{name}/deliveries", tag = "webhooks", params(ListQuery),
    responses((status = 200, body = ListOf<Delivery>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_deliveries(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(name): PathKey,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    scope.caller.require_whole_project()?;
    let page = query.page(&DELIVERY_STATUSES)?;
    let mut tx = state.db.read().await?;
    let item: Versioned<WebhookDefinition> =
        resource::load(&mut tx, &scope.project_id, &name).await?;
    let (after, status) = (page.after.as_deref(), page.status.as_deref());
    let mut rows = webhooks::list(&mut tx, &item.id, after, status, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.clone());
    Ok(answer::list(&uri, next, rows.into_iter().map(Delivery::from).collect()))
}
