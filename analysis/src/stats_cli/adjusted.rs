//! Requests about means and ratios adjusted by covariates.

use serde_json::{Value, json};

use super::Method;
use super::answer::{ESTIMATE, estimate, interval, number, optional, status, undefined};
use super::request::{Request, RequestError};
use crate::methods::ancova::{Ancova, Units, ancova, ancova_hc2};
use crate::methods::cuped::{IMBALANCE, cuped};
use crate::methods::cuped_many::cuped_many;
use crate::methods::ratio_cuped::ratio_cuped;
use crate::methods::stratified::{Known, cuped_strata};
use crate::methods::{Estimate, MethodError};
use crate::stats::{CoMoments, JointMoments, Moments};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "cuped",
        fields: "control{n, mean, variance, covariate_mean, covariate_variance, covariance} treatment{…} \
                 alpha? alternative?",
        about: "Difference of two means, adjusted by a covariate from before the experiment.\n\
            theta = Cov(y, x)/Var(x) over both arms together; welch_t of y - theta (x - mean x).\n\
            lift: over the control's unadjusted mean, lift_ci by Fieller with their covariance.\n\
            covariate_imbalance: the covariate itself differs between the arms (p < 0.001).\n\
            Assumes x fixed before exposure. Reference: Deng et al. (2013); tea-tasting Mean(covariate).",
        compute: |request| {
            adjusted(request, &summary(request, "control")?, &summary(request, "treatment")?)
        },
    },
    Method {
        name: "cuped_raw",
        fields: "control{values, covariate} treatment{values, covariate} alpha? alternative?",
        about: "As cuped, from one pair of values for each unit.",
        compute: |request| {
            let (c, t) = (units(request, "control")?, units(request, "treatment")?);
            adjusted(request, &CoMoments::of(&c.0, &c.1), &CoMoments::of(&t.0, &t.1))
        },
    },
    Method {
        name: "cuped_many",
        fields: "control{n, means[y, x1, ...], covariance[[]]} treatment{…} alpha? alternative?",
        about: "As cuped, with several covariates: theta = S_xx^-1 S_xy over both arms together.\n\
            Reference: Deng et al. (2013); numpy linalg.lstsq.",
        compute: |request| {
            let (c, t) = (joint(request, "control", None)?, joint(request, "treatment", None)?);
            if c.k() != t.k() {
                return Err(request.refuse("treatment.means", "as long as control.means"));
            }
            let (alpha, alternative) = (request.alpha()?, request.alternative()?);
            Ok(match cuped_many(&c, &t, alpha, alternative) {
                Ok(found) => {
                    let thetas: Vec<Value> =
                        found.thetas.iter().map(|theta| number(*theta)).collect();
                    with(
                        found.estimate,
                        &json!({
                            "thetas": thetas, "variance_reduction": optional(found.variance_reduction),
                            "control_mean_adjusted": number(found.control.mean()),
                            "treatment_mean_adjusted": number(found.treatment.mean()),
                        }),
                    )
                }
                Err(error) => undefined(ESTIMATE, error),
            })
        },
    },
    Method {
        name: "cuped_strata",
        fields: "strata[]{control{…as in cuped…} treatment{…}} alpha? alternative?",
        about: "CUPED within strata, combined with weights n_k/n: units without a covariate are a\n\
            stratum of their own, whose arms have n, mean and variance only.",
        compute: |request| {
            let strata: Vec<Known> = request
                .objects("strata")?
                .iter()
                .map(|stratum| {
                    let known = stratum.object("control")?.get("covariate_mean").is_some();
                    if known {
                        let of = |arm| summary(stratum, arm);
                        Ok(Known::Covariate(of("control")?, of("treatment")?))
                    } else {
                        let of = |arm| stratum.summary(arm);
                        Ok(Known::Nothing(of("control")?, of("treatment")?))
                    }
                })
                .collect::<Result<_, RequestError>>()?;
            let (alpha, alternative) = (request.alpha()?, request.alternative()?);
            Ok(match cuped_strata(&strata, alpha, alternative) {
                Ok(found) => estimate(&found),
                Err(error) => undefined(ESTIMATE, error),
            })
        },
    },
    Method {
        name: "ancova",
        fields: "control{values, covariate} treatment{values, covariate} covariance?: HC2 alpha? alternative?",
        about: "Treatment's coefficient in the least-squares fit y ~ 1 + treatment + x; t with n - 3 df.\n\
            HC2: each unit's own variance, e^2/(1 - h).\n\
            Reference: statsmodels OLS; cov_type=\"HC2\" with use_t=True; MacKinnon & White (1985).",
        compute: regression,
    },
    Method {
        name: "ratio_cuped",
        fields: "order? control{n, means[num, den, num_pre, den_pre], covariance[[]]} treatment{…} \
                 alpha? alternative?",
        about: "Difference of two ratios of means, adjusted by the same ratio before the experiment.\n\
            theta from both linearised ratios over both arms; variance g' L g with\n\
            g = (1/d, -y/d^2, -theta/w, theta x/w^2); then welch_t. order names the four numbers.\n\
            Reference: Deng, Knoblich, Lu (2018); tea-tasting RatioOfMeans with covariates.",
        compute: ratios,
    },
];

