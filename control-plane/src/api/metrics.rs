//! The metric catalogue.

use super::shared::{Shared, Surroundings};
use super::shared_handlers::shared_handlers;
use super::views::Metric;
use crate::definition::MetricDefinition;
use crate::error::{ApiError, Problems};
use crate::validate::{shared as shared_rules, usage};

impl Shared for MetricDefinition {
    const PATH: &'static str = "/metrics";

    fn check(&self, _own: &str, _surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_metric(self)
    }

    fn check_change(
        before: &Self,
        after: &Self,
        surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        if before.kind == after.kind {
            return Ok(());
        }
        usage::of_metric(&before.name, &surroundings.environments)
            .forbid("the metric's kind", "changed")
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_metric(&self.name, &surroundings.environments).forbid("the metric", "deleted")
    }
}

shared_handlers! {
    MetricDefinition => Metric, tag = "metrics";
    "/metrics" {
        /// Creates a metric.
        post = create_metric;
        /// Lists metrics, sorted by name.
        get = list_metrics;
    }
    "/metrics/{name}" {
        /// Answers a metric by its name or id.
        get = get_metric;
        /// Changes a metric by a JSON Merge Patch.
        patch = patch_metric;
        /// Deletes a metric that nothing uses.
        delete = delete_metric;
    }
    "/metrics/{name}/history" {
        /// Lists the changes of a metric, newest first.
        get = list_metric_history;
    }
    "/metrics/{name}/rollback" {
        /// Defines a metric again as an earlier version did.
        post = roll_back_metric;
    }
}
