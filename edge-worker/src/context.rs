//! Units, attributes and prior assignments, read from JSON without trusting it.
//!
//! A body that is not what the endpoint promises is refused with the field's name. An attribute that is well-formed JSON but absurd
//! (nested, huge, a number beyond a double, half a surrogate pair) counts as missing instead, because a page must never lose
//! its whole evaluation over one odd attribute. Nothing here recurses: a value that is not wanted is skipped as raw text.

use std::borrow::Cow;

use eval_core::{AttributeValue, Context, MAX_LIST_LEN, MAX_STRING_BYTES};

use crate::json::{Members, ObjectError, Raw};
use crate::response::Problem;

/// Bytes that a unit id may have.
pub(crate) const MAX_UNIT_BYTES: usize = 256;
/// Bytes that the name of a unit type, attribute, flag or experiment may have.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// Attributes of one request; the ones after these count as missing.
const MAX_ATTRIBUTES: usize = 1000;
/// Units, and prior assignments, of one request.
const MAX_UNITS: usize = 32;
const MAX_PRIORS: usize = 1000;

/// The units of a request, `(unit type, unit id)`.
pub(crate) type Units<'r> = Vec<(Cow<'r, str>, Cow<'r, str>)>;

/// Reads a body that must be a JSON object.
pub(crate) fn object(body: &[u8]) -> Result<Body<'_>, Problem> {
    Members::read(body).map(Body).map_err(not_an_object)
}

fn not_an_object(error: ObjectError) -> Problem {
    let (code, detail) = match error {
        ObjectError::Malformed(at) => ("malformed_json", format!("the body is not JSON: {at}")),
        ObjectError::WrongType => {
            let rule = "the body must be a JSON object, each member at most once";
            ("wrong_type", rule.to_owned())
        }
    };
    Problem::field("", code, detail)
}

/// The members of a body, unread.
pub(crate) struct Body<'r>(Members<'r>);

impl<'r> Body<'r> {
    /// One of them; `None` where it is absent or `null`.
    pub(crate) fn member(&self, name: &str) -> Result<Option<Raw<'r>>, Problem> {
        self.0.member(name).map_err(not_an_object)
    }
}

/// Reads the members of an object that must be one.
pub(crate) fn members<'r>(raw: Raw<'r>, pointer: &str) -> Result<Members<'r>, Problem> {
    raw.members().ok_or_else(|| Problem::field(pointer, "wrong_type", "must be an object"))
}

/// Reads a string that must be one, of at most `max` bytes and not empty. `null` counts as absent.
pub(crate) fn bounded_text<'r>(
    raw: Raw<'r>,
    pointer: &str,
    max: usize,
) -> Result<Option<Cow<'r, str>>, Problem> {
    if raw.is_null() {
        return Ok(None);
    }
    let text =
        raw.text().ok_or_else(|| Problem::field(pointer, "wrong_type", "must be a string"))?;
    match text.len() {
        0 => Err(Problem::field(pointer, "too_short", "must not be empty")),
        len if len > max => {
            Err(Problem::field(pointer, "too_long", format!("must be at most {max} bytes")))
        }
        _ => Ok(Some(text)),
    }
}

/// Reads `{"user_id": "u-1", …}`.
pub(crate) fn units<'r>(raw: Raw<'r>, pointer: &str) -> Result<Units<'r>, Problem> {
    let Members(members) = members(raw, pointer)?;
    if members.len() > MAX_UNITS {
        return Err(Problem::field(
            pointer,
            "too_many",
            format!("must name at most {MAX_UNITS} units"),
        ));
    }
    let mut units = Vec::with_capacity(members.len());
    for (unit_type, value) in members {
        let pointer = format!("{pointer}/{}", escape(&unit_type));
        if unit_type.is_empty() || unit_type.len() > MAX_NAME_BYTES {
            return Err(Problem::field(
                pointer,
                "too_long",
                format!("a unit type has 1 to {MAX_NAME_BYTES} bytes"),
            ));
        }
        if let Some(unit_id) = bounded_text(value, &pointer, MAX_UNIT_BYTES)? {
            units.push((unit_type, unit_id));
        }
    }
    Ok(units)
}

