//! Requests about means and ratios.

use serde_json::{Value, json};

use super::Method;
use super::answer::{interval, number, optional, status};
use super::request::{Request, RequestError};
use crate::methods::ratio::linearise;
use crate::methods::welch::welch_against;
use crate::methods::{Alternative, Estimate, MethodError, lift, normal, ratio, student_t};
use crate::stats::{CoMoments, Moments};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "welch_t",
        fields: "control{n, mean, variance} treatment{n, mean, variance} alpha? alternative?",
        about: "Difference of two means with unequal variances.\n\
            effect = m_t - m_c; se = sqrt(v_c/n_c + v_t/n_t); Welch-Satterthwaite df; p of Student's t.\n\
            Assumes independent units. Reference: Welch (1947); scipy ttest_ind(equal_var=False).",
        compute: |request| {
            means(request, &request.summary("control")?, &request.summary("treatment")?)
        },
    },
    Method {
        name: "welch_t_raw",
        fields: "control{values} treatment{values} alpha? alternative?",
        about: "As welch_t, from the values themselves.",
        compute: |request| {
            let (control, treatment) = (request.values("control")?, request.values("treatment")?);
            let mut result = means(request, &control, &treatment)?;
            result["control_mean"] = number(control.mean());
            result["treatment_mean"] = number(treatment.mean());
            result["control_variance"] = optional(control.variance());
            result["treatment_variance"] = optional(treatment.variance());
            Ok(result)
        },
    },
    Method {
        name: "non_inferiority",
        fields: "control{n, mean, variance} treatment{n, mean, variance} margin alternative? alpha?",
        about: "Welch's t-test of the null hypothesis effect = margin.\n\
            statistic = (effect - margin)/se; `greater` rejects when the effect is above the margin.",
        compute: |request| {
            let (control, treatment) = (request.summary("control")?, request.summary("treatment")?);
            let margin = request.number("margin")?;
            let (alpha, alternative) = (request.alpha()?, request.alternative()?);
            let estimate = welch_against(&control, &treatment, margin, alpha, alternative);
            Ok(estimate_or_status(estimate, &control, &treatment))
        },
    },
    Method {
        name: "moments_merge",
        fields: "chunks[[y]] chunks_y[[y]]?",
        about: "Mean and sample variance of values that come in chunks, by merging moments.\n\
            With chunks_y also those of the second variable and the covariance.\n\
            Reference: Chan, Golub, LeVeque (1979); exact rational arithmetic.",
        compute: moments_merge,
    },
    Method {
        name: "relative_lift",
        fields: "control{n, mean, variance} treatment{n, mean, variance} interval: delta | log_delta | fieller \
                 critical: t | normal alpha?",
        about: "lift = (m_t - m_c)/|m_c|. delta: se^2 = b/m_c^2 + m_t^2 a/m_c^4 with a, b the variances\n\
            of the means. log_delta: ratio exp(+-q sqrt(b/m_t^2 + a/m_c^2)) - 1. fieller: the interval that excludes 0 exactly when the absolute one does;\n\
            unbounded when the control's mean cannot be told from 0. df are Welch's.\n\
            Reference: Fieller (1954); gbstats (delta).",
        compute: relative_lift,
    },
    Method {
        name: "ratio_delta",
        fields: "control{n, num_mean, den_mean, num_variance, den_variance, covariance} treatment{…} \
                 alpha? alternative?",
        about: "Difference of two ratios of means by the delta method.\n\
            R = y/d; v = (v_y - 2 R cov + R^2 v_d)/d^2 per unit; then welch_t of (n, R, v).\n\
            Reference: Deng, Knoblich, Lu (2018); tea-tasting RatioOfMeans.",
        compute: |request| {
            ratios(
                request,
                &joint_summary(request, "control")?,
                &joint_summary(request, "treatment")?,
            )
        },
    },
    Method {
        name: "ratio_delta_raw",
        fields: "control{numerator, denominator} treatment{numerator, denominator} alpha? alternative?",
        about: "As ratio_delta, from one pair of values for each unit.",
        compute: |request| {
            ratios(
                request,
                &joint_values(request, "control")?,
                &joint_values(request, "treatment")?,
            )
        },
    },
];

fn means(
    request: &Request<'_>,
    control: &Moments,
    treatment: &Moments,
) -> Result<Value, RequestError> {
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let estimate = welch_against(control, treatment, 0.0, alpha, alternative);
    Ok(estimate_or_status(estimate, control, treatment))
}

fn estimate_or_status(
    estimate: Result<Estimate, MethodError>,
    control: &Moments,
    treatment: &Moments,
) -> Value {
    match estimate {
        Ok(estimate) => json!({
            "effect": number(estimate.effect), "se": number(estimate.se), "df": number(estimate.df),
            "statistic": number(estimate.statistic), "p_value": number(estimate.p_value),
            "ci": interval(estimate.ci),
        }),
        Err(error) => {
            let parts = control.variance_of_mean().zip(treatment.variance_of_mean());
            json!({
                "effect": number(control.mean_difference(treatment)),
                "se": optional(parts.map(|(a, b)| (a + b).sqrt())),
                "df": null, "statistic": null, "p_value": null, "ci": null, "status": status(error),
            })
        }
    }
}

