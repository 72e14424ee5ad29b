//! Layers, domains and holdouts: who is kept out, and whose traffic a unit is.

use crate::config::{Experiment, Holdout, Span};
use crate::decision::{Reason, UnitText};
use crate::evaluate::Request;
use crate::explain::{Step, Trace};
use crate::slots::{owner_of, ranges_of};

impl<'c> Request<'c> {
    pub(crate) fn outside_layer<T: Trace>(
        &mut self,
        experiment: &'c Experiment,
        unit: UnitText<'c>,
        trace: &mut T,
    ) -> Option<Reason<'c>> {
        let layer_id = experiment.layer?;
        let config = self.config;
        let Some(layer) = config.layer(layer_id) else { return Some(Reason::Inactive) };
        if layer.domain_lo != 0 || layer.domain_hi != crate::bucket::BUCKET_COUNT {
            let bucket = self.bucket(config.domain_salt, experiment.unit_type, unit);
            let inside = layer.domain_lo <= bucket && bucket < layer.domain_hi;
            trace.record(|| Step::Domain {
                bucket,
                lo: layer.domain_lo,
                hi: layer.domain_hi,
                inside,
            });
            if !inside {
                return Some(Reason::Domain { bucket });
            }
        }
        // Units of a layer are of one type, so its bucket is the same for all of its experiments; a switchback's slice is not.
        let shared = matches!(unit, UnitText::Id(_));
        let remembered =
            self.memo.as_ref().filter(|_| shared).and_then(|memo| memo.layer_bucket(layer_id));
        let bucket = remembered.unwrap_or_else(|| {
            let bucket = self.bucket(layer.salt, experiment.unit_type, unit);
            if let Some(memo) = self.memo.as_mut().filter(|_| shared) {
                memo.set_layer_bucket(layer_id, bucket);
            }
            bucket
        });
        let runs = config.runs_of(layer.slots);
        let owned = owner_of(runs, bucket) == Some(experiment.slot);
        trace.record(|| Step::Layer {
            layer: self.name(layer.key).to_owned(),
            bucket,
            ranges: ranges_of(runs, experiment.slot).map(|range| (range.lo, range.hi)).collect(),
            owned,
        });
        (!owned).then_some(Reason::Traffic { bucket })
    }

    /// The first holdout of a list that holds the request's unit.
    pub(crate) fn holdout<T: Trace>(
        &mut self,
        holdouts: Span,
        trace: &mut T,
    ) -> Option<&'c Holdout> {
        if holdouts.is_empty() {
            return None;
        }
        let config = self.config;
        for id in holdouts.of(&config.holdout_ids) {
            let Some(holdout) = config.holdouts.get(id.0 as usize) else { continue };
            let remembered = self.memo.as_ref().and_then(|memo| memo.holdout_bucket(*id));
            let bucket = remembered.or_else(|| {
                let unit = self.unit_id(holdout.unit_type)?;
                let bucket = self.bucket_of(holdout.salt, holdout.unit_type, unit);
                if let Some(memo) = self.memo.as_mut() {
                    memo.set_holdout_bucket(*id, bucket);
                }
                Some(bucket)
            });
            let held = bucket.is_some_and(|bucket| bucket < holdout.size);
            trace.record(|| Step::Holdout {
                holdout: self.name(holdout.key).to_owned(),
                bucket,
                held_below: holdout.size,
                held,
            });
            if held {
                return Some(holdout);
            }
        }
        None
    }
}
