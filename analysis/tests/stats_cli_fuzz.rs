//! Every method of the command line with absurd values in every place: an answer or an error that
//! names the field, never a panic, never a number that is none.

use std::fs;

use analysis::stats_cli;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// Values that break things.
fn absurd() -> Vec<Value> {
    vec![
        json!(0),
        json!(-0.0),
        json!(1),
        json!(2),
        json!(3),
        json!(-1),
        json!(0.5),
        json!(1e300),
        json!(-1e300),
        json!(5e-324),
        json!(1e-310),
        json!(f64::MAX),
        json!(1e-17),
        json!(1_u64 << 53),
        json!(u64::MAX),
        json!(0.999_999_999),
        json!(1e9),
        json!(null),
        json!("Infinity"),
        json!([]),
        json!(true),
        json!({}),
    ]
}

fn requests() -> Vec<Value> {
    ["samples", "samples_fixed_horizon", "samples_sequential"]
        .iter()
        .flat_map(|name| {
            let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let text = fs::read_to_string(path).expect("the golden file is in the repository");
            let file: Value = serde_json::from_str(&text).expect("golden files are JSON");
            let cases = file["cases"].as_array().expect("cases").clone();
            cases.into_iter().map(|case| case["request"].clone())
        })
        .collect()
}

/// Pointers to the values of a request that can be replaced; only a few of a long list.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if !matches!(key.as_str(), "id" | "method") {
                    places(value, &format!("{at}/{key}"), found);
                }
            }
        }
        Value::Array(items) => {
            found.push(at.to_owned());
            for (i, item) in items.iter().enumerate() {
                if i < 2 || i + 1 == items.len() {
                    places(item, &format!("{at}/{i}"), found);
                }
            }
        }
        _ => found.push(at.to_owned()),
    }
}

fn check(request: &Value) {
    let answer = stats_cli::answer(request.to_string().as_bytes());
    if let Some(result) = answer.get("result") {
        check_numbers(request, "", result);
    } else {
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(": must be") || error.contains("not JSON"), "{request}: {answer}");
    }
}

/// Probabilities stay in [0, 1], bounds in order.
fn check_numbers(request: &Value, key: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                check_numbers(request, key, value);
            }
        }
        Value::Array(items) => {
            if key.ends_with("ci")
                && let [lo, hi] = items.as_slice()
                && let (Some(lo), Some(hi)) = (lo.as_f64(), hi.as_f64())
            {
                assert!(lo <= hi, "{key} of {request}: {value}");
            }
            for item in items {
                check_numbers(request, key, item);
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().expect("numbers are floats or fit into them");
            let share = key.starts_with("p_value") || key.starts_with("prob") || key == "power";
            assert!(!share || (0.0..=1.0).contains(&number), "{key} of {request}: {value}");
        }
        _ => {}
    }
}

#[test]
fn every_place_of_every_sample_takes_any_value() {
    for request in requests() {
        let mut found = Vec::new();
        places(&request, "", &mut found);
        for place in found {
            for value in absurd() {
                let mut other = request.clone();
                *other.pointer_mut(&place).expect("the place exists") = value;
                check(&other);
            }
        }
    }
}

#[test]
fn several_places_at_once_take_any_value() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_129);
    println!("SEED={seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let values = absurd();
    for request in requests() {
        let mut found = Vec::new();
        places(&request, "", &mut found);
        for _ in 0..150 {
            let mut other = request.clone();
            for _ in 0..random.random_range(2..5) {
                let place = &found[random.random_range(0..found.len())];
                if let Some(target) = other.pointer_mut(place) {
                    *target = values[random.random_range(0..17)].clone();
                }
            }
            check(&other);
        }
    }
}
