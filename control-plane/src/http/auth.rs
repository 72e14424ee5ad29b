//! Who asks, by the bearer token or the session cookie of a request, and whether that role may.

use super::session;
use super::write_options::WriteOptions;
use crate::access::{self, Cell, Grant, Reach, Role, Scope};
use crate::error::ApiError;
use crate::http::scope::DEFAULT_PROJECT;
use crate::state::AppState;
use crate::store::tokens;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What every API token begins with.
pub(crate) const TOKEN_PREFIX: &str = "st_";

/// Characters of a token, its `st_` included, that are stored in clear to find its row: 40 of its 160 random bits.
const PREFIX_LENGTH: usize = TOKEN_PREFIX.len() + 8;

/// How exactly the last use of a token is known.
const LAST_USE_STEP_MS: i64 = 60_000;

/// What kind of author a write has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ActorKind {
    /// A token: a program.
    Token,
    /// A person who signed in.
    User,
    /// The platform itself.
    System,
}

impl ActorKind {
    /// The word of the audit log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// Whoever sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Token, person or the platform.
    pub(crate) kind: ActorKind,
    /// Id of the token or user; empty for the platform.
    pub(crate) id: String,
    /// Name of the token, e-mail address of the user: the author of what is done.
    pub(crate) author: String,
    /// What it may do where.
    pub(crate) grants: Vec<Grant>,
    /// The only environment that it sees; every one of its projects when absent.
    pub(crate) environment_id: Option<String>,
    /// Whether this request may change what edges serve.
    pub(crate) may_serve: bool,
    /// How a write is meant.
    pub(crate) write: WriteOptions,
    /// Id of the request.
    pub(crate) request_id: Option<String>,
}

impl Caller {
    /// The platform itself, by the name of one of its parts.
    pub(crate) fn system(author: &str) -> Self {
        Self {
            kind: ActorKind::System,
            id: String::new(),
            author: author.to_owned(),
            grants: vec![Grant { project_id: None, role: Role::Admin }],
            environment_id: None,
            may_serve: true,
            write: WriteOptions::default(),
            request_id: None,
        }
    }

    /// 403 for a token that sees one environment alone: what environments share is not its to change.
    pub(crate) fn require_whole_project(&self) -> Result<(), ApiError> {
        if self.environment_id.is_none() {
            return Ok(());
        }
        let detail =
            "this token sees one environment; what environments share is not its to change";
        Err(ApiError::Forbidden(detail.to_owned()))
    }

    /// Projects of which it sees anything.
    pub(crate) fn reach(&self) -> Reach {
        Reach::of(&self.grants, |_| true)
    }

    /// Projects in which it has a role.
    pub(crate) fn reach_as(&self, role: Role) -> Reach {
        Reach::of(&self.grants, |own| own == role)
    }

    /// Whether it may change what edges of a project serve.
    pub(crate) fn may_publish(&self, project_id: &str) -> bool {
        let publishes = |role: Role| matches!(role, Role::Publisher | Role::Admin);
        self.grants.iter().any(|grant| publishes(grant.role) && grant.covers(project_id))
    }

    /// The only project that it sees, if it sees one alone.
    pub(crate) fn sole_project(&self) -> Option<String> {
        match self.reach() {
            Reach::Projects(projects) if projects.len() == 1 => projects.into_iter().next(),
            _ => None,
        }
    }

