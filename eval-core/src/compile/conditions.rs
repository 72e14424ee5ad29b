//! Conditions as nodes: equal trees, comparisons and values are kept once, so that a request evaluates what many
//! experiments share a single time.

use crate::compile::CompileError;
use crate::compile::intern::{Strings, index};
use crate::config::{AttributeId, Fault, SegmentId, Span};
use crate::source::{Condition, Literal};
use crate::strings::StringId;
use crate::targeting::{
    Comparison, LiteralRow, Node, NodeId, Operator, compile_pattern, parse_network,
};
use crate::time::parse_rfc3339;
use std::collections::BTreeMap;

/// Deepest nesting of a condition, segments included.
pub const MAX_CONDITION_DEPTH: usize = 32;

/// Most comparisons that a condition may come to when every segment in it is written out.
pub const MAX_CONDITION_SIZE: u32 = 20_000;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum NodeKey {
    All(Vec<NodeId>),
    Any(Vec<NodeId>),
    Not(NodeId),
    Segment(SegmentId),
}

/// A literal with an order, as key of its list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum LiteralKey {
    Bool(bool),
    Number(u64),
    Time(i64),
    Network(crate::targeting::Network),
    Pattern(u32),
    Text(String),
}

/// Marks nodes that are not comparisons, while it is open how many comparisons there will be.
const INNER: u32 = 1 << 31;

/// The final number of a node.
pub(super) fn numbered(id: NodeId, n_comparisons: u32) -> NodeId {
    let at = id.0 & !INNER;
    if at == id.0 { id } else { NodeId(n_comparisons.saturating_add(at)) }
}

/// Builds the condition tables.
#[derive(Default)]
pub(super) struct Conditions {
    ids: BTreeMap<NodeKey, NodeId>,
    pub(super) nodes: Vec<Node>,
    pub(super) children: Vec<NodeId>,
    /// Comparisons that every inner node comes to, and its depth, to bound what evaluation can cost.
    sizes: Vec<(u32, usize)>,
    comparison_ids: BTreeMap<Comparison, NodeId>,
    pub(super) comparisons: Vec<Comparison>,
    /// Where the texts and the other values of a list stand.
    list_ids: BTreeMap<Vec<LiteralKey>, (Span, Span)>,
    pub(super) texts: Vec<StringId>,
    pub(super) literals: Vec<LiteralRow>,
    pattern_ids: BTreeMap<String, u32>,
    pub(super) patterns: Vec<StringId>,
    attributes: BTreeMap<String, AttributeId>,
    /// Size and depth of each segment's condition.
    segment_sizes: BTreeMap<SegmentId, (u32, usize)>,
    pub(super) faults: Vec<Fault>,
}

impl Conditions {
    /// Knows the attributes that all conditions together look at.
    pub(super) fn new(attributes: BTreeMap<String, AttributeId>) -> Self {
        Self { attributes, ..Self::default() }
    }

    /// Whether some condition looks at an attribute.
    pub(super) fn looks_at(&self, attribute: &str) -> bool {
        self.attributes.contains_key(attribute)
    }

    /// Adds a condition of `entry`.
    pub(super) fn add(
        &mut self,
        entry: &str,
        condition: &Condition,
        strings: &mut Strings,
        segments: &BTreeMap<&str, SegmentId>,
    ) -> Result<NodeId, CompileError> {
        self.node(entry, condition, strings, segments, 0)
    }

    /// Remembers what a segment costs, for the conditions that refer to it.
    pub(super) fn close_segment(&mut self, segment: SegmentId, condition: Option<NodeId>) {
        let size = condition.map_or((1, 0), |id| self.size_of(id));
        self.segment_sizes.insert(segment, size);
    }

    fn size_of(&self, id: NodeId) -> (u32, usize) {
        // A comparison has no entry.
        let inner = (id.0 & INNER != 0).then_some((id.0 & !INNER) as usize);
        inner.and_then(|at| self.sizes.get(at).copied()).unwrap_or((1, 0))
    }

