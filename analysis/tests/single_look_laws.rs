//! Laws of the tests of a single look that hold for any data: arms may be exchanged, units changed,
//! segments reordered; what adds nothing changes nothing; intervals agree with p-values.

use analysis::methods::barnard::barnard;
use analysis::methods::cuped::cuped;
use analysis::methods::fisher::fisher;
use analysis::methods::heterogeneity::{Effect, heterogeneity};
use analysis::methods::incomplete_beta;
use analysis::methods::mann_whitney::mann_whitney;
use analysis::methods::stratified::{Stratum, stratified};
use analysis::methods::{
    Alpha, Alternative, MethodError, ancova, cluster, combination, cuped_many, proportions, ratio,
    ratio_cuped, selection, srm, srm_breakdown, switchback, welch,
};
use analysis::stats::{CoMoments, JointMoments, Moments, Successes};
use proptest::prelude::*;

const TWO_SIDED: Alternative = Alternative::TwoSided;

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
    prop::collection::vec((-10.0..10.0_f64, -3.0..3.0_f64), 4..60)
        .prop_map(|rows| rows.into_iter().map(|(x, noise)| (0.7 * x + noise, x)).collect())
}

fn co_moments(rows: &[(f64, f64)]) -> CoMoments {
    let (y, x): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
    CoMoments::of(&y, &x)
}

fn joint(rows: &[(f64, f64)]) -> JointMoments {
    let (y, x): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
    JointMoments::of(&[&y, &x])
}

fn small() -> impl Strategy<Value = Successes> {
    (1_u64..40).prop_flat_map(|n| {
        (Just(n), 0..=n).prop_map(|(n, x)| Successes::try_new(n, x).expect("among n"))
    })
}

fn effects() -> impl Strategy<Value = Vec<Effect>> {
    prop::collection::vec((-5.0..5.0_f64, 0.01..3.0_f64), 1..12)
        .prop_map(|all| all.into_iter().map(|(effect, se)| Effect { effect, se }).collect())
}

