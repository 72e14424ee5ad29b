//! Every step of both evaluation orders, one row each, against the specification's own evaluator.

#![expect(
    clippy::unwrap_used,
    clippy::maybe_infinite_iter,
    reason = "test code: a wrong assumption should stop the test"
)]

mod support;

use eval_core::source::*;
use eval_core::{Context, Request, compile};
use support::*;

const NOW: i64 = 1_800_000_000_000;

/// A unit whose buckets satisfy `wanted`.
fn unit_where(wanted: impl Fn(&str) -> bool) -> String {
    (0..).map(|i| format!("unit-{i}")).find(|unit| wanted(unit)).unwrap()
}

#[track_caller]
fn expect(
    source: &ConfigSource,
    key: &str,
    context: &Context<'_>,
    variant: Option<&str>,
    enrolled: bool,
    reason: &str,
) {
    let config = compile(source).unwrap();
    let list_key = source.list_key;
    let mut request = Request::new(&config, context, list_key.as_ref(), NOW);
    let decision = request.evaluate(key);
    assert_eq!(
        (decision.variant(), decision.enrolled(), decision.reason().as_str()),
        (variant, enrolled, reason)
    );
    assert_eq!(
        decision.exposure().is_some(),
        enrolled,
        "an exposure exists exactly for enrolled units"
    );
    assert_eq!(request.explain(key).0, decision, "explaining changes nothing");
    let oracle = oracle::evaluate(source, key, context, NOW);
    assert_eq!(
        (oracle.variant.as_deref(), oracle.enrolled, oracle.reason),
        (variant, enrolled, reason),
        "oracle"
    );
    let mut bulk = None;
    Request::new(&config, context, list_key.as_ref(), NOW).evaluate_all(|d| {
        if d.key() == key {
            bulk = Some(*d);
        }
    });
    if reason != "not_found" {
        assert_eq!(bulk, Some(decision), "bulk evaluation agrees");
    }
}

fn user(id: &str) -> Context<'_> {
    Context::new().unit("user_id", id)
}

