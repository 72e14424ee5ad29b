//! The seven steps of a flag, and the requirements that flags and experiments place on each other.

use crate::config::{Flag, RuleServe, Span, Target};
use crate::decision::{Decision, Why};
use crate::evaluate::Request;
use crate::experiment::Asked;
use crate::explain::{Step, Trace};
use crate::slots::owner_of;
use crate::strings::StringId;

impl<'c> Request<'c> {
    pub(crate) fn flag<T: Trace>(
        &mut self,
        key: StringId,
        flag: &'c Flag,
        answer: &mut Decision<'c>,
        trace: &mut T,
    ) {
        trace.record(|| Step::Flag {
            flag: self.name(key).to_owned(),
            enabled: flag.enabled && !flag.damaged,
        });
        let config = self.config;
        let serve = |answer: &mut Decision<'c>, variant, why| {
            let variant = flag.variants.at(variant);
            *answer = Decision { config: Some(config), key, variant, why, ..Decision::NOT_FOUND };
        };
        // 2. The kill switch.
        if !flag.enabled || flag.damaged {
            return serve(answer, flag.off_variant, Why::DISABLED);
        }
        // 3. Holdout.
        if let Some(holdout) = self.holdout(flag.holdouts, trace) {
            return serve(answer, flag.off_variant, Why::holdout(holdout));
        }
        // 4. Prerequisites.
        if let Some(entry) = self.unmet_prerequisite(flag.prerequisites, trace) {
            return serve(answer, flag.off_variant, Why::prerequisite(entry));
        }
        let unit = self.unit_id(flag.unit_type);
        // 5. Individual targets.
        if let Some(unit) = unit
            && !flag.targets.is_empty()
        {
            let found = self.list_position(flag.unit_type, unit, flag.targets);
            trace.record(|| Step::List {
                list: format!("targets of {}", self.name(key)),
                searchable: self.list_key.is_some(),
                found: found.is_some(),
            });
            if let Some(variant) =
                found.and_then(|at| self.listed_variant(flag.target_variants, at))
            {
                return serve(answer, variant, Why::TARGET);
            }
        }
        // 6. Rules.
        for (index, rule) in (0u16..).zip(flag.rules.of(&self.config.rules)) {
            let matched = rule.condition.is_none_or(|condition| self.holds(condition, trace));
            if !matched {
                trace.record(|| Step::Rule {
                    index,
                    bucket: None,
                    included_below: rule.rollout,
                    serves: false,
                });
                continue;
            }
            let everybody = rule.rollout >= crate::bucket::BUCKET_COUNT;
            let bucket = match unit {
                Some(unit) if !everybody => Some(self.bucket_of(rule.salt, flag.unit_type, unit)),
                _ => None,
            };
            let included = everybody || bucket.is_some_and(|bucket| bucket < rule.rollout);
            trace.record(|| Step::Rule {
                index,
                bucket,
                included_below: rule.rollout,
                serves: included,
            });
            if !included {
                continue;
            }
            match rule.serve {
                RuleServe::Variant(variant) => return serve(answer, variant, Why::rule(index)),
                RuleServe::Split(slots) => {
                    let Some(unit) = unit else { continue };
                    let bucket = self.bucket_of(flag.salt, flag.unit_type, unit);
                    let owner = owner_of(self.config.runs_of(slots), bucket);
                    trace.record(|| Step::Split {
                        bucket,
                        variant: owner
                            .and_then(|at| self.variant_name(flag.variants, at))
                            .map(str::to_owned),
                    });
                    if let Some(variant) = owner {
                        return serve(answer, variant, Why::split(bucket));
                    }
                }
                RuleServe::Experiment(id) => {
                    let Some(experiment) = self.config.experiments.get(id.0 as usize) else {
                        continue;
                    };
                    let asked = Asked { config, key, experiment, is_experiment: false };
                    self.experiment(asked, answer, trace);
                    // Skipped when nobody chose a variant for the unit: overrides and shipped variants did.
                    if answer.is_chosen {
                        return;
                    }
                }
            }
        }
        // 7. The default.
        let reason = if flag.rules.is_empty() { Why::STATIC } else { Why::DEFAULT };
        serve(answer, flag.default_variant, reason);
    }

    /// Entry of the first required flag that serves another variant than the required one.
    pub(crate) fn unmet_prerequisite<T: Trace>(
        &mut self,
        required: Span,
        trace: &mut T,
    ) -> Option<u32> {
        if required.is_empty() {
            return None;
        }
        let config = self.config;
        for row in required.of(&config.prerequisites) {
            let Some(entry) = config.entries.get(row.entry as usize) else {
                return Some(row.entry);
            };
            let variants = match entry.target() {
                Target::Flag(id) => config.flags.get(id as usize).map(|flag| flag.variants),
                Target::Experiment(id) => config.experiments.get(id as usize).map(|e| e.variants),
            };
            let wanted = variants.and_then(|variants| self.variant_name(variants, row.variant));
            let served = match self.budget.checked_sub(1) {
                Some(left) => {
                    self.budget = left;
                    self.decide(row.entry, trace).variant()
                }
                None => None,
            };
            let met = wanted.is_some() && wanted == served;
            trace.record(|| Step::Prerequisite {
                flag: self.name(entry.key).to_owned(),
                required: wanted.unwrap_or_default().to_owned(),
                served: served.map(str::to_owned),
                met,
            });
            if !met {
                return Some(row.entry);
            }
        }
        None
    }
}