/// Moments of metric and covariate of one arm.
fn summary(request: &Request<'_>, arm: &str) -> Result<CoMoments, RequestError> {
    let arm = request.object(arm)?;
    let y = arm.moments("mean", "variance")?;
    let x = arm.moments("covariate_mean", "covariate_variance")?;
    let covariance = if arm.count("n")? == 1 {
        arm.optional_number("covariance")?.unwrap_or(0.0)
    } else {
        arm.number("covariance")?
    };
    // Beyond rounding no two numbers vary more together than each by itself.
    let most = (y.variance().unwrap_or(0.0) * (1.0 + 1e-9)).sqrt()
        * (x.variance().unwrap_or(0.0) * (1.0 + 1e-9)).sqrt();
    if covariance.abs() > most && arm.count("n")? > 1 {
        let rule = "at most the square root of the product of both variances";
        return Err(arm.refuse("covariance", rule));
    }
    CoMoments::from_summary(y, x, covariance).ok_or_else(|| arm.refuse("covariance", "finite"))
}

/// Values and covariates of one arm.
fn units(request: &Request<'_>, arm: &str) -> Result<(Vec<f64>, Vec<f64>), RequestError> {
    let arm = request.object(arm)?;
    let (values, covariate) = (arm.numbers("values")?, arm.numbers("covariate")?);
    if values.is_empty() {
        return Err(arm.refuse("values", "a list with at least one number"));
    }
    if values.len() != covariate.len() {
        return Err(arm.refuse("covariate", "as long as values"));
    }
    Ok((values, covariate))
}

/// Means and covariance matrix of one arm; `order` says where each number of the method stands.
fn joint(
    request: &Request<'_>,
    arm: &str,
    order: Option<&[usize]>,
) -> Result<JointMoments, RequestError> {
    let arm = request.object(arm)?;
    let n = arm.count("n")?;
    if n == 0 {
        return Err(arm.refuse("n", "at least 1"));
    }
    let means = arm.numbers("means")?;
    let k = means.len();
    if order.is_some_and(|order| order.len() != k) || k == 0 {
        let rule = if k == 0 { "a list with at least one number" } else { "four numbers" };
        return Err(arm.refuse("means", rule));
    }
    let rule =
        "a symmetric matrix of finite numbers, as large as means, with variances of at least 0";
    let matrix = arm.list("covariance", rule, |row| {
        row.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<f64>>>()
    })?;
    if matrix.len() != k || matrix.iter().any(|row| row.len() != k) {
        return Err(arm.refuse("covariance", rule));
    }
    let own: Vec<usize> = (0..k).collect();
    let order = order.unwrap_or(&own);
    let means: Vec<f64> = order.iter().map(|i| means[*i]).collect();
    let matrix: Vec<Vec<f64>> =
        order.iter().map(|i| order.iter().map(|j| matrix[*i][*j]).collect()).collect();
    JointMoments::from_summary(n, &means, &matrix).ok_or_else(|| arm.refuse("covariance", rule))
}

