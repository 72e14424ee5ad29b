//! The eleven steps of an experiment.

use crate::config::{Experiment, Extras};
use crate::context::AttributeValue;
use crate::decision::{Reason, UnitText};
use crate::evaluate::Request;
use crate::explain::{Step, Trace};
use crate::slots::owner_of;
use crate::source::{ExperimentStatus, PauseBehaviour};
use crate::unit::with_slice_text;

/// What an experiment decided, before names are looked up.
#[derive(Clone, Copy)]
pub(crate) struct Outcome<'c> {
    pub(crate) variant: u16,
    /// The unit that takes part, if it does.
    pub(crate) enrolled: Option<UnitText<'c>>,
    pub(crate) reason: Reason<'c>,
    /// Whether a step chose this variant; otherwise it is control, by default.
    pub(crate) chosen: bool,
    /// Bucket in the experiment's own space, when it was worked out.
    pub(crate) bucket: u16,
}

impl<'c> Request<'c> {
    pub(crate) fn experiment<T: Trace>(
        &mut self,
        experiment: &'c Experiment,
        trace: &mut T,
    ) -> Outcome<'c> {
        let control = |reason| Outcome {
            variant: experiment.control,
            enrolled: None,
            reason,
            chosen: false,
            bucket: 0,
        };
        let chosen =
            |variant, reason| Outcome { variant, enrolled: None, reason, chosen: true, bucket: 0 };
        let extras = self.config.extras_of(experiment);
        // 1. Inactive.
        let phase = self.phase(experiment, extras);
        trace.record(|| Step::Experiment {
            experiment: self.name(experiment.key).to_owned(),
            status: status_name(experiment.status),
            active: phase != Phase::Inactive,
        });
        if phase == Phase::Inactive {
            return control(Reason::Inactive);
        }
        // 2. No unit.
        let unit = self.unit(experiment, extras);
        trace.record(|| Step::Unit {
            unit_type: self.unit_type_name(experiment.unit_type).to_owned(),
            unit: unit.map(|unit| unit.to_string()),
        });
        let Some(unit) = unit else { return control(Reason::NoUnit) };
        let enrolled = |variant, bucket, reason| Outcome {
            variant,
            enrolled: Some(unit),
            reason,
            chosen: true,
            bucket,
        };
        // 3. Override.
        if phase != Phase::Shipped
            && let Some(extras) = extras
            && !extras.overrides.is_empty()
        {
            let found = match unit {
                UnitText::Id(id) => self.list_position(experiment.unit_type, id, extras.overrides),
                UnitText::Slice { .. } => with_slice_text(unit, |text| {
                    self.list_position(experiment.unit_type, text, extras.overrides)
                })
                .flatten(),
            };
            trace.record(|| Step::List {
                list: format!("overrides of {}", self.name(experiment.key)),
                searchable: self.list_key.is_some(),
                found: found.is_some(),
            });
            if let Some(variant) =
                found.and_then(|at| self.listed_variant(extras.override_variants, at))
            {
                return chosen(variant, Reason::Override);
            }
        }
        // 4. Consent.
        if self.config.requires_consent {
            let given = matches!(self.context.value("consent"), Some(AttributeValue::Bool(true)));
            trace.record(|| Step::Consent { given });
            if !given {
                return control(Reason::NoConsent);
            }
        }
        if let Some(extras) = extras {
            // 5. Holdout.
            if let Some(holdout) = self.holdout(extras.holdouts, trace) {
                return control(Reason::Holdout { holdout: self.name(holdout.key) });
            }
            // 6. Prerequisites.
            if let Some(flag) = self.unmet_prerequisite(extras.prerequisites, trace) {
                return control(Reason::Prerequisite { flag });
            }
        }
        // 7. Targeting.
        if let Some(condition) = experiment.targeting {
            let matched = self.holds(condition, trace);
            trace.record(|| Step::Targeting { matched });
            if !matched {
                return control(Reason::Targeting);
            }
        }
        if phase == Phase::Shipped {
            return match extras.and_then(|extras| extras.shipped) {
                Some(variant) => chosen(variant, Reason::Shipped),
                None => control(Reason::Inactive),
            };
        }
        // 8. Prior.
        if let Some(extras) = extras
            && (extras.sticky || extras.frozen)
        {
            let prior = self.prior(experiment);
            trace.record(|| Step::Prior {
                frozen: extras.frozen,
                variant: prior
                    .and_then(|at| self.variant(experiment.variants, at))
                    .map(|variant| self.name(variant.key).to_owned()),
            });
            match prior {
                Some(variant) => {
                    let bucket = self.bucket(experiment.salt, experiment.unit_type, unit);
                    return Self::if_enrolling(phase, enrolled(variant, bucket, Reason::Prior));
                }
                None if extras.frozen => return control(Reason::Frozen),
                None => {}
            }
        }
        // 9. and 10. Domain and layer.
        if let Some(reason) = self.outside_layer(experiment, unit, trace) {
            return control(reason);
        }
        // 11. Variant.
        let bucket = self.bucket(experiment.salt, experiment.unit_type, unit);
        let owner = owner_of(self.config.runs_of(experiment.split), bucket);
        trace.record(|| Step::Split {
            bucket,
            variant: owner
                .and_then(|at| self.variant(experiment.variants, at))
                .map(|variant| self.name(variant.key).to_owned()),
        });
        match owner {
            Some(variant) => {
                Self::if_enrolling(phase, enrolled(variant, bucket, Reason::Split { bucket }))
            }
            None => control(Reason::Inactive),
        }
    }

    /// A paused experiment that keeps serving shows the variant and enrols nobody.
    pub(crate) fn if_enrolling(phase: Phase, outcome: Outcome<'c>) -> Outcome<'c> {
        match phase {
            Phase::KeepServing => Outcome { enrolled: None, reason: Reason::Inactive, ..outcome },
            _ => outcome,
        }
    }

    pub(crate) fn phase(&self, experiment: &Experiment, extras: Option<&Extras>) -> Phase {
        if experiment.damaged {
            return Phase::Inactive;
        }
        let open = extras
            .and_then(|extras| extras.window)
            .is_none_or(|window| window.contains(self.now_ms));
        match experiment.status {
            ExperimentStatus::Running if open => Phase::Enrolling,
            ExperimentStatus::Scheduled
                if open
                    && extras.is_some_and(|e| e.window.is_some_and(|w| w.starts_at.is_some())) =>
            {
                Phase::Enrolling
            }
            ExperimentStatus::Paused
                if open
                    && extras.is_some_and(|e| {
                        Experiment::pause_behaviour(e) == PauseBehaviour::KeepServing
                    }) =>
            {
                Phase::KeepServing
            }
            ExperimentStatus::Completed
                if extras.is_some_and(|extras| extras.shipped.is_some()) =>
            {
                Phase::Shipped
            }
            _ => Phase::Inactive,
        }
    }

    pub(crate) fn prior(&self, experiment: &Experiment) -> Option<u16> {
        let prior = self.context.prior_variant(self.name(experiment.key))?;
        let variants = experiment.variants.of(&self.config.variants);
        let position = variants.iter().position(|variant| self.name(variant.key) == prior)?;
        u16::try_from(position).ok()
    }
}

/// What an experiment does for units that reach it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Inactive,
    Enrolling,
    KeepServing,
    Shipped,
}

pub(crate) fn status_name(status: ExperimentStatus) -> &'static str {
    match status {
        ExperimentStatus::Scheduled => "scheduled",
        ExperimentStatus::Running => "running",
        ExperimentStatus::Paused => "paused",
        ExperimentStatus::Completed => "completed",
    }
}
