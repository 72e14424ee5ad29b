//! Laws of the methods for accumulating data, of posterior laws and of bandits: arms may be exchanged,
//! p-values agree with their intervals, all looks together spend alpha.

use analysis::methods::adaptive_effect::{AdaptivePhase, ArmPhase, adaptive_effect};
use analysis::methods::anytime_t::anytime_t;
use analysis::methods::bernoulli_sequence::bernoulli_sequence;
use analysis::methods::beta_binomial::{BetaParameters, beta_binomial};
use analysis::methods::confidence_sequence::{Gate, compare_means, confidence_sequence};
use analysis::methods::count_mixture::{CONCENTRATION, directed_counts};
use analysis::methods::group_sequential::classic::{Shape, classic};
use analysis::methods::group_sequential::futility::futility;
use analysis::methods::group_sequential::power::{crossing_probabilities, inflation};
use analysis::methods::group_sequential::stopping::stagewise_p;
use analysis::methods::group_sequential::{Sides, Spending, bounds};
use analysis::methods::msprt::{msprt, running_intersection, running_minimum};
use analysis::methods::normal_normal::{NormalPrior, normal_normal};
use analysis::methods::thompson::{NormalArm, best_mean, best_share, weights};
use analysis::methods::{Alpha, Alternative, Interval, normal};
use analysis::stats::{Moments, Successes};
use proptest::prelude::*;

const SIDES: [Alternative; 3] = [Alternative::TwoSided, Alternative::Greater, Alternative::Less];

fn mirror(alternative: Alternative) -> Alternative {
    match alternative {
        Alternative::TwoSided => Alternative::TwoSided,
        Alternative::Greater => Alternative::Less,
        Alternative::Less => Alternative::Greater,
    }
}

fn level() -> impl Strategy<Value = Alpha> {
    prop_oneof![Just(0.05), Just(0.01), 1e-6..0.4_f64]
        .prop_map(|alpha| Alpha::try_new(alpha).expect("inside (0, 1)"))
}

fn arm() -> impl Strategy<Value = Moments> {
    prop::collection::vec(-5.0..20.0_f64, 3..60).prop_map(|values| Moments::of(&values))
}

fn units() -> impl Strategy<Value = Successes> {
    prop_oneof![
        (0_u64..60).prop_flat_map(|n| (Just(n), 0..=n)),
        (1000_u64..1_000_000).prop_flat_map(|n| (Just(n), 0..=n)),
    ]
    .prop_map(|(n, successes)| Successes::try_new(n, successes).expect("among n"))
}

fn spending() -> impl Strategy<Value = Spending> {
    prop_oneof![
        Just(Spending::OBrienFleming),
        Just(Spending::Pocock),
        (0.3..5.0_f64).prop_map(Spending::Power),
        (-6.0..4.0_f64).prop_map(Spending::HwangShihDeCani),
    ]
}

fn rates() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.02..1.0_f64, 1..6).prop_map(|gaps| {
        let total: f64 = gaps.iter().sum();
        let mut so_far = 0.0;
        gaps.iter()
            .map(|gap| {
                so_far += gap;
                so_far / total
            })
            .collect()
    })
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs())
}