#[test]
fn experiment_steps_in_order() {
    let split = |e: &ExperimentSource, unit: &str| {
        if oracle::bucket(&e.salt, unit) < 5000 { "control" } else { "treatment" }
    };
    let mut source = config();
    source.experiments.push(experiment("e"));
    let base = source.clone();
    let treated = unit_where(|unit| split(&base.experiments[0], unit) == "treatment");
    expect(&base, "e", &user(&treated), Some("treatment"), true, "split");
    expect(&base, "nothing", &user(&treated), None, false, "not_found");

    // 1. Inactive.
    for (status, window) in [
        (ExperimentStatus::Paused, (None, None)),
        (ExperimentStatus::Completed, (None, None)),
        (ExperimentStatus::Running, (Some(NOW + 1), None)),
        (ExperimentStatus::Running, (None, Some(NOW))),
        (ExperimentStatus::Scheduled, (Some(NOW + 1), None)),
    ] {
        let mut s = base.clone();
        s.experiments[0].status = status;
        (s.experiments[0].starts_at, s.experiments[0].ends_at) = window;
        expect(&s, "e", &user(&treated), Some("control"), false, "inactive");
    }
    let mut s = base.clone();
    s.experiments[0].status = ExperimentStatus::Scheduled;
    s.experiments[0].starts_at = Some(NOW);
    expect(&s, "e", &user(&treated), Some("treatment"), true, "split");
    s.experiments[0].status = ExperimentStatus::Paused;
    s.experiments[0].pause_behaviour = PauseBehaviour::KeepServing;
    expect(&s, "e", &user(&treated), Some("treatment"), false, "inactive");

    // 2. No unit.
    expect(&base, "e", &Context::new(), Some("control"), false, "no_unit");
    expect(&base, "e", &Context::new().unit("device_id", "d"), Some("control"), false, "no_unit");

    // 3. Override: before consent, holdouts, targeting.
    let mut s = base.clone();
    s.requires_consent = true;
    s.experiments[0].overrides.insert(treated.clone(), "control".into());
    expect(&s, "e", &user(&treated), Some("control"), false, "override");
    expect(&s, "e", &user("somebody-else"), Some("control"), false, "no_consent");

    // 4. Consent.
    let mut s = base.clone();
    s.requires_consent = true;
    expect(&s, "e", &user(&treated), Some("control"), false, "no_consent");
    expect(
        &s,
        "e",
        &user(&treated).attribute("consent", "true"),
        Some("control"),
        false,
        "no_consent",
    );
    expect(&s, "e", &user(&treated).attribute("consent", true), Some("treatment"), true, "split");

    // 5. Holdout.
    let mut s = base.clone();
    s.holdouts.push(holdout("h", 500));
    s.experiments[0].holdouts.push("h".into());
    let held = unit_where(|unit| oracle::bucket(&s.holdouts[0].salt, unit) < 500);
    let free = unit_where(|unit| oracle::bucket(&s.holdouts[0].salt, unit) == 500);
    expect(&s, "e", &user(&held), Some("control"), false, "holdout");
    expect(&s, "e", &user(&free), Some(split(&s.experiments[0], &free)), true, "split");

    // 6. Prerequisites, before 7. targeting.
    let mut s = base.clone();
    s.flags.push(flag("gate"));
    s.experiments[0].prerequisites.push(Prerequisite { flag: "gate".into(), variant: "on".into() });
    s.experiments[0].targeting = Some(compare("country", "in", vec![text("US")]));
    expect(&s, "e", &user(&treated), Some("control"), false, "prerequisite");
    s.flags[0].default_variant = "on".into();
    expect(&s, "e", &user(&treated), Some("control"), false, "targeting");
    expect(&s, "e", &user(&treated).attribute("country", "US"), Some("treatment"), true, "split");

    // Shipped: after 7, before 8 to 11, and without overrides.
    let mut s = s.clone();
    s.experiments[0].status = ExperimentStatus::Completed;
    s.experiments[0].shipped = Some("treatment".into());
    s.experiments[0].overrides.insert("u".into(), "control".into());
    s.experiments[0].ranges = vec![];
    expect(&s, "e", &user("u").attribute("country", "US"), Some("treatment"), false, "shipped");
    expect(&s, "e", &user("u").attribute("country", "DE"), Some("control"), false, "targeting");

    // 8. Prior and frozen, before 9 and 10.
    let mut s = base.clone();
    s.experiments[0].sticky = true;
    s.experiments[0].ranges = vec![BucketRange { lo: 0, hi: 1 }];
    let outside = unit_where(|unit| oracle::bucket(&salt("e/own"), unit) > 1);
    expect(&s, "e", &user(&outside).prior("e", "treatment"), Some("treatment"), true, "prior");
    expect(&s, "e", &user(&outside).prior("e", "gone"), Some("control"), false, "traffic");
    expect(&s, "e", &user(&outside).prior("other", "treatment"), Some("control"), false, "traffic");
    s.experiments[0].frozen = true;
    expect(&s, "e", &user(&outside).prior("e", "treatment"), Some("treatment"), true, "prior");
    expect(&s, "e", &user(&outside), Some("control"), false, "frozen");
    let mut s = base.clone();
    s.experiments[0].ranges = vec![BucketRange { lo: 0, hi: 1 }];
    expect(&s, "e", &user(&outside).prior("e", "treatment"), Some("control"), false, "traffic");

    // 9. Domain.
    let mut s = base.clone();
    s.layers.push(LayerSource { domain: BucketRange { lo: 0, hi: 2000 }, ..layer("l") });
    s.experiments[0].layer = Some("l".into());
    s.experiments[0].ranges = vec![BucketRange { lo: 0, hi: 5000 }];
    let outside = unit_where(|unit| oracle::bucket(&s.domain_salt, unit) == 2000);
    expect(&s, "e", &user(&outside), Some("control"), false, "domain");
    // 10. Layer.
    let inside = |unit: &str| oracle::bucket(&s.domain_salt, unit) < 2000;
    let other = unit_where(|unit| inside(unit) && oracle::bucket(&s.layers[0].salt, unit) == 5000);
    let mine = unit_where(|unit| inside(unit) && oracle::bucket(&s.layers[0].salt, unit) == 4999);
    expect(&s, "e", &user(&other), Some("control"), false, "traffic");
    expect(&s, "e", &user(&mine), Some(split(&s.experiments[0], &mine)), true, "split");
}

