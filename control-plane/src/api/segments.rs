//! Segments: named audiences.

use super::shared::{Shared, Surroundings};
use super::shared_handlers::shared_handlers;
use super::views::Segment;
use crate::definition::SegmentDefinition;
use crate::error::{ApiError, Problems};
use crate::validate::{shared as shared_rules, usage};

impl Shared for SegmentDefinition {
    const PATH: &'static str = "/segments";

    fn check(&self, _own: &str, surroundings: &Surroundings<Self>) -> Problems {
        shared_rules::check_segment(self, &surroundings.siblings)
    }

    fn check_change(
        _before: &Self,
        _after: &Self,
        _surroundings: &Surroundings<Self>,
    ) -> Result<(), ApiError> {
        Ok(())
    }

    fn check_delete(&self, surroundings: &Surroundings<Self>) -> Result<(), ApiError> {
        usage::of_segment(&self.key, &surroundings.environments).forbid("the segment", "deleted")
    }
}

shared_handlers! {
    SegmentDefinition => Segment, tag = "segments";
    "/segments" {
        /// Creates a segment.
        post = create_segment;
        /// Lists segments, sorted by key.
        get = list_segments;
    }
    "/segments/{key}" {
        /// Answers a segment by its key or id.
        get = get_segment;
        /// Changes a segment by a JSON Merge Patch.
        patch = patch_segment;
        /// Deletes a segment that nothing uses.
        delete = delete_segment;
    }
    "/segments/{key}/history" {
        /// Lists the changes of a segment, newest first.
        get = list_segment_history;
    }
    "/segments/{key}/rollback" {
        /// Defines a segment again as an earlier version did.
        post = roll_back_segment;
    }
}
