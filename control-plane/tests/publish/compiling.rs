//! Definitions → config: the same bytes whatever the order, and nothing that the edge may not know.

use control_plane::definition::{ExperimentDefinition, FlagState, LifecycleStatus};
use control_plane::publish::{compile, plan};
use control_plane::store::Versioned;
use eval_core::source::{Condition, Literal, Serve};
use eval_core::{Context, Request, blob};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::snapshot::{environment, experiment, versioned};

const SECRET: [u8; 32] = [9; 32];

#[test]
fn the_order_of_the_rows_does_not_change_a_byte() {
    let sorted = environment(50);
    let mut shuffled = sorted.clone();
    shuffled.experiments.reverse();
    shuffled.experiments.swap(3, 17);
    shuffled.revision = 77;
    let body = |snapshot| {
        let config = compile::compile(snapshot, Some(&SECRET)).unwrap();
        let bytes = blob::encode(&config, 5, 1_700_000_000_000);
        blob::verify(&bytes).unwrap().1.to_vec()
    };
    assert_eq!(body(&sorted), body(&shuffled));
    let plan = |snapshot| plan::plan(snapshot, &plan::Phases::new(), 5, Timestamp::UNIX_EPOCH);
    assert_eq!(plan(&sorted), plan(&shuffled));
}

#[test]
fn drafts_and_archived_experiments_stay_at_home() {
    let mut snapshot = environment(6);
    let statuses = [
        LifecycleStatus::Draft,
        LifecycleStatus::Scheduled,
        LifecycleStatus::Running,
        LifecycleStatus::Paused,
        LifecycleStatus::Completed,
        LifecycleStatus::Archived,
    ];
    for (experiment, status) in snapshot.experiments.iter_mut().zip(statuses) {
        experiment.state.status = status;
    }
    snapshot.experiments[1].definition.start_at = Some(Timestamp::UNIX_EPOCH);
    let source = compile::source(&snapshot, None);
    let keys: Vec<_> = source.experiments.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(
        keys,
        ["experiment_00001", "experiment_00002", "experiment_00003", "experiment_00004"]
    );
    let plan = plan::plan(&snapshot, &plan::Phases::new(), 5, Timestamp::UNIX_EPOCH);
    let planned: Vec<_> = plan.experiments.iter().map(|e| e.experiment.as_str()).collect();
    assert_eq!(planned, ["experiment_00002", "experiment_00003", "experiment_00004"]);
    compile::compile(&snapshot, None).unwrap();
}

#[test]
fn the_short_form_of_targeting_is_spelled_out() {
    let source = compile::source(&environment(0), None);
    let rules = &source.flags[0].rules;
    assert_eq!(
        rules[0].condition,
        Some(Condition::All(vec![
            Condition::Compare {
                attribute: "country".to_owned(),
                op: "in".to_owned(),
                values: vec![Literal::String("US".to_owned())]
            },
            Condition::Segment("returning_users".to_owned()),
        ]))
    );
    assert_eq!(rules[0].rollout, 2_500);
    let Serve::Split(parts) = &rules[1].serve else { panic!("the second rule splits") };
    assert_eq!((parts[0].ranges[0].lo, parts[0].ranges[0].hi), (0, 5_000));
}

#[test]
fn unit_ids_are_in_the_blob_as_fingerprints_only() {
    let snapshot = environment(1);
    let config = compile::compile(&snapshot, Some(&SECRET)).unwrap();
    let bytes = blob::encode(&config, 1, 0);
    for unit in [&b"u-1"[..], b"u-2", b"u-7"] {
        assert!(!bytes.windows(unit.len()).any(|window| window == unit));
    }
    let list_key = eval_core::fingerprint::list_key(&SECRET, "production-k3v9x2mq");
    let context = Context::new().unit("user_id", "u-7");
    let mut request = Request::new(&config, &context, Some(&list_key), 0);
    let decision = request.evaluate("new_nav");
    assert_eq!((decision.variant(), decision.reason().as_str()), (Some("on"), "target"));
    let mut without = Request::new(&config, &context, None, 0);
    assert_ne!(without.evaluate("new_nav").reason().as_str(), "target");
}

