//! Conditions, segments and lists of unit ids, of one request.

use crate::config::{Span, UnitTypeId};
use crate::context::AttributeValue;
use crate::evaluate::Request;
use crate::explain::{Step, Trace};
use crate::fingerprint::unit_fingerprint;
use crate::targeting::{Comparison, Node, NodeId, Operands, Operator, compare, has_text};

impl Request<'_> {
    /// Whether a condition is true of the request.
    #[inline(always)]
    pub(crate) fn holds<T: Trace>(&mut self, id: NodeId, trace: &mut T) -> bool {
        if T::LISTENS || self.memo.is_none() {
            return self.work_out(id, trace);
        }
        if let Some(known) = self.memo.as_ref().and_then(|memo| memo.condition(id)) {
            return known;
        }
        let holds = self.work_out(id, trace);
        if let Some(memo) = self.memo.as_mut() {
            memo.set_condition(id, holds);
        }
        holds
    }

    #[inline(always)]
    fn work_out<T: Trace>(&mut self, id: NodeId, trace: &mut T) -> bool {
        let config = self.config;
        match config.comparisons.get(id.0 as usize) {
            Some(comparison) => self.comparison(comparison, trace),
            None => self.inner_node(id, trace),
        }
    }

    #[inline(never)]
    fn inner_node<T: Trace>(&mut self, id: NodeId, trace: &mut T) -> bool {
        let config = self.config;
        // All until one is false, or any until one is true. What is wrong with the order of nodes counts as false.
        let (children, decisive) =
            match config.nodes.get((id.0 as usize).saturating_sub(config.comparisons.len())) {
                Some(Node::All(children)) => (children.of(&config.children), false),
                Some(Node::Any(children)) => (children.of(&config.children), true),
                Some(Node::Not(child)) => return *child < id && !self.child(*child, trace),
                Some(Node::Segment(segment)) => return self.segment(id, segment.0, trace),
                Some(Node::Never) | None => return false,
            };
        for &child in children {
            if (child < id && self.holds(child, trace)) == decisive {
                return decisive;
            }
        }
        !decisive
    }

    /// [`Request::holds`], once in the program for all who need it rarely.
    #[inline(never)]
    fn child<T: Trace>(&mut self, id: NodeId, trace: &mut T) -> bool {
        self.holds(id, trace)
    }

    #[inline(always)]
    fn comparison<T: Trace>(&self, comparison: &Comparison, trace: &mut T) -> bool {
        let config = self.config;
        let attribute = config.attributes.get(comparison.attribute.0 as usize);
        let value = attribute.and_then(|name| self.context.value_of(name, &config.strings));
        let matched = match value {
            // What nearly every comparison is, without the way through all others.
            Some(AttributeValue::String(text))
                if comparison.op == Operator::In as u8 || comparison.op == Operator::Eq as u8 =>
            {
                has_text(comparison.texts.of(&config.texts), &config.strings, text)
            }
            Some(value) => self.compare(value, comparison),
            None => false,
        };
        if let Some(attribute) = attribute {
            trace.record(|| Step::Comparison {
                attribute: self.name(attribute.id).to_owned(),
                op: Operator::from_code(comparison.op)
                    .map_or("unknown", Operator::as_str)
                    .to_owned(),
                present: value.is_some(),
                matched,
            });
        }
        matched
    }

    #[inline(never)]
    fn compare(&self, value: &AttributeValue<'_>, comparison: &Comparison) -> bool {
        let Some(operator) = Operator::from_code(comparison.op) else { return false };
        let config = self.config;
        let operands = Operands {
            strings: &config.strings,
            patterns: &config.patterns,
            texts: comparison.texts.of(&config.texts),
            literals: comparison.literals.of(&config.literals),
        };
        compare(operator, value, operands)
    }

    fn segment<T: Trace>(&mut self, node: NodeId, at: u32, trace: &mut T) -> bool {
        let config = self.config;
        let Some(segment) = config.segments.get(at as usize) else { return false };
        let unit = self.unit_id(segment.unit_type);
        let mut listed = |this: &mut Self, list: Span, name: &str| {
            let Some(unit) = unit.filter(|_| !list.is_empty()) else { return false };
            let found = this.list_position(segment.unit_type, unit, list).is_some();
            trace.record(|| Step::List {
                list: format!("{name} of {}", this.name(segment.key)),
                searchable: this.list_key.is_some(),
                found,
            });
            found
        };
        let matched = if listed(self, segment.exclude, "exclude") {
            false
        } else if listed(self, segment.include, "include") {
            true
        } else {
            segment
                .condition
                .is_some_and(|condition| condition < node && self.child(condition, trace))
        };
        trace.record(|| Step::Segment { segment: self.name(segment.key).to_owned(), matched });
        matched
    }

    /// Position of a unit in a list of fingerprints.
    pub(crate) fn list_position(
        &mut self,
        unit_type: UnitTypeId,
        unit: &str,
        list: Span,
    ) -> Option<usize> {
        if list.is_empty() {
            return None;
        }
        let key = self.list_key?;
        let name = self.unit_type_name(unit_type);
        // A switchback's slice is not the request's unit of that type, so it is neither kept nor taken from what is kept.
        let plain = self.context.unit_id(name) == Some(unit);
        let fingerprint = match self.fingerprint {
            Some((known, fingerprint)) if plain && known == unit_type => fingerprint,
            _ => unit_fingerprint(key, name, unit),
        };
        if plain {
            self.fingerprint = Some((unit_type, fingerprint));
        }
        self.config.position(list, &fingerprint)
    }

    pub(crate) fn listed_variant(&self, start: u32, at: usize) -> Option<u16> {
        self.config.listed_variants.get((start as usize).checked_add(at)?).copied()
    }
}
