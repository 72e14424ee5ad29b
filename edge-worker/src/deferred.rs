//! `POST /v1/exposures {"tokens": […]}`: the client has shown what it was given tokens for.
//!
//! Each token is checked for itself. The good ones become exposures, which go to the collector like any client's events and are
//! answered as the collector answers; a bad one is reported by its place among the tokens.

use std::borrow::Cow;

use serde::Serialize;

use crate::auth::Access;
use crate::exposures::{token, write_event};
use crate::json::{Members, Raw};
use crate::response::{Answer, Problem, to_json};
use crate::service::Service;

/// Tokens of one request.
const MAX_TOKENS: usize = 1000;
/// Where the secret that signs tokens is set.
pub(crate) const SECRET_SETTING: &str = "SORTITION_LIST_SECRET";

/// The tokens of a request, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Checked {
    /// The exposures of the good ones, as newline-delimited JSON.
    pub(crate) events: Vec<u8>,
    /// Place of each exposure among the tokens.
    places: Vec<usize>,
    errors: Vec<EventError>,
}

/// What the collector did with a batch, as far as it is passed on.
#[derive(Debug, Default, Serialize)]
struct Receipt {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    queued: bool,
    accepted: usize,
    duplicate: usize,
    rejected: usize,
    errors: Vec<EventError>,
}

/// What is wrong with one event, or token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct EventError {
    index: usize,
    code: String,
    pointer: String,
    detail: String,
}

impl Receipt {
    /// `None` for what is not the collector's form.
    fn read(body: &[u8]) -> Option<Self> {
        let members = Members::read(body).ok()?;
        let member = |name| members.member(name).ok()?;
        let count = |name| member(name)?.unsigned()?.try_into().ok();
        Some(Self {
            queued: member("queued").is_some_and(|raw| raw.boolean() == Some(true)),
            accepted: count("accepted")?,
            duplicate: count("duplicate")?,
            rejected: count("rejected")?,
            errors: member("errors")?
                .items()?
                .into_iter()
                .map(EventError::read)
                .collect::<Option<_>>()?,
        })
    }
}

impl EventError {
    fn read(raw: Raw<'_>) -> Option<Self> {
        let members = raw.members()?;
        let member = |name| members.member(name).ok()?;
        let text = |name| member(name)?.text().map(Cow::into_owned);
        Some(Self {
            index: member("index")?.unsigned()?.try_into().ok()?,
            code: text("code")?,
            pointer: text("pointer")?,
            detail: text("detail")?,
        })
    }
}

/// The value of `tokens`, when a body is of that form and no event.
pub(crate) fn tokens(body: &[u8]) -> Option<Raw<'_>> {
    let members = Members::read(body).ok()?;
    let mut tokens = members.0.into_iter().filter(|(name, _)| name == "tokens");
    let (_, raw) = tokens.next()?;
    tokens.next().is_none().then_some(raw)
}

/// Checks every token.
pub(crate) fn check(
    service: &Service,
    access: &Access<'_>,
    tokens: Raw<'_>,
    now_ms: i64,
) -> Result<Checked, Problem> {
    let tokens = tokens
        .items()
        .ok_or_else(|| Problem::field("/tokens", "wrong_type", "must be an array of strings"))?;
    if tokens.len() > MAX_TOKENS {
        let detail = format!("must hold at most {MAX_TOKENS} tokens");
        return Err(Problem::field("/tokens", "too_many", detail));
    }
    if service.config().list_secret.is_none() {
        return Err(without_secret("/tokens"));
    }
    let Some(held) = &access.held else {
        // The key's environment is not known for sure, so no token can be told good or bad.
        let detail =
            "no config is held for this environment yet; keep the tokens and send them again";
        return Err(Problem::new(503, "no_config", detail));
    };
    let environment = held.environment.id();
    let Some(keys) = held.environment.signing_keys(service.config()) else {
        return Err(without_secret("/tokens"));
    };
    let mut checked = Checked::default();
    for (index, raw) in tokens.into_iter().enumerate() {
        let result = match raw.text() {
            None => Err(("wrong_type", "must be a string".to_owned())),
            Some(text) => token::open(&text, &keys.exposure, now_ms)
                .map_err(|error| (error.code(), error.to_string())),
        };
        match result {
            Ok(opened) => {
                checked.places.push(index);
                let events = &mut checked.events;
                opened.with_event(environment, now_ms, |event| write_event(events, event, None));
            }
            Err((code, detail)) => checked.errors.push(EventError {
                index,
                code: code.to_owned(),
                pointer: format!("/tokens/{index}"),
                detail,
            }),
        }
    }
    Ok(checked)
}

/// The problem of a request that needs signatures at an edge that has no secret to sign with.
pub(crate) fn without_secret(pointer: &'static str) -> Problem {
    Problem::field(
        pointer,
        "unsupported",
        format!("this edge has no secret to sign with; it is set as {SECRET_SETTING}"),
    )
}

impl Checked {
    /// The answer to the client: what the collector said of the good tokens (`None`: a queue has them, or there are none), and what
    /// is wrong with the others.
    pub(crate) fn receipt(&self, collector: Option<&[u8]>) -> Answer {
        let mut receipt = match collector {
            Some(body) => match Receipt::read(body) {
                Some(receipt) => receipt,
                // Not the collector's form, so there is nothing to merge with.
                None => return Answer::json(202, body.to_vec()),
            },
            None => Receipt { queued: !self.places.is_empty(), ..Receipt::default() },
        };
        for error in &mut receipt.errors {
            if let Some(&place) = self.places.get(error.index) {
                error.index = place;
                error.pointer = format!("/tokens/{place}");
            }
        }
        receipt.rejected += self.errors.len();
        // Both are in the order of the tokens.
        let mut collectors = std::mem::take(&mut receipt.errors).into_iter().peekable();
        for error in &self.errors {
            while let Some(earlier) = collectors.next_if(|known| known.index < error.index) {
                receipt.errors.push(earlier);
            }
            receipt.errors.push(error.clone());
        }
        receipt.errors.extend(collectors);
        Answer::json(202, to_json(&receipt))
    }
}
