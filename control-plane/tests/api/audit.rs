//! The audit log, comments, dry runs, rate limits.

use crate::bodies::{catalogue, checkout, in_layer, plain};
use crate::harness::{Database, Server, on_both_databases, send};
use control_plane::store::Db;
use control_plane::store::audit::verify;
use reqwest::Method;
use serde_json::json;

on_both_databases! {
    async fn what_is_done_is_logged_with_author_comment_and_diff(server) {
        server.made("layers?comment=because%20of%20Q1", json!({ "name": "l" })).await;
        server.patch("layers/l", json!({ "description": "d" })).await;
        let log = server.get("audit?kind=layer").await;
        let entries = log.body["data"].as_array().unwrap();
        assert_eq!(entries.len(), 2, "{log:?}");
        assert_eq!(entries[0]["action"], "updated");
        let diff = json!([{ "pointer": "/definition/description", "after": "d" }]);
        assert_eq!(entries[0]["diff"], diff);
        assert_eq!((&entries[1]["comment"], &entries[1]["project"]), (&json!("because of Q1"), &json!("default")));
        assert_eq!((&entries[1]["actor"], &entries[1]["actor_kind"]), (&json!("bootstrap-admin"), &json!("token")));
        let history = server.get("layers/l/history").await;
        assert_eq!(history.body["data"][1]["comment"], "because of Q1");
        assert_eq!(history.body["data"][0]["diff"], diff);
        for (query, n) in [("action=updated", 1), ("resource=l&kind=layer", 2), ("actor=nobody", 0), ("kind=layer&until=2020-01-01T00:00:00Z", 0)] {
            assert_eq!(server.get(&format!("audit?{query}")).await.body["data"].as_array().unwrap().len(), n, "{query}");
        }
        let page = server.get("audit?limit=1").await;
        assert!(page.headers.contains_key("link"), "{page:?}");
        let export = server.get("audit/export").await;
        let lines = export.body.as_str().unwrap().lines().count();
        let verdict = server.get("audit/verify").await.body;
        assert_eq!((&verdict["intact"], &verdict["n_entries"]), (&json!(true), &json!(lines)));
    }

    async fn an_admin_of_one_project_sees_its_entries_alone(server) {
        server.made("layers", json!({ "name": "l" })).await;
        server.made("projects", json!({ "name": "acme" })).await;
        let made = server.made("api-tokens", json!({ "name": "a", "role": "admin", "project": "acme" })).await;
        let get = |path: &str| server.anonymous(Method::GET, path).bearer_auth(made["token"].as_str().unwrap());
        let log = send(get("audit")).await;
        let entries = log.body["data"].as_array().unwrap();
        assert!(!entries.is_empty() && entries.iter().all(|e| e["project"] == "acme"), "{log:?}");
        send(get("audit?project=default")).await.problem(404, "not_found");
        send(get("audit/verify")).await.problem(403, "forbidden");
        let export = send(get("audit/export")).await;
        assert!(!export.body.to_string().contains("\"default\""), "{export:?}");
    }

    async fn every_change_of_the_log_is_found(server) {
        for name in ["a", "b", "c"] {
            server.made("layers", json!({ "name": name })).await;
        }
        let db = Db::connect(&server.settings.database_url).await.unwrap();
        let check = async |anchor: Option<(i64, &str)>| {
            let mut tx = db.read().await.unwrap();
            verify(&mut tx, anchor).await.unwrap()
        };
        let intact = check(None).await;
        assert_eq!(intact.broken_at, None, "{intact:?}");
        let anchor = (intact.n_entries, intact.head.as_str());
        assert_eq!(check(Some(anchor)).await.broken_at, None);
        assert_eq!(check(Some((2, "0123"))).await.broken_at, Some(2));
        let mut tx = db.write().await.unwrap();
        let refused = tx.execute("UPDATE audit SET actor = 'x' WHERE seq = 2", []).await;
        assert!(refused.unwrap_err().to_string().contains("append-only"));
        drop(tx);
        let off: &[&str] = match &db {
            Db::Sqlite { .. } => &["DROP TRIGGER audit_is_not_changed", "DROP TRIGGER audit_is_not_deleted"],
            Db::Postgres(_) => &["DROP TRIGGER audit_is_not_changed ON audit"],
        };
        let last = intact.n_entries;
        for (damage, at) in [
            ("UPDATE audit SET actor = 'x' WHERE seq = 2", 2),
            ("UPDATE audit SET diff = '[]' WHERE seq = 3", 3),
            ("UPDATE audit SET comment = '' WHERE seq = 1", 1),
            ("DELETE FROM audit WHERE seq = 2", 2),
            ("DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)", last),
            ("UPDATE audit_head SET seq = seq + 1", last + 1),
        ] {
            let mut tx = db.write().await.unwrap();
            for statement in off {
                tx.execute(statement, []).await.unwrap();
            }
            assert_eq!(tx.execute(damage, []).await.unwrap(), 1, "{damage}");
            let found = verify(&mut tx, None).await.unwrap();
            assert_eq!(found.broken_at, Some(at), "{damage}: {found:?}");
            // Dropped: the next damage is done to an intact log.
        }
        db.close().await;
    }

    async fn a_dry_run_says_what_would_happen_and_does_nothing(server) {
        catalogue(server).await;
        let created = server.post("experiments?dry_run=true", plain("e")).await;
        assert_eq!(created.status, 200, "{created:?}");
        assert_eq!(created.body["changes"][0]["action"], "created");
        server.get("experiments/e").await.problem(404, "not_found");
        server.post("experiments?dry_run=true", json!({})).await.problem(422, "invalid");
        server.post("experiments?dry_run=1", plain("e")).await.problem(400, "invalid_parameter");

        server.made("experiments", in_layer("e", 10.0)).await;
        let doubtful = checkout();
        let path = format!("experiments/{}", doubtful["name"].as_str().unwrap());
        server.made("experiments", doubtful.clone()).await;
        let start = server.post(&format!("{path}/start?dry_run=true"), json!({})).await;
        assert_eq!(start.status, 200, "{start:?}");
        assert!(!start.body["warnings"].as_array().unwrap().is_empty(), "{start:?}");
        assert_eq!(server.get(&path).await.body["status"], "draft");
        server.start_experiment("e").await;
        let before = server.get("audit?limit=1").await.body["data"][0]["seq"].clone();
        let patch = |body| server.request(Method::PATCH, "experiments/e?dry_run=true").header("If-Match", "*").json(&body);
        let wider = send(patch(json!({ "traffic": 30 }))).await;
        assert_eq!(wider.status, 200, "{wider:?}");
        let environment = &wider.body["environments"][0];
        assert_eq!(environment["changes_what_is_served"], true);
        let moved = &environment["moved"][0];
        assert_eq!((&moved["key"], &moved["n_units"]), (&json!("e"), &json!(2000)));
        // A tenth of the layer takes part before, three tenths after; nobody who takes part is moved.
        let entered = moved["n_entered"].as_u64().unwrap();
        assert!((300..500).contains(&entered), "{moved}");
        assert_eq!(moved["n_left"], 0);
        let words = send(patch(json!({ "description": "words" }))).await;
        assert_eq!(words.body["environments"][0]["changes_what_is_served"], false, "{words:?}");
        assert_eq!(words.body["environments"][0]["moved"], json!([]));
        assert_eq!(server.get("experiments/e").await.body["traffic"], 10);
        assert_eq!(server.get("audit?limit=1").await.body["data"][0]["seq"], before, "nothing was logged");
        // A key that came with a dry run is free for the real thing.
        let keyed = |path: &str| server.request(Method::POST, path).header("Idempotency-Key", "k").json(&plain("f"));
        assert_eq!(send(keyed("experiments?dry_run=true")).await.status, 200);
        assert_eq!(send(keyed("experiments")).await.status, 201);
    }

    async fn migrations_go_back_and_forward(server) {
        // It has started when it answers, and rests afterwards.
        server.get("layers").await;
        // SQLite's database has one writer, so another one is taken there.
        let url = match &server.settings.database_url {
            url if url.starts_with("sqlite:") => format!("{url}.second"),
            url => url.clone(),
        };
        let db = Db::open(&url).await.unwrap();
        if url.starts_with("sqlite:") {
            for version in [110, 100, 0] {
                db.migrate_to(version).await.unwrap();
            }
            db.migrate_to(i64::MAX).await.unwrap();
        } else {
            db.migrate_to(101).await.unwrap();
            db.migrate_to(i64::MAX).await.unwrap();
        }
        let mut tx = db.read().await.unwrap();
        assert_eq!(verify(&mut tx, None).await.unwrap().broken_at, None);
        drop(tx);
        db.close().await;
    }
}

#[tokio::test]
async fn a_caller_who_asks_too_often_is_told_when_to_come_back() {
    let server =
        Server::start_with(Database::Sqlite, |settings| settings.rate_limit_per_minute = 3)
            .await
            .unwrap();
    for left in [2, 1, 0] {
        let answer = server.get("layers").await;
        assert_eq!(answer.headers["ratelimit-policy"], "\"requests\";q=3;w=60");
        let limit = answer.headers["ratelimit"].to_str().unwrap();
        assert!(limit.starts_with(&format!("\"requests\";r={left};t=")), "{limit}");
    }
    let refused = server.get("layers").await;
    refused.problem(429, "too_many_requests");
    assert!(refused.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 20);
    server.stop().await;
}
