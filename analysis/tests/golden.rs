//! Every method against golden files from independent implementations.
//!
//! The files name their origin; `scripts/reference/statistics.py` writes them. A case is a request
//! of the command line with its expected result, so that this also checks the command line.

use analysis::methods::{MethodError, incomplete_beta, normal, quantile, student_t};
use analysis::stats_cli;
use serde_json::Value;

/// Relative error allowed of estimates and intervals.
const TOLERANCE: f64 = 1e-9;
/// Relative error allowed of p-values, down to 1e-300.
const P_TOLERANCE: f64 = 1e-8;

fn cases(name: &str) -> Vec<Value> {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the golden file is in the repository");
    let document: Value = serde_json::from_str(&text).expect("golden files are JSON");
    assert!(document["origin"]["reference"].is_string(), "{name} names no origin");
    document["cases"].as_array().expect("golden files hold cases").clone()
}

/// What differs between an expected value and the one got, if anything.
fn difference(path: &str, expected: &Value, got: &Value, tolerance: f64) -> Option<String> {
    let differs = || Some(format!("{path}: expected {expected}, got {got}"));
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            expected.iter().find_map(|(key, value)| {
                let tolerance = if key.starts_with("p_value") || key == "adjusted" {
                    tolerance.max(P_TOLERANCE)
                } else {
                    tolerance
                };
                let path = format!("{path}.{key}");
                difference(&path, value, got.get(key).unwrap_or(&Value::Null), tolerance)
            })
        }
        (Value::Array(expected), Value::Array(got)) if expected.len() == got.len() => {
            expected.iter().zip(got).enumerate().find_map(|(i, (expected, got))| {
                difference(&format!("{path}[{i}]"), expected, got, tolerance)
            })
        }
        (Value::Number(expected), Value::Number(got)) => {
            let (expected, got) = (expected.as_f64()?, got.as_f64()?);
            // Below 1e-300 nothing is promised; the absolute part is for bounds that are zero.
            let allowed =
                tolerance * expected.abs() + if expected.abs() < 1e-12 { 1e-15 } else { 0.0 };
            if (got - expected).abs() <= allowed.max(1e-300) { None } else { differs() }
        }
        _ => {
            if expected == got {
                None
            } else {
                differs()
            }
        }
    }
}

fn agree(name: &str) {
    let cases = cases(name);
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let request = case["request"].to_string();
            let answer = stats_cli::answer(request.as_bytes());
            let tolerance = case["tolerance"].as_f64().unwrap_or(TOLERANCE);
            let difference = match answer.get("result") {
                Some(result) => difference("", &case["expect"], result, tolerance),
                None => Some(answer.to_string()),
            };
            difference.map(|difference| format!("{difference}\n    {request}"))
        })
        .collect();
    let shown = failures.iter().take(12).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} of {} differ:\n{shown}", failures.len(), cases.len());
}