#[test]
fn a_switchback_randomises_slices_of_time_of_a_cluster() {
    let mut source = config();
    let mut e = experiment("surge");
    e.unit_type = "region".into();
    e.switchback =
        Some(SwitchbackSource { cluster: "region".into(), anchor_ms: 0, period_ms: 3_600_000 });
    source.experiments.push(e);
    let slice = NOW.div_euclid(3_600_000);
    let b = oracle::bucket(&source.experiments[0].salt, &format!("eu@{slice}"));
    let variant = if b < 5000 { "control" } else { "treatment" };
    expect(&source, "surge", &Context::new().unit("region", "eu"), Some(variant), true, "split");
    expect(
        &source,
        "surge",
        &Context::new().attribute("region", "eu"),
        Some(variant),
        true,
        "split",
    );
    expect(&source, "surge", &user("u"), Some("control"), false, "no_unit");
    let config = compile(&source).unwrap();
    let context = Context::new().unit("region", "eu");
    let exposure = Request::new(&config, &context, None, NOW).evaluate("surge").exposure().unwrap();
    assert_eq!((exposure.unit.to_string(), exposure.unit_type), (format!("eu@{slice}"), "region"));
}

#[test]
fn flag_steps_in_order() {
    let mut source = config();
    source.flags.push(flag("f"));
    let base = source;
    let unit = "u-1".to_owned();
    // 7. No rules.
    expect(&base, "f", &user(&unit), Some("off"), false, "static");
    // 2. The kill switch wins over everything.
    let mut s = base.clone();
    s.flags[0].default_variant = "on".into();
    s.flags[0].targets.insert(unit.clone(), "on".into());
    expect(&s, "f", &user(&unit), Some("on"), false, "target");
    s.flags[0].enabled = false;
    expect(&s, "f", &user(&unit), Some("off"), false, "disabled");
    // 3. Holdout before 4. prerequisite before 5. target.
    let mut s = base.clone();
    s.holdouts.push(holdout("h", 10_000));
    s.flags[0].holdouts.push("h".into());
    s.flags[0].targets.insert(unit.clone(), "on".into());
    s.flags.push(flag("gate"));
    s.flags[0].prerequisites.push(Prerequisite { flag: "gate".into(), variant: "on".into() });
    expect(&s, "f", &user(&unit), Some("off"), false, "holdout");
    s.flags[0].holdouts.clear();
    expect(&s, "f", &user(&unit), Some("off"), false, "prerequisite");
    s.flags[0].prerequisites.clear();
    expect(&s, "f", &user(&unit), Some("on"), false, "target");
    // 6. Rules in order, with rollouts.
    let mut s = base.clone();
    let mut us_only = rule("us", 10_000, Serve::Variant("on".into()));
    us_only.condition = Some(compare("country", "in", vec![text("US")]));
    s.flags[0].rules = vec![
        us_only,
        rule("quarter", 2500, Serve::Variant("on".into())),
        rule(
            "split",
            10_000,
            Serve::Split(vec![
                SplitPart { variant: "on".into(), ranges: vec![BucketRange { lo: 0, hi: 5000 }] },
                SplitPart {
                    variant: "off".into(),
                    ranges: vec![BucketRange { lo: 5000, hi: 10_000 }],
                },
            ]),
        ),
    ];
    expect(&s, "f", &user(&unit).attribute("country", "US"), Some("on"), false, "rule");
    let included = unit_where(|unit| oracle::bucket(&s.flags[0].rules[1].salt, unit) < 2500);
    expect(&s, "f", &user(&included), Some("on"), false, "rule");
    let on = unit_where(|unit| {
        oracle::bucket(&s.flags[0].rules[1].salt, unit) >= 2500
            && oracle::bucket(&s.flags[0].salt, unit) < 5000
    });
    expect(&s, "f", &user(&on), Some("on"), false, "split");
    expect(&s, "f", &Context::new(), Some("off"), false, "default");
    // An experiment: enrolled units take part, others go on to the next rule; shipped and overridden ones are served.
    let mut s = base.clone();
    let mut e = experiment("f-experiment");
    e.flag_key = "f".into();
    e.targeting = Some(compare("plan", "eq", vec![text("pro")]));
    e.overrides.insert("qa".into(), "treatment".into());
    s.experiments.push(e);
    s.flags[0].rules = vec![rule("experiment", 10_000, Serve::Experiment("f-experiment".into()))];
    let b = oracle::bucket(&s.experiments[0].salt, &unit);
    let variant = if b < 5000 { "control" } else { "treatment" };
    expect(&s, "f", &user(&unit).attribute("plan", "pro"), Some(variant), true, "split");
    expect(&s, "f", &user(&unit).attribute("plan", "free"), Some("off"), false, "default");
    expect(&s, "f", &user("qa"), Some("treatment"), false, "override");
    s.experiments[0].status = ExperimentStatus::Completed;
    s.experiments[0].shipped = Some("treatment".into());
    expect(&s, "f", &user(&unit).attribute("plan", "pro"), Some("treatment"), false, "shipped");
}