#[test]
fn numbers_of_one_key_are_all_whole_or_all_floats() {
    let mut snapshot = environment(3);
    let configs = |experiment: &mut Versioned<ExperimentDefinition>, values: [Value; 3]| {
        for (variant, value) in experiment.definition.variants.iter_mut().zip(values) {
            variant.config = value;
        }
    };
    configs(&mut snapshot.experiments[0], [json!(1), json!(2), json!(3)]);
    configs(&mut snapshot.experiments[1], [json!(10), json!(20), json!(null)]);
    configs(&mut snapshot.experiments[2], [json!(100), json!(200.5), json!({"price": 1})]);
    let number = |key: &str, values: [Value; 2], experiments: &[&str]| {
        let rules: Vec<_> =
            experiments.iter().map(|name| json!({"serve": {"experiment": name}})).collect();
        let definition = json!({
            "key": key, "type": "number", "default_variant": "a", "off_variant": "b",
            "variants": [{"name": "a", "value": values[0]}, {"name": "b", "value": values[1]}],
            "rules": rules,
        });
        versioned(key, definition, FlagState::default())
    };
    snapshot.flags = vec![
        number("whole", [json!(1), json!(-2)], &["experiment_00000"]),
        number("mixed", [json!(1), json!(1.5)], &[]),
        // What each serves makes the other's numbers floats: the first shares an experiment with the second, which has another
        // with a fraction.
        number("first", [json!(1), json!(2)], &["experiment_00001"]),
        number("second", [json!(3), json!(4)], &["experiment_00001", "experiment_00002"]),
    ];
    let source = compile::source(&snapshot, None);
    let written = |key: &str| -> Vec<&str> {
        let flags = source.flags.iter().map(|flag| (&flag.key, &flag.variants));
        let experiments = source.experiments.iter().map(|one| (&one.key, &one.variants));
        let (_, variants) = flags.chain(experiments).find(|(own, _)| *own == key).unwrap();
        variants.iter().map(|variant| variant.value.as_str()).collect()
    };
    assert_eq!(written("whole"), ["1", "-2"]);
    assert_eq!(written("experiment_00000"), ["1", "2", "3"]);
    assert_eq!(written("mixed"), ["1.0", "1.5"]);
    assert_eq!(written("first"), ["1.0", "2.0"]);
    assert_eq!(written("second"), ["3.0", "4.0"]);
    assert_eq!(written("experiment_00001"), ["10.0", "20.0", "null"]);
    assert_eq!(written("experiment_00002"), ["100.0", "200.5", "{\"price\":1}"]);
    let config = compile::compile(&snapshot, None).unwrap();
    let context = Context::new().unit("user_id", "u-1");
    let mut request = Request::new(&config, &context, None, 0);
    assert_eq!(request.evaluate("mixed").value(), Some("1.0"), "as clients are served it");
}

#[test]
fn late_events_of_an_ended_experiment_count_for_three_days() {
    let ended: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
    let mut snapshot = environment(0);
    let mut over = experiment(1);
    over.state.status = LifecycleStatus::Completed;
    over.state.ended_at = Some(ended);
    snapshot.experiments.push(over);
    for (hours, planned) in [(0, 1), (71, 1), (72, 1), (73, 0)] {
        let now = ended + hours.hours();
        let plan = plan::plan(&snapshot, &plan::Phases::new(), 5, now);
        assert_eq!(plan.experiments.len(), planned, "{hours} h after the end");
    }
}

#[test]
fn a_phase_begins_with_the_generation_that_first_published_it() {
    let mut snapshot = environment(1);
    let mut next = snapshot.experiments[0].state.phases[0].clone();
    next.number = 2;
    snapshot.experiments[0].state.phases.push(next);
    let mut phases = plan::Phases::from([(("id-00000".to_owned(), 1), 3)]);
    let generation = |phases: &plan::Phases| {
        plan::plan(&snapshot, phases, 9, Timestamp::UNIX_EPOCH).experiments[0].phase_generation
    };
    assert_eq!(generation(&phases), 9, "the second phase is new");
    phases.insert(("id-00000".to_owned(), 2), 7);
    assert_eq!(generation(&phases), 7);
}
