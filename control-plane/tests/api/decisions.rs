//! Decisions: made once, kept for ever, approved by others.

use crate::bodies::{catalogue, plain};
use crate::harness::on_both_databases;
use crate::people::{session, user};
use control_plane::store::Db;
use reqwest::Method;
use serde_json::json;

on_both_databases! {
    async fn a_decision_is_made_once_and_ends_the_experiment(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let path = "experiments/e/decision";
        let kill = json!({ "decision": "kill", "reason": "no effect" });
        server.post(path, kill.clone()).await.problem(409, "not_decidable");
        server.start_experiment("e").await;
        server.get(path).await.problem(404, "not_found");
        for (body, pointer) in [
            (json!({ "decision": "ship", "reason": "r" }), "/variant"),
            (json!({ "decision": "kill", "variant": "treatment", "reason": "r" }), "/variant"),
            (json!({ "decision": "ship", "variant": "nobody", "reason": "r" }), "/variant"),
            (json!({ "decision": "kill", "reason": "" }), "/reason"),
            (json!({ "decision": "perhaps", "reason": "r" }), "/decision"),
        ] {
            assert_eq!(server.post(path, body.clone()).await.problem(422, "invalid"), [pointer], "{body}");
        }
        let ship = json!({ "decision": "ship", "variant": "treatment", "reason": "people like it" });
        let doubtful = server.post(path, ship.clone()).await;
        doubtful.problem(422, "unacknowledged_warnings");
        assert_eq!(doubtful.body["warnings"][0]["code"], "no_results");
        let mut accepted = ship.clone();
        accepted["acknowledge"] = json!(["no_results"]);
        let preview = server.post(&format!("{path}?dry_run=true"), accepted.clone()).await;
        assert_eq!((preview.status.as_u16(), &preview.body["dry_run"]), (200, &json!(true)), "{preview:?}");
        let made = server.post(path, accepted.clone()).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!((&made.body["author"], &made.body["acknowledged"], &made.body["version"]), (&json!("bootstrap-admin"), &json!(["no_results"]), &json!(2)));
        assert_eq!(made.body["results"]["status"], "no_data");
        let experiment = server.get("experiments/e").await.body;
        assert_eq!((&experiment["status"], &experiment["shipped"]), (&json!("completed"), &json!("treatment")));
        server.post(path, kill).await.problem(409, "already_decided");
        assert_eq!(server.get(path).await.body, made.body);
        let entry = server.get("audit?kind=decision").await.body["data"][0].clone();
        assert_eq!((&entry["action"], &entry["resource"]), (&json!("decided"), &json!("e")));

        let db = Db::connect(&server.settings.database_url).await.unwrap();
        for damage in ["UPDATE decisions SET record = '{}'", "DELETE FROM decisions"] {
            let mut tx = db.write().await.unwrap();
            let refused = tx.execute(damage, []).await.unwrap_err().to_string();
            assert!(refused.contains("immutable"), "{damage}: {refused}");
        }
        db.close().await;
    }

    async fn a_kill_takes_back_what_was_shipped(server) {
        catalogue(server).await;
        for (name, verdict, shipped) in [("a", "kill", json!(null)), ("b", "invalid", json!("treatment"))] {
            server.made("experiments", plain(name)).await;
            assert_eq!(server.start_experiment(name).await.status, 200);
            server.made(&format!("experiments/{name}/ship"), json!({ "variant": "treatment" })).await;
            server.made(&format!("experiments/{name}/decision"), json!({ "decision": verdict, "reason": "r" })).await;
            assert_eq!(server.get(&format!("experiments/{name}")).await.body["shipped"], shipped, "{verdict}");
        }
    }

    async fn others_approve_in_person(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        server.start_experiment("e").await;
        for (email, role) in [("a@x.org", "publisher"), ("b@x.org", "publisher"), ("v@x.org", "viewer")] {
            user(server, email, json!([{ "project": "default", "role": role }])).await;
        }
        let (a, b, v) = (session(server, "a@x.org").await, session(server, "b@x.org").await, session(server, "v@x.org").await);
        let body = json!({ "decision": "iterate", "reason": "a second try" });
        let made = a.send(server, Method::POST, "experiments/e/decision", Some(body)).await;
        assert_eq!(made.status, 201, "{made:?}");
        let path = "experiments/e/decision/approvals";
        a.send(server, Method::POST, path, None).await.problem(409, "own_decision");
        v.send(server, Method::POST, path, None).await.problem(403, "forbidden");
        server.post(path, json!({})).await.problem(403, "forbidden");
        for _ in 0..2 {
            let approved = b.send(server, Method::POST, &format!("{path}?comment=fine"), None).await;
            let approvals = approved.body["approvals"].as_array().unwrap();
            assert_eq!(approvals.len(), 1, "{approved:?}");
            assert_eq!((&approvals[0]["approver"], &approvals[0]["comment"]), (&json!("b@x.org"), &json!("fine")));
        }
        assert_eq!(server.get("experiments/e/decision").await.body["approvals"][0]["approver"], "b@x.org");
    }
}
