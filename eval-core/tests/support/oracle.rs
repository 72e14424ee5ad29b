//! The specification, word by word, over the definitions themselves: slow, plain, and written without looking at the
//! evaluator. Hashing is the `murmur3` crate's.

#![expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "test code: a wrong assumption should stop the test"
)]

use eval_core::source::*;
use eval_core::{AttributeValue, Context};

#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) variant: Option<String>,
    pub(crate) enrolled: bool,
    pub(crate) reason: &'static str,
}

pub(crate) fn bucket(salt: &str, unit: &str) -> u16 {
    let text = format!("{salt}:{unit}");
    (murmur3::murmur3_32(&mut text.as_bytes(), 0).unwrap() % 10_000) as u16
}

pub(crate) fn evaluate(
    source: &ConfigSource,
    key: &str,
    context: &Context<'_>,
    now: i64,
) -> Answer {
    if let Some(flag) = source.flags.iter().find(|flag| flag.key == key) {
        return evaluate_flag(source, flag, context, now);
    }
    match source.experiments.iter().find(|experiment| experiment.flag_key == key) {
        Some(experiment) => evaluate_experiment(source, experiment, context, now).0,
        None => Answer { variant: None, enrolled: false, reason: "not_found" },
    }
}

/// The answer, and whether a step chose the variant.
fn evaluate_experiment(
    source: &ConfigSource,
    e: &ExperimentSource,
    context: &Context<'_>,
    now: i64,
) -> (Answer, bool) {
    let control = e.variants[e.control].key.clone();
    let no = |reason| (Answer { variant: Some(control.clone()), enrolled: false, reason }, false);
    let serve = |variant: &str, enrolled, reason| {
        (Answer { variant: Some(variant.into()), enrolled, reason }, true)
    };
    let in_window = e.starts_at.is_none_or(|at| at <= now) && e.ends_at.is_none_or(|at| now < at);
    let shipping = e.status == ExperimentStatus::Completed && e.shipped.is_some();
    let keep = e.status == ExperimentStatus::Paused
        && e.pause_behaviour == PauseBehaviour::KeepServing
        && in_window;
    let running =
        matches!(e.status, ExperimentStatus::Running | ExperimentStatus::Scheduled) && in_window;
    if !(shipping || keep || running) {
        return no("inactive");
    }
    let unit = match &e.switchback {
        Some(design) => context
            .unit_id(&design.cluster)
            .or_else(|| context.value(&design.cluster).and_then(AttributeValue::as_str))
            .map(|cluster| {
                format!("{cluster}@{}", (now - design.anchor_ms).div_euclid(design.period_ms))
            }),
        None => context.unit_id(&e.unit_type).map(str::to_owned),
    };
    let Some(unit) = unit else { return no("no_unit") };
    if !shipping && let Some(variant) = e.overrides.get(&unit) {
        return serve(variant, false, "override");
    }
    if source.requires_consent && context.value("consent") != Some(&AttributeValue::Bool(true)) {
        return no("no_consent");
    }
    if held(source, &e.holdouts, context) {
        return no("holdout");
    }
    if !required(source, &e.prerequisites, context, now) {
        return no("prerequisite");
    }
    if !e.targeting.as_ref().is_none_or(|condition| holds(source, condition, context)) {
        return no("targeting");
    }
    if shipping {
        return serve(e.shipped.as_ref().unwrap(), false, "shipped");
    }
    let enrolled = |variant: &str, reason| {
        if keep { serve(variant, false, "inactive") } else { serve(variant, true, reason) }
    };
    if e.sticky || e.frozen {
        match context.prior_variant(&e.key) {
            Some(prior) if e.variants.iter().any(|v| v.key == prior) => {
                return enrolled(prior, "prior");
            }
            _ if e.frozen => return no("frozen"),
            _ => {}
        }
    }
    let (salt, domain) = match &e.layer {
        Some(key) => {
            let layer = source.layers.iter().find(|layer| layer.key == *key).unwrap();
            (layer.salt.clone(), layer.domain)
        }
        None => (e.own_layer_salt.clone().unwrap(), BucketRange::ALL),
    };
    if !domain.contains(bucket(&source.domain_salt, &unit)) {
        return no("domain");
    }
    let b = bucket(&salt, &unit);
    if !e.ranges.iter().any(|range| range.contains(b)) {
        return no("traffic");
    }
    let v = bucket(&e.salt, &unit);
    let owner = e
        .variants
        .iter()
        .find(|variant| variant.ranges.iter().any(|range| range.contains(v)))
        .unwrap();
    enrolled(&owner.key, "split")
}

