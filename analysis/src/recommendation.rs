//! What to do with a treatment: ship, continue, end or abort, with the conditions met and unmet.
//!
//! A recommendation follows from a report by fixed rules. It rests on fixed-horizon results only once
//! the horizon is reached, and on always-valid ones and planned looks at any time.

use crate::methods::guardrail::MARGIN;
use crate::plan::{Direction, MetricRole, Scale};
use crate::report::{
    Comparison, Condition, ConditionCode, GroupSequentialVerdict, GuardrailVerdict, MetricReport,
    Recommendation, RecommendedAction, SrmReport, Verdict, Warning,
};

/// What a recommendation rests on.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'r> {
    /// Metrics with their comparisons.
    pub metrics: &'r [MetricReport],
    /// Sample-ratio check.
    pub srm: Option<&'r SrmReport>,
    /// Warnings of the report.
    pub warnings: &'r [Warning],
    /// Whether the planned sample or duration is reached, or the experiment is over.
    pub horizon_reached: bool,
    /// Two-sided significance level.
    pub alpha: f64,
}

/// Warnings that forbid to believe a result.
const UNTRUSTWORTHY: [&str; 3] = ["multiple_variants", "pre_exposure_imbalance", "unknown_variant"];

/// One recommendation for each treatment, in the order of the variants.
pub fn recommend(evidence: &Evidence<'_>) -> Vec<Recommendation> {
    let Some(first) = evidence.metrics.first() else { return Vec::new() };
    let compared = first.variants.iter().filter(|variant| variant.comparison.is_some());
    compared.map(|variant| of_treatment(evidence, &variant.variant)).collect()
}

fn of_treatment(evidence: &Evidence<'_>, variant: &str) -> Recommendation {
    let of = |role: MetricRole| -> Vec<(&MetricReport, &Comparison)> {
        evidence
            .metrics
            .iter()
            .filter(|metric| metric.role == role)
            .filter_map(|metric| {
                let own = metric.variants.iter().find(|own| own.variant == variant)?;
                Some((metric, own.comparison.as_ref()?))
            })
            .collect()
    };
    let (primaries, guardrails) = (of(MetricRole::Primary), of(MetricRole::Guardrail));
    let treatments = evidence.metrics.first().map_or(1, |metric| metric.variants.len().max(2) - 1);
    let family = primaries.len() * treatments;
    let finds = |(metric, comparison): &(&MetricReport, &Comparison), good: bool| {
        is_found(evidence, family, comparison) && points(metric, comparison, good)
    };
    let better: Vec<&str> =
        primaries.iter().filter(|p| finds(p, true)).map(|(m, _)| m.metric.as_str()).collect();
    let worse: Vec<&str> =
        primaries.iter().filter(|p| finds(p, false)).map(|(m, _)| m.metric.as_str()).collect();
    let asks = |action: GuardrailVerdict| -> Vec<&str> {
        let asked = guardrails.iter().filter(|(_, c)| {
            c.guardrail.as_ref().is_some_and(|guardrail| guardrail.action == action)
        });
        asked.map(|(metric, _)| metric.metric.as_str()).collect()
    };
    let (paused, alerted) = (asks(GuardrailVerdict::Pause), asks(GuardrailVerdict::Alert));
    let doubtful: Vec<&str> = guardrails
        .iter()
        .filter(|(metric, comparison)| {
            !is_not_inferior(metric, comparison, evidence.horizon_reached)
        })
        .map(|(metric, _)| metric.metric.as_str())
        .collect();
    let untrustworthy: Vec<&str> = evidence
        .warnings
        .iter()
        .map(|warning| warning.code.as_str())
        .filter(|code| UNTRUSTWORTHY.contains(code))
        .collect();
    let stops = |wanted: GroupSequentialVerdict| {
        let decided =
            |c: &Comparison| c.group_sequential.as_ref().is_some_and(|g| g.verdict == wanted);
        primaries.iter().any(|(_, comparison)| decided(comparison))
    };
    let futile = stops(GroupSequentialVerdict::Futility);
    let conditions = vec![
        condition(
            ConditionCode::SampleRatio,
            evidence.srm.is_none_or(|srm| srm.passed),
            "the group sizes fit the planned split",
        ),
        named(ConditionCode::DataQuality, &untrustworthy, "no warning makes the numbers doubtful"),
        named(ConditionCode::NoHarm, &[worse.as_slice(), &paused].concat(), "no metric shows harm"),
        condition(
            ConditionCode::Conclusive,
            evidence.horizon_reached || !better.is_empty() || !worse.is_empty(),
            "the horizon is reached, or a test that may stop early has decided",
        ),
        condition(
            ConditionCode::PrimaryBetter,
            !better.is_empty(),
            "a primary metric is significantly better after correction",
        ),
        named(ConditionCode::GuardrailsQuiet, &alerted, "no guardrail alerts"),
        named(
            ConditionCode::GuardrailsNotInferior,
            &doubtful,
            "every guardrail's interval lies within its margin",
        ),
    ];
    let met = |code: ConditionCode| {
        conditions.iter().any(|condition| condition.code == code && condition.met)
    };
    let action = if !met(ConditionCode::SampleRatio) || !met(ConditionCode::NoHarm) {
        RecommendedAction::Abort
    } else if conditions.iter().all(|condition| condition.met) {
        RecommendedAction::Ship
    } else if evidence.horizon_reached || futile {
        RecommendedAction::End
    } else {
        RecommendedAction::Continue
    };
    Recommendation { variant: variant.to_owned(), action, conditions }
}

