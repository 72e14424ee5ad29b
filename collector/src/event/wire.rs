//! An event as it stands in a request, every value still as its JSON text.
//!
//! Keeping the texts costs one scan and lets validation name the exact field that is wrong, keep
//! numbers digit by digit, and copy strings only when they contain escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Text;

/// The JSON text of a value; `null` counts as absent.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// The fields of every kind of event. What is not known is ignored.
#[derive(serde::Deserialize)]
pub(super) struct WireEvent<'a> {
    #[serde(borrow, default)]
    pub(super) event_id: Raw<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) units: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) unit_type: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) unit_id: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) timestamp: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) sent_at: Raw<'a>,
    #[serde(borrow, default, alias = "context")]
    pub(super) attributes: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) producer_id: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) producer_seq: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) sdk: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) consent: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) experiment: Raw<'a>,
    #[serde(borrow, default, alias = "flag_key")]
    pub(super) flag: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) variant: Raw<'a>,
    #[serde(borrow, default, alias = "layer_id")]
    pub(super) layer: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) bucket: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) reason: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) generation: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) evaluator_version: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) holdout: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) name: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) value: Raw<'a>,
    #[serde(borrow, default)]
    pub(super) properties: Raw<'a>,
}

/// The JSON type of a value, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JsonType {
    Text,
    Number,
    Bool,
    Null,
    List,
    Object,
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

pub(super) fn json_type(raw: &RawValue) -> JsonType {
    match raw.get().as_bytes().first() {
        Some(b'"') => JsonType::Text,
        Some(b't' | b'f') => JsonType::Bool,
        Some(b'[') => JsonType::List,
        Some(b'{') => JsonType::Object,
        Some(b'n') | None => JsonType::Null,
        Some(_) => JsonType::Number,
    }
}

/// The content of a JSON string; none when it is another type or no valid Unicode.
pub(super) fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = raw.get();
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str::<String>(quoted).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// The entries of a JSON object, in order.
pub(super) struct Entries<'a>(pub(super) Vec<(Text<'a>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(4));
                while let Some(entry) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}
