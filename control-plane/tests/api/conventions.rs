//! What every route does alike: versions, idempotency, pages, request ids, errors.

use crate::bodies::{catalogue, checkout, in_layer, plain};
use crate::harness::{on_both_databases, send};
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;

on_both_databases! {
    async fn a_change_needs_the_current_version(server) {
        catalogue(server).await;
        let layer = server.get("layers/checkout_layer").await;
        assert_eq!(layer.headers["etag"], "\"1\"");
        let patch = json!({ "description": "new" });

        let missing = send(server.request(Method::PATCH, "layers/checkout_layer").json(&patch)).await;
        missing.problem(428, "if_match_required");
        let missing = send(server.request(Method::DELETE, "layers/checkout_layer")).await;
        missing.problem(428, "if_match_required");

        let changed = server.patch("layers/checkout_layer", patch.clone()).await;
        assert_eq!((changed.status.as_u16(), &changed.body["version"]), (200, &json!(2)));
        assert_eq!(changed.headers["etag"], "\"2\"");

        let stale = send(server.request(Method::PATCH, "layers/checkout_layer").header("If-Match", "\"1\"").json(&patch)).await;
        stale.problem(412, "stale_version");
        assert_eq!(stale.body["current_version"], 2);
        assert_eq!(stale.body["current"]["description"], "new");
        let any = send(server.request(Method::PATCH, "layers/checkout_layer").header("If-Match", "*").json(&json!({ "description": null }))).await;
        assert_eq!(any.status, 200);
        assert_eq!(any.body.get("description"), None);

        let unchanged = server.patch("layers/checkout_layer", json!({ "domain_end": 9999 })).await;
        assert_eq!(unchanged.body["version"], 3, "a patch that changes nothing makes no version");
    }

    async fn transitions_honour_the_version_if_it_is_given(server) {
        catalogue(server).await;
        let id = server.made("experiments", plain("e")).await["id"].as_str().unwrap().to_owned();
        let path = format!("experiments/{id}/start");
        let stale = send(server.request(Method::POST, &path).header("If-Match", "\"7\"")).await;
        stale.problem(412, "stale_version");
        let started = send(server.request(Method::POST, &path).header("If-Match", "\"1\"")).await;
        assert_eq!(started.status, 200, "{started:?}");
    }

    async fn a_post_with_a_key_is_done_once(server) {
        catalogue(server).await;
        let post = |key: &str, body: serde_json::Value| {
            server.request(Method::POST, "experiments").header("Idempotency-Key", key).json(&body)
        };
        let first = send(post("k1", checkout())).await;
        assert_eq!(first.status, 201, "{first:?}");
        let again = send(post("k1", checkout())).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        for name in ["etag", "location", "content-type"] {
            assert_eq!(again.headers[name], first.headers[name]);
        }
        assert_eq!(server.get("experiments").await.body["data"].as_array().unwrap().len(), 1);
        send(post("k1", plain("other"))).await.problem(422, "idempotency_key_reused");

        // A refused request changed nothing: the key is free for the corrected one.
        send(post("k2", json!({}))).await.problem(422, "invalid");
        assert_eq!(send(post("k2", plain("other"))).await.status, 201);
    }

    async fn of_requests_with_one_key_at_the_same_time_one_is_done(server) {
        catalogue(server).await;
        let posts = (0..8).map(|_| {
            send(server.request(Method::POST, "sdk-keys").header("Idempotency-Key", "same").json(&json!({ "kind": "server" })))
        });
        let answers = futures::future::join_all(posts).await;
        let made = answers.iter().filter(|answer| answer.body["key"].is_string()).count();
        assert_eq!(made, 1, "{answers:?}");
        for answer in &answers {
            match answer.status.as_u16() {
                201 => {}
                _ => assert!(answer.problem(409, "in_progress").is_empty()),
            }
        }
        // Two of bootstrap, one of the eight.
        assert_eq!(server.get("sdk-keys").await.body["data"].as_array().unwrap().len(), 3);
    }

    async fn a_secret_is_shown_once_even_to_the_same_key(server) {
        let post = || server.request(Method::POST, "api-tokens").header("Idempotency-Key", "t").json(&json!({ "name": "ci", "role": "data" }));
        let first = send(post()).await;
        assert!(first.body["token"].as_str().unwrap().starts_with("st_"));
        let again = send(post()).await;
        assert_eq!(again.body["id"], first.body["id"]);
        assert_eq!(again.body["token"], json!(null));
    }

    async fn pages_go_through_everything_once(server) {
        catalogue(server).await;
        for index in 0..7 {
            server.made("experiments", in_layer(&format!("e{index}"), 10.0)).await;
        }
        for (path, expected) in [("experiments", 7), ("metrics", 8), ("experiments/e3/history", 1)] {
            let mut seen = BTreeSet::new();
            let mut next = format!("{path}?limit=2");
            loop {
                let page = server.get(&next).await;
                assert_eq!(page.status, 200, "{page:?}");
                for item in page.body["data"].as_array().unwrap() {
                    assert!(seen.insert(item.to_string()), "{next}: {item} again");
                }
                let Some(cursor) = page.body["next_cursor"].as_str() else {
                    assert!(!page.headers.contains_key("link"));
                    break;
                };
                let link = format!("</api/v1/{path}?limit=2&cursor={cursor}>; rel=\"next\"");
                assert_eq!(page.headers["link"], link.as_str());
                next = format!("{path}?limit=2&cursor={cursor}");
            }
            assert_eq!(seen.len(), expected, "{path}");
        }
    }

    async fn lists_are_filtered(server) {
        catalogue(server).await;
        for name in ["first", "second", "Third"] {
            server.made("experiments", plain(name)).await;
        }
        server.start_experiment("second").await;
        let names = async |query: &str| -> Vec<String> {
            let page = server.get(&format!("experiments{query}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            page.body["data"].as_array().unwrap().iter().map(|e| e["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("").await, ["Third", "second", "first"], "newest first");
        assert_eq!(names("?status=running").await, ["second"]);
        assert_eq!(names("?q=IR").await, ["Third", "first"]);
        assert_eq!(names("?q=%25").await, [""; 0]);
        for (query, parameter) in [
            ("?limit=0", "limit"), ("?limit=501", "limit"), ("?limit=x", "limit"), ("?status=begun", "status"),
            ("?cursor=%21%21", "cursor"), ("?limt=5", "limt"),
        ] {
            let refused = server.get(&format!("experiments{query}")).await;
            assert_eq!(refused.problem(400, "invalid_parameter"), [parameter], "{query}");
        }
    }

    async fn every_answer_has_a_request_id(server) {
        let given = send(server.request(Method::GET, "projects").header("X-Request-Id", "abc-1")).await;
        assert_eq!(given.headers["x-request-id"], "abc-1");
        let made = server.get("no/such/route").await;
        assert_eq!(made.headers["x-request-id"].len(), 36);
    }

    async fn unknown_routes_and_methods_are_problems(server) {
        server.get("nothing").await.problem(404, "unknown_route");
        server.get("/api").await.problem(404, "unknown_route");
        send(server.anonymous(Method::GET, "nothing")).await.problem(404, "unknown_route");
        send(server.request(Method::PUT, "layers")).await.problem(405, "method_not_allowed");
        send(server.request(Method::DELETE, "/healthz")).await.problem(405, "method_not_allowed");
        assert_eq!(server.get("/healthz").await.body["status"], "ok");
        assert_eq!(server.get("/readyz").await.body["status"], "ready");
    }
}
