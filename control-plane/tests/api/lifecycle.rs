//! Freezing, shipping, cloning, the launch gate, and which moves are refused.

use crate::bodies::{catalogue, checkout, in_layer, plain};
use crate::harness::{Server, on_both_databases};
use control_plane::publish::compile::compile;
use control_plane::store::{Db, load_environment};
use eval_core::{Context, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What 200 units of the environment's present definitions get of an experiment: (variant, reason) and how many.
async fn decisions(
    server: &Server,
    key: &str,
    prior: Option<&str>,
) -> BTreeMap<(String, String), usize> {
    let db = Db::connect(&server.settings.database_url).await.unwrap();
    let snapshot = load_environment(&db, &server.made.environment_id).await.unwrap();
    db.close().await;
    let config = compile(&snapshot, None).unwrap();
    let mut counts = BTreeMap::new();
    for unit in 0..200 {
        let id = format!("u-{unit}");
        let mut context = Context::new().unit("user_id", id.as_str());
        if let Some(prior) = prior {
            context = context.prior(key, prior);
        }
        let decision = Request::new(&config, &context, None, 0).evaluate(key);
        let variant = decision.variant().unwrap_or_default().to_owned();
        *counts.entry((variant, decision.reason().as_str().to_owned())).or_default() += 1;
    }
    counts
}

fn pair(variant: &str, reason: &str) -> (String, String) {
    (variant.to_owned(), reason.to_owned())
}

on_both_databases! {
    async fn frozen_enrolment_keeps_who_is_in_and_takes_nobody_new(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        server.post("experiments/e/freeze-enrolment", json!({})).await.problem(409, "illegal_transition");
        server.start_experiment("e").await;
        assert_eq!(decisions(server, "e", None).await.keys().cloned().collect::<Vec<_>>(), [pair("control", "split"), pair("treatment", "split")]);
        let doubtful = server.post("experiments/e/freeze-enrolment", json!({})).await;
        doubtful.problem(422, "unacknowledged_warnings");
        assert_eq!(doubtful.body["warnings"][0]["code"], "no_prior_assignments");
        let frozen = server.post("experiments/e/freeze-enrolment", json!({ "acknowledge": ["no_prior_assignments"] })).await;
        assert_eq!((frozen.status.as_u16(), &frozen.body["status"], &frozen.body["phase"]), (200, &json!("running"), &json!(1)));
        assert!(frozen.body["frozen_at"].is_string(), "{frozen:?}");
        assert_eq!(decisions(server, "e", None).await, BTreeMap::from([(pair("control", "frozen"), 200)]));
        assert_eq!(decisions(server, "e", Some("treatment")).await, BTreeMap::from([(pair("treatment", "prior"), 200)]));
        let again = server.post("experiments/e/freeze-enrolment", json!({})).await;
        again.problem(409, "illegal_transition");
        assert_eq!(again.body["allowed"], json!(["pause", "unfreeze", "complete", "ship"]), "{again:?}");
        assert!(again.body["detail"].as_str().unwrap().contains("running with frozen enrolment"));
        assert_eq!(server.post("experiments/e/unfreeze", json!({})).await.body["frozen_at"], json!(null));
        server.post("experiments/e/unfreeze", json!({})).await.problem(409, "illegal_transition");
        let mut sticky = plain("sticky");
        sticky["sticky"] = json!(true);
        server.made("experiments", sticky).await;
        server.start_experiment("sticky").await;
        let frozen = server.post("experiments/sticky/freeze-enrolment", json!({})).await;
        assert_eq!(frozen.status, 200, "edges remember who is in: {frozen:?}");
        let done = server.post("experiments/sticky/complete", json!({})).await;
        assert_eq!(done.body["frozen_at"], json!(null));
        let actions: Vec<Value> = server.get("experiments/sticky/history").await.body["data"].as_array().unwrap().iter().map(|v| v["action"].clone()).collect();
        assert_eq!(actions, ["completed", "enrolment_frozen", "started", "created"]);
    }

    async fn a_switchback_is_not_frozen(server) {
        catalogue(server).await;
        let mut body = plain("e");
        body["switchback"] = json!({ "period": "PT1H", "anchor": "2026-01-01T00:00:00Z", "cluster": "region" });
        server.made("experiments", body).await;
        assert_eq!(server.start_experiment("e").await.status, 200);
        server.post("experiments/e/freeze-enrolment", json!({})).await.problem(409, "not_freezable");
    }

    async fn a_shipped_variant_goes_to_everyone(server) {
        catalogue(server).await;
        server.made("experiments", in_layer("e", 10.0)).await;
        server.post("experiments/e/ship", json!({ "variant": "treatment" })).await.problem(409, "illegal_transition");
        server.start_experiment("e").await;
        assert_eq!(server.post("experiments/e/ship", json!({})).await.problem(422, "invalid"), ["/variant"]);
        assert_eq!(server.post("experiments/e/ship", json!({ "variant": "nobody" })).await.problem(422, "invalid"), ["/variant"]);
        let shipped = server.post("experiments/e/ship", json!({ "variant": "treatment" })).await;
        assert_eq!((&shipped.body["status"], &shipped.body["shipped"]), (&json!("completed"), &json!("treatment")), "{shipped:?}");
        assert_eq!(decisions(server, "e", None).await, BTreeMap::from([(pair("treatment", "shipped"), 200)]));
        let ended = shipped.body["ended_at"].clone();
        let changed = server.post("experiments/e/ship", json!({ "variant": "control" })).await;
        assert_eq!((&changed.body["shipped"], &changed.body["ended_at"]), (&json!("control"), &ended));
        assert_eq!(server.get("experiments/e/history").await.body["data"][0]["action"], "shipped");
    }

    async fn a_clone_is_a_draft_of_its_own(server) {
        catalogue(server).await;
        let mut body = checkout();
        body["end_at"] = json!("2030-01-01T00:00:00Z");
        body["overrides"] = json!({ "qa": "treatment_b" });
        let original = server.made("experiments", body).await;
        let path = format!("experiments/{}/clone", original["id"].as_str().unwrap());
        assert_eq!(server.post(&path, json!({})).await.problem(422, "invalid"), ["/name"]);
        server.post(&path, json!({ "name": original["name"] })).await.problem(409, "already_exists");
        let copy = server.post(&path, json!({ "name": "second_try" })).await;
        assert_eq!(copy.status, 201, "{copy:?}");
        assert_eq!((&copy.body["status"], &copy.body["version"], &copy.body["flag"]), (&json!("draft"), &json!(1), &json!("second_try")));
        assert_ne!(copy.body["salt"], original["salt"]);
        assert_eq!(copy.body["end_at"], json!(null));
        for member in ["hypothesis", "targeting", "overrides", "guardrail_metrics", "primary_metric", "traffic"] {
            assert_eq!(copy.body[member], original[member], "{member}");
        }
        assert_eq!(copy.headers["location"], format!("/api/v1/experiments/{}", copy.body["id"].as_str().unwrap()));
    }

    async fn the_launch_gate_says_what_stands_against_a_start(server) {
        catalogue(server).await;
        server.made("experiments", in_layer("holder", 80.0)).await;
        server.made("experiments", in_layer("e", 30.0)).await;
        let look = async |body: Value| server.post("experiments/e/validate", body).await.body;
        assert_eq!(look(json!({})).await, json!({ "ready": true, "errors": [], "conflicts": [], "warnings": [] }));
        server.start_experiment("holder").await;
        server.patch("experiments/e", json!({ "primary_metric": null, "end_at": "2020-01-01T00:00:00Z", "estimated_duration_days": 3 })).await;
        let found = look(json!({ "acknowledge": ["short_duration"] })).await;
        assert_eq!(found["ready"], false);
        let pointers: Vec<&Value> = found["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
        assert_eq!(pointers, ["/primary_metric", "/end_at"], "{found}");
        assert_eq!(found["conflicts"][0]["code"], "layer_full");
        assert_eq!(found["warnings"][0]["code"], "short_duration");
        server.patch("experiments/e", json!({ "primary_metric": "clicks_per_view", "end_at": null, "traffic": 20 })).await;
        assert_eq!(look(json!({})).await["ready"], false, "the warning is not acknowledged");
        let ready = look(json!({ "acknowledge": ["short_duration"] })).await;
        assert_eq!(ready["ready"], true, "{ready}");
        assert_eq!(server.get("experiments/e").await.body["status"], "draft", "nothing was started");
        assert_eq!(server.post("experiments/e/start", json!({ "acknowledge": ["short_duration"] })).await.status, 200);
        assert_eq!(look(json!({})).await["conflicts"][0]["code"], "illegal_transition");
    }
}
