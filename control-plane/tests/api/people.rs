//! Users, sessions, and what experimenters may write.

use crate::bodies::{catalogue, checkout, plain};
use crate::harness::{Answer, Server, on_both_databases, send};
use reqwest::Method;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse battery";

/// A signed-in user.
pub struct Session {
    cookie: String,
    csrf: String,
}

async fn sign_in(server: &Server, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    send(server.anonymous(Method::POST, "session").json(&body)).await
}

pub async fn session(server: &Server, email: &str) -> Session {
    let answer = sign_in(server, email, PASSWORD).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    Session {
        cookie: cookie.split(';').next().unwrap().to_owned(),
        csrf: answer.body["csrf_token"].as_str().unwrap().to_owned(),
    }
}

impl Session {
    pub async fn send(
        &self,
        server: &Server,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut request = server
            .anonymous(method, path)
            .header("Cookie", &self.cookie)
            .header("X-CSRF-Token", &self.csrf)
            .header("If-Match", "*");
        if let Some(body) = body {
            request = request.json(&body);
        }
        send(request).await
    }
}

pub async fn user(server: &Server, email: &str, grants: Value) -> Value {
    let body = json!({ "email": email, "password": PASSWORD, "grants": grants });
    server.made("users", body).await
}

on_both_databases! {
    async fn a_user_signs_in_writes_and_signs_out(server) {
        let made = user(server, "Ada@Example.org", json!([{ "role": "admin" }])).await;
        assert_eq!((&made["email"], &made["has_password"]), (&json!("ada@example.org"), &json!(true)));
        assert!(!made.to_string().contains("argon2") && !made.to_string().contains(PASSWORD));
        let ada = session(server, "ada@example.ORG").await;
        let me = ada.send(server, Method::GET, "me", None).await;
        assert_eq!((&me.body["kind"], &me.body["csrf_token"]), (&json!("user"), &json!(ada.csrf)));
        let layer = ada.send(server, Method::POST, "layers", Some(json!({ "name": "l" }))).await;
        assert_eq!(layer.status, 201, "{layer:?}");
        assert_eq!(server.get("layers/l/history").await.body["data"][0]["author"], "ada@example.org");
        assert_eq!(ada.send(server, Method::POST, "session/end", None).await.status, 204);
        ada.send(server, Method::GET, "me", None).await.problem(401, "unauthorized");
    }

    async fn a_write_of_a_session_needs_its_token_and_a_cookie_of_another_ends(server) {
        user(server, "a@x.org", json!([{ "role": "admin" }])).await;
        let first = session(server, "a@x.org").await;
        let body = json!({ "name": "l" });
        let forged = server.anonymous(Method::POST, "layers").header("Cookie", &first.cookie).json(&body);
        send(forged).await.problem(403, "forbidden");
        let wrong = server.anonymous(Method::POST, "layers").header("Cookie", &first.cookie)
            .header("X-CSRF-Token", "0".repeat(64)).json(&body);
        send(wrong).await.problem(403, "forbidden");
        // A cookie that was planted before signing in is not the one that works afterwards.
        let again = send(server.anonymous(Method::POST, "session").header("Cookie", &first.cookie)
            .json(&json!({ "email": "a@x.org", "password": PASSWORD }))).await;
        assert!(!again.headers["set-cookie"].to_str().unwrap().contains(&first.cookie));
        first.send(server, Method::GET, "me", None).await.problem(401, "unauthorized");
    }

    async fn wrong_passwords_are_refused_and_after_ten_the_address_waits(server) {
        user(server, "a@x.org", json!([])).await;
        sign_in(server, "nobody@x.org", PASSWORD).await.problem(401, "unauthorized");
        for _ in 0..10 {
            sign_in(server, "a@x.org", "wrong password").await.problem(401, "unauthorized");
        }
        let waiting = sign_in(server, "a@x.org", PASSWORD).await;
        waiting.problem(429, "too_many_requests");
        assert!(waiting.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() <= 900);
    }

    async fn grants_end_where_they_say_and_disabling_ends_sessions(server) {
        server.made("projects", json!({ "name": "acme" })).await;
        server.made("projects", json!({ "name": "globex" })).await;
        let grants = json!([{ "project": "acme", "role": "admin" }, { "project": "globex", "role": "viewer" }]);
        let made = user(server, "b@x.org", grants).await;
        let b = session(server, "b@x.org").await;
        let projects = b.send(server, Method::GET, "projects", None).await;
        let names: Vec<&str> = projects.body["data"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["acme", "globex"]);
        let layer = async |project: &str| {
            let request = server.anonymous(Method::POST, "layers").header("Cookie", &b.cookie)
                .header("X-CSRF-Token", &b.csrf).header("X-Project", project).json(&json!({ "name": "l" }));
            send(request).await
        };
        assert_eq!(layer("acme").await.status, 201);
        layer("globex").await.problem(403, "forbidden");
        layer("default").await.problem(404, "not_found");
        b.send(server, Method::POST, "users", Some(json!({ "email": "c@x.org" }))).await.problem(403, "forbidden");
        let token = b.send(server, Method::POST, "api-tokens", Some(json!({ "name": "t", "role": "viewer" }))).await;
        assert_eq!(token.body["project"], "acme", "{token:?}");
        let escalated = b.send(server, Method::POST, "api-tokens", Some(json!({ "name": "t", "role": "admin", "project": "globex" }))).await;
        assert_eq!(escalated.problem(422, "invalid"), ["/project"]);
        let path = format!("users/{}", made["id"].as_str().unwrap());
        assert_eq!(server.patch(&path, json!({ "disabled": true })).await.body["disabled"], true);
        b.send(server, Method::GET, "me", None).await.problem(401, "unauthorized");
        sign_in(server, "b@x.org", PASSWORD).await.problem(401, "unauthorized");
        let actions = server.get(&format!("{path}/history")).await;
        assert_eq!(actions.body["data"][0]["diff"][0]["pointer"], "/definition/disabled");
    }

    async fn a_user_changes_the_own_password_with_the_present_one(server) {
        let made = user(server, "a@x.org", json!([{ "role": "viewer" }])).await;
        let other = user(server, "b@x.org", json!([])).await;
        let a = session(server, "a@x.org").await;
        let path = format!("users/{}/password", made["id"].as_str().unwrap());
        let wrong = json!({ "password": "a new password!", "current_password": "wrong" });
        let refused = a.send(server, Method::POST, &path, Some(wrong)).await;
        assert_eq!(refused.problem(422, "invalid"), ["/current_password"]);
        let short = a.send(server, Method::POST, &path, Some(json!({ "password": "short", "current_password": PASSWORD }))).await;
        assert_eq!(short.problem(422, "invalid"), ["/password"]);
        let others = format!("users/{}/password", other["id"].as_str().unwrap());
        a.send(server, Method::POST, &others, Some(json!({ "password": "a new password!" }))).await.problem(403, "forbidden");
        let right = json!({ "password": "a new password!", "current_password": PASSWORD });
        assert_eq!(a.send(server, Method::POST, &path, Some(right)).await.status, 200);
        a.send(server, Method::GET, "me", None).await.problem(401, "unauthorized");
        assert_eq!(sign_in(server, "a@x.org", "a new password!").await.status, 201);
    }

    async fn an_experimenter_writes_what_edges_do_not_serve(server) {
        catalogue(server).await;
        let made = server.made("api-tokens", json!({ "name": "e", "role": "experimenter" })).await;
        let token = made["token"].as_str().unwrap().to_owned();
        let ask = async |method: Method, path: &str, body: Value| {
            send(server.anonymous(method, path).bearer_auth(&token).header("If-Match", "*").json(&body)).await
        };
        assert_eq!(ask(Method::POST, "experiments", checkout()).await.status, 201);
        assert_eq!(ask(Method::POST, "experiments", plain("mine")).await.status, 201);
        assert_eq!(ask(Method::PATCH, "experiments/mine", json!({ "hypothesis": "h" })).await.status, 200);
        assert_eq!(ask(Method::POST, "layers", json!({ "name": "unused" })).await.status, 201);
        assert_eq!(ask(Method::POST, "segments", json!({ "key": "unused", "condition": { "attribute": "a", "op": "eq", "values": [1] } })).await.status, 201);
        ask(Method::POST, "experiments/mine/start", json!({})).await.problem(403, "forbidden");
        server.start_experiment("mine").await;
        ask(Method::PATCH, "experiments/mine", json!({ "traffic": 50 })).await.problem(403, "needs_publisher");
        assert_eq!(ask(Method::PATCH, "experiments/mine", json!({ "description": "words" })).await.status, 200, "words are not served");
        let flag = json!({ "key": "f", "type": "boolean", "variants": [{ "name": "on", "value": true }, { "name": "off", "value": false }],
            "default_variant": "off", "off_variant": "off", "enabled": true, "rules": [] });
        ask(Method::POST, "flags", flag).await.problem(403, "needs_publisher");
        assert_eq!(server.get("experiments/mine").await.body["traffic"], 100);
    }

    async fn tokens_expire_and_say_when_they_were_used(server) {
        let past = json!({ "name": "t", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" });
        assert_eq!(server.post("api-tokens", past).await.problem(422, "invalid"), ["/expires_at"]);
        let soon = jiff::Timestamp::now().as_millisecond() + 700;
        let end = jiff::Timestamp::from_millisecond(soon).unwrap().to_string();
        let made = server.made("api-tokens", json!({ "name": "t", "role": "viewer", "expires_at": end })).await;
        let ask = || server.anonymous(Method::GET, "layers").bearer_auth(made["token"].as_str().unwrap());
        let mut answer = send(ask()).await;
        while answer.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            answer = send(ask()).await;
        }
        answer.problem(401, "unauthorized");
        let listed = server.get("api-tokens").await;
        let all = listed.body["data"].as_array().unwrap();
        assert!(all.iter().any(|t| t["name"] == "bootstrap-admin" && t["last_used_at"].is_string()), "{listed:?}");
    }
}
