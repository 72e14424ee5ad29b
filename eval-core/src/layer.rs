//! Layers, domains and holdouts: who is kept out, and whose traffic a unit is.

use crate::config::{Experiment, HoldoutId, Layer, LayerId, Span};
use crate::decision::{Unit, Why};
use crate::evaluate::Request;
use crate::explain::{Step, Trace};
use crate::memo::Place;
use crate::slots::{owner_of, ranges_of};

impl<'c> Request<'c> {
    /// Why the unit gets no traffic of an experiment, if it gets none.
    #[inline(always)]
    pub(crate) fn outside_layer<T: Trace>(
        &mut self,
        experiment: &'c Experiment,
        unit: Unit<'c>,
        trace: &mut T,
    ) -> Option<Why> {
        let id = experiment.layer()?;
        // Units of a layer are of one type, so its bucket is the same for all of its experiments; a switchback's slice is not.
        let shared = !T::LISTENS && unit.slice.is_none();
        let known = self.memo.as_ref().filter(|_| shared).and_then(|memo| memo.place(id));
        let place = match known {
            Some(place) => place,
            None => match self.place(id, experiment, unit, shared, trace) {
                Some(place) => place,
                None => return Some(Why::INACTIVE),
            },
        };
        match place {
            Place::Outside { bucket } => Some(Why::domain(bucket)),
            Place::Inside { bucket, owner } => {
                (owner != Some(experiment.slot)).then_some(Why::traffic(bucket))
            }
        }
    }

    /// Where a unit lies in a layer; nowhere in a layer that does not exist.
    fn place<T: Trace>(
        &mut self,
        id: LayerId,
        experiment: &'c Experiment,
        unit: Unit<'c>,
        shared: bool,
        trace: &mut T,
    ) -> Option<Place> {
        let layer = self.config.layer(id)?;
        let place = match self.outside_domain(layer, experiment, unit, trace) {
            Some(bucket) => Place::Outside { bucket },
            None => {
                let bucket = self.bucket(layer.salt, experiment.unit_type, unit);
                let runs = self.config.runs_of(layer.slots);
                let owner = owner_of(runs, bucket);
                trace.record(|| Step::Layer {
                    layer: self.name(layer.key).to_owned(),
                    bucket,
                    ranges: ranges_of(runs, experiment.slot)
                        .map(|range| (range.lo, range.hi))
                        .collect(),
                    owned: owner == Some(experiment.slot),
                });
                Place::Inside { bucket, owner }
            }
        };
        if let Some(memo) = self.memo.as_mut().filter(|_| shared) {
            memo.set_place(id, place);
        }
        Some(place)
    }

    /// The unit's bucket in the domain space, when the layer has no part of it there.
    fn outside_domain<T: Trace>(
        &mut self,
        layer: &'c Layer,
        experiment: &'c Experiment,
        unit: Unit<'c>,
        trace: &mut T,
    ) -> Option<u16> {
        if layer.domain_lo == 0 && layer.domain_hi == crate::bucket::BUCKET_COUNT {
            return None;
        }
        let bucket = self.bucket(self.config.domain_salt, experiment.unit_type, unit);
        let inside = layer.domain_lo <= bucket && bucket < layer.domain_hi;
        trace.record(|| Step::Domain { bucket, lo: layer.domain_lo, hi: layer.domain_hi, inside });
        (!inside).then_some(bucket)
    }

    /// The first holdout of a list that holds the request's unit.
    pub(crate) fn holdout<T: Trace>(&mut self, holdouts: Span, trace: &mut T) -> Option<HoldoutId> {
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
                return Some(*id);
            }
        }
        None
    }
}
