//! Plans of designs that are looked at: the planned sample has the planned power.

use analysis::methods::group_sequential::power::{design_power, inflation};
use analysis::methods::group_sequential::{Sides, Spending, bounds};
use analysis::methods::sequential_adjusted::{compare_adjusted, compare_ratios};
use analysis::methods::{Alpha, Alternative, cuped, ratio};
use analysis::power::{Design, required_per_arm_mean};
use analysis::power_sequential::{
    power_always_valid, required_always_valid, required_group_sequential,
};
use analysis::stats::CoMoments;

#[test]
fn an_always_valid_plan_needs_more_units_and_has_its_power() {
    for (effect, ratio, power) in [(0.1, 1.0, 0.8), (-0.02, 1.0, 0.9), (0.3, 1.0 / 9.0, 0.8)] {
        let design = Design { ratio, power, ..Design::default() };
        let fixed = required_per_arm_mean(1.0, 2.0, effect, design).expect("an effect");
        let tuned = required_always_valid(effect, [1.0, 2.0], design, None).expect("an effect");
        let reached = power_always_valid(effect, [1.0, 2.0], design, tuned, tuned * (1.0 + ratio))
            .expect("units");
        assert!((reached - power).abs() < 1e-9, "{reached}");
        // The price of looking at any time is known to be about 1.6 to 2 times the sample at 80 %.
        assert!((1.4..2.1).contains(&(tuned / fixed)), "{}", tuned / fixed);
        let other =
            required_always_valid(effect, [1.0, 2.0], design, Some(10_000.0)).expect("an effect");
        assert!(other >= tuned * 0.95, "{other} {tuned}");
    }
    assert_eq!(required_always_valid(0.0, [1.0, 1.0], Design::default(), None), None);
}

#[test]
fn a_group_sequential_plan_has_its_power_at_the_inflated_sample() {
    let rates = [0.25, 0.5, 0.75, 1.0];
    let found = bounds(&rates, Alpha::DEFAULT, Sides::Two, Spending::OBrienFleming).expect("rates");
    let plan = inflation(&rates, &found.bounds, Alpha::DEFAULT, Sides::Two, 0.8).expect("a plan");
    let single = required_per_arm_mean(1.0, 1.0, 0.1, Design::default()).expect("an effect");
    let most = required_group_sequential(single, plan.inflation_factor);
    let drift = 0.1 / (2.0 / most).sqrt();
    let reached = design_power(&rates, &found.bounds, drift, Sides::Two).expect("a design");
    assert!((reached.power - 0.8).abs() < 1e-6, "{}", reached.power);
    assert!(reached.expected_information < 1.0);
}

/// Pairs of a metric and of what was known before, with a shift.
fn arm(n: u32, shift: f64) -> CoMoments {
    let x: Vec<f64> = (0..n).map(|i| f64::from(i * 7919 % 101) / 20.0 + 1.0).collect();
    let noise = |i: usize| f64::from(u32::try_from(i * 104_729 % 97).expect("small")) / 40.0;
    let y: Vec<f64> = x.iter().enumerate().map(|(i, x)| 3.0 + 2.0 * x + noise(i) + shift).collect();
    CoMoments::of(&y, &x)
}

#[test]
fn sequences_of_adjusted_means_and_ratios_have_the_effect_of_their_single_look() {
    let (c, t) = (arm(400, 0.0), arm(380, 0.2));
    let level = Alpha::DEFAULT;
    let adjusted = compare_adjusted(&c, &t, 1000.0, level, Alternative::TwoSided).expect("varied");
    let single = cuped::cuped(&c, &t, level, Alternative::TwoSided).expect("varied");
    let estimate = single.estimate.expect("varied");
    assert!((adjusted.effect - estimate.effect).abs() < 1e-9);
    assert!((adjusted.se_welch / estimate.se - 1.0).abs() < 1e-9);
    assert!(adjusted.sequential.p_value > estimate.p_value);
    let plain = compare_ratios(&c, &t, 1000.0, level, Alternative::TwoSided).expect("varied");
    let single = ratio::ratio_delta(&c, &t, level, Alternative::TwoSided).expect("varied");
    assert!((plain.effect - single.effect).abs() < 1e-9);
    let lift_ci = adjusted.lift_ci.expect("a control away from zero");
    assert_eq!(lift_ci.excludes_zero(), adjusted.sequential.ci.excludes_zero());
    assert!(lift_ci.lo < adjusted.lift.expect("a control away from zero"));
}
