//! Holdouts: units kept out of many experiments.

use super::shared::{Shared, Surroundings};
use super::shared_handlers::shared_handlers;
use super::views::Holdout;
use crate::definition::{HoldoutDefinition, salt};
use crate::error::{ApiError, Problems};
use crate::validate::{shared as shared_rules, usage};

impl Shared for HoldoutDefinition {
    const PATH: &'static str = "/holdouts";

    fn complete(&mut self) {
        self.salt.get_or_insert_with(salt::generate);
    }

    fn check(&self, own: &str, surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_holdout(self, own, &surroundings.environments)
    }

    fn check_change(
        before: &Self,
        after: &Self,
        surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        if before.salt == after.salt && before.unit == after.unit && before.size == after.size {
            return Ok(());
        }
        usage::of_holdout(&before.name, &surroundings.environments)
            .forbid("the units of the holdout", "changed")
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_holdout(&self.name, &surroundings.environments).forbid("the holdout", "deleted")
    }
}

shared_handlers! {
    HoldoutDefinition => Holdout, tag = "holdouts";
    "/holdouts" {
        /// Creates a holdout.
        post = create_holdout;
        /// Lists holdouts, sorted by name.
        get = list_holdouts;
    }
    "/holdouts/{name}" {
        /// Answers a holdout by its name or id.
        get = get_holdout;
        /// Changes a holdout by a JSON Merge Patch.
        patch = patch_holdout;
        /// Deletes a holdout that nothing uses.
        delete = delete_holdout;
    }
    "/holdouts/{name}/history" {
        /// Lists the changes of a holdout, newest first.
        get = list_holdout_history;
    }
    "/holdouts/{name}/rollback" {
        /// Defines a holdout again as an earlier version did.
        post = roll_back_holdout;
    }
}
