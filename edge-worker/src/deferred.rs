//! `POST /v1/exposures {"tokens": […]}`: the client has shown what it was given tokens for.
//!
//! Each token is checked for itself. The good ones become exposures, which go to the collector like any client's events and are
//! answered as the collector answers; a bad one is reported by its place among the tokens.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::auth::Access;
use crate::context::Text;
use crate::exposures::{token, write_event};
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
#[derive(Debug, Default, Deserialize, Serialize)]
struct Receipt {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    queued: bool,
    accepted: usize,
    duplicate: usize,
    rejected: usize,
    errors: Vec<EventError>,
}

/// What is wrong with one event, or token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
struct EventError {
    index: usize,
    code: String,
    pointer: String,
    detail: String,
}

/// The value of `tokens`, when a body is of that form and no event.
pub(crate) fn tokens(body: &[u8]) -> Option<&RawValue> {
    #[derive(Deserialize)]
    struct Body<'r> {
        #[serde(borrow)]
        tokens: &'r RawValue,
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice::<Body<'_>>(body).ok().map(|body| body.tokens)
}

/// Checks every token.
pub(crate) fn check(
    service: &Service,
    access: &Access<'_>,
    tokens: &RawValue,
    now_ms: i64,
) -> Result<Checked, Problem> {
    let tokens: Vec<&RawValue> = serde_json::from_str(tokens.get())
        .map_err(|_| Problem::field("/tokens", "wrong_type", "must be an array of strings"))?;
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
        let result = match serde_json::from_str::<Text<'_>>(raw.get()) {
            Err(_) => Err(("wrong_type", "must be a string".to_owned())),
            Ok(Text(text)) => token::open(&text, &keys.exposure, now_ms)
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
            Some(body) => match serde_json::from_slice::<Receipt>(body) {
                Ok(receipt) => receipt,
                // Not the collector's form, so there is nothing to merge with.
                Err(_) => return Answer::json(202, body.to_vec()),
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
