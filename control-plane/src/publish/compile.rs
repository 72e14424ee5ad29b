//! What people authored → what evaluation reads.
//!
//! Pure: the same definitions give the same body bytes, whatever the database's order, the time or
//! the generation.

use std::collections::{BTreeMap, BTreeSet};

use eval_core::source::{
    BucketRange, ConfigSource, ExperimentSource, ExperimentStatus, FlagSource, HoldoutSource,
    LayerSource, RuleSource, SdkKeySource, SegmentSource, Serve, SplitPart, SwitchbackSource,
    VariantSource,
};
use eval_core::{CompileError, CompiledConfig};
use jiff::Timestamp;

use crate::definition::{
    ExperimentDefinition, FlagDefinition, LifecycleStatus, RuleDefinition, ServeDefinition,
    SwitchbackDefinition, Targeting,
};
use crate::lifecycle::allocation::normalised;
use crate::publish::numbers;
use crate::store::{EnvironmentSnapshot, Versioned};

/// Compiles an environment. An error names the entry and the rule that it breaks.
pub fn compile(
    snapshot: &EnvironmentSnapshot,
    list_secret: Option<&[u8; 32]>,
) -> Result<CompiledConfig<'static>, CompileError> {
    eval_core::compile(&source(snapshot, list_secret))
}

/// The plain input of compiling: only what the edge may know, sorted by key.
pub fn source(snapshot: &EnvironmentSnapshot, list_secret: Option<&[u8; 32]>) -> ConfigSource {
    let environment = &snapshot.environment;
    let published = snapshot.experiments.iter().filter(|item| item.state.status.is_published());
    let active = snapshot.flags.iter().filter(|item| item.state.archived_at.is_none());
    let mut source = ConfigSource {
        environment: environment.id.clone(),
        project: snapshot.project.definition.name.clone(),
        domain_salt: environment.state.domain_salt.clone(),
        requires_consent: snapshot.project.definition.requires_consent,
        list_key: list_secret
            .map(|secret| eval_core::fingerprint::list_key(secret, &environment.id)),
        sdk_keys: snapshot
            .sdk_keys
            .iter()
            .map(|key| SdkKeySource { sha256: key.sha256, kind: key.kind })
            .collect(),
        server_only_attributes: Vec::new(),
        layers: snapshot.layers.iter().map(|item| layer(&item.definition)).collect(),
        holdouts: snapshot.holdouts.iter().map(|item| holdout(&item.definition)).collect(),
        segments: snapshot.segments.iter().map(|item| segment(&item.definition)).collect(),
        experiments: published.map(experiment).collect(),
        flags: active.map(flag).collect(),
        routes: Vec::new(),
    };
    // A rule that serves a draft or an archived experiment would be skipped for every unit.
    let known: BTreeSet<&str> = source.experiments.iter().map(|e| e.key.as_str()).collect();
    for flag in &mut source.flags {
        flag.rules.retain(|rule| match &rule.serve {
            Serve::Experiment(name) => known.contains(name.as_str()),
            Serve::Variant(_) | Serve::Split(_) => true,
        });
    }
    numbers::unify(&mut source);
    source.sdk_keys.sort_by_key(|key| key.sha256);
    source.layers.sort_by(|a, b| a.key.cmp(&b.key));
    source.holdouts.sort_by(|a, b| a.key.cmp(&b.key));
    source.segments.sort_by(|a, b| a.key.cmp(&b.key));
    source.experiments.sort_by(|a, b| a.key.cmp(&b.key));
    source.flags.sort_by(|a, b| a.key.cmp(&b.key));
    source
}

fn layer(definition: &crate::definition::LayerDefinition) -> LayerSource {
    LayerSource {
        key: definition.name.clone(),
        salt: definition.salt.clone().unwrap_or_default(),
        unit_type: definition.unit.clone(),
        domain: definition.domain(),
    }
}

fn holdout(definition: &crate::definition::HoldoutDefinition) -> HoldoutSource {
    HoldoutSource {
        key: definition.name.clone(),
        salt: definition.salt.clone().unwrap_or_default(),
        unit_type: definition.unit.clone(),
        size: definition.size.buckets(),
    }
}

fn segment(definition: &crate::definition::SegmentDefinition) -> SegmentSource {
    SegmentSource {
        key: definition.key.clone(),
        unit_type: definition.unit.clone(),
        condition: definition.condition.clone(),
        include: definition.include.clone(),
        exclude: definition.exclude.clone(),
    }
}

