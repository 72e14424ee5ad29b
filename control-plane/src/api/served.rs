//! What edges would serve differently after a change, and which units would move: by the real evaluator.

use crate::publish::compile;
use crate::store::EnvironmentSnapshot;
use eval_core::source::{Condition, ConfigSource, Literal, Serve};
use eval_core::{AttributeValue, CompiledConfig, Context, Request, blob};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Units that are evaluated before and after.
const N_UNITS: u32 = 2000;

/// Changed experiments and flags that are looked at.
const MAX_KEYS: usize = 50;

/// What a change does to one environment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ServedChange {
    /// Id of the environment.
    pub(crate) environment: String,
    /// Size of its config in bytes.
    pub(crate) blob_bytes: usize,
    /// How much larger the config would be.
    pub(crate) blob_bytes_delta: i64,
    /// Whether edges would serve anything else.
    pub(crate) changes_what_is_served: bool,
    /// Keys whose definition changes for the edges, and how many units would get another variant; the first 50.
    #[schema(inline)]
    pub(crate) moved: Vec<Moved>,
}

/// How many units would get another variant.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Moved {
    /// Key of the experiment or flag.
    pub(crate) key: String,
    /// Made-up units that were evaluated: ids `dry-run-0` on, attribute values drawn evenly from those that
    /// the environment's conditions name, and one that none names.
    pub(crate) n_units: u32,
    /// How many of them would get another variant.
    #[expect(clippy::struct_field_names, reason = "the API's word for what the type counts")]
    pub(crate) n_moved: u32,
    /// How many would take part that did not.
    pub(crate) n_entered: u32,
    /// How many would no longer take part.
    pub(crate) n_left: u32,
}

/// Whether edges would decide anything differently: definitions that nothing refers to do not count.
pub(crate) fn differs(
    before: &EnvironmentSnapshot,
    after: &EnvironmentSnapshot,
    list_secret: Option<&[u8; 32]>,
) -> bool {
    let referenced = |snapshot| {
        let mut source = compile::source(snapshot, list_secret);
        drop_unreferenced(&mut source);
        source
    };
    referenced(before) != referenced(after)
}

fn drop_unreferenced(source: &mut ConfigSource) {
    let mut segments = BTreeSet::new();
    let roots = source.experiments.iter().filter_map(|e| e.targeting.as_ref());
    let rules =
        source.flags.iter().flat_map(|f| &f.rules).filter_map(|rule| rule.condition.as_ref());
    for condition in roots.chain(rules) {
        segments_of(condition, &mut segments);
    }
    // Segments that are referred to may refer to others.
    loop {
        let known = segments.len();
        for segment in &source.segments {
            if segments.contains(&segment.key)
                && let Some(condition) = &segment.condition
            {
                segments_of(condition, &mut segments);
            }
        }
        if segments.len() == known {
            break;
        }
    }
    let layers: BTreeSet<String> =
        source.experiments.iter().filter_map(|e| e.layer.clone()).collect();
    let holdouts: BTreeSet<String> = source
        .experiments
        .iter()
        .flat_map(|experiment| &experiment.holdouts)
        .chain(source.flags.iter().flat_map(|flag| &flag.holdouts))
        .cloned()
        .collect();
    // Routes may name segments of their own: then none is dropped.
    if source.routes.is_empty() {
        source.segments.retain(|segment| segments.contains(&segment.key));
    }
    source.layers.retain(|layer| layers.contains(&layer.key));
    source.holdouts.retain(|holdout| holdouts.contains(&holdout.key));
}

fn segments_of(condition: &Condition, found: &mut BTreeSet<String>) {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            for part in parts {
                segments_of(part, found);
            }
        }
        Condition::Not(part) => segments_of(part, found),
        Condition::Segment(key) => {
            found.insert(key.clone());
        }
        Condition::Compare { .. } => {}
    }
}

/// What the change from one state of an environment to another does.
pub(crate) fn compare(
    before: &EnvironmentSnapshot,
    after: &EnvironmentSnapshot,
    list_secret: Option<&[u8; 32]>,
    now_ms: i64,
) -> Result<ServedChange, eval_core::CompileError> {
    let sources = [compile::source(before, list_secret), compile::source(after, list_secret)];
    let [old, new] = [eval_core::compile(&sources[0])?, eval_core::compile(&sources[1])?];
    let sizes = [&old, &new].map(|config| blob::encode(config, 0, 0).len());
    let signed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let crowd = Crowd::of(&sources);
    let list_key = sources[1].list_key;
    let moved = changed_keys(&sources[0], &sources[1])
        .into_iter()
        .take(MAX_KEYS)
        .map(|key| crowd.moved(&old, &new, key, list_key.as_ref(), now_ms))
        .collect();
    Ok(ServedChange {
        environment: after.environment.id.clone(),
        blob_bytes: sizes[1],
        blob_bytes_delta: signed(sizes[1]) - signed(sizes[0]),
        changes_what_is_served: differs(before, after, list_secret),
        moved,
    })
}

