//! What one request has already worked out, so that thousands of experiments share it.

use crate::config::{CompiledConfig, HoldoutId, LayerId, UnitTypeId};
use crate::context::Context;
use crate::targeting::NodeId;
use crate::unit::{KnownUnit, prepare};

/// No bucket yet.
const UNKNOWN: u16 = u16::MAX;

/// Where a request's unit lies in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Outside the layer's slice of the domain space, in which it has this bucket.
    Outside { bucket: u16 },
    /// In this bucket of the layer, which belongs to this slot.
    Inside { bucket: u16, owner: Option<u16> },
}

#[derive(Debug)]
pub(crate) struct Memo<'c> {
    units: Vec<Option<KnownUnit<'c>>>,
    /// 0 unknown, 1 false, 2 true.
    conditions: Vec<u8>,
    layers: Vec<Option<Place>>,
    holdouts: Vec<u16>,
}

impl<'c> Memo<'c> {
    pub(crate) fn new(config: &'c CompiledConfig<'c>, context: &'c Context<'c>) -> Self {
        Self {
            units: prepare(config, context),
            conditions: vec![0; config.n_nodes()],
            layers: vec![None; config.layers.len()],
            holdouts: vec![UNKNOWN; config.holdouts.len()],
        }
    }

    #[inline]
    pub(crate) fn unit(&self, unit_type: UnitTypeId) -> Option<&KnownUnit<'c>> {
        self.units.get(usize::from(unit_type.0))?.as_ref()
    }

    #[inline]
    pub(crate) fn condition(&self, id: NodeId) -> Option<bool> {
        match self.conditions.get(id.0 as usize) {
            Some(1) => Some(false),
            Some(2) => Some(true),
            _ => None,
        }
    }

    pub(crate) fn set_condition(&mut self, id: NodeId, holds: bool) {
        if let Some(known) = self.conditions.get_mut(id.0 as usize) {
            *known = if holds { 2 } else { 1 };
        }
    }

    #[inline]
    pub(crate) fn place(&self, layer: LayerId) -> Option<Place> {
        self.layers.get(layer.0 as usize).copied().flatten()
    }

    pub(crate) fn set_place(&mut self, layer: LayerId, place: Place) {
        if let Some(known) = self.layers.get_mut(layer.0 as usize) {
            *known = Some(place);
        }
    }

    pub(crate) fn holdout_bucket(&self, id: HoldoutId) -> Option<u16> {
        self.holdouts.get(id.0 as usize).copied().filter(|&bucket| bucket != UNKNOWN)
    }

    pub(crate) fn set_holdout_bucket(&mut self, id: HoldoutId, bucket: u16) {
        if let Some(known) = self.holdouts.get_mut(id.0 as usize) {
            *known = bucket;
        }
    }
}
