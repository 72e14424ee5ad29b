//! What a reader makes sure of before it serves a config: every index leads somewhere, and evaluation is bounded.
//!
//! A damaged entry is switched off by itself and reported; everything else works. (The checksum has already ruled out
//! accidents on the way: what is found here was published so.)

use crate::compile::{MAX_CONDITION_DEPTH, MAX_CONDITION_SIZE};
use crate::config::{CompiledConfig, Experiment, Extras, Fault, Flag, RuleServe, Span, Target};
use crate::strings::StringId;
use crate::targeting::{Node, NodeId, Operator};

/// Switches off what cannot be evaluated.
pub(crate) fn check(config: &mut CompiledConfig<'_>) {
    let mut faults = Vec::new();
    bound_conditions(config, &mut faults);
    for comparison in &config.comparisons {
        if Operator::from_code(comparison.op).is_none() {
            let attribute = config.attributes.get(comparison.attribute.0 as usize);
            faults.push(Fault {
                entry: format!(
                    "comparison of `{}`",
                    attribute.map_or("", |&id| config.strings.get(id))
                ),
                problem: format!(
                    "operator {} is not known; the comparison is false",
                    comparison.op
                ),
            });
        }
    }
    let damaged: Vec<Option<&'static str>> =
        config.experiments.iter().map(|e| experiment_problem(config, e)).collect();
    for (experiment, problem) in config.experiments.iter_mut().zip(damaged) {
        if let Some(problem) = problem {
            experiment.damaged = true;
            faults.push(Fault {
                entry: format!("experiment `{}`", config.strings.get(experiment.key)),
                problem: problem.into(),
            });
        }
    }
    let damaged: Vec<Option<&'static str>> =
        config.flags.iter().map(|f| flag_problem(config, f)).collect();
    for (flag, problem) in config.flags.iter_mut().zip(damaged) {
        if let Some(problem) = problem {
            flag.damaged = true;
            faults.push(Fault {
                entry: format!("flag `{}`", config.strings.get(flag.key)),
                problem: problem.into(),
            });
        }
    }
    for entry in &config.entries {
        let exists = match entry.target {
            Target::Flag(id) => (id as usize) < config.flags.len(),
            Target::Experiment(id) => (id as usize) < config.experiments.len(),
        };
        if !exists || !config.strings.holds(entry.key) {
            faults.push(Fault {
                entry: format!("key `{}`", config.strings.get(entry.key)),
                problem: "leads nowhere".into(),
            });
        }
    }
    config.faults = faults;
}

/// Replaces nodes that could make evaluation long or endless: children that do not come before their parents, and trees
/// beyond the limits of compiling.
fn bound_conditions(config: &mut CompiledConfig<'_>, faults: &mut Vec<Fault>) {
    let mut sizes: Vec<(u32, usize)> = Vec::with_capacity(config.nodes.len());
    for at in 0..config.nodes.len() {
        let size = node_size(config, at, &sizes);
        match size {
            Some(size) if size.0 <= MAX_CONDITION_SIZE && size.1 <= MAX_CONDITION_DEPTH => {
                sizes.push(size);
            }
            _ => {
                if let Some(node) = config.nodes.get_mut(at) {
                    *node = Node::Never;
                }
                sizes.push((1, 0));
                faults.push(Fault {
                    entry: format!("condition {at}"),
                    problem: "refers to what does not exist, or is too large; it is false".into(),
                });
            }
        }
    }
}

fn node_size(
    config: &CompiledConfig<'_>,
    at: usize,
    sizes: &[(u32, usize)],
) -> Option<(u32, usize)> {
    // Only nodes before this one have a size yet, so a look-up proves the order.
    let size_of = |id: NodeId| sizes.get(id.0 as usize).copied();
    match config.nodes.get(at)? {
        Node::All(span) | Node::Any(span) => {
            let children = whole(*span, &config.children)?;
            let mut size = 0u32;
            let mut depth = 0;
            for &child in children {
                let (s, d) = size_of(child)?;
                size = size.saturating_add(s);
                depth = depth.max(d);
            }
            Some((size, depth.saturating_add(1)))
        }
        Node::Not(child) => size_of(*child).map(|(size, depth)| (size, depth.saturating_add(1))),
        Node::Compare(at) => {
            let comparison = config.comparisons.get(*at as usize)?;
            config.attributes.get(comparison.attribute.0 as usize)?;
            whole(comparison.values, &config.literals)?;
            Some((1, 0))
        }
        Node::Segment(id) => {
            let segment = config.segments.get(id.0 as usize)?;
            config.unit_types.get(usize::from(segment.unit_type.0))?;
            let (size, depth) = match segment.condition {
                Some(condition) => size_of(condition)?,
                None => (1, 0),
            };
            Some((size.saturating_add(1), depth.saturating_add(1)))
        }
        Node::Never => Some((1, 0)),
    }
}

