//! The command line's answers to requests that are wrong, odd or empty.

use analysis::stats_cli;
use proptest::prelude::*;
use serde_json::{Value, json};

fn error_of(request: &Value) -> String {
    let answer = stats_cli::answer(request.to_string().as_bytes());
    assert_eq!(answer["id"], request["id"]);
    answer["error"].as_str().unwrap_or_else(|| panic!("no error: {answer}")).to_owned()
}

#[test]
fn errors_name_the_field_and_the_rule() {
    let arm = json!({"n": 10, "mean": 1.0, "variance": 1.0});
    for (request, expected) in [
        (json!({"id": 1}), "method: must be a string"),
        (json!({"id": 1, "method": "welch"}), "method: must be one of welch_t, "),
        (json!({"method": "welch_t", "control": arm}), "treatment: must be an object"),
        (
            json!({"method": "welch_t", "control": {"n": 0, "mean": 1, "variance": 1}, "treatment": arm}),
            "control.n: must be at least 1",
        ),
        (
            json!({"method": "welch_t", "control": {"n": 2.5, "mean": 1, "variance": 1}, "treatment": arm}),
            "control.n: must be a whole number",
        ),
        (
            json!({"method": "welch_t", "control": {"n": 5, "mean": 1, "variance": -1}, "treatment": arm}),
            "control.variance: must be a number of at least 0",
        ),
        (
            json!({"method": "welch_t", "control": {"n": 5, "mean": "x", "variance": 1}, "treatment": arm}),
            "control.mean: must be a finite number",
        ),
        (
            json!({"method": "welch_t", "control": arm, "treatment": arm, "alpha": 1}),
            "alpha: must be strictly between 0 and 1",
        ),
        (
            json!({"method": "welch_t", "control": arm, "treatment": arm, "alternative": "up"}),
            "alternative: must be one of two-sided, greater, less",
        ),
        (
            json!({"method": "two_proportion_z", "control": {"n": 5, "successes": 6}, "treatment": {"n": 5, "successes": 1}}),
            "control.successes: must be at most n",
        ),
        (
            json!({"method": "srm", "counts": [1, 2], "weights": [1]}),
            "weights: must be 2 numbers of at least 0",
        ),
        (
            json!({"method": "srm", "counts": [1, -2], "weights": [1, 1]}),
            "counts: must be a list of whole numbers",
        ),
        (
            json!({"method": "chi_squared", "table": [[1, 2], [3]]}),
            "table: must be a list of equally long lists",
        ),
        (
            json!({"method": "proportion_ci", "n": 5, "successes": 1, "interval": "exact"}),
            "interval: must be one of wilson, agresti-coull",
        ),
        (
            json!({"method": "multiple_testing", "p_values": [0.1, 1.5]}),
            "p_values: must be a list of numbers between 0 and 1",
        ),
        (json!([1, 2]), "request: must be a JSON object"),
    ] {
        let error = error_of(&request);
        assert!(error.starts_with(expected), "{request}: {error}");
    }
}

#[test]
fn lines_are_answered_in_order_and_a_bad_one_stops_nobody() {
    let input = "{\"id\":\"a\",\"method\":\"underpowered\",\"n_per_arm\":1,\"required_n_per_arm\":2}\n\
                 \n not json\n\
                 {\"id\":\"b\",\"method\":\"sample_size_rule_16\",\"variance\":1,\"mde\":2}";
    let mut output = Vec::new();
    stats_cli::run(input.as_bytes(), &mut output).expect("writing to memory");
    let text = String::from_utf8(output).expect("JSON is text");
    let answers: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0], json!({"id": "a", "result": {"underpowered": true}}));
    assert!(answers[1]["error"].as_str().is_some_and(|error| error.starts_with("not JSON")));
    assert_eq!(answers[2], json!({"id": "b", "result": {"n_per_arm": 4.0}}));
}

