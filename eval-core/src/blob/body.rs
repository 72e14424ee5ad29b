//! The body: every table of a config, the large ones as columns.

use crate::blob::appendix;
use crate::blob::columns::{Ascending, Bytes, Optional, SaltStates, Spans, strings};
use crate::check::check;
use crate::compile::{key_index, transitions};
use crate::config::{
    CompiledConfig, Entry, Experiment, Extras, Flag, Holdout, HoldoutId, Layer, LayerId,
    PrerequisiteRow, Rule, RuleServe, SdkKey, Segment, Span, Target, UnitTypeId, Variant,
};
use crate::slots::{Run, SlotsId};
use crate::source::ExperimentStatus;
use crate::strings::{StringId, StringTable};
use crate::targeting::{Comparison, LiteralRow, Node, NodeId, Patterns};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct Body<'b> {
    environment: &'b str,
    project: &'b str,
    requires_consent: bool,
    #[serde(borrow)]
    domain_salt: SaltStates<'b>,
    text: &'b str,
    string_lens: Vec<u32>,
    /// 33 bytes each: the hash, and 1 for a server key.
    sdk_keys: Bytes<'b>,
    unit_types: Ascending,
    attributes: Ascending,
    runs: Vec<Run>,
    slots: Spans,
    nodes: Vec<Node>,
    children: Vec<NodeId>,
    comparisons: Vec<Comparison>,
    literals: Vec<LiteralRow>,
    patterns: Ascending,
    segments: Vec<Segment>,
    layers: Layers<'b>,
    holdouts: Holdouts<'b>,
    holdout_ids: Vec<HoldoutId>,
    prerequisites: Vec<PrerequisiteRow>,
    fingerprints: Bytes<'b>,
    listed_variants: Vec<u16>,
    extras: Vec<Extras>,
    variant_keys: Ascending,
    variant_values: Ascending,
    experiments: Experiments<'b>,
    rules: Rules<'b>,
    flags: Flags<'b>,
    entry_keys: Ascending,
    entry_targets: Vec<Target>,
}

#[derive(Serialize, Deserialize)]
struct Layers<'b> {
    keys: Ascending,
    unit_types: Vec<u8>,
    #[serde(borrow)]
    salts: SaltStates<'b>,
    domain_los: Vec<u16>,
    domain_his: Vec<u16>,
    slots: Vec<u32>,
}

#[derive(Serialize, Deserialize)]
struct Holdouts<'b> {
    keys: Ascending,
    unit_types: Vec<u8>,
    #[serde(borrow)]
    salts: SaltStates<'b>,
    sizes: Vec<u16>,
}

#[derive(Serialize, Deserialize)]
struct Experiments<'b> {
    keys: Ascending,
    #[serde(borrow)]
    salts: SaltStates<'b>,
    statuses: Vec<u8>,
    unit_types: Vec<u8>,
    targeting: Optional,
    layers: Optional,
    slots: Vec<u16>,
    variants: Spans,
    splits: Vec<u32>,
    controls: Vec<u16>,
    extras: Optional,
}

#[derive(Serialize, Deserialize)]
struct Rules<'b> {
    #[serde(borrow)]
    salts: SaltStates<'b>,
    rollouts: Vec<u16>,
    conditions: Optional,
    serves: Vec<RuleServe>,
}

#[derive(Serialize, Deserialize)]
struct Flags<'b> {
    keys: Ascending,
    #[serde(borrow)]
    salts: SaltStates<'b>,
    unit_types: Vec<u8>,
    enabled: Vec<bool>,
    variants: Spans,
    default_variants: Vec<u16>,
    off_variants: Vec<u16>,
    holdouts: Vec<Span>,
    prerequisites: Vec<Span>,
    targets: Vec<Span>,
    target_variants: Vec<u32>,
    rules: Spans,
}

fn status_code(status: ExperimentStatus) -> u8 {
    match status {
        ExperimentStatus::Running => 0,
        ExperimentStatus::Scheduled => 1,
        ExperimentStatus::Paused => 2,
        ExperimentStatus::Completed => 3,
    }
}

