//! Units, attributes and prior assignments, read from JSON without trusting it.
//!
//! A body that is not what the endpoint promises is refused with the field's name. An attribute that is well-formed JSON but absurd
//! (nested, huge, a number beyond a double, half a surrogate pair) counts as missing instead, because a page must never lose
//! its whole evaluation over one odd attribute. Nothing here recurses: a value that is not wanted is skipped as raw text.

use std::borrow::Cow;
use std::fmt;

use eval_core::{AttributeValue, Context};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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

/// A JSON string, borrowed when it has no escapes.
pub(crate) struct Text<'r>(pub(crate) Cow<'r, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The members of a JSON object in order, their values unread.
pub(crate) struct Members<'r>(pub(crate) Vec<(Cow<'r, str>, &'r RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Reads a body that must be a JSON object.
pub(crate) fn object<'r, T: Deserialize<'r>>(body: &'r [u8]) -> Result<T, Problem> {
    let wrong_type = || {
        Problem::field("", "wrong_type", "the body must be a JSON object, each member at most once")
    };
    let malformed =
        |error| Problem::field("", "malformed_json", format!("the body is not JSON: {error}"));
    // Derived structs would also take an array, member by member.
    if body.trim_ascii_start().first() != Some(&b'{') {
        serde_json::from_slice::<de::IgnoredAny>(body).map_err(malformed)?;
        return Err(wrong_type());
    }
    serde_json::from_slice(body)
        .map_err(|error| if error.is_data() { wrong_type() } else { malformed(error) })
}

/// Reads the members of an object that must be one.
pub(crate) fn members<'r>(raw: &'r RawValue, pointer: &str) -> Result<Members<'r>, Problem> {
    serde_json::from_str(raw.get())
        .map_err(|_| Problem::field(pointer, "wrong_type", "must be an object"))
}

/// Reads a string that must be one, of at most `max` bytes and not empty. `null` counts as absent.
pub(crate) fn bounded_text<'r>(
    raw: &'r RawValue,
    pointer: &str,
    max: usize,
) -> Result<Option<Cow<'r, str>>, Problem> {
    if raw.get() == "null" {
        return Ok(None);
    }
    let Text(text) = serde_json::from_str(raw.get())
        .map_err(|_| Problem::field(pointer, "wrong_type", "must be a string"))?;
    match text.len() {
        0 => Err(Problem::field(pointer, "too_short", "must not be empty")),
        len if len > max => {
            Err(Problem::field(pointer, "too_long", format!("must be at most {max} bytes")))
        }
        _ => Ok(Some(text)),
    }
}

/// Reads `{"user_id": "u-1", …}`.
pub(crate) fn units<'r>(raw: &'r RawValue, pointer: &str) -> Result<Units<'r>, Problem> {
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
    raw: &'r RawValue,
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
    members: Vec<(Cow<'r, str>, &'r RawValue)>,
) -> Context<'r> {
    for (name, raw) in members.into_iter().take(MAX_ATTRIBUTES) {
        if name.len() <= MAX_NAME_BYTES
            && let Some(value) = attribute(raw.get())
        {
            context = context.attribute(name, value);
        }
    }
    context
}

/// One attribute value; `None` when it is `null` or absurd.
fn attribute(raw: &str) -> Option<AttributeValue<'_>> {
    // What JSON allows and a value cannot hold (a number beyond a double, half a surrogate pair, a deep nest) fails here alone.
    serde_json::from_str(raw).ok().filter(|value| *value != AttributeValue::Opaque)
}

/// Escapes a name for use in a JSON pointer, shortened so that an error never echoes a huge name.
pub(crate) fn escape(name: &str) -> String {
    name.chars().take(64).collect::<String>().replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<AttributeValue<'_>> {
        attribute(json)
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
        let Members(members) = serde_json::from_str(&body).unwrap();
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
            let raw: &RawValue = serde_json::from_str(json).unwrap();
            let problem = units(raw, "/units").unwrap_err();
            assert_eq!(
                (problem.errors[0].pointer.as_str(), problem.errors[0].code),
                (pointer, code)
            );
        }
        let raw: &RawValue =
            serde_json::from_str(r#"{"user_id":"u","anonymous_id":null}"#).unwrap();
        assert_eq!(units(raw, "/units").unwrap(), [("user_id".into(), "u".into())]);
    }
}
