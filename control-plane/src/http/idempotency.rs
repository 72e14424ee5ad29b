//! `Idempotency-Key`: a POST that is sent again is answered again, not done again.
//!
//! Only successful answers are kept, for a day: an answer that refused a request changed nothing, so
//! the request may be sent again, corrected or not. Secrets are not kept: a repeated answer that showed one
//! has null in its place.

use super::auth::Caller;
use super::body::read_limited;
use crate::error::ApiError;
use crate::reports::handlers::MAX_BATCH_BYTES;
use crate::state::AppState;
use crate::store::idempotency::{self, Claim, StoredAnswer};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Marks an answer whose member of this name is shown once and kept nowhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretMember(pub(crate) &'static str);

/// Headers that are repeated with an answer.
const KEPT_HEADERS: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// Headers that are part of what a request asks for.
const SIGNIFICANT_HEADERS: [&str; 3] = ["x-project", "x-environment", "if-match"];

/// Middleware: honours `Idempotency-Key` on every POST.
pub(crate) async fn once(
    State(state): State<AppState>,
    caller: Caller,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let key = request.headers().get("idempotency-key").cloned();
    // A dry run does nothing that could be done twice.
    let key = key.filter(|_| !caller.write.dry_run);
    let (Some(key), &Method::POST) = (key, request.method()) else {
        return Ok(next.run(request).await);
    };
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()))
        .ok_or_else(|| ApiError::InvalidParameter {
            parameter: "Idempotency-Key".to_owned(),
            detail: "must be 1 to 255 visible ASCII characters".to_owned(),
        })?
        .to_owned();
    let (parts, body) = request.into_parts();
    // The largest of all routes: each checks its own limit again.
    let body = read_limited(body, MAX_BATCH_BYTES.max(state.settings.body_limit_bytes)).await?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let request_hash = hash(target, &parts.headers, &body);

    let mut tx = state.db.write().await?;
    let claim =
        idempotency::claim(&mut tx, &caller.id, &key, &request_hash, Timestamp::now()).await?;
    tx.commit().await?;
    match claim {
        Claim::New => {}
        Claim::InProgress => {
            return Err(ApiError::conflict(
                "in_progress",
                "the first request with this Idempotency-Key is still being served",
            ));
        }
        Claim::Mismatch => return Err(ApiError::IdempotencyMismatch),
        Claim::Answered(answer) => return repeat(&answer),
    }

    // On a task of its own, so that a client that hangs up leaves neither a half-served request nor a
    // key that stays claimed.
    let served = tokio::spawn(async move {
        let response = next.run(Request::from_parts(parts, Body::from(body))).await;
        keep(&state, &caller.id, &key, response).await
    });
    served.await.map_err(|error| ApiError::Internal(error.into()))?
}

fn hash(target: &str, headers: &HeaderMap, body: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(target);
    for name in SIGNIFICANT_HEADERS {
        hasher.update([0]);
        if let Some(value) = headers.get(name) {
            hasher.update(value.as_bytes());
        }
    }
    hasher.update([0]);
    hasher.update(body);
    hex::encode(hasher.finalize())
}

async fn keep(
    state: &AppState,
    token_id: &str,
    key: &str,
    response: Response,
) -> Result<Response, ApiError> {
    let (parts, body) = response.into_parts();
    let body =
        axum::body::to_bytes(body, usize::MAX).await.map_err(|e| ApiError::Internal(e.into()))?;
    let mut tx = state.db.write().await?;
    if parts.status.is_success() {
        let headers: Map<String, Value> = KEPT_HEADERS
            .iter()
            .filter_map(|name| Some((name, parts.headers.get(name)?.to_str().ok()?)))
            .map(|(name, value)| (name.to_string(), value.into()))
            .collect();
        let mut kept = String::from_utf8_lossy(&body).into_owned();
        if let Some(SecretMember(member)) = parts.extensions.get::<SecretMember>() {
            let mut document: Value = serde_json::from_str(&kept).unwrap_or_default();
            document[*member] = Value::Null;
            kept = document.to_string();
        }
        let answer = StoredAnswer {
            status: i64::from(parts.status.as_u16()),
            headers: Value::Object(headers).to_string(),
            body: kept,
        };
        idempotency::store(&mut tx, token_id, key, &answer).await?;
    } else {
        idempotency::release(&mut tx, token_id, key).await?;
    }
    tx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn repeat(answer: &StoredAnswer) -> Result<Response, ApiError> {
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body.clone()).into_response();
    let headers: Map<String, Value> =
        serde_json::from_str(&answer.headers).map_err(|e| ApiError::Internal(e.into()))?;
    response.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in headers {
        if let (Ok(name), Some(Ok(value))) =
            (name.parse::<HeaderName>(), value.as_str().map(HeaderValue::from_str))
        {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}
