//! A context out of JSON. What cannot be read counts as missing, as it does at the edge.
//!
//! Numbers are read by JavaScript, which rounds them as exactly as the edge does: a reader of floats would be a tenth of what a page has to load.

use eval_core::{AttributeValue, Context, MAX_LIST_LEN, MAX_STRING_BYTES};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

#[derive(Deserialize, Default)]
struct Json<'r> {
    #[serde(borrow, default)]
    units: Members<'r>,
    #[serde(borrow, default)]
    attributes: Members<'r>,
}

/// The members of an object in order, their values unread, so that an odd one costs no other.
#[derive(Default)]
struct Members<'r>(Vec<(Cow<'r, str>, &'r RawValue)>);

impl<'de: 'r, 'r> Deserialize<'de> for Members<'r> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(name), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

pub(crate) fn read(json: &str) -> Context<'_> {
    let json: Json<'_> = serde_json::from_str(json).unwrap_or_default();
    let mut context = Context::new();
    for (unit_type, id) in json.units.0 {
        if let Ok(id) = serde_json::from_str::<String>(id.get()) {
            context = context.unit(unit_type, id);
        }
    }
    for (name, value) in json.attributes.0 {
        if let Some(value) = read_value(value.get()) {
            context = context.attribute(name, value);
        }
    }
    context
}

/// A value of an attribute, in the words of `AttributeValue`'s own reader.
fn read_value(json: &str) -> Option<AttributeValue<'static>> {
    match json.as_bytes().first()? {
        b'"' => {
            let text: String = serde_json::from_str(json).ok()?;
            let fits = text.len() <= MAX_STRING_BYTES;
            Some(if fits { AttributeValue::String(text.into()) } else { AttributeValue::Opaque })
        }
        b't' => Some(AttributeValue::Bool(true)),
        b'f' => Some(AttributeValue::Bool(false)),
        b'n' | b'{' => Some(AttributeValue::Opaque),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(json).ok()?;
            let is_plain = |item: &&RawValue| !item.get().starts_with(['[', '{', 'n']);
            if items.len() > MAX_LIST_LEN || !items.iter().all(is_plain) {
                return Some(AttributeValue::Opaque);
            }
            let items: Vec<_> =
                items.iter().map(|item| read_value(item.get())).collect::<Option<_>>()?;
            let fit = !items.contains(&AttributeValue::Opaque);
            Some(if fit { AttributeValue::List(items) } else { AttributeValue::Opaque })
        }
        _ => Some(number(json)).filter(|number| number.is_finite()).map(AttributeValue::Number),
    }
}

#[cfg(target_arch = "wasm32")]
fn number(text: &str) -> f64 {
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_name = Number)]
        fn to_number(text: &str) -> f64;
    }
    to_number(text)
}

#[cfg(not(target_arch = "wasm32"))]
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_their_own_reader_reads_them() {
        let long = format!("\"{}\"", "x".repeat(100_000));
        let many = format!("[{}1]", "1,".repeat(100_000));
        let texts = [
            "1",
            "-0",
            "-0.0",
            "1.5",
            "1e3",
            "1e999",
            "-1e999",
            "0.1",
            "9007199254740993",
            "18446744073709551615",
            "123456789012345678901234567890",
            "3.7283736e-299",
            "true",
            "false",
            "null",
            "{}",
            "{\"a\":[1]}",
            "[]",
            "[1,\"a\",true]",
            "[[1]]",
            "[null]",
            "[1e999]",
            "\"\"",
            "\"a\\u00e4\\n\"",
            &long,
            &many,
        ];
        for text in texts {
            let expected = serde_json::from_str::<AttributeValue<'_>>(text).ok();
            let shown = text.get(..40).unwrap_or(text);
            assert_eq!(format!("{:?}", read_value(text)), format!("{expected:?}"), "{shown}");
        }
    }
}
