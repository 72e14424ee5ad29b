//! The eleven steps of an experiment.

use crate::config::{CompiledConfig, Experiment, Extras, Variant};
use crate::context::AttributeValue;
use crate::decision::{Decision, Unit, Why};
use crate::evaluate::Request;
use crate::explain::{NoTrace, Step, Trace};
use crate::slots::owner_of;
use crate::source::{ExperimentStatus, PauseBehaviour};
use crate::strings::StringId;
use crate::unit::with_slice_text;

/// What the steps of an experiment come to.
#[derive(Clone, Copy)]
struct Outcome {
    variant: u16,
    /// Bucket in the experiment's own space, when it was worked out.
    bucket: u16,
    choice: Choice,
    why: Why,
}

impl Outcome {
    fn control(experiment: &Experiment, why: Why) -> Self {
        Self { variant: experiment.control, bucket: 0, choice: Choice::Default, why }
    }
}

/// Who chose the variant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    /// Nobody: it is control, by default.
    Default,
    /// A step that enrols nobody.
    Fixed,
    /// A step that lets the unit take part.
    Enrolled,
}

/// An experiment that was asked for: under its own key, or by a flag under the flag's.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'c> {
    pub(crate) config: &'c CompiledConfig<'c>,
    pub(crate) key: StringId,
    pub(crate) experiment: &'c Experiment,
    pub(crate) is_experiment: bool,
}

impl<'c> Asked<'c> {
    #[inline(always)]
    fn answer(self, answer: &mut Decision<'c>, outcome: Outcome, unit: Unit<'c>) {
        let variant = self.experiment.variants.at(outcome.variant);
        let enrolled = outcome.choice == Choice::Enrolled && variant != Variant::NONE;
        *answer = Decision {
            config: Some(self.config),
            part: enrolled.then_some(self.experiment),
            unit,
            key: self.key,
            variant,
            why: outcome.why,
            bucket: outcome.bucket,
            is_experiment: self.is_experiment,
            is_chosen: outcome.choice != Choice::Default,
        };
    }
}

impl<'c> Request<'c> {
    /// Decides an experiment.
    #[inline(always)]
    pub(crate) fn experiment<T: Trace>(
        &mut self,
        asked: Asked<'c>,
        answer: &mut Decision<'c>,
        trace: &mut T,
    ) {
        if !T::LISTENS && asked.experiment.is_plain() {
            self.all_steps::<T, true>(asked, answer, trace);
        } else {
            self.uncommon_steps(asked, answer, trace);
        }
    }

    #[inline(never)]
    fn uncommon_steps<T: Trace>(
        &mut self,
        asked: Asked<'c>,
        answer: &mut Decision<'c>,
        trace: &mut T,
    ) {
        self.all_steps::<T, false>(asked, answer, trace);
    }

    /// The steps in order. A `PLAIN` experiment runs and has no extras: its steps are the same, compiled without what only
    /// the others need, which is most of it.
    #[inline(always)]
    fn all_steps<T: Trace, const PLAIN: bool>(
        &mut self,
        asked: Asked<'c>,
        answer: &mut Decision<'c>,
        trace: &mut T,
    ) {
        let experiment = asked.experiment;
        let extras = if PLAIN { None } else { self.config.extras_of(experiment) };
        // 1. Inactive.
        let phase = if PLAIN { Phase::Enrolling } else { self.phase(experiment, extras) };
        trace.record(|| Step::Experiment {
            experiment: self.name(experiment.key).to_owned(),
            status: status_name(experiment.status),
            active: phase != Phase::Inactive,
        });
        if phase == Phase::Inactive {
            return asked.answer(answer, Outcome::control(experiment, Why::INACTIVE), Unit::NONE);
        }
        // 2. No unit.
        let unit = self.unit(experiment, extras);
        trace.record(|| Step::Unit {
            unit_type: self.unit_type_name(experiment.unit_type).to_owned(),
            unit: unit.map(|unit| unit.text().to_string()),
        });
        let Some(unit) = unit else {
            return asked.answer(answer, Outcome::control(experiment, Why::NO_UNIT), Unit::NONE);
        };
        let outcome = self.steps_of_unit(experiment, extras, phase, unit, trace);
        asked.answer(answer, outcome, unit);
    }

