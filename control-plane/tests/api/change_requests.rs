//! Change requests: what a guarded environment refuses, who may approve, and that what was proposed is what is done.

use crate::bodies::{catalogue, plain};
use crate::harness::{Server, on_both_databases, send};
use crate::people::{Session, session, user};
use reqwest::Method;
use serde_json::{Value, json};

/// Experiments `e` (running) and `draft`, and an environment that takes `required` approvals.
async fn guarded(server: &Server, required: u32) {
    catalogue(server).await;
    for name in ["e", "draft"] {
        server.made("experiments", plain(name)).await;
    }
    server.start_experiment("e").await;
    let path = format!("environments/{}", server.made.environment_id);
    let patched = server.patch(&path, json!({ "required_approvals": required })).await;
    assert_eq!(patched.status, 200, "{patched:?}");
}

async fn people(server: &Server) -> [Session; 3] {
    for (email, role) in [("a@x.org", "publisher"), ("b@x.org", "publisher"), ("c@x.org", "admin")]
    {
        user(server, email, json!([{ "project": "default", "role": role }])).await;
    }
    [
        session(server, "a@x.org").await,
        session(server, "b@x.org").await,
        session(server, "c@x.org").await,
    ]
}

on_both_databases! {
    async fn what_edges_serve_takes_approvals(server) {
        guarded(server, 1).await;
        let [a, b, _] = people(server).await;
        let path = "experiments/e?comment=more";
        let wider = || Some(json!({ "traffic": 50 }));
        let refused = a.send(server, Method::PATCH, path, wider()).await;
        refused.problem(409, "needs_approval");
        assert_eq!(refused.body["required_approvals"], 1, "{refused:?}");
        assert_eq!(a.send(server, Method::PATCH, "experiments/e", Some(json!({ "description": "words" }))).await.status, 200, "words are not served");
        assert_eq!(a.send(server, Method::PATCH, "experiments/draft", Some(json!({ "traffic": 50 }))).await.status, 200, "drafts are not served");
        for (path, body) in [("experiments/draft/start", json!({ "acknowledge": ["overlapping_audience"] })), ("experiments/e/complete", json!({})), ("experiments/e/pause", json!({})),
            ("import", json!({ "sortition": 1, "experiments": [{ "name": "e", "traffic": 20, "primary_metric": "clicks_per_view", "variants": plain("e")["variants"] }] })),
            ("schedules", json!({ "experiment": "e", "steps": [{ "at": "2999-01-01T00:00:00Z", "action": "pause" }] }))] {
            a.send(server, Method::POST, path, Some(body)).await.problem(409, "needs_approval");
        }
        let preview = a.send(server, Method::PATCH, "experiments/e?dry_run=true", wider()).await;
        assert_eq!(preview.status, 200, "{preview:?}");

        let wrong = a.send(server, Method::PATCH, "experiments/e?propose=true", Some(json!({ "traffic": 101 }))).await;
        assert_eq!(wrong.problem(422, "invalid"), ["/traffic"], "what is refused is not proposed");
        let proposed = a.send(server, Method::PATCH, &format!("{path}&propose=true"), wider()).await;
        assert_eq!((proposed.status.as_u16(), &proposed.body["status"], &proposed.body["approved"]), (202, &json!("open"), &json!(false)), "{proposed:?}");
        assert_eq!((&proposed.body["comment"], &proposed.body["body"]), (&json!("more"), &json!({ "traffic": 50 })));
        assert_eq!(proposed.body["preview"]["changes"][0]["resource"], "e");
        assert_eq!(server.get("experiments/e").await.body["traffic"], 100);
        let request = format!("change-requests/{}", proposed.body["id"].as_str().unwrap());
        a.send(server, Method::POST, &format!("{request}/apply"), None).await.problem(409, "needs_approval");
        a.send(server, Method::POST, &format!("{request}/approve"), None).await.problem(409, "own_change_request");
        server.post(&format!("{request}/approve"), json!({})).await.problem(403, "forbidden");
        for _ in 0..2 {
            let approved = b.send(server, Method::POST, &format!("{request}/approve"), None).await;
            assert_eq!((&approved.body["approved"], approved.body["approvals"].as_array().unwrap().len()), (&json!(true), 1), "{approved:?}");
        }
        let applied = a.send(server, Method::POST, &format!("{request}/apply"), None).await;
        assert_eq!((applied.status.as_u16(), &applied.body["status"], &applied.body["ended_by"]), (200, &json!("applied"), &json!("a@x.org")), "{applied:?}");
        assert_eq!(server.get("experiments/e").await.body["traffic"], 50);
        let version = server.get("experiments/e/history").await.body["data"][0].clone();
        let comment = version["comment"].as_str().unwrap();
        assert!(comment.contains("by a@x.org, approved by b@x.org: more"), "{comment}");
        for action in ["apply", "approve", "close"] {
            b.send(server, Method::POST, &format!("{request}/{action}"), None).await.problem(409, "not_open");
        }
        assert_eq!(server.get("change-requests?status=applied").await.body["data"].as_array().unwrap().len(), 1);
        let actions: Vec<Value> = server.get("audit?kind=change_request").await.body["data"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
        assert_eq!(actions, ["applied", "approved", "proposed"]);
    }

    async fn what_is_stale_by_then_is_refused_and_stays_open(server) {
        guarded(server, 1).await;
        let [a, b, _] = people(server).await;
        let version = server.get("experiments/e").await.headers["etag"].to_str().unwrap().to_owned();
        let proposal = server.request(Method::PATCH, "experiments/e?propose=true").header("If-Match", version).json(&json!({ "traffic": 50 }));
        let request = format!("change-requests/{}", send(proposal).await.body["id"].as_str().unwrap());
        a.send(server, Method::PATCH, "experiments/e", Some(json!({ "description": "meanwhile" }))).await;
        b.send(server, Method::POST, &format!("{request}/approve"), None).await;
        a.send(server, Method::POST, &format!("{request}/apply"), None).await.problem(412, "stale_version");
        assert_eq!(server.get(&request).await.body["status"], "open");
        assert_eq!(a.send(server, Method::POST, &format!("{request}/close"), None).await.body["status"], "closed");
    }

    async fn only_named_approvers_count_and_the_rule_guards_itself(server) {
        guarded(server, 1).await;
        let [a, b, c] = people(server).await;
        let path = format!("environments/{}", server.made.environment_id);
        server.patch(&path, json!({ "required_approvals": 0 })).await.problem(409, "needs_approval");
        server.patch(&path, json!({ "approvers": ["c@x.org"] })).await.problem(409, "needs_approval");
        let unexplained = c.send(server, Method::PATCH, &format!("{path}?emergency=true"), Some(json!({}))).await;
        assert_eq!(unexplained.problem(400, "invalid_parameter"), ["emergency"]);
        let bypass = c.send(server, Method::PATCH, &format!("{path}?emergency=true&comment=set%20up"), Some(json!({ "approvers": ["c@x.org"] }))).await;
        assert_eq!(bypass.status, 200, "{bypass:?}");
        let proposed = a.send(server, Method::POST, "experiments/e/pause?propose=true", Some(json!({}))).await;
        let request = format!("change-requests/{}", proposed.body["id"].as_str().unwrap());
        assert_eq!(b.send(server, Method::POST, &format!("{request}/approve"), None).await.body["approved"], false, "not one of the named");
        assert_eq!(c.send(server, Method::POST, &format!("{request}/approve"), None).await.body["approved"], true);
        assert_eq!(b.send(server, Method::POST, &format!("{request}/apply"), None).await.status, 200);
        assert_eq!(server.get("experiments/e").await.body["status"], "paused");
    }

    async fn in_an_emergency_an_admin_acts_alone_and_it_is_logged(server) {
        guarded(server, 2).await;
        let [a, _, c] = people(server).await;
        let pause = "experiments/e/pause?emergency=true&comment=revenue%20falls";
        a.send(server, Method::POST, pause, None).await.problem(403, "forbidden");
        assert_eq!(c.send(server, Method::POST, "experiments/e/pause?emergency=true", None).await.problem(400, "invalid_parameter"), ["emergency"], "it takes a reason");
        let paused = c.send(server, Method::POST, pause, None).await;
        assert_eq!(paused.body["status"], "paused", "{paused:?}");
        let entry = server.get("audit?action=approval_bypassed").await.body["data"][0].clone();
        assert_eq!((&entry["actor"], &entry["comment"]), (&json!("c@x.org"), &json!("revenue falls")), "{entry}");
    }

    async fn an_experimenter_proposes_what_only_publishers_may_do(server) {
        guarded(server, 0).await;
        user(server, "e@x.org", json!([{ "project": "default", "role": "experimenter" }])).await;
        let (e, [a, ..]) = (session(server, "e@x.org").await, people(server).await);
        let wider = || Some(json!({ "traffic": 50 }));
        e.send(server, Method::PATCH, "experiments/e", wider()).await.problem(403, "needs_publisher");
        let proposed = e.send(server, Method::PATCH, "experiments/e?propose=true", wider()).await;
        assert_eq!(proposed.status, 202, "{proposed:?}");
        let request = format!("change-requests/{}", proposed.body["id"].as_str().unwrap());
        e.send(server, Method::POST, &format!("{request}/apply"), None).await.problem(403, "forbidden");
        assert_eq!(a.send(server, Method::POST, &format!("{request}/apply"), None).await.status, 200);
        assert_eq!(server.get("experiments/e").await.body["traffic"], 50);
        e.send(server, Method::POST, "experiments/e/pause?propose=true", None).await.problem(403, "forbidden");
    }
}