#[test]
fn every_listed_method_is_described() {
    let mut list = Vec::new();
    stats_cli::list(&mut list).expect("writing to memory");
    let list = String::from_utf8(list).expect("text");
    assert!(list.lines().count() > 15);
    for line in list.lines() {
        let name = line.split_whitespace().next().expect("a name");
        let mut about = Vec::new();
        assert!(stats_cli::describe(name, &mut about).expect("writing to memory"), "{name}");
        assert!(about.len() > 60, "{name}");
    }
    assert!(!stats_cli::describe("no_such_method", std::io::sink()).expect("nothing written"));
}

fn absurd() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(-0.0),
        Just(1.0),
        Just(1e300),
        Just(-1e300),
        Just(5e-324),
        Just(1e-310),
        Just(f64::MAX),
        Just(f64::EPSILON),
        -1e3..1e3_f64
    ]
}

fn absurd_count() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(2), Just(u64::from(u32::MAX)), Just(1 << 53), 0_u64..2000]
}

proptest! {
    #[test]
    fn no_input_panics_hangs_or_gives_a_number_that_is_none(
        n in absurd_count(), m in absurd_count(), x in absurd_count(), y in absurd_count(),
        mean in absurd(), other in absurd(), variance in absurd(), spread in absurd(),
        alpha in prop_oneof![Just(0.05), Just(1e-300), Just(0.999_999)],
    ) {
        let arms = |c: Value, t: Value| json!({"control": c, "treatment": t, "alpha": alpha});
        let means = arms(
            json!({"n": n, "mean": mean, "variance": variance, "successes": x, "values": [mean, variance, other],
                "num_mean": mean, "den_mean": other, "num_variance": variance, "den_variance": spread, "covariance": mean}),
            json!({"n": m, "mean": other, "variance": spread, "successes": y, "values": [mean, spread],
                "num_mean": other, "den_mean": mean, "num_variance": spread, "den_variance": variance, "covariance": other}),
        );
        for (method, interval) in [
            ("welch_t", ""), ("welch_t_raw", ""), ("two_proportion_z", ""), ("ratio_delta", ""),
            ("relative_lift", "delta"), ("relative_lift", "log_delta"), ("relative_lift", "fieller"),
            ("proportion_diff_ci", "newcombe"), ("proportion_diff_ci", "score"),
            ("proportion_diff_ci", "agresti-caffo"),
        ] {
            let mut request = means.clone();
            request["method"] = json!(method);
            if !interval.is_empty() {
                request["interval"] = json!(interval);
            }
            check(&request);
        }
        check(&json!({"method": "srm", "counts": [n, m, x], "weights": [mean.abs(), spread.abs(), 1.0]}));
        check(&json!({"method": "srm_sequential", "counts": [n, m, x], "weights": [mean.abs(), spread.abs(), 1.0], "concentration": 1e-3}));
        check(&json!({"method": "chi_squared", "table": [[n, m], [x, y]], "correction": true}));
        check(&json!({"method": "proportion_ci", "n": n, "successes": x, "alpha": alpha}));
        check(&json!({"method": "sample_size_mean", "mde": mean, "sd": other.abs(), "alpha": alpha, "power": 0.9}));
        check(&json!({"method": "sample_size_proportion", "baseline": 0.1, "mde": mean, "alpha": alpha}));
    }
}

/// p-values stay in [0, 1] and bounds in order; what serde would write for NaN is null anyway.
fn check(request: &Value) {
    let answer = stats_cli::answer(request.to_string().as_bytes());
    let Some(result) = answer.get("result") else {
        assert!(answer["error"].is_string(), "{request}: {answer}");
        return;
    };
    for key in ["p_value", "p_value_relative"] {
        if let Some(p) = result[key].as_f64() {
            assert!((0.0..=1.0).contains(&p), "{request}: {answer}");
        }
    }
    for key in ["ci", "ci_score", "lift_ci_score"] {
        if let (Some(lo), Some(hi)) = (result[key][0].as_f64(), result[key][1].as_f64()) {
            assert!(lo <= hi, "{request}: {answer}");
        }
    }
}
