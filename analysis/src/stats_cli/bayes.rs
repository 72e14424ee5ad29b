//! Requests about posterior laws and about bandits.

use serde_json::{Value, json};

use super::Method;
use super::answer::{contrast, interval, number, undefined};
use super::request::{Request, RequestError};
use crate::methods::adaptive_effect::{AdaptivePhase, ArmPhase, adaptive_effect};
use crate::methods::beta_binomial::{BetaParameters, beta_binomial};
use crate::methods::normal_normal::{NormalPrior, normal_normal};
use crate::methods::thompson::{FLOOR, MOST_ARMS, NormalArm, best_mean, best_share, weights};
use crate::methods::ucb::{Plays, ucb1};
use crate::methods::{MethodError, lift};
use crate::stats::Moments;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "beta_binomial",
        fields: "control{n, successes} treatment{n, successes} prior?{alpha, beta} alpha?",
        about: "Two shares by their posteriors Beta(alpha + x, beta + n - x): P(T > C), the expected loss\n\
            of either choice, and the equal-tailed interval of T - C. prior is Beta(1, 1) by default.\n\
            By quadrature, not simulation. Reference: Stucchio (2015); Miller, Bayesian A/B formulas.",
        compute: shares,
    },
    Method {
        name: "normal_normal",
        fields: "control{n, mean, variance} treatment{n, mean, variance} difference: absolute | relative \
                 prior?{mean, variance} alpha?",
        about: "Posterior of the effect under a normal prior, or none: mean, sd, P(effect > 0), expected\n\
            losses, interval. relative: the lift with the standard error of the delta method.\n\
            Reference: gbstats EffectBayesianABTest.",
        compute: effect,
    },
    Method {
        name: "thompson_beta",
        fields: "arms[]{alpha, beta}",
        about: "Probability of each Beta share to be the largest: integral of f_i prod F_j.\n\
            Parameters between 0.001 and 1e15. Reference: Scott (2010).",
        compute: |request| {
            let rule = "between 0.001 and 1e15";
            let sound = |x: f64| (1e-3..=1e15).contains(&x);
            let arms: Vec<BetaParameters> = arms(request)?
                .iter()
                .map(|arm| {
                    Ok(BetaParameters {
                        alpha: arm.number_where("alpha", rule, sound)?,
                        beta: arm.number_where("beta", rule, sound)?,
                    })
                })
                .collect::<Result<_, RequestError>>()?;
            Ok(best(best_share(&arms)))
        },
    },
    Method {
        name: "thompson_normal",
        fields: "arms[]{mean, sd}",
        about: "Probability of each normal mean to be the largest: integral of f_i prod F_j.",
        compute: |request| {
            let arms: Vec<NormalArm> = arms(request)?
                .iter()
                .map(|arm| {
                    let sd = arm.number_where("sd", "above 0", |sd| sd > 0.0)?;
                    Ok(NormalArm { mean: arm.number("mean")?, sd })
                })
                .collect::<Result<_, RequestError>>()?;
            Ok(best(best_mean(&arms)))
        },
    },
    Method {
        name: "thompson_weights",
        fields: "prob_best[] floor?",
        about: "Shares of traffic: floor + (1 - n floor) P(best); floor is 0.01 by default.",
        compute: |request| {
            let rule = "a list of numbers between 0 and 1";
            let prob = request.list("prob_best", rule, |value| {
                value.as_f64().filter(|p| (0.0..=1.0).contains(p))
            })?;
            if prob.is_empty() {
                return Err(request.refuse("prob_best", "a list with at least one number"));
            }
            let floor = request.number_or("floor", FLOOR, "at least 0", |f| f >= 0.0)?;
            let found = weights(&prob, floor)
                .map_err(|_| request.refuse("floor", "at most 1 over the number of arms"))?;
            Ok(json!({"weights": found.into_iter().map(number).collect::<Vec<Value>>()}))
        },
    },
    Method {
        name: "ucb1",
        fields: "arms[]{n, mean}",
        about: "Upper confidence bounds mean + sqrt(2 ln N/n) and the arm with the highest; an arm without\n\
            plays comes first. Reference: Auer, Cesa-Bianchi, Fischer (2002).",
        compute: |request| {
            let arms: Vec<Plays> = arms(request)?
                .iter()
                .map(|arm| {
                    let n = arm.count("n")?;
                    let mean = if n == 0 {
                        arm.optional_number("mean")?
                    } else {
                        Some(arm.number("mean")?)
                    };
                    Ok(Plays { n, mean: mean.unwrap_or(0.0) })
                })
                .collect::<Result<_, RequestError>>()?;
            let (bounds, choice) = ucb1(&arms)
                .ok_or_else(|| request.refuse("arms", "a list with at least one object"))?;
            let bounds: Vec<Value> = bounds.into_iter().map(number).collect();
            Ok(json!({"index": bounds, "choice": choice}))
        },
    },
    Method {
        name: "adaptive_effect",
        fields: "phases[]{n, control{n, mean, variance, share} treatment{…}} alpha? alternative?",
        about: "Effect of arms whose weights changed by what was seen: augmented inverse-probability\n\
            weighting over phases with constant weights; n is the units of all arms. Normal test.\n\
            Reference: Hadad, Hirshberg, Zhan, Wager, Athey (2021).",
        compute: adaptive,
    },
];

