//! Sessions of people who signed in: a cookie that scripts cannot read, and a token against forged requests.

use super::auth::{ActorKind, Caller, digest};
use super::write_options::WriteOptions;
use crate::error::ApiError;
use crate::state::AppState;
use crate::store::users;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Name of the cookie.
const COOKIE: &str = "sortition_session";

/// Header in which a write repeats the session's token.
pub(crate) const CSRF_HEADER: &str = "x-csrf-token";

/// A session ends after this time, whatever happens.
pub(crate) const LIFETIME_MS: i64 = 7 * 24 * 3_600_000;

/// A session ends after this time without a request.
const IDLE_MS: i64 = 12 * 3_600_000;

/// How exactly the last use of a session is known.
const LAST_USE_STEP_MS: i64 = 60_000;

/// The value of the session cookie, if there is one.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && (32..=128).contains(&value.len()))
        .map(|(_, value)| value)
}

/// The `Set-Cookie` that gives a session, or takes it away.
pub(crate) fn set_cookie(value: Option<&str>, secure: bool) -> HeaderValue {
    let (value, age_s) = value.map_or(("", 0), |value| (value, LIFETIME_MS / 1000));
    let secure = if secure { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::from_str(&text).expect("a cookie of base32 is a header value")
}

/// The token that writes with this cookie must repeat. A page of another origin can make a browser send the
/// cookie, but cannot read this.
pub(crate) fn csrf_token(cookie: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(cookie.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(b"sortition csrf");
    hex::encode(mac.finalize().into_bytes())
}

/// The signed-in user of a request without an API token; `None` without a session that holds.
pub(crate) async fn find(
    state: &AppState,
    headers: &HeaderMap,
    method: &Method,
) -> Result<Option<Caller>, ApiError> {
    let Some(cookie) = cookie(headers) else { return Ok(None) };
    let sha256 = hex::encode(digest(cookie));
    let now = Timestamp::now();
    let mut tx = state.db.read().await?;
    let Some(session) = users::find_session(&mut tx, &sha256).await? else { return Ok(None) };
    let idle_ms = now.as_millisecond().saturating_sub(session.last_used_at.as_millisecond());
    if session.expires_at <= now || idle_ms >= IDLE_MS {
        return Ok(None);
    }
    let Some(user) = users::find(&mut tx, &session.user_id).await? else { return Ok(None) };
    drop(tx);
    if user.disabled_at.is_some() {
        return Ok(None);
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        let given = headers.get(CSRF_HEADER).map_or(&b""[..], HeaderValue::as_bytes);
        if !bool::from(given.ct_eq(csrf_token(cookie).as_bytes())) {
            return Err(ApiError::Forbidden(
                "a write in a session needs the session's `csrf_token` in X-CSRF-Token".to_owned(),
            ));
        }
    }
    if idle_ms >= LAST_USE_STEP_MS {
        let mut tx = state.db.write().await?;
        users::note_session_use(&mut tx, &sha256, now).await?;
        tx.commit().await?;
    }
    Ok(Some(Caller {
        kind: ActorKind::User,
        id: user.id,
        author: user.email,
        grants: user.grants,
        environment_id: None,
        may_serve: false,
        write: WriteOptions::default(),
        request_id: None,
    }))
}
