//! Requests about segments, periods and experiments that meet.

use serde_json::{Value, json};

use super::Method;
use super::answer::{ESTIMATE, contrast, estimate, interval, number, optional, status, undefined};
use super::exact::table;
use super::request::{Request, RequestError};
use crate::methods::MethodError;
use crate::methods::contrast::{Cells, Contrast, dilute, interaction, novelty, novelty_paired};
use crate::methods::heterogeneity::{Effect, heterogeneity};
use crate::methods::mantel_haenszel::mantel_haenszel;
use crate::methods::simpson::{Simpson, simpson, simpson_of_shares};
use crate::methods::stratified::{Stratum, stratified};
use crate::stats::{CoMoments, Successes};

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "heterogeneity",
        fields: "segments[]{effect, se}",
        about: "Do effects differ between segments? Cochran's Q with k - 1 df, I2, tau2 of DerSimonian\n\
            and Laird, and the effects pooled with weights 1/se^2 and 1/(se^2 + tau2).\n\
            Reference: statsmodels combine_effects(method_re=\"dl\").",
        compute: pooled,
    },
    Method {
        name: "stratified_mean",
        fields: "strata[]{control{n, mean, variance} treatment{n, mean, variance}} alpha? alternative?",
        about: "Effect over strata with weights w_k = n_k/n: sum w_k d_k, variance\n\
            sum w_k^2 (v_t/n_t + v_c/n_c); t with Satterthwaite's df.\n\
            Reference: Miratrix, Sekhon, Yu (2013).",
        compute: |request| {
            let strata = strata(request)?;
            let (alpha, alternative) = (request.alpha()?, request.alternative()?);
            Ok(match stratified(&strata, alpha, alternative) {
                Ok(found) => estimate(&found),
                Err(error) => undefined(ESTIMATE, error),
            })
        },
    },
    Method {
        name: "simpson",
        fields: "strata[]{control{n, successes} treatment{n, successes}} (or n, mean, variance?)",
        about: "Does the pooled effect have the opposite sign of every stratum's effect that is not 0?\n\
            Reference: Simpson (1951).",
        compute: paradox,
    },
    Method {
        name: "cochran_mantel_haenszel",
        fields: "tables[[[a, b], [c, d]]] correction? alpha?",
        about: "Association in 2 x 2 tables given the stratum: chi-squared with 1 df, the common odds\n\
            ratio of Mantel and Haenszel, and its standard error by Robins, Breslow, Greenland.\n\
            Reference: statsmodels StratifiedTable.",
        compute: stratified_tables,
    },
    Method {
        name: "interaction_2x2",
        fields: "cells{cc, ct, tc, tt}{n, mean, variance} alpha? alternative?",
        about: "Does one experiment change the other's effect? (tt - tc) - (ct - cc), normal.",
        compute: |request| {
            let cells = request.object("cells")?;
            let cells = Cells {
                cc: cells.summary("cc")?,
                ct: cells.summary("ct")?,
                tc: cells.summary("tc")?,
                tt: cells.summary("tt")?,
            };
            Ok(tested(interaction(&cells, request.alpha()?, request.alternative()?)))
        },
    },
    Method {
        name: "novelty",
        fields: "early{effect, se} late{effect, se} alpha? alternative?",
        about: "Change of the effect between separate units of an early and a late period: late - early,\n\
            normal. early is the first 20 % of the window.",
        compute: |request| {
            let (early, late) = (effect(request, "early")?, effect(request, "late")?);
            let change = novelty(early, late, request.alpha()?, request.alternative()?);
            let mut result = tested(change);
            result["change"] = number(late.effect - early.effect);
            Ok(result)
        },
    },
    Method {
        name: "novelty_paired",
        fields: "control{n, early_mean, early_variance, late_mean, late_variance, covariance} treatment{…} \
                 alpha? alternative?",
        about: "Change of the effect when the same units are seen in both periods: welch_t of each\n\
            unit's own late - early.",
        compute: |request| {
            let (c, t) = (periods(request, "control")?, periods(request, "treatment")?);
            let (alpha, alternative) = (request.alpha()?, request.alternative()?);
            let arms = |of: fn(&CoMoments) -> f64| of(&t) - of(&c);
            let mut result = match novelty_paired(&c, &t, alpha, alternative) {
                Ok(found) => estimate(&found),
                Err(error) => undefined(ESTIMATE, error),
            };
            result["change"] = result["effect"].clone();
            result["early_effect"] = number(arms(|arm| arm.x().mean()));
            result["late_effect"] = number(arms(|arm| arm.y().mean()));
            Ok(result)
        },
    },
    Method {
        name: "dilution",
        fields: "effect se n_triggered n alpha? alternative?",
        about: "Effect over all n units, given that over the triggered: rate times effect,\n\
            se^2 = rate^2 se^2 + effect^2 rate (1 - rate)/n; normal.",
        compute: |request| {
            let triggered = own_effect(request)?;
            let n = request.count("n")?;
            if n == 0 {
                return Err(request.refuse("n", "at least 1"));
            }
            let units = Successes::try_new(n, request.count("n_triggered")?)
                .ok_or_else(|| request.refuse("n_triggered", "at most n"))?;
            let found = dilute(triggered, units, request.alpha()?, request.alternative()?);
            let mut result = tested(found);
            result["rate"] = optional(units.share());
            Ok(result)
        },
    },
];