#[test]
fn a_list_without_its_key_matches_nobody() {
    let mut source = config();
    let mut e = experiment("e");
    e.overrides.insert("qa".into(), "treatment".into());
    source.experiments.push(e);
    let config = compile(&source).unwrap();
    assert!(config.has_lists());
    let context = user("qa");
    let reason = |key: Option<&[u8; 32]>| {
        Request::new(&config, &context, key, NOW).evaluate("e").reason().as_str()
    };
    assert_eq!(reason(Some(&LIST_KEY)), "override");
    assert_eq!(reason(None), "split");
    assert_eq!(reason(Some(&[8; 32])), "split");
}

#[test]
fn segments_include_exclude_and_decide() {
    let mut source = config();
    source.segments.push(SegmentSource {
        key: "staff".into(),
        unit_type: "user_id".into(),
        condition: Some(compare("staff", "eq", vec![Literal::Bool(true)])),
        include: vec!["in".into(), "both".into()],
        exclude: vec!["out".into(), "both".into()],
    });
    source.segments.push(SegmentSource {
        key: "aged".into(),
        unit_type: "user_id".into(),
        condition: Some(Condition::Not(Box::new(Condition::Segment("staff".into())))),
        include: vec![],
        exclude: vec![],
    });
    for key in ["staff", "aged"] {
        let mut e = experiment(key);
        e.targeting = Some(Condition::Segment(key.into()));
        source.experiments.push(e);
    }
    let config = compile(&source).unwrap();
    for (unit, staff, expected) in [
        ("in", false, true),
        ("out", true, false),
        ("both", true, false),
        ("x", true, true),
        ("x", false, false),
    ] {
        let context = user(unit).attribute("staff", staff);
        let mut request = Request::new(&config, &context, Some(&LIST_KEY), NOW);
        assert_eq!(request.evaluate("staff").enrolled(), expected, "{unit} {staff}");
        assert_eq!(request.evaluate("aged").enrolled(), !expected, "{unit} {staff}");
    }
}

#[test]
fn explanations_name_every_step() {
    let mut source = config();
    source.layers.push(layer("l"));
    source.holdouts.push(holdout("h", 100));
    let mut e = experiment("e");
    e.layer = Some("l".into());
    e.ranges = vec![BucketRange { lo: 0, hi: 10_000 }];
    e.holdouts = vec!["h".into()];
    e.targeting = Some(compare("country", "in", vec![text("US")]));
    source.experiments.push(e);
    let config = compile(&source).unwrap();
    let unit = unit_where(|unit| oracle::bucket(&source.holdouts[0].salt, unit) >= 100);
    let context = user(&unit).attribute("country", "US");
    let (decision, steps) = Request::new(&config, &context, None, NOW).explain("e");
    assert!(decision.enrolled());
    let json = serde_json::to_value(&steps).unwrap();
    let names: Vec<&str> =
        json.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["experiment", "unit", "holdout", "comparison", "targeting", "layer", "split"]
    );
    assert_eq!(json[5]["bucket"], oracle::bucket(&source.layers[0].salt, &unit));
}
