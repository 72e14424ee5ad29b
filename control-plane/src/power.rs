//! How many units an experiment needs, planned from its primary metric's known baseline.

use std::collections::BTreeMap;

use analysis::power::{Design, required_per_arm_mean, required_per_arm_proportion};

use crate::definition::{Direction, ExperimentDefinition, MdeType, MetricDefinition, MetricKind};

/// Units that each variant needs so that the smallest effect worth detecting is found in every
/// treatment with the planned power; the control needs what its hungriest comparison needs.
///
/// `None` when it cannot be planned: no smallest effect, no baseline, a kind of metric without a
/// planning formula, or a variant without units.
pub fn required_units(
    experiment: &ExperimentDefinition,
    primary: &MetricDefinition,
) -> Option<BTreeMap<String, u64>> {
    let control = &experiment.variants[experiment.control()];
    let control_share = f64::from(control.weight.buckets());
    let mut units = BTreeMap::new();
    let mut control_units = 0.0_f64;
    for treatment in experiment.variants.iter().filter(|variant| variant.name != control.name) {
        let design = Design {
            alpha: experiment.significance_level,
            power: experiment.power,
            ratio: f64::from(treatment.weight.buckets()) / control_share,
        };
        let of_control = required_of_control(experiment, primary, design)?;
        control_units = control_units.max(of_control);
        units.insert(treatment.name.clone(), whole(design.treatment_units(of_control)));
    }
    units.insert(control.name.clone(), whole(control_units));
    Some(units)
}

/// Units of the control in one comparison.
fn required_of_control(
    experiment: &ExperimentDefinition,
    primary: &MetricDefinition,
    design: Design,
) -> Option<f64> {
    let smallest = experiment.min_detectable_effect?;
    let baseline = primary.baseline;
    let effect = match experiment.mde_type {
        MdeType::Relative => smallest * baseline?.abs(),
        MdeType::Absolute => smallest,
    };
    match primary.kind {
        MetricKind::Proportion | MetricKind::Retention | MetricKind::Funnel => {
            let baseline = baseline?;
            let hoped = match primary.direction {
                Direction::Increase => baseline + effect,
                Direction::Decrease => baseline - effect,
            };
            required_per_arm_proportion(baseline, hoped, design)
        }
        MetricKind::Mean | MetricKind::Count | MetricKind::Sum => {
            let variance = primary.std_dev?.powi(2);
            required_per_arm_mean(variance, variance, effect, design)
        }
        MetricKind::Ratio | MetricKind::Quantile => None,
    }
}

fn whole(units: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and beyond 2^64 the cast saturates"
    )]
    let whole = units.ceil() as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn experiment(weights: [u32; 3], mde: f64) -> ExperimentDefinition {
        let [control, a, b] = weights;
        serde_json::from_value(json!({
            "name": "checkout",
            "variants": [{"name": "control", "weight": control}, {"name": "a", "weight": a}, {"name": "b", "weight": b}],
            "primary_metric": "conversion", "min_detectable_effect": mde
        }))
        .unwrap()
    }

    fn metric(definition: serde_json::Value) -> MetricDefinition {
        serde_json::from_value(definition).unwrap()
    }

    #[test]
    fn the_control_needs_what_its_hungriest_comparison_needs() {
        let conversion = metric(
            json!({"name": "conversion", "kind": "proportion", "event": "purchase", "baseline": 0.10}),
        );
        let equal = required_units(&experiment([40, 40, 20], 0.2), &conversion).unwrap();
        // 10 % against 12 % at equal arms: Fleiss, 3 840.85.
        assert_eq!(equal["a"], 3_841);
        assert!(equal["control"] > equal["a"], "the half-sized arm needs more of the control");
        assert!(equal["b"] < equal["a"]);
    }

    #[test]
    fn a_mean_is_planned_from_its_standard_deviation() {
        let revenue = metric(
            json!({"name": "revenue", "kind": "mean", "event": "purchase", "baseline": 10.0, "std_dev": 10.0}),
        );
        let units = required_units(&experiment([34, 33, 33], 0.1), &revenue).unwrap();
        // d = 0.1 standard deviations at equal arms is 1 569.77; the control is 34 : 33 larger.
        assert!((1_540..1_600).contains(&units["a"]), "{units:?}");
    }

    #[test]
    fn what_has_no_baseline_cannot_be_planned() {
        let unknown =
            metric(json!({"name": "conversion", "kind": "proportion", "event": "purchase"}));
        assert_eq!(required_units(&experiment([34, 33, 33], 0.1), &unknown), None);
    }
}