    /// The steps from the third on.
    #[inline(always)]
    fn steps_of_unit<T: Trace>(
        &mut self,
        experiment: &'c Experiment,
        extras: Option<&Extras>,
        phase: Phase,
        unit: Unit<'c>,
        trace: &mut T,
    ) -> Outcome {
        let control = |why| Outcome::control(experiment, why);
        let chosen = |variant, why| Outcome { variant, bucket: 0, choice: Choice::Fixed, why };
        // A paused experiment that keeps serving shows the variant and enrols nobody.
        let enrolled = |variant, bucket, why| match phase {
            Phase::KeepServing => chosen(variant, Why::INACTIVE),
            _ => Outcome { variant, bucket, choice: Choice::Enrolled, why },
        };
        // 3. Override.
        if phase != Phase::Shipped
            && let Some(extras) = extras
            && !extras.overrides.is_empty()
        {
            let found = match unit.slice {
                None => self.list_position(experiment.unit_type, unit.id, extras.overrides),
                Some(_) => with_slice_text(unit, |text| {
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
                return chosen(variant, Why::OVERRIDE);
            }
        }
        // 4. Consent.
        if self.config.requires_consent {
            let given = matches!(self.context.value("consent"), Some(AttributeValue::Bool(true)));
            trace.record(|| Step::Consent { given });
            if !given {
                return control(Why::NO_CONSENT);
            }
        }
        if let Some(extras) = extras {
            // 5. Holdout.
            if let Some(holdout) = self.holdout(extras.holdouts, trace) {
                return control(Why::holdout(holdout));
            }
            // 6. Prerequisites.
            if let Some(entry) = self.unmet_prerequisite(extras.prerequisites, trace) {
                return control(Why::prerequisite(entry));
            }
        }
        // 7. Targeting.
        if let Some(condition) = experiment.targeting() {
            let matched = self.holds(condition, trace);
            trace.record(|| Step::Targeting { matched });
            if !matched {
                return control(Why::TARGETING);
            }
        }
        if phase == Phase::Shipped {
            return match extras.and_then(|extras| extras.shipped) {
                Some(variant) => chosen(variant, Why::SHIPPED),
                None => control(Why::INACTIVE),
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
                    .and_then(|at| self.variant_name(experiment.variants, at))
                    .map(str::to_owned),
            });
            match prior {
                Some(variant) => {
                    let bucket = self.bucket(experiment.salt, experiment.unit_type, unit);
                    return enrolled(variant, bucket, Why::PRIOR);
                }
                None if extras.frozen => return control(Why::FROZEN),
                None => {}
            }
        }
        // 9. and 10. Domain and layer.
        if let Some(why) = self.outside_layer(experiment, unit, trace) {
            return control(why);
        }
        // 11. Variant.
        let bucket = self.bucket(experiment.salt, experiment.unit_type, unit);
        let owner = owner_of(self.config.runs_of(experiment.split), bucket);
        trace.record(|| Step::Split {
            bucket,
            variant: owner
                .and_then(|at| self.variant_name(experiment.variants, at))
                .map(str::to_owned),
        });
        match owner {
            Some(variant) => enrolled(variant, bucket, Why::split(bucket)),
            None => control(Why::INACTIVE),
        }
    }

    /// Decides an experiment under its own key, whether clients can ask under it or not.
    pub(crate) fn own_decision(&mut self, experiment: &'c Experiment) -> Decision<'c> {
        let mut answer = Decision::NOT_FOUND;
        let key = experiment.key;
        let asked = Asked { config: self.config, key, experiment, is_experiment: true };
        self.uncommon_steps(asked, &mut answer, &mut NoTrace);
        answer
    }

    #[inline]
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
        let names = self.config.names_of(experiment.variants);
        let position = names.iter().position(|&name| self.name(name) == prior)?;
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
