//! Reading the fields of a request, with errors that name the field and the rule.

use std::fmt::Display;

use serde_json::{Map, Value};

use crate::methods::{Alpha, Alternative};
use crate::stats::{Moments, Successes};

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: must be {rule}")]
pub(super) struct RequestError {
    field: String,
    rule: String,
}

impl RequestError {
    pub(super) fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}

/// An object of a request, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Request<'r> {
    fields: &'r Map<String, Value>,
    path: String,
}

impl<'r> Request<'r> {
    pub(super) fn new(request: &'r Value) -> Result<Self, RequestError> {
        let fields =
            request.as_object().ok_or_else(|| RequestError::new("request", "a JSON object"))?;
        Ok(Self { fields, path: String::new() })
    }

    /// An error about a field of this object.
    pub(super) fn refuse(&self, field: &str, rule: impl Display) -> RequestError {
        RequestError::new(format!("{}{field}", self.path), rule.to_string())
    }

    /// A field that is there and not null.
    pub(super) fn get(&self, field: &str) -> Option<&'r Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn object(&self, field: &str) -> Result<Request<'r>, RequestError> {
        let fields = self
            .get(field)
            .and_then(Value::as_object)
            .ok_or_else(|| self.refuse(field, "an object"))?;
        Ok(Request { fields, path: format!("{}{field}.", self.path) })
    }

