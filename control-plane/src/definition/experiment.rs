//! Experiments as authored.

use super::{IsoDuration, Share, Targeting, default_unit, schema};
use eval_core::source::{PauseBehaviour, Prerequisite};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A randomised comparison of variants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentDefinition {
    /// Name, unique in the environment; events and reports call the experiment by it. Fixed once it starts.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What is expected to happen, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub hypothesis: Option<String>,
    /// Anything else worth knowing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 256)]
    pub owner: Option<String>,
    /// Layer that it shares with others; a layer of its own when absent. Fixed once it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub layer: Option<String>,
    /// Unit type that is randomised. Fixed once it starts.
    #[serde(default = "default_unit")]
    #[schema(value_type = schema::UnitType, default = "user_id")]
    pub unit: String,
    /// Salt of the split between variants; generated when absent. Fixed once it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Salt>)]
    pub salt: Option<String>,
    /// Percent of the layer's units that take part.
    #[serde(default = "Share::all")]
    #[schema(value_type = schema::Percent, default = 100)]
    pub traffic: Share,
    /// What is compared; the weights sum to 100.
    #[schema(min_items = 2, max_items = 100)]
    pub variants: Vec<VariantDefinition>,
    /// Who is eligible; everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targeting: Option<Targeting>,
    /// Units that get a variant without taking part (unit id → variant).
    #[serde(default)]
    #[schema(value_type = schema::Assignments)]
    pub overrides: BTreeMap<String, String>,
    /// Key under which clients ask for it; its name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub flag: Option<String>,
    /// Flags that must serve given variants.
    #[serde(default)]
    #[schema(value_type = Vec<PrerequisiteDefinition>, max_items = 50)]
    pub prerequisites: Vec<Prerequisite>,
    /// Holdouts that cover it, beside those of the whole project.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Name>, max_items = 50)]
    pub holdouts: Vec<String>,
    /// Whether a unit keeps the variant that it was given before.
    #[serde(default)]
    pub sticky: bool,
    /// What it serves while paused.
    #[serde(default)]
    #[schema(value_type = PauseBehaviourDefinition, default = "control")]
    pub pause_behaviour: PauseBehaviour,
    /// When it starts, if later than its start is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Time>)]
    pub start_at: Option<Timestamp>,
    /// When it completes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Time>)]
    pub end_at: Option<Timestamp>,
    /// Randomises slices of time of a cluster instead of units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switchback: Option<SwitchbackDefinition>,
    /// Metric that decides. Needed to start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Name>)]
    pub primary_metric: Option<String>,
    /// Metrics to look at.
    #[serde(default)]
    #[schema(value_type = Vec<schema::Name>, max_items = 100)]
    pub secondary_metrics: Vec<String>,
    /// Metrics that must not get worse.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub guardrail_metrics: Vec<GuardrailDefinition>,
    /// Smallest effect worth detecting; relative unless `mde_type` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0.0)]
    pub min_detectable_effect: Option<f64>,
    /// How the smallest effect is meant.
    #[serde(default)]
    #[schema(default = "relative")]
    pub mde_type: MdeType,
    /// Accepted rate of false positives.
    #[serde(default = "five_percent")]
    #[schema(exclusive_minimum = 0.0, exclusive_maximum = 0.5, default = 0.05)]
    pub significance_level: f64,
    /// Chance to find an effect of the smallest size.
    #[serde(default = "eighty_percent")]
    #[schema(minimum = 0.5, exclusive_maximum = 1.0, default = 0.8)]
    pub power: f64,
    /// Looks that share the accepted rate of false positives; without them only always-valid results may
    /// end the experiment before its planned sample. Fixed once it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_sequential: Option<GroupSequentialDefinition>,
    /// Planned length in days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3650)]
    pub estimated_duration_days: Option<u32>,
    /// Eligible units that are expected on a day, before `traffic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000_000_000_i64)]
    pub expected_daily_units: Option<u64>,
}

fn five_percent() -> f64 {
    0.05
}

fn eighty_percent() -> f64 {
    0.8
}

/// One of the answers that are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantDefinition {
    /// Name, unique in the experiment.
    #[schema(value_type = schema::Name)]
    pub name: String,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub description: Option<String>,
    /// Percent of the experiment's units.
    #[schema(value_type = schema::Percent)]
    pub weight: Share,
    /// What clients are answered.
    #[serde(default)]
    #[schema(value_type = schema::JsonValue)]
    pub config: serde_json::Value,
    /// Whether the others are compared with it; the first variant is when none says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_control: bool,
}

