//! Signing in and out, and who one is.

use super::change::Change;
use super::passwords;
use super::users::{UserGrant, shown};
use crate::definition::salt;
use crate::error::{ApiError, ProblemDocument};
use crate::http::auth::{ActorKind, digest};
use crate::http::session::{self, LIFETIME_MS};
use crate::http::{Body, Caller, EmptyBody, NoQuery};
use crate::state::AppState;
use crate::store::users;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Random characters of a session's cookie: 200 bits.
const SECRET_LENGTH: usize = 40;

/// Wrong passwords after which an address has to wait.
const MAX_FAILURES: i64 = 10;

/// In what time they count, and how long the address has to wait.
const FAILURES_MS: i64 = 15 * 60_000;

/// Who signs in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// E-mail address.
    #[schema(max_length = 254)]
    email: String,
    /// Password.
    #[schema(max_length = 256)]
    password: String,
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// `token` or `user`.
    kind: String,
    /// Id of the token or user.
    id: String,
    /// Name of the token, e-mail address of the user.
    author: String,
    /// What it may do where.
    grants: Vec<UserGrant>,
    /// Id of the only environment that it sees.
    environment: Option<String>,
    /// In a session: what every write repeats in `X-CSRF-Token`.
    csrf_token: Option<String>,
}

/// Signs in: sets the session's cookie, which scripts cannot read, and answers the token that writes must
/// repeat in `X-CSRF-Token`. A session that the request brings ends.
#[utoipa::path(post, path = "/session", tag = "people", request_body = SignIn,
    responses((status = 201, body = Me), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn begin_session(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body<SignIn>,
) -> Result<Response, ApiError> {
    let request = body.complete()?;
    let now = Timestamp::now();
    let before_ms = now.as_millisecond().saturating_sub(FAILURES_MS);
    let window = Timestamp::from_millisecond(before_ms).unwrap_or(now);
    let mut tx = state.db.read().await?;
    let user = users::find(&mut tx, &request.email).await?;
    drop(tx);
    // By address, not by id: ids are no secret, but nothing to sign in with.
    let user = user.filter(|user| user.email == request.email.to_lowercase());
    if let Some(user) = &user
        && let Some(since) = user.failing_since.filter(|since| *since > window)
        && user.n_failures >= MAX_FAILURES
    {
        let wait_ms = since.as_millisecond().saturating_sub(before_ms).max(1000);
        return Err(ApiError::TooManyRequests {
            detail: "too many wrong passwords for this address".to_owned(),
            retry_after_s: u64::try_from(wait_ms / 1000).unwrap_or(1),
        });
    }
    let phc = user.as_ref().and_then(|user| user.password.clone());
    let fits = passwords::verify(request.password, phc).await?;
    let refused = ApiError::Unauthorized("address or password is wrong");
    let Some(user) = user else { return Err(refused) };
    let caller = Caller {
        kind: ActorKind::User,
        id: user.id.clone(),
        author: user.email.clone(),
        grants: user.grants.clone(),
        ..Caller::system("")
    };
    let mut change = Change::begin(&state, &caller).await?;
    let name = (&*user.id, &*user.email);
    if !fits || user.disabled_at.is_some() {
        users::note_failure(&mut change.tx, &user.id, window, now).await?;
        change.note_values("session", name, None, "sign_in_failed", None, None).await?;
        change.commit().await?;
        return Err(refused);
    }
    let cookie = salt::random_base32(SECRET_LENGTH);
    if let Some(earlier) = session::cookie(&headers) {
        users::delete_session(&mut change.tx, &hex::encode(digest(earlier))).await?;
    }
    users::forget_failures(&mut change.tx, &user.id).await?;
    let sha256 = hex::encode(digest(&cookie));
    users::insert_session(&mut change.tx, &sha256, &user.id, change.now, LIFETIME_MS).await?;
    change.note_values("session", name, None, "signed_in", None, None).await?;
    change.commit().await?;
    let me = me(&caller, Some(&cookie));
    let cookie = session::set_cookie(Some(&cookie), state.settings.secure_cookies);
    let no_store = axum::http::HeaderValue::from_static("no-store");
    let headers = [(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, no_store)];
    Ok((StatusCode::CREATED, headers, Json(me)).into_response())
}

fn me(caller: &Caller, cookie: Option<&str>) -> Me {
    let cookie = cookie.filter(|_| caller.kind == ActorKind::User);
    Me {
        kind: caller.kind.as_str().to_owned(),
        id: caller.id.clone(),
        author: caller.author.clone(),
        grants: shown(&caller.grants),
        environment: caller.environment_id.clone(),
        csrf_token: cookie.map(session::csrf_token),
    }
}

/// Answers who asks, by token or session.
#[utoipa::path(get, path = "/me", tag = "people",
    responses((status = 200, body = Me), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_me(caller: Caller, headers: HeaderMap, _: NoQuery) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (no_store, Json(me(&caller, session::cookie(&headers)))).into_response()
}

/// Signs out: the session ends. A token ends nothing.
#[utoipa::path(post, path = "/session/end", tag = "people",
    responses((status = 204), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn end_session(
    State(state): State<AppState>,
    caller: Caller,
    headers: HeaderMap,
    _: EmptyBody,
) -> Result<Response, ApiError> {
    let cookie = session::cookie(&headers).filter(|_| caller.kind == ActorKind::User);
    if let Some(cookie) = cookie {
        let mut change = Change::begin(&state, &caller).await?;
        users::delete_session(&mut change.tx, &hex::encode(digest(cookie))).await?;
        let name = (&*caller.id, &*caller.author);
        change.note_values("session", name, None, "signed_out", None, None).await?;
        change.commit().await?;
    }
    let cookie = session::set_cookie(None, state.settings.secure_cookies);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}
