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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::{SaltState, hashed};
    use crate::source::{
        BucketRange, ConfigSource, ExperimentSource, ExperimentStatus, LayerSource, PauseBehaviour,
        VariantSource,
    };
    use crate::{Request, compile};
    use std::collections::BTreeMap;

    /// Layers whose experiments own every bucket between them. Every third salt does not end on a block boundary.
    fn full_layers(n_layers: u16, per_layer: u16) -> ConfigSource {
        let salt = |kind: &str, n: u16| {
            format!("{kind}{n:0>width$}", width = 14 + usize::from(n.is_multiple_of(3)))
        };
        let mut source = ConfigSource { environment: "e".into(), ..ConfigSource::default() };
        for l in 0..n_layers {
            let key = format!("layer-{l:02}");
            source.layers.push(LayerSource {
                key: key.clone(),
                salt: salt("l", l),
                unit_type: "user_id".into(),
                domain: BucketRange::ALL,
            });
            let width = crate::bucket::BUCKET_COUNT / per_layer;
            for i in 0..per_layer {
                let name = format!("experiment-{l:02}-{i:02}");
                let variant = |key: &str, lo, hi| VariantSource {
                    key: key.into(),
                    value: "1".into(),
                    ranges: vec![BucketRange { lo, hi }],
                };
                source.experiments.push(ExperimentSource {
                    key: name.clone(),
                    flag_key: name,
                    salt: salt("e", l * per_layer + i),
                    unit_type: "user_id".into(),
                    status: ExperimentStatus::Running,
                    pause_behaviour: PauseBehaviour::Control,
                    starts_at: None,
                    ends_at: None,
                    shipped: None,
                    sticky: false,
                    frozen: false,
                    layer: Some(key.clone()),
                    own_layer_salt: None,
                    ranges: vec![BucketRange { lo: i * width, hi: (i + 1) * width }],
                    holdouts: vec![],
                    prerequisites: vec![],
                    targeting: None,
                    overrides: BTreeMap::new(),
                    variants: vec![variant("control", 0, 5000), variant("treatment", 5000, 10_000)],
                    control: 0,
                    switchback: None,
                });
            }
        }
        source
    }

    #[test]
    fn a_layer_is_hashed_once_for_all_of_its_experiments_and_a_split_only_where_the_unit_takes_part()
     {
        let source = full_layers(50, 20);
        let config = compile(&source).unwrap();
        let salts = |salts: Vec<&String>| {
            let mut salts: Vec<SaltState> =
                salts.into_iter().map(|salt| SaltState::new(salt)).collect();
            salts.sort_unstable();
            salts
        };
        for unit in ["u-1", "a much longer id", "ü"] {
            let context = Context::new().unit("user_id", unit);
            let (mut n_decided, mut enrolled) = (0, Vec::new());
            hashed::take();
            Request::new(&config, &context, None, 0).evaluate_all(|decision| {
                n_decided += 1;
                enrolled.extend(decision.exposure().map(|exposure| exposure.experiment.to_owned()));
            });
            let (of_layers, mut of_splits): (Vec<_>, Vec<_>) =
                hashed::take().into_iter().partition(|hashed| {
                    source.layers.iter().any(|layer| SaltState::new(&layer.salt) == *hashed)
                });
            assert_eq!(
                (n_decided, enrolled.len()),
                (1000, 50),
                "each layer's bucket has one owner"
            );
            let mut sorted = of_layers.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, salts(source.layers.iter().map(|layer| &layer.salt).collect()));
            of_splits.sort_unstable();
            let taking_part = source.experiments.iter().filter(|e| enrolled.contains(&e.key));
            assert_eq!(of_splits, salts(taking_part.map(|e| &e.salt).collect()));
        }
    }
}