/// An estimate, or why there is none, with further fields.
fn with(found: Result<Estimate, MethodError>, more: &Value) -> Value {
    let mut result = match &found {
        Ok(found) => estimate(found),
        Err(error) => undefined(ESTIMATE, *error),
    };
    for (key, value) in more.as_object().into_iter().flatten() {
        result[key] = value.clone();
    }
    result
}

fn adjusted(
    request: &Request<'_>,
    control: &CoMoments,
    treatment: &CoMoments,
) -> Result<Value, RequestError> {
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let found = match cuped(control, treatment, alpha, alternative) {
        Ok(found) => found,
        Err(error) => return Ok(undefined(ESTIMATE, error)),
    };
    let mut result = with(
        found.estimate,
        &json!({
            "theta": number(found.theta),
            "control_mean_adjusted": number(found.control.mean()),
            "treatment_mean_adjusted": number(found.treatment.mean()),
            "variance_reduction": optional(found.variance_reduction),
            "lift": optional(found.lift),
            "lift_ci": found.lift_ci.map_or(Value::Null, interval),
            "covariate_p_value": optional(found.covariate_p_value),
            "covariate_imbalance": found.covariate_p_value.map(|p| p < IMBALANCE),
        }),
    );
    if found.estimate.is_err() {
        let parts = |arm: &Moments| arm.variance_of_mean();
        let sum = parts(&found.control).zip(parts(&found.treatment)).map(|(c, t)| c + t);
        result["effect"] = number(found.control.mean_difference(&found.treatment));
        result["se"] = optional(sum.map(f64::sqrt));
    }
    Ok(result)
}

fn regression(request: &Request<'_>) -> Result<Value, RequestError> {
    let (c, t) = (units(request, "control")?, units(request, "treatment")?);
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let robust = request.choice("covariance", &["nonrobust", "HC2"])? == "HC2";
    let found: Result<Ancova, MethodError> = if robust {
        let of = |arm: &'_ (Vec<f64>, Vec<f64>)| (arm.0.clone(), arm.1.clone());
        let (c, t) = (of(&c), of(&t));
        let control = Units { values: &c.0, covariate: &c.1 };
        ancova_hc2(control, Units { values: &t.0, covariate: &t.1 }, alpha, alternative)
    } else {
        ancova(&CoMoments::of(&c.0, &c.1), &CoMoments::of(&t.0, &t.1), alpha, alternative)
    };
    Ok(match found {
        Ok(found) => with(found.estimate, &json!({"theta": number(found.theta)})),
        Err(error) => undefined(ESTIMATE, error),
    })
}

fn ratios(request: &Request<'_>) -> Result<Value, RequestError> {
    const NAMES: [&str; 4] = ["num", "den", "num_pre", "den_pre"];
    let order: Vec<usize> = if request.get("order").is_some() {
        let rule = "the names num, den, num_pre, den_pre in some order";
        let named = request.list("order", rule, |name| name.as_str().map(str::to_owned))?;
        let places: Option<Vec<usize>> =
            NAMES.iter().map(|name| named.iter().position(|other| other == name)).collect();
        places.filter(|_| named.len() == 4).ok_or_else(|| request.refuse("order", rule))?
    } else {
        (0..4).collect()
    };
    let (c, t) =
        (joint(request, "control", Some(&order))?, joint(request, "treatment", Some(&order))?);
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    Ok(match ratio_cuped(&c, &t, alpha, alternative) {
        Ok(found) => with(
            found.estimate,
            &json!({
                "theta": number(found.theta),
                "control_ratio_adjusted": number(found.control.mean()),
                "treatment_ratio_adjusted": number(found.treatment.mean()),
                "variance_reduction": optional(found.variance_reduction),
            }),
        ),
        Err(error) => json!({
            "effect": null, "se": null, "df": null, "statistic": null, "p_value": null, "ci": null,
            "status": status(error),
        }),
    })
}
