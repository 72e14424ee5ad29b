//! Who asks: the bearer token of a request.

use crate::error::ApiError;
use crate::state::AppState;
use crate::store::tokens::{self, Role};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, Method, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every API token begins with.
pub(crate) const TOKEN_PREFIX: &str = "st_";

/// Characters of a token, its `st_` included, that are stored in clear to find its row: 40 of its 160 random bits.
const PREFIX_LENGTH: usize = TOKEN_PREFIX.len() + 8;

/// Path of the only write that role *data* may do, below `/api/v1`: nested routes see the rest of the path.
const REPORTS_PATH: &str = "/reports";

/// Whoever sent a request, as its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Id of the token.
    pub(crate) token_id: String,
    /// Name of the token: the author of what is done with it.
    pub(crate) author: String,
    /// What it may do.
    pub(crate) role: Role,
    /// The only project that it sees; every project when absent.
    pub(crate) project_id: Option<String>,
    /// The only environment that it sees; every one of its projects when absent.
    pub(crate) environment_id: Option<String>,
}

impl Caller {
    /// 403 for a token that sees one environment alone: what environments share is not its to change.
    pub(crate) fn require_whole_project(&self) -> Result<(), ApiError> {
        if self.environment_id.is_none() {
            return Ok(());
        }
        let detail =
            "this token sees one environment; what environments share is not its to change";
        Err(ApiError::Forbidden(detail.to_owned()))
    }
}

/// SHA-256 of a token or key.
pub(crate) fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The part of a token that is stored in clear.
pub(crate) fn token_prefix(token: &str) -> String {
    token.chars().take(PREFIX_LENGTH).collect()
}

/// Middleware: answers 401 unless the token is known, 403 unless its role allows the method.
pub(crate) async fn authenticate(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let caller = find_caller(&state, request.headers()).await?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if caller.role == Role::Data && !reads && request.uri().path() != REPORTS_PATH {
        return Err(ApiError::Forbidden(
            "tokens of role `data` only read and hand in reports".into(),
        ));
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

async fn find_caller(state: &AppState, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let header = headers
        .get(header::AUTHORIZATION)
        .ok_or(ApiError::Unauthorized("send an API token as `Authorization: Bearer st_…`"))?;
    let token = header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| token.starts_with(TOKEN_PREFIX) && token.len() <= 256)
        .ok_or(ApiError::Unauthorized("the token is not of the form `Bearer st_…`"))?;
    let presented = digest(token);
    let mut tx = state.db.read().await?;
    let candidates = tokens::find_by_prefix(&mut tx, &token_prefix(token)).await?;
    candidates
        .into_iter()
        .find(|candidate| bool::from(candidate.sha256.ct_eq(&presented)))
        .map(|row| Caller {
            token_id: row.id,
            author: row.name,
            role: row.role,
            project_id: row.project_id,
            environment_id: row.environment_id,
        })
        .ok_or(ApiError::Unauthorized("the token is unknown or revoked"))
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or(ApiError::Unauthorized("send an API token as `Authorization: Bearer st_…`"))
    }
}
