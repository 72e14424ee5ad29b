//! The publications of an environment and its current config over HTTP.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::conditional::answer_unless_known;
use super::manifest::Manifest;
use super::upload::Caching;
use super::{PublishError, claim};
use crate::api::answer::{self, ListOf};
use crate::api::change::Change;
use crate::definition::schema;
use crate::error::{ApiError, ProblemDocument};
use crate::http::{EmptyBody, InEnvironment, ListQuery, NoQuery, PathKey, Query};
use crate::state::AppState;
use crate::store::publications::{self, Publication, PublicationState};

/// Carries the generation of an answered config.
const GENERATION_HEADER: HeaderName = HeaderName::from_static("x-config-generation");

/// A publication as answered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PublicationView {
    /// What was or is to be published.
    #[serde(flatten)]
    pub(crate) manifest: Manifest,
    /// How far it got.
    pub(crate) state: PublicationState,
    /// Who asked for it.
    pub(crate) author: String,
    /// The definitions' revision that it holds.
    pub(crate) revision: i64,
    /// The generation whose definitions it repeats, for a rollback.
    pub(crate) rollback_of: Option<u64>,
    /// When it was known to be live.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) live_at: Option<Timestamp>,
}

impl From<Publication> for PublicationView {
    fn from(publication: Publication) -> Self {
        Self {
            manifest: publication.manifest,
            state: publication.state,
            author: publication.author,
            revision: publication.revision,
            rollback_of: publication.rollback_of,
            live_at: publication.live_at,
        }
    }
}

/// Lists the publications of the environment, newest first.
#[utoipa::path(get, path = "/publishes", tag = "delivery", params(ListQuery),
    responses((status = 200, body = ListOf<PublicationView>), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn list_publishes(
    State(state): State<AppState>,
    scope: InEnvironment,
    Query(query): Query<ListQuery>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query.page(&["pending", "live", "superseded"])?;
    let refuse = |parameter: &str, detail: &str| ApiError::InvalidParameter {
        parameter: parameter.to_owned(),
        detail: detail.to_owned(),
    };
    if page.contains.is_some() {
        return Err(refuse("q", "publications have no name to search"));
    }
    let below = page.after.as_deref().map(str::parse::<u64>).transpose();
    let below = below.map_err(|_| refuse("cursor", "is not a cursor of this list"))?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let mut tx = state.db.read().await?;
    let mut found = publications::list_below(
        &mut tx,
        &scope.environment_id,
        below,
        page.status.as_deref(),
        limit + 1,
    )
    .await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| last.generation.to_string());
    Ok(answer::list(&uri, next, found.into_iter().map(PublicationView::from).collect()))
}

/// Answers one publication.
#[utoipa::path(get, path = "/publishes/{generation}", tag = "delivery",
    responses((status = 200, body = PublicationView), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_publish(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(generation): PathKey,
    _: NoQuery,
) -> Result<Json<PublicationView>, ApiError> {
    let generation = parse_generation(&generation)?;
    find(&state, &scope.environment_id, generation).await.map(Json)
}

/// Publishes the archived definitions of a generation again, under a new one. They stay until the
/// definitions change.
#[utoipa::path(post, path = "/publishes/{generation}/rollback", tag = "delivery",
    responses((status = 200, body = PublicationView), (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn roll_back_publish(
    State(state): State<AppState>,
    scope: InEnvironment,
    PathKey(generation): PathKey,
    _: EmptyBody,
) -> Result<Json<PublicationView>, ApiError> {
    let generation = parse_generation(&generation)?;
    scope.caller.refuse_dry_run()?;
    let (environment_id, author) = (&scope.environment_id, &scope.caller.author);
    let published = state.publisher.roll_back(environment_id, generation, author).await?;
    let mut change = Change::begin(&state, &scope.caller).await?;
    change.about(&scope);
    let made = published.manifest.generation.to_string();
    let after = serde_json::json!({ "rollback_of": generation });
    change
        .note_values("publication", (&made, &made), None, "rolled_back", None, Some(after))
        .await?;
    change.commit().await?;
    find(&state, environment_id, published.manifest.generation).await.map(Json)
}

fn parse_generation(text: &str) -> Result<u64, ApiError> {
    let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
    number.ok_or_else(|| ApiError::not_found("generation", text))
}

async fn find(
    state: &AppState,
    environment_id: &str,
    generation: u64,
) -> Result<PublicationView, ApiError> {
    let mut tx = state.db.read().await?;
    let found = publications::find(&mut tx, environment_id, generation).await?;
    found.map(Into::into).ok_or_else(|| ApiError::not_found("generation", generation.to_string()))
}

/// Whose config is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConfigQuery {
    /// The project, as `X-Project` names it too.
    customer_id: Option<String>,
}

/// The environment of the token, of `customer_id`, or of the headers.
pub(crate) struct ConfigScope(InEnvironment);

impl FromRequestParts<AppState> for ConfigScope {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let Query(query) = Query::<ConfigQuery>::from_request_parts(parts, state).await?;
        if let Some(project) = query.customer_id {
            let project = HeaderValue::from_str(&project)
                .map_err(|_| ApiError::not_found("project", project.clone()))?;
            parts.headers.insert("x-project", project);
        }
        InEnvironment::from_request_parts(parts, state).await.map(Self)
    }
}

/// Answers the current compiled config of the environment, as edges read it.
#[utoipa::path(get, path = "/config", tag = "delivery", params(ConfigQuery),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "It is the one of `If-None-Match`."),
        (status = "4XX", body = ProblemDocument)))]
