//! Flags: rules, kill switch, splits, prerequisites.

use crate::bodies::{catalogue, checkout, new_nav};
use crate::harness::{Server, on_both_databases};
use serde_json::{Value, json};

async fn refused(server: &Server, change: Value, pointers: &[&str]) {
    let mut body = new_nav();
    body["key"] = json!("other");
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = server.post("flags", body).await;
    assert_eq!(answer.problem(422, "invalid"), pointers, "{change}: {answer:?}");
}

fn on_off(key: &str) -> Value {
    json!({ "key": key, "type": "boolean", "variants": [{ "name": "on", "value": true }, { "name": "off", "value": false }],
            "default_variant": "off", "off_variant": "off" })
}

on_both_databases! {
    async fn an_unsound_flag_is_refused_at_its_fields(server) {
        catalogue(server).await;
        server.made("experiments", checkout()).await;
        for (change, pointers) in [
            (json!({ "default_variant": "x", "off_variant": "y" }), vec!["/default_variant", "/off_variant", "/rules/0/serve/variant", "/rules/1/serve/split/0/variant"]),
            (json!({ "type": "number" }), vec!["/variants/0/value", "/variants/1/value"]),
            (json!({ "type": "colour" }), vec!["/type"]),
            (json!({ "rules": [{ "serve": { "variant": "x" } }, { "serve": { "split": [{ "variant": "on", "weight": 60 }, { "variant": "on", "weight": 30 }] } }, { "serve": { "experiment": "x" } }] }),
                vec!["/rules/0/serve/variant", "/rules/1/serve/split", "/rules/1/serve/split/1/variant", "/rules/2/serve/experiment"]),
            (json!({ "rules": [{ "serve": { "variant": "on", "experiment": "x" } }] }), vec!["/rules/0/serve/experiment"]),
            (json!({ "rules": [{ "serve": {} }] }), vec!["/rules/0/serve"]),
            (json!({ "rules": [{ "condition": { "segment": "x" }, "rollout": 101, "serve": { "variant": "on" } }] }), vec!["/rules/0/rollout"]),
            (json!({ "rules": [{ "condition": { "segment": "x" }, "serve": { "variant": "on" } }] }), vec!["/rules/0/condition"]),
            (json!({ "targets": { "u1": "x" } }), vec!["/targets/u1"]),
            (json!({ "prerequisites": [{ "flag": "other", "variant": "on" }] }), vec!["/prerequisites/0/flag", "/prerequisites/0"]),
            (json!({ "holdouts": ["x"] }), vec!["/holdouts/0"]),
        ] {
            let pointers: Vec<&str> = pointers.into_iter().filter(|p| change.get("default_variant").is_none() || !p.starts_with("/rules")).collect();
            refused(server, change, &pointers).await;
        }
    }

    async fn the_kill_switch_needs_no_version(server) {
        server.made("flags", on_off("f")).await;
        assert_eq!(server.get("flags/f").await.body["enabled"], true);
        let killed = server.post("flags/f/kill", json!({})).await;
        assert_eq!((&killed.body["enabled"], &killed.body["version"]), (&json!(false), &json!(2)));
        assert_eq!(server.patch("flags/f", json!({ "enabled": true })).await.body["enabled"], true);
        assert_eq!(server.patch("flags/f", json!({ "enabled": false })).await.body["enabled"], false);
        server.post("flags/nothing/kill", json!({})).await.problem(404, "not_found");
    }

    async fn prerequisites_never_go_round(server) {
        server.made("flags", on_off("a")).await;
        let mut b = on_off("b");
        b["prerequisites"] = json!([{ "flag": "a", "variant": "on" }]);
        server.made("flags", b).await;
        let round = server.patch("flags/a", json!({ "prerequisites": [{ "flag": "b", "variant": "on" }] })).await;
        assert_eq!(round.problem(422, "invalid"), ["/prerequisites/0"]);
        assert_eq!(round.body["errors"][0]["code"], "cycle");
        server.post("flags/a/archive", json!({})).await.problem(409, "in_use");
        let lost = server.patch("flags/a", json!({ "variants": [{ "name": "off", "value": false }] })).await;
        lost.problem(409, "in_use");
        assert_eq!(server.post("flags/b/archive", json!({})).await.body["status"], "archived");
        assert_eq!(server.post("flags/a/archive", json!({})).await.body["status"], "archived");
        server.patch("flags/a", json!({ "enabled": false })).await.problem(409, "archived");
    }

    async fn a_circle_through_an_experiment_is_found(server) {
        catalogue(server).await;
        server.made("flags", on_off("gate")).await;
        let mut experiment = checkout();
        experiment["prerequisites"] = json!([{ "flag": "gate", "variant": "on" }]);
        server.made("experiments", experiment).await;
        let round = server.patch("flags/gate", json!({ "rules": [{ "serve": { "experiment": "checkout_redesign_q1_2025" } }] })).await;
        assert_eq!(round.status, 422, "{round:?}");
    }

    async fn rules_keep_their_salts_when_they_are_sent_back(server) {
        catalogue(server).await;
        server.made("experiments", checkout()).await;
        let made = server.made("flags", new_nav()).await;
        let salts: Vec<Value> = made["rules"].as_array().unwrap().iter().map(|rule| rule["salt"].clone()).collect();
        assert!(salts.iter().all(|salt| salt.as_str().unwrap().len() == 15));
        let mut rules = made["rules"].clone();
        rules.as_array_mut().unwrap().reverse();
        rules[2]["rollout"] = json!(50);
        let changed = server.patch("flags/new_nav", json!({ "rules": rules })).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(changed.body["rules"][2]["salt"], salts[0]);
    }
}
