//! Laws that hold for every input: label symmetry, monotonicity, and p-values that agree with their
//! intervals.

use analysis::methods::multiplicity::{Correction, adjust};
use analysis::methods::{
    Alpha, MethodError, lift, normal, proportions, score_interval, srm, student_t, welch,
};
use analysis::stats::{Moments, Successes};
use proptest::prelude::*;

fn arm() -> impl Strategy<Value = Moments> {
    (2_u64..50_000, -50.0..50.0_f64, 1e-6..400.0_f64).prop_map(|(n, mean, variance)| {
        Moments::from_summary(n, mean, variance).expect("a sound summary")
    })
}

fn share() -> impl Strategy<Value = Successes> {
    prop_oneof![
        (1_u64..40).prop_flat_map(|n| (Just(n), 0..=n)),
        (100_u64..1_000_000).prop_flat_map(|n| (Just(n), 0..=n / 20)),
        (100_u64..100_000).prop_flat_map(|n| (Just(n), 0..=n)),
    ]
    .prop_map(|(n, successes)| Successes::try_new(n, successes).expect("successes among n"))
}

fn alpha() -> impl Strategy<Value = Alpha> {
    prop_oneof![Just(0.05), Just(0.01), 1e-4..0.5_f64]
        .prop_map(|alpha| Alpha::try_new(alpha).expect("inside (0, 1)"))
}

