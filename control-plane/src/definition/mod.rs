//! What people author: projects, environments, layers, holdouts, segments, metrics, experiments, flags.
//!
//! These types are the request bodies of the API and, serialised again, what the database keeps. Their
//! schemas are both the published contract and what every body is checked against, so the two
//! cannot drift apart. Beside each definition stands the `…State` that the platform adds to it
//! (status, buckets, phases) and that no request can write.
//!
//! Not here: rules that need to know other definitions (`validate/`), SQL (`store/`), the form that
//! evaluation reads (`publish/compile.rs`).

pub mod schema;
pub mod share;
pub mod duration;
pub mod salt;
pub mod targeting;
pub mod project;
pub mod environment;
pub mod layer;
pub mod holdout;
pub mod segment;
pub mod metric;
pub mod experiment;
pub mod experiment_state;
pub mod flag;
pub mod schedule;
pub mod webhook;

pub use duration::IsoDuration;
pub use environment::{EnvironmentDefinition, EnvironmentState};
pub use experiment::{
    ExperimentDefinition, GroupSequentialDefinition, GuardrailDefinition, MarginType, MdeType,
    SpendingDefinition, SwitchbackDefinition, VariantDefinition,
};
pub use experiment_state::{ExperimentState, LifecycleStatus, Phase};
pub use flag::{
    FlagDefinition, FlagState, FlagType, FlagVariantDefinition, RuleDefinition, ServeDefinition,
    SplitPartDefinition,
};
pub use holdout::{HoldoutDefinition, HoldoutScope};
pub use layer::LayerDefinition;
pub use metric::{Direction, MetricDefinition, MetricKind, RatioAggregation, RatioPartDefinition};
pub use project::ProjectDefinition;
pub use schedule::{
    ScheduleDefinition, ScheduleState, ScheduleStatus, StepAction, StepDefinition, StepOutcome,
};
pub use segment::SegmentDefinition;
pub use share::Share;
pub use targeting::{ShortTargeting, Targeting};
pub use webhook::{WebhookDefinition, WebhookState};

/// The unit type of everything that names none.
pub const DEFAULT_UNIT: &str = "user_id";

pub(crate) fn default_unit() -> String {
    DEFAULT_UNIT.to_owned()
}

/// State of a definition to which the platform adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NoState {}
