//! `POST /v1/events/batch`: from a request to events that are durable.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::Serialize;

use super::body::{self, Encoding, Memory};
use super::{AppState, Problem};
use crate::clock::{self, Micros};
use crate::event::{self, Intake, MALFORMED_JSON, NOT_AN_OBJECT, Rejection};
use crate::keys::{Grant, SdkKey};
use crate::pseudonym::PseudonymKey;
use crate::schema::Kind;
use crate::wal::Batch;

/// The client's own time of sending a request, for events that do not say theirs.
const SENT_AT: &str = "x-sent-at";

/// Bodies of this size are parsed away from the runtime's own threads.
const PARSE_INLINE_BYTES: usize = 32 * 1024;

/// Most rejections that an answer describes; it counts all of them.
const MAX_ERRORS: usize = 1000;

/// What became of a batch.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    accepted: usize,
    duplicate: usize,
    rejected: usize,
    errors: Vec<EventError>,
}

/// What is wrong with one event.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct EventError {
    index: usize,
    #[serde(flatten)]
    rejection: Rejection,
}

/// `POST /v1/events/batch`.
pub(crate) async fn post_events(
    state: State<AppState>,
    query: RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    ingest(state, query, headers, body, None).await
}

/// `POST /v1/exposures`: events without a type are exposures.
pub(crate) async fn post_exposures(
    state: State<AppState>,
    query: RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    ingest(state, query, headers, body, Some(Kind::Exposure)).await
}

/// `POST /v1/metrics`: events without a type are metric events.
pub(crate) async fn post_metrics(
    state: State<AppState>,
    query: RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    ingest(state, query, headers, body, Some(Kind::Metric)).await
}

async fn ingest(
    State(state): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
    default_kind: Option<Kind>,
) -> Result<(StatusCode, Json<Receipt>), Problem> {
    let grant = authenticate(&state, &headers, query.as_deref()).await?;
    let is_json = body::is_json(&headers)?;
    let encoding = Encoding::of(&headers)?;
    let sent = sent_at(&headers)?;
    let mut memory = Memory::new(Arc::clone(&state.memory));
    let body = body::receive(&headers, body, state.limits, &mut memory).await?;
    let received = clock::now();

    let pseudonyms = state.pseudonyms.of(&grant.project);
    let is_small = encoding == Encoding::Identity && body.len() <= PARSE_INLINE_BYTES;
    let request = Request { grant, received, sent, default_kind, pseudonyms, is_json };
    let limits = state.limits;
    let parse = move || {
        let body = body::decompress(&body, encoding, limits, &mut memory)?;
        let parsed = request.parse(&body)?;
        Ok::<_, Problem>((parsed, memory))
    };
    let (parsed, _memory) = if is_small {
        parse()?
    } else {
        let turn = state.parsing.acquire().await.map_err(|_closed| Problem::Overloaded)?;
        let parsed = tokio::task::spawn_blocking(parse).await;
        drop(turn);
        parsed.map_err(|_panicked| Problem::Internal)??
    };

    let mut receipt =
        Receipt { rejected: parsed.rejected, errors: parsed.errors, ..Receipt::default() };
    if !parsed.batch.is_empty() {
        let outcome = state.log.submit(parsed.batch)?;
        let committed = outcome.await.map_err(|_stopped| Problem::Internal)??;
        receipt.accepted = committed.accepted;
        receipt.duplicate = committed.duplicate;
    }
    count("accepted", receipt.accepted);
    count("duplicate", receipt.duplicate);
    count("rejected", receipt.rejected);
    Ok((StatusCode::ACCEPTED, Json(receipt)))
}

fn count(outcome: &'static str, events: usize) {
    metrics::counter!("collector_events_total", "outcome" => outcome).increment(events as u64);
}

/// Everything about a request but its events.
struct Request {
    grant: Grant,
    received: Micros,
    sent: Option<Micros>,
    default_kind: Option<Kind>,
    pseudonyms: Arc<PseudonymKey>,
    is_json: bool,
}

/// The events of a request.
struct Parsed {
    batch: Batch,
    rejected: usize,
    errors: Vec<EventError>,
}

impl Request {
    fn parse(&self, body: &[u8]) -> Result<Parsed, Problem> {
        let events = event::split(body, self.is_json)?;
        let intake = Intake {
            received: self.received,
            sent: self.sent,
            default_kind: self.default_kind,
            pseudonyms: &self.pseudonyms,
        };
        let Grant { project, environment } = &self.grant;
        let batch = Batch::new(Arc::clone(project), Arc::clone(environment), self.received);
        let mut parsed = Parsed { batch, rejected: 0, errors: Vec::new() };
        let mut not_events = 0;
        let mut skew_ms = None;
        for (index, text) in events.iter().enumerate() {
            match event::validate(text, &intake) {
                Ok(event) => {
                    skew_ms = skew_ms.or(event.skew_ms);
                    parsed.batch.push(&event).map_err(|_too_large| Problem::Internal)?;
                }
                Err(rejection) => {
                    if matches!(rejection.code, MALFORMED_JSON | NOT_AN_OBJECT) {
                        not_events += 1;
                    }
                    parsed.rejected += 1;
                    if parsed.errors.len() < MAX_ERRORS {
                        parsed.errors.push(EventError { index, rejection });
                    }
                }
            }
        }
        if let Some(skew_ms) = skew_ms {
            metrics::histogram!("collector_skew_ms").record(skew_ms as f64);
        }
        self.check_any(&events, not_events, parsed)
    }

    /// Whether the body holds anything that can be called an event.
    fn check_any(
        &self,
        events: &[&[u8]],
        not_events: usize,
        parsed: Parsed,
    ) -> Result<Parsed, Problem> {
        if self.default_kind == Some(Kind::Exposure)
            && let [only] = events
            && parsed.rejected == 1
            && is_token_list(only)
        {
            return Err(Problem::Tokens);
        }
        match parsed.errors.first() {
            Some(first) if not_events == events.len() => {
                Err(Problem::NoEvents(first.rejection.detail.clone()))
            }
            _ => Ok(parsed),
        }
    }
}

/// Whether a body is `{"tokens": […]}`, which only the edge can redeem.
fn is_token_list(text: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Tokens {
        #[serde(rename = "tokens")]
        _tokens: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Tokens>(text).is_ok()
}

async fn authenticate(
    state: &AppState,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Grant, Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION.as_str()).map(|value| {
        // A scheme other than Bearer is no key, which the shape of keys then says.
        let scheme_and_key =
            value.split_once(' ').filter(|(s, _)| s.eq_ignore_ascii_case("bearer"));
        scheme_and_key.map_or("", |(_, key)| key.trim())
    });
    let in_url = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|parameter| parameter.strip_prefix("key="));
    let key = bearer.or_else(|| text("x-sdk-key")).or(in_url).ok_or(Problem::MissingKey)?;
    let is_in_url = in_url == Some(key);
    let key = SdkKey::parse(key).ok_or(Problem::InvalidKey)?;
    if is_in_url && !key.is_client() {
        return Err(Problem::SecretInUrl);
    }
    Ok(state.keys.check(&key).await?)
}

fn sent_at(headers: &HeaderMap) -> Result<Option<Micros>, Problem> {
    let Some(value) = headers.get(SENT_AT) else { return Ok(None) };
    let time = value.to_str().ok().and_then(clock::parse);
    time.map(Some).ok_or(Problem::Header { header: "X-Sent-At" })
}