fn arms<'r>(request: &Request<'r>) -> Result<Vec<Request<'r>>, RequestError> {
    let arms = request.objects("arms")?;
    if arms.is_empty() || arms.len() > MOST_ARMS {
        return Err(request.refuse("arms", format!("a list of 1 to {MOST_ARMS} objects")));
    }
    Ok(arms)
}

fn best(found: Result<Vec<f64>, MethodError>) -> Value {
    match found {
        Ok(found) => json!({"prob_best": found.into_iter().map(number).collect::<Vec<Value>>()}),
        Err(error) => undefined(&["prob_best"], error),
    }
}

fn shares(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.share("control")?, request.share("treatment")?);
    let prior = if request.get("prior").is_some() {
        let prior = request.object("prior")?;
        let parameter = |field| prior.number_where(field, "at least 0", |x| x >= 0.0);
        BetaParameters { alpha: parameter("alpha")?, beta: parameter("beta")? }
    } else {
        BetaParameters::UNIFORM
    };
    let law = |law: BetaParameters| json!({"alpha": number(law.alpha), "beta": number(law.beta)});
    Ok(match beta_binomial(control, treatment, prior, request.alpha()?) {
        Ok(found) => json!({
            "control_posterior": law(found.control), "treatment_posterior": law(found.treatment),
            "prob_treatment_better": number(found.prob_treatment_better),
            "expected_loss_treatment": number(found.expected_loss_treatment),
            "expected_loss_control": number(found.expected_loss_control),
            "expected_effect": number(found.expected_effect),
            "credible_interval": interval(found.credible_interval),
        }),
        Err(error) => {
            let mut result = undefined(
                &[
                    "prob_treatment_better",
                    "expected_loss_treatment",
                    "expected_loss_control",
                    "expected_effect",
                    "credible_interval",
                ],
                error,
            );
            result["control_posterior"] = law(prior.after(control));
            result["treatment_posterior"] = law(prior.after(treatment));
            result
        }
    })
}

fn effect(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.summary("control")?, request.summary("treatment")?);
    let relative = request.choice("difference", &["absolute", "relative"])? == "relative";
    let prior = if request.get("prior").is_some() {
        let prior = request.object("prior")?;
        let variance = prior.number_where("variance", "above 0", |v| v > 0.0)?;
        Some(NormalPrior { mean: prior.number("mean")?, variance })
    } else {
        None
    };
    let alpha = request.alpha()?;
    let likelihood = if relative {
        lift::lift(&control, &treatment)
            .and_then(|effect| Ok((effect, lift::delta_se(&control, &treatment)?)))
    } else {
        absolute(&control, &treatment)
    };
    let found = likelihood.and_then(|(effect, se)| normal_normal(effect, se, prior, alpha));
    Ok(match found {
        Ok(found) => json!({
            "posterior_mean": number(found.mean), "posterior_sd": number(found.sd),
            "prob_treatment_better": number(found.prob_treatment_better),
            "credible_interval": interval(found.credible_interval),
            "expected_loss_treatment": number(found.expected_loss_treatment),
            "expected_loss_control": number(found.expected_loss_control),
        }),
        Err(error) => undefined(
            &[
                "posterior_mean",
                "posterior_sd",
                "prob_treatment_better",
                "credible_interval",
                "expected_loss_treatment",
                "expected_loss_control",
            ],
            error,
        ),
    })
}

fn absolute(control: &Moments, treatment: &Moments) -> Result<(f64, f64), MethodError> {
    let (Some(a), Some(b)) = (control.variance_of_mean(), treatment.variance_of_mean()) else {
        return Err(MethodError::TooFewUnits);
    };
    Ok((control.mean_difference(treatment), (a + b).sqrt()))
}

fn adaptive(request: &Request<'_>) -> Result<Value, RequestError> {
    let share = |p: f64| p > 0.0 && p <= 1.0;
    let arm = |phase: &Request<'_>, name: &str| {
        let arm = phase.object(name)?;
        let moments =
            if arm.count("n")? == 0 { Moments::EMPTY } else { arm.moments("mean", "variance")? };
        Ok(ArmPhase { moments, share: arm.number_where("share", "above 0 and at most 1", share)? })
    };
    let phases: Vec<AdaptivePhase> = request
        .objects("phases")?
        .iter()
        .map(|phase| {
            let (control, treatment) = (arm(phase, "control")?, arm(phase, "treatment")?);
            let n_units = phase.count("n")?;
            if n_units < control.moments.n().saturating_add(treatment.moments.n()) {
                return Err(phase.refuse("n", "at least the units of both arms"));
            }
            Ok(AdaptivePhase { n_units, control, treatment })
        })
        .collect::<Result<_, RequestError>>()?;
    Ok(match adaptive_effect(&phases, request.alpha()?, request.alternative()?) {
        Ok(found) => contrast(&found),
        Err(error) => undefined(&["effect", "se", "statistic", "p_value", "ci"], error),
    })
}