/// A stretch that lies wholly within its table.
fn whole<T>(span: Span, table: &[T]) -> Option<&[T]> {
    let start = span.start as usize;
    table.get(start..start.checked_add(span.len as usize)?)
}

fn experiment_problem(
    config: &CompiledConfig<'_>,
    experiment: &Experiment,
) -> Option<&'static str> {
    if !config.strings.holds(experiment.key) {
        return Some("its key does not exist");
    }
    if config.unit_types.get(usize::from(experiment.unit_type.0)).is_none() {
        return Some("its unit type does not exist");
    }
    if let Some(problem) = variants_problem(config, experiment.variants, &[experiment.control]) {
        return Some(problem);
    }
    if experiment.targeting.is_some_and(|id| id.0 as usize >= config.nodes.len()) {
        return Some("its targeting does not exist");
    }
    if let Some(id) = experiment.layer {
        let Some(layer) = config.layer(id) else { return Some("its layer does not exist") };
        if layer.unit_type != experiment.unit_type
            || config.slots.get(layer.slots.0 as usize).is_none()
        {
            return Some("its layer is of another unit type or has no slots");
        }
    }
    let n_variants = experiment.variants.len;
    match config.slots.get(experiment.split.0 as usize).and_then(|span| whole(*span, &config.runs))
    {
        Some(runs) if runs.iter().all(|run| u32::from(run.owner) < n_variants) => {}
        _ => return Some("its split does not exist or names a variant that it does not have"),
    }
    match experiment.extras {
        None => None,
        Some(at) => match config.extras.get(at as usize) {
            Some(extras) => extras_problem(config, extras, n_variants),
            None => Some("its further settings do not exist"),
        },
    }
}

fn extras_problem(
    config: &CompiledConfig<'_>,
    extras: &Extras,
    n_variants: u32,
) -> Option<&'static str> {
    if extras.shipped.is_some_and(|at| u32::from(at) >= n_variants) {
        return Some("its shipped variant does not exist");
    }
    if extras
        .switchback
        .is_some_and(|design| design.period_ms <= 0 || !config.strings.holds(design.cluster))
    {
        return Some("its switchback design cannot be evaluated");
    }
    requirements_problem(config, extras.holdouts, extras.prerequisites)
}

fn flag_problem(config: &CompiledConfig<'_>, flag: &Flag) -> Option<&'static str> {
    if !config.strings.holds(flag.key) {
        return Some("its key does not exist");
    }
    if config.unit_types.get(usize::from(flag.unit_type.0)).is_none() {
        return Some("its unit type does not exist");
    }
    if let Some(problem) =
        variants_problem(config, flag.variants, &[flag.default_variant, flag.off_variant])
    {
        return Some(problem);
    }
    let Some(rules) = whole(flag.rules, &config.rules) else {
        return Some("its rules do not exist");
    };
    for rule in rules {
        if rule.condition.is_some_and(|id| id.0 as usize >= config.nodes.len()) {
            return Some("a rule's condition does not exist");
        }
        let exists = match rule.serve {
            RuleServe::Variant(at) => u32::from(at) < flag.variants.len,
            RuleServe::Split(at) => config.slots.get(at as usize).is_some(),
            RuleServe::Experiment(id) => (id.0 as usize) < config.experiments.len(),
        };
        if !exists {
            return Some("a rule serves what does not exist");
        }
    }
    requirements_problem(config, flag.holdouts, flag.prerequisites)
}

fn variants_problem(
    config: &CompiledConfig<'_>,
    variants: Span,
    named: &[u16],
) -> Option<&'static str> {
    let Some(rows) = whole(variants, &config.variants) else {
        return Some("its variants do not exist");
    };
    let known = |id: StringId| config.strings.holds(id);
    if !rows.iter().all(|variant| known(variant.key) && known(variant.value)) {
        return Some("a variant's name or value does not exist");
    }
    named
        .iter()
        .any(|&at| u32::from(at) >= variants.len)
        .then_some("it names a variant that it does not have")
}

fn requirements_problem(
    config: &CompiledConfig<'_>,
    holdouts: Span,
    prerequisites: Span,
) -> Option<&'static str> {
    let Some(ids) = whole(holdouts, &config.holdout_ids) else {
        return Some("its holdouts do not exist");
    };
    if ids.iter().any(|id| id.0 as usize >= config.holdouts.len()) {
        return Some("a holdout does not exist");
    }
    let Some(rows) = whole(prerequisites, &config.prerequisites) else {
        return Some("its prerequisites do not exist");
    };
    rows.iter()
        .any(|row| row.entry as usize >= config.entries.len())
        .then_some("a prerequisite does not exist")
}