fn own_effect(request: &Request<'_>) -> Result<Effect, RequestError> {
    let se = request.number_where("se", "at least 0", |se| se >= 0.0)?;
    Ok(Effect { effect: request.number("effect")?, se })
}

fn effect(request: &Request<'_>, field: &str) -> Result<Effect, RequestError> {
    own_effect(&request.object(field)?)
}

/// A contrast, or why there is none.
fn tested(found: Result<Contrast, MethodError>) -> Value {
    match found {
        Ok(found) => contrast(&found),
        Err(error) => undefined(&["effect", "se", "statistic", "p_value", "ci"], error),
    }
}

fn pooled(request: &Request<'_>) -> Result<Value, RequestError> {
    let segments: Vec<Effect> =
        request.objects("segments")?.iter().map(own_effect).collect::<Result<_, _>>()?;
    Ok(match heterogeneity(&segments) {
        Ok(found) => json!({
            "q": number(found.q), "df": found.df, "p_value": optional(found.p_value),
            "i2": number(found.i2), "tau2": number(found.tau2),
            "fixed_effect": number(found.fixed.effect), "fixed_se": number(found.fixed.se),
            "random_effect": number(found.random.effect), "random_se": number(found.random.se),
        }),
        Err(error) => undefined(
            &[
                "q",
                "df",
                "p_value",
                "i2",
                "tau2",
                "fixed_effect",
                "fixed_se",
                "random_effect",
                "random_se",
            ],
            error,
        ),
    })
}

fn strata(request: &Request<'_>) -> Result<Vec<Stratum>, RequestError> {
    let strata = request.objects("strata")?;
    if strata.is_empty() {
        return Err(request.refuse("strata", "a list with at least one object"));
    }
    strata
        .iter()
        .map(|stratum| {
            let (control, treatment) = (stratum.summary("control")?, stratum.summary("treatment")?);
            Ok(Stratum { control, treatment })
        })
        .collect()
}

fn paradox(request: &Request<'_>) -> Result<Value, RequestError> {
    let objects = request.objects("strata")?;
    let Some(first) = objects.first() else {
        return Err(request.refuse("strata", "a list with at least one object"));
    };
    let found = if first.object("control")?.get("successes").is_some() {
        let shares: Vec<(Successes, Successes)> = objects
            .iter()
            .map(|s| Ok((s.share("control")?, s.share("treatment")?)))
            .collect::<Result<_, RequestError>>()?;
        simpson_of_shares(&shares)
    } else {
        let strata: Vec<Stratum> = objects
            .iter()
            .map(|s| Ok(Stratum { control: s.size("control")?, treatment: s.size("treatment")? }))
            .collect::<Result<_, RequestError>>()?;
        simpson(&strata)
    };
    Ok(match found {
        Ok(Simpson { pooled_effect, stratum_effects, reversal }) => json!({
            "pooled_effect": number(pooled_effect), "reversal": reversal,
            "stratum_effects": stratum_effects.into_iter().map(optional).collect::<Vec<Value>>(),
        }),
        Err(error) => undefined(&["pooled_effect", "stratum_effects", "reversal"], error),
    })
}

fn stratified_tables(request: &Request<'_>) -> Result<Value, RequestError> {
    let rule = "a list of tables of two rows of two whole numbers of at least 0";
    let tables = request.list("tables", rule, table)?;
    if tables.is_empty() {
        return Err(request.refuse("tables", rule));
    }
    let found = mantel_haenszel(&tables, request.flag("correction")?, request.alpha()?);
    let mut result = json!({
        "odds_ratio": optional(found.odds_ratio), "log_or_se": optional(found.log_or_se),
        "odds_ratio_ci": found.odds_ratio_ci.map_or(Value::Null, interval),
        "statistic": null, "df": 1, "p_value": null,
    });
    match found.test {
        Ok((statistic, p_value)) => {
            result["statistic"] = number(statistic);
            result["p_value"] = number(p_value);
        }
        Err(error) => result["status"] = status(error),
    }
    Ok(result)
}

fn periods(request: &Request<'_>, arm: &str) -> Result<CoMoments, RequestError> {
    let arm = request.object(arm)?;
    let late = arm.moments("late_mean", "late_variance")?;
    let early = arm.moments("early_mean", "early_variance")?;
    let covariance = arm.number("covariance")?;
    CoMoments::from_summary(late, early, covariance)
        .ok_or_else(|| arm.refuse("covariance", "finite"))
}
