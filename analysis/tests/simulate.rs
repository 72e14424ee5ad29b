//! Simulated experiments through the engine.

use analysis::plan::{MetricRole, SpendingFunction};
use analysis::simulate::{Law, Scenario, Stage, simulate};

fn small() -> Scenario {
    Scenario { runs: 200, looks: 5, ..Scenario::default() }
}

#[test]
fn the_answer_does_not_depend_on_the_number_of_threads() {
    let scenario =
        Scenario { history: Some(0.6), metrics: 3, affected: 1, lifts: vec![0.02, 0.0], ..small() };
    let mut scenario = Scenario { runs: 60, ..scenario };
    scenario.stages[0] = Stage { units: 1500, split: vec![2.0, 1.0, 1.0], faulty_split: None };
    let one = simulate(&scenario, 1, &|_| {}).unwrap();
    let many = simulate(&scenario, 3, &|_| {}).unwrap();
    assert_eq!(one, many);
    assert_eq!(one.comparisons.len(), 6);
    let text = one.to_string();
    assert!(text.contains("metric_3, treatment_2"), "{text}");
    let json = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<analysis::simulate::Simulation>(&json).unwrap(), one);
    let other = simulate(&Scenario { seed: 2, ..scenario }, 3, &|_| {}).unwrap();
    assert_ne!(other.comparisons, one.comparisons);
}

#[test]
fn a_large_effect_is_found_early_and_where_it_is() {
    let scenario = Scenario { lifts: vec![0.2], ..small() };
    let found = simulate(&scenario, 2, &|_| {}).unwrap();
    let comparison = &found.comparisons[0];
    assert_eq!(comparison.fixed_horizon.rejected_up.count, 200);
    assert_eq!(comparison.fixed_horizon.rejected_down.count, 0);
    assert_eq!(comparison.always_valid.rejected.count, 200);
    assert_eq!(comparison.always_valid.stopping.p90, Some(2000));
    let mean = comparison.fixed_horizon.mean_effect.mean.unwrap();
    assert!((mean - 2.0).abs() < 0.05, "{mean}");
    assert!(comparison.fixed_horizon.covered.rate.unwrap() > 0.85);
}

#[test]
fn histories_narrow_and_faulty_splits_alarm() {
    let mut scenario = Scenario { history: Some(0.8), ..small() };
    scenario.stages[0].faulty_split = Some(vec![0.56, 0.44]);
    let found = simulate(&scenario, 2, &|_| {}).unwrap();
    assert_eq!(found.srm.alarmed.count, 200);
    let ratio = found.comparisons[0].adjusted.as_ref().unwrap().variance_ratio.unwrap();
    assert!((0.2..0.55).contains(&ratio), "{ratio}");
}

#[test]
fn a_harmed_guardrail_pauses_and_a_ramp_is_many_phases() {
    let scenario = Scenario {
        outcome: Law::Bernoulli { rate: 0.2 },
        lifts: vec![-0.3],
        role: MetricRole::Guardrail,
        stages: vec![
            Stage { units: 2000, split: vec![9.0, 1.0], faulty_split: None },
            Stage { units: 8000, split: vec![1.0, 1.0], faulty_split: None },
        ],
        ..small()
    };
    let found = simulate(&scenario, 2, &|_| {}).unwrap();
    assert_eq!(found.looks, [2000, 4000, 6000, 8000, 10_000]);
    let guardrail = found.comparisons[0].guardrail.as_ref().unwrap();
    assert_eq!(guardrail.paused.count, 200);
    assert!(found.family.is_none());
}

#[test]
fn planned_looks_stop_early_and_keep_alpha() {
    let planned = |lift| Scenario {
        lifts: vec![lift],
        spending: Some(SpendingFunction::ObrienFleming),
        ..small()
    };
    let found = simulate(&planned(0.04), 2, &|_| {}).unwrap();
    let looks = found.comparisons[0].group_sequential.as_ref().unwrap();
    assert!(looks.rejected.rate.unwrap() > 0.95, "{looks:?}");
    assert!(looks.stopping.p50.unwrap() < 10_000, "{looks:?}");
    let found = simulate(&planned(0.0), 2, &|_| {}).unwrap();
    let looks = found.comparisons[0].group_sequential.as_ref().unwrap();
    // 5 % of 200 and three standard errors.
    assert!(looks.rejected.count < 20, "{looks:?}");
    assert!(looks.advised_to_give_up.rate.unwrap() > 0.5, "{looks:?}");
}

#[test]
fn what_cannot_be_drawn_is_refused_by_its_field() {
    let error = simulate(&Scenario { lifts: vec![-2.0], ..small() }, 1, &|_| {}).unwrap_err();
    assert_eq!(error.field, "lifts");
    let ratio = Law::Ratio { rate: 0.1, views: 3.0 };
    let error = simulate(&Scenario { outcome: ratio, history: Some(0.5), ..small() }, 1, &|_| {});
    assert_eq!(error.unwrap_err().field, "history");
}