fn moments_merge(request: &Request<'_>) -> Result<Value, RequestError> {
    let finite = |value: &Value| value.as_f64().filter(|number| number.is_finite());
    let chunks = |field: &str| {
        request.list(field, "a list of lists of finite numbers", |chunk| {
            chunk.as_array()?.iter().map(finite).collect::<Option<Vec<f64>>>()
        })
    };
    let first = chunks("chunks")?;
    if request.get("chunks_y").is_none() {
        let all = first.iter().map(|chunk| Moments::of(chunk)).fold(Moments::EMPTY, Moments::merge);
        let mean = (all.n() > 0).then(|| all.mean());
        return Ok(json!({
            "n": all.n(), "mean": optional(mean), "variance": optional(all.variance()),
        }));
    }
    let second = chunks("chunks_y")?;
    let paired =
        first.len() == second.len() && first.iter().zip(&second).all(|(x, y)| x.len() == y.len());
    if !paired {
        return Err(request.refuse("chunks_y", "as long as chunks, chunk by chunk"));
    }
    let all = first
        .iter()
        .zip(&second)
        .map(|(x, y)| CoMoments::of(x, y))
        .fold(CoMoments::EMPTY, CoMoments::merge);
    let (x, y) = (all.y(), all.x());
    Ok(json!({
        "n": all.n(),
        "mean": optional((x.n() > 0).then(|| x.mean())), "variance": optional(x.variance()),
        "mean_y": optional((y.n() > 0).then(|| y.mean())), "variance_y": optional(y.variance()),
        "covariance": optional(all.covariance()),
    }))
}

fn relative_lift(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.summary("control")?, request.summary("treatment")?);
    let alpha = request.alpha()?;
    let kind = request.choice("interval", &["delta", "log_delta", "fieller"])?;
    let by_t = request.choice("critical", &["t", "normal"])? == "t";
    let estimate = welch_against(&control, &treatment, 0.0, alpha, Alternative::TwoSided);
    let q = match estimate {
        Ok(estimate) if by_t => Ok(estimate.critical),
        Ok(_) => Ok(normal::isf(alpha.get() / 2.0)),
        Err(error) => Err(error),
    };
    let point = lift::lift(&control, &treatment);
    let df = estimate.ok().filter(|_| by_t).map(|estimate| estimate.df);
    let mut result = json!({
        "lift": optional(point.ok()), "se": null, "df": optional(df), "ci": null,
    });
    if kind == "log_delta" {
        match lift::log_delta(&control, &treatment) {
            Ok(log) => {
                let tail = alpha.get() / 2.0;
                let q = if by_t { student_t::isf(tail, log.df) } else { normal::isf(tail) };
                let bound = |z: f64| number((log.log + z * log.se).exp_m1());
                result["df"] = if by_t { number(log.df) } else { Value::Null };
                result["se"] = number(log.se);
                result["ci"] = json!([bound(-q), bound(q)]);
            }
            Err(error) => result["status"] = status(error),
        }
        return Ok(result);
    }
    if kind == "fieller" {
        match q.and_then(|q| lift::fieller(&control, &treatment, q)) {
            Ok(ci) => result["ci"] = interval(ci),
            Err(error) => result["status"] = status(error),
        }
        return Ok(result);
    }
    result["p_value_relative"] = Value::Null;
    match (q, point, lift::delta_se(&control, &treatment)) {
        (Ok(q), Ok(point), Ok(se)) => {
            let statistic = point / se;
            let p = df.map_or_else(
                || normal::two_sided(statistic),
                |df| student_t::two_sided(statistic, df),
            );
            result["se"] = number(se);
            result["ci"] = json!([number(point - q * se), number(point + q * se)]);
            result["p_value_relative"] = number(p);
        }
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
            result["status"] = status(error);
        }
    }
    Ok(result)
}

fn joint_summary(request: &Request<'_>, arm: &str) -> Result<CoMoments, RequestError> {
    let arm = request.object(arm)?;
    let y = arm.moments("num_mean", "num_variance")?;
    let d = arm.moments("den_mean", "den_variance")?;
    let covariance = arm.number("covariance")?;
    CoMoments::from_summary(y, d, covariance).ok_or_else(|| arm.refuse("covariance", "finite"))
}

fn joint_values(request: &Request<'_>, arm: &str) -> Result<CoMoments, RequestError> {
    let arm = request.object(arm)?;
    let (y, d) = (arm.numbers("numerator")?, arm.numbers("denominator")?);
    if y.is_empty() {
        return Err(arm.refuse("numerator", "a list with at least one number"));
    }
    if y.len() != d.len() {
        return Err(arm.refuse("denominator", "as long as numerator"));
    }
    Ok(CoMoments::of(&y, &d))
}

fn ratios(
    request: &Request<'_>,
    control: &CoMoments,
    treatment: &CoMoments,
) -> Result<Value, RequestError> {
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let arms = linearise(control).and_then(|c| Ok((c, linearise(treatment)?)));
    let (c, t) = match arms {
        Ok(arms) => arms,
        Err(error) => {
            return Ok(json!({
                "effect": null, "se": null, "df": null, "statistic": null, "p_value": null,
                "ci": null, "lift": null, "status": status(error),
            }));
        }
    };
    let estimate = ratio::ratio_delta(control, treatment, alpha, alternative);
    let mut result = estimate_or_status(estimate, &c.moments, &t.moments);
    result["control_ratio"] = number(c.moments.mean());
    result["treatment_ratio"] = number(t.moments.mean());
    result["lift"] = optional(lift::lift(&c.moments, &t.moments).ok());
    Ok(result)
}
