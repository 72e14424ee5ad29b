//! Experiments as code: out, in again, and what differs.

use crate::bodies::{catalogue, checkout, in_layer, new_nav};
use crate::harness::{Answer, Server, on_both_databases, send};
use reqwest::Method;
use serde_json::{Value, json};

async fn import(server: &Server, project: &str, query: &str, document: &Value) -> Answer {
    send(
        server
            .request(Method::POST, &format!("import{query}"))
            .header("X-Project", project)
            .json(document),
    )
    .await
}

async fn export(server: &Server, project: &str) -> Value {
    send(server.request(Method::GET, "export").header("X-Project", project)).await.body
}

/// An environment with something of every kind, each referring to others.
async fn furnish(server: &Server) {
    catalogue(server).await;
    server.made("holdouts", json!({ "name": "global_2026", "size": 5, "scope": "project" })).await;
    server.made("experiments", checkout()).await;
    server.made("flags", new_nav()).await;
    server.made("experiments", in_layer("e", 10.0)).await;
    server.start_experiment("e").await;
}

on_both_databases! {
    async fn what_goes_out_comes_in_again_as_it_was(server) {
        furnish(server).await;
        let document = export(server, "default").await;
        assert_eq!(document["sortition"], 1);
        for (list, n) in [("segments", 1), ("layers", 1), ("holdouts", 1), ("metrics", 8), ("experiments", 2), ("flags", 1)] {
            assert_eq!(document[list].as_array().unwrap().len(), n, "{list}");
        }
        let again = import(server, "default", "", &document).await;
        assert_eq!(again.body, json!({ "created": [], "updated": [], "n_unchanged": 14 }), "{again:?}");
        server.made("projects", json!({ "name": "acme" })).await;
        let planned = import(server, "acme", "?dry_run=true", &document).await;
        assert_eq!((planned.status.as_u16(), planned.body["changes"].as_array().unwrap().len()), (200, 14), "{planned:?}");
        assert_eq!(export(server, "acme").await["metrics"], json!([]), "a plan changes nothing");
        let made = import(server, "acme", "", &document).await;
        assert_eq!(made.body["created"].as_array().unwrap().len(), 14, "{made:?}");
        assert_eq!(export(server, "acme").await, document);
        let status = send(server.request(Method::GET, "experiments/e").header("X-Project", "acme")).await;
        assert_eq!(status.body["status"], "draft", "where a thing stands is not part of the document");
    }

    async fn yaml_says_the_same(server) {
        furnish(server).await;
        let document = export(server, "default").await;
        let yaml = server.get("export?format=yaml").await;
        assert_eq!(yaml.headers["content-type"], "application/yaml");
        let text = yaml.body.as_str().unwrap().to_owned();
        assert!(text.contains("sortition: 1"), "{text}");
        server.made("projects", json!({ "name": "acme" })).await;
        let post = |text: String| {
            let request = server.request(Method::POST, "import").header("X-Project", "acme");
            send(request.header("Content-Type", "application/yaml").body(text))
        };
        assert_eq!(post(text).await.body["created"].as_array().unwrap().len(), 14);
        assert_eq!(export(server, "acme").await, document);
        post("a: [".to_owned()).await.problem(400, "malformed_json");
        post("- 1".to_owned()).await.problem(422, "invalid");
        // Nine aliases of nine aliases of …: a few bytes that would be gigabytes.
        let mut bomb = vec!["a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned()];
        for level in 1..12 {
            let before = level - 1;
            let aliases = vec![format!("*a{before}"); 9].join(", ");
            bomb.push(format!("a{level}: &a{level} [{aliases}]\n"));
        }
        post(bomb.concat()).await.problem(400, "malformed_json");
        server.get("export?format=xml").await.problem(400, "invalid_parameter");
    }

    async fn what_differs_is_changed_and_the_rest_stays(server) {
        furnish(server).await;
        let change = json!({
            "sortition": 1,
            "metrics": [{ "name": "clicks", "kind": "count", "event": "click", "cap": 50 }],
            "experiments": [{ "name": "e", "layer": "checkout_layer", "traffic": 20, "primary_metric": "clicks_per_view",
                              "variants": [{ "name": "control", "weight": 50 }, { "name": "treatment", "weight": 50 }] }],
        });
        let planned = import(server, "default", "?dry_run=true", &change).await.body;
        let diffs: Vec<&Value> = planned["changes"].as_array().unwrap().iter().map(|c| &c["diff"][0]["pointer"]).collect();
        assert_eq!(diffs, ["/definition/cap", "/definition/traffic"], "{planned}");
        assert_eq!(planned["environments"][0]["moved"][0]["key"], "e");
        let salt = server.get("experiments/e").await.body["salt"].clone();
        let done = import(server, "default", "?comment=from%20git", &change).await;
        assert_eq!(done.body, json!({ "created": [], "updated": ["metric clicks", "experiment e"], "n_unchanged": 0 }), "{done:?}");
        let experiment = server.get("experiments/e").await.body;
        assert_eq!((&experiment["traffic"], &experiment["salt"], &experiment["status"]), (&json!(20), &salt, &json!("running")));
        assert_eq!(server.get("experiments/e/history").await.body["data"][0]["comment"], "from git");
        assert_eq!(import(server, "default", "", &change).await.body["n_unchanged"], 2, "twice is once");
        assert_eq!(server.get("metrics").await.body["data"].as_array().unwrap().len(), 8);
    }

    async fn all_of_it_is_put_or_nothing(server) {
        furnish(server).await;
        let before = export(server, "default").await;
        for (document, status, code, pointer) in [
            (json!({}), 422, "invalid", "/sortition"),
            (json!({ "sortition": 2 }), 422, "invalid", "/sortition"),
            (json!({ "sortition": 1, "things": [] }), 422, "invalid", "/things"),
            (json!({ "sortition": 1, "layers": [{ "name": "l" }, { "name": "has space" }] }), 422, "invalid", "/layers/1/name"),
            (json!({ "sortition": 1, "layers": [{ "name": "l" }, { "name": "l" }] }), 422, "invalid", "/layers/1"),
            (json!({ "sortition": 1, "layers": [{ "name": "l" }], "flags": [{ "key": "f", "type": "boolean", "variants": [{ "name": "on", "value": true }],
                "default_variant": "on", "off_variant": "on", "rules": [{ "serve": { "experiment": "nobody" } }] }] }), 422, "invalid", "/flags/0/rules/0/serve/experiment"),
        ] {
            let refused = import(server, "default", "", &document).await;
            let pointers = refused.problem(status, code);
            assert!(pointers.iter().any(|found| found.starts_with(pointer)), "{document}: {pointers:?}");
        }
        let mut locked = before.clone();
        locked["experiments"][1]["primary_metric"] = json!("clicks");
        locked["layers"] = json!([{ "name": "new" }]);
        let index = locked["experiments"].as_array().unwrap().iter().position(|e| e["name"] == "e").unwrap();
        locked["experiments"][index]["unit"] = json!("anonymous_id");
        import(server, "default", "", &locked).await.problem(422, "invalid");
        assert_eq!(export(server, "default").await, before, "nothing was put");
    }
}