/// Whether p is too near to alpha for rounding to keep its side.
fn on_the_edge(p: f64, alpha: Alpha) -> bool {
    (p - alpha.get()).abs() < 1e-9 * alpha.get()
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

proptest! {
    #[test]
    fn welch_does_not_care_which_arm_is_called_control(a in arm(), b in arm(), alpha in alpha()) {
        let there = welch::welch(&a, &b, alpha).expect("both vary");
        let back = welch::welch(&b, &a, alpha).expect("both vary");
        prop_assert!(near(there.effect, -back.effect, 1e-12));
        prop_assert!(near(there.p_value, back.p_value, 1e-12));
        prop_assert!((there.ci.lo + back.ci.hi).abs() <= 1e-12 * there.se);
    }

    #[test]
    fn welch_interval_excludes_zero_exactly_when_it_rejects(a in arm(), b in arm(), alpha in alpha()) {
        let found = welch::welch(&a, &b, alpha).expect("both vary");
        prop_assume!(!on_the_edge(found.p_value, alpha));
        prop_assert_eq!(found.p_value < alpha.get(), found.ci.excludes_zero());
        match lift::fieller(&a, &b, found.critical) {
            Ok(ci) => {
                prop_assert_eq!(found.p_value < alpha.get(), ci.excludes_zero());
                let point = lift::lift(&a, &b).expect("a control away from zero");
                prop_assert!(ci.lo <= point && point <= ci.hi, "{:?} {}", ci, point);
            }
            Err(error) => prop_assert_eq!(error, MethodError::Unbounded),
        }
    }

    #[test]
    fn welch_survives_change_of_unit(a in arm(), b in arm(), alpha in alpha(), factor in 1e-3..1e3_f64, sign in prop::bool::ANY) {
        let factor = if sign { factor } else { -factor };
        let scaled = |arm: &Moments| {
            let variance = arm.variance().expect("two units") * factor * factor;
            Moments::from_summary(arm.n(), arm.mean() * factor, variance).expect("sound")
        };
        let found = welch::welch(&a, &b, alpha).expect("both vary");
        let other = welch::welch(&scaled(&a), &scaled(&b), alpha).expect("both vary");
        prop_assert!(near(found.effect * factor, other.effect, 1e-9) || found.effect.abs() < 1e-9);
        prop_assert!((found.p_value - other.p_value).abs() <= 1e-9);
    }

    #[test]
    fn a_larger_effect_has_a_smaller_p(a in arm(), gap in 0.0..20.0_f64, more in 1e-3..5.0_f64) {
        let p = |effect: f64| {
            let variance = a.variance().expect("two units");
            let b = Moments::from_summary(a.n(), a.mean() + effect, variance).expect("sound");
            welch::welch(&a, &b, Alpha::DEFAULT).expect("both vary").p_value
        };
        prop_assert!(p(gap + more) <= p(gap));
    }

    #[test]
    fn two_shares_do_not_care_which_is_called_control(a in share(), b in share(), alpha in alpha()) {
        let there = proportions::compare(a, b, alpha).expect("units");
        let back = proportions::compare(b, a, alpha).expect("units");
        match (there.test, back.test) {
            (Ok(there), Ok(back)) => prop_assert!(near(there.p_value, back.p_value, 1e-12)),
            (there, back) => prop_assert_eq!(there.is_err(), back.is_err()),
        }
        prop_assert_eq!(there.ci.lo.to_bits(), (-back.ci.hi).to_bits());
        if let (Ok(there), Ok(back)) = (there.lift_ci, back.lift_ci)
            && back.hi.is_finite()
        {
            prop_assert!(near(1.0 + there.lo, 1.0 / (1.0 + back.hi), 1e-9));
        }
    }

    #[test]
    fn score_intervals_exclude_no_effect_exactly_when_the_pooled_test_rejects(a in share(), b in share(), alpha in alpha()) {
        let found = proportions::compare(a, b, alpha).expect("units");
        prop_assert!(found.ci.lo <= found.effect && found.effect <= found.ci.hi);
        prop_assert!(-1.0 <= found.ci.lo && found.ci.hi <= 1.0);
        let Ok(test) = found.test else {
            // Nobody, or everybody, had the outcome.
            prop_assert!(!found.ci.excludes_zero());
            return Ok(());
        };
        prop_assume!(!on_the_edge(test.p_value, alpha));
        prop_assert_eq!(test.p_value < alpha.get(), found.ci.excludes_zero(), "{:?}", found);
        let lift_ci = found.lift_ci.expect("someone had the outcome");
        prop_assert_eq!(test.p_value < alpha.get(), lift_ci.excludes_zero(), "{:?}", found);
    }

    #[test]
    fn a_wider_level_contains_the_narrower(a in share(), b in share()) {
        let q = |alpha: f64| normal::isf(alpha / 2.0);
        let wide = score_interval::difference(a, b, q(0.01)).expect("units");
        let narrow = score_interval::difference(a, b, q(0.1)).expect("units");
        prop_assert!(wide.lo <= narrow.lo && narrow.hi <= wide.hi);
    }

    #[test]
    fn t_quantiles_and_tails_undo_each_other(df in 0.5..1e12_f64, p in 1e-12..0.49_f64) {
        let t = student_t::isf(p, df);
        prop_assert!(near(student_t::sf(t, df), p, 1e-9), "{} {}", t, student_t::sf(t, df));
        prop_assert!(near(student_t::sf(-t, df), 1.0 - p, 1e-12));
    }

    #[test]
    fn sample_ratio_checks_depend_on_counts_and_not_on_order(counts in prop::collection::vec(0_u64..100_000, 2..6), weights in prop::collection::vec(0.01..10.0_f64, 6)) {
        let weights = &weights[..counts.len()];
        prop_assume!(counts.iter().sum::<u64>() > 0);
        let back: Vec<u64> = counts.iter().rev().copied().collect();
        let back_weights: Vec<f64> = weights.iter().rev().copied().collect();
        let doubled: Vec<f64> = weights.iter().map(|w| 2.0 * w).collect();
        let found = srm::srm(&counts, weights).expect("units");
        for other in [srm::srm(&back, &back_weights), srm::srm(&counts, &doubled)] {
            let other = other.expect("units");
            prop_assert!((found.statistic - other.statistic).abs() <= 1e-9 * (1.0 + found.statistic));
        }
        let log = |counts: &[u64], weights: &[f64]| {
            srm::srm_sequential(counts, weights, srm::CONCENTRATION).expect("units").log_bayes_factor
        };
        let forward = log(&counts, weights);
        prop_assert!((forward - log(&back, &back_weights)).abs() <= 1e-7 * (1.0 + forward.abs()));
    }

    #[test]
    fn adjusted_p_values_are_no_smaller_and_keep_their_order(p_values in prop::collection::vec(prop::option::of(0.0..1.0_f64), 1..30)) {
        for correction in [Correction::Bonferroni, Correction::Sidak, Correction::Holm, Correction::Hochberg, Correction::BenjaminiHochberg, Correction::BenjaminiYekutieli] {
            let adjusted = adjust(&p_values, correction);
            for (p, adjusted) in p_values.iter().zip(&adjusted) {
                prop_assert_eq!(p.is_some(), adjusted.is_some());
                if let (Some(p), Some(adjusted)) = (p, adjusted) {
                    prop_assert!(*adjusted >= p * (1.0 - 1e-12) && *adjusted <= 1.0);
                }
            }
            for (p, a) in p_values.iter().zip(&adjusted) {
                for (q, b) in p_values.iter().zip(&adjusted) {
                    if let (Some(p), Some(a), Some(q), Some(b)) = (p, a, q, b) {
                        prop_assert!(p >= q || a <= b);
                    }
                }
            }
        }
    }
}

#[test]
fn nothing_can_be_said_without_variation_or_units() {
    let of = |values: &[f64]| Moments::of(values);
    let alpha = Alpha::DEFAULT;
    let flat = of(&[2.0, 2.0, 2.0]);
    assert_eq!(welch::welch(&flat, &flat, alpha), Err(MethodError::ZeroVariance));
    assert_eq!(welch::welch(&of(&[1.0]), &flat, alpha), Err(MethodError::TooFewUnits));
    assert_eq!(welch::welch(&Moments::EMPTY, &flat, alpha), Err(MethodError::TooFewUnits));
    let huge = of(&[1e300, -1e300, 1e300]);
    assert_eq!(welch::welch(&huge, &flat, alpha), Err(MethodError::NotFinite));
    let broken = of(&[f64::NAN, 1.0]);
    assert_eq!(welch::welch(&broken, &flat, alpha), Err(MethodError::NotFinite));
    // One arm without variance is ordinary.
    assert!(welch::welch(&flat, &of(&[1.0, 3.0]), alpha).is_ok());
    assert_eq!(Alpha::try_new(0.0), None);
    assert_eq!(Alpha::try_new(f64::NAN), None);
}
