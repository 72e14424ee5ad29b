//! `POST /v1/evaluate`: one key, several, or everything, for a unit and its attributes.

use std::borrow::Cow;

use eval_core::source::KeyKind;
use eval_core::{AttributeValue, Context, Decision};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::{Access, Held};
use crate::context::{self, MAX_NAME_BYTES, MAX_UNIT_BYTES};
use crate::exposures::ExposureEvent;
use crate::request::Request;
use crate::response::{Answer, Problem, push_json_string, to_json};
use crate::service::Service;

/// Keys of one request.
const MAX_KEYS: usize = 1000;
/// Attributes that exposures carry, for analysis by segment. Others may name a person and stay out of the event store.
const EXPOSED_ATTRIBUTES: [&str; 5] = ["platform", "device", "country", "app_version", "path"];

/// The body, its members unread.
#[derive(Deserialize)]
struct Body<'r> {
    #[serde(borrow, default)]
    units: Option<&'r RawValue>,
    #[serde(borrow, default)]
    unit_id: Option<&'r RawValue>,
    #[serde(borrow, default)]
    attributes: Option<&'r RawValue>,
    #[serde(borrow, default)]
    keys: Option<&'r RawValue>,
    #[serde(borrow, default)]
    exposure: Option<&'r RawValue>,
    #[serde(borrow, default)]
    prior: Option<&'r RawValue>,
}

/// A body that makes sense.
struct Asked<'r> {
    context: Context<'r>,
    /// `None`: everything.
    keys: Option<Vec<Cow<'r, str>>>,
    logs_exposures: bool,
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
    let Some(held) = &access.held else {
        return Ok(Answer::json(200, without_config(asked.keys.as_deref().unwrap_or_default())));
    };
    let config = held.config.config();
    let list_key = held.environment.list_key(service.config(), config);
    let mut evaluation =
        eval_core::Request::new(config, &asked.context, list_key.as_ref(), request.now_ms);
    let mut body = Vec::with_capacity(512);
    body.extend_from_slice(
        format!(r#"{{"generation":{},"decisions":{{"#, held.config.generation()).as_bytes(),
    );
    if let Some(keys) = &asked.keys {
        for (at, key) in keys.iter().enumerate() {
            separate(&mut body, at);
            let decision = if explains {
                let (decision, steps) = evaluation.explain(key);
                push_decision(&mut body, key, &decision, Some(&to_json(&steps)));
                decision
            } else {
                let decision = evaluation.evaluate(key);
                push_decision(&mut body, key, &decision, None);
                decision
            };
            if asked.logs_exposures {
                log_exposure(service, access.key, held, &asked.context, &decision, request.now_ms);
            }
        }
    } else if explains {
        for (at, key) in config.keys().enumerate() {
            separate(&mut body, at);
            let (decision, steps) = evaluation.explain(key);
            push_decision(&mut body, key, &decision, Some(&to_json(&steps)));
        }
    } else {
        // Everything at once logs nothing: what the client does not show must not count as seen.
        let mut at = 0;
        evaluation.evaluate_all(|decision| {
            separate(&mut body, at);
            push_decision(&mut body, decision.key(), decision, None);
            at += 1;
        });
    }
    body.extend_from_slice(b"}}");
    Ok(Answer::json(200, body).with("cache-control", "no-store"))
}

fn read(body: &[u8]) -> Result<Asked<'_>, Problem> {
    let body: Body<'_> = context::object(body)?;
    let mut context = Context::new();
    match (body.units, body.unit_id) {
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
    if let Some(attributes) = body.attributes {
        context = context::attributes(context, context::members(attributes, "/attributes")?.0);
    }
    if let Some(prior) = body.prior {
        context = context::priors(context, prior, "/prior")?;
    }
    let logs_exposures = body.exposure.map_or(Ok(true), logs_exposures)?;
    Ok(Asked { context, keys: body.keys.map(read_keys).transpose()?, logs_exposures })
}

fn read_keys(raw: &RawValue) -> Result<Vec<Cow<'_, str>>, Problem> {
    let items: Vec<&RawValue> = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field("/keys", "wrong_type", "must be an array of strings"))?;
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
        let mut seen = std::collections::BTreeSet::new();
        keys.retain(|key| seen.insert(key.clone()));
    }
    Ok(keys)
}

fn logs_exposures(raw: &RawValue) -> Result<bool, Problem> {
    let wanted = context::bounded_text(raw, "/exposure", MAX_NAME_BYTES)?;
    match wanted.as_deref() {
        None | Some("log") => Ok(true),
        Some("none") => Ok(false),
        Some("deferred") => Err(Problem::field(
            "/exposure",
            "unsupported",
            "this edge issues no deferred exposures; send log or none",
        )),
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
        push_decision(&mut body, key, &Decision::NOT_FOUND, None);
    }
    body.extend_from_slice(b"}}");
    body
}

pub(crate) fn separate(body: &mut Vec<u8>, at: usize) {
    if at > 0 {
        body.push(b',');
    }
}

fn push_decision(body: &mut Vec<u8>, key: &str, decision: &Decision<'_>, steps: Option<&[u8]>) {
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
    if let Some(steps) = steps {
        body.extend_from_slice(br#","detail":"#);
        body.extend_from_slice(&to_json(&decision.reason()));
        body.extend_from_slice(br#","steps":"#);
        body.extend_from_slice(steps);
    }
    body.push(b'}');
}

/// Queues the exposure of a decision, if there is one: only enrolled units are ever logged.
pub(crate) fn log_exposure(
    service: &Service,
    key: &str,
    held: &Held,
    context: &Context<'_>,
    decision: &Decision<'_>,
    now_ms: i64,
) {
    if !service.config().has_collector {
        return;
    }
    let Some(exposure) = decision.exposure() else { return };
    let config = held.config.config();
    let units: Vec<(&str, &str)> = config
        .unit_types()
        .filter_map(|unit_type| Some((unit_type, context.unit_id(unit_type)?)))
        .collect();
    service.exposures().log(
        key,
        &ExposureEvent {
            environment: held.environment.id(),
            units: &units,
            flag: decision.key(),
            experiment: exposure.experiment,
            variant: exposure.variant,
            unit_type: exposure.unit_type,
            unit_id: &exposure.unit.to_string(),
            layer: exposure.layer,
            bucket: exposure.bucket,
            reason: decision.reason().as_str(),
            generation: held.config.generation(),
            now_ms,
            attributes_json: &exposed_attributes(context),
        },
    );
}

fn exposed_attributes(context: &Context<'_>) -> String {
    let mut json = Vec::new();
    for name in EXPOSED_ATTRIBUTES {
        let value = match context.value(name) {
            Some(AttributeValue::String(text)) if text.len() <= MAX_NAME_BYTES => {
                to_json(&text.as_ref())
            }
            Some(AttributeValue::Bool(value)) => to_json(value),
            Some(AttributeValue::Number(value)) => to_json(value),
            _ => continue,
        };
        json.push(if json.is_empty() { b'{' } else { b',' });
        push_json_string(&mut json, name);
        json.push(b':');
        json.extend_from_slice(&value);
    }
    if !json.is_empty() {
        json.push(b'}');
    }
    String::from_utf8(json).expect("JSON writers write UTF-8")
}
