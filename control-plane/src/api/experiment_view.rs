//! An experiment as answered: its definition, its life, and everything from which an assignment can be
//! recomputed by hand.

use crate::definition::experiment::{PauseBehaviourDefinition, PrerequisiteDefinition};
use crate::definition::{
    ExperimentDefinition, GroupSequentialDefinition, GuardrailDefinition, LayerDefinition,
    LifecycleStatus, MdeType, Phase, Share, SwitchbackDefinition, Targeting, schema,
};
use crate::lifecycle::{allocation, split};
use crate::store::Versioned;
use eval_core::source::{BucketRange, PauseBehaviour, Prerequisite};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Bucket ranges as half-open pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pairs(Vec<BucketRange>);

impl Pairs {
    /// The ranges sorted, with neighbours joined.
    pub(crate) fn of(ranges: &[BucketRange]) -> Self {
        Self(allocation::normalised(ranges))
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|range| [range.lo, range.hi]))
    }
}

/// An experiment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Experiment {
    /// Id.
    pub(crate) id: String,
    /// Name; events and reports call the experiment by it.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) status: LifecycleStatus,
    /// 1, 2, 3, …; also the `ETag`.
    pub(crate) version: i64,
    /// What is expected to happen, and why.
    pub(crate) hypothesis: Option<String>,
    /// Anything else worth knowing.
    pub(crate) description: Option<String>,
    /// Who answers for it.
    pub(crate) owner: Option<String>,
    /// Salt of the split between variants.
    pub(crate) salt: String,
    /// Unit type that is randomised.
    pub(crate) unit: String,
    /// The layer and which of its buckets the experiment owns.
    pub(crate) layer: ExperimentLayer,
    /// Percent of the layer's units that take part.
    #[schema(value_type = schema::Percent)]
    pub(crate) traffic: Share,
    /// What is compared.
    pub(crate) variants: Vec<ExperimentVariant>,
    /// Who is eligible; everybody when null.
    pub(crate) targeting: Option<Targeting>,
    /// Units that get a variant without taking part.
    #[schema(value_type = schema::Assignments)]
    pub(crate) overrides: BTreeMap<String, String>,
    /// Key under which clients ask for it.
    pub(crate) flag: String,
    /// Flags that must serve given variants.
    #[schema(value_type = Vec<PrerequisiteDefinition>)]
    pub(crate) prerequisites: Vec<Prerequisite>,
    /// Holdouts that it names.
    pub(crate) holdouts: Vec<String>,
    /// Holdouts that cover it: those that it names and, as of its start, those of the whole project.
    pub(crate) covering_holdouts: Vec<String>,
    /// Whether a unit keeps the variant that it was given before.
    pub(crate) sticky: bool,
    /// What it serves while paused.
    #[schema(value_type = PauseBehaviourDefinition)]
    pub(crate) pause_behaviour: PauseBehaviour,
    /// When it starts, if later than its start is asked for.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) start_at: Option<Timestamp>,
    /// When it completes by itself.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) end_at: Option<Timestamp>,
    /// Randomises slices of time of a cluster instead of units.
    pub(crate) switchback: Option<SwitchbackDefinition>,
    /// Metric that decides.
    pub(crate) primary_metric: Option<String>,
    /// Metrics to look at.
    pub(crate) secondary_metrics: Vec<String>,
    /// Metrics that must not get worse.
    pub(crate) guardrail_metrics: Vec<GuardrailDefinition>,
    /// Smallest effect worth detecting.
    pub(crate) min_detectable_effect: Option<f64>,
    /// How the smallest effect is meant.
    pub(crate) mde_type: MdeType,
    /// Accepted rate of false positives.
    pub(crate) significance_level: f64,
    /// Chance to find an effect of the smallest size.
    pub(crate) power: f64,
    /// Looks that share the accepted rate of false positives.
    pub(crate) group_sequential: Option<GroupSequentialDefinition>,
    /// Planned length in days.
    pub(crate) estimated_duration_days: Option<u32>,
    /// Eligible units that are expected on a day, before `traffic`.
    pub(crate) expected_daily_units: Option<u64>,
    /// Number of the current phase: 1 from the start, one more with every change that moves units; 0 before.
    pub(crate) phase: u32,
    /// Every phase so far.
    pub(crate) phases: Vec<Phase>,
    /// When it first enrolled.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) started_at: Option<Timestamp>,
    /// When it was paused, while it is.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) paused_at: Option<Timestamp>,
    /// Since when it enrols nobody new; null while it enrols.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) frozen_at: Option<Timestamp>,
    /// When it was completed.
    #[schema(value_type = Option<schema::Time>)]
    pub(crate) ended_at: Option<Timestamp>,
    /// Variant that everyone gets since its completion.
    pub(crate) shipped: Option<String>,
    /// Who created it.
    #[schema(value_type = schema::Time)]
    pub(crate) created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = schema::Time)]
    pub(crate) updated_at: Timestamp,
}