fn condition(code: ConditionCode, met: bool, rule: &str) -> Condition {
    Condition { code, met, rule: rule.to_owned(), unmet_by: Vec::new() }
}

/// A condition that is met when nothing stands against it.
fn named(code: ConditionCode, against: &[&str], rule: &str) -> Condition {
    let unmet_by: Vec<String> = against.iter().map(|&name| name.to_owned()).collect();
    Condition { code, met: unmet_by.is_empty(), rule: rule.to_owned(), unmet_by }
}

/// Whether a comparison has an effect, by a test that may decide now.
fn is_found(evidence: &Evidence<'_>, family: usize, comparison: &Comparison) -> bool {
    let fixed = evidence.horizon_reached && comparison.verdict == Verdict::Significant;
    let sequential = comparison.sequential.as_ref().is_some_and(|found| {
        // The smallest p-value of all looks holds, too; it is corrected by the union bound.
        let running = found.running_p_value.map(|p| p * family as f64);
        found.verdict == Verdict::Significant || running.is_some_and(|p| p < evidence.alpha)
    });
    let planned = comparison
        .group_sequential
        .as_ref()
        .is_some_and(|found| found.verdict == GroupSequentialVerdict::Efficacy);
    fixed || sequential || planned
}

/// Whether the effect points in the good direction, or in the bad one.
fn points(metric: &MetricReport, comparison: &Comparison, good: bool) -> bool {
    let up = (metric.direction == Direction::Increase) == good;
    comparison.effect.is_some_and(|effect| if up { effect > 0.0 } else { effect < 0.0 })
}

/// Whether the interval excludes a degradation beyond the margin. Before the horizon only the
/// always-valid interval says so.
fn is_not_inferior(metric: &MetricReport, comparison: &Comparison, horizon_reached: bool) -> bool {
    let sequential = comparison.sequential.as_ref();
    let ci = match (metric.margin_type, horizon_reached) {
        (Scale::Relative, true) => comparison.lift_ci,
        (Scale::Absolute, true) => comparison.ci,
        (Scale::Relative, false) => sequential.and_then(|found| found.lift_ci),
        (Scale::Absolute, false) => sequential.and_then(|found| found.ci),
    };
    let margin = metric.max_degradation.unwrap_or(MARGIN);
    ci.is_some_and(|[lo, hi]| match metric.direction {
        Direction::Increase => lo > -margin,
        Direction::Decrease => hi < margin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metric(role: &str, comparison: &serde_json::Value) -> MetricReport {
        let mut treatment = json!({"variant": "t", "n": 100, "value": 1.0, "std_dev": 1.0});
        let members = comparison.as_object().cloned().unwrap_or_default();
        treatment.as_object_mut().unwrap().extend(members);
        let control = json!({"variant": "c", "n": 100, "value": 1.0, "std_dev": 1.0});
        serde_json::from_value(json!({
            "metric": role, "role": role, "kind": "mean", "status": "computed",
            "variants": [control, treatment]
        }))
        .unwrap()
    }

    fn compared(
        effect: f64,
        verdict: &str,
        lift_ci: [f64; 2],
        sequential_p: f64,
    ) -> serde_json::Value {
        let sequential = json!({"p_value": 1.0, "running_p_value": sequential_p, "ci": lift_ci, "lift_ci": lift_ci,
                   "verdict": "not_significant"});
        json!({"method": "welch_t", "effect": effect, "se": 1.0, "ci": lift_ci, "lift": effect,
               "lift_ci": lift_ci, "p_value": 0.01, "p_adjusted": 0.01, "verdict": verdict,
               "sequential": sequential})
    }

    fn action(metrics: &[MetricReport], horizon_reached: bool) -> RecommendedAction {
        let warnings = [];
        let alpha = 0.05;
        let evidence = Evidence { metrics, srm: None, warnings: &warnings, horizon_reached, alpha };
        let found = recommend(&evidence);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].conditions.len(), 7);
        found[0].action
    }

    #[test]
    fn fixed_horizon_results_count_at_the_horizon_only() {
        let better = metric("primary", &compared(0.1, "significant", [0.02, 0.2], 0.4));
        let safe = metric("guardrail", &compared(0.0, "not_significant", [-0.02, 0.02], 0.4));
        let metrics = [better, safe];
        assert_eq!(action(&metrics, false), RecommendedAction::Continue);
        assert_eq!(action(&metrics, true), RecommendedAction::Ship);
    }

    #[test]
    fn an_always_valid_result_decides_early_in_both_directions() {
        let up = metric("primary", &compared(0.1, "collecting", [0.02, 0.2], 0.001));
        assert_eq!(action(&[up], false), RecommendedAction::Ship);
        let down = metric("primary", &compared(-0.1, "collecting", [-0.2, -0.02], 0.001));
        assert_eq!(action(&[down], false), RecommendedAction::Abort);
    }

    #[test]
    fn a_wide_guardrail_forbids_to_ship_and_nothing_found_ends() {
        let better = metric("primary", &compared(0.1, "significant", [0.02, 0.2], 0.4));
        let wide = metric("guardrail", &compared(0.0, "not_significant", [-0.2, 0.2], 0.4));
        assert_eq!(action(&[better, wide], true), RecommendedAction::End);
        let nothing = metric("primary", &compared(0.0, "not_significant", [-0.1, 0.1], 0.9));
        assert_eq!(action(std::slice::from_ref(&nothing), true), RecommendedAction::End);
        assert_eq!(action(&[nothing], false), RecommendedAction::Continue);
    }
}
