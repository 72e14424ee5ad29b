//! The audit log: read, exported, checked.

use super::answer::{self, ListOf};
use crate::access::{Reach, Role};
use crate::definition::schema;
use crate::error::{ApiError, ProblemDocument};
use crate::http::query::Paging;
use crate::http::{Caller, NoQuery, Query};
use crate::state::AppState;
use crate::store::audit::{self, Entry, Filter, Verdict};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// Which entries.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Most items to answer, 1 to 500.
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only of this project.
    project: Option<String>,
    /// Only of this environment, by id.
    environment: Option<String>,
    /// Only of this author.
    actor: Option<String>,
    /// Only this action, such as `started`.
    action: Option<String>,
    /// Only this kind of thing, such as `experiment`.
    kind: Option<String>,
    /// Only this thing, by id or name.
    resource: Option<String>,
    /// Only from this time on.
    #[param(value_type = Option<schema::Time>)]
    since: Option<Timestamp>,
    /// Only before this time.
    #[param(value_type = Option<schema::Time>)]
    until: Option<Timestamp>,
}

impl AuditQuery {
    /// The filter, within the projects that the caller administers.
    fn filter(&self, caller: &Caller) -> Result<Filter, ApiError> {
        let texts = [
            ("project", &self.project),
            ("environment", &self.environment),
            ("actor", &self.actor),
            ("action", &self.action),
            ("kind", &self.kind),
            ("resource", &self.resource),
        ];
        for (name, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > 256 || text.contains('\0')) {
                return Err(ApiError::InvalidParameter {
                    parameter: name.to_owned(),
                    detail: "may have at most 256 bytes".to_owned(),
                });
            }
        }
        let reach = caller.reach_as(Role::Admin);
        let projects = match (&self.project, reach) {
            (Some(asked), reach) if !reach.includes(asked) => {
                return Err(ApiError::not_found("project", asked));
            }
            (Some(asked), _) => Some(vec![asked.clone()]),
            (None, Reach::Everything) => None,
            (None, Reach::Projects(own)) => Some(own),
        };
        Ok(Filter {
            projects,
            environment_id: caller.environment_id.clone().or_else(|| self.environment.clone()),
            actor: self.actor.clone(),
            action: self.action.clone(),
            kind: self.kind.clone(),
            resource: self.resource.clone(),
            since_ms: self.since.map(Timestamp::as_millisecond),
            until_ms: self.until.map(Timestamp::as_millisecond),
        })
    }
}

/// Something that was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// 1, 2, 3, … without gaps over the whole log.
    seq: i64,
    /// When.
    #[schema(value_type = schema::Time)]
    at: Timestamp,
    /// `token`, `user` or `system`.
    actor_kind: String,
    /// Id of the token or user.
    actor_id: String,
    /// Its name at that time.
    actor: String,
    /// What was done: `created`, `started`, `signed_in`, ….
    action: String,
    /// Kind of thing.
    kind: String,
    /// Its id.
    resource_id: String,
    /// Its name or key at that time.
    resource: String,
    /// Version that was made.
    version: Option<i64>,
    /// Project of the thing.
    project: Option<String>,
    /// Environment of the thing, by id.
    environment: Option<String>,
    /// Id of the request.
    request_id: Option<String>,
    /// Why, as the author said.
    comment: Option<String>,
    /// What changed.
    #[schema(value_type = Vec<super::diff::Difference>)]
    diff: Value,
    /// Hash of the entry before.
    previous_hash: String,
    /// SHA-256 over the hash before and all of this entry.
    hash: String,
}

impl From<Entry> for AuditEntry {
    fn from(found: Entry) -> Self {
        let at = audit::time(&found);
        let Entry { seq, entry, previous_hash, hash } = found;
        Self {
            seq,
            at,
            actor_kind: entry.actor_kind,
            actor_id: entry.actor_id,
            actor: entry.actor,
            action: entry.action,
            kind: entry.kind,
            resource_id: entry.resource_id,
            resource: entry.resource,
            version: entry.version,
            project: entry.project_id,
            environment: entry.environment_id,
            request_id: entry.request_id,
            comment: entry.comment,
            diff: serde_json::from_str(&entry.diff).unwrap_or_default(),
            previous_hash,
            hash,
        }
    }
}

/// Lists what was done in the projects that the caller administers, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, body = ListOf<AuditEntry>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_audit(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let filter = query.filter(&caller)?;
    let paging = Paging::read(query.limit, query.cursor.as_deref())?;
    let below = paging.after_number()?;
    let mut tx = state.db.read().await?;
    let mut entries = audit::list(&mut tx, &filter, below, paging.limit + 1).await?;
    let limit = usize::try_from(paging.limit).unwrap_or(usize::MAX);
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|entry| entry.seq.to_string());
    Ok(answer::list(&uri, next, entries.into_iter().map(AuditEntry::from).collect()))
}

/// Answers all of it, oldest first, one JSON object a line. `limit` and `cursor` do not apply.
#[utoipa::path(get, path = "/audit/export", tag = "audit", params(AuditQuery),
    responses((status = 200, content_type = "application/x-ndjson", body = String),
        (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn export_audit(
    State(state): State<AppState>,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Result<Response, ApiError> {
    let filter = query.filter(&caller)?;
    let pages = futures::stream::try_unfold((state.db, filter, 0), async |(db, filter, above)| {
        let mut tx = db.read().await?;
        let entries = audit::export(&mut tx, &filter, above).await?;
        drop(tx);
        let Some(last) = entries.last().map(|entry| entry.seq) else {
            return Ok::<_, anyhow::Error>(None);
        };
        let mut lines = String::new();
        for entry in entries {
            lines.push_str(&serde_json::to_string(&AuditEntry::from(entry))?);
            lines.push('\n');
        }
        Ok(Some((lines, (db, filter, last))))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\""),
    ];
    Ok((headers, Body::from_stream(pages)).into_response())
}

/// What a check of the audit log found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditVerdict {
    /// Whether every entry is as it was written.
    intact: bool,
    /// Entries that were checked.
    n_entries: i64,
    /// Hash of the last one that is intact.
    head: String,
    /// The first entry that is not as it was written.
    broken_at: Option<i64>,
    /// What is wrong there.
    reason: Option<String>,
}

/// Checks the chain of the whole log.
#[utoipa::path(get, path = "/audit/verify", tag = "audit",
    responses((status = 200, body = AuditVerdict), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn verify_audit(
    State(state): State<AppState>,
    _: NoQuery,
) -> Result<Json<AuditVerdict>, ApiError> {
    let mut tx = state.db.read().await?;
    let Verdict { n_entries, head, broken_at, reason } = audit::verify(&mut tx, None).await?;
    Ok(Json(AuditVerdict { intact: broken_at.is_none(), n_entries, head, broken_at, reason }))
}
