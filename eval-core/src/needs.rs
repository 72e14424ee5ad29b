//! What a context would have to be for a condition to come out the other way.

use crate::config::AttributeId;
use crate::context::AttributeValue;
use crate::evaluate::Request;
use crate::explain::NoTrace;
use crate::targeting::{Comparison, LiteralRow, Network, Node, NodeId, Operator};
use serde::{Serialize, Serializer};
use std::net::{IpAddr, Ipv6Addr};

/// Comparisons that an answer may hold.
const MAX_NEEDS: usize = 100;

/// Values of a comparison that are written out.
const MAX_VALUES: usize = 100;

/// What is missing from a context.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Need {
    /// All of these.
    All {
        /// What is needed together.
        all: Vec<Need>,
    },
    /// One of these.
    Any {
        /// The alternatives.
        any: Vec<Need>,
    },
    /// An attribute with another value.
    Attribute {
        /// Its name.
        attribute: String,
        /// Operator.
        op: &'static str,
        /// What the attribute is compared with; at most 100 of them.
        values: Vec<Value>,
        /// Number of values in the config.
        n_values: usize,
        /// Whether the comparison must become true, or false.
        matches: bool,
        /// What the context has.
        given: Option<Value>,
    },
    /// A place in a segment's list, or none.
    Listed {
        /// Key of the segment.
        segment: String,
        /// `include` or `exclude`.
        list: &'static str,
        /// Whether the unit must stand in it, or must not.
        listed: bool,
    },
    /// Nothing can change this part.
    Impossible {
        /// Always true.
        impossible: bool,
    },
    /// There is more than an answer holds.
    Truncated {
        /// Always true.
        truncated: bool,
    },
}

/// A value, as JSON has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A number; also times, in epoch milliseconds.
    Number(f64),
    /// A text; also networks, patterns and versions.
    Text(String),
    /// A list.
    List(Vec<Value>),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
        }
    }
}

impl Value {
    fn of(value: &AttributeValue<'_>) -> Option<Self> {
        match value {
            AttributeValue::Bool(value) => Some(Self::Bool(*value)),
            AttributeValue::Number(value) => Some(Self::Number(*value)),
            AttributeValue::String(text) => Some(Self::Text(text.clone().into_owned())),
            AttributeValue::List(list) => {
                Some(Self::List(list.iter().take(MAX_VALUES).filter_map(Self::of).collect()))
            }
            AttributeValue::Opaque => None,
        }
    }
}

/// Room for the comparisons of one answer.
#[derive(Debug)]
pub(crate) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_NEEDS)
    }
}

impl Request<'_> {
    /// What would make a condition come out as wanted; none when it does already.
    pub(crate) fn need(&mut self, id: NodeId, wanted: bool, room: &mut Room) -> Option<Need> {
        if self.holds(id, &mut NoTrace) == wanted {
            return None;
        }
        let config = self.config;
        if let Some(comparison) = config.comparisons.get(id.0 as usize) {
            return Some(self.of_comparison(comparison, wanted, room));
        }
        let at = (id.0 as usize).saturating_sub(config.comparisons.len());
        Some(match config.nodes.get(at) {
            Some(Node::All(span)) => {
                self.of_children(span.of(&config.children), wanted, wanted, room)
            }
            Some(Node::Any(span)) => {
                self.of_children(span.of(&config.children), wanted, !wanted, room)
            }
            Some(Node::Not(child)) => self.need(*child, !wanted, room)?,
            Some(Node::Segment(segment)) => self.of_segment(segment.0, id, wanted, room),
            Some(Node::Never) | None => Need::Impossible { impossible: true },
        })
    }

    fn of_children(
        &mut self,
        children: &[NodeId],
        wanted: bool,
        together: bool,
        room: &mut Room,
    ) -> Need {
        let mut needs = Vec::new();
        for &child in children {
            if room.0 == 0 {
                needs.push(Need::Truncated { truncated: true });
                break;
            }
            needs.extend(self.need(child, wanted, room));
        }
        match (needs.len(), needs.pop()) {
            // No child could make it so: an empty list of conditions.
            (_, None) => Need::Impossible { impossible: true },
            (1, Some(only)) => only,
            (_, Some(last)) => {
                needs.push(last);
                if together { Need::All { all: needs } } else { Need::Any { any: needs } }
            }
        }
    }

    fn of_comparison(&self, comparison: &Comparison, wanted: bool, room: &mut Room) -> Need {
        let Some(operator) = Operator::from_code(comparison.op) else {
            return Need::Impossible { impossible: true };
        };
        room.0 = room.0.saturating_sub(1);
        let name = self.attribute_name(comparison.attribute);
        let literals = comparison.literals.of(&self.config.literals);
        let texts = comparison.texts.of(&self.config.texts);
        let values = literals.iter().map(|literal| self.literal(literal));
        let values =
            values.chain(texts.iter().map(|text| Value::Text(self.name(text.id).to_owned())));
        Need::Attribute {
            attribute: name.to_owned(),
            op: operator.as_str(),
            values: values.take(MAX_VALUES).collect(),
            n_values: literals.len().saturating_add(texts.len()),
            matches: wanted,
            given: self.context.value(name).and_then(Value::of),
        }
    }

    fn attribute_name(&self, id: AttributeId) -> &str {
        self.config.attributes.get(id.0 as usize).map_or("", |name| self.name(name.id))
    }

    fn of_segment(&mut self, at: u32, node: NodeId, wanted: bool, room: &mut Room) -> Need {
        let config = self.config;
        let Some(segment) = config.segments.get(at as usize) else {
            return Need::Impossible { impossible: true };
        };
        room.0 = room.0.saturating_sub(1);
        let name = self.name(segment.key).to_owned();
        let unit = self.unit_id(segment.unit_type);
        let excluded = unit.is_some_and(|unit| {
            self.list_position(segment.unit_type, unit, segment.exclude).is_some()
        });
        let included = unit.is_some_and(|unit| {
            self.list_position(segment.unit_type, unit, segment.include).is_some()
        });
        let listed = |list, listed| Need::Listed { segment: name.clone(), list, listed };
        if wanted && excluded {
            return listed("exclude", false);
        }
        if !wanted && included {
            return Need::Any { any: vec![listed("include", false), listed("exclude", true)] };
        }
        let condition = segment.condition.filter(|condition| *condition < node);
        let needs = condition.and_then(|condition| self.need(condition, wanted, room));
        let list = if wanted { listed("include", true) } else { listed("exclude", true) };
        match needs {
            Some(needs) => Need::Any { any: vec![needs, list] },
            None => list,
        }
    }

    fn literal(&self, literal: &LiteralRow) -> Value {
        match literal {
            LiteralRow::Bool(value) => Value::Bool(*value),
            LiteralRow::Number(value) => Value::Number(*value),
            #[expect(clippy::cast_precision_loss, reason = "epoch milliseconds are far below 2^53")]
            LiteralRow::Time(ms) => Value::Number(*ms as f64),
            LiteralRow::Network(network) => Value::Text(network_text(network)),
            LiteralRow::Pattern(at) => {
                let source = self.config.patterns.sources.get(*at as usize);
                Value::Text(source.map_or("", |&id| self.name(id)).to_owned())
            }
        }
    }
}

fn network_text(network: &Network) -> String {
    let address = Ipv6Addr::from(network.address);
    match address.to_ipv4_mapped() {
        Some(v4) if network.prefix_bits >= 96 => {
            format!("{}/{}", IpAddr::V4(v4), network.prefix_bits.saturating_sub(96))
        }
        _ => format!("{address}/{}", network.prefix_bits),
    }
}
