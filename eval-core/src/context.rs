//! Everything known about one request: its unit ids, its attributes, its prior assignments.

use crate::strings::{StringTable, Word};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Longest string attribute, in bytes, that conditions look at; a longer one counts as missing.
pub const MAX_STRING_BYTES: usize = 4096;

/// Most elements of a list attribute; a longer list counts as missing.
pub const MAX_LIST_LEN: usize = 1024;

/// A value of an attribute. Types never coerce: `"1"` is not `1`.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue<'r> {
    /// `true` or `false`.
    Bool(bool),
    /// Any JSON number.
    Number(f64),
    /// A string.
    String(Cow<'r, str>),
    /// A list of booleans, numbers and strings.
    List(Vec<AttributeValue<'r>>),
    /// Present but of no use to a condition: null, an object, a nested list, something absurdly
    /// large. Counts as missing everywhere.
    Opaque,
}

impl From<bool> for AttributeValue<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for AttributeValue<'_> {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl<'r> From<&'r str> for AttributeValue<'r> {
    fn from(value: &'r str) -> Self {
        Self::string(Cow::Borrowed(value))
    }
}

impl From<String> for AttributeValue<'_> {
    fn from(value: String) -> Self {
        Self::string(Cow::Owned(value))
    }
}

impl<'r, T: Into<AttributeValue<'r>>> From<Vec<T>> for AttributeValue<'r> {
    fn from(values: Vec<T>) -> Self {
        if values.len() > MAX_LIST_LEN {
            return Self::Opaque;
        }
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<'r> AttributeValue<'r> {
    fn string(text: Cow<'r, str>) -> Self {
        if text.len() > MAX_STRING_BYTES { Self::Opaque } else { Self::String(text) }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads any JSON value; what conditions cannot use becomes [`AttributeValue::Opaque`] instead of an error.
impl<'de> Deserialize<'de> for AttributeValue<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = AttributeValue<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(AttributeValue::Bool(value))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "JSON numbers are compared as f64, as in every client language"
    )]
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(AttributeValue::Number(value as f64))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "JSON numbers are compared as f64, as in every client language"
    )]
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(AttributeValue::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(AttributeValue::Number(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(AttributeValue::string(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        if value.len() > MAX_STRING_BYTES {
            return Ok(AttributeValue::Opaque);
        }
        Ok(AttributeValue::String(Cow::Owned(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(AttributeValue::Opaque)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(AttributeValue::Opaque)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        let mut usable = true;
        while let Some(value) = seq.next_element::<AttributeValue<'de>>()? {
            usable &= values.len() < MAX_LIST_LEN
                && !matches!(value, AttributeValue::List(_) | AttributeValue::Opaque);
            if usable {
                values.push(value);
            }
        }
        Ok(if usable { AttributeValue::List(values) } else { AttributeValue::Opaque })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(AttributeValue::Opaque)
    }
}

/// One request's unit ids, attributes and prior assignments.
///
/// Where a name occurs twice, the first one counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context<'r> {
    /// Unit type → unit id.
    pub units: Vec<(Cow<'r, str>, Cow<'r, str>)>,
    /// Attribute name → value.
    pub attributes: Vec<(Cow<'r, str>, AttributeValue<'r>)>,
    /// Experiment key → variant that the unit was given before.
    pub prior: Vec<(Cow<'r, str>, Cow<'r, str>)>,
}

impl<'r> Context<'r> {
    /// Knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a unit id.
    #[must_use]
    pub fn unit(
        mut self,
        unit_type: impl Into<Cow<'r, str>>,
        unit_id: impl Into<Cow<'r, str>>,
    ) -> Self {
        self.units.push((unit_type.into(), unit_id.into()));
        self
    }

    /// Adds an attribute.
    #[must_use]
    pub fn attribute(
        mut self,
        name: impl Into<Cow<'r, str>>,
        value: impl Into<AttributeValue<'r>>,
    ) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Adds a prior assignment.
    #[must_use]
    pub fn prior(
        mut self,
        experiment: impl Into<Cow<'r, str>>,
        variant: impl Into<Cow<'r, str>>,
    ) -> Self {
        self.prior.push((experiment.into(), variant.into()));
        self
    }

    /// The id of a unit type, if the request has a usable one (1 to 256 bytes).
    pub fn unit_id(&self, unit_type: &str) -> Option<&str> {
        self.unit_named(unit_type).map(AsRef::as_ref)
    }

    pub(crate) fn unit_named(&self, unit_type: &str) -> Option<&Cow<'r, str>> {
        usable(&self.units.iter().find(|(name, _)| name == unit_type)?.1)
    }

    /// [`Context::unit_id`] of a unit type of the config.
    #[inline(always)]
    pub(crate) fn unit_id_of(
        &self,
        unit_type: &Word,
        strings: &StringTable<'_>,
    ) -> Option<&Cow<'r, str>> {
        for (name, id) in &self.units {
            if unit_type.is(name, strings) {
                return usable(id);
            }
        }
        None
    }

    /// [`Context::value`] of an attribute of the config.
    #[inline(always)]
    pub(crate) fn value_of(
        &self,
        attribute: &Word,
        strings: &StringTable<'_>,
    ) -> Option<&AttributeValue<'r>> {
        for (name, value) in &self.attributes {
            if attribute.is(name, strings) {
                return (!matches!(value, AttributeValue::Opaque)).then_some(value);
            }
        }
        None
    }

    /// The value of an attribute, unless it is missing or [`AttributeValue::Opaque`].
    pub fn value(&self, name: &str) -> Option<&AttributeValue<'r>> {
        let value = &self.attributes.iter().find(|(known, _)| known == name)?.1;
        (!matches!(value, AttributeValue::Opaque)).then_some(value)
    }

    /// The variant that the unit was given before.
    pub fn prior_variant(&self, experiment: &str) -> Option<&str> {
        Some(self.prior.iter().find(|(name, _)| name == experiment)?.1.as_ref())
    }
}

#[inline]
fn usable<'c, 'r>(id: &'c Cow<'r, str>) -> Option<&'c Cow<'r, str>> {
    (!id.is_empty() && id.len() <= crate::bucket::MAX_UNIT_BYTES).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_values_and_absurdities_become_opaque() {
        let parse = |text: &'static str| serde_json::from_str::<AttributeValue<'_>>(text).unwrap();
        assert_eq!(parse("true"), AttributeValue::Bool(true));
        assert_eq!(parse("3"), AttributeValue::Number(3.0));
        assert_eq!(parse("\"a\""), AttributeValue::from("a"));
        assert_eq!(parse("\"a\\n\""), AttributeValue::from("a\n"));
        assert_eq!(parse("[\"a\",1]"), AttributeValue::List(vec!["a".into(), 1.0.into()]));
        for opaque in ["null", "{\"a\":{\"b\":[1]}}", "[[1]]", "[null]"] {
            assert_eq!(parse(opaque), AttributeValue::Opaque, "{opaque}");
        }
        let long = format!("\"{}\"", "x".repeat(MAX_STRING_BYTES + 1));
        assert_eq!(
            serde_json::from_str::<AttributeValue<'_>>(&long).unwrap(),
            AttributeValue::Opaque
        );
    }

    #[test]
    fn unit_ids_outside_the_allowed_lengths_count_as_absent() {
        let long = "x".repeat(257);
        let context =
            Context::new().unit("user_id", "").unit("device_id", long.as_str()).unit("a", "1");
        assert_eq!(context.unit_id("user_id"), None);
        assert_eq!(context.unit_id("device_id"), None);
        assert_eq!(context.unit_id("a"), Some("1"));
    }
}
