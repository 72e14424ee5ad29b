//! The client form of a config: what a browser may hold, evaluated by the same evaluator.
//!
//! `form` (feature `client-forms`) turns the config of an environment into one that names nothing: keys of flags and experiments, attributes, unit types,
//! and texts that attributes are compared with become hashes ([`Names`]). A client that knows the key it asks for finds it; nobody
//! reads from the form what else there is. Left out altogether are SDK keys, lists of unit ids, names of layers, holdouts and
//! segments, and values that cannot be served.
//!
//! | stays readable | why |
//! | --- | --- |
//! | environment id | it stands in every SDK key |
//! | names and values of variants that can be served | they are what is asked for |
//! | numbers, booleans, times and versions that attributes are compared with | an order cannot be kept under a hash |
//! | bucket ranges and hash states of salts | they decide; salts themselves cannot be read from them |
//!
//! The hashes keep nobody from trying a dictionary of likely names. What must be secret is not compared on the client: a
//! key goes to the edge, and stands in the form as a hash alone, when its decision needs an attribute that only
//! servers know, a list of unit ids, a prior assignment (which stands in a signed cookie), a text that must be
//! readable to be compared (`contains`, `starts_with`, `ends_with`, `matches`, `ip_in`), or another key that goes there.
//!
//! Equal configs have equal forms. For every key that is in the form and every context, [`evaluate`] decides what
//! [`Request::evaluate`](crate::Request::evaluate) decides over the whole config.

mod names;
#[cfg(feature = "client-forms")]
mod reach;
#[cfg(feature = "client-forms")]
mod rebuild;
#[cfg(feature = "client-forms")]
mod tables;

pub use names::{NAME_HASH_BYTES, NameHash, Names};
#[cfg(feature = "client-forms")]
pub use rebuild::form;

use crate::config::CompiledConfig;
use crate::context::{AttributeValue, Context};
use crate::decision::Decision;
use crate::evaluate::Request;
use std::borrow::Cow;

/// What a client form says of a key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer<'c> {
    /// The decision. Its names of keys and experiments are hashes; variant, value and unit are as anywhere.
    Decided(Decision<'c>),
    /// Only the edge can decide this key.
    AtEdge,
    /// Nothing has this key.
    NotFound,
}

impl CompiledConfig<'_> {
    /// Whether this is a client form.
    pub fn is_client_form(&self) -> bool {
        self.at_edge.is_some()
    }

    /// Number of keys that a client form leaves to the edge.
    pub fn n_at_edge(&self) -> usize {
        self.at_edge.as_ref().map_or(0, Vec::len)
    }

    /// Attributes that only servers know and that some condition looks at, sorted.
    pub fn server_only_attributes(&self) -> impl Iterator<Item = &str> {
        self.server_only.iter().map(|&id| self.strings.get(id))
    }

    /// The attribute of a name, by binary search: [`CompiledConfig::attributes`] is sorted.
    fn looks_at(&self, name: &str) -> bool {
        self.attributes.binary_search_by(|word| self.strings.get(word.id).cmp(name)).is_ok()
    }
}

/// A context in the names of a client form.
pub fn translate<'r>(config: &CompiledConfig<'_>, context: &Context<'r>) -> Context<'r> {
    let names = Names::new(config.environment());
    let mut translated = Context::new();
    for (unit_type, id) in &context.units {
        translated.units.push((names.attribute(unit_type).into(), id.clone()));
    }
    for (name, value) in &context.attributes {
        let same_text = names.compared_attribute(name);
        if config.looks_at(&same_text) {
            translated.attributes.push((same_text.into(), hashed(&names, value)));
        }
        // Also where no condition looks at it: it may name the cluster of a switchback.
        translated.attributes.push((names.attribute(name).into(), value.clone()));
    }
    if let Some(consent) = context.value("consent") {
        translated.attributes.push(("consent".into(), consent.clone()));
    }
    translated
}

/// A value whose texts are hashed, as the values that it is compared with are.
fn hashed<'r>(names: &Names, value: &AttributeValue<'r>) -> AttributeValue<'r> {
    match value {
        AttributeValue::String(text) => AttributeValue::String(Cow::Owned(names.text(text))),
        AttributeValue::List(list) => {
            AttributeValue::List(list.iter().map(|element| hashed(names, element)).collect())
        }
        other => other.clone(),
    }
}

/// Decides a key over a client form. `context` is a [`translate`]d one, `now_ms` the time in epoch milliseconds.
pub fn evaluate<'c>(
    config: &'c CompiledConfig<'c>,
    context: &'c Context<'c>,
    key: &str,
    now_ms: i64,
) -> Answer<'c> {
    let hash = Names::new(config.environment()).key(key);
    if config.at_edge.as_ref().is_some_and(|keys| keys.binary_search(&hash).is_ok()) {
        return Answer::AtEdge;
    }
    let decision = Request::new(config, context, None, now_ms).evaluate(&names::text_of(&hash));
    if decision.key().is_empty() { Answer::NotFound } else { Answer::Decided(decision) }
}
