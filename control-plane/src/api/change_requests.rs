//! Change requests: writes that are proposed, approved by others in person, and applied.
//!
//! An environment says how many approvals a change of what its edges serve takes. Any write is proposed with
//! `?propose=true`: it is tried as a dry run and kept as it was sent. Applying sends it again, through the same routes and
//! rules, in the name of whoever applies it.

use super::answer::{self, ListOf};
use super::change::Change;
use crate::access::{self, Cell, Grant};
use crate::definition::{EnvironmentDefinition, schema};
use crate::error::{ApiError, ProblemDocument};
use crate::http::auth::ActorKind;
use crate::http::write_options::Approvals;
use crate::http::{
    Caller, EmptyBody, InEnvironment, InProject, ListQuery, NoQuery, PathKey, Query,
};
use crate::state::AppState;
use crate::store::approvals::{self, ApprovalRow, Subject};
use crate::store::change_requests::{self as store, ChangeRequestRow};
use crate::store::{Tx, resource};
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tower::Service;
use utoipa::ToSchema;
use uuid::Uuid;

/// Words by which lists are filtered.
const STATUSES: [&str; 3] = ["open", "applied", "closed"];

/// Headers that are part of what a write asks for.
const KEPT_HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::IF_MATCH];

/// Largest answer of a dry run that is kept, in bytes.
const MAX_PREVIEW_BYTES: usize = 64 * 1024 * 1024;

/// The routes without authentication: where an approved write is sent again.
#[derive(Clone)]
pub(crate) struct Routes(pub(crate) Router);

/// A write that waits for approvals, or waited.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeRequest {
    /// Id.
    id: String,
    /// `open`, `applied` or `closed`.
    status: String,
    /// Who proposed it.
    author: String,
    /// Why.
    comment: Option<String>,
    /// HTTP method of the write.
    method: String,
    /// Its path and query, below `/api/v1`.
    path: String,
    /// Its body; null without one.
    #[schema(value_type = schema::JsonValue)]
    body: Value,
    /// What it would have done when it was proposed.
    #[schema(value_type = Object)]
    preview: Value,
    /// The environments that it touches, and what they ask for now.
    environments: Vec<ApprovalRule>,
    /// Who agreed, each in person.
    approvals: Vec<ChangeApproval>,
    /// Whether it may be applied.
    approved: bool,
    /// When it was proposed.
    #[schema(value_type = schema::Time)]
    created_at: Timestamp,
    /// When it was applied or closed.
    #[schema(value_type = Option<schema::Time>)]
    ended_at: Option<Timestamp>,
    /// Who applied or closed it.
    ended_by: Option<String>,
}

/// What an environment asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalRule {
    /// Id of the environment.
    environment: String,
    /// Approvals that a change of what its edges serve takes.
    required_approvals: u32,
    /// Whose approvals count; everybody's when empty.
    approvers: Vec<String>,
}

/// Somebody agrees.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeApproval {
    /// E-mail address.
    approver: String,
    /// When.
    #[schema(value_type = schema::Time)]
    approved_at: Timestamp,
    /// Why.
    comment: Option<String>,
}