proptest! {
    #[test]
    fn covariates_do_not_care_which_arm_is_called_control(a in pairs(), b in pairs()) {
        let (c, t) = (co_moments(&a), co_moments(&b));
        let there = cuped(&c, &t, Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let back = cuped(&t, &c, Alpha::DEFAULT, TWO_SIDED).expect("varied");
        prop_assert!(near(there.theta, back.theta, 1e-9));
        let (there, back) = (there.estimate.expect("varied"), back.estimate.expect("varied"));
        prop_assert!((there.effect + back.effect).abs() <= 1e-10 * there.se);
        prop_assert!(near(there.p_value, back.p_value, 1e-8));
        let there = ancova::ancova(&c, &t, Alpha::DEFAULT, TWO_SIDED).expect("varied").estimate.expect("varied");
        let back = ancova::ancova(&t, &c, Alpha::DEFAULT, TWO_SIDED).expect("varied").estimate.expect("varied");
        prop_assert!(near(there.p_value, back.p_value, 1e-8));
        prop_assert!((there.ci.lo + back.ci.hi).abs() <= 1e-10 * there.se);
    }

    #[test]
    fn a_covariate_that_says_nothing_changes_nothing(a in pairs(), b in pairs()) {
        let (c, t) = (co_moments(&a), co_moments(&b));
        let flat = |arm: &CoMoments| {
            let x = Moments::from_summary(arm.n(), 3.0, 0.0).expect("sound");
            CoMoments::from_summary(*arm.y(), x, 0.0).expect("sound")
        };
        let found = cuped(&flat(&c), &flat(&t), Alpha::DEFAULT, TWO_SIDED).expect("varied").estimate.expect("varied");
        let plain = welch::welch(c.y(), t.y(), Alpha::DEFAULT).expect("varied");
        prop_assert!(near(found.p_value, plain.p_value, 1e-11));
        prop_assert!(near(found.se, plain.se, 1e-12));
    }

    #[test]
    fn adjusted_intervals_exclude_zero_exactly_when_the_test_rejects(a in pairs(), b in pairs(), shift in -6.0..6.0_f64) {
        let moved: Vec<(f64, f64)> = b.iter().map(|(y, x)| (y + shift, *x)).collect();
        let found = cuped(&co_moments(&a), &co_moments(&moved), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let estimate = found.estimate.expect("varied");
        prop_assume!((estimate.p_value - 0.05).abs() > 1e-9);
        prop_assert_eq!(estimate.p_value < 0.05, estimate.ci.excludes_zero());
        match found.lift_ci {
            Ok(ci) => {
                prop_assert_eq!(estimate.p_value < 0.05, ci.excludes_zero());
                let lift = found.lift.expect("a control away from zero");
                prop_assert!(ci.lo <= lift && lift <= ci.hi);
            }
            Err(error) => prop_assert_eq!(error, MethodError::Unbounded),
        }
    }

    #[test]
    fn one_covariate_among_many_is_cuped(a in pairs(), b in pairs()) {
        let one = cuped(&co_moments(&a), &co_moments(&b), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let many = cuped_many::cuped_many(&joint(&a), &joint(&b), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        prop_assert!(near(one.theta, many.thetas[0], 1e-9));
        prop_assert!(near(one.estimate.expect("varied").p_value, many.estimate.expect("varied").p_value, 1e-7));
        // Twice the same covariate is no more than once.
        let twice = |rows: &[(f64, f64)]| {
            let (y, x): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
            JointMoments::of(&[&y, &x, &x])
        };
        let doubled = cuped_many::cuped_many(&twice(&a), &twice(&b), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        prop_assert!(near(doubled.estimate.expect("varied").se, many.estimate.expect("varied").se, 1e-6));
    }

    #[test]
    fn joint_moments_merge_as_the_whole(a in pairs(), b in pairs()) {
        let mut both = a.clone();
        both.extend(&b);
        let (whole, merged) = (joint(&both), joint(&a).merge(&joint(&b)));
        prop_assert_eq!(whole.n(), merged.n());
        for i in 0..2 {
            prop_assert!((whole.mean(i) - merged.mean(i)).abs() < 1e-12);
            for j in 0..2 {
                let scale = (whole.comoment(i, i) * whole.comoment(j, j)).sqrt();
                prop_assert!((whole.comoment(i, j) - merged.comoment(i, j)).abs() <= 1e-12 * scale);
            }
        }
        prop_assert_eq!(&whole.clone().merge(&JointMoments::empty(2)), &whole);
        prop_assert_eq!(JointMoments::empty(2).merge(&whole), whole);
    }

    #[test]
    fn ratios_without_a_past_are_plain_ratios(a in pairs(), b in pairs()) {
        let rows = |rows: &[(f64, f64)]| -> (Vec<f64>, Vec<f64>) {
            rows.iter().map(|(y, x)| (*y, x.abs() + 1.0)).unzip()
        };
        let ones = |n: usize| vec![1.0; n];
        let of = |arm: &[(f64, f64)]| {
            let (y, d) = rows(arm);
            JointMoments::of(&[&y, &d, &ones(y.len()), &ones(y.len())])
        };
        let found = ratio_cuped::ratio_cuped(&of(&a), &of(&b), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let plain = |arm: &[(f64, f64)]| {
            let (y, d) = rows(arm);
            CoMoments::of(&y, &d)
        };
        let plain = ratio::ratio_delta(&plain(&a), &plain(&b), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        prop_assert!(found.theta == 0.0);
        prop_assert!(near(found.estimate.expect("varied").p_value, plain.p_value, 1e-8));
    }

    #[test]
    fn exact_tests_are_symmetric_and_within_bounds(a in small(), b in small()) {
        let table = |c: Successes, t: Successes| [[t.successes, t.failures()], [c.successes, c.failures()]];
        let p = |c, t, alternative| fisher(table(c, t), alternative).p_value;
        prop_assert!(near(p(a, b, TWO_SIDED), p(b, a, TWO_SIDED), 1e-11));
        prop_assert!(near(p(a, b, Alternative::Greater), p(b, a, Alternative::Less), 1e-11));
        let (greater, less) = (p(a, b, Alternative::Greater), p(a, b, Alternative::Less));
        prop_assert!(greater + less >= 1.0 - 1e-12 && p(a, b, TWO_SIDED) >= greater.min(less) * (1.0 - 1e-11));
        let there = barnard(a, b, TWO_SIDED).expect("few units");
        let back = barnard(b, a, TWO_SIDED).expect("few units");
        prop_assert!(near(there.p_value, back.p_value, 1e-7), "{} {}", there.p_value, back.p_value);
        prop_assert!((0.0..=1.0).contains(&there.p_value));
    }

    #[test]
    fn binomial_intervals_invert_their_tails(arm in small(), alpha in 1e-6..0.5_f64) {
        let level = Alpha::try_new(alpha).expect("inside");
        let exact = proportions::clopper_pearson(arm, level).expect("units");
        let jeffreys = proportions::jeffreys(arm, level).expect("units");
        let share = arm.share().expect("units");
        prop_assert!(0.0 <= exact.lo && exact.lo <= share && share <= exact.hi && exact.hi <= 1.0);
        prop_assert!(exact.lo <= jeffreys.lo && jeffreys.hi <= exact.hi);
        if arm.successes > 0 {
            let (_, above) = incomplete_beta::binomial_tails(arm.successes - 1, arm.n, exact.lo);
            prop_assert!(near(above, alpha / 2.0, 1e-9), "{} {}", above, alpha / 2.0);
        }
        if arm.failures() > 0 {
            let (below, _) = incomplete_beta::binomial_tails(arm.successes, arm.n, exact.hi);
            prop_assert!(near(below, alpha / 2.0, 1e-7), "{} {}", below, alpha / 2.0);
        }
        let mirrored = Successes::try_new(arm.n, arm.failures()).expect("among n");
        let other = proportions::clopper_pearson(mirrored, level).expect("units");
        prop_assert!((exact.lo + other.hi - 1.0).abs() < 1e-14);
    }

    #[test]
    fn segments_may_be_reordered_moved_and_scaled(segments in effects(), shift in -3.0..3.0_f64, factor in 0.01..100.0_f64) {
        let found = heterogeneity(&segments).expect("segments");
        let mut back = segments.clone();
        back.reverse();
        let other = heterogeneity(&back).expect("segments");
        prop_assert!((found.q - other.q).abs() <= 1e-9 * (1.0 + found.q));
        let moved: Vec<Effect> = segments.iter().map(|s| Effect { effect: (s.effect + shift) * factor, se: s.se * factor }).collect();
        let other = heterogeneity(&moved).expect("segments");
        prop_assert!((found.q - other.q).abs() <= 1e-8 * (1.0 + found.q));
        prop_assert!((other.fixed.effect - (found.fixed.effect + shift) * factor).abs() <= 1e-9 * factor * 10.0);
        prop_assert!(found.random.se >= found.fixed.se * (1.0 - 1e-12));
        prop_assert!((0.0..=1.0).contains(&found.i2) && found.tau2 >= 0.0);
    }

    #[test]
    fn one_stratum_is_welch_and_a_copy_of_it_changes_no_effect(a in pairs(), b in pairs()) {
        let stratum = Stratum { control: *co_moments(&a).y(), treatment: *co_moments(&b).y() };
        let one = stratified(&[stratum], Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let plain = welch::welch(&stratum.control, &stratum.treatment, Alpha::DEFAULT).expect("varied");
        prop_assert!(near(one.p_value, plain.p_value, 1e-10));
        let two = stratified(&[stratum, stratum], Alpha::DEFAULT, TWO_SIDED).expect("varied");
        prop_assert!(near(two.effect, one.effect, 1e-12) && near(two.se * 2.0_f64.sqrt(), one.se, 1e-12));
    }

    #[test]
    fn clusters_of_one_unit_are_units(a in pairs(), b in pairs()) {
        let single = |rows: &[(f64, f64)]| {
            let sums: Vec<f64> = rows.iter().map(|(y, _)| *y).collect();
            CoMoments::of(&sums, &vec![1.0; rows.len()])
        };
        let found = cluster::cluster_delta(&single(&a), &single(&b), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let plain = welch::welch(co_moments(&a).y(), co_moments(&b).y(), Alpha::DEFAULT).expect("varied");
        prop_assert!(near(found.p_value, plain.p_value, 1e-9));
    }

    #[test]
    fn without_lags_the_robust_error_is_that_of_independent_buckets(values in prop::collection::vec((-5.0..5.0_f64, any::<bool>()), 6..60)) {
        let buckets: Vec<switchback::Bucket> =
            values.iter().map(|(value, treated)| switchback::Bucket { value: *value, treated: *treated }).collect();
        let (c, t) = (switchback::arm(&buckets, false), switchback::arm(&buckets, true));
        prop_assume!(c.n() > 1 && t.n() > 1);
        let found = switchback::switchback_hac(&buckets, Some(0), Alpha::DEFAULT, TWO_SIDED).expect("varied");
        let parts = |arm: &Moments| arm.m2() / (arm.n() as f64).powi(2);
        prop_assert!(near(found.se, (parts(&c) + parts(&t)).sqrt(), 1e-10));
        let kept = switchback::after_burn_in(&buckets, 1);
        prop_assert!(kept.len() < buckets.len());
        prop_assert_eq!(switchback::after_burn_in(&buckets, 0), buckets);
    }

    #[test]
    fn ranks_do_not_care_about_the_scale(a in prop::collection::vec(-9_i32..9, 1..40), b in prop::collection::vec(-9_i32..9, 1..40)) {
        let of = |values: &[i32], f: fn(f64) -> f64| -> Vec<f64> { values.iter().map(|v| f(f64::from(*v))).collect() };
        let plain = mann_whitney(&of(&a, |v| v), &of(&b, |v| v), TWO_SIDED);
        let curved = mann_whitney(&of(&a, f64::exp), &of(&b, f64::exp), TWO_SIDED);
        prop_assert_eq!(plain, curved);
        if let (Ok(there), Ok(back)) = (plain, mann_whitney(&of(&b, |v| v), &of(&a, |v| v), TWO_SIDED)) {
            prop_assert!(near(there.p_value, back.p_value, 1e-12));
            prop_assert!((there.probability + back.probability - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_smaller_p_value_combines_to_a_smaller_one(p_values in prop::collection::vec(1e-9..1.0_f64, 1..12), i in 0_usize..12, share in 0.0..1.0_f64) {
        let i = i % p_values.len();
        let mut less = p_values.clone();
        less[i] *= share;
        for combine in [combination::fisher_combined, |p: &[f64]| combination::stouffer_combined(p, &[])] {
            let (before, after) = (combine(&p_values).expect("some"), combine(&less).expect("some"));
            prop_assert!(after.p_value <= before.p_value * (1.0 + 1e-12));
        }
        let one = combination::fisher_combined(&p_values[..1]).expect("one");
        prop_assert!(near(one.p_value, p_values[0], 1e-12));
    }

    #[test]
    fn more_e_value_rejects_no_less(e_values in prop::collection::vec(0.0..300.0_f64, 1..20), factor in 1.0..5.0_f64) {
        let count = |factor: f64| {
            let values: Vec<Option<f64>> = e_values.iter().map(|e| Some(e * factor)).collect();
            selection::e_bh(&values, Alpha::DEFAULT).into_iter().flatten().filter(|rejected| *rejected).count()
        };
        prop_assert!(count(factor) >= count(1.0));
    }

    #[test]
    fn phases_with_the_same_weights_are_one_phase(first in prop::collection::vec(0_u64..10_000, 3), second in prop::collection::vec(0_u64..10_000, 3)) {
        prop_assume!(first.iter().chain(&second).sum::<u64>() > 0);
        let weights = vec![2.0, 1.0, 3.0];
        let phase = |counts: &Vec<u64>| srm_breakdown::Phase { counts: counts.clone(), weights: weights.clone() };
        let found = srm_breakdown::over_phases(&[phase(&first), phase(&second)]).expect("units");
        let sum: Vec<u64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
        let whole = srm::srm(&sum, &weights).expect("units");
        prop_assert!((found.statistic - whole.statistic).abs() <= 1e-8 * (1.0 + whole.statistic));
        prop_assert_eq!(found.df, whole.df);
    }
}
