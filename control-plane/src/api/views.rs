//! How definitions are answered: as authored, with id, version and times.

use crate::definition::{
    EnvironmentDefinition, HoldoutDefinition, LayerDefinition, MetricDefinition, ProjectDefinition,
    SegmentDefinition, schema,
};
use crate::store::{Resource, Versioned};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

macro_rules! view {
    ($(#[$doc:meta])* $name:ident of $definition:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, ToSchema)]
        pub(crate) struct $name {
            /// Id.
            pub(crate) id: String,
            /// The definition.
            #[serde(flatten)]
            pub(crate) definition: $definition,
            /// 1, 2, 3, …; also the `ETag`.
            pub(crate) version: i64,
            /// When it was created.
            #[schema(value_type = schema::Time)]
            pub(crate) created_at: Timestamp,
            /// When it was last changed.
            #[schema(value_type = schema::Time)]
            pub(crate) updated_at: Timestamp,
        }

        impl From<Versioned<$definition>> for $name {
            fn from(item: Versioned<$definition>) -> Self {
                let Versioned { id, definition, version, created_at, updated_at, .. } = item;
                Self { id, definition, version, created_at, updated_at }
            }
        }

        impl View for $definition {
            type View = $name;
        }
    };
}

/// A definition with an answer of its own.
pub(crate) trait View: Resource {
    /// What is answered.
    type View: From<Versioned<Self>> + Serialize + Send;
}

view!(
    /// A project.
    Project of ProjectDefinition
);
view!(
    /// An environment; its id begins with its name and stands in keys and paths.
    Environment of EnvironmentDefinition
);
view!(
    /// A layer.
    Layer of LayerDefinition
);
view!(
    /// A holdout.
    Holdout of HoldoutDefinition
);
view!(
    /// A segment.
    Segment of SegmentDefinition
);
view!(
    /// A metric.
    Metric of MetricDefinition
);
