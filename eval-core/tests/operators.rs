//! Every operator, as a table through one function.

#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "test code: a wrong assumption should stop the test"
)]

mod support;

use eval_core::source::{Condition, Literal};
use eval_core::{AttributeValue, Context, Request, compile};
use support::*;

#[track_caller]
fn matches(op: &str, attribute: Option<AttributeValue<'_>>, values: &[Literal], expected: bool) {
    let mut source = config();
    let mut e = experiment("e");
    e.targeting = Some(compare("a", op, values.to_vec()));
    source.experiments.push(e);
    let config = compile(&source).unwrap();
    let mut context = Context::new().unit("user_id", "u");
    if let Some(value) = attribute.clone() {
        context = context.attribute("a", value);
    }
    let decision = Request::new(&config, &context, None, 0).evaluate("e");
    assert_eq!(decision.enrolled(), expected, "{attribute:?} {op} {values:?}");
}

fn s(value: &str) -> Option<AttributeValue<'_>> {
    Some(value.into())
}

fn n(value: f64) -> Option<AttributeValue<'static>> {
    Some(value.into())
}

fn list(values: &[&'static str]) -> Option<AttributeValue<'static>> {
    Some(values.to_vec().into())
}

#[test]
fn equality_never_coerces() {
    let us = [text("US"), text("CA")];
    for (op, hit) in [("in", true), ("eq", true), ("not_in", false), ("neq", false)] {
        matches(op, s("US"), &us, hit);
        matches(op, s("DE"), &us, !hit);
        matches(op, s("us"), &us, !hit);
        // Neither missing attributes nor other types match, whatever the operator.
        matches(op, None, &us, false);
        matches(op, n(1.0), &us, false);
        matches(op, s("1"), &[Literal::Number(1.0)], false);
        matches(op, Some(true.into()), &[text("true")], false);
        matches(op, list(&["US"]), &us, false);
        matches(op, Some(AttributeValue::Opaque), &us, false);
        matches(op, n(2.0), &[Literal::Number(2.0), text("x")], hit);
        matches(op, Some(true.into()), &[Literal::Bool(true)], hit);
        matches(op, n(0.0), &[Literal::Number(-0.0)], hit);
    }
    let many: Vec<Literal> =
        (0..100).map(|i| text(&format!("v{i}"))).chain([Literal::Number(5.0)]).collect();
    matches("in", s("v57"), &many, true);
    matches("in", s("v100"), &many, false);
    matches("in", n(5.0), &many, true);
    matches("not_in", s("v100"), &many, true);
    let numbers: Vec<Literal> = (0..40).map(|i| Literal::Number(f64::from(i))).collect();
    matches("not_in", s("v1"), &numbers, false);
}

#[test]
fn numbers_compare() {
    let five = [Literal::Number(5.0)];
    for (op, below, same, above) in [
        ("lt", true, false, false),
        ("lte", true, true, false),
        ("gt", false, false, true),
        ("gte", false, true, true),
    ] {
        matches(op, n(4.9), &five, below);
        matches(op, n(5.0), &five, same);
        matches(op, n(5.1), &five, above);
        matches(op, s("5"), &five, false);
        matches(op, None, &five, false);
    }
}

#[test]
fn times_compare_as_text_or_milliseconds() {
    let noon = [text("2026-11-20T12:00:00Z")];
    matches("before", s("2026-11-20T11:59:59.999Z"), &noon, true);
    matches("before", s("2026-11-20T12:30:00+01:00"), &noon, true);
    matches("before", s("2026-11-20T12:00:00Z"), &noon, false);
    matches("after", s("2026-11-20T12:00:00.001Z"), &noon, true);
    matches("after", n(1_795_176_000_001.0), &noon, true);
    matches("after", n(1_795_176_000_000.0), &noon, false);
    matches("after", s("yesterday"), &noon, false);
    matches("before", n(5.0), &[Literal::Number(6.0)], true);
}

#[test]
fn versions_compare_by_semver_precedence() {
    let v = [text("2.10.0-beta.2")];
    matches("semver_lt", s("2.9.9"), &v, true);
    matches("semver_lt", s("2.10.0-beta.1"), &v, true);
    matches("semver_lt", s("2.10.0-beta.11"), &v, false);
    matches("semver_gt", s("2.10.0"), &v, true);
    matches("semver_eq", s("2.10.0-beta.2+build.7"), &v, true);
    matches("semver_lte", s("2.10.0-beta.2"), &v, true);
    matches("semver_gte", s("2.10.0-beta.2"), &v, true);
    matches("semver_gte", s("2.10"), &v, false);
    matches("semver_gte", n(3.0), &v, false);
}

#[test]
fn texts_and_patterns() {
    matches("contains", s("checkout"), &[text("zz"), text("eck")], true);
    matches("contains", s("checkout"), &[text("zz")], false);
    matches("contains", list(&["eck"]), &[text("eck")], false);
    matches("starts_with", s("checkout"), &[text("check")], true);
    matches("starts_with", s("checkout"), &[text("out")], false);
    matches("ends_with", s("checkout"), &[text("out")], true);
    matches("matches", s("user@example.com"), &[text("^[^@]+@example\\.(com|org)$")], true);
    matches("matches", s("user@example.net"), &[text("^[^@]+@example\\.(com|org)$")], false);
    matches("matches", n(1.0), &[text("1")], false);
    // A pattern that backtracking engines choke on.
    let hostile = "a".repeat(4000);
    matches("matches", s(&hostile), &[text("^(a+)+b$")], false);
}

#[test]
fn presence_lists_and_networks() {
    matches("exists", s(""), &[], true);
    matches("exists", None, &[], false);
    matches("exists", Some(AttributeValue::Opaque), &[], false);
    matches("contains_any", list(&["a", "b"]), &[text("b"), text("c")], true);
    matches("contains_any", list(&["a"]), &[text("b")], false);
    matches("contains_any", s("b"), &[text("b")], false);
    matches("contains_all", list(&["a", "b", "c"]), &[text("b"), text("a")], true);
    matches("contains_all", list(&["a"]), &[text("b"), text("a")], false);
    matches("ip_in", s("10.1.2.3"), &[text("10.0.0.0/8")], true);
    matches("ip_in", s("11.1.2.3"), &[text("10.0.0.0/8")], false);
    matches("ip_in", s("::ffff:10.1.2.3"), &[text("10.0.0.0/8")], true);
    matches("ip_in", s("2001:db8::1"), &[text("192.0.2.7"), text("2001:db8::/32")], true);
    matches("ip_in", s("192.0.2.7"), &[text("192.0.2.7")], true);
    matches("ip_in", s("1.2.3.4"), &[text("0.0.0.0/0")], true);
    matches("ip_in", s("not an address"), &[text("0.0.0.0/0")], false);
}

#[test]
fn trees_combine() {
    let yes = || compare("a", "exists", vec![]);
    let no = || compare("missing", "exists", vec![]);
    for (condition, expected) in [
        (Condition::All(vec![]), true),
        (Condition::Any(vec![]), false),
        (Condition::All(vec![yes(), no()]), false),
        (Condition::Any(vec![no(), yes()]), true),
        (Condition::Not(Box::new(no())), true),
        (Condition::Not(Box::new(Condition::All(vec![yes(), yes()]))), false),
    ] {
        let mut source = config();
        let mut e = experiment("e");
        e.targeting = Some(condition.clone());
        source.experiments.push(e);
        let config = compile(&source).unwrap();
        let context = Context::new().unit("user_id", "u").attribute("a", 1.0);
        assert_eq!(
            Request::new(&config, &context, None, 0).evaluate("e").enrolled(),
            expected,
            "{condition:?}"
        );
    }
}

#[test]
fn values_of_the_wrong_type_are_refused_when_compiling() {
    for (op, values) in [
        ("lt", vec![text("5")]),
        ("lt", vec![]),
        ("lt", vec![Literal::Number(1.0), Literal::Number(2.0)]),
        ("gt", vec![Literal::Number(f64::NAN)]),
        ("before", vec![text("tomorrow")]),
        ("semver_eq", vec![text("1.2")]),
        ("matches", vec![text("(")]),
        ("matches", vec![text(&"a".repeat(513))]),
        ("ip_in", vec![text("10.0.0.0/33")]),
        ("contains", vec![Literal::Bool(true)]),
        ("exists", vec![text("x")]),
        ("in", vec![]),
    ] {
        let mut source = config();
        let mut e = experiment("e");
        e.targeting = Some(compare("country", op, values.clone()));
        source.experiments.push(e);
        let error = compile(&source).unwrap_err().to_string();
        assert!(
            error.contains("experiment `e`") && error.contains("country"),
            "{op} {values:?}: {error}"
        );
    }
}

#[test]
fn an_unknown_operator_is_false_and_reported() {
    let mut source = config();
    let mut e = experiment("e");
    e.targeting = Some(compare("a", "sounds_like", vec![text("x")]));
    source.experiments.push(e);
    source.experiments.push(experiment("other"));
    let config = compile(&source).unwrap();
    assert_eq!(config.faults().len(), 1);
    let context = Context::new().unit("user_id", "u").attribute("a", "x");
    let mut request = Request::new(&config, &context, None, 0);
    assert_eq!(request.evaluate("e").reason().as_str(), "targeting");
    assert!(request.evaluate("other").enrolled());
}
