//! Experiments: what is accepted, what may change when, how they move.

use crate::bodies::{catalogue, checkout, in_layer, plain};
use crate::harness::{Server, on_both_databases};
use serde_json::{Value, json};

/// Checks that a variation of the checkout experiment is refused at exactly these fields.
async fn refused(server: &Server, change: Value, pointers: &[&str]) {
    let mut body = checkout();
    for (name, value) in change.as_object().unwrap() {
        body[name] = value.clone();
    }
    let answer = server.post("experiments", body).await;
    assert_eq!(answer.problem(422, "invalid"), pointers, "{change}: {answer:?}");
}

on_both_databases! {
    async fn an_unsound_experiment_is_refused_at_its_fields(server) {
        catalogue(server).await;
        server.made("layers", json!({ "name": "accounts", "unit": "account_id" })).await;
        server.made("holdouts", json!({ "name": "account_holdout", "size": 1, "unit": "account_id" })).await;
        let variants = |weights: &[f64]| -> Value {
            weights.iter().enumerate().map(|(i, w)| json!({ "name": format!("v{i}"), "weight": w })).collect()
        };
        for (change, pointers) in [
            (json!({ "variants": variants(&[50.0, 49.0]) }), vec!["/variants"]),
            (json!({ "variants": variants(&[50.0, 50.01]) }), vec!["/variants"]),
            (json!({ "variants": variants(&[50.005, 49.995]) }), vec!["/variants/0/weight", "/variants/1/weight"]),
            (json!({ "variants": variants(&[100.0]) }), vec!["/variants"]),
            (json!({ "variants": variants(&[-1.0, 101.0]) }), vec!["/variants/0/weight", "/variants/1/weight"]),
            (json!({ "variants": [{ "name": "a", "weight": 50 }, { "name": "a", "weight": 50 }] }), vec!["/variants/1/name"]),
            (json!({ "variants": [{ "name": "a", "weight": 50, "is_control": true }, { "name": "b", "weight": 50, "is_control": true }] }), vec!["/variants/1/is_control"]),
            (json!({ "layer": "nowhere" }), vec!["/layer"]),
            (json!({ "layer": "accounts" }), vec!["/unit"]),
            (json!({ "holdouts": ["account_holdout", "nobody"] }), vec!["/holdouts/0", "/holdouts/1"]),
            (json!({ "targeting": { "user_segment": "nobody", "countries": [] } }), vec!["/targeting/countries", "/targeting/user_segment"]),
            (json!({ "targeting": { "countries": "US" } }), vec!["/targeting/countries"]),
            (json!({ "targeting": { "cities": ["Paris"] } }), vec!["/targeting"]),
            (json!({ "targeting": { "all": [{ "segment": "nobody" }] } }), vec!["/targeting"]),
            (json!({ "targeting": { "attribute": "age", "op": "gt", "values": [1, 2] } }), vec!["/targeting/values"]),
            (json!({ "primary_metric": "nothing", "secondary_metrics": ["p99_page_load", "p99_page_load", "x"], "guardrail_metrics": [{ "metric": "y" }] }),
                vec!["/primary_metric", "/secondary_metrics/2", "/guardrail_metrics/0", "/secondary_metrics/1"]),
            (json!({ "guardrail_metrics": [{ "metric": "p99_page_load", "max_degradation": -1, "colour": 1 }] }), vec!["/guardrail_metrics/0/colour", "/guardrail_metrics/0/max_degradation"]),
            (json!({ "min_detectable_effect": 0, "significance_level": 1, "power": 0.4, "estimated_duration_days": 0 }),
                vec!["/estimated_duration_days", "/min_detectable_effect", "/power", "/significance_level"]),
            (json!({ "prerequisites": [{ "flag": "nothing", "variant": "on" }] }), vec!["/prerequisites/0/flag"]),
            (json!({ "overrides": { "u/1": "nobody" } }), vec!["/overrides/u~11"]),
            (json!({ "traffic": 0 }), vec!["/traffic"]),
            (json!({ "traffic": 100.5 }), vec!["/traffic"]),
            (json!({ "start_at": "2027-01-02T00:00:00Z", "end_at": "2027-01-01T00:00:00Z" }), vec!["/end_at"]),
            (json!({ "start_at": "tomorrow" }), vec!["/start_at"]),
            (json!({ "switchback": { "period": "P1M", "anchor": "2026-01-01T00:00:00Z", "cluster": "region" } }), vec!["/switchback/period"]),
            (json!({ "name": "has space", "hypothesis": "x".repeat(4001) }), vec!["/hypothesis", "/name"]),
            (json!({ "status": "running" }), vec!["/status"]),
        ] {
            refused(server, change, &pointers).await;
        }
        assert_eq!(server.get("experiments").await.body["data"], json!([]));
    }

    async fn two_decimals_are_kept(server) {
        catalogue(server).await;
        let mut body = plain("thirds");
        body["traffic"] = json!(0.01);
        body["variants"] = json!([{ "name": "a", "weight": 33.33 }, { "name": "b", "weight": 33.33 }, { "name": "c", "weight": 33.34, "is_control": true }]);
        let made = server.made("experiments", body).await;
        let ranges: Vec<&Value> = made["variants"].as_array().unwrap().iter().map(|v| &v["ranges"]).collect();
        assert_eq!(ranges, [&json!([[0, 3333]]), &json!([[3333, 6666]]), &json!([[6666, 10_000]])]);
        assert_eq!(made["variants"][0]["weight"], 33.33);
        assert_eq!(made["variants"][2]["is_control"], true);
        assert_eq!(made["traffic"], 0.01);
        let started = server.start_experiment("thirds").await;
        assert_eq!(started.body["layer"]["ranges"], json!([[0, 1]]));
        assert_eq!(started.body["layer"]["name"], json!(null), "a layer of its own");
    }

    async fn only_legal_moves_are_made(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let moves = |path: &'static str| server.post(path, json!({}));
        let refused = moves("experiments/e/pause").await;
        refused.problem(409, "illegal_transition");
        assert_eq!(refused.body["allowed"], json!(["start", "archive"]));
        assert_eq!(refused.body["status_now"], "draft");
        server.start_experiment("e").await;
        moves("experiments/e/start").await.problem(409, "illegal_transition");
        moves("experiments/e/resume").await.problem(409, "illegal_transition");
        let refused = moves("experiments/e/archive").await;
        assert_eq!(refused.body["allowed"], json!(["pause", "freeze-enrolment", "complete", "ship"]), "{refused:?}");
        assert_eq!(moves("experiments/e/pause").await.body["status"], "paused");
        assert_eq!(moves("experiments/e/complete").await.body["status"], "completed");
        moves("experiments/e/resume").await.problem(409, "illegal_transition");
        assert_eq!(moves("experiments/e/archive").await.body["status"], "archived");
        assert_eq!(moves("experiments/e/archive").await.body["allowed"], json!([]));
        server.delete("experiments/e").await.problem(409, "not_a_draft");
    }

    async fn only_a_variant_of_its_own_is_shipped(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        server.start_experiment("e").await;
        let refused = server.post("experiments/e/complete", json!({ "ship": "nobody" })).await;
        assert_eq!(refused.problem(422, "invalid"), ["/ship"]);
        assert_eq!(server.get("experiments/e").await.body["status"], "running");
        let done = server.post("experiments/e/complete", json!({ "ship": "treatment" })).await;
        assert_eq!(done.body["shipped"], "treatment");
    }

    async fn what_would_deal_units_anew_is_fixed_by_the_start(server) {
        catalogue(server).await;
        server.made("experiments", in_layer("e", 10.0)).await;
        let patched = server.patch("experiments/e", json!({ "name": "f", "unit": "user_id", "salt": "mine", "power": 0.9 })).await;
        assert_eq!((patched.status.as_u16(), &patched.body["name"]), (200, &json!("f")));
        server.start_experiment("f").await;
        let refused = server.patch("experiments/f", json!({
            "name": "g", "layer": null, "salt": "other", "flag": "x", "primary_metric": "revenue_per_user", "power": 0.8, "min_detectable_effect": 0.5,
            "significance_level": 0.1, "variants": [{ "name": "control", "weight": 50 }, { "name": "other", "weight": 50 }]
        })).await;
        let pointers = refused.problem(422, "invalid");
        assert_eq!(pointers, ["/name", "/layer", "/salt", "/flag", "/variants", "/primary_metric", "/min_detectable_effect", "/significance_level", "/power"]);
        let allowed = server.patch("experiments/f", json!({ "hypothesis": "h", "targeting": { "countries": ["DE"] }, "overrides": { "qa": "treatment" }, "secondary_metrics": ["revenue_per_user"] })).await;
        assert_eq!(allowed.status, 200, "{allowed:?}");
        assert_eq!(allowed.body["phase"], 1, "nobody's variant changed");
    }

    async fn weights_move_as_few_buckets_as_they_can_in_a_new_phase(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        server.start_experiment("e").await;
        let variants = |control: u32| json!({ "variants": [{ "name": "control", "weight": control }, { "name": "treatment", "weight": 100 - control }] });
        let moved = server.patch("experiments/e", variants(40)).await.body;
        assert_eq!(moved["variants"][0]["ranges"], json!([[0, 4000]]));
        assert_eq!(moved["variants"][1]["ranges"], json!([[4000, 10_000]]));
        assert_eq!(moved["phase"], 2);
        assert_eq!(moved["phases"][1]["reason"], "weights changed");
        let back = server.patch("experiments/e", variants(60)).await.body;
        assert_eq!(back["variants"][0]["ranges"], json!([[0, 4000], [8000, 10_000]]));
        assert_eq!(back["variants"][1]["ranges"], json!([[4000, 8000]]));
        assert_eq!(back["phase"], 3);
    }

    async fn traffic_adds_at_the_end_and_takes_from_there(server) {
        catalogue(server).await;
        for (name, traffic) in [("a", 10.0), ("b", 20.0)] {
            server.made("experiments", in_layer(name, traffic)).await;
            server.start_experiment(name).await;
        }
        let ranges = async |traffic: f64| {
            let patched = server.patch("experiments/a", json!({ "traffic": traffic })).await;
            assert_eq!(patched.status, 200, "{patched:?}");
            assert_eq!(patched.body["phase"], 1, "nobody's variant changed");
            patched.body["layer"]["ranges"].clone()
        };
        assert_eq!(ranges(30.0).await, json!([[0, 1000], [3000, 5000]]));
        assert_eq!(ranges(25.5).await, json!([[0, 1000], [3000, 4550]]));
        assert_eq!(ranges(5.0).await, json!([[0, 500]]));
        let full = server.patch("experiments/a", json!({ "traffic": 80.01 })).await;
        full.problem(409, "layer_full");
        assert_eq!(full.body["layer"], "checkout_layer");
        assert_eq!(full.body["held_by"], json!([{ "experiment": "b", "share": 20.0 }]));
        assert_eq!(ranges(80.0).await, json!([[0, 1000], [3000, 10_000]]));
    }

    async fn a_full_layer_says_who_holds_it(server) {
        catalogue(server).await;
        for (name, traffic) in [("a", 70.0), ("b", 40.0)] {
            server.made("experiments", in_layer(name, traffic)).await;
        }
        server.start_experiment("a").await;
        let full = server.start_experiment("b").await;
        full.problem(409, "layer_full");
        assert_eq!((&full.body["free"], &full.body["wanted"]), (&json!(30.0), &json!(40.0)));
        assert_eq!(full.body["detail"], "layer `checkout_layer` has 30 % free, 40 % are wanted; held by `a` 70 %");
        assert_eq!(server.get("experiments/b").await.body["status"], "draft");
        server.post("experiments/a/pause", json!({})).await;
        server.start_experiment("b").await.problem(409, "layer_full");
        server.post("experiments/a/complete", json!({})).await;
        assert_eq!(server.start_experiment("b").await.body["layer"]["ranges"], json!([[0, 4000]]));
    }

    async fn environments_share_definitions_but_not_buckets(server) {
        catalogue(server).await;
        server.made("environments", json!({ "name": "staging" })).await;
        server.made("experiments", in_layer("e", 100.0)).await;
        server.start_experiment("e").await;
        let in_staging = |path: &str, body: Value| {
            let request = server.request(reqwest::Method::POST, path).header("X-Environment", "staging");
            crate::harness::send(request.json(&body))
        };
        assert_eq!(in_staging("experiments", in_layer("e", 100.0)).await.status, 201);
        let started = in_staging("experiments/e/start", json!({})).await;
        assert_eq!(started.body["layer"]["ranges"], json!([[0, 10_000]]), "{started:?}");
    }

    async fn of_two_that_start_at_once_one_gets_the_layer(server) {
        catalogue(server).await;
        for name in ["a", "b", "c", "d"] {
            server.made("experiments", in_layer(name, 60.0)).await;
        }
        let starts = ["a", "b", "c", "d"].map(|name| server.start_experiment(name));
        let answers = futures::future::join_all(starts).await;
        let started = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(started, 1, "{answers:?}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.problem(409, "layer_full");
        }
    }

    async fn of_many_patches_of_one_version_one_is_made(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let patches = (0..6).map(|index| {
            let request = server.request(reqwest::Method::PATCH, "experiments/e").header("If-Match", "\"1\"");
            crate::harness::send(request.json(&json!({ "description": format!("{index}") })))
        });
        let answers = futures::future::join_all(patches).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.problem(412, "stale_version");
        }
        assert_eq!(server.get("experiments/e").await.body["version"], 2);
    }

    async fn clients_ask_by_one_set_of_keys(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let flag = json!({ "key": "e", "type": "boolean", "variants": [{ "name": "on", "value": true }], "default_variant": "on", "off_variant": "on" });
        assert_eq!(server.post("flags", flag.clone()).await.problem(422, "invalid"), ["/key"]);
        let mut serving = flag.clone();
        serving["rules"] = json!([{ "serve": { "experiment": "e" } }]);
        server.made("flags", serving).await;
        let mut other = plain("other");
        other["flag"] = json!("e");
        assert_eq!(server.post("experiments", other.clone()).await.problem(422, "invalid"), ["/flag"]);
        other["flag"] = json!("own_key");
        server.made("experiments", other).await;
        let mut third = plain("third");
        third["flag"] = json!("own_key");
        assert_eq!(server.post("experiments", third).await.problem(422, "invalid"), ["/flag"]);
        server.post("experiments", plain("e")).await.problem(409, "already_exists");
    }
}
