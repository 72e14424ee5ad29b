//! What a reader makes sure of before it serves a config: every index leads somewhere, and evaluation is bounded.
//!
//! A damaged entry is switched off by itself and reported; everything else works. (The checksum has already ruled out
//! accidents on the way: what is found here was published so.)

use crate::compile::{MAX_CONDITION_DEPTH, MAX_CONDITION_SIZE};
use crate::config::{
    CompiledConfig, Experiment, Extras, Fault, Flag, RuleServe, Span, Target, Variants,
};
use crate::targeting::{Node, NodeId, Operator};

/// Switches off what cannot be evaluated.
pub(crate) fn check(config: &mut CompiledConfig<'_>) {
    let mut faults = Vec::new();
    check_comparisons(config, &mut faults);
    bound_conditions(config, &mut faults);
    for at in 0..config.experiments.len() {
        let problem = config.experiments.get(at).and_then(|e| experiment_problem(config, e));
        if let (Some(problem), Some(experiment)) = (problem, config.experiments.get_mut(at)) {
            experiment.damaged = true;
            faults.push(Fault {
                entry: format!("experiment `{}`", config.strings.get(experiment.key)),
                problem: problem.into(),
            });
        }
    }
    for at in 0..config.flags.len() {
        let problem = config.flags.get(at).and_then(|f| flag_problem(config, f));
        if let (Some(problem), Some(flag)) = (problem, config.flags.get_mut(at)) {
            flag.damaged = true;
            faults.push(Fault {
                entry: format!("flag `{}`", config.strings.get(flag.key)),
                problem: problem.into(),
            });
        }
    }
    let mut last_key: Option<&[u8]> = None;
    for entry in &config.entries {
        let exists = match entry.target() {
            Target::Flag(id) => (id as usize) < config.flags.len(),
            Target::Experiment(id) => (id as usize) < config.experiments.len(),
        };
        if !exists || !config.strings.holds(entry.key) {
            faults.push(Fault {
                entry: format!("key `{}`", config.strings.get(entry.key)),
                problem: "leads nowhere".into(),
            });
        }
        let key = config.strings.bytes(entry.key);
        if last_key.is_some_and(|last| last >= key) {
            faults.push(Fault {
                entry: format!("key `{}`", config.strings.get(entry.key)),
                problem: "is out of order; of two entries with one key the first one answers"
                    .into(),
            });
        }
        last_key = Some(key);
    }
    config.faults = faults;
}

/// Makes comparisons false that cannot be made.
fn check_comparisons(config: &mut CompiledConfig<'_>, faults: &mut Vec<Fault>) {
    for comparison in &mut config.comparisons {
        let attribute = config.attributes.get(comparison.attribute.0 as usize);
        let whole = attribute.is_some()
            && whole(comparison.texts, &config.texts).is_some()
            && whole(comparison.literals, &config.literals).is_some();
        let known = Operator::from_code(comparison.op).is_some();
        if whole && known {
            continue;
        }
        let problem = if known {
            "it refers to what does not exist; the comparison is false".to_owned()
        } else {
            format!("operator {} is not known; the comparison is false", comparison.op)
        };
        let attribute = attribute.map_or("", |name| config.strings.get(name.id));
        faults.push(Fault { entry: format!("comparison of `{attribute}`"), problem });
        if known {
            comparison.op = 0;
        }
    }
}

/// Replaces nodes that could make evaluation long or endless: children that do not come before their parents, and trees
/// beyond the limits of compiling.
fn bound_conditions(config: &mut CompiledConfig<'_>, faults: &mut Vec<Fault>) {
    let mut sizes: Vec<Size> = Vec::with_capacity(config.nodes.len());
    for at in 0..config.nodes.len() {
        let size = config.nodes.get(at).and_then(|node| node_size(config, *node, &sizes));
        match size {
            Some(size)
                if size.comparisons <= MAX_CONDITION_SIZE
                    && usize::from(size.depth) <= MAX_CONDITION_DEPTH =>
            {
                sizes.push(size);
            }
            _ => {
                if let Some(node) = config.nodes.get_mut(at) {
                    *node = Node::Never;
                }
                sizes.push(Size::ONE);
                faults.push(Fault {
                    entry: format!("condition {at}"),
                    problem: "refers to what does not exist, or is too large; it is false".into(),
                });
            }
        }
    }
}

