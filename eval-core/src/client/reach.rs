//! What of a config a client can decide by itself.

use crate::config::{CompiledConfig, Experiment, Extras, Flag, RuleServe, Span, Target};
use crate::source::ExperimentStatus;
use crate::strings::StringId;
use crate::targeting::{Comparison, Node, NodeId, Operator};

/// How an experiment looks to a client, at whatever time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It serves control to everyone and for good: nothing else of it matters.
    Over,
    /// It serves its shipped variant to its audience.
    Shipped,
    /// It deals variants now or in its window.
    Deals,
}

impl Life {
    pub(super) fn of(experiment: &Experiment, extras: Option<&Extras>) -> Self {
        match experiment.status {
            ExperimentStatus::Completed if extras.is_some_and(|e| e.shipped.is_some()) => {
                Self::Shipped
            }
            ExperimentStatus::Completed => Self::Over,
            ExperimentStatus::Paused if !extras.is_some_and(|e| e.keep_serving) => Self::Over,
            _ => Self::Deals,
        }
    }
}

/// Which parts a client can decide, by index.
pub(super) struct Reach {
    pub(super) entries: Vec<bool>,
}

impl Reach {
    pub(super) fn of(config: &CompiledConfig<'_>) -> Self {
        let nodes = nodes(config);
        let holds = |id: Option<NodeId>| {
            id.is_none_or(|id| nodes.get(id.0 as usize).copied().unwrap_or(false))
        };
        let experiments: Vec<bool> =
            config.experiments.iter().map(|e| experiment(config, e, &holds)).collect();
        let mut entries: Vec<bool> = config
            .entries
            .iter()
            .map(|entry| match entry.target() {
                Target::Experiment(id) => experiments.get(id as usize) == Some(&true),
                Target::Flag(id) => config
                    .flags
                    .get(id as usize)
                    .is_some_and(|f| flag(config, f, &holds, &experiments)),
            })
            .collect();
        // What is required must be there too. Every round but the last takes an entry away, so this ends.
        loop {
            let lost: Vec<usize> = (0..entries.len())
                .filter(|&at| entries.get(at) == Some(&true))
                .filter(|&at| !required_by(config, at).all(|id| entries.get(id) == Some(&true)))
                .collect();
            if lost.is_empty() {
                return Self { entries };
            }
            for at in lost {
                if let Some(entry) = entries.get_mut(at) {
                    *entry = false;
                }
            }
        }
    }
}

/// Whether texts that this operator compares with can be hashed, and whether the operator is left to the edge.
fn is_for_clients(config: &CompiledConfig<'_>, comparison: &Comparison) -> bool {
    let Some(attribute) = config.attributes.get(comparison.attribute.0 as usize) else {
        return false;
    };
    let Some(operator) = Operator::from_code(comparison.op) else { return false };
    !is_server_only(config, attribute.id)
        && !matches!(
            operator,
            Operator::Contains
                | Operator::StartsWith
                | Operator::EndsWith
                | Operator::Matches
                | Operator::IpIn
        )
}

fn is_server_only(config: &CompiledConfig<'_>, name: StringId) -> bool {
    config.server_only.contains(&name)
}

/// Comparisons come first and children before their parents, so one pass is enough.
fn nodes(config: &CompiledConfig<'_>) -> Vec<bool> {
    let mut known: Vec<bool> = Vec::with_capacity(config.n_nodes());
    known.extend(config.comparisons.iter().map(|comparison| is_for_clients(config, comparison)));
    for node in &config.nodes {
        let holds = |id: NodeId| known.get(id.0 as usize).copied() == Some(true);
        let for_clients = match node {
            Node::All(span) | Node::Any(span) => {
                span.of(&config.children).iter().all(|&child| holds(child))
            }
            Node::Not(child) => holds(*child),
            Node::Segment(id) => config.segments.get(id.0 as usize).is_some_and(|segment| {
                segment.include.is_empty()
                    && segment.exclude.is_empty()
                    && segment.condition.is_none_or(holds)
            }),
            Node::Never => true,
        };
        known.push(for_clients);
    }
    known
}

fn experiment(
    config: &CompiledConfig<'_>,
    experiment: &Experiment,
    holds: &impl Fn(Option<NodeId>) -> bool,
) -> bool {
    if experiment.damaged {
        return false;
    }
    let extras = config.extras_of(experiment).copied().unwrap_or_default();
    let cluster = extras.switchback.map(|design| design.cluster);
    if cluster.is_some_and(|name| is_server_only(config, name)) {
        return false;
    }
    match Life::of(experiment, Some(&extras)) {
        Life::Over => true,
        Life::Shipped => holds(experiment.targeting()),
        Life::Deals => {
            holds(experiment.targeting())
                && extras.overrides.is_empty()
                && !extras.sticky
                && !extras.frozen
        }
    }
}

fn flag(
    config: &CompiledConfig<'_>,
    flag: &Flag,
    holds: &impl Fn(Option<NodeId>) -> bool,
    experiments: &[bool],
) -> bool {
    if flag.damaged {
        return false;
    }
    let rule_holds = |serve: RuleServe| match serve {
        RuleServe::Experiment(id) => experiments.get(id.0 as usize) == Some(&true),
        RuleServe::Variant(_) | RuleServe::Split(_) => true,
    };
    !flag.enabled
        || (flag.targets.is_empty()
            && flag
                .rules
                .of(&config.rules)
                .iter()
                .all(|rule| holds(rule.condition) && rule_holds(rule.serve)))
}

/// Entries whose decision an entry's decision asks for.
fn required_by<'c>(
    config: &'c CompiledConfig<'_>,
    entry: usize,
) -> impl Iterator<Item = usize> + 'c {
    let of_experiment = move |id: u32| {
        let experiment = config.experiments.get(id as usize)?;
        let extras = config.extras_of(experiment)?;
        (Life::of(experiment, Some(extras)) != Life::Over).then_some(extras.prerequisites)
    };
    let mut spans: Vec<Span> = Vec::new();
    match config.entries.get(entry).map(|entry| entry.target()) {
        Some(Target::Experiment(id)) => spans.extend(of_experiment(id)),
        Some(Target::Flag(id)) => {
            if let Some(flag) = config.flags.get(id as usize).filter(|flag| flag.enabled) {
                spans.push(flag.prerequisites);
                for rule in flag.rules.of(&config.rules) {
                    if let RuleServe::Experiment(id) = rule.serve {
                        spans.extend(of_experiment(id.0));
                    }
                }
            }
        }
        None => {}
    }
    spans.into_iter().flat_map(|span| span.of(&config.prerequisites)).map(|row| row.entry as usize)
}