/// Evenly spaced looks at the planned sample, the last of which is all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSequentialDefinition {
    /// Number of looks.
    #[schema(minimum = 2, maximum = 30)]
    pub looks: u32,
    /// How the accepted rate of false positives is spent over them.
    #[serde(default)]
    #[schema(default = "obrien_fleming")]
    pub spending: SpendingDefinition,
    /// Whether a look may advise to give up.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub futility: bool,
}

const fn yes() -> bool {
    true
}

/// How the accepted rate of false positives is spent over the looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Spending)]
pub enum SpendingDefinition {
    /// Little at first, most of it at the end.
    #[default]
    ObrienFleming,
    /// Much the same at each look.
    Pocock,
}

/// A metric that must not get worse: a name, or a name with a margin.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardrailDefinition {
    /// Name of the metric.
    pub metric: String,
    /// Largest harm that is accepted.
    pub max_degradation: Option<f64>,
    /// How the margin is meant.
    pub margin_type: MarginType,
}

/// The two ways to write a guardrail.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum GuardrailForm {
    /// The metric's name.
    #[schema(value_type = schema::Name)]
    Name(String),
    /// The metric with its margin.
    Margin(GuardrailMargin),
}

/// A guardrail with its margin.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GuardrailMargin {
    /// Name of the metric.
    #[schema(value_type = schema::Name)]
    metric: String,
    /// Largest harm that is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0.0)]
    max_degradation: Option<f64>,
    /// How the margin is meant.
    #[serde(default)]
    #[schema(default = "relative")]
    margin_type: MarginType,
}

impl utoipa::PartialSchema for GuardrailDefinition {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        GuardrailForm::schema()
    }
}

impl ToSchema for GuardrailDefinition {
    fn name() -> std::borrow::Cow<'static, str> {
        "Guardrail".into()
    }

    fn schemas(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
        GuardrailForm::schemas(schemas);
    }
}

impl Serialize for GuardrailDefinition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let metric = self.metric.clone();
        match (self.max_degradation, self.margin_type) {
            (None, MarginType::Relative) => GuardrailForm::Name(metric),
            (max_degradation, margin_type) => {
                GuardrailForm::Margin(GuardrailMargin { metric, max_degradation, margin_type })
            }
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for GuardrailDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match GuardrailForm::deserialize(deserializer)? {
            GuardrailForm::Name(metric) => {
                Self { metric, max_degradation: None, margin_type: MarginType::default() }
            }
            GuardrailForm::Margin(GuardrailMargin { metric, max_degradation, margin_type }) => {
                Self { metric, max_degradation, margin_type }
            }
        })
    }
}

/// How a guardrail's margin is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarginType {
    /// A part of the control's value.
    #[default]
    Relative,
    /// In the metric's own unit.
    Absolute,
}

/// How the smallest effect is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MdeType {
    /// A part of the control's value: 0.02 is +2 %.
    #[default]
    Relative,
    /// In the metric's own unit.
    Absolute,
}

/// Randomises slices of time of a cluster instead of units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchbackDefinition {
    /// Length of a slice.
    #[schema(value_type = schema::Duration)]
    pub period: IsoDuration,
    /// Start of slice 0.
    #[schema(value_type = schema::Time)]
    pub anchor: Timestamp,
    /// Unit type or attribute that names the cluster.
    #[schema(value_type = schema::UnitType)]
    pub cluster: String,
}

/// A flag that must serve a given variant (schema of [`Prerequisite`]).
#[derive(ToSchema)]
#[schema(as = Prerequisite)]
#[expect(dead_code, reason = "exists as a schema")]
pub(crate) struct PrerequisiteDefinition {
    /// Key of the flag.
    #[schema(value_type = schema::Name)]
    flag: String,
    /// Variant that it must serve.
    #[schema(value_type = schema::Name)]
    variant: String,
}

/// What a paused experiment serves (schema of [`PauseBehaviour`]).
#[derive(ToSchema)]
#[schema(as = PauseBehaviour, rename_all = "snake_case")]
#[expect(dead_code, reason = "exists as a schema")]
pub(crate) enum PauseBehaviourDefinition {
    /// Control for everyone.
    Control,
    /// What each unit would be given.
    KeepServing,
}

impl ExperimentDefinition {
    /// Index of the control: the variant that says so, else the first.
    pub fn control(&self) -> usize {
        self.variants.iter().position(|variant| variant.is_control).unwrap_or(0)
    }

    /// Key under which clients ask for the experiment.
    pub fn flag_key(&self) -> &str {
        self.flag.as_deref().unwrap_or(&self.name)
    }

    /// Every metric that the experiment names.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        self.primary_metric
            .iter()
            .chain(&self.secondary_metrics)
            .map(String::as_str)
            .chain(self.guardrail_metrics.iter().map(|guardrail| guardrail.metric.as_str()))
    }
}
