//! Which experiments keep prior assignments: what a caller must remember of its units.

use crate::config::{CompiledConfig, Variants};

/// An experiment that is sticky or frozen, so that a prior assignment changes its answer.
#[derive(Clone, Copy, Debug)]
pub struct StickyExperiment<'c> {
    /// Key, as prior assignments and exposures call it.
    pub key: &'c str,
    /// Unit type of its units.
    pub unit_type: &'c str,
    config: &'c CompiledConfig<'c>,
    variants: Variants,
}

impl<'c> StickyExperiment<'c> {
    /// Names of the variants, in the config's order.
    pub fn variants(&self) -> impl Iterator<Item = &'c str> + use<'c> {
        let config = self.config;
        config.names_of(self.variants).iter().map(move |name| config.strings.get(*name))
    }
}

impl CompiledConfig<'_> {
    /// The experiments that keep prior assignments. Switchbacks are left out: their units are slices of time, which end by themselves.
    pub fn sticky_experiments(&self) -> impl Iterator<Item = StickyExperiment<'_>> {
        self.experiments.iter().filter_map(move |experiment| {
            let extras = self.extras_of(experiment)?;
            let keeps = (extras.sticky || extras.frozen) && extras.switchback.is_none();
            let unit_type = self.unit_types.get(usize::from(experiment.unit_type.0))?;
            keeps.then(|| StickyExperiment {
                key: self.strings.get(experiment.key),
                unit_type: self.strings.get(unit_type.id),
                config: self,
                variants: experiment.variants,
            })
        })
    }
}