    /// 400 for a dry run of what has none.
    pub(crate) fn refuse_dry_run(&self) -> Result<(), ApiError> {
        if !self.write.dry_run {
            return Ok(());
        }
        Err(ApiError::InvalidParameter {
            parameter: "dry_run".to_owned(),
            detail: "this request has no dry run; nothing was done".to_owned(),
        })
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

/// Middleware: answers 401 unless it is known who asks, 403 unless the matrix lets them, 404 for a project
/// of which they see nothing.
pub(crate) async fn authenticate(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let mut caller = if request.headers().contains_key(header::AUTHORIZATION) {
        find_token(&state, request.headers()).await?
    } else {
        session::find(&state, request.headers(), request.method()).await?.ok_or(
            ApiError::Unauthorized("send an API token as `Authorization: Bearer st_…`, or sign in"),
        )?
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        caller.write = WriteOptions::take(request.uri_mut())?;
    }
    let header = request.headers().get("x-request-id");
    caller.request_id = header.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let cell = cell(&caller, &request)?;
    if cell == Cell::No {
        let roles: Vec<&str> = caller.grants.iter().map(|grant| grant.role.as_str()).collect();
        return Err(ApiError::Forbidden(format!(
            "role {} does not allow this here",
            roles.join(", ")
        )));
    }
    caller.may_serve = cell == Cell::Yes;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The best cell of the caller's grants on the request's route.
fn cell(caller: &Caller, request: &Request) -> Result<Cell, ApiError> {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    // Nested routes may be matched by the rest of their path alone.
    let path = if path.starts_with("/api/v1") { path.to_owned() } else { format!("/api/v1{path}") };
    let Some(row) = access::find(request.method().as_str(), &path) else { return Ok(Cell::No) };
    let best =
        |grants: &mut dyn Iterator<Item = &Grant>| grants.map(|grant| row.cell(grant.role)).max();
    let found = match row.scope {
        Scope::Any => best(&mut caller.grants.iter()),
        Scope::Instance => best(&mut caller.grants.iter().filter(|g| g.project_id.is_none())),
        Scope::Project => {
            let project = project_of(caller, request, &path);
            let found = best(&mut caller.grants.iter().filter(|grant| grant.covers(&project)));
            return found.ok_or_else(|| ApiError::not_found("project", project));
        }
    };
    Ok(found.unwrap_or(Cell::No))
}

/// The project in which a request acts; `scope.rs` reads the same and answers what is wrong with it.
fn project_of(caller: &Caller, request: &Request, path: &str) -> String {
    if path.starts_with("/api/v1/projects/{") {
        let mut parts = request.uri().path().trim_start_matches("/api/v1").split('/').skip(2);
        return parts.next().unwrap_or_default().to_owned();
    }
    let customer = request.uri().query().filter(|_| path == "/api/v1/config").and_then(|query| {
        url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "customer_id")
            .map(|(_, value)| value.into_owned())
    });
    let named = || {
        let header = request.headers().get("x-project")?;
        header.to_str().ok().map(|name| name.trim().to_owned())
    };
    customer
        .or_else(named)
        .or_else(|| caller.sole_project())
        .unwrap_or_else(|| DEFAULT_PROJECT.to_owned())
}

async fn find_token(state: &AppState, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let token = headers
        .get(header::AUTHORIZATION)
        .and_then(|header| header.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .filter(|token| token.starts_with(TOKEN_PREFIX) && token.len() <= 256)
        .ok_or(ApiError::Unauthorized("the token is not of the form `Bearer st_…`"))?;
    let presented = digest(token);
    let now = Timestamp::now();
    let mut tx = state.db.read().await?;
    let candidates = tokens::find_by_prefix(&mut tx, &token_prefix(token)).await?;
    drop(tx);
    let row = candidates
        .into_iter()
        .find(|candidate| bool::from(candidate.sha256.ct_eq(&presented)))
        .filter(|row| row.expires_at.is_none_or(|end| end > now))
        .ok_or(ApiError::Unauthorized("the token is unknown, revoked or expired"))?;
    let known = row.last_used_at.map_or(0, Timestamp::as_millisecond);
    if now.as_millisecond().saturating_sub(known) >= LAST_USE_STEP_MS {
        note_use(state.clone(), row.id.clone(), now);
    }
    Ok(Caller {
        kind: ActorKind::Token,
        id: row.id,
        author: row.name,
        grants: vec![Grant { project_id: row.project_id, role: row.role }],
        environment_id: row.environment_id,
        may_serve: false,
        write: WriteOptions::default(),
        request_id: None,
    })
}

/// Notes when a token was used, behind the request's back: nobody waits for it.
fn note_use(state: AppState, token_id: String, now: Timestamp) {
    tokio::spawn(async move {
        let noted = async {
            let mut tx = state.db.write().await?;
            tokens::note_use(&mut tx, &token_id, now).await?;
            tx.commit().await
        };
        if let Err(error) = noted.await {
            tracing::warn!(%error, "the last use of a token was not noted");
        }
    });
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
