//! Requests about small counts: exact tests.

use serde_json::{Value, json};

use super::Method;
use super::answer::{number, optional, undefined};
use super::request::{Request, RequestError, whole};
use crate::methods::barnard::{MOST_UNITS, barnard};
use crate::methods::fisher::fisher;

pub(super) const METHODS: &[Method] = &[
    Method {
        name: "fisher_exact",
        fields: "table[[a, b], [c, d]] | control{n, successes} treatment{n, successes}  alternative?",
        about: "Fisher's exact test given both margins; two-sided: all tables no more probable than the\n\
            one seen. greater: a is above its expectation; with arms, treatment has the larger share.\n\
            Reference: scipy fisher_exact.",
        compute: conditional,
    },
    Method {
        name: "barnard_exact",
        fields: "control{n, successes} treatment{n, successes} alternative?",
        about: "Barnard's unconditional exact test by the pooled z: the largest probability, over the\n\
            common share, of tables at least as extreme. Up to 20 000 units in both arms together.\n\
            Reference: Suissa & Shuster (1985); scipy barnard_exact(pooled=True).",
        compute: unconditional,
    },
];

pub(super) fn table(value: &Value) -> Option<[[u64; 2]; 2]> {
    let row = |row: &Value| -> Option<[u64; 2]> {
        row.as_array()?.iter().map(whole).collect::<Option<Vec<u64>>>()?.try_into().ok()
    };
    value.as_array()?.iter().map(row).collect::<Option<Vec<[u64; 2]>>>()?.try_into().ok()
}

fn conditional(request: &Request<'_>) -> Result<Value, RequestError> {
    let cells = if request.get("table").is_some() || request.get("control").is_none() {
        let rule = "two rows of two whole numbers of at least 0";
        request.get("table").and_then(table).ok_or_else(|| request.refuse("table", rule))?
    } else {
        let (c, t) = (request.successes("control")?, request.successes("treatment")?);
        [[t.successes, t.failures()], [c.successes, c.failures()]]
    };
    let test = fisher(cells, request.alternative()?);
    Ok(json!({"odds_ratio": optional(test.odds_ratio), "p_value": number(test.p_value)}))
}

fn unconditional(request: &Request<'_>) -> Result<Value, RequestError> {
    let (control, treatment) = (request.successes("control")?, request.successes("treatment")?);
    if control.n.saturating_add(treatment.n) > MOST_UNITS {
        let rule = format!(
            "such that both arms have at most {MOST_UNITS} units; two_proportion_z is as good above"
        );
        return Err(request.refuse("treatment.n", rule));
    }
    Ok(match barnard(control, treatment, request.alternative()?) {
        Ok(test) => json!({
            "statistic": number(test.statistic), "p_value": number(test.p_value),
            "nuisance": number(test.nuisance),
        }),
        Err(error) => undefined(&["statistic", "p_value", "nuisance"], error),
    })
}
