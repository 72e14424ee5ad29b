//! Writing results: undefined is null with a status, infinite is a word.

use serde_json::{Value, json};

use crate::methods::contrast::Contrast;
use crate::methods::{Estimate, Interval, MethodError};

/// A number; null when it is none, a word when it is infinite.
pub(super) fn number(value: f64) -> Value {
    if value.is_nan() {
        Value::Null
    } else if value.is_infinite() {
        json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        json!(value)
    }
}

pub(super) fn optional(value: Option<f64>) -> Value {
    value.map_or(Value::Null, number)
}

pub(super) fn interval(value: Interval) -> Value {
    json!([number(value.lo), number(value.hi)])
}

/// The word for why something is undefined.
pub(super) fn status(error: MethodError) -> Value {
    json!(error.code())
}

/// An estimate with its t-test.
pub(super) fn estimate(estimate: &Estimate) -> Value {
    json!({
        "effect": number(estimate.effect), "se": number(estimate.se), "df": number(estimate.df),
        "statistic": number(estimate.statistic), "p_value": number(estimate.p_value),
        "ci": interval(estimate.ci),
    })
}

/// A difference with its normal test.
pub(super) fn contrast(contrast: &Contrast) -> Value {
    json!({
        "effect": number(contrast.effect), "se": number(contrast.se),
        "statistic": number(contrast.statistic), "p_value": number(contrast.p_value),
        "ci": interval(contrast.ci),
    })
}

/// Fields that have no value, and why.
pub(super) fn undefined(fields: &[&str], error: MethodError) -> Value {
    let mut result: Value = fields.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
    result["status"] = status(error);
    result
}

/// The fields of an estimate, or of a contrast but for df.
pub(super) const ESTIMATE: &[&str] = &["effect", "se", "df", "statistic", "p_value", "ci"];