/// Middleware: a write with `?propose=true` is tried as a dry run and kept instead of done.
pub(crate) async fn propose(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if !caller.write.propose {
        return Ok(next.run(request).await);
    }
    let route = route_of(&request);
    let (mut parts, body) = request.into_parts();
    let scope = InEnvironment::from_request_parts(&mut parts, &state).await?;
    let limit = crate::reports::handlers::MAX_BATCH_BYTES.max(state.settings.body_limit_bytes);
    let body = crate::http::body::read_limited(body, limit).await?;
    let text = String::from_utf8(body.to_vec())
        .map_err(|_| ApiError::MalformedJson("the body is not UTF-8".to_owned()))?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str()).to_owned();
    let (method, headers) = (parts.method.to_string(), kept(&parts.headers));
    let mut trying = caller.clone();
    trying.write.dry_run = true;
    // Whoever may write drafts may propose more.
    trying.may_serve = true;
    parts.extensions.insert(trying);
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    if answer.status() != StatusCode::OK {
        return Ok(answer);
    }
    let bytes = axum::body::to_bytes(answer.into_body(), MAX_PREVIEW_BYTES)
        .await
        .map_err(|error| ApiError::Internal(error.into()))?;
    let preview: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if preview["dry_run"] != true {
        return Err(ApiError::InvalidParameter {
            parameter: "propose".to_owned(),
            detail: "this request changes nothing that could be proposed".to_owned(),
        });
    }
    let touched = preview["environments"].as_array().into_iter().flatten();
    let mut environments: Vec<String> =
        touched.filter_map(|e| e["environment"].as_str().map(str::to_owned)).collect();
    environments.push(scope.environment_id.clone());
    environments.sort();
    environments.dedup();
    let mut change = Change::begin(&state, &caller).await?;
    change.about(&scope);
    let row = ChangeRequestRow {
        id: Uuid::now_v7().to_string(),
        project_id: scope.project_id.clone(),
        status: "open".to_owned(),
        author_kind: caller.kind.as_str().to_owned(),
        author_id: caller.id.clone(),
        author: caller.author.clone(),
        comment: caller.write.comment.clone(),
        method,
        route,
        target,
        headers: with_scope(headers, &scope).to_string(),
        body: text,
        preview: preview.to_string(),
        environments: json!(environments).to_string(),
        created_at: change.now,
        ended_at: None,
        ended_by: None,
    };
    store::insert(&mut change.tx, &row).await?;
    note(&mut change, &row, "proposed").await?;
    let view = view(&mut change.tx, row).await?;
    change.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(view)).into_response())
}

/// The path of the API's description that a request matched.
fn route_of(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    path.strip_prefix("/api/v1").unwrap_or(path).to_owned()
}

fn kept(headers: &HeaderMap) -> Map<String, Value> {
    KEPT_HEADERS
        .iter()
        .filter_map(|name| Some((name, headers.get(name)?.to_str().ok()?)))
        .map(|(name, value)| (name.to_string(), value.into()))
        .collect()
}

fn with_scope(mut headers: Map<String, Value>, scope: &InEnvironment) -> Value {
    headers.insert("x-project".to_owned(), json!(scope.project_id));
    headers.insert("x-environment".to_owned(), json!(scope.environment_id));
    Value::Object(headers)
}

async fn note(
    change: &mut Change<'_>,
    row: &ChangeRequestRow,
    action: &str,
) -> Result<(), ApiError> {
    let image = json!({ "method": row.method, "path": row.target, "author": row.author });
    let name = format!("{} {}", row.method, row.target);
    change.note_values("change_request", (&row.id, &name), None, action, None, Some(image)).await
}

async fn view(tx: &mut Tx, row: ChangeRequestRow) -> Result<ChangeRequest, ApiError> {
    let approvals = approvals::approvals(tx, Subject::ChangeRequest(&row.id)).await?;
    let ids: Vec<String> = serde_json::from_str(&row.environments).unwrap_or_default();
    let mut environments = Vec::new();
    for id in ids {
        let found = resource::find::<EnvironmentDefinition>(tx, &row.project_id, &id).await?;
        environments.extend(found.map(|found| ApprovalRule {
            environment: found.id,
            required_approvals: found.definition.required_approvals,
            approvers: found.definition.approvers,
        }));
    }
    let approved = environments.iter().all(|rule| {
        let counts = |approval: &&ApprovalRow| {
            rule.approvers.is_empty() || rule.approvers.contains(&approval.approver)
        };
        let n_counting = approvals.iter().filter(counts).count();
        u32::try_from(n_counting).unwrap_or(u32::MAX) >= rule.required_approvals
    });
    let body = match serde_json::from_str(&row.body) {
        Ok(body) => body,
        Err(_) if row.body.is_empty() => Value::Null,
        Err(_) => Value::String(row.body),
    };
    Ok(ChangeRequest {
        id: row.id,
        status: row.status,
        author: row.author,
        comment: row.comment,
        method: row.method,
        path: row.target,
        body,
        preview: serde_json::from_str(&row.preview).unwrap_or_default(),
        environments,
        approvals: approvals
            .into_iter()
            .map(|ApprovalRow { approver, at, comment, .. }| ChangeApproval {
                approver,
                approved_at: at,
                comment,
            })
            .collect(),
        approved,
        created_at: row.created_at,
        ended_at: row.ended_at,
        ended_by: row.ended_by,
    })
}

