//! Schedules: what is refused, what is made in which order, and that a killed replica's steps are made once.

use crate::bodies::{catalogue, plain};
use crate::harness::{Database, Replica, Server, on_both_databases};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

fn after_ms(ms: i64) -> String {
    (Timestamp::now() + SignedDuration::from_millis(ms)).to_string()
}

/// Waits for what must happen, not for how long it takes.
async fn until(server: &Server, name: &str, reached: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..1200 {
        let schedule = server.get(&format!("schedules/{name}")).await.body;
        if reached(&schedule) {
            return schedule;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the schedule never came so far: {:?}", server.get(&format!("schedules/{name}")).await);
}

fn flag() -> Value {
    json!({ "key": "f", "type": "boolean", "enabled": true, "default_variant": "off", "off_variant": "off",
            "variants": [{ "name": "on", "value": true }, { "name": "off", "value": false }],
            "rules": [{ "serve": { "variant": "on" }, "rollout": 0, "salt": "s" }] })
}

fn rollout(percent: u32) -> Value {
    json!({ "rules": [{ "serve": { "variant": "on" }, "rollout": percent, "salt": "s" }] })
}

on_both_databases! {
    async fn the_steps_of_a_schedule_are_made_in_order(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let steps = json!([
            { "at": after_ms(600), "action": "start" },
            { "at": after_ms(650), "patch": { "traffic": 50 } },
            { "at": after_ms(700), "action": "freeze_enrolment", "acknowledge": ["no_prior_assignments"] },
            { "at": after_ms(750), "action": "ship", "variant": "treatment" },
        ]);
        let made = server.made("schedules", json!({ "name": "plan", "experiment": "e", "steps": steps })).await;
        assert_eq!((&made["status"], &made["author"]), (&json!("active"), &json!("bootstrap-admin")));
        // The schedule follows the experiment, not its name.
        server.patch("experiments/e", json!({ "name": "renamed" })).await;
        let done = until(server, "plan", |schedule| schedule["status"] != "active").await;
        assert_eq!(done["status"], "done", "{done}");
        assert!(done["steps"].as_array().unwrap().iter().all(|step| step["outcome"]["problem"].is_null()), "{done}");
        let history = server.get("experiments/renamed/history").await.body;
        let actions: Vec<&Value> = history["data"].as_array().unwrap().iter().map(|v| &v["action"]).collect();
        assert_eq!(actions, ["shipped", "enrolment_frozen", "updated", "started", "updated", "created"]);
        assert_eq!(history["data"][0]["author"], "scheduler");
        assert_eq!(history["data"][0]["comment"], "step 4 of schedule `plan` by bootstrap-admin");
        assert_eq!(server.get("schedules/plan/history").await.body["data"].as_array().unwrap().len(), 5);
        server.post("schedules/plan/cancel", json!({})).await.problem(409, "not_active");
        assert_eq!(server.get("schedules?status=done").await.body["data"].as_array().unwrap().len(), 1);
    }

    async fn a_step_that_is_refused_ends_the_schedule(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let steps = json!([{ "at": after_ms(300), "action": "pause" }, { "at": after_ms(350), "action": "start" }]);
        server.made("schedules", json!({ "name": "plan", "experiment": "e", "steps": steps })).await;
        let failed = until(server, "plan", |schedule| schedule["status"] != "active").await;
        assert_eq!((&failed["status"], &failed["steps"][0]["outcome"]["problem"]["code"]), (&json!("failed"), &json!("illegal_transition")), "{failed}");
        assert_eq!(failed["steps"][1]["outcome"], json!(null));
        assert_eq!(server.get("experiments/e").await.body["status"], "draft");
    }

    async fn a_schedule_is_called_off(server) {
        server.made("flags", flag()).await;
        let steps = json!([{ "at": after_ms(3_600_000), "patch": { "enabled": false } }]);
        server.made("schedules", json!({ "name": "off", "flag": "f", "steps": steps })).await;
        let cancelled = server.post("schedules/off/cancel", json!({})).await;
        assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");
        server.post("schedules/off/cancel", json!({})).await.problem(409, "not_active");
    }

    async fn what_cannot_be_meant_is_refused(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        server.made("flags", flag()).await;
        let (one, two) = (after_ms(60_000), after_ms(120_000));
        for (body, pointers) in [
            (json!({ "steps": [{ "at": one, "patch": {} }] }), vec!["/experiment"]),
            (json!({ "experiment": "e", "flag": "f", "steps": [{ "at": one, "patch": {} }] }), vec!["/experiment"]),
            (json!({ "experiment": "x", "steps": [{ "at": one, "action": "start" }] }), vec!["/experiment"]),
            (json!({ "flag": "x", "steps": [{ "at": one, "patch": {} }] }), vec!["/flag"]),
            (json!({ "experiment": "e", "steps": [] }), vec!["/steps"]),
            (json!({ "experiment": "e", "steps": [{ "at": "2020-01-01T00:00:00Z", "action": "start" }] }), vec!["/steps/0/at"]),
            (json!({ "experiment": "e", "steps": [{ "at": two, "action": "start" }, { "at": one, "action": "pause" }] }), vec!["/steps/1/at"]),
            (json!({ "experiment": "e", "steps": [{ "at": one }] }), vec!["/steps/0/action"]),
            (json!({ "experiment": "e", "steps": [{ "at": one, "action": "start", "patch": {} }] }), vec!["/steps/0/patch"]),
            (json!({ "experiment": "e", "steps": [{ "at": one, "action": "ship" }] }), vec!["/steps/0/variant"]),
            (json!({ "experiment": "e", "steps": [{ "at": one, "action": "ship", "variant": "x" }] }), vec!["/steps/0/variant"]),
            (json!({ "experiment": "e", "steps": [{ "at": one, "action": "begin" }] }), vec!["/steps/0/action"]),
            (json!({ "flag": "f", "steps": [{ "at": one, "action": "start" }] }), vec!["/steps/0/action"]),
            (json!({ "experiment": "e", "steps": [{ "at": one, "patch": { "traffic": 101, "colour": 1 } }] }), vec!["/steps/0/patch/colour", "/steps/0/patch/traffic"]),
            (json!({ "flag": "f", "steps": [{ "at": one, "patch": { "enabled": false } }, { "at": two, "patch": { "default_variant": "x" } }] }), vec!["/steps/1/patch/default_variant"]),
        ] {
            assert_eq!(server.post("schedules", body.clone()).await.problem(422, "invalid"), pointers, "{body}");
        }
        assert_eq!(server.get("schedules").await.body["data"], json!([]));
    }
}

/// Two replicas; the one that makes the steps is killed between two of them.
async fn every_step_is_made_once_though_the_scheduler_is_killed(database: Database) {
    let Some(server) = Server::start_with(database, |s| s.scheduler_interval_s = 0).await else {
        return;
    };
    server.made("flags", flag()).await;
    let first = Replica::start(&server.settings);
    let percents = [10, 20, 30, 40, 50, 60];
    let steps: Vec<Value> = percents
        .iter()
        .zip(1..)
        .map(|(percent, place)| json!({ "at": after_ms(1500 + 700 * place), "patch": rollout(*percent) }))
        .collect();
    server.made("schedules", json!({ "name": "ramp", "flag": "f", "steps": steps })).await;
    let n_made = |schedule: &Value| {
        let steps = schedule["steps"].as_array().unwrap();
        steps.iter().filter(|step| !step["outcome"].is_null()).count()
    };
    // The first one has the lease once it has made a step.
    until(&server, "ramp", |schedule| n_made(schedule) >= 1).await;
    let second = Replica::start(&server.settings);
    until(&server, "ramp", |schedule| n_made(schedule) >= 2).await;
    first.kill();
    let done = until(&server, "ramp", |schedule| schedule["status"] != "active").await;
    assert_eq!(done["status"], "done", "{done}");
    drop(second);
    let history = server.get("flags/f/history").await.body;
    let rollouts: Vec<&Value> = history["data"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|version| &version["after"]["definition"]["rules"][0]["rollout"])
        .collect();
    assert_eq!(rollouts, [0, 10, 20, 30, 40, 50, 60], "every step once, in order");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_is_made_once_though_the_scheduler_is_killed_on_sqlite() {
    every_step_is_made_once_though_the_scheduler_is_killed(Database::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_is_made_once_though_the_scheduler_is_killed_on_postgres() {
    every_step_is_made_once_though_the_scheduler_is_killed(Database::Postgres).await;
}