fn status_of(code: u8) -> Option<ExperimentStatus> {
    match code {
        0 => Some(ExperimentStatus::Running),
        1 => Some(ExperimentStatus::Scheduled),
        2 => Some(ExperimentStatus::Paused),
        3 => Some(ExperimentStatus::Completed),
        _ => None,
    }
}

pub(super) fn write(config: &CompiledConfig<'_>) -> Vec<u8> {
    let experiments = &config.experiments;
    let flags = &config.flags;
    let rules = &config.rules;
    let mut before = 0u32;
    let body = Body {
        environment: &config.environment,
        project: &config.project,
        requires_consent: config.requires_consent,
        domain_salt: SaltStates::of(std::iter::once(config.domain_salt)),
        text: &config.strings.text,
        string_lens: config
            .strings
            .ends
            .iter()
            .map(|&end| end.wrapping_sub(std::mem::replace(&mut before, end)))
            .collect(),
        sdk_keys: Bytes(
            config
                .sdk_keys
                .iter()
                .flat_map(|key| key.sha256.into_iter().chain([u8::from(key.server)]))
                .collect(),
        ),
        unit_types: strings(config.unit_types.iter().copied()),
        attributes: strings(config.attributes.iter().copied()),
        runs: config.runs.clone(),
        slots: Spans::of(config.slots.iter().copied()),
        nodes: config.nodes.clone(),
        children: config.children.clone(),
        comparisons: config.comparisons.clone(),
        literals: config.literals.clone(),
        patterns: strings(config.patterns.sources.iter().copied()),
        segments: config.segments.clone(),
        layers: Layers {
            keys: strings(config.layers.iter().map(|l| l.key)),
            unit_types: config.layers.iter().map(|l| l.unit_type.0).collect(),
            salts: SaltStates::of(config.layers.iter().map(|l| l.salt)),
            domain_los: config.layers.iter().map(|l| l.domain_lo).collect(),
            domain_his: config.layers.iter().map(|l| l.domain_hi).collect(),
            slots: config.layers.iter().map(|l| l.slots.0).collect(),
        },
        holdouts: Holdouts {
            keys: strings(config.holdouts.iter().map(|h| h.key)),
            unit_types: config.holdouts.iter().map(|h| h.unit_type.0).collect(),
            salts: SaltStates::of(config.holdouts.iter().map(|h| h.salt)),
            sizes: config.holdouts.iter().map(|h| h.size).collect(),
        },
        holdout_ids: config.holdout_ids.clone(),
        prerequisites: config.prerequisites.clone(),
        fingerprints: Bytes(Cow::Borrowed(&config.fingerprints)),
        listed_variants: config.listed_variants.clone(),
        extras: config.extras.clone(),
        variant_keys: strings(config.variants.iter().map(|v| v.key)),
        variant_values: strings(config.variants.iter().map(|v| v.value)),
        experiments: Experiments {
            keys: strings(experiments.iter().map(|e| e.key)),
            salts: SaltStates::of(experiments.iter().map(|e| e.salt)),
            statuses: experiments.iter().map(|e| status_code(e.status)).collect(),
            unit_types: experiments.iter().map(|e| e.unit_type.0).collect(),
            targeting: Optional::of(experiments.iter().map(|e| e.targeting.map(|id| id.0))),
            layers: Optional::of(experiments.iter().map(|e| e.layer.map(|id| id.0))),
            slots: experiments.iter().map(|e| e.slot).collect(),
            variants: Spans::of(experiments.iter().map(|e| e.variants)),
            splits: experiments.iter().map(|e| e.split.0).collect(),
            controls: experiments.iter().map(|e| e.control).collect(),
            extras: Optional::of(experiments.iter().map(|e| e.extras)),
        },
        rules: Rules {
            salts: SaltStates::of(rules.iter().map(|r| r.salt)),
            rollouts: rules.iter().map(|r| r.rollout).collect(),
            conditions: Optional::of(rules.iter().map(|r| r.condition.map(|id| id.0))),
            serves: rules.iter().map(|r| r.serve).collect(),
        },
        flags: Flags {
            keys: strings(flags.iter().map(|f| f.key)),
            salts: SaltStates::of(flags.iter().map(|f| f.salt)),
            unit_types: flags.iter().map(|f| f.unit_type.0).collect(),
            enabled: flags.iter().map(|f| f.enabled).collect(),
            variants: Spans::of(flags.iter().map(|f| f.variants)),
            default_variants: flags.iter().map(|f| f.default_variant).collect(),
            off_variants: flags.iter().map(|f| f.off_variant).collect(),
            holdouts: flags.iter().map(|f| f.holdouts).collect(),
            prerequisites: flags.iter().map(|f| f.prerequisites).collect(),
            targets: flags.iter().map(|f| f.targets).collect(),
            target_variants: flags.iter().map(|f| f.target_variants).collect(),
            rules: Spans::of(flags.iter().map(|f| f.rules)),
        },
        entry_keys: strings(config.entries.iter().map(|e| e.key)),
        entry_targets: config.entries.iter().map(|e| e.target).collect(),
    };
    // Writing numbers and strings to memory cannot fail; an empty body would be refused by every reader.
    let mut bytes = postcard::to_allocvec(&body).unwrap_or_default();
    appendix::write(config, &mut bytes);
    bytes
}

