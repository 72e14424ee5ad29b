//! What an explanation says would change the outcome, does change it.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "test code: a wrong assumption should stop the test"
)]

mod support;

use eval_core::source::*;
use eval_core::{AttributeValue, Change, Context, Need, Reason, Request, Value, compile};
use serde_json::json;
use support::random::{Rng, context, source};
use support::*;

fn changes(source: &ConfigSource, context: &Context<'_>, key: &str, now_ms: i64) -> Vec<Change> {
    let config = compile(source).unwrap();
    Request::new(&config, context, Some(&LIST_KEY), now_ms).changes(key)
}

#[test]
fn a_failing_condition_names_the_values_that_would_satisfy_it() {
    let mut source = config();
    source.segments.push(SegmentSource {
        key: "returning".into(),
        unit_type: "user_id".into(),
        condition: Some(compare("visits", "gte", vec![Literal::Number(2.0)])),
        include: vec!["u-vip".into()],
        exclude: vec![],
    });
    source.experiments.push(ExperimentSource {
        targeting: Some(Condition::All(vec![
            compare("country", "in", vec![text("US"), text("CA")]),
            Condition::Segment("returning".into()),
            Condition::Not(Box::new(compare("plan", "eq", vec![text("free")]))),
            compare("platform", "eq", vec![text("web")]),
        ])),
        ..experiment("e")
    });
    let context = Context::new()
        .unit("user_id", "u-1")
        .attribute("country", "DE")
        .attribute("plan", "free")
        .attribute("platform", "web");
    let found = serde_json::to_value(changes(&source, &context, "e", 0)).unwrap();
    let needs = found[0]["needs"]["all"].as_array().unwrap();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["change"]), (1, &json!("targeting")));
    assert_eq!(needs.len(), 3, "what holds already is not named: {needs:#?}");
    let expected = [
        json!({"attribute": "country", "op": "in", "values": ["CA", "US"], "n_values": 2, "matches": true, "given": "DE"}),
        json!({"any": [
            {"attribute": "visits", "op": "gte", "values": [2.0], "n_values": 1, "matches": true, "given": null},
            {"segment": "returning", "list": "include", "listed": true}]}),
        json!({"attribute": "plan", "op": "eq", "values": ["free"], "n_values": 1, "matches": false, "given": "free"}),
    ];
    for need in expected {
        assert!(needs.contains(&need), "{need} in {needs:#?}");
    }
}

#[test]
fn every_closed_gate_is_named_with_what_opens_it() {
    let mut source = config();
    source.requires_consent = true;
    source.layers.push(layer("l"));
    source.holdouts.push(holdout("h", 10_000));
    source.flags.push(flag("gate"));
    for (key, lo, hi) in [("e", 0, 1), ("other", 1, 10_000)] {
        source.experiments.push(ExperimentSource {
            status: ExperimentStatus::Scheduled,
            starts_at: Some(5000),
            layer: Some("l".into()),
            ranges: vec![BucketRange { lo, hi }],
            holdouts: vec!["h".into()],
            prerequisites: vec![Prerequisite { flag: "gate".into(), variant: "on".into() }],
            frozen: true,
            ..experiment(key)
        });
    }
    let context = Context::new().unit("user_id", "u-1");
    let found = serde_json::to_value(changes(&source, &context, "e", 1000)).unwrap();
    let kinds: Vec<&str> =
        found.as_array().unwrap().iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["status", "consent", "holdout", "prerequisite", "frozen", "traffic"]);
    assert_eq!(
        (&found[0]["status"], &found[0]["opens_at_ms"]),
        (&json!("scheduled"), &json!(5000))
    );
    assert_eq!(found[2]["held_below"], 10_000);
    assert_eq!((&found[3]["required"], &found[3]["served"]), (&json!("on"), &json!("off")));
    assert_eq!(found[4]["variants"], json!(["control", "treatment"]));
    assert_eq!((&found[5]["ranges"], &found[5]["owner"]), (&json!([[0, 1]]), &json!("other")));
    let nobody = Context::new();
    let found = serde_json::to_value(changes(&source, &nobody, "e", 9000)).unwrap();
    assert_eq!(found[0], json!({"change": "unit", "unit_type": "user_id"}));
    assert!(changes(&source, &nobody, "nothing", 0).is_empty());
}

#[test]
fn an_enrolled_unit_learns_which_buckets_lead_elsewhere() {
    let mut source = config();
    source.experiments.push(ExperimentSource { sticky: true, ..experiment("e") });
    let context = Context::new().unit("user_id", "u-1");
    let found = serde_json::to_value(changes(&source, &context, "e", 0)).unwrap();
    assert_eq!(found[0]["change"], "split");
    assert_eq!(
        found[0]["variants"],
        json!([{"variant": "control", "ranges": [[0, 5000]]}, {"variant": "treatment", "ranges": [[5000, 10000]]}])
    );
    let dealt = Request::new(&compile(&source).unwrap(), &context, None, 0)
        .evaluate("e")
        .variant()
        .unwrap()
        .to_owned();
    let prior = if dealt == "control" { "treatment" } else { "control" };
    let found = serde_json::to_value(changes(&source, &context.prior("e", prior), "e", 0)).unwrap();
    assert_eq!(
        found,
        json!([{"change": "prior", "variant": prior, "without": dealt, "without_reason": "split"}])
    );
}

