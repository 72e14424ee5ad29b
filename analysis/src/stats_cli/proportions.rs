//! Requests about proportions and tables of counts.

use serde_json::{Value, json};

use super::Method;
use super::answer::{interval, number, optional, status};
use super::request::{Request, RequestError, whole};
use crate::methods::barnard::barnard;
use crate::methods::chi_squared::chi_squared;
use crate::methods::fisher::fisher;
use crate::methods::{normal, proportions, score_interval};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "two_proportion_z",
        fields: "control{n, successes} treatment{n, successes} alpha? alternative?",
        about: "Difference of two proportions.\n\
            z = (p_t - p_c)/sqrt(p q (1/n_c + 1/n_t)) with the pooled share p; ci is Wald's (unpooled),\n\
            ci_score is Mee's, which excludes 0 exactly when the two-sided test rejects;\n\
            lift_ci_score is Koopman's of p_t/p_c - 1. Below 5 expected outcomes in a cell small_counts\n\
            is true and the exact p-values of Fisher and Barnard are added.\n\
            Reference: statsmodels proportions_ztest, confint_proportions_2indep.",
        compute: two_proportion_z,
    },
    Method {
        name: "proportion_diff_ci",
        fields: "control{n, successes} treatment{n, successes} interval: newcombe | agresti-caffo | \
                 score | wald alpha?",
        about: "Interval of the difference of two proportions.\n\
            newcombe: hybrid of Wilson's (1998, method 10); agresti-caffo: Wald's with one success and\n\
            one failure added to each arm; score: Mee (1984).",
        compute: proportion_diff_ci,
    },
    Method {
        name: "proportion_ci",
        fields: "n successes interval: wilson | agresti-coull | clopper-pearson | jeffreys alpha?",
        about: "Interval of one proportion.\n\
            wilson: the score interval; agresti-coull: Wald's around Wilson's centre; clopper-pearson:\n\
            exact, from the binomial tails; jeffreys: equal tails of Beta(x + 1/2, n - x + 1/2).\n\
            Reference: statsmodels proportion_confint.",
        compute: proportion_ci,
    },
    Method {
        name: "chi_squared",
        fields: "table[[count]] correction?",
        about: "Pearson's test of independence of rows and columns; correction is Yates' (2 x 2).\n\
            Rows and columns without any count are left out. Reference: scipy chi2_contingency.",
        compute: chi_squared_of_table,
    },
];

fn two_proportion_z(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.successes("control")?, request.successes("treatment")?);
    let (alpha, alternative) = (request.alpha()?, request.alternative()?);
    let mut result = json!({
        "effect": null, "se_pooled": null, "se_unpooled": null, "statistic": null,
        "p_value": null, "ci": null, "ci_score": null, "lift": null, "lift_ci_score": null,
    });
    let comparison = match proportions::compare(control, treatment, alpha) {
        Ok(comparison) => comparison,
        Err(error) => {
            result["status"] = status(error);
            return Ok(result);
        }
    };
    result["effect"] = number(comparison.effect);
    result["se_pooled"] = number(comparison.se_pooled);
    result["se_unpooled"] = number(comparison.se_unpooled);
    match proportions::pooled_z(control, treatment, alternative) {
        Ok(test) => {
            result["statistic"] = number(test.statistic);
            result["p_value"] = number(test.p_value);
        }
        Err(error) => result["status"] = status(error),
    }
    let half = normal::isf(alternative.tail(alpha)) * comparison.se_unpooled;
    result["ci"] = interval(alternative.interval(comparison.effect, half));
    result["ci_score"] = interval(comparison.ci);
    result["lift"] = optional(comparison.lift.ok());
    result["lift_ci_score"] = comparison.lift_ci.map_or(Value::Null, interval);
    result["small_counts"] = json!(comparison.min_expected < proportions::MIN_EXPECTED);
    if comparison.min_expected < proportions::MIN_EXPECTED {
        let cells =
            [[treatment.successes, treatment.failures()], [control.successes, control.failures()]];
        let exact = barnard(control, treatment, alternative);
        result["p_value_fisher"] = number(fisher(cells, alternative).p_value);
        result["p_value_barnard"] = optional(exact.ok().map(|test| test.p_value));
    }
    Ok(result)
}

fn proportion_diff_ci(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.successes("control")?, request.successes("treatment")?);
    let q = normal::isf(request.alpha()?.get() / 2.0);
    let kinds = &["newcombe", "agresti-caffo", "score", "wald"];
    let ci = match request.choice("interval", kinds)? {
        "agresti-caffo" => proportions::agresti_caffo(control, treatment, q),
        "score" => score_interval::difference(control, treatment, q),
        "wald" => proportions::wald(control, treatment, q),
        _ => proportions::newcombe(control, treatment, q),
    };
    Ok(match ci {
        Ok(ci) => json!({"ci": interval(ci)}),
        Err(error) => json!({"ci": null, "status": status(error)}),
    })
}

fn proportion_ci(request: &Request<'_>) -> Result<Value, RequestError> {
    let arm = request.own_successes()?;
    let alpha = request.alpha()?;
    let q = normal::isf(alpha.get() / 2.0);
    let kinds = &["wilson", "agresti-coull", "clopper-pearson", "jeffreys"];
    let ci = match request.choice("interval", kinds)? {
        "agresti-coull" => proportions::agresti_coull(arm, q),
        "clopper-pearson" => proportions::clopper_pearson(arm, alpha),
        "jeffreys" => proportions::jeffreys(arm, alpha),
        _ => proportions::wilson(arm, q),
    };
    Ok(match ci {
        Ok(ci) => json!({"estimate": optional(arm.share()), "ci": interval(ci)}),
        Err(error) => json!({"estimate": null, "ci": null, "status": status(error)}),
    })
}

fn chi_squared_of_table(request: &Request<'_>) -> Result<Value, RequestError> {
    let rule = "a list of equally long lists of whole numbers of at least 0";
    let table = request.list("table", rule, |row| {
        row.as_array()?.iter().map(whole).collect::<Option<Vec<u64>>>()
    })?;
    let width = table.first().map_or(0, Vec::len);
    if width == 0 || table.iter().any(|row| row.len() != width) {
        return Err(request.refuse("table", rule));
    }
    Ok(match chi_squared(&table, request.flag("correction")?) {
        Ok(test) => json!({
            "statistic": number(test.statistic), "df": test.df, "p_value": number(test.p_value),
            "cramers_v": number(test.cramers_v), "min_expected": number(test.min_expected),
        }),
        Err(error) => json!({
            "statistic": null, "df": null, "p_value": null, "cramers_v": null, "min_expected": null,
            "status": status(error),
        }),
    })
}
