//! Layers, holdouts, segments, metrics: rules, uses, deletion.

use crate::bodies::{catalogue, checkout, in_layer, new_nav, plain};
use crate::harness::{Server, on_both_databases};
use serde_json::{Value, json};

/// Checks that a POST is refused and names exactly these fields.
async fn refused(server: &Server, path: &str, body: Value, pointers: &[&str]) {
    let answer = server.post(path, body.clone()).await;
    assert_eq!(answer.problem(422, "invalid"), pointers, "{path} {body}: {answer:?}");
}

on_both_databases! {
    async fn names_are_unique_in_a_project(server) {
        catalogue(server).await;
        server.post("layers", json!({ "name": "checkout_layer" })).await.problem(409, "already_exists");
        server.made("projects", json!({ "name": "acme" })).await;
        let elsewhere = server.request(reqwest::Method::POST, "layers").header("X-Project", "acme").json(&json!({ "name": "checkout_layer" }));
        assert_eq!(crate::harness::send(elsewhere).await.status, 201);
        server.post("projects", json!({ "name": "acme" })).await.problem(409, "already_exists");
        server.post("environments", json!({ "name": "production" })).await.problem(409, "already_exists");
    }

    async fn every_problem_is_reported_at_once(server) {
        refused(server, "layers", json!({ "name": "-", "domain_start": 5, "domain_end": 3, "salt": "a:b", "colour": 1 }),
            &["/colour", "/name", "/salt", "/domain_end", "/salt"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "mean", "quantile": 0.5 }), &["/event", "/quantile"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "ratio", "event": "e" }), &["/event", "/numerator", "/denominator"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "quantile", "event": "e", "window": "1h", "quantile": 1 }), &["/quantile", "/window"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "proportion", "event": "e", "baseline": 1.5, "cap": 3 }), &["/cap", "/baseline"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "retention", "event": "e", "steps": ["a", "b"] }), &["/steps", "/after"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "retention", "event": "e", "after": "P7D", "window": "P7D" }), &["/after"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "funnel", "event": "e", "cap": 1 }), &["/event", "/steps", "/cap"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "funnel", "steps": ["a", "b", "", "a"] }), &["/steps/2", "/steps/3"]).await;
        refused(server, "metrics", json!({ "name": "m", "kind": "funnel", "steps": ["a"] }), &["/steps"]).await;
        refused(server, "holdouts", json!({ "name": "h", "size": 0 }), &["/size"]).await;
        refused(server, "holdouts", json!({ "name": "h", "size": 5.005, "scope": "world" }), &["/scope", "/size"]).await;
        refused(server, "segments", json!({ "key": "s" }), &["/condition"]).await;
        refused(server, "segments", json!({ "key": "s", "condition": { "all": [
            { "attribute": "a", "op": "lt", "values": ["x"] }, { "segment": "nobody" }, { "op": "eq" }, { "attribute": "b", "op": "like" }
        ] } }), &["/condition/all/2/attribute", "/condition/all/3/op"]).await;
        refused(server, "segments", json!({ "key": "s", "condition": { "all": [
            { "attribute": "a", "op": "lt", "values": ["x"] }, { "segment": "nobody" }
        ] } }), &["/condition/all/0/values/0", "/condition"]).await;
        refused(server, "segments", json!({ "key": "s", "condition": {} }), &["/condition"]).await;
    }

    async fn salts_of_one_environment_differ(server) {
        catalogue(server).await;
        let salt = server.get("layers/checkout_layer").await.body["salt"].clone();
        refused(server, "layers", json!({ "name": "l", "salt": salt }), &["/salt"]).await;
        refused(server, "holdouts", json!({ "name": "h", "size": 5, "salt": salt }), &["/salt"]).await;
        let mut experiment = checkout();
        experiment["salt"] = salt.clone();
        refused(server, "experiments", experiment, &["/salt"]).await;
        let mut flag = json!({ "key": "f", "type": "boolean", "variants": [{ "name": "on", "value": true }],
            "default_variant": "on", "off_variant": "on", "salt": "imported",
            "rules": [{ "serve": { "variant": "on" }, "rollout": 10, "salt": salt }, { "serve": { "variant": "on" }, "rollout": 10, "salt": "imported" }] });
        refused(server, "flags", flag.clone(), &["/rules/0/salt", "/rules/1/salt"]).await;
        flag["rules"] = json!([]);
        server.made("flags", flag).await;
        refused(server, "layers", json!({ "name": "l", "salt": "imported" }), &["/salt"]).await;
    }

    async fn segments_never_refer_to_themselves(server) {
        server.made("segments", json!({ "key": "a", "include": ["u"] })).await;
        server.made("segments", json!({ "key": "b", "condition": { "segment": "a" } })).await;
        let round = server.patch("segments/a", json!({ "condition": { "not": { "segment": "b" } } })).await;
        assert_eq!(round.problem(422, "invalid"), ["/condition"]);
        assert_eq!(round.body["errors"][0]["code"], "cycle");
        refused(server, "segments", json!({ "key": "c", "condition": { "segment": "c" } }), &["/condition"]).await;
    }

    async fn what_is_used_is_not_deleted(server) {
        catalogue(server).await;
        server.made("holdouts", json!({ "name": "h", "size": 5, "scope": "listed" })).await;
        let mut experiment = checkout();
        experiment["holdouts"] = json!(["h"]);
        server.made("experiments", experiment).await;
        server.made("flags", new_nav()).await;
        for path in ["layers/checkout_layer", "segments/returning_users", "metrics/revenue_per_user", "holdouts/h", "experiments/checkout_redesign_q1_2025"] {
            let refused = server.delete(path).await;
            refused.problem(409, "in_use");
            assert!(!refused.body["used_by"].as_array().unwrap().is_empty(), "{path}");
        }
        assert_eq!(server.delete("metrics/clicks_per_view").await.status, 204);
        server.get("metrics/clicks_per_view").await.problem(404, "not_found");
    }

    async fn the_space_of_a_running_experiment_is_fixed(server) {
        catalogue(server).await;
        server.made("experiments", in_layer("e", 10.0)).await;
        assert_eq!(server.patch("layers/checkout_layer", json!({ "salt": "another" })).await.status, 200, "a draft holds no buckets");
        server.start_experiment("e").await;
        server.patch("layers/checkout_layer", json!({ "salt": "third" })).await.problem(409, "in_use");
        server.patch("layers/checkout_layer", json!({ "unit": "account_id" })).await.problem(409, "in_use");
        let renamed = server.patch("layers/checkout_layer", json!({ "name": "other" })).await;
        assert_eq!(renamed.problem(422, "invalid"), ["/name"]);
        assert_eq!(server.patch("layers/checkout_layer", json!({ "description": "d" })).await.status, 200);
    }

    async fn a_project_holdout_covers_what_starts_after_it(server) {
        catalogue(server).await;
        server.made("experiments", plain("before")).await;
        server.start_experiment("before").await;
        server.made("holdouts", json!({ "name": "late", "size": 5, "scope": "project" })).await;
        server.made("holdouts", json!({ "name": "accounts", "size": 5, "scope": "project", "unit": "account_id" })).await;
        server.made("experiments", plain("after")).await;
        let after = server.start_experiment("after").await;
        assert_eq!(after.body["covering_holdouts"], json!(["late"]));
        assert_eq!(server.get("experiments/before").await.body["covering_holdouts"], json!([]));
        server.patch("holdouts/late", json!({ "size": 6 })).await.problem(409, "in_use");
    }

    async fn a_layer_shows_who_holds_it(server) {
        catalogue(server).await;
        server.made("experiments", in_layer("e", 12.5)).await;
        let id = server.start_experiment("e").await.body["id"].clone();
        let shown = server.get("layers/checkout_layer/allocations").await.body;
        assert_eq!(shown["free"], 87.5);
        assert_eq!(shown["free_ranges"], json!([[1250, 10_000]]));
        assert_eq!(shown["allocations"], json!([{ "experiment": "e", "id": id, "status": "running", "ranges": [[0, 1250]] }]));
    }
}
