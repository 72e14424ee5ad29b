//! History and going back.

use crate::bodies::{catalogue, checkout, in_layer, new_nav};
use crate::harness::on_both_databases;
use serde_json::json;

on_both_databases! {
    async fn a_flag_goes_back_to_an_earlier_version(server) {
        catalogue(server).await;
        server.made("experiments", checkout()).await;
        let first = server.made("flags", new_nav()).await;
        server.patch("flags/new_nav", json!({ "rules": [], "default_variant": "on" })).await;
        server.post("flags/new_nav/kill", json!({})).await;
        let back = server.post("flags/new_nav/rollback", json!({ "version": 1 })).await;
        assert_eq!(back.status, 200, "{back:?}");
        assert_eq!(back.body["version"], 4);
        assert_eq!(back.body["rules"], first["rules"]);
        assert_eq!(back.body["enabled"], true);
        let history = server.get("flags/new_nav/history").await.body;
        let actions: Vec<&str> = history["data"].as_array().unwrap().iter().map(|v| v["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["rolled_back", "killed", "updated", "created"]);
        let killed = &history["data"][1];
        assert_eq!(killed["author"], "bootstrap-admin");
        assert_eq!((&killed["before"]["definition"]["enabled"], &killed["after"]["definition"]["enabled"]), (&json!(true), &json!(false)));
        assert_eq!(history["data"][3]["before"], json!(null));
        for (body, pointer) in [(json!({ "version": 9 }), "/version"), (json!({ "version": 0 }), "/version"), (json!({}), "/version")] {
            assert_eq!(server.post("flags/new_nav/rollback", body).await.problem(422, "invalid"), [pointer]);
        }
    }

    async fn an_experiment_goes_back_under_the_rules_of_a_patch(server) {
        catalogue(server).await;
        server.made("experiments", in_layer("e", 10.0)).await;
        server.patch("experiments/e", json!({ "salt": "mine", "hypothesis": "h" })).await;
        server.start_experiment("e").await;
        server.patch("experiments/e", json!({ "traffic": 30 })).await;
        let back = server.post("experiments/e/rollback", json!({ "version": 3 })).await;
        assert_eq!(back.status, 200, "{back:?}");
        assert_eq!((&back.body["traffic"], &back.body["status"]), (&json!(10), &json!("running")));
        assert_eq!(back.body["layer"]["ranges"], json!([[0, 1000]]));
        let refused = server.post("experiments/e/rollback", json!({ "version": 1 })).await;
        assert_eq!(refused.problem(422, "invalid"), ["/salt"]);
    }

    async fn shared_definitions_have_a_history_too(server) {
        catalogue(server).await;
        server.patch("metrics/revenue_per_user", json!({ "cap": 500 })).await;
        let back = server.post("metrics/revenue_per_user/rollback", json!({ "version": 1 })).await;
        assert_eq!(back.body.get("cap"), None, "{back:?}");
        let history = server.get("metrics/revenue_per_user/history?limit=2").await.body;
        assert_eq!(history["data"].as_array().unwrap().len(), 2);
        assert!(history["next_cursor"].is_string());
        for path in ["projects/default/history", "environments/production/history", "layers/checkout_layer/history"] {
            assert_eq!(server.get(path).await.body["data"][0]["action"], "created", "{path}");
        }
    }
}