/// Keys under which something differs; all keys when what they share differs.
fn changed_keys(before: &ConfigSource, after: &ConfigSource) -> BTreeSet<String> {
    let shared_differs =
        (&before.layers, &before.holdouts, &before.segments, before.requires_consent)
            != (&after.layers, &after.holdouts, &after.segments, after.requires_consent);
    let mut keys = BTreeSet::new();
    let experiments = |source: &ConfigSource| {
        let by_key = source.experiments.iter().map(|e| (e.key.clone(), format!("{e:?}")));
        by_key.collect::<BTreeMap<_, _>>()
    };
    let flags = |source: &ConfigSource| {
        let by_key = source.flags.iter().map(|f| (f.key.clone(), format!("{f:?}")));
        by_key.collect::<BTreeMap<_, _>>()
    };
    for (old, new) in [(experiments(before), experiments(after)), (flags(before), flags(after))] {
        for key in old.keys().chain(new.keys()) {
            if shared_differs || old.get(key) != new.get(key) {
                keys.insert(key.clone());
            }
        }
    }
    // Clients ask for an experiment by its flag key.
    let asked = |key: &String| {
        let mut both = after.experiments.iter().chain(&before.experiments);
        both.find(|e| e.key == *key).map_or_else(|| key.clone(), |e| e.flag_key.clone())
    };
    let mut asked: BTreeSet<String> = keys.iter().map(asked).collect();
    // A flag that serves a changed experiment is changed with it.
    for flag in &after.flags {
        let serves = |rule: &eval_core::source::RuleSource| matches!(&rule.serve, Serve::Experiment(name) if keys.contains(name));
        if flag.rules.iter().any(serves) {
            asked.insert(flag.key.clone());
        }
    }
    asked
}

/// Made-up units for a dry run.
struct Crowd {
    unit_types: BTreeSet<String>,
    attributes: BTreeMap<String, Vec<Literal>>,
}

impl Crowd {
    fn of(sources: &[ConfigSource]) -> Self {
        let mut crowd = Self { unit_types: BTreeSet::new(), attributes: BTreeMap::new() };
        for source in sources {
            for experiment in &source.experiments {
                crowd.unit_types.insert(experiment.unit_type.clone());
                experiment.targeting.iter().for_each(|condition| crowd.learn(condition));
            }
            for flag in &source.flags {
                crowd.unit_types.insert(flag.unit_type.clone());
                let conditions = flag.rules.iter().filter_map(|rule| rule.condition.as_ref());
                conditions.for_each(|condition| crowd.learn(condition));
            }
            let conditions = source.segments.iter().filter_map(|s| s.condition.as_ref());
            conditions.for_each(|condition| crowd.learn(condition));
        }
        crowd
    }

    fn learn(&mut self, condition: &Condition) {
        match condition {
            Condition::All(parts) | Condition::Any(parts) => {
                for part in parts {
                    self.learn(part);
                }
            }
            Condition::Not(part) => self.learn(part),
            Condition::Segment(_) => {}
            Condition::Compare { attribute, values, .. } => {
                let known = self.attributes.entry(attribute.clone()).or_default();
                for value in values {
                    if known.len() < 100 && !known.contains(value) {
                        known.push(value.clone());
                    }
                }
            }
        }
    }

    fn context(&self, unit: u32) -> Context<'static> {
        let id = format!("dry-run-{unit}");
        let mut context = Context::new();
        for unit_type in &self.unit_types {
            context = context.unit(unit_type.clone(), id.clone());
        }
        // Units take part under any rule about consent.
        context = context.attribute("consent", true);
        for (place, (name, values)) in self.attributes.iter().enumerate() {
            // Mixed so that attributes do not go in step.
            let salted = blake3::hash(format!("{id}:{place}").as_bytes());
            let mut draw = [0; 4];
            draw.copy_from_slice(&salted.as_bytes()[..4]);
            let index = u32::from_le_bytes(draw) as usize % (values.len() + 1);
            let value: AttributeValue<'static> = match values.get(index) {
                None => "none of these".to_owned().into(),
                Some(Literal::Bool(value)) => (*value).into(),
                Some(Literal::Number(value)) => (*value).into(),
                Some(Literal::String(value)) => value.clone().into(),
            };
            context = context.attribute(name.clone(), value);
        }
        context
    }

    fn moved(
        &self,
        old: &CompiledConfig<'_>,
        new: &CompiledConfig<'_>,
        key: String,
        list_key: Option<&[u8; 32]>,
        now_ms: i64,
    ) -> Moved {
        let mut moved = Moved { key, n_units: N_UNITS, n_moved: 0, n_entered: 0, n_left: 0 };
        for unit in 0..N_UNITS {
            let context = self.context(unit);
            let decide = |config: &CompiledConfig<'_>| {
                let mut request = Request::new(config, &context, list_key, now_ms);
                let decision = request.evaluate(&moved.key);
                (decision.variant().map(str::to_owned), decision.exposure().is_some())
            };
            let (before, after) = (decide(old), decide(new));
            moved.n_moved += u32::from(before.0 != after.0);
            moved.n_entered += u32::from(!before.1 && after.1);
            moved.n_left += u32::from(before.1 && !after.1);
        }
        moved
    }
}
