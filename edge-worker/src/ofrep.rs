//! The OpenFeature Remote Evaluation Protocol 0.3: one flag, and all flags.
//!
//! What clients in the field need beyond the specification: a success always has `key`, `reason` (of the protocol's five words) and
//! `variant` (a string, empty when there is none); a `value` that would be `null` is left out; errors always have `errorCode` and
//! `errorDetails`; bad input is 400 whatever is bad about it, because clients read no error out of other statuses. Our own reason,
//! the experiment and the generation stand in `metadata`, as scalars.

use std::borrow::Cow;

use eval_core::source::KeyKind;
use eval_core::{AttributeValue, CompiledConfig, Context, Decision};
use xxhash_rust::xxh3::Xxh3;

use crate::auth::{Access, Held};
use crate::bundle::etag_matches;
use crate::context::{self, MAX_UNIT_BYTES};
use crate::evaluate::separate;
use crate::exposures::Decided;
use crate::freshness::{self, Told};
use crate::identity::Visitor;
use crate::json::{Members, Raw};
use crate::request::Request;
use crate::response::{Answer, Problem, push_json_string};
use crate::service::{Outcome, Service};
use crate::stream::{Edition, push_event_streams};

/// The unit type that OFREP's `targetingKey` names.
const TARGETING_UNIT: &str = "user_id";
/// Where a client posts the `exposure_token` of a flag that it shows. OFREP has no word for that yet.
const EXPOSURE_ENDPOINT: &str = "/v1/exposures";
/// Bytes of one flag in an answer, about.
const FLAG_BYTES: usize = 256;

/// `POST /ofrep/v1/evaluate/flags/{key}`.
pub(crate) fn evaluate_flag(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
    key: &str,
) -> Answer {
    let held = access.held.as_ref();
    let mut context = match read(request.body, held.map(|held| held.config.config())) {
        Ok(context) => context,
        Err((code, problem)) => return error(400, code, &problem.detail, Some(key)),
    };
    let Some(held) = held else {
        return error(404, "FLAG_NOT_FOUND", "no config is held for this environment", Some(key));
    };
    let config = held.config.config();
    let mut visitor = Visitor::of(service, held, request, None, &mut context);
    let list_key = held.environment.list_key(service.config(), config);
    let decision =
        eval_core::Request::new(config, &context, list_key.as_ref(), request.now_ms).evaluate(key);
    if decision.variant().is_none() && decision.key().is_empty() {
        return error(404, "FLAG_NOT_FOUND", "no flag has this key", Some(key));
    }
    Decided::new(held, &context, request.now_ms).log(service, access.key, &decision);
    let mut body = Vec::with_capacity(FLAG_BYTES);
    push_success(&mut body, &decision, &end_of_flag(held.config.generation()), None);
    let answer = Answer::json(200, body);
    match &mut visitor {
        Some(visitor) => {
            visitor.remember(&decision);
            visitor.sign(service, answer)
        }
        None => answer,
    }
}

/// `POST /ofrep/v1/evaluate/flags`. It logs no exposure: what the client does not show must not count as seen.
pub(crate) fn evaluate_flags(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
) -> Outcome {
    let told = Told::read(request);
    match freshness::wanted(told, service, access, request) {
        Some(wanted) => Outcome::Freshen(wanted),
        None => Outcome::Answer(all_flags(service, access, request, told)),
    }
}

