//! The numbers that the platform must reproduce.
//!
//! Difference in means of 1978 earnings, 1 794.34: Dehejia and Wahba (1999), "Causal Effects in
//! Nonexperimental Studies", table 3. Welch's p-value and the employment rates follow from the same
//! 445 rows; any statistics program gives them.

use anyhow::{Context, bail};
use serde_json::Value;

/// Name of the metric of 1978 earnings.
pub(crate) const EARNINGS: &str = "nsw_earnings_1978";
/// Name of the metric of employment in 1978.
pub(crate) const EMPLOYMENT: &str = "nsw_employed_1978";

/// One number, with the rounding in which it is known.
struct Known {
    what: &'static str,
    metric: &'static str,
    variant: &'static str,
    field: &'static str,
    value: f64,
    decimals: usize,
}

const KNOWN: [Known; 4] = [
    Known {
        what: "difference in mean earnings",
        metric: EARNINGS,
        variant: "treatment",
        field: "effect",
        value: 1794.34,
        decimals: 2,
    },
    Known {
        what: "Welch's p-value",
        metric: EARNINGS,
        variant: "treatment",
        field: "p_value",
        value: 0.0079,
        decimals: 4,
    },
    Known {
        what: "employment rate, treatment",
        metric: EMPLOYMENT,
        variant: "treatment",
        field: "value",
        value: 0.7568,
        decimals: 4,
    },
    Known {
        what: "employment rate, control",
        metric: EMPLOYMENT,
        variant: "control",
        field: "value",
        value: 0.6462,
        decimals: 4,
    },
];

/// Holds the results against the known numbers: one line for each, and an error if one differs.
pub(crate) fn compare(results: &Value, mut line: impl FnMut(&str)) -> anyhow::Result<()> {
    let mut differing = 0;
    for known in &KNOWN {
        let found = number(results, known)?;
        let decimals = known.decimals;
        let agrees = format!("{found:.decimals$}") == format!("{:.decimals$}", known.value);
        differing += usize::from(!agrees);
        line(&format!(
            "{:<28} {found:>12.decimals$}   published {:>10.decimals$}   {}",
            known.what,
            known.value,
            if agrees { "equal" } else { "DIFFERS" },
        ));
    }
    if differing > 0 {
        bail!("{differing} of {} numbers differ from the published ones", KNOWN.len());
    }
    Ok(())
}

fn number(results: &Value, known: &Known) -> anyhow::Result<f64> {
    let entry = |list: &Value, key: &str, name: &str| {
        list.as_array().and_then(|list| list.iter().find(|entry| entry[key] == name)).cloned()
    };
    let metric = entry(&results["metrics"], "metric", known.metric)
        .with_context(|| format!("the results lack the metric {}", known.metric))?;
    let variant = entry(&metric["variants"], "variant", known.variant)
        .with_context(|| format!("{} lacks the variant {}", known.metric, known.variant))?;
    variant[known.field]
        .as_f64()
        .with_context(|| format!("{} of {} is no number: {variant}", known.field, known.metric))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::compare;

    fn results(effect: f64) -> serde_json::Value {
        json!({"metrics": [
            {"metric": "nsw_earnings_1978", "variants": [
                {"variant": "treatment", "effect": effect, "p_value": 0.007_893}]},
            {"metric": "nsw_employed_1978", "variants": [
                {"variant": "control", "value": 168.0 / 260.0},
                {"variant": "treatment", "value": 140.0 / 185.0}]},
        ]})
    }

    #[test]
    fn equal_numbers_pass_and_another_one_fails() {
        compare(&results(1794.3423), |_| {}).unwrap();
        let mut lines = Vec::new();
        compare(&results(1794.35), |line| lines.push(line.to_owned())).unwrap_err();
        assert_eq!(lines.iter().filter(|line| line.contains("DIFFERS")).count(), 1);
    }
}