/// What a node comes to when everything in it is written out.
#[derive(Clone, Copy)]
struct Size {
    comparisons: u32,
    depth: u8,
}

impl Size {
    const ONE: Self = Self { comparisons: 1, depth: 0 };

    fn under(self, n_more: u32) -> Self {
        Self {
            comparisons: self.comparisons.saturating_add(n_more),
            depth: self.depth.saturating_add(1),
        }
    }
}

fn node_size(config: &CompiledConfig<'_>, node: Node, sizes: &[Size]) -> Option<Size> {
    // Only comparisons and nodes before this one have a size yet, so a look-up proves the order.
    let size_of = |id: NodeId| match (id.0 as usize).checked_sub(config.comparisons.len()) {
        None => Some(Size::ONE),
        Some(at) => sizes.get(at).copied(),
    };
    match node {
        Node::All(span) | Node::Any(span) => {
            let mut total = Size { comparisons: 0, depth: 0 };
            for &child in whole(span, &config.children)? {
                let size = size_of(child)?;
                total.comparisons = total.comparisons.saturating_add(size.comparisons);
                total.depth = total.depth.max(size.depth);
            }
            Some(total.under(0))
        }
        Node::Not(child) => Some(size_of(child)?.under(0)),
        Node::Segment(id) => {
            let segment = config.segments.get(id.0 as usize)?;
            config.unit_types.get(usize::from(segment.unit_type.0))?;
            match segment.condition {
                Some(condition) => Some(size_of(condition)?.under(1)),
                None => Some(Size::ONE.under(1)),
            }
        }
        Node::Never => Some(Size::ONE),
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
    if experiment.targeting().is_some_and(|id| id.0 as usize >= config.n_nodes()) {
        return Some("its targeting does not exist");
    }
    if let Some(id) = experiment.layer() {
        let Some(layer) = config.layer(id) else { return Some("its layer does not exist") };
        if layer.unit_type != experiment.unit_type
            || config.slots.get(layer.slots.0 as usize).is_none()
        {
            return Some("its layer is of another unit type or has no slots");
        }
    }
    let n_variants = u32::from(experiment.variants.len);
    match config.slots.get(experiment.split.0 as usize).and_then(|span| whole(*span, &config.runs))
    {
        Some(runs) if runs.iter().all(|run| u32::from(run.owner) < n_variants) => {}
        _ => return Some("its split does not exist or names a variant that it does not have"),
    }
    match experiment.extras.get() {
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
        if rule.condition.is_some_and(|id| id.0 as usize >= config.n_nodes()) {
            return Some("a rule's condition does not exist");
        }
        let exists = match rule.serve {
            RuleServe::Variant(at) => at < flag.variants.len,
            RuleServe::Split(slots) => config.slots.get(slots.0 as usize).is_some(),
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
    variants: Variants,
    named: &[u16],
) -> Option<&'static str> {
    let names = Span { start: variants.names, len: u32::from(variants.len) };
    let Some(names) = whole(names, &config.variant_names) else {
        return Some("its variants do not exist");
    };
    let values = Span { start: variants.values, len: u32::from(variants.len) };
    let Some(values) = whole(values, &config.variant_values) else {
        return Some("its variants' values do not exist");
    };
    if !names.iter().chain(values).all(|&text| config.strings.holds(text)) {
        return Some("a variant's name or value does not exist");
    }
    named.iter().any(|&at| at >= variants.len).then_some("it names a variant that it does not have")
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
