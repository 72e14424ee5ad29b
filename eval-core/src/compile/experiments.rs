//! Experiments and their variants.

use crate::bucket::SaltState;
use crate::compile::intern::index;
use crate::compile::{CompileError, Compiler};
use crate::config::{Experiment, Extras, Layer, LayerId, Maybe, Switchback, Variants, Window};
use crate::source::{
    BucketRange, ExperimentSource, ExperimentStatus, PauseBehaviour, VariantSource,
};
use std::collections::BTreeSet;

impl Compiler<'_> {
    pub(super) fn experiments(&mut self) -> Result<(), CompileError> {
        self.domain()?;
        for at in 0..self.experiments.len() {
            if let Some(&source) = self.experiments.get(at) {
                let experiment = self.experiment(source)?;
                self.config.experiments.push(experiment);
            }
        }
        Ok(())
    }

    /// The domain salt matters only where some layer takes a slice.
    fn domain(&mut self) -> Result<(), CompileError> {
        let sliced = self.source.layers.iter().any(|layer| layer.domain != BucketRange::ALL);
        if sliced {
            self.config.domain_salt = self
                .salts
                .absorb(&self.source.domain_salt, || "the environment's domain".into())?;
        }
        Ok(())
    }

    fn experiment(&mut self, source: &ExperimentSource) -> Result<Experiment, CompileError> {
        let entry = || format!("experiment `{}`", source.key);
        let refuse =
            |problem: &str| CompileError::Value { entry: entry(), problem: problem.to_owned() };
        let salt = self.salts.absorb(&source.salt, entry)?;
        let (layer, slot) = self.place(source)?;
        let targeting = match &source.targeting {
            Some(condition) => Some(self.conditions.add(
                &entry(),
                condition,
                &mut self.strings,
                &self.segment_ids,
            )?),
            None => None,
        };
        let control = u16::try_from(source.control).map_err(|_| refuse("too many variants"))?;
        if source.control >= source.variants.len() {
            return Err(refuse("its control is not among its variants"));
        }
        let variants = self.variants(&entry, &source.variants)?;
        let split = self.split(source)?;
        let extras = self.extras(source)?;
        Ok(Experiment {
            key: self.strings.intern(&source.key),
            salt,
            targeting: Maybe::from_option(targeting.map(|id| id.0)),
            layer: Maybe::from_option(layer.map(|id| id.0)),
            split,
            extras: Maybe::from_option(extras),
            variants,
            slot,
            control,
            unit_type: self.unit_type(&source.unit_type),
            status: source.status,
            damaged: false,
        })
    }

    /// Where the experiment finds its traffic: its slot in a shared layer, a layer of its own, or the whole space.
    fn place(&mut self, source: &ExperimentSource) -> Result<(Option<LayerId>, u16), CompileError> {
        let entry = || format!("experiment `{}`", source.key);
        if let Some(key) = &source.layer {
            let Some(&id) = self.layer_ids.get(key.as_str()) else {
                return Err(CompileError::Unknown {
                    entry: entry(),
                    kind: "layer",
                    key: key.clone(),
                });
            };
            let unit_type = self.unit_type(&source.unit_type);
            if self.config.layer(id).is_some_and(|layer| layer.unit_type != unit_type) {
                return Err(CompileError::Value {
                    entry: entry(),
                    problem: format!(
                        "its unit type `{}` is not that of layer `{key}`",
                        source.unit_type
                    ),
                });
            }
            let slot = self.slot_of.get(source.key.as_str()).copied().unwrap_or(0);
            return Ok((Some(id), slot));
        }
        if source.ranges == [BucketRange::ALL] {
            return Ok((None, 0));
        }
        let claims: Vec<(u16, BucketRange)> =
            source.ranges.iter().map(|range| (0, *range)).collect();
        let slots = self.slots.intern(
            &claims,
            || format!("the traffic of {}", entry()),
            |_| source.key.clone(),
        )?;
        let Some(salt) = &source.own_layer_salt else {
            return Err(CompileError::Value {
                entry: entry(),
                problem: "partial traffic needs a layer salt".into(),
            });
        };
        let salt = self.salts.absorb(salt, || format!("the own layer of {}", entry()))?;
        let id = LayerId(index(self.config.layers.len()));
        let key = self.strings.intern("");
        let unit_type = self.unit_type(&source.unit_type);
        let all = BucketRange::ALL;
        self.config.layers.push(Layer {
            key,
            unit_type,
            salt,
            domain_lo: all.lo,
            domain_hi: all.hi,
            slots,
        });
        Ok((Some(id), 0))
    }

    fn split(&mut self, source: &ExperimentSource) -> Result<crate::slots::SlotsId, CompileError> {
        let entry = || format!("the split of experiment `{}`", source.key);
        let mut claims = Vec::new();
        for (position, variant) in (0u16..).zip(&source.variants) {
            claims.extend(variant.ranges.iter().map(|range| (position, *range)));
        }
        covers(&claims).map_err(|problem| CompileError::Ranges { entry: entry(), problem })?;
        let name =
            |at: u16| source.variants.get(usize::from(at)).map_or(String::new(), |v| v.key.clone());
        self.slots.intern(&claims, entry, name)
    }

    pub(super) fn variants(
        &mut self,
        entry: &dyn Fn() -> String,
        variants: &[VariantSource],
    ) -> Result<Variants, CompileError> {
        let mut seen = BTreeSet::new();
        let Some(len) = u16::try_from(variants.len()).ok().filter(|len| (1..=1000).contains(len))
        else {
            return Err(CompileError::Value {
                entry: entry(),
                problem: "1 to 1000 variants".into(),
            });
        };
        for variant in variants {
            if !seen.insert(&variant.key) {
                return Err(CompileError::Duplicate { kind: "variant", key: variant.key.clone() });
            }
        }
        let names = variants.iter().map(|variant| self.strings.intern(&variant.key)).collect();
        let values = variants.iter().map(|variant| self.strings.intern(&variant.value)).collect();
        let (names, values) = (self.variants.names(names), self.variants.values(values));
        Ok(Variants { names, values, len })
    }

    fn extras(&mut self, source: &ExperimentSource) -> Result<Option<u32>, CompileError> {
        let entry = || format!("experiment `{}`", source.key);
        let variant_of = |key: &str| {
            source
                .variants
                .iter()
                .position(|variant| variant.key == key)
                .and_then(|at| u16::try_from(at).ok())
        };
        let window = (source.starts_at.is_some() || source.ends_at.is_some())
            .then_some(Window { starts_at: source.starts_at, ends_at: source.ends_at });
        if source.status == ExperimentStatus::Scheduled && source.starts_at.is_none() {
            return Err(CompileError::Value {
                entry: entry(),
                problem: "a scheduled experiment has a start".into(),
            });
        }
        let switchback = match &source.switchback {
            Some(design) if design.period_ms <= 0 => {
                return Err(CompileError::Value {
                    entry: entry(),
                    problem: "a switchback period is above 0".into(),
                });
            }
            Some(design) => Some(Switchback {
                cluster: self.strings.intern(&design.cluster),
                anchor_ms: design.anchor_ms,
                period_ms: design.period_ms,
            }),
            None => None,
        };
        let shipped = match &source.shipped {
            Some(key) => Some(variant_of(key).ok_or_else(|| CompileError::Unknown {
                entry: entry(),
                kind: "variant",
                key: key.clone(),
            })?),
            None => None,
        };
        for key in &source.holdouts {
            let holdout = self.source.holdouts.iter().find(|holdout| holdout.key == *key);
            if holdout.is_some_and(|holdout| holdout.unit_type != source.unit_type) {
                return Err(CompileError::Value {
                    entry: entry(),
                    problem: format!(
                        "its unit type `{}` is not that of holdout `{key}`",
                        source.unit_type
                    ),
                });
            }
        }
        let holdouts = self.holdout_span(&entry, &source.holdouts)?;
        let prerequisites = self.prerequisite_span(&entry, &source.prerequisites)?;
        let (overrides, override_variants) =
            self.listed_variants(&entry, &source.unit_type, &source.overrides, &variant_of)?;
        let extras = Extras {
            window,
            switchback,
            shipped,
            holdouts,
            prerequisites,
            overrides,
            override_variants: if overrides.is_empty() { 0 } else { override_variants },
            sticky: source.sticky,
            frozen: source.frozen,
            keep_serving: source.pause_behaviour == PauseBehaviour::KeepServing,
        };
        if extras == Extras::default() {
            return Ok(None);
        }
        let id = index(self.config.extras.len());
        self.config.extras.push(extras);
        Ok(Some(id))
    }
}

/// Whether claims own every bucket.
pub(super) fn covers(claims: &[(u16, BucketRange)]) -> Result<(), String> {
    let owned: u64 =
        claims.iter().map(|(_, range)| u64::from(range.hi.saturating_sub(range.lo))).sum();
    let all = u64::from(crate::bucket::BUCKET_COUNT);
    if owned == all { Ok(()) } else { Err(format!("its variants own {owned} of {all} buckets")) }
}

/// The salt of a space in which nothing is hashed.
pub(super) const UNUSED: SaltState = SaltState::from_parts(0, 0, 0);