macro_rules! agrees {
    ($($test:ident: $file:literal),* $(,)?) => { $(#[test] fn $test() { agree($file); })* };
}

agrees! {
    welch_agrees_with_its_references: "welch",
    merged_moments_agree_with_rational_arithmetic: "moments",
    lifts_agree_with_their_references: "lift",
    ratios_agree_with_their_references: "ratio",
    proportions_agree_with_their_references: "proportions",
    chi_squared_agrees_with_scipy: "chi_squared",
    sample_ratio_checks_agree_with_their_references: "srm",
    adjusted_p_values_agree_with_statsmodels: "multiplicity",
    sample_sizes_agree_with_their_references: "power",
    acceptance_samples_of_the_command_line_agree: "samples",
    acceptance_samples_of_a_single_look_agree: "samples_fixed_horizon",
    covariate_adjustments_agree_with_their_references: "cuped",
    exact_tests_agree_with_sums_over_all_tables: "exact_tests",
    quantiles_of_values_agree_with_their_references: "quantile_ranks",
    cluster_tests_agree_with_statsmodels: "cluster",
    switchback_tests_agree_with_statsmodels: "switchback",
    segment_tests_agree_with_their_references: "segments",
    limited_values_agree_with_numpy: "winsorise",
    rank_and_equivalence_tests_agree_with_their_references: "ranks",
    combinations_and_selections_agree_with_their_references: "combination",
    sample_ratio_breakdowns_agree_with_their_references: "srm_breakdown",
    sample_sizes_by_t_agree_with_their_references: "power_t",
    acceptance_samples_of_accumulating_data_agree: "samples_sequential",
    always_valid_methods_agree_with_their_references: "always_valid",
    group_sequential_designs_agree_with_their_references: "group_sequential",
    preferences_agree_with_binomial_sums: "interleaving",
    posterior_laws_agree_with_their_references: "bayes",
    bandits_agree_with_quadrature: "bandits",
}

fn check(case: &Value, got: f64, expected: f64, tolerance: f64, failures: &mut Vec<String>) {
    let error = ((got - expected) / expected).abs();
    // NaN fails too.
    if error.is_nan() || error > tolerance {
        failures.push(format!("{case}: {got:e}, off by {error:.1e}"));
    }
}

#[test]
fn student_t_keeps_its_tails_at_any_degrees_of_freedom() {
    let mut failures = Vec::new();
    for case in cases("student_t") {
        let df = case["df"].as_f64().expect("df");
        if let Some(t) = case["t"].as_f64() {
            let expected = case["two_sided"].as_f64().expect("two_sided");
            check(&case, student_t::two_sided(t, df), expected, 1e-11, &mut failures);
            if expected > 1e-290 {
                check(&case, student_t::sf(t, df), expected / 2.0, 1e-11, &mut failures);
            }
        } else {
            let p = case["p"].as_f64().expect("p");
            let expected = case["isf"].as_f64().expect("isf");
            check(&case, student_t::isf(p, df), expected, 1e-13, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn normal_tails_and_quantiles_agree_with_mpmath() {
    let mut failures = Vec::new();
    for case in cases("normal") {
        if let Some(z) = case["z"].as_f64() {
            let expected = case["sf"].as_f64().expect("sf");
            check(&case, normal::sf(z), expected, 1e-13, &mut failures);
        } else {
            let p = case["p"].as_f64().expect("p");
            let expected = case["isf"].as_f64().expect("isf");
            check(&case, normal::isf(p), expected, 1e-14, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn beta_tails_and_quantiles_agree_with_mpmath() {
    let mut failures = Vec::new();
    for case in cases("incomplete_beta") {
        let number = |key: &str| case[key].as_f64();
        let (a, b) = (number("a").expect("a"), number("b").expect("b"));
        if let Some(x) = number("x") {
            let (lower, upper) = incomplete_beta::tails(a, b, x, 1.0 - x);
            check(&case, lower, number("lower").expect("lower"), 1e-9, &mut failures);
            check(&case, upper, number("upper").expect("upper"), 1e-9, &mut failures);
        } else {
            let p = number("p").expect("p");
            let expected = number("lower_quantile").expect("lower_quantile");
            check(&case, incomplete_beta::lower_quantile(p, a, b), expected, 1e-10, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn clustered_quantiles_agree_with_numpy() {
    let mut failures = Vec::new();
    for case in cases("quantile") {
        let units = case["units"].as_array().expect("units");
        let (mut values, mut ends) = (Vec::new(), Vec::new());
        for unit in units {
            values.extend(unit.as_array().expect("values").iter().filter_map(Value::as_f64));
            ends.push(u32::try_from(values.len()).expect("few values"));
        }
        let q = case["q"].as_f64().expect("q");
        let found = quantile::quantile(&values, &ends, q).expect("values");
        let brief = serde_json::json!({"q": q, "se": case["se"]});
        let expected = case["value"].as_f64().expect("value");
        check(&brief, found.value, expected, 1e-12, &mut failures);
        match case["se"].as_f64() {
            Some(se) => check(&brief, found.se.unwrap_or(f64::NAN), se, 1e-9, &mut failures),
            None => assert_eq!(found.se, Err(MethodError::TooFewUnits)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
