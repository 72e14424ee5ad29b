//! A context out of JSON. What cannot be read counts as missing, as it does at the edge.

use eval_core::{AttributeValue, Context};
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
        if let Ok(value) = serde_json::from_str::<AttributeValue<'_>>(value.get()) {
            context = context.attribute(name, value);
        }
    }
    context
}