fn experiment(item: &Versioned<ExperimentDefinition>) -> ExperimentSource {
    let (definition, state) = (&item.definition, &item.state);
    ExperimentSource {
        key: definition.name.clone(),
        flag_key: definition.flag_key().to_owned(),
        salt: definition.salt.clone().unwrap_or_default(),
        unit_type: definition.unit.clone(),
        status: status(state.status),
        pause_behaviour: definition.pause_behaviour,
        starts_at: definition.start_at.map(Timestamp::as_millisecond),
        ends_at: definition.end_at.map(Timestamp::as_millisecond),
        shipped: state.shipped.clone(),
        sticky: definition.sticky,
        frozen: state.frozen,
        layer: definition.layer.clone(),
        own_layer_salt: definition.layer.is_none().then(|| state.own_layer_salt.clone()),
        ranges: normalised(state.owned_ranges()),
        holdouts: state.holdouts.clone(),
        prerequisites: definition.prerequisites.clone(),
        targeting: definition.targeting.as_ref().and_then(Targeting::condition),
        overrides: definition.overrides.clone(),
        variants: definition
            .variants
            .iter()
            .map(|variant| VariantSource {
                key: variant.name.clone(),
                value: variant.config.to_string(),
                ranges: owned(&state.variant_ranges, &variant.name),
            })
            .collect(),
        control: definition.control(),
        switchback: definition.switchback.as_ref().map(switchback),
    }
}

fn status(status: LifecycleStatus) -> ExperimentStatus {
    match status {
        LifecycleStatus::Scheduled => ExperimentStatus::Scheduled,
        LifecycleStatus::Running => ExperimentStatus::Running,
        LifecycleStatus::Paused => ExperimentStatus::Paused,
        // Drafts and archived experiments are left out before they come here.
        LifecycleStatus::Completed | LifecycleStatus::Draft | LifecycleStatus::Archived => {
            ExperimentStatus::Completed
        }
    }
}

fn switchback(definition: &SwitchbackDefinition) -> SwitchbackSource {
    SwitchbackSource {
        cluster: definition.cluster.clone(),
        anchor_ms: definition.anchor.as_millisecond(),
        period_ms: definition.period.millis(),
    }
}

fn flag(item: &Versioned<FlagDefinition>) -> FlagSource {
    let (definition, state) = (&item.definition, &item.state);
    FlagSource {
        key: definition.key.clone(),
        salt: definition.salt.clone().unwrap_or_default(),
        unit_type: definition.unit.clone(),
        enabled: definition.enabled,
        variants: definition
            .variants
            .iter()
            .map(|variant| VariantSource {
                key: variant.name.clone(),
                value: variant.value.to_string(),
                ranges: Vec::new(),
            })
            .collect(),
        default_variant: definition.default_variant.clone(),
        off_variant: definition.off_variant.clone(),
        holdouts: definition.holdouts.clone(),
        prerequisites: definition.prerequisites.clone(),
        targets: definition.targets.clone(),
        rules: definition.rules.iter().map(|rule| self::rule(rule, &state.split_ranges)).collect(),
    }
}

/// Buckets of each weighted split: the rule's salt → variant → buckets.
type SplitRanges = BTreeMap<String, BTreeMap<String, Vec<BucketRange>>>;

fn rule(definition: &RuleDefinition, splits: &SplitRanges) -> RuleSource {
    let salt = definition.salt.clone().unwrap_or_default();
    let serve = match &definition.serve {
        ServeDefinition::Variant(variant) => Serve::Variant(variant.clone()),
        ServeDefinition::Experiment(name) => Serve::Experiment(name.clone()),
        ServeDefinition::Split(parts) => {
            let none = BTreeMap::new();
            let ranges = splits.get(&salt).unwrap_or(&none);
            let part = |variant: &String| SplitPart {
                variant: variant.clone(),
                ranges: owned(ranges, variant),
            };
            Serve::Split(parts.iter().map(|entry| part(&entry.variant)).collect())
        }
    };
    RuleSource {
        salt,
        condition: definition.condition.as_ref().and_then(Targeting::condition),
        rollout: definition.rollout.buckets(),
        serve,
    }
}

fn owned(ranges: &BTreeMap<String, Vec<BucketRange>>, variant: &str) -> Vec<BucketRange> {
    ranges.get(variant).map(|ranges| normalised(ranges)).unwrap_or_default()
}