/// The layer of an experiment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentLayer {
    /// Name; null for a layer of its own.
    pub(crate) name: Option<String>,
    /// Salt of the layer's buckets.
    pub(crate) salt: String,
    /// Buckets of the layer that the experiment owns (of a completed one: owned until its end).
    #[schema(value_type = schema::Ranges)]
    pub(crate) ranges: Pairs,
}

/// A variant of an experiment.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ExperimentVariant {
    /// Name.
    pub(crate) name: String,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Percent of the experiment's units.
    #[schema(value_type = schema::Percent)]
    pub(crate) weight: Share,
    /// What clients are answered.
    #[schema(value_type = schema::JsonValue)]
    pub(crate) config: serde_json::Value,
    /// Whether the others are compared with it.
    pub(crate) is_control: bool,
    /// Buckets of the experiment's own space that it owns (of a draft: that it will own).
    #[schema(value_type = schema::Ranges)]
    pub(crate) ranges: Pairs,
}

impl Experiment {
    /// The answer for an experiment among the layers of its project.
    pub(crate) fn new(
        item: Versioned<ExperimentDefinition>,
        layers: &[Versioned<LayerDefinition>],
    ) -> Self {
        let Versioned { id, version, created_at, updated_at, definition, state, .. } = item;
        let control = definition.control();
        let planned;
        let ranges = if state.variant_ranges.is_empty() {
            planned = split::contiguous(
                definition.variants.iter().map(|v| (v.name.as_str(), v.weight.buckets())),
            );
            &planned
        } else {
            &state.variant_ranges
        };
        let variants = definition
            .variants
            .iter()
            .enumerate()
            .map(|(index, variant)| ExperimentVariant {
                name: variant.name.clone(),
                description: variant.description.clone(),
                weight: variant.weight,
                config: variant.config.clone(),
                is_control: index == control,
                ranges: Pairs::of(ranges.get(&variant.name).map_or(&[], Vec::as_slice)),
            })
            .collect();
        let layer_salt = match &definition.layer {
            None => Some(state.own_layer_salt.clone()),
            Some(name) => layers
                .iter()
                .find(|layer| layer.definition.name == *name)
                .and_then(|layer| layer.definition.salt.clone()),
        };
        Self {
            flag: definition.flag_key().to_owned(),
            salt: definition.salt.clone().unwrap_or_default(),
            layer: ExperimentLayer {
                name: definition.layer,
                salt: layer_salt.unwrap_or_default(),
                ranges: Pairs::of(&state.layer_ranges),
            },
            variants,
            id,
            version,
            created_at,
            updated_at,
            name: definition.name,
            status: state.status,
            hypothesis: definition.hypothesis,
            description: definition.description,
            owner: definition.owner,
            unit: definition.unit,
            traffic: definition.traffic,
            targeting: definition.targeting,
            overrides: definition.overrides,
            prerequisites: definition.prerequisites,
            holdouts: definition.holdouts,
            covering_holdouts: state.holdouts.clone(),
            sticky: definition.sticky,
            pause_behaviour: definition.pause_behaviour,
            start_at: definition.start_at,
            end_at: definition.end_at,
            switchback: definition.switchback,
            primary_metric: definition.primary_metric,
            secondary_metrics: definition.secondary_metrics,
            guardrail_metrics: definition.guardrail_metrics,
            min_detectable_effect: definition.min_detectable_effect,
            mde_type: definition.mde_type,
            significance_level: definition.significance_level,
            power: definition.power,
            group_sequential: definition.group_sequential,
            estimated_duration_days: definition.estimated_duration_days,
            expected_daily_units: definition.expected_daily_units,
            phase: state.phase(),
            phases: state.phases,
            started_at: state.started_at,
            paused_at: state.paused_at,
            frozen_at: state.frozen_at,
            ended_at: state.ended_at,
            shipped: state.shipped,
        }
    }
}