async fn load(tx: &mut Tx, scope: &InProject, id: &str) -> Result<ChangeRequestRow, ApiError> {
    let row = store::find(tx, &scope.project_id, id).await?;
    row.ok_or_else(|| ApiError::not_found("change request", id))
}

fn require_open(row: &ChangeRequestRow) -> Result<(), ApiError> {
    if row.status == "open" {
        return Ok(());
    }
    Err(ApiError::conflict("not_open", format!("the change request is {}", row.status)))
}

/// Lists the project's change requests, newest first.
#[utoipa::path(get, path = "/change-requests", tag = "change requests", params(ListQuery),
    responses((status = 200, body = ListOf<ChangeRequest>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_change_requests(
    State(state): State<AppState>,
    scope: InProject,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&STATUSES)?;
    let mut tx = state.db.read().await?;
    let (after, status) = (page.after.as_deref(), page.status.as_deref());
    let mut rows = store::list(&mut tx, &scope.project_id, after, status, page.limit + 1).await?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.id.clone());
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        views.push(view(&mut tx, row).await?);
    }
    Ok(answer::list(&uri, next, views))
}

/// Answers a change request.
#[utoipa::path(get, path = "/change-requests/{id}", tag = "change requests",
    responses((status = 200, body = ChangeRequest), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_change_request(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    _: NoQuery,
) -> Result<Json<ChangeRequest>, ApiError> {
    let mut tx = state.db.read().await?;
    let row = load(&mut tx, &scope, &id).await?;
    Ok(Json(view(&mut tx, row).await?))
}

/// Agrees with a change request, in person: its author cannot, and tokens cannot. `?comment=` says why.
#[utoipa::path(post, path = "/change-requests/{id}/approve", tag = "change requests",
    responses((status = 200, body = ChangeRequest), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn approve_change_request(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let caller = &scope.caller;
    let mut change = Change::begin(&state, caller).await?;
    change.about_project(&scope.project_id);
    let row = load(&mut change.tx, &scope, &id).await?;
    if caller.kind != ActorKind::User {
        let detail = "an approval is given by a person who signed in, not by a token";
        return Err(ApiError::Forbidden(detail.to_owned()));
    }
    if (row.author_kind.as_str(), &row.author_id) == (caller.kind.as_str(), &caller.id) {
        let detail = "whoever proposed a change cannot approve it";
        return Err(ApiError::conflict("own_change_request", detail));
    }
    require_open(&row)?;
    let approval = ApprovalRow {
        user_id: caller.id.clone(),
        approver: caller.author.clone(),
        at: change.now,
        comment: caller.write.comment.clone(),
    };
    if approvals::approve(&mut change.tx, Subject::ChangeRequest(&row.id), &approval).await? {
        note(&mut change, &row, "approved").await?;
    }
    let view = view(&mut change.tx, row).await?;
    change.commit().await?;
    Ok(Json(view).into_response())
}

/// Closes a change request without applying it: rejected by others or withdrawn by its author.
#[utoipa::path(post, path = "/change-requests/{id}/close", tag = "change requests",
    responses((status = 200, body = ChangeRequest), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn close_change_request(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let mut change = Change::begin(&state, &scope.caller).await?;
    change.about_project(&scope.project_id);
    let row = load(&mut change.tx, &scope, &id).await?;
    let caller = &scope.caller;
    let own = (row.author_kind.as_str(), &row.author_id) == (caller.kind.as_str(), &caller.id);
    if !own && !caller.may_publish(&scope.project_id) {
        let detail = "only its author and publishers close a change request";
        return Err(ApiError::Forbidden(detail.to_owned()));
    }
    require_open(&row)?;
    end(&mut change, &row, "closed", &caller.author).await?;
    let row = load(&mut change.tx, &scope, &id).await?;
    let view = view(&mut change.tx, row).await?;
    change.commit().await?;
    Ok(Json(view).into_response())
}

async fn end(
    change: &mut Change<'_>,
    row: &ChangeRequestRow,
    status: &str,
    by: &str,
) -> Result<(), ApiError> {
    let now = change.now;
    if !store::set_status(&mut change.tx, &row.id, "open", status, Some((now, by))).await? {
        return Err(ApiError::conflict("not_open", "another request ended it at the same time"));
    }
    note(change, row, status).await
}

/// Applies an approved change request: the write is made as it was proposed, by whoever applies it, whose role must
/// allow it. One that is refused is answered as the write itself would be, and stays open.
#[utoipa::path(post, path = "/change-requests/{id}/apply", tag = "change requests",
    responses((status = 200, body = ChangeRequest), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn apply_change_request(
    State(state): State<AppState>,
    scope: InProject,
    PathKey(id): PathKey,
    Extension(Routes(routes)): Extension<Routes>,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let caller = &scope.caller;
    let mut tx = state.db.read().await?;
    let row = load(&mut tx, &scope, &id).await?;
    require_open(&row)?;
    let asked = view(&mut tx, row.clone()).await?;
    drop(tx);
    if !asked.approved {
        let rules: Vec<String> = asked
            .environments
            .iter()
            .map(|rule| format!("{} takes {}", rule.environment, rule.required_approvals))
            .collect();
        let detail = format!("approvals are missing: {}", rules.join(", "));
        return Err(ApiError::conflict("needs_approval", detail));
    }
    require_allowed(caller, &scope.project_id, &row)?;
    if caller.write.dry_run {
        return Ok(Json(asked).into_response());
    }
    // Taken first: of two who apply it at the same time, one does.
    let mut change = Change::begin(&state, caller).await?;
    change.about_project(&scope.project_id);
    end(&mut change, &row, "applied", &caller.author).await?;
    change.commit().await?;
    let approvers: Vec<&str> = asked.approvals.iter().map(|a| a.approver.as_str()).collect();
    let mut acting = caller.clone();
    acting.may_serve = true;
    acting.write.approvals = Approvals::Given;
    acting.write.comment = Some(format!(
        "change request {} by {}, approved by {}{}",
        row.id,
        row.author,
        if approvers.is_empty() { "nobody".to_owned() } else { approvers.join(", ") },
        row.comment.as_ref().map_or_else(String::new, |comment| format!(": {comment}"))
    ));
    let answered = send_again(routes, &row, acting).await?;
    if !answered.status().is_success() {
        let mut tx = state.db.write().await?;
        store::set_status(&mut tx, &row.id, "applied", "open", None).await?;
        tx.commit().await?;
        return Ok(answered);
    }
    let mut tx = state.db.read().await?;
    let row = load(&mut tx, &scope, &id).await?;
    Ok(Json(view(&mut tx, row).await?).into_response())
}

/// Whoever applies a write must be allowed to make it.
fn require_allowed(
    caller: &Caller,
    project_id: &str,
    row: &ChangeRequestRow,
) -> Result<(), ApiError> {
    let route = format!("/api/v1{}", row.route);
    let grants = caller.grants.iter().filter(|grant: &&Grant| grant.covers(project_id));
    let best = access::find(&row.method, &route)
        .and_then(|found| grants.map(|grant| found.cell(grant.role)).max());
    if best == Some(Cell::Yes) {
        return Ok(());
    }
    Err(ApiError::Forbidden("your role does not allow what the change request does".to_owned()))
}

async fn send_again(
    mut routes: Router,
    row: &ChangeRequestRow,
    caller: Caller,
) -> Result<Response, ApiError> {
    let internal = |error: axum::http::Error| ApiError::Internal(error.into());
    let mut request = Request::builder()
        .method(row.method.as_str())
        .uri(row.target.as_str())
        .body(Body::from(row.body.clone()))
        .map_err(internal)?;
    let headers: Map<String, Value> = serde_json::from_str(&row.headers).unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Some(Ok(value))) =
            (name.parse::<HeaderName>(), value.as_str().map(HeaderValue::from_str))
        {
            request.headers_mut().insert(name, value);
        }
    }
    request.extensions_mut().insert(caller);
    match routes.call(request).await {
        Ok(response) => Ok(response),
        Err(never) => match never {},
    }
}