#[test]
fn a_flag_says_of_every_rule_before_the_serving_one_why_it_does_not_serve() {
    let mut source = config();
    source.experiments.push(ExperimentSource {
        targeting: Some(compare("country", "eq", vec![text("US")])),
        ..experiment("e")
    });
    let mut first = rule("first", 10_000, Serve::Variant("on".into()));
    first.condition = Some(compare("platform", "eq", vec![text("ios")]));
    let second = rule("second", 1, Serve::Variant("on".into()));
    let third = rule("third", 10_000, Serve::Experiment("e".into()));
    let mut fourth = rule("fourth", 10_000, Serve::Variant("off".into()));
    fourth.condition = Some(compare("platform", "eq", vec![text("web")]));
    source.flags.push(FlagSource { rules: vec![first, second, third, fourth], ..flag("f") });
    let context = Context::new().unit("user_id", "u-1").attribute("platform", "web");
    let found = serde_json::to_value(changes(&source, &context, "f", 0)).unwrap();
    let rules = found.as_array().unwrap();
    assert_eq!(rules.len(), 4, "{rules:#?}");
    assert_eq!(
        (&rules[0]["serves"], &rules[0]["needs"]["values"]),
        (&json!(false), &json!(["ios"]))
    );
    assert!(rules[1]["bucket"].as_u64().unwrap() >= 1 && rules[1]["included_below"] == 1);
    assert_eq!(rules[2]["experiment"][0]["change"], "targeting");
    assert_eq!((&rules[3]["serves"], &rules[3]["needs"]["matches"]), (&json!(true), &json!(false)));
}

/// Does what a need says, where it can be done by attributes.
fn satisfy(need: &Need, context: &mut Context<'static>) -> bool {
    match need {
        Need::All { all } => all.iter().all(|need| satisfy(need, context)),
        Need::Any { any } => {
            any.iter().any(|need| satisfy(need, &mut context.clone()) && satisfy(need, context))
        }
        Need::Attribute { attribute, op, values, matches, .. } => {
            let value: AttributeValue<'static> = match (*op, *matches, values.first()) {
                (_, false, _) => AttributeValue::Opaque,
                ("in" | "eq" | "starts_with", true, Some(Value::Text(text))) => text.clone().into(),
                ("not_in", true, _) | ("exists", true, None) => "Atlantis".into(),
                ("gte", true, Some(Value::Number(number))) => (*number).into(),
                ("lt", true, Some(Value::Number(number))) => (number - 1.0).into(),
                _ => return false,
            };
            context.attributes.retain(|(name, _)| name != attribute);
            context.attributes.push((attribute.clone().into(), value));
            true
        }
        _ => false,
    }
}

/// Whether each attribute and segment stands once at most in an experiment's audience.
fn looks_once(source: &ConfigSource, key: &str) -> bool {
    let experiments = source.experiments.iter().filter(|e| e.flag_key == key);
    let conditions = experiments.filter_map(|e| e.targeting.as_ref());
    let segments = source.segments.iter().filter_map(|segment| segment.condition.as_ref());
    let text = serde_json::to_string(&conditions.chain(segments).collect::<Vec<_>>()).unwrap();
    let attributes = ["country", "age", "page"].map(|name| format!(r#""attribute":"{name}""#));
    let segments = source.segments.iter().map(|segment| format!(r#""segment":"{}""#, segment.key));
    attributes.into_iter().chain(segments).all(|name| text.matches(&name).count() <= 1)
}

#[test]
fn doing_what_is_needed_opens_the_gate() {
    let seed = std::env::var("SORTITION_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| {
            use std::hash::{BuildHasher, Hasher};
            std::hash::RandomState::new().build_hasher().finish()
        });
    eprintln!("SORTITION_TEST_SEED={seed}");
    let mut rng = Rng(seed);
    let mut n_opened = 0;
    for _ in 0..300 {
        let source = source(&mut rng);
        let config = compile(&source).unwrap();
        for _ in 0..10 {
            let context = context(&mut rng);
            let now = rng.below(4000) as i64;
            for key in config.keys() {
                let mut request = Request::new(&config, &context, Some(&LIST_KEY), now);
                let decision = request.evaluate(key);
                let changes = request.changes(key);
                if decision.reason() == Reason::Targeting {
                    let Some(Change::Targeting { needs }) =
                        changes.iter().find(|change| matches!(change, Change::Targeting { .. }))
                    else {
                        panic!("{key} {context:?}: {changes:?}")
                    };
                    let mut changed = context.clone();
                    // Where an attribute is looked at twice, one value may not do for both.
                    let can_be_done = looks_once(&source, key) && satisfy(needs, &mut changed);
                    let changed_decision =
                        Request::new(&config, &changed, Some(&LIST_KEY), now).evaluate(key);
                    if can_be_done {
                        n_opened += 1;
                        assert_ne!(
                            changed_decision.reason(),
                            Reason::Targeting,
                            "{key} {needs:?} {changed:?}"
                        );
                    }
                } else if decision.is_experiment() && !matches!(decision.reason(), Reason::Inactive)
                {
                    assert!(!changes.is_empty(), "{key} {decision:?}");
                }
            }
        }
    }
    assert!(n_opened > 50, "{n_opened}");
}