pub(super) fn read(bytes: &[u8]) -> Result<CompiledConfig<'_>, String> {
    let (body, rest) =
        postcard::take_from_bytes::<Body<'_>>(bytes).map_err(|error| error.to_string())?;
    let appendix = appendix::read(rest)?;
    let mut end = 0u32;
    let ends: Vec<u32> = body
        .string_lens
        .iter()
        .map(|len| {
            end = end.saturating_add(*len);
            end
        })
        .collect();
    let experiments = experiments_of(&body.experiments)?;
    let flags = flags_of(&body.flags);
    let mut config = CompiledConfig {
        strings: StringTable { text: Cow::Borrowed(body.text), ends },
        environment: body.environment.to_owned(),
        project: body.project.to_owned(),
        requires_consent: body.requires_consent,
        domain_salt: body.domain_salt.iter().next().unwrap_or_default(),
        sdk_keys: sdk_keys_of(&body.sdk_keys),
        unit_types: body.unit_types.iter().map(StringId).collect(),
        attributes: body.attributes.iter().map(StringId).collect(),
        runs: body.runs,
        slots: body.slots.iter().collect(),
        nodes: body.nodes,
        children: body.children,
        comparisons: body.comparisons,
        literals: body.literals,
        patterns: Patterns::new(body.patterns.iter().map(StringId).collect()),
        segments: body.segments,
        layers: layers_of(&body.layers),
        holdouts: holdouts_of(&body.holdouts),
        holdout_ids: body.holdout_ids,
        prerequisites: body.prerequisites,
        fingerprints: body.fingerprints.0,
        listed_variants: body.listed_variants,
        extras: body.extras,
        variants: body
            .variant_keys
            .iter()
            .zip(body.variant_values.iter())
            .map(|(key, value)| Variant { key: StringId(key), value: StringId(value) })
            .collect(),
        experiments,
        rules: rules_of(&body.rules),
        flags,
        entries: body
            .entry_keys
            .iter()
            .zip(&body.entry_targets)
            .map(|(key, &target)| Entry { key: StringId(key), target })
            .collect(),
        server_only: appendix.server_only.into_iter().map(StringId).collect(),
        at_edge: appendix.at_edge,
        ..CompiledConfig::default()
    };
    check(&mut config);
    config.transitions = transitions(&config);
    config.index = key_index(&config);
    Ok(config)
}

fn sdk_keys_of(bytes: &Bytes<'_>) -> Vec<SdkKey> {
    let (keys, _) = bytes.0.as_chunks::<33>();
    let key = |bytes: &[u8; 33]| {
        let (sha256, server) = bytes.split_at_checked(32)?;
        Some(SdkKey { sha256: sha256.try_into().ok()?, server: server == [1] })
    };
    keys.iter().filter_map(key).collect()
}

