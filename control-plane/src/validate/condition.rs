//! Conditions: depth, and values that their operator can read.

use crate::error::Problems;
use eval_core::MAX_CONDITION_DEPTH;
use eval_core::source::{Condition, Literal};
use eval_core::targeting::{Operator, compile_pattern, is_network};
use eval_core::time::parse_rfc3339;

/// Most comparisons in one condition.
pub(crate) const MAX_COMPARISONS: usize = 10_000;

/// Reports everything in a condition that evaluation could not read.
pub(crate) fn check(condition: &Condition, pointer: &str, problems: &mut Problems) {
    if count(condition) > MAX_COMPARISONS {
        let detail = format!("may hold at most {MAX_COMPARISONS} comparisons");
        problems.push(pointer, "too_many_items", detail);
        return;
    }
    visit(condition, pointer, 0, problems);
}

fn count(condition: &Condition) -> usize {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().map(count).sum::<usize>() + 1,
        Condition::Not(part) => count(part) + 1,
        Condition::Compare { .. } | Condition::Segment(_) => 1,
    }
}

fn visit(condition: &Condition, pointer: &str, level: usize, problems: &mut Problems) {
    if level >= MAX_CONDITION_DEPTH {
        problems.push(
            pointer,
            "too_deep",
            format!("may be nested at most {MAX_CONDITION_DEPTH} deep"),
        );
        return;
    }
    let parts = |word: &str, parts: &[Condition], problems: &mut Problems| {
        for (index, part) in parts.iter().enumerate() {
            visit(part, &format!("{pointer}/{word}/{index}"), level + 1, problems);
        }
    };
    match condition {
        Condition::All(all) => parts("all", all, problems),
        Condition::Any(any) => parts("any", any, problems),
        Condition::Not(part) => visit(part, &format!("{pointer}/not"), level + 1, problems),
        Condition::Segment(_) => {}
        Condition::Compare { op, values, .. } => match Operator::parse(op) {
            Some(op) => check_values(op, values, pointer, problems),
            None => problems.push(
                format!("{pointer}/op"),
                "not_allowed",
                format!("there is no operator `{op}`"),
            ),
        },
    }
}

fn check_values(op: Operator, values: &[Literal], pointer: &str, problems: &mut Problems) {
    use Operator as Op;
    let word = op.as_str();
    let at = format!("{pointer}/values");
    let one_alone = matches!(
        op,
        Op::Lt
            | Op::Lte
            | Op::Gt
            | Op::Gte
            | Op::Before
            | Op::After
            | Op::SemverEq
            | Op::SemverLt
            | Op::SemverLte
            | Op::SemverGt
            | Op::SemverGte
    );
    match (op, values.len()) {
        (Op::Exists, 0) => return,
        (Op::Exists, _) => return problems.push(at, "too_many_items", "`exists` takes no values"),
        (_, 0) => return problems.push(at, "required", format!("`{word}` needs a value")),
        (_, n) if one_alone && n > 1 => {
            return problems.push(at, "too_many_items", format!("`{word}` takes one value"));
        }
        _ => {}
    }
    for (index, value) in values.iter().enumerate() {
        if let Err(rule) = check_value(op, value) {
            problems.push(format!("{at}/{index}"), "wrong_type", format!("`{word}` takes {rule}"));
        }
    }
}

fn check_value(op: Operator, value: &Literal) -> Result<(), String> {
    use Operator as Op;
    let fits = match (op, value) {
        (
            Op::Eq | Op::Neq | Op::In | Op::NotIn | Op::ContainsAny | Op::ContainsAll | Op::Exists,
            _,
        )
        | (Op::Lt | Op::Lte | Op::Gt | Op::Gte, Literal::Number(_))
        | (Op::Contains | Op::StartsWith | Op::EndsWith, Literal::String(_)) => true,
        (Op::Before | Op::After, Literal::Number(ms)) => ms.abs() < 9e15,
        (Op::Before | Op::After, Literal::String(text)) => parse_rfc3339(text).is_some(),
        (
            Op::SemverEq | Op::SemverLt | Op::SemverLte | Op::SemverGt | Op::SemverGte,
            Literal::String(text),
        ) => semver::Version::parse(text).is_ok(),
        (Op::Matches, Literal::String(pattern)) => {
            compile_pattern(pattern).map_err(|error| format!("a regular expression: {error}"))?;
            true
        }
        (Op::IpIn, Literal::String(text)) => is_network(text),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    Err(match op {
        Op::Before | Op::After => "an RFC 3339 time or epoch milliseconds",
        Op::Lt | Op::Lte | Op::Gt | Op::Gte => "a number",
        Op::IpIn => "IP networks such as 10.0.0.0/8",
        Op::Contains | Op::StartsWith | Op::EndsWith | Op::Matches => "strings",
        _ => "a version such as 1.2.3",
    }
    .to_owned())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::error::Problems;
    use serde_json::{Value, json};

    fn codes(condition: Value) -> Vec<(String, String)> {
        let mut problems = Problems::default();
        check(&serde_json::from_value(condition).unwrap(), "/targeting", &mut problems);
        problems.iter().map(|p| (p.pointer.clone(), p.code.clone())).collect()
    }

    #[test]
    fn values_are_what_their_operator_reads() {
        let cases = [
            ("eq", json!([true]), true),
            ("in", json!(["US", 1]), true),
            ("lt", json!([3]), true),
            ("lt", json!(["3"]), false),
            ("lt", json!([1, 2]), false),
            ("eq", json!([]), false),
            ("exists", json!([]), true),
            ("exists", json!([1]), false),
            ("before", json!(["2026-01-01T00:00:00Z"]), true),
            ("before", json!(["yesterday"]), false),
            ("semver_gte", json!(["1.2.3-rc.1"]), true),
            ("semver_gte", json!(["1.2"]), false),
            ("matches", json!(["^a+$"]), true),
            ("matches", json!(["("]), false),
            ("ip_in", json!(["10.0.0.0/8", "::1"]), true),
            ("ip_in", json!(["10.0.0.0/33"]), false),
            ("contains", json!([1]), false),
        ];
        for (op, values, sound) in cases {
            let found = codes(json!({ "attribute": "a", "op": op, "values": values }));
            assert_eq!(found.is_empty(), sound, "{op} {values}: {found:?}");
        }
    }

    #[test]
    fn problems_point_into_the_tree() {
        let found = codes(json!({ "all": [
            { "segment": "x" },
            { "not": { "any": [{ "attribute": "v", "op": "lt", "values": [1, "2"] }] } },
            { "not": { "any": [{ "attribute": "v", "op": "lt", "values": ["2"] }] } }
        ] }));
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(
            pointers,
            ["/targeting/all/1/not/any/0/values", "/targeting/all/2/not/any/0/values/0"]
        );
    }

    #[test]
    fn what_is_nested_too_deep_is_refused() {
        let mut condition = json!({ "segment": "x" });
        for _ in 0..40 {
            condition = json!({ "not": condition });
        }
        assert_eq!(codes(condition)[0].1, "too_deep");
    }
}