pub(crate) async fn get_config(
    State(state): State<AppState>,
    ConfigScope(scope): ConfigScope,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("config", &*scope.environment_id);
    let store = state.publisher.store();
    let pointed =
        claim::pointer(store, &scope.environment_id).await.map_err(PublishError::Store)?;
    let pointed = pointed.ok_or_else(missing)?;
    let tag = format!("\"{}\"", pointed.blake3);
    let path = object_store::path::Path::from(pointed.object.as_str());
    let mut response =
        answer_unless_known(&headers, &tag, Caching::Revalidate, &path, async || {
            let blob = store.read(&path).await.map_err(PublishError::Store)?;
            blob.ok_or_else(missing)
        })
        .await?;
    response.headers_mut().insert(GENERATION_HEADER, HeaderValue::from(pointed.generation));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("authorization"));
    Ok(response)
}

/// Answers an object below `configs/`, as the delivery network would: the manifests, the pointer,
/// the blobs and their client forms of every environment, which hold no secrets. Takes no token.
pub(crate) async fn get_published_object(
    State(state): State<AppState>,
    PathKey(key): PathKey,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::not_found("object", &*key);
    if !is_published_key(&key) {
        return Err(missing());
    }
    let path = object_store::path::Path::from(format!("configs/{key}"));
    let bytes = state.publisher.store().read(&path).await.map_err(PublishError::Store)?;
    let bytes = bytes.ok_or_else(missing)?;
    let tag = format!("\"{}\"", blake3::hash(&bytes).to_hex());
    let caching =
        if key.ends_with("/latest.json") { Caching::Revalidate } else { Caching::Immutable };
    answer_unless_known(&headers, &tag, caching, &path, async || Ok(bytes)).await
}

/// Whether a key below `configs/` has one of the forms that publishing writes. Everything else
/// (other folders, `..`, absolute paths, hidden files) does not exist.
fn is_published_key(key: &str) -> bool {
    let digits = |text: &str, n| text.len() == n && text.bytes().all(|byte| byte.is_ascii_digit());
    let environment = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let blob = |name: &str| {
        let stem = name.strip_suffix(".bin");
        let stem = stem.map(|stem| stem.strip_suffix(".client").unwrap_or(stem));
        stem.and_then(|stem| stem.split_once('-')).is_some_and(|(generation, hash)| {
            digits(generation, generation.len())
                && !generation.is_empty()
                && hash.len() == 16
                && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    match key.split('/').collect::<Vec<_>>()[..] {
        [id, "latest.json"] => environment(id),
        [id, "manifests", name] => {
            environment(id) && name.strip_suffix(".json").is_some_and(|stem| digits(stem, 20))
        }
        [id, name] => environment(id) && blob(name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_published_key;

    #[test]
    fn only_what_publishing_writes_can_be_read() {
        for key in [
            "production-k3v9x2mq/latest.json",
            "production-k3v9x2mq/7-0123456789abcdef.bin",
            "production-k3v9x2mq/7-0123456789abcdef.client.bin",
            "production-k3v9x2mq/manifests/00000000000000000007.json",
        ] {
            assert!(is_published_key(key), "{key}");
        }
        for key in [
            "",
            "latest.json",
            "../secrets.json",
            "production-k3v9x2mq/../../secrets.json",
            "production-k3v9x2mq/manifests/../latest.json",
            "production-k3v9x2mq//latest.json",
            "/production-k3v9x2mq/latest.json",
            "../latest.json",
            "./latest.json",
            "production_k3v9x2mq/latest.json",
            "production-k3v9x2mq/manifests/7.json",
            "production-k3v9x2mq/7-0123456789ABCDEF.bin",
            "production-k3v9x2mq/-0123456789abcdef.bin",
            "production-k3v9x2mq/7-0123456789abcdef.server.bin",
            "production-k3v9x2mq/7-0123456789abcdef.client.client.bin",
            "production-k3v9x2mq/latest.json#1",
            "production-k3v9x2mq/latest.json\0",
            "production-k3v9x2mq",
        ] {
            assert!(!is_published_key(key), "{key}");
        }
    }
}