    fn node(
        &mut self,
        entry: &str,
        condition: &Condition,
        strings: &mut Strings,
        segments: &BTreeMap<&str, SegmentId>,
        level: usize,
    ) -> Result<NodeId, CompileError> {
        let refuse = |problem: String| CompileError::Condition { entry: entry.to_owned(), problem };
        if level > MAX_CONDITION_DEPTH {
            return Err(refuse(format!(
                "a condition is nested at most {MAX_CONDITION_DEPTH} deep"
            )));
        }
        let below = level.saturating_add(1);
        let (key, size) = match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                let mut children = Vec::with_capacity(parts.len());
                for part in parts {
                    children.push(self.node(entry, part, strings, segments, below)?);
                }
                children.sort_unstable();
                children.dedup();
                if let [only] = children.as_slice() {
                    return Ok(*only);
                }
                let size = self.total(&children);
                let key = if matches!(condition, Condition::All(_)) {
                    NodeKey::All(children)
                } else {
                    NodeKey::Any(children)
                };
                (key, size)
            }
            Condition::Not(part) => {
                let child = self.node(entry, part, strings, segments, below)?;
                (NodeKey::Not(child), self.total(&[child]))
            }
            Condition::Segment(key) => {
                let Some(&segment) = segments.get(key.as_str()) else {
                    return Err(CompileError::Unknown {
                        entry: entry.to_owned(),
                        kind: "segment",
                        key: key.clone(),
                    });
                };
                let (size, depth) = self.segment_sizes.get(&segment).copied().unwrap_or((1, 0));
                (NodeKey::Segment(segment), (size.saturating_add(1), depth.saturating_add(1)))
            }
            Condition::Compare { attribute, op, values } => {
                return self.comparison(entry, attribute, op, values, strings);
            }
        };
        if size.0 > MAX_CONDITION_SIZE || size.1 > MAX_CONDITION_DEPTH {
            return Err(refuse(format!(
                "a condition comes to at most {MAX_CONDITION_SIZE} comparisons and {MAX_CONDITION_DEPTH} levels, segments included"
            )));
        }
        Ok(self.intern(key, size))
    }

    fn total(&self, children: &[NodeId]) -> (u32, usize) {
        let sizes = children.iter().map(|&id| self.size_of(id));
        let (size, depth) =
            sizes.fold((0u32, 0), |(size, depth), (s, d)| (size.saturating_add(s), depth.max(d)));
        (size, depth.saturating_add(1))
    }

    fn intern(&mut self, key: NodeKey, size: (u32, usize)) -> NodeId {
        if let Some(&id) = self.ids.get(&key) {
            return id;
        }
        let span = |children: &mut Vec<NodeId>, list: &[NodeId]| {
            let span = Span { start: index(children.len()), len: index(list.len()) };
            children.extend_from_slice(list);
            span
        };
        let node = match &key {
            NodeKey::All(list) => Node::All(span(&mut self.children, list)),
            NodeKey::Any(list) => Node::Any(span(&mut self.children, list)),
            NodeKey::Not(child) => Node::Not(*child),
            NodeKey::Segment(segment) => Node::Segment(*segment),
        };
        let id = NodeId(index(self.nodes.len()) | INNER);
        self.nodes.push(node);
        self.sizes.push(size);
        self.ids.insert(key, id);
        id
    }

    fn comparison(
        &mut self,
        entry: &str,
        attribute: &str,
        op: &str,
        values: &[Literal],
        strings: &mut Strings,
    ) -> Result<NodeId, CompileError> {
        let refuse = |problem: String| CompileError::Condition { entry: entry.to_owned(), problem };
        let Some(&attribute_id) = self.attributes.get(attribute) else {
            return Err(refuse(format!("attribute `{attribute}` was not collected")));
        };
        let (code, (texts, literals)) = if let Some(operator) = Operator::parse(op) {
            (operator.code(), self.literals(operator, attribute, values, strings).map_err(refuse)?)
        } else {
            self.faults.push(Fault {
                entry: entry.to_owned(),
                problem: format!("operator `{op}` is not known; its comparison is false"),
            });
            (0, Default::default())
        };
        let comparison = Comparison { attribute: attribute_id, op: code, texts, literals };
        if let Some(&id) = self.comparison_ids.get(&comparison) {
            return Ok(id);
        }
        let id = NodeId(index(self.comparisons.len()));
        self.comparisons.push(comparison);
        self.comparison_ids.insert(comparison, id);
        Ok(id)
    }

    fn literals(
        &mut self,
        op: Operator,
        attribute: &str,
        values: &[Literal],
        strings: &mut Strings,
    ) -> Result<(Span, Span), String> {
        let mut keys = Vec::with_capacity(values.len());
        for value in values {
            keys.push(self.literal(op, attribute, value, strings)?);
        }
        match op {
            Operator::Exists if !keys.is_empty() => {
                return Err(format!("`exists` of `{attribute}` takes no values"));
            }
            Operator::Exists => return Ok(Default::default()),
            _ if keys.is_empty() => {
                return Err(format!("`{}` of `{attribute}` needs a value", op.as_str()));
            }
            Operator::Lt
            | Operator::Lte
            | Operator::Gt
            | Operator::Gte
            | Operator::Before
            | Operator::After
            | Operator::SemverEq
            | Operator::SemverLt
            | Operator::SemverLte
            | Operator::SemverGt
            | Operator::SemverGte
                if keys.len() > 1 =>
            {
                return Err(format!("`{}` of `{attribute}` takes one value", op.as_str()));
            }
            _ => {}
        }
        keys.sort();
        keys.dedup();
        if let Some(&spans) = self.list_ids.get(&keys) {
            return Ok(spans);
        }
        let (first_text, first_literal) = (self.texts.len(), self.literals.len());
        for key in &keys {
            self.literals.push(match key {
                LiteralKey::Bool(value) => LiteralRow::Bool(*value),
                LiteralKey::Number(bits) => LiteralRow::Number(f64::from_bits(*bits)),
                LiteralKey::Time(ms) => LiteralRow::Time(*ms),
                LiteralKey::Network(network) => LiteralRow::Network(*network),
                LiteralKey::Pattern(pattern) => LiteralRow::Pattern(*pattern),
                LiteralKey::Text(text) => {
                    self.texts.push(strings.intern(text));
                    continue;
                }
            });
        }
        let spans =
            (since(first_text, self.texts.len()), since(first_literal, self.literals.len()));
        self.list_ids.insert(keys, spans);
        Ok(spans)
    }

    fn literal(
        &mut self,
        op: Operator,
        attribute: &str,
        value: &Literal,
        strings: &mut Strings,
    ) -> Result<LiteralKey, String> {
        let wrong =
            |wanted: &str| Err(format!("`{}` of `{attribute}` takes {wanted}", op.as_str()));
        match (op, value) {
            (
                Operator::Eq
                | Operator::Neq
                | Operator::In
                | Operator::NotIn
                | Operator::ContainsAny
                | Operator::ContainsAll,
                value,
            ) => match value {
                Literal::Bool(value) => Ok(LiteralKey::Bool(*value)),
                // Adding zero turns -0.0 into 0.0, which is equal to it.
                Literal::Number(number) if number.is_finite() => {
                    Ok(LiteralKey::Number((number + 0.0).to_bits()))
                }
                Literal::Number(_) => wrong("finite numbers"),
                Literal::String(text) => Ok(LiteralKey::Text(text.clone())),
            },
            (
                Operator::Lt | Operator::Lte | Operator::Gt | Operator::Gte,
                Literal::Number(number),
            ) if number.is_finite() => Ok(LiteralKey::Number((number + 0.0).to_bits())),
            (Operator::Lt | Operator::Lte | Operator::Gt | Operator::Gte, _) => {
                wrong("a finite number")
            }
            (Operator::Before | Operator::After, Literal::Number(ms)) if ms.abs() < 9e15 => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "bounded just above; fractions of a millisecond do not count"
                )]
                let ms = *ms as i64;
                Ok(LiteralKey::Time(ms))
            }
            (Operator::Before | Operator::After, Literal::String(text)) => {
                match parse_rfc3339(text) {
                    Some(ms) => Ok(LiteralKey::Time(ms)),
                    None => wrong("an RFC 3339 time or epoch milliseconds"),
                }
            }
            (Operator::Before | Operator::After, _) => {
                wrong("an RFC 3339 time or epoch milliseconds")
            }
            (
                Operator::SemverEq
                | Operator::SemverLt
                | Operator::SemverLte
                | Operator::SemverGt
                | Operator::SemverGte,
                Literal::String(text),
            ) if semver::Version::parse(text).is_ok() => Ok(LiteralKey::Text(text.clone())),
            (
                Operator::SemverEq
                | Operator::SemverLt
                | Operator::SemverLte
                | Operator::SemverGt
                | Operator::SemverGte,
                _,
            ) => wrong("a SemVer 2.0 version"),
            (
                Operator::Contains | Operator::StartsWith | Operator::EndsWith,
                Literal::String(text),
            ) => Ok(LiteralKey::Text(text.clone())),
            (Operator::Contains | Operator::StartsWith | Operator::EndsWith, _) => wrong("strings"),
            (Operator::Matches, Literal::String(text)) => {
                compile_pattern(text)
                    .map_err(|problem| format!("pattern of `{attribute}`: {problem}"))?;
                if let Some(&id) = self.pattern_ids.get(text) {
                    return Ok(LiteralKey::Pattern(id));
                }
                let id = index(self.patterns.len());
                self.patterns.push(strings.intern(text));
                self.pattern_ids.insert(text.clone(), id);
                Ok(LiteralKey::Pattern(id))
            }
            (Operator::Matches, _) => wrong("regular expressions"),
            (Operator::IpIn, Literal::String(text)) => match parse_network(text) {
                Some(network) => Ok(LiteralKey::Network(network)),
                None => wrong("networks such as 10.0.0.0/8"),
            },
            (Operator::IpIn, _) => wrong("networks such as 10.0.0.0/8"),
            (Operator::Exists, _) => wrong("no values"),
        }
    }
}

