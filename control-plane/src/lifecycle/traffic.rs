//! The buckets of an experiment among the others of its layer.

use super::allocation::{Shortage, resize};
use crate::definition::{ExperimentDefinition, ExperimentState};
use crate::error::ApiError;
use crate::store::Versioned;
use eval_core::source::BucketRange;
use serde_json::{Map, json};

/// Gives the experiment as many buckets of its layer as its traffic asks for, or explains who holds them.
/// `others` are the other experiments of the environment.
pub(crate) fn allocate<'e>(
    id: &str,
    definition: &ExperimentDefinition,
    state: &mut ExperimentState,
    others: impl Iterator<Item = &'e Versioned<ExperimentDefinition>>,
) -> Result<(), ApiError> {
    let holders: Vec<(&str, &[BucketRange])> = match &definition.layer {
        None => Vec::new(),
        Some(layer) => others
            .filter(|other| other.id != id && other.definition.layer.as_ref() == Some(layer))
            .map(|other| (other.definition.name.as_str(), other.state.owned_ranges()))
            .filter(|(_, ranges)| !ranges.is_empty())
            .collect(),
    };
    let taken: Vec<BucketRange> =
        holders.iter().flat_map(|(_, ranges)| ranges.iter().copied()).collect();
    let target = definition.traffic.buckets();
    resize(&mut state.layer_ranges, target, &taken).map_err(|shortage| {
        layer_is_full(definition.layer.as_deref().unwrap_or_default(), &holders, shortage)
    })
}

fn layer_is_full(layer: &str, holders: &[(&str, &[BucketRange])], shortage: Shortage) -> ApiError {
    let percent = |buckets: u16| f64::from(buckets) / 100.0;
    let held: Vec<_> = holders
        .iter()
        .map(|(name, ranges)| (*name, percent(super::allocation::size(ranges))))
        .collect();
    let words: Vec<String> =
        held.iter().map(|(name, share)| format!("`{name}` {share} %")).collect();
    let mut extra = Map::new();
    extra.insert("layer".to_owned(), json!(layer));
    extra.insert("wanted".to_owned(), json!(percent(shortage.wanted)));
    extra.insert("free".to_owned(), json!(percent(shortage.free)));
    let holders: Vec<_> =
        held.iter().map(|(name, share)| json!({ "experiment": name, "share": share })).collect();
    extra.insert("held_by".to_owned(), json!(holders));
    ApiError::Conflict {
        code: "layer_full",
        detail: format!(
            "layer `{layer}` has {} % free, {} % are wanted; held by {}",
            percent(shortage.free),
            percent(shortage.wanted),
            words.join(", ")
        ),
        extra,
    }
}
