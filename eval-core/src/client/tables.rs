//! The shared tables of a client form, filled as its parts need them.

use crate::client::names::Names;
use crate::compile::intern::{Strings, index};
use crate::config::{AttributeId, CompiledConfig, Span};
use crate::slots::{Run, SlotsId};
use crate::strings::StringId;
use crate::targeting::{Comparison, LiteralRow, Node, NodeId, Operator};
use std::collections::{BTreeMap, BTreeSet};

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
    /// New place of each node that is kept, comparisons first.
    places: Vec<Option<NodeId>>,
    pub(super) nodes: Vec<Node>,
    pub(super) children: Vec<NodeId>,
    pub(super) comparisons: Vec<Comparison>,
    pub(super) texts: Vec<StringId>,
    pub(super) literals: Vec<LiteralRow>,
    pub(super) attributes: Vec<StringId>,
    /// New places of lists of texts, hashed or not, and of other values.
    text_lists: BTreeMap<(Span, bool), Span>,
    literal_lists: BTreeMap<Span, Span>,
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
        let compared = || config.comparisons.iter().zip(&wanted).filter(|(_, wanted)| **wanted);
        let attribute_names: BTreeSet<String> =
            compared().map(|(comparison, _)| attribute_name(config, comparison, names)).collect();
        let attribute_ids: BTreeMap<&str, AttributeId> = attribute_names
            .iter()
            .enumerate()
            .map(|(at, name)| (name.as_str(), AttributeId(index(at))))
            .collect();
        let mut this = Self {
            places: Vec::with_capacity(config.n_nodes()),
            nodes: Vec::new(),
            children: Vec::new(),
            comparisons: Vec::new(),
            texts: Vec::new(),
            literals: Vec::new(),
            attributes: attribute_names.iter().map(|name| strings.intern(name)).collect(),
            text_lists: BTreeMap::new(),
            literal_lists: BTreeMap::new(),
        };
        for (comparison, wanted) in config.comparisons.iter().zip(&wanted) {
            let place = wanted.then(|| {
                let name = attribute_name(config, comparison, names);
                let attribute = attribute_ids.get(name.as_str()).copied();
                let id = NodeId(index(this.comparisons.len()));
                let made = Comparison {
                    attribute: attribute.unwrap_or(AttributeId(u32::MAX)),
                    op: comparison.op,
                    texts: this.text_span(config, comparison, names, strings),
                    literals: this.literal_span(config, comparison.literals),
                };
                this.comparisons.push(made);
                id
            });
            this.places.push(place);
        }
        for (node, wanted) in config.nodes.iter().zip(wanted.iter().skip(config.comparisons.len()))
        {
            let place = wanted.then(|| this.keep_node(config, node));
            this.places.push(place);
        }
        this
    }

    /// Keeps a node whose children are kept.
    fn keep_node(&mut self, config: &CompiledConfig<'_>, node: &Node) -> NodeId {
        let node = match node {
            Node::All(span) => Node::All(self.child_span(config, *span)),
            Node::Any(span) => Node::Any(self.child_span(config, *span)),
            Node::Not(child) => self.place(*child).map_or(Node::Never, Node::Not),
            Node::Segment(id) => {
                let segment = config.segments.get(id.0 as usize);
                match segment.and_then(|s| self.place(s.condition?)) {
                    Some(condition) => return condition,
                    None => Node::Never,
                }
            }
            Node::Never => Node::Never,
        };
        let id = NodeId(index(self.comparisons.len().saturating_add(self.nodes.len())));
        self.nodes.push(node);
        id
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

    /// The texts of a comparison: hashed where equality is all that is asked, and sorted again.
    fn text_span(
        &mut self,
        config: &CompiledConfig<'_>,
        comparison: &Comparison,
        names: &Names,
        strings: &mut Strings,
    ) -> Span {
        let hashes = compares_texts(config, comparison);
        let list = (comparison.texts, hashes);
        if let Some(known) = self.text_lists.get(&list) {
            return *known;
        }
        let texts = comparison.texts.of(&config.texts).iter();
        let texts = texts.map(|word| config.strings.get(word.id));
        let texts: BTreeSet<String> = if hashes {
            texts.map(|text| names.text(text)).collect()
        } else {
            texts.map(str::to_owned).collect()
        };
        let span = Span { start: index(self.texts.len()), len: index(texts.len()) };
        self.texts.extend(texts.iter().map(|text| strings.intern(text)));
        self.text_lists.insert(list, span);
        span
    }

    /// The other values of a comparison. Patterns stay at the edge.
    fn literal_span(&mut self, config: &CompiledConfig<'_>, list: Span) -> Span {
        if let Some(known) = self.literal_lists.get(&list) {
            return *known;
        }
        let start = index(self.literals.len());
        let rows = list.of(&config.literals).iter();
        self.literals.extend(rows.filter(|row| !matches!(row, LiteralRow::Pattern(_))));
        let span = Span { start, len: index(self.literals.len()).saturating_sub(start) };
        self.literal_lists.insert(list, span);
        span
    }
}

/// Nodes that are reached from the roots; children come before their parents.
fn wanted(config: &CompiledConfig<'_>, roots: impl Iterator<Item = NodeId>) -> Vec<bool> {
    let mut wanted = vec![false; config.n_nodes()];
    let mark = |wanted: &mut Vec<bool>, id: NodeId| {
        if let Some(node) = wanted.get_mut(id.0 as usize) {
            *node = true;
        }
    };
    for root in roots {
        mark(&mut wanted, root);
    }
    for (at, node) in config.nodes.iter().enumerate().rev() {
        if wanted.get(config.comparisons.len().saturating_add(at)) != Some(&true) {
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
            Node::Never => {}
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
    for_equality && !comparison.texts.of(&config.texts).is_empty()
}

fn attribute_name(config: &CompiledConfig<'_>, comparison: &Comparison, names: &Names) -> String {
    let name = config
        .attributes
        .get(comparison.attribute.0 as usize)
        .map_or("", |name| config.strings.get(name.id));
    if compares_texts(config, comparison) {
        names.compared_attribute(name)
    } else {
        names.attribute(name)
    }
}