/// The stretch from one length of a table to the next.
fn since(before: usize, now: usize) -> Span {
    if before == now {
        return Span::default();
    }
    Span { start: index(before), len: index(now.saturating_sub(before)) }
}

/// Texts that a condition compares with as they are.
pub(super) fn collect_texts<'s>(
    condition: &'s Condition,
    into: &mut std::collections::BTreeSet<&'s str>,
) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                collect_texts(part, into);
            }
        }
        Condition::Not(part) => collect_texts(part, into),
        Condition::Compare { op, values, .. } => {
            let kept = !matches!(
                Operator::parse(op),
                None | Some(
                    Operator::Before | Operator::After | Operator::Matches | Operator::IpIn
                )
            );
            into.extend(values.iter().filter_map(|value| match value {
                Literal::String(text) if kept => Some(text.as_str()),
                _ => None,
            }));
        }
        Condition::Segment(_) => {}
    }
}

/// Names of the attributes that a condition looks at.
pub(super) fn collect_attributes<'s>(
    condition: &'s Condition,
    into: &mut std::collections::BTreeSet<&'s str>,
) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                collect_attributes(part, into);
            }
        }
        Condition::Not(part) => collect_attributes(part, into),
        Condition::Compare { attribute, .. } => {
            into.insert(attribute);
        }
        Condition::Segment(_) => {}
    }
}

/// Keys of the segments that a condition refers to.
pub(super) fn collect_segments<'s>(condition: &'s Condition, into: &mut Vec<&'s str>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                collect_segments(part, into);
            }
        }
        Condition::Not(part) => collect_segments(part, into),
        Condition::Segment(key) => into.push(key),
        Condition::Compare { .. } => {}
    }
}
