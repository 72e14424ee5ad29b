//! Conditions as columns.

use crate::blob::columns::{Bytes, Fresh, Numbers, Spans};
use crate::config::{AttributeId, CompiledConfig, SegmentId, Span};
use crate::targeting::{Comparison, Node, NodeId};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Comparisons<'b> {
    #[serde(borrow)]
    attributes: Numbers<'b>,
    operators: Bytes<'b>,
    texts: Spans<'b>,
    literals: Spans<'b>,
}

impl Comparisons<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let rows = config.comparisons.iter();
        Self {
            attributes: Numbers::of(rows.clone().map(|row| row.attribute.0)),
            operators: Bytes(rows.clone().map(|row| row.op).collect()),
            texts: Spans::of(rows.clone().map(|row| row.texts)),
            literals: Spans::of(rows.map(|row| row.literals)),
        }
    }

    /// Number of rows, with which the numbers of all other nodes begin.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.operators.0.len()).unwrap_or(u32::MAX)
    }

    /// As many rows as there are operators: nodes are numbered from there, so a short column may not move them.
    pub(super) fn rows(&self) -> Vec<Comparison> {
        let mut attributes = self.attributes.iter();
        let mut texts = self.texts.iter();
        let mut literals = self.literals.iter();
        let mut rows = Vec::with_capacity(self.operators.0.len());
        rows.extend(self.operators.0.iter().map(|&op| Comparison {
            attribute: AttributeId(attributes.next().unwrap_or(u32::MAX)),
            op,
            texts: texts.next().unwrap_or_default(),
            literals: literals.next().unwrap_or_default(),
        }));
        rows
    }
}

/// Kinds of nodes.
const ALL: u8 = 1;
const ANY: u8 = 2;
const NOT: u8 = 3;
const SEGMENT: u8 = 4;

#[derive(Serialize, Deserialize)]
pub(super) struct Nodes<'b> {
    #[serde(borrow)]
    kinds: Bytes<'b>,
    /// Number of children, child, or segment.
    arguments: Numbers<'b>,
    /// Children of all nodes, one after the other.
    children: Fresh<'b>,
}

impl Nodes<'_> {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let n_comparisons = u32::try_from(config.comparisons.len()).unwrap_or(u32::MAX);
        let code = |node: &Node| match node {
            Node::All(span) => (ALL, span.len),
            Node::Any(span) => (ANY, span.len),
            Node::Not(child) => (NOT, child.0),
            Node::Segment(segment) => (SEGMENT, segment.0),
            Node::Never => (0, 0),
        };
        Self {
            kinds: Bytes(config.nodes.iter().map(|node| code(node).0).collect()),
            arguments: Numbers::of(config.nodes.iter().map(|node| code(node).1)),
            children: Fresh::of(config.children.iter().map(|id| id.0), n_comparisons),
        }
    }

    pub(super) fn rows(&self) -> Vec<Node> {
        let mut start = 0u32;
        let mut stretch = |len: u32| {
            let span = Span { start, len };
            start = start.saturating_add(len);
            span
        };
        let mut rows = Vec::with_capacity(self.kinds.0.len());
        rows.extend(self.kinds.0.iter().zip(self.arguments.iter()).map(|(&kind, argument)| {
            match kind {
                ALL => Node::All(stretch(argument)),
                ANY => Node::Any(stretch(argument)),
                NOT => Node::Not(NodeId(argument)),
                SEGMENT => Node::Segment(SegmentId(argument)),
                _ => Node::Never,
            }
        }));
        rows
    }

    pub(super) fn children(&self, n_comparisons: u32) -> Vec<NodeId> {
        let mut children = Vec::with_capacity(self.children.len());
        children.extend(self.children.iter(n_comparisons).map(NodeId));
        children
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_decide_how_many_comparisons_there_are() {
        let columns = Comparisons {
            attributes: Numbers::of([5].into_iter()),
            operators: Bytes(vec![1, 2].into()),
            texts: Spans::default(),
            literals: Spans::default(),
        };
        assert_eq!(columns.len(), 2);
        assert_eq!(columns.rows().len(), 2);
    }
}
