//! `GET /v1/units/{id}/assignments`: every experiment of a unit, now or as of an archived generation.

use eval_core::source::KeyKind;
use eval_core::time::parse_rfc3339;
use eval_core::{Assignment, Context};

use crate::archive::{Loaded, Wanted};
use crate::auth::Access;
use crate::context::{self, MAX_NAME_BYTES, MAX_UNIT_BYTES};
use crate::evaluate::separate;
use crate::json::Raw;
use crate::request::{Patience, Request, percent_decode};
use crate::response::{Answer, Problem, push_json_string, to_json};
use crate::service::{Outcome, Service};

/// The unit type of an id that comes without one.
const DEFAULT_UNIT_TYPE: &str = "user_id";

/// Answers, or says which generation has to be loaded first. `id` is as it stands in the path.
pub(crate) fn assignments(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
    id: &str,
) -> Outcome {
    find(service, access, request, id).unwrap_or_else(|problem| Outcome::Answer(problem.into()))
}

fn find(
    service: &Service,
    access: &Access<'_>,
    request: &Request<'_>,
    id: &str,
) -> Result<Outcome, Problem> {
    if access.kind != KeyKind::Server {
        return Err(Problem::new(
            403,
            "server_key_needed",
            "assignments of a unit are told to server keys only",
        ));
    }
    let asked = Asked::read(request, id)?;
    let json = decoded(request, "attributes")?;
    let context = asked.context(request, json.as_deref())?;
    let Some(held) = &access.held else {
        return Err(Problem::new(404, "no_config", "no config is held for this environment yet"));
    };
    let config = match asked.generation {
        Some(generation) if generation != held.config.generation() => {
            let wanted = Wanted { environment: held.environment.clone(), generation };
            match service.archive().get(&wanted, request.now_ms) {
                None if request.patience > Patience::None => {
                    return Ok(Outcome::LoadArchived(wanted));
                }
                None => {
                    let detail = "other generations are being looked up; send this again";
                    return Err(Problem::new(503, "archive_unreadable", detail));
                }
                Some(Loaded::Held(config)) => config,
                Some(Loaded::Missing) => {
                    let detail = format!("generation {generation} is not in the archive");
                    return Err(Problem::new(404, "unknown_generation", detail));
                }
                Some(Loaded::Unreadable(why)) => {
                    let detail = format!("generation {generation} cannot be read: {why}");
                    return Err(Problem::new(503, "archive_unreadable", detail));
                }
            }
        }
        _ => held.config.clone(),
    };
    let list_key = held.environment.list_key(service.config(), config.config());
    let mut evaluation =
        eval_core::Request::new(config.config(), &context, list_key.as_ref(), asked.at_ms);
    let mut body = format!(r#"{{"generation":{},"unit_type":"#, config.generation()).into_bytes();
    push_json_string(&mut body, &asked.unit_type);
    body.extend_from_slice(br#","unit_id":"#);
    push_json_string(&mut body, &asked.unit_id);
    body.extend_from_slice(format!(r#","at_ms":{},"assignments":["#, asked.at_ms).as_bytes());
    let mut at = 0;
    evaluation.assignments(|assignment| {
        separate(&mut body, at);
        push_assignment(&mut body, &assignment);
        at += 1;
    });
    body.extend_from_slice(b"]}");
    Ok(Outcome::Answer(Answer::json(200, body).with("cache-control", "no-store")))
}

/// What the path and the query say.
struct Asked {
    unit_id: String,
    unit_type: String,
    generation: Option<u64>,
    at_ms: i64,
}

impl Asked {
    fn read(request: &Request<'_>, id: &str) -> Result<Self, Problem> {
        let unit_id = percent_decode(id)
            .ok_or_else(|| Problem::new(400, "invalid_unit", "the unit id is not UTF-8"))?;
        if unit_id.is_empty() || unit_id.len() > MAX_UNIT_BYTES {
            let detail = format!("a unit id has 1 to {MAX_UNIT_BYTES} bytes");
            return Err(Problem::new(400, "invalid_unit", detail));
        }
        let unit_type =
            decoded(request, "unit_type")?.unwrap_or_else(|| DEFAULT_UNIT_TYPE.to_owned());
        if unit_type.is_empty() || unit_type.len() > MAX_NAME_BYTES {
            let detail = format!("unit_type has 1 to {MAX_NAME_BYTES} bytes");
            return Err(Problem::new(400, "invalid_query", detail));
        }
        let generation = request.query_value("generation").map(|text| {
            text.parse().map_err(|_| {
                Problem::new(400, "invalid_query", "generation is a number, such as 42")
            })
        });
        let at_ms = decoded(request, "at")?.map(|text| {
            text.parse().ok().or_else(|| parse_rfc3339(&text)).ok_or_else(|| {
                Problem::new(400, "invalid_query", "at is an RFC 3339 time or epoch milliseconds")
            })
        });
        Ok(Self {
            unit_id: unit_id.into_owned(),
            unit_type,
            generation: generation.transpose()?,
            at_ms: at_ms.transpose()?.unwrap_or(request.now_ms),
        })
    }

    /// The context of the look-up: the unit of the path, and what the body or the query says besides.
    fn context<'r>(
        &'r self,
        request: &Request<'r>,
        attributes: Option<&'r str>,
    ) -> Result<Context<'r>, Problem> {
        let mut context = Context::new().unit(self.unit_type.as_str(), self.unit_id.as_str());
        if let Some(json) = attributes {
            let raw = Raw::read(json.as_bytes()).map_err(|error| {
                let detail = format!("attributes is a JSON object, percent-encoded: {error}");
                Problem::new(400, "invalid_query", detail)
            })?;
            context = context::attributes(context, context::members(raw, "/attributes")?);
        }
        if request.method != "POST" || request.body.is_empty() {
            return Ok(context);
        }
        // Besides the id: further units, attributes and prior assignments.
        let body = context::object(request.body)?;
        if let Some(units) = body.member("units")? {
            // The first id of a type counts: the one of the path.
            context.units.extend(context::units(units, "/units")?);
        }
        if let Some(attributes) = body.member("attributes")? {
            let members = context::members(attributes, "/attributes")?;
            context = context::attributes(context, members);
        }
        match body.member("prior")? {
            Some(prior) => context::priors(context, prior, "/prior"),
            None => Ok(context),
        }
    }
}

/// A query parameter, percent-decoded.
fn decoded(request: &Request<'_>, name: &str) -> Result<Option<String>, Problem> {
    let Some(raw) = request.query_value(name) else { return Ok(None) };
    match percent_decode(raw) {
        Some(text) => Ok(Some(text.into_owned())),
        None => Err(Problem::new(400, "invalid_query", format!("{name} is not UTF-8"))),
    }
}

fn push_assignment(body: &mut Vec<u8>, assignment: &Assignment<'_>) {
    let decision = &assignment.decision;
    body.extend_from_slice(br#"{"experiment":"#);
    push_json_string(body, assignment.experiment);
    body.extend_from_slice(br#","key":"#);
    body.extend_from_slice(&to_json(&assignment.flag_key));
    body.extend_from_slice(br#","status":"#);
    push_json_string(body, assignment.status);
    body.extend_from_slice(br#","unit_type":"#);
    push_json_string(body, assignment.unit_type);
    body.extend_from_slice(br#","variant":"#);
    body.extend_from_slice(&to_json(&decision.variant()));
    body.extend_from_slice(br#","value":"#);
    body.extend_from_slice(decision.value().unwrap_or("null").as_bytes());
    body.extend_from_slice(format!(r#","enrolled":{},"detail":"#, decision.enrolled()).as_bytes());
    body.extend_from_slice(&to_json(&decision.reason()));
    body.extend_from_slice(br#","reason":"#);
    push_json_string(body, decision.reason().as_str());
    body.push(b'}');
}
