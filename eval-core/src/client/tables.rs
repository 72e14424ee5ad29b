//! The shared tables of a client form, filled as its parts need them.

use crate::client::names::Names;
use crate::config::{AttributeId, CompiledConfig, Span};
use crate::slots::{Run, SlotsId};
use crate::strings::{StringId, StringTable};
use crate::targeting::{Comparison, LiteralRow, Node, NodeId, Operator};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// A length or index as the format stores it.
pub(super) fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Strings, each kept once.
#[derive(Default)]
pub(super) struct Strings {
    ids: BTreeMap<String, StringId>,
    text: String,
    ends: Vec<u32>,
}

impl Strings {
    pub(super) fn intern(&mut self, text: &str) -> StringId {
        if let Some(&id) = self.ids.get(text) {
            return id;
        }
        let id = StringId(index(self.ends.len()));
        self.text.push_str(text);
        self.ends.push(index(self.text.len()));
        self.ids.insert(text.to_owned(), id);
        id
    }

    pub(super) fn finish(self) -> StringTable<'static> {
        StringTable { text: Cow::Owned(self.text), ends: self.ends }
    }
}

/// Slot tables, each kept once.
#[derive(Default)]
pub(super) struct Slots {
    ids: BTreeMap<Vec<Run>, SlotsId>,
    pub(super) runs: Vec<Run>,
    pub(super) tables: Vec<Span>,
}

impl Slots {
    /// A table with other owners; neighbours that have become one owner's are joined.
    pub(super) fn intern(&mut self, runs: &[Run], owner: impl Fn(u16) -> u16) -> SlotsId {
        let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
        for run in runs {
            let run = Run { end: run.end, owner: owner(run.owner) };
            match joined.last_mut() {
                Some(last) if last.owner == run.owner => last.end = run.end,
                _ => joined.push(run),
            }
        }
        if let Some(&id) = self.ids.get(&joined) {
            return id;
        }
        let id = SlotsId(index(self.tables.len()));
        self.tables.push(Span { start: index(self.runs.len()), len: index(joined.len()) });
        self.runs.extend_from_slice(&joined);
        self.ids.insert(joined, id);
        id
    }
}

/// The conditions that a form keeps, in their new places.
pub(super) struct Conditions {
    /// New place of each node that is kept.
    places: Vec<Option<NodeId>>,
    pub(super) nodes: Vec<Node>,
    pub(super) children: Vec<NodeId>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) literals: Vec<LiteralRow>,
    pub(super) attributes: Vec<StringId>,
}