/// Reads `{"experiment": "variant", …}` into the context.
pub(crate) fn priors<'r>(
    mut context: Context<'r>,
    raw: Raw<'r>,
    pointer: &str,
) -> Result<Context<'r>, Problem> {
    let Members(members) = members(raw, pointer)?;
    if members.len() > MAX_PRIORS {
        return Err(Problem::field(
            pointer,
            "too_many",
            format!("must name at most {MAX_PRIORS} experiments"),
        ));
    }
    for (experiment, value) in members {
        let pointer = format!("{pointer}/{}", escape(&experiment));
        if let Some(variant) = bounded_text(value, &pointer, MAX_NAME_BYTES)? {
            context = context.prior(experiment, variant);
        }
    }
    Ok(context)
}

/// Adds the attributes that make sense to the context; the others count as missing.
pub(crate) fn attributes<'r>(
    mut context: Context<'r>,
    Members(members): Members<'r>,
) -> Context<'r> {
    for (name, raw) in members.into_iter().take(MAX_ATTRIBUTES) {
        if name.len() <= MAX_NAME_BYTES
            && let Some(value) = attribute(raw)
        {
            context = context.attribute(name, value);
        }
    }
    context
}

/// One attribute value; `None` when it is `null` or absurd. What JSON allows and a value cannot hold (a number beyond a double, half a
/// surrogate pair, a list in a list) is absurd alone, whatever stands beside it.
fn attribute(raw: Raw<'_>) -> Option<AttributeValue<'_>> {
    let value = match raw.items() {
        Some(items) if items.len() > MAX_LIST_LEN => return None,
        Some(items) => AttributeValue::List(items.into_iter().map(scalar).collect::<Option<_>>()?),
        None => scalar(raw)?,
    };
    Some(value)
}

fn scalar(raw: Raw<'_>) -> Option<AttributeValue<'_>> {
    if let Some(text) = raw.text() {
        return (text.len() <= MAX_STRING_BYTES).then_some(AttributeValue::String(text));
    }
    let boolean = raw.boolean().map(AttributeValue::Bool);
    boolean.or_else(|| raw.number().map(AttributeValue::Number))
}

/// Escapes a name for use in a JSON pointer, shortened so that an error never echoes a huge name.
pub(crate) fn escape(name: &str) -> String {
    name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Raw<'_> {
        Raw::read(json.as_bytes()).unwrap()
    }

    fn read(json: &str) -> Option<AttributeValue<'_>> {
        attribute(raw(json))
    }

    #[test]
    fn plain_attributes_are_read() {
        assert_eq!(read("true"), Some(AttributeValue::Bool(true)));
        assert_eq!(read("-1.5e3"), Some(AttributeValue::Number(-1500.0)));
        assert_eq!(read(r#""DE\u00e9""#), Some(AttributeValue::String("DEé".into())));
        assert_eq!(
            read(r#"["a", 1, false]"#),
            Some(AttributeValue::List(vec![
                AttributeValue::String("a".into()),
                AttributeValue::Number(1.0),
                AttributeValue::Bool(false)
            ]))
        );
    }

    #[test]
    fn absurd_attributes_count_as_missing() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let long = format!("\"{}\"", "x".repeat(5000));
        let many = format!("[{}1]", "1,".repeat(2000));
        for json in [
            "null",
            "{}",
            r#"{"a":1}"#,
            "1e999",
            r#""\ud800""#,
            "[[1]]",
            "[null]",
            &deep,
            &long,
            &many,
        ] {
            assert_eq!(read(json), None, "{}", &json[..json.len().min(40)]);
        }
    }

    #[test]
    fn a_deep_member_of_a_body_is_skipped_without_recursion() {
        let body = format!(r#"{{"a":{}1{},"b":true}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let Members(members) = Members::read(body.as_bytes()).unwrap();
        assert_eq!(members.len(), 2);
        assert_eq!(members[1].1.get(), "true");
    }

    #[test]
    fn unit_errors_point_at_the_unit() {
        let long = format!(r#"{{"user_id":"{}"}}"#, "x".repeat(257));
        let cases = [
            (r#"{"user_id":5}"#, "/units/user_id", "wrong_type"),
            (r#"{"a/b":""}"#, "/units/a~1b", "too_short"),
            (long.as_str(), "/units/user_id", "too_long"),
            ("[]", "/units", "wrong_type"),
        ];
        for (json, pointer, code) in cases {
            let problem = units(raw(json), "/units").unwrap_err();
            assert_eq!(
                (problem.errors[0].pointer.as_str(), problem.errors[0].code),
                (pointer, code)
            );
        }
        let raw = raw(r#"{"user_id":"u","anonymous_id":null}"#);
        assert_eq!(units(raw, "/units").unwrap(), [("user_id".into(), "u".into())]);
    }
}