    /// A list of objects; errors name their place.
    pub(super) fn objects(&self, field: &str) -> Result<Vec<Request<'r>>, RequestError> {
        let rule = "a list of objects";
        let items = self.get(field).and_then(Value::as_array);
        let items = items.ok_or_else(|| self.refuse(field, rule))?;
        let read = |(i, item): (usize, &'r Value)| {
            let fields = item.as_object().ok_or_else(|| self.refuse(field, rule))?;
            Ok(Request { fields, path: format!("{}{field}[{i}].", self.path) })
        };
        items.iter().enumerate().map(read).collect()
    }

    pub(super) fn text(&self, field: &str) -> Result<&'r str, RequestError> {
        self.get(field).and_then(Value::as_str).ok_or_else(|| self.refuse(field, "a string"))
    }

    /// A string out of a closed set; the first is the default.
    pub(super) fn choice(
        &self,
        field: &str,
        choices: &[&'static str],
    ) -> Result<&'static str, RequestError> {
        let Some(value) = self.get(field) else { return Ok(choices[0]) };
        choices
            .iter()
            .find(|choice| value.as_str() == Some(**choice))
            .copied()
            .ok_or_else(|| self.refuse(field, format!("one of {}", choices.join(", "))))
    }

    pub(super) fn flag(&self, field: &str) -> Result<bool, RequestError> {
        let Some(value) = self.get(field) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.refuse(field, "true or false"))
    }

    pub(super) fn number(&self, field: &str) -> Result<f64, RequestError> {
        self.optional_number(field)?.ok_or_else(|| self.refuse(field, "a number"))
    }

    pub(super) fn optional_number(&self, field: &str) -> Result<Option<f64>, RequestError> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let number = value.as_f64().filter(|number| number.is_finite());
        number.map(Some).ok_or_else(|| self.refuse(field, "a finite number"))
    }

    /// A number that satisfies a rule.
    pub(super) fn number_where(
        &self,
        field: &str,
        rule: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64, RequestError> {
        let number = self.number(field)?;
        if holds(number) { Ok(number) } else { Err(self.refuse(field, rule)) }
    }

    /// As [`Self::number_where`], with a default.
    pub(super) fn number_or(
        &self,
        field: &str,
        default: f64,
        rule: &str,
        holds: impl Fn(f64) -> bool,
    ) -> Result<f64, RequestError> {
        if self.get(field).is_none() {
            return Ok(default);
        }
        self.number_where(field, rule, holds)
    }

    pub(super) fn count(&self, field: &str) -> Result<u64, RequestError> {
        self.get(field)
            .and_then(whole)
            .ok_or_else(|| self.refuse(field, "a whole number between 0 and 2^53"))
    }

    pub(super) fn counts(&self, field: &str) -> Result<Vec<u64>, RequestError> {
        self.list(field, "a list of whole numbers between 0 and 2^53", whole)
    }

    pub(super) fn numbers(&self, field: &str) -> Result<Vec<f64>, RequestError> {
        let finite = |value: &Value| value.as_f64().filter(|number| number.is_finite());
        self.list(field, "a list of finite numbers", finite)
    }

    pub(super) fn list<T>(
        &self,
        field: &str,
        rule: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>, RequestError> {
        let items = self.get(field).and_then(Value::as_array);
        items
            .and_then(|items| items.iter().map(read).collect())
            .ok_or_else(|| self.refuse(field, rule))
    }

    pub(super) fn alpha(&self) -> Result<Alpha, RequestError> {
        let alpha = self.number_or("alpha", 0.05, "a number between 0 and 1", |_| true)?;
        Alpha::try_new(alpha).ok_or_else(|| self.refuse("alpha", "strictly between 0 and 1"))
    }

    pub(super) fn alternative(&self) -> Result<Alternative, RequestError> {
        Ok(match self.choice("alternative", &["two-sided", "greater", "less"])? {
            "greater" => Alternative::Greater,
            "less" => Alternative::Less,
            _ => Alternative::TwoSided,
        })
    }

    /// An arm given as `n`, `mean`, `variance`; a single unit needs no variance.
    pub(super) fn summary(&self, arm: &str) -> Result<Moments, RequestError> {
        self.object(arm)?.moments("mean", "variance")
    }

    pub(super) fn moments(&self, mean: &str, variance: &str) -> Result<Moments, RequestError> {
        let n = self.count("n")?;
        if n == 0 {
            return Err(self.refuse("n", "at least 1"));
        }
        let mean = self.number(mean)?;
        let rule = "a number of at least 0";
        let spread = if n == 1 {
            self.number_or(variance, 0.0, rule, |v| v >= 0.0)?
        } else {
            self.number_where(variance, rule, |v| v >= 0.0)?
        };
        Moments::from_summary(n, mean, spread)
            .ok_or_else(|| self.refuse(variance, "such that its sum of squares is finite"))
    }

    /// An arm given as `values`.
    pub(super) fn values(&self, arm: &str) -> Result<Moments, RequestError> {
        let arm = self.object(arm)?;
        let values = arm.numbers("values")?;
        if values.is_empty() {
            return Err(arm.refuse("values", "a list with at least one number"));
        }
        Ok(Moments::of(&values))
    }

    /// An arm given as `n` and `successes`.
    pub(super) fn successes(&self, arm: &str) -> Result<Successes, RequestError> {
        self.object(arm)?.own_successes()
    }

    /// As [`Self::successes`]; an arm may be without units.
    pub(super) fn share(&self, arm: &str) -> Result<Successes, RequestError> {
        let arm = self.object(arm)?;
        Successes::try_new(arm.count("n")?, arm.count("successes")?)
            .ok_or_else(|| arm.refuse("successes", "at most n"))
    }

    /// An arm given as `n` and `mean`; it may be without units.
    pub(super) fn size(&self, arm: &str) -> Result<Moments, RequestError> {
        let arm = self.object(arm)?;
        let n = arm.count("n")?;
        if n == 0 {
            return Ok(Moments::EMPTY);
        }
        let mean = arm.number("mean")?;
        Moments::from_summary(n, mean, 0.0).ok_or_else(|| arm.refuse("mean", "finite"))
    }

    pub(super) fn own_successes(&self) -> Result<Successes, RequestError> {
        let n = self.count("n")?;
        if n == 0 {
            return Err(self.refuse("n", "at least 1"));
        }
        Successes::try_new(n, self.count("successes")?)
            .ok_or_else(|| self.refuse("successes", "at most n"))
    }
}

/// A whole number of at most 2^53, also when it is written with a decimal point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the number is whole, not negative and at most 2^53"
)]
pub(super) fn whole(value: &Value) -> Option<u64> {
    const MOST: u64 = 1 << 53;
    value.as_u64().filter(|count| *count <= MOST).or_else(|| {
        let number = value.as_f64()?;
        let exact = (0.0..=MOST as f64).contains(&number) && number.fract() == 0.0;
        exact.then_some(number as u64)
    })
}