impl Conditions {
    /// Keeps what `roots` lead to. Segments have no lists here, so each stands for its condition.
    pub(super) fn keep(
        config: &CompiledConfig<'_>,
        roots: impl Iterator<Item = NodeId>,
        names: &Names,
        strings: &mut Strings,
    ) -> Self {
        let wanted = wanted(config, roots);
        let kept = || {
            config.nodes.iter().zip(&wanted).filter(|(_, wanted)| **wanted).map(|(node, _)| node)
        };
        let compared = kept().filter_map(|node| match node {
            Node::Compare(at) => config.comparisons.get(*at as usize),
            _ => None,
        });
        let attribute_names: BTreeSet<String> =
            compared.map(|comparison| attribute_name(config, comparison, names)).collect();
        let attribute_ids: BTreeMap<&str, AttributeId> = attribute_names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), AttributeId(index(at))))
            .collect();
        let mut this = Self {
            places: Vec::with_capacity(config.nodes.len()),
            nodes: Vec::new(),
            children: Vec::new(),
            comparisons: Vec::new(),
            literals: Vec::new(),
            attributes: attribute_names.iter().map(|name| strings.intern(name)).collect(),
        };
        let mut comparison_ids: BTreeMap<u32, u32> = BTreeMap::new();
        let mut spans: BTreeMap<(Span, bool), Span> = BTreeMap::new();
        for (node, wanted) in config.nodes.iter().zip(&wanted) {
            let place = wanted.then(|| {
                let node = match node {
                    Node::All(span) => Node::All(this.child_span(config, *span)),
                    Node::Any(span) => Node::Any(this.child_span(config, *span)),
                    Node::Not(child) => this.place(*child).map_or(Node::Never, Node::Not),
                    Node::Segment(id) => {
                        let segment = config.segments.get(id.0 as usize);
                        match segment.and_then(|s| this.place(s.condition?)) {
                            Some(condition) => return condition,
                            None => Node::Never,
                        }
                    }
                    Node::Compare(at) => match config.comparisons.get(*at as usize) {
                        Some(comparison) => {
                            let next = index(this.comparisons.len());
                            let id = *comparison_ids.entry(*at).or_insert(next);
                            if id == next {
                                let name = attribute_name(config, comparison, names);
                                let hashes = compares_texts(config, comparison);
                                let span = (comparison.values, hashes);
                                let values = match spans.get(&span) {
                                    Some(known) => *known,
                                    None => this.values(config, comparison, names, strings),
                                };
                                spans.insert(span, values);
                                this.comparisons.push(Comparison {
                                    attribute: attribute_ids
                                        .get(name.as_str())
                                        .copied()
                                        .unwrap_or(AttributeId(u32::MAX)),
                                    op: comparison.op,
                                    values,
                                });
                            }
                            Node::Compare(id)
                        }
                        None => Node::Never,
                    },
                    Node::Never => Node::Never,
                };
                let id = NodeId(index(this.nodes.len()));
                this.nodes.push(node);
                id
            });
            this.places.push(place);
        }
        this
    }

    /// New place of a condition.
    pub(super) fn place(&self, id: NodeId) -> Option<NodeId> {
        self.places.get(id.0 as usize).copied().flatten()
    }

    fn child_span(&mut self, config: &CompiledConfig<'_>, span: Span) -> Span {
        let start = index(self.children.len());
        let children: Vec<NodeId> =
            span.of(&config.children).iter().filter_map(|&child| self.place(child)).collect();
        self.children.extend_from_slice(&children);
        Span { start, len: index(children.len()) }
    }

    /// The values of a comparison: texts hashed where equality is all that is asked, and sorted again, texts last.
    fn values(
        &mut self,
        config: &CompiledConfig<'_>,
        comparison: &Comparison,
        names: &Names,
        strings: &mut Strings,
    ) -> Span {
        let hashes = compares_texts(config, comparison);
        let mut rows = Vec::new();
        let mut texts = Vec::new();
        for literal in comparison.values.of(&config.literals) {
            match literal {
                LiteralRow::Text(id) if hashes => texts.push(names.text(config.strings.get(*id))),
                LiteralRow::Text(id) => {
                    rows.push(LiteralRow::Text(strings.intern(config.strings.get(*id))));
                }
                // Patterns stay at the edge.
                LiteralRow::Pattern(_) => {}
                other => rows.push(*other),
            }
        }
        texts.sort_unstable();
        rows.extend(texts.iter().map(|text| LiteralRow::Text(strings.intern(text))));
        let span = Span { start: index(self.literals.len()), len: index(rows.len()) };
        self.literals.extend(rows);
        span
    }
}

/// Nodes that are reached from the roots; children come before their parents.
fn wanted(config: &CompiledConfig<'_>, roots: impl Iterator<Item = NodeId>) -> Vec<bool> {
    let mut wanted = vec![false; config.nodes.len()];
    let mark = |wanted: &mut Vec<bool>, id: NodeId| {
        if let Some(node) = wanted.get_mut(id.0 as usize) {
            *node = true;
        }
    };
    for root in roots {
        mark(&mut wanted, root);
    }
    for (at, node) in config.nodes.iter().enumerate().rev() {
        if wanted.get(at) != Some(&true) {
            continue;
        }
        match node {
            Node::All(span) | Node::Any(span) => {
                for child in span.of(&config.children) {
                    mark(&mut wanted, *child);
                }
            }
            Node::Not(child) => mark(&mut wanted, *child),
            Node::Segment(id) => {
                if let Some(condition) =
                    config.segments.get(id.0 as usize).and_then(|segment| segment.condition)
                {
                    mark(&mut wanted, condition);
                }
            }
            Node::Compare(_) | Node::Never => {}
        }
    }
    wanted
}

/// Whether a comparison asks for nothing but the equality of texts, so that hashes of them do.
fn compares_texts(config: &CompiledConfig<'_>, comparison: &Comparison) -> bool {
    let for_equality = matches!(
        Operator::from_code(comparison.op),
        Some(
            Operator::Eq
                | Operator::Neq
                | Operator::In
                | Operator::NotIn
                | Operator::ContainsAny
                | Operator::ContainsAll
        )
    );
    let values = comparison.values.of(&config.literals);
    for_equality && values.iter().any(|literal| matches!(literal, LiteralRow::Text(_)))
}

fn attribute_name(config: &CompiledConfig<'_>, comparison: &Comparison, names: &Names) -> String {
    let name = config
        .attributes
        .get(comparison.attribute.0 as usize)
        .map_or("", |&id| config.strings.get(id));
    if compares_texts(config, comparison) {
        names.compared_attribute(name)
    } else {
        names.attribute(name)
    }
}