fn all_flags(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
    told: Option<Told>,
) -> Answer {
    let held = access.held.as_ref();
    let mut context = match read(request.body, held.map(|held| held.config.config())) {
        Ok(context) => context,
        Err((code, problem)) => return error(400, code, &problem.detail, None),
    };
    let Some(held) = held else {
        return without_config(service, access, request, told);
    };
    let mut visitor = Visitor::of(service, held, request, None, &mut context);
    let edition = Edition::of(&held.config, request.now_ms);
    let etag = etag(edition, held, &context, access.kind, request.now_ms);
    let may_be_304 = !told.is_some_and(|told| told.forbids_304(held, edition));
    if may_be_304 && etag_matches(request.headers.if_none_match, &etag) {
        return Answer::empty(304).with("etag", etag);
    }
    let config = held.config.config();
    let list_key = held.environment.list_key(service.config(), config);
    let generation = held.config.generation();
    let end_of_flag = end_of_flag(generation);
    // Asked for once: an answer that grows as it is written is copied several times.
    let mut body = Vec::with_capacity(FLAG_BYTES * config.n_keys().saturating_add(1));
    body.extend_from_slice(br#"{"flags":["#);
    let mut at = 0;
    // What the client does not show must not count as seen, so it confirms what it does show.
    let decided = Decided::new(held, &context, request.now_ms);
    let token_key = held.environment.signing_keys(service.config()).map(|keys| &keys.exposure);
    eval_core::Request::new(config, &context, list_key.as_ref(), request.now_ms).evaluate_all(
        |decision| {
            separate(&mut body, at);
            let token = token_key.and_then(|key| decided.token(key, decision));
            push_success(&mut body, decision, &end_of_flag, token.as_deref());
            if let Some(visitor) = &mut visitor {
                visitor.remember(decision);
            }
            at += 1;
        },
    );
    body.extend_from_slice(
        format!(
            r#"],"metadata":{{"generation":{generation},"exposure_endpoint":"{EXPOSURE_ENDPOINT}"}}"#
        )
        .as_bytes(),
    );
    push_event_streams(&mut body, service, access, edition);
    body.push(b'}');
    let answer = Answer::json(200, body).with("etag", etag);
    match visitor {
        Some(visitor) => visitor.sign(service, answer),
        None => answer,
    }
}

/// No flag, but where to hear of the first config. What the answer depends on is that there is none.
fn without_config(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
    told: Option<Told>,
) -> Answer {
    let environment = access.environment_id(service).unwrap_or_default();
    let etag = format!(
        "\"{}.{:016x}\"",
        Edition::NONE,
        xxhash_rust::xxh3::xxh3_64(environment.as_bytes())
    );
    let may_be_304 = !told.is_some_and(|told| told.is_newer_than(None));
    if may_be_304 && etag_matches(request.headers.if_none_match, &etag) {
        return Answer::empty(304).with("etag", etag);
    }
    let mut body =
        format!(r#"{{"flags":[],"metadata":{{"exposure_endpoint":"{EXPOSURE_ENDPOINT}"}}"#)
            .into_bytes();
    push_event_streams(&mut body, service, access, Edition::NONE);
    body.push(b'}');
    Answer::json(200, body).with("etag", etag)
}

/// What is wrong with a request before its context is read, in OFREP's form. Clients read no error out of a 413.
pub(crate) fn refuse(problem: &Problem, key: Option<&str>) -> Answer {
    match problem.status {
        413 => error(400, "PARSE_ERROR", &problem.detail, key),
        401 => error(401, "GENERAL", &problem.detail, key).with("www-authenticate", "Bearer"),
        status => error(status, "GENERAL", &problem.detail, key),
    }
}

/// An error in OFREP's form.
pub(crate) fn error(status: u16, code: &str, details: &str, key: Option<&str>) -> Answer {
    let mut body = b"{".to_vec();
    if let Some(key) = key {
        body.extend_from_slice(br#""key":"#);
        push_json_string(&mut body, key);
        body.push(b',');
    }
    body.extend_from_slice(br#""errorCode":"#);
    push_json_string(&mut body, code);
    body.extend_from_slice(br#","errorDetails":"#);
    push_json_string(&mut body, details);
    body.push(b'}');
    Answer::json(status, body)
}

/// What every flag of an answer ends in.
fn end_of_flag(generation: u64) -> String {
    format!(r#","generation":{generation}}}}}"#)
}

fn push_success(body: &mut Vec<u8>, decision: &Decision<'_>, end: &str, token: Option<&str>) {
    let reason = decision.reason();
    body.extend_from_slice(br#"{"key":"#);
    push_json_string(body, decision.key());
    body.extend_from_slice(br#","reason":""#);
    body.extend_from_slice(reason.open_feature().as_bytes());
    body.extend_from_slice(br#"","variant":"#);
    push_json_string(body, decision.variant().unwrap_or(""));
    if let Some(value) = decision.value_bytes().filter(|value| *value != b"null") {
        body.extend_from_slice(br#","value":"#);
        body.extend_from_slice(value);
    }
    body.extend_from_slice(br#","metadata":{"reason":""#);
    body.extend_from_slice(reason.as_str().as_bytes());
    body.extend_from_slice(if decision.enrolled() {
        br#"","enrolled":true"#
    } else {
        br#"","enrolled":false"#
    });
    if let Some(exposure) = decision.exposure() {
        body.extend_from_slice(br#","experiment":"#);
        push_json_string(body, exposure.experiment);
    }
    if let Some(token) = token {
        body.extend_from_slice(br#","exposure_token":"#);
        push_json_string(body, token);
    }
    body.extend_from_slice(end.as_bytes());
}

/// Reads the context. `targetingKey` is the user; an attribute named like a unit type of the config is that unit, too.
fn read<'r>(
    body: &'r [u8],
    config: Option<&CompiledConfig<'_>>,
) -> Result<Context<'r>, (&'static str, Problem)> {
    let invalid = |problem| ("INVALID_CONTEXT", problem);
    let raw = context::object(body)
        .and_then(|body| body.member("context"))
        .map_err(|problem| ("PARSE_ERROR", problem))?;
    let members = match raw {
        Some(raw) => context::members(raw, "/context").map_err(invalid)?,
        None => Members::default(),
    };
    let mut context = Context::new();
    for (name, raw) in &members.0 {
        let is_targeting_key = name == "targetingKey";
        let is_unit =
            config.is_some_and(|config| config.unit_types().any(|unit_type| unit_type == name));
        if is_targeting_key {
            if let Some(unit_id) = targeting_key(*raw).map_err(invalid)? {
                context.units.insert(0, (TARGETING_UNIT.into(), unit_id));
            }
        } else if is_unit && let Ok(Some(unit_id)) = context::bounded_text(*raw, "", MAX_UNIT_BYTES)
        {
            context = context.unit(name.clone(), unit_id);
        }
    }
    Ok(context::attributes(context, members))
}

/// `null` and the empty string, which some clients send for "nobody", count as absent.
fn targeting_key(raw: Raw<'_>) -> Result<Option<Cow<'_, str>>, Problem> {
    if raw.get() == "\"\"" {
        return Ok(None);
    }
    context::bounded_text(raw, "/context/targetingKey", MAX_UNIT_BYTES)
}

/// The tag of a bulk answer: the edition, and everything of the context that can change an answer.
///
/// A client whose page address or clock is part of its context still gets 304, because attributes that no condition looks at are left
/// out; a schedule that begins or ends, and a switchback slice, change the edition.
fn etag(
    edition: Edition,
    held: &Held,
    context: &Context<'_>,
    kind: KeyKind,
    now_ms: i64,
) -> String {
    let config = held.config.config();
    let mut hasher = Xxh3::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(held.environment.id().as_bytes());
    part(&[u8::from(kind == KeyKind::Server)]);
    for unit_type in config.unit_types() {
        part(context.unit_id(unit_type).unwrap_or_default().as_bytes());
    }
    let consent = config.requires_consent().then_some("consent");
    let clusters = config.switchbacks(now_ms).map(|(cluster, _)| cluster);
    for name in config.attributes().chain(consent).chain(clusters) {
        hash_value(context.value(name), &mut part);
    }
    if config.uses_prior() {
        for (experiment, variant) in &context.prior {
            part(experiment.as_bytes());
            part(variant.as_bytes());
        }
    }
    format!("\"{edition}.{:016x}\"", hasher.digest())
}

/// Hands on a value as parts that no other value has: its type, then its text or bits; of a list its length, then its elements.
fn hash_value(value: Option<&AttributeValue<'_>>, part: &mut dyn FnMut(&[u8])) {
    match value {
        None | Some(AttributeValue::Opaque) => part(b"-"),
        Some(AttributeValue::Bool(value)) => part(if *value { b"true" } else { b"false" }),
        Some(AttributeValue::Number(value)) => {
            part(b"number");
            part(&value.to_bits().to_le_bytes());
        }
        Some(AttributeValue::String(text)) => {
            part(b"text");
            part(text.as_bytes());
        }
        Some(AttributeValue::List(values)) => {
            part(b"list");
            part(&(values.len() as u64).to_le_bytes());
            for value in values {
                hash_value(Some(value), part);
            }
        }
    }
}