proptest! {
    #[test]
    fn a_sequence_excludes_zero_exactly_when_its_p_is_below_alpha(
        effect in -3.0..3.0_f64, se in 0.01..2.0_f64, n in 1.0..1e6_f64, n_tune in 1.0..1e6_f64, alpha in level(), tau in 0.01..3.0_f64,
    ) {
        for side in SIDES {
            let found = confidence_sequence(effect, se, n, n_tune, alpha, side).expect("a standard error");
            prop_assume!((found.p_value - alpha.get()).abs() > 1e-9 * alpha.get());
            prop_assert_eq!(found.p_value < alpha.get(), found.ci.excludes_zero(), "{:?}", found);
            let back = confidence_sequence(-effect, se, n, n_tune, alpha, mirror(side)).expect("a standard error");
            prop_assert!(near(found.p_value, back.p_value, 1e-12) && near(found.half_width, back.half_width, 1e-12));
            // Never less careful than the test of a single look.
            prop_assert!(found.p_value >= side.p_normal(effect / se) * (1.0 - 1e-9));
            let other = msprt(effect, se, tau, alpha, side).expect("a standard error");
            prop_assume!((other.p_value - alpha.get()).abs() > 1e-9 * alpha.get());
            prop_assert_eq!(other.p_value < alpha.get(), other.ci.excludes_zero());
        }
    }

    #[test]
    fn two_means_and_their_lift_agree_at_any_look(a in arm(), b in arm(), alpha in level(), factor in 0.01..100.0_f64) {
        let all = a.merge(b);
        let there = compare_means(&a, &b, &all, 500.0, alpha, Alternative::TwoSided).expect("varied");
        let back = compare_means(&b, &a, &all, 500.0, alpha, Alternative::TwoSided).expect("varied");
        prop_assert!(near(there.sequential.p_value, back.sequential.p_value, 1e-9));
        prop_assert!(there.se >= there.se_welch);
        if let Ok(lift_ci) = there.lift_ci {
            let edge = there.sequential.ci.lo.abs().min(there.sequential.ci.hi.abs());
            prop_assume!(edge > 1e-9 * there.se);
            prop_assert_eq!(lift_ci.excludes_zero(), there.sequential.ci.excludes_zero());
        }
        let scaled = |m: &Moments| Moments::from_summary(m.n(), m.mean() * factor, m.variance().expect("two") * factor * factor).expect("sound");
        let other = compare_means(&scaled(&a), &scaled(&b), &scaled(&all), 500.0, alpha, Alternative::TwoSided).expect("varied");
        prop_assert!((there.sequential.log_e_value - other.sequential.log_e_value).abs() < 1e-8 * (1.0 + there.sequential.log_e_value.abs()));
        prop_assert_eq!(Gate::of(&a, &b).is_reached(), a.n().min(b.n()) >= 100);
    }

    #[test]
    fn the_anytime_t_interval_excludes_zero_exactly_when_it_rejects(t in -9.0..9.0_f64, df in 1.0..1e5_f64, n in 0.5..1e5_f64, phi in 0.01..50.0_f64, alpha in level()) {
        let found = anytime_t(t, 1.0, df, n, phi, alpha).expect("sound");
        prop_assume!((found.p_value - alpha.get()).abs() > 1e-9 * alpha.get());
        prop_assert_eq!(found.p_value < alpha.get(), t.abs() > found.half_width);
    }

    #[test]
    fn running_values_only_tighten(p in prop::collection::vec(prop::option::of(0.0..1.0_f64), 0..20), ends in prop::collection::vec((-3.0..1.0_f64, 0.0..3.0_f64), 0..20)) {
        let running = running_minimum(p.clone());
        prop_assert!(running.windows(2).all(|pair| pair[1] <= pair[0]));
        prop_assert!(p.iter().zip(&running).all(|(p, least)| p.is_none_or(|p| *least <= p)));
        let intervals: Vec<Interval> = ends.iter().map(|(lo, width)| Interval { lo: *lo, hi: lo + width }).collect();
        let rest = running_intersection(&intervals);
        for pair in rest.windows(2) {
            match (pair[0], pair[1]) {
                (Some(a), Some(b)) => prop_assert!(a.lo <= b.lo && b.hi <= a.hi),
                (None, later) => prop_assert_eq!(later, None),
                (Some(_), None) => {}
            }
        }
    }

    #[test]
    fn counts_in_one_direction_mirror_when_arms_are_exchanged(c in 0_u64..5000, t in 0_u64..5000, share in 0.05..0.95_f64) {
        let up = directed_counts(c, t, share, 0.0, CONCENTRATION, Alternative::Greater).expect("sound");
        let down = directed_counts(t, c, 1.0 - share, 0.0, CONCENTRATION, Alternative::Less).expect("sound");
        prop_assert!((up.log_bayes_factor - down.log_bayes_factor).abs() <= 1e-7 * (1.0 + up.log_bayes_factor.abs()) || up.p_value + down.p_value >= 2.0);
        // The more is tolerated, the less is it evidence.
        let tolerant = directed_counts(c, t, share, 0.1, CONCENTRATION, Alternative::Greater).expect("sound");
        prop_assert!(tolerant.p_value >= up.p_value * (1.0 - 1e-9) || up.p_value > 0.2, "{} {}", tolerant.p_value, up.p_value);
    }

    #[test]
    fn a_share_lies_in_its_sequence_and_mirrors(arm in units(), t_opt in 1.0..1e6_f64, alpha in level()) {
        prop_assume!(arm.n > 0);
        let found = bernoulli_sequence(arm, t_opt, alpha, Alpha::DEFAULT).expect("units");
        let share = arm.share().expect("units");
        prop_assert!(0.0 <= found.lo && found.lo <= share && share <= found.hi && found.hi <= 1.0);
        let other = Successes::try_new(arm.n, arm.failures()).expect("among n");
        let mirrored = bernoulli_sequence(other, t_opt, alpha, Alpha::DEFAULT).expect("units");
        prop_assert!((found.lo + mirrored.hi - 1.0).abs() < 1e-12);
    }

    #[test]
    fn all_looks_together_spend_alpha(rates in rates(), spending in spending(), alpha in level(), two in any::<bool>()) {
        let sides = if two { Sides::Two } else { Sides::One };
        let found = bounds(&rates, alpha, sides, spending).expect("rates");
        let crossed = crossing_probabilities(&rates, &found.bounds, 0.0, sides);
        let mut total = 0.0;
        for (look, spent) in crossed.iter().zip(&found.cumulative_alpha) {
            total += look.upper + look.lower;
            prop_assert!((total - spent).abs() <= 1e-9 * spent + 1e-16, "{total} {spent} {:?}", found);
        }
        // The same alpha at the last look as at every look before, by stagewise ordering.
        let last = *found.bounds.last().expect("looks");
        let p = stagewise_p(&rates, &found.bounds, last, sides).expect("rates");
        prop_assert!(near(p, *found.cumulative_alpha.last().expect("looks"), 1e-9), "{p}");
    }

    #[test]
    fn one_look_is_a_fixed_horizon(alpha in level(), spending in spending()) {
        let z = normal::isf(alpha.get() / 2.0);
        let found = bounds(&[1.0], alpha, Sides::Two, spending).expect("rates");
        prop_assert!((found.bounds[0] - z).abs() < 1e-12);
        for shape in [Shape::OBrienFleming, Shape::Pocock] {
            prop_assert!((classic(1, alpha, Sides::Two, shape).expect("a look").constant - z).abs() < 1e-12);
        }
    }

    #[test]
    fn a_planned_power_is_reached_and_futility_spends_beta(rates in rates(), power in 0.55..0.97_f64, spending in spending()) {
        let alpha = Alpha::DEFAULT;
        let found = bounds(&rates, alpha, Sides::One, spending).expect("rates");
        prop_assume!(found.bounds.iter().all(|b| *b > 0.0));
        let plan = inflation(&rates, &found.bounds, alpha, Sides::One, power).expect("a plan");
        prop_assert!(plan.inflation_factor >= 1.0 - 1e-9);
        let reached: f64 = crossing_probabilities(&rates, &found.bounds, plan.drift, Sides::One).iter().map(|look| look.upper).sum();
        prop_assert!(near(reached, power, 1e-9));
        if let Ok(advice) = futility(&rates, &found.bounds, Spending::HwangShihDeCani(-2.0), 1.0 - power) {
            // Giving up early costs power, which a larger sample must bring back.
            prop_assert!(advice.drift >= plan.drift * (1.0 - 1e-9), "{} {}", advice.drift, plan.drift);
            prop_assert!(advice.bounds.iter().zip(&found.bounds).all(|(a, b)| a <= b));
        }
    }

    #[test]
    fn posteriors_mirror_when_arms_are_exchanged(c in units(), t in units(), alpha in level()) {
        let there = beta_binomial(c, t, BetaParameters::UNIFORM, alpha).expect("proper");
        let back = beta_binomial(t, c, BetaParameters::UNIFORM, alpha).expect("proper");
        prop_assert!((there.prob_treatment_better + back.prob_treatment_better - 1.0).abs() < 1e-9);
        prop_assert!((there.expected_loss_treatment - back.expected_loss_control).abs() < 1e-10);
        // What is lost one way and the other differs by the expected effect.
        let gain = there.expected_loss_control - there.expected_loss_treatment;
        prop_assert!((gain - there.expected_effect).abs() < 1e-9, "{gain} {}", there.expected_effect);
        let (ci, mirrored) = (there.credible_interval, back.credible_interval);
        prop_assert!(-1.0 <= ci.lo && ci.lo < ci.hi && ci.hi <= 1.0);
        prop_assert!((ci.lo + mirrored.hi).abs() < 1e-9 && (ci.hi + mirrored.lo).abs() < 1e-9, "{:?} {:?}", ci, mirrored);
        let two = best_share(&[there.control, there.treatment]).expect("proper");
        prop_assert!((two[1] - there.prob_treatment_better).abs() < 1e-9);
    }

    #[test]
    fn a_normal_posterior_lies_between_prior_and_data(effect in -5.0..5.0_f64, se in 0.01..3.0_f64, mean in -5.0..5.0_f64, sd in 0.01..3.0_f64) {
        let prior = NormalPrior { mean, variance: sd * sd };
        let found = normal_normal(effect, se, Some(prior), Alpha::DEFAULT).expect("a standard error");
        prop_assert!(found.mean >= effect.min(mean) - 1e-12 && found.mean <= effect.max(mean) + 1e-12);
        prop_assert!(found.sd <= se.min(sd));
        let gain = found.expected_loss_control - found.expected_loss_treatment;
        prop_assert!((gain - found.mean).abs() < 1e-12 * (1.0 + found.mean.abs()));
    }

    #[test]
    fn the_order_of_arms_does_not_matter(arms in prop::collection::vec((-3.0..3.0_f64, 0.05..3.0_f64), 1..8), floor in 0.0..0.1_f64) {
        let arms: Vec<NormalArm> = arms.iter().map(|(mean, sd)| NormalArm { mean: *mean, sd: *sd }).collect();
        let best = best_mean(&arms).expect("arms");
        let mut back = best_mean(&arms.iter().rev().copied().collect::<Vec<_>>()).expect("arms");
        back.reverse();
        for (a, b) in best.iter().zip(&back) {
            prop_assert!((a - b).abs() < 1e-12);
        }
        prop_assert!((best.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let shares = weights(&best, floor).expect("room");
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12 && shares.iter().all(|w| *w >= floor));
    }

    #[test]
    fn adaptive_effects_mirror(phases in prop::collection::vec((arm(), arm(), 0.1..0.5_f64, 0.1..0.5_f64), 1..4)) {
        let phase = |(c, t, e_c, e_t): &(Moments, Moments, f64, f64)| AdaptivePhase {
            n_units: c.n() + t.n() + 7,
            control: ArmPhase { moments: *c, share: *e_c },
            treatment: ArmPhase { moments: *t, share: *e_t },
        };
        let there: Vec<AdaptivePhase> = phases.iter().map(phase).collect();
        let back: Vec<AdaptivePhase> = there.iter().map(|p| AdaptivePhase { control: p.treatment, treatment: p.control, ..*p }).collect();
        let found = adaptive_effect(&there, Alpha::DEFAULT, Alternative::TwoSided).expect("varied");
        let other = adaptive_effect(&back, Alpha::DEFAULT, Alternative::TwoSided).expect("varied");
        prop_assert!((found.effect + other.effect).abs() < 1e-9 && near(found.p_value, other.p_value, 1e-9));
    }
}
