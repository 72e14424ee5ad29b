//! Writing results: undefined is null with a status, infinite is a word.

use serde_json::{Value, json};

use crate::methods::{Interval, MethodError};

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