fn layers_of(columns: &Layers<'_>) -> Vec<Layer> {
    let rows = columns.keys.iter().zip(&columns.unit_types).zip(columns.salts.iter());
    let rows = rows.zip(&columns.domain_los).zip(&columns.domain_his).zip(&columns.slots);
    rows.map(|(((((key, unit_type), salt), lo), hi), slots)| Layer {
        key: StringId(key),
        unit_type: UnitTypeId(*unit_type),
        salt,
        domain_lo: *lo,
        domain_hi: *hi,
        slots: SlotsId(*slots),
    })
    .collect()
}

fn holdouts_of(columns: &Holdouts<'_>) -> Vec<Holdout> {
    let rows =
        columns.keys.iter().zip(&columns.unit_types).zip(columns.salts.iter()).zip(&columns.sizes);
    rows.map(|(((key, unit_type), salt), size)| Holdout {
        key: StringId(key),
        unit_type: UnitTypeId(*unit_type),
        salt,
        size: *size,
    })
    .collect()
}

fn experiments_of(columns: &Experiments<'_>) -> Result<Vec<Experiment>, String> {
    let mut experiments = Vec::with_capacity(columns.keys.len());
    let mut statuses = columns.statuses.iter();
    let mut unit_types = columns.unit_types.iter();
    let mut targeting = columns.targeting.iter();
    let mut layers = columns.layers.iter();
    let mut slots = columns.slots.iter();
    let mut variants = columns.variants.iter();
    let mut splits = columns.splits.iter();
    let mut controls = columns.controls.iter();
    let mut extras = columns.extras.iter();
    let mut salts = columns.salts.iter();
    for key in columns.keys.iter() {
        let mut row = || -> Option<Experiment> {
            Some(Experiment {
                key: StringId(key),
                salt: salts.next()?,
                targeting: targeting.next()?.map(NodeId),
                layer: layers.next()?.map(LayerId),
                slot: *slots.next()?,
                variants: variants.next()?,
                split: SlotsId(*splits.next()?),
                extras: extras.next()?,
                control: *controls.next()?,
                unit_type: UnitTypeId(*unit_types.next()?),
                status: status_of(*statuses.next()?)?,
                damaged: false,
            })
        };
        experiments.push(
            row().ok_or("columns of experiments differ in length or hold an unknown status")?,
        );
    }
    Ok(experiments)
}

fn rules_of(columns: &Rules<'_>) -> Vec<Rule> {
    let rows = columns
        .salts
        .iter()
        .zip(&columns.rollouts)
        .zip(columns.conditions.iter())
        .zip(&columns.serves);
    rows.map(|(((salt, rollout), condition), serve)| Rule {
        salt,
        rollout: *rollout,
        condition: condition.map(NodeId),
        serve: *serve,
    })
    .collect()
}

fn flags_of(columns: &Flags<'_>) -> Vec<Flag> {
    let mut flags = Vec::with_capacity(columns.keys.len());
    let mut salts = columns.salts.iter();
    let mut variants = columns.variants.iter();
    let mut rules = columns.rules.iter();
    for (at, key) in columns.keys.iter().enumerate() {
        let mut row = || -> Option<Flag> {
            Some(Flag {
                key: StringId(key),
                salt: salts.next()?,
                unit_type: UnitTypeId(*columns.unit_types.get(at)?),
                enabled: *columns.enabled.get(at)?,
                variants: variants.next()?,
                default_variant: *columns.default_variants.get(at)?,
                off_variant: *columns.off_variants.get(at)?,
                holdouts: *columns.holdouts.get(at)?,
                prerequisites: *columns.prerequisites.get(at)?,
                targets: *columns.targets.get(at)?,
                target_variants: *columns.target_variants.get(at)?,
                rules: rules.next()?,
                damaged: false,
            })
        };
        flags.extend(row());
    }
    flags
}