fn evaluate_flag(
    source: &ConfigSource,
    flag: &FlagSource,
    context: &Context<'_>,
    now: i64,
) -> Answer {
    let serve =
        |variant: &str, reason| Answer { variant: Some(variant.into()), enrolled: false, reason };
    if !flag.enabled {
        return serve(&flag.off_variant, "disabled");
    }
    if held(source, &flag.holdouts, context) {
        return serve(&flag.off_variant, "holdout");
    }
    if !required(source, &flag.prerequisites, context, now) {
        return serve(&flag.off_variant, "prerequisite");
    }
    let unit = context.unit_id(&flag.unit_type);
    if let Some(variant) = unit.and_then(|unit| flag.targets.get(unit)) {
        return serve(variant, "target");
    }
    for rule in &flag.rules {
        let matched =
            rule.condition.as_ref().is_none_or(|condition| holds(source, condition, context));
        let included = rule.rollout == 10_000
            || unit.is_some_and(|unit| bucket(&rule.salt, unit) < rule.rollout);
        if !matched || !included {
            continue;
        }
        match &rule.serve {
            Serve::Variant(variant) => return serve(variant, "rule"),
            Serve::Split(parts) => {
                let Some(unit) = unit else { continue };
                let b = bucket(&flag.salt, unit);
                let part = parts
                    .iter()
                    .find(|part| part.ranges.iter().any(|range| range.contains(b)))
                    .unwrap();
                return serve(&part.variant, "split");
            }
            Serve::Experiment(key) => {
                let experiment = source.experiments.iter().find(|e| e.key == *key).unwrap();
                let (answer, chosen) = evaluate_experiment(source, experiment, context, now);
                if chosen {
                    return answer;
                }
            }
        }
    }
    serve(&flag.default_variant, if flag.rules.is_empty() { "static" } else { "default" })
}

fn held(source: &ConfigSource, holdouts: &[String], context: &Context<'_>) -> bool {
    holdouts.iter().any(|key| {
        let holdout = source.holdouts.iter().find(|holdout| holdout.key == *key).unwrap();
        context
            .unit_id(&holdout.unit_type)
            .is_some_and(|unit| bucket(&holdout.salt, unit) < holdout.size)
    })
}

fn required(
    source: &ConfigSource,
    required: &[Prerequisite],
    context: &Context<'_>,
    now: i64,
) -> bool {
    required
        .iter()
        .all(|p| evaluate(source, &p.flag, context, now).variant.as_deref() == Some(&p.variant))
}

/// Conditions, for the operators that the random configs use.
fn holds(source: &ConfigSource, condition: &Condition, context: &Context<'_>) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(source, part, context)),
        Condition::Any(parts) => parts.iter().any(|part| holds(source, part, context)),
        Condition::Not(part) => !holds(source, part, context),
        Condition::Segment(key) => {
            let segment = source.segments.iter().find(|segment| segment.key == *key).unwrap();
            let listed = |list: &[String]| {
                context
                    .unit_id(&segment.unit_type)
                    .is_some_and(|unit| list.iter().any(|id| id == unit))
            };
            !listed(&segment.exclude)
                && (listed(&segment.include)
                    || segment
                        .condition
                        .as_ref()
                        .is_some_and(|condition| holds(source, condition, context)))
        }
        Condition::Compare { attribute, op, values } => {
            let Some(value) = context.value(attribute) else { return false };
            let same = |literal: &Literal| match (literal, value) {
                (Literal::Bool(a), AttributeValue::Bool(b)) => Some(a == b),
                (Literal::Number(a), AttributeValue::Number(b)) => Some(a == b),
                (Literal::String(a), AttributeValue::String(b)) => Some(a == b),
                _ => None,
            };
            match op.as_str() {
                "exists" => true,
                "in" | "eq" => values.iter().any(|literal| same(literal) == Some(true)),
                "not_in" | "neq" => {
                    values.iter().any(|literal| same(literal).is_some())
                        && !values.iter().any(|literal| same(literal) == Some(true))
                }
                "lt" => {
                    matches!((value, &values[0]), (AttributeValue::Number(a), Literal::Number(b)) if a < b)
                }
                "gte" => {
                    matches!((value, &values[0]), (AttributeValue::Number(a), Literal::Number(b)) if a >= b)
                }
                "starts_with" => values.iter().any(|literal| match (literal, value) {
                    (Literal::String(part), AttributeValue::String(whole)) => {
                        whole.starts_with(part.as_str())
                    }
                    _ => false,
                }),
                other => panic!("the oracle does not know {other}"),
            }
        }
    }
}
