//! `POST /v1/evaluate`: one key, several, or everything, for a unit and its attributes.

use std::borrow::Cow;

use eval_core::source::KeyKind;
use eval_core::{Change, Context, Decision, Step};

use crate::auth::Access;
use crate::context::{self, MAX_NAME_BYTES, MAX_UNIT_BYTES};
use crate::deferred::without_secret;
use crate::exposures::Decided;
use crate::identity::Visitor;
use crate::json::Raw;
use crate::request::Request;
use crate::response::{Answer, Problem, push_json_string, to_json};
use crate::service::Service;
use crate::signing::SigningKey;
use crate::sorted::insert_once;

/// Keys of one request.
const MAX_KEYS: usize = 1000;

/// A body that makes sense.
struct Asked<'r> {
    context: Context<'r>,
    /// `None`: everything.
    keys: Option<Vec<Cow<'r, str>>>,
    exposure: ExposureMode,
    /// Whether the answer is for a browser that keeps our cookie; `None`: only if it sent one.
    cookie: Option<bool>,
}

/// What becomes of the exposures of enrolled units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExposureMode {
    /// Logged, when keys were named; of everything at once the client confirms what it shows.
    Log,
    /// The client confirms what it shows.
    Deferred,
    /// Nothing.
    None,
}

pub(crate) fn evaluate(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
) -> Result<Answer, Problem> {
    let asked = read(request.body)?;
    let explains = request.query_value("explain").is_some_and(|value| value != "false");
    if explains && access.kind != KeyKind::Server {
        return Err(Problem::new(
            403,
            "server_key_needed",
            "explanations are given to server keys only",
        ));
    }
    if service.config().list_secret.is_none() {
        if asked.exposure == ExposureMode::Deferred {
            return Err(without_secret("/exposure"));
        }
        if asked.cookie == Some(true) {
            return Err(without_secret("/cookie"));
        }
    }
    let Some(held) = &access.held else {
        return Ok(Answer::json(200, without_config(asked.keys.as_deref().unwrap_or_default())));
    };
    let config = held.config.config();
    let signing_keys = held.environment.signing_keys(service.config());
    let mut context: Context<'_> = asked.context;
    let mut visitor = Visitor::of(service, held, request, asked.cookie, &mut context);
    let list_key = held.environment.list_key(service.config(), config);
    let mut evaluation =
        eval_core::Request::new(config, &context, list_key.as_ref(), request.now_ms);
    let mut body = Vec::with_capacity(512);
    body.extend_from_slice(format!(r#"{{"generation":{}"#, held.config.generation()).as_bytes());
    if let Some(id) = visitor.as_ref().and_then(Visitor::anonymous_id) {
        body.extend_from_slice(br#","anonymous_id":"#);
        push_json_string(&mut body, id);
    }
    body.extend_from_slice(br#","decisions":{"#);
    let mut giver = Giver {
        service,
        access,
        decided: Decided::new(held, &context, request.now_ms),
        token_key: signing_keys.map(|keys| &keys.exposure).filter(|_| match asked.exposure {
            ExposureMode::Deferred => true,
            // Everything at once logs nothing: what the client does not show must not count as seen.
            ExposureMode::Log => asked.keys.is_none(),
            ExposureMode::None => false,
        }),
        logs: asked.exposure == ExposureMode::Log && asked.keys.is_some(),
        visitor: visitor.as_mut(),
        body: &mut body,
        n_given: 0,
    };
    if explains {
        let all = || config.keys().map(Cow::Borrowed).collect();
        for key in asked.keys.unwrap_or_else(all) {
            let (decision, steps) = evaluation.explain(&key);
            let explanation = explanation(&decision, &steps, &evaluation.changes(&key));
            giver.give(&key, &decision, Some(&explanation));
        }
    } else if let Some(keys) = &asked.keys {
        for key in keys {
            giver.give(key, &evaluation.evaluate(key), None);
        }
    } else {
        evaluation.evaluate_all(|decision| giver.give(decision.key(), decision, None));
    }
    body.extend_from_slice(b"}}");
    let mut answer = Answer::json(200, body).with("cache-control", "no-store");
    if asked.cookie == Some(true) && request.headers.origin.is_some_and(|origin| origin != "null") {
        answer = answer.with("access-control-allow-credentials", "true");
    }
    Ok(match visitor {
        Some(visitor) => visitor.sign(service, answer),
        None => answer,
    })
}

/// Gives decisions: into the body, to the exposures, and into the visitor's jar.
struct Giver<'g, 'c> {
    service: &'g Service,
    access: &'g Access<'g>,
    decided: Decided<'g>,
    /// Signs tokens, when the client is to confirm what it shows.
    token_key: Option<&'g SigningKey>,
    logs: bool,
    visitor: Option<&'g mut Visitor<'c>>,
    body: &'g mut Vec<u8>,
    n_given: usize,
}

impl Giver<'_, '_> {
    // Once in the Worker, not once for each way to come to a decision.
    #[inline(never)]
    fn give(&mut self, key: &str, decision: &Decision<'_>, explanation: Option<&[u8]>) {
        separate(self.body, self.n_given);
        self.n_given += 1;
        let token = self.token_key.and_then(|token_key| self.decided.token(token_key, decision));
        push_decision(self.body, key, decision, token.as_deref(), explanation);
        if self.logs {
            self.decided.log(self.service, self.access.key, decision);
        }
        if let Some(visitor) = &mut self.visitor {
            visitor.remember(decision);
        }
    }
}

fn read(body: &[u8]) -> Result<Asked<'_>, Problem> {
    let body = context::object(body)?;
    let [units, unit_id, attributes, prior] =
        ["units", "unit_id", "attributes", "prior"].map(|name| body.member(name));
    let mut context = Context::new();
    match (units?, unit_id?) {
        (None, None) => {
            return Err(Problem::field(
                "/units",
                "missing_field",
                "name the units, such as {\"user_id\": \"u-1\"}; {} for none",
            ));
        }
        (units, unit_id) => {
            if let Some(units) = units {
                context.units = context::units(units, "/units")?;
            }
            if let Some(unit_id) = unit_id
                && let Some(unit_id) = context::bounded_text(unit_id, "/unit_id", MAX_UNIT_BYTES)?
                && context.unit_id("user_id").is_none()
            {
                context = context.unit("user_id", unit_id);
            }
        }
    }
    if let Some(attributes) = attributes? {
        context = context::attributes(context, context::members(attributes, "/attributes")?);
    }
    if let Some(prior) = prior? {
        context = context::priors(context, prior, "/prior")?;
    }
    Ok(Asked {
        context,
        keys: body.member("keys")?.map(read_keys).transpose()?,
        exposure: body.member("exposure")?.map_or(Ok(ExposureMode::Log), read_exposure)?,
        cookie: body.member("cookie")?.map(read_cookie).transpose()?,
    })
}

fn read_cookie(raw: Raw<'_>) -> Result<bool, Problem> {
    raw.boolean().ok_or_else(|| Problem::field("/cookie", "wrong_type", "must be a boolean"))
}

fn read_keys(raw: Raw<'_>) -> Result<Vec<Cow<'_, str>>, Problem> {
    let items = raw
        .items()
        .ok_or_else(|| Problem::field("/keys", "wrong_type", "must be an array of strings"))?;
    if items.len() > MAX_KEYS {
        return Err(Problem::field(
            "/keys",
            "too_many",
            format!("must hold at most {MAX_KEYS} keys"),
        ));
    }
    let mut keys = Vec::with_capacity(items.len());
    for (at, item) in items.into_iter().enumerate() {
        let pointer = format!("/keys/{at}");
        let key = context::bounded_text(item, &pointer, MAX_NAME_BYTES)?
            .ok_or_else(|| Problem::field(pointer, "wrong_type", "must be a string"))?;
        keys.push(key);
    }
    // A key asked for twice is answered once: the answer is an object.
    if keys.len() > 1 {
        let mut seen: Vec<Cow<'_, str>> = Vec::with_capacity(keys.len());
        keys.retain(|key| insert_once(&mut seen, key.clone()));
    }
    Ok(keys)
}

fn read_exposure(raw: Raw<'_>) -> Result<ExposureMode, Problem> {
    let wanted = context::bounded_text(raw, "/exposure", MAX_NAME_BYTES)?;
    match wanted.as_deref() {
        None | Some("log") => Ok(ExposureMode::Log),
        Some("deferred") => Ok(ExposureMode::Deferred),
        Some("none") => Ok(ExposureMode::None),
        Some(_) => {
            Err(Problem::field("/exposure", "unknown_value", "must be log, deferred or none"))
        }
    }
}

/// The answer when nothing is held: the caller falls back to its own defaults.
fn without_config(keys: &[Cow<'_, str>]) -> Vec<u8> {
    let mut body = br#"{"generation":null,"decisions":{"#.to_vec();
    for (at, key) in keys.iter().enumerate() {
        separate(&mut body, at);
        push_decision(&mut body, key, &Decision::NOT_FOUND, None, None);
    }
    body.extend_from_slice(b"}}");
    body
}

pub(crate) fn separate(body: &mut Vec<u8>, at: usize) {
    if at > 0 {
        body.push(b',');
    }
}

/// How a decision came about, and what would change it, as further members of its object.
fn explanation(decision: &Decision<'_>, steps: &[Step], changes: &[Change]) -> Vec<u8> {
    let mut members = br#","detail":"#.to_vec();
    members.extend_from_slice(&to_json(&decision.reason()));
    members.extend_from_slice(br#","steps":"#);
    members.extend_from_slice(&to_json(&steps));
    members.extend_from_slice(br#","changes":"#);
    members.extend_from_slice(&to_json(&changes));
    members
}

fn push_decision(
    body: &mut Vec<u8>,
    key: &str,
    decision: &Decision<'_>,
    token: Option<&str>,
    explanation: Option<&[u8]>,
) {
    push_json_string(body, key);
    body.extend_from_slice(br#":{"variant":"#);
    match decision.variant() {
        Some(variant) => push_json_string(body, variant),
        None => body.extend_from_slice(b"null"),
    }
    body.extend_from_slice(br#","value":"#);
    body.extend_from_slice(decision.value_bytes().unwrap_or(b"null"));
    body.extend_from_slice(if decision.enrolled() {
        br#","enrolled":true"#
    } else {
        br#","enrolled":false"#
    });
    body.extend_from_slice(br#","reason":""#);
    body.extend_from_slice(decision.reason().as_str().as_bytes());
    body.push(b'"');
    if let Some(token) = token {
        body.extend_from_slice(br#","exposure_token":"#);
        push_json_string(body, token);
    }
    if let Some(explanation) = explanation {
        body.extend_from_slice(explanation);
    }
    body.push(b'}');
}
