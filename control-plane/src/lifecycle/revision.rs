//! What a changed definition does to an experiment that has started: buckets follow traffic and weights with
//! as few moves as possible.

use super::{split, traffic, transition};
use crate::definition::{ExperimentDefinition, ExperimentState, HoldoutScope, LifecycleStatus};
use crate::error::ApiError;
use crate::store::{EnvironmentSnapshot, Versioned};
use jiff::Timestamp;

/// The state after an experiment's definition became `after`.
pub(crate) fn revised(
    before: &Versioned<ExperimentDefinition>,
    after: &ExperimentDefinition,
    snapshot: &EnvironmentSnapshot,
    now: Timestamp,
) -> Result<ExperimentState, ApiError> {
    let mut state = before.state.clone();
    if !state.status.holds_buckets() {
        return Ok(state);
    }
    let old = &before.definition;
    if old.traffic != after.traffic {
        traffic::allocate(&before.id, after, &mut state, snapshot.experiments.iter())?;
    }
    if old.holdouts != after.holdouts {
        state.holdouts = holdouts(&state, after, snapshot);
    }
    let weights = |definition: &ExperimentDefinition| -> Vec<(String, u16)> {
        definition.variants.iter().map(|v| (v.name.clone(), v.weight.buckets())).collect()
    };
    let new_weights = weights(after);
    if weights(old) != new_weights {
        let by_name: Vec<(&str, u16)> =
            new_weights.iter().map(|(name, buckets)| (name.as_str(), *buckets)).collect();
        if state.status == LifecycleStatus::Scheduled {
            state.variant_ranges = split::contiguous(by_name);
        } else {
            state.variant_ranges = split::rebalanced(&state.variant_ranges, &by_name);
            transition::new_phase(&mut state, "weights changed", now);
        }
    } else if old.variants.iter().zip(&after.variants).any(|(o, n)| o.config != n.config) {
        // Another treatment under the same name: what was measured before is not about it.
        transition::new_phase(&mut state, "a variant's config changed", now);
    }
    Ok(state)
}

/// The holdouts that it names now, and those of the whole project that covered it at its start.
fn holdouts(
    state: &ExperimentState,
    definition: &ExperimentDefinition,
    snapshot: &EnvironmentSnapshot,
) -> Vec<String> {
    let named = &definition.holdouts;
    snapshot
        .holdouts
        .iter()
        .map(|holdout| &holdout.definition)
        .filter(|holdout| {
            let since_start =
                holdout.scope == HoldoutScope::Project && state.holdouts.contains(&holdout.name);
            since_start || named.contains(&holdout.name)
        })
        .map(|holdout| holdout.name.clone())
        .collect()
}
