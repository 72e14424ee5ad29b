//! Checks JSON against the published schemas, so that what is documented and what is accepted cannot differ.
//!
//! Understands the part of JSON Schema that the schemas of this crate use. Every problem is reported, not
//! the first alone; unknown members are reported and taken out, so that the rest can still be read.

use crate::error::Problems;
use regex_lite::Regex;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

static PATTERNS: LazyLock<Mutex<HashMap<String, Regex>>> = LazyLock::new(Mutex::default);

/// Checks values against schemas that refer to each other as `#/components/schemas/{name}`.
#[derive(Clone, Copy)]
pub(crate) struct Checker<'s> {
    components: &'s Map<String, Value>,
}

impl<'s> Checker<'s> {
    /// A checker over named schemas.
    pub(crate) fn new(components: &'s Map<String, Value>) -> Self {
        Self { components }
    }

    /// Reports everything in which `value` differs from the schema of that name, and removes unknown members.
    pub(crate) fn check(self, name: &str, value: &mut Value) -> Problems {
        let mut problems = Problems::default();
        match self.components.get(name) {
            Some(schema) => self.visit(schema, value, &mut String::new(), &mut problems),
            None => problems.push("", "unknown_schema", format!("there is no schema `{name}`")),
        }
        problems
    }

    fn resolve(self, schema: &'s Value) -> &'s Value {
        let mut schema = schema;
        while let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.trim_start_matches("#/components/schemas/");
            match self.components.get(name) {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    fn visit(self, schema: &'s Value, value: &mut Value, at: &mut String, problems: &mut Problems) {
        let schema = self.resolve(schema);
        for word in ["oneOf", "anyOf"] {
            if schema.get(word).is_some() {
                return self.visit_choice(schema, value, at, problems);
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.visit(part, value, at, problems);
        }
        if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
            && !allowed.contains(value)
        {
            let words: Vec<String> = allowed.iter().map(Value::to_string).collect();
            problems.push(
                at.as_str(),
                "not_allowed",
                format!("must be one of {}", words.join(", ")),
            );
            return;
        }
        if !has_type(schema, value) {
            problems.push(at.as_str(), "wrong_type", format!("must be {}", type_words(schema)));
            return;
        }
        match value {
            Value::String(text) => check_string(schema, text, at, problems),
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    check_number(schema, number, at, problems);
                }
            }
            Value::Array(items) => self.visit_items(schema, items, at, problems),
            Value::Object(members) => self.visit_members(schema, members, at, problems),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn visit_items(
        self,
        schema: &'s Value,
        items: &mut [Value],
        at: &mut String,
        problems: &mut Problems,
    ) {
        if let Some(max) = limit(schema, "maxItems")
            && items.len() > max
        {
            problems.push(at.as_str(), "too_many_items", format!("may have at most {max} items"));
            return;
        }
        if let Some(min) = limit(schema, "minItems")
            && items.len() < min
        {
            problems.push(at.as_str(), "too_few_items", format!("must have at least {min} items"));
        }
        if let Some(of) = schema.get("items") {
            for (index, item) in items.iter_mut().enumerate() {
                within(at, &index.to_string(), |at| self.visit(of, item, at, problems));
            }
        }
    }

    fn visit_members(
        self,
        schema: &'s Value,
        members: &mut Map<String, Value>,
        at: &mut String,
        problems: &mut Problems,
    ) {
        if let Some(max) = limit(schema, "maxProperties")
            && members.len() > max
        {
            problems.push(at.as_str(), "too_many_items", format!("may have at most {max} members"));
            return;
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = name.as_str()
                && !members.contains_key(name)
            {
                within(at, name, |at| problems.push(at.as_str(), "required", "is missing"));
            }
        }
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        members.retain(|name, member| {
            within(at, name, |at| {
                if name.contains('\0') {
                    problems.push(at.as_str(), "invalid_character", "names hold no NUL character");
                }
                if let Some(property) = properties.and_then(|properties| properties.get(name)) {
                    self.visit(property, member, at, problems);
                    return true;
                }
                match others {
                    Some(Value::Bool(false)) => {
                        let known = properties
                            .map(|known| known.keys().map(String::as_str).collect::<Vec<_>>())
                            .unwrap_or_default();
                        let detail = format!("is not known here; known are {}", known.join(", "));
                        problems.push(at.as_str(), "unknown_field", detail);
                        false
                    }
                    Some(schema @ Value::Object(_)) => {
                        self.visit(schema, member, at, problems);
                        true
                    }
                    _ => true,
                }
            })
        });
    }

    /// Of several forms, the one is meant that has the value's type and, for an object, most of its members.
    fn visit_choice(
        self,
        schema: &'s Value,
        value: &mut Value,
        at: &mut String,
        problems: &mut Problems,
    ) {
        let mut forms = Vec::new();
        self.collect_forms(schema, &mut forms);
        let score =
            |form: &Value| match (&*value, form.get("properties").and_then(Value::as_object)) {
                (Value::Object(members), Some(properties)) => {
                    members.keys().filter(|name| properties.contains_key(*name)).count()
                }
                _ => 0,
            };
        let empty = value.as_object().is_some_and(Map::is_empty);
        let typed = forms.iter().copied().filter(|form| has_type(form, value));
        let Some(form) = typed.clone().rev().max_by_key(|form| score(form)) else {
            let mut words: Vec<String> = forms.iter().map(|form| type_words(form)).collect();
            words.dedup();
            problems.push(at.as_str(), "wrong_type", format!("must be {}", words.join(" or ")));
            return;
        };
        let candidates: Vec<&Value> = typed.collect();
        if value.is_object() && candidates.len() > 1 && score(form) == 0 {
            let accepts_empty = candidates.iter().find(|form| form.get("required").is_none());
            match accepts_empty {
                Some(_) if empty => {}
                _ => {
                    let words: Vec<String> =
                        candidates.iter().map(|form| members_of(form)).collect();
                    let detail =
                        format!("must have the members of one form: {}", words.join(" or "));
                    problems.push(at.as_str(), "no_form_fits", detail);
                }
            }
            return;
        }
        self.visit(form, value, at, problems);
    }

    fn collect_forms(self, schema: &'s Value, forms: &mut Vec<&'s Value>) {
        let schema = self.resolve(schema);
        let choices = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
        match choices {
            Some(choices) => {
                for choice in choices {
                    self.collect_forms(choice, forms);
                }
            }
            None => forms.push(schema),
        }
    }
}

fn within<R>(at: &mut String, name: &str, visit: impl FnOnce(&mut String) -> R) -> R {
    let length = at.len();
    at.push('/');
    at.push_str(&name.replace('~', "~0").replace('/', "~1"));
    let answer = visit(at);
    at.truncate(length);
    answer
}

fn limit(schema: &Value, word: &str) -> Option<usize> {
    schema.get(word).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok())
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn has_type(schema: &Value, value: &Value) -> bool {
    let types = types(schema);
    types.is_empty()
        || types.iter().any(|word| match *word {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        })
}

fn type_words(schema: &Value) -> String {
    let words: Vec<&str> = types(schema)
        .into_iter()
        .map(|word| match word {
            "boolean" => "true or false",
            "string" => "a string",
            "number" => "a number",
            "integer" => "an integer",
            "array" => "an array",
            "object" => "an object",
            other => other,
        })
        .collect();
    words.join(" or ")
}

fn members_of(form: &Value) -> String {
    let names = form.get("properties").and_then(Value::as_object);
    let names: Vec<&str> =
        names.map(|names| names.keys().map(String::as_str).collect()).unwrap_or_default();
    format!("{{{}}}", names.join(", "))
}

fn check_string(schema: &Value, text: &str, at: &str, problems: &mut Problems) {
    // Cheap before exact: a string has at most as many characters as bytes.
    if let Some(max) = limit(schema, "maxLength")
        && text.len() > max
        && text.chars().count() > max
    {
        problems.push(at, "too_long", format!("may have at most {max} characters"));
        return;
    }
    if let Some(min) = limit(schema, "minLength")
        && text.chars().count() < min
    {
        problems.push(at, "too_short", format!("must have at least {min} characters"));
        return;
    }
    if text.contains('\0') {
        problems.push(at, "invalid_character", "must not hold a NUL character");
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !fits(pattern, text)
    {
        let rule = schema.get("description").and_then(Value::as_str).unwrap_or(pattern);
        problems.push(at, "pattern", format!("must match {pattern} ({rule})"));
    }
    let well_formed = match schema.get("format").and_then(Value::as_str) {
        Some("date-time") => text.parse::<jiff::Timestamp>().is_ok(),
        Some("duration") => crate::definition::IsoDuration::parse(text).is_some(),
        _ => true,
    };
    if !well_formed {
        let rule = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        problems.push(at, "format", format!("is not well formed: {rule}"));
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    let mut patterns = PATTERNS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !patterns.contains_key(pattern) {
        let Ok(regex) = Regex::new(pattern) else { return true };
        patterns.insert(pattern.to_owned(), regex);
    }
    patterns[pattern].is_match(text)
}

fn check_number(schema: &Value, number: f64, at: &str, problems: &mut Problems) {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let mut refuse = |rule: String| problems.push(at, "out_of_range", rule);
    if let Some(min) = bound("minimum").filter(|min| number < *min) {
        refuse(format!("must be at least {min}"));
    }
    if let Some(max) = bound("maximum").filter(|max| number > *max) {
        refuse(format!("must be at most {max}"));
    }
    if let Some(min) = bound("exclusiveMinimum").filter(|min| number <= *min) {
        refuse(format!("must be above {min}"));
    }
    if let Some(max) = bound("exclusiveMaximum").filter(|max| number >= *max) {
        refuse(format!("must be below {max}"));
    }
    if let Some(step) = bound("multipleOf") {
        let steps = number / step;
        if (steps - steps.round()).abs() > 1e-6 {
            problems.push(at, "multiple_of", format!("must be a multiple of {step}"));
        }
    }
}
