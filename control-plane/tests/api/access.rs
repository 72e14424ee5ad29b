//! Who may see and do what.

use crate::bodies::{catalogue, plain};
use crate::harness::{Server, on_both_databases, send};
use reqwest::Method;
use serde_json::{Value, json};

async fn token(server: &Server, body: Value) -> String {
    server.made("api-tokens", body).await["token"].as_str().unwrap().to_owned()
}

on_both_databases! {
    async fn a_request_needs_a_token_that_works(server) {
        let none = send(server.anonymous(Method::GET, "projects")).await;
        none.problem(401, "unauthorized");
        assert_eq!(none.headers["www-authenticate"], "Bearer");
        let real = &server.made.admin_token;
        let mut same_start = real[..11].to_owned();
        same_start.push_str("aaaaaaaaaaaaaaaaaaaaaaaa");
        for wrong in ["st_wrong", "", "sk_server_x", same_start.as_str(), "st_\u{fc}", &"st_x".repeat(200)] {
            let request = server.anonymous(Method::GET, "projects").header("Authorization", format!("Bearer {wrong}"));
            send(request).await.problem(401, "unauthorized");
        }
        let basic = server.anonymous(Method::GET, "projects").header("Authorization", format!("Basic {real}"));
        send(basic).await.problem(401, "unauthorized");
        let lower = server.anonymous(Method::GET, "projects").header("Authorization", format!("bearer {real}"));
        assert_eq!(send(lower).await.status, 200);
    }

    async fn a_revoked_token_stops_working(server) {
        let made = server.made("api-tokens", json!({ "name": "ci", "role": "admin" })).await;
        let token = made["token"].as_str().unwrap();
        let ask = || server.anonymous(Method::GET, "layers").bearer_auth(token);
        assert_eq!(send(ask()).await.status, 200);
        let path = format!("api-tokens/{}/revoke", made["id"].as_str().unwrap());
        let revoked = server.post(&path, json!({})).await;
        assert!(revoked.body["revoked_at"].is_string(), "{revoked:?}");
        send(ask()).await.problem(401, "unauthorized");
        assert_eq!(server.post(&path, json!({})).await.status, 200, "again is no error");
        server.post("api-tokens/nobody/revoke", json!({})).await.problem(404, "not_found");
    }

    async fn a_data_token_reads_and_hands_in_reports(server) {
        catalogue(server).await;
        let data = &server.made.data_token;
        let read = send(server.anonymous(Method::GET, "layers/checkout_layer").bearer_auth(data)).await;
        assert_eq!(read.status, 200);
        let write = server.anonymous(Method::POST, "experiments").bearer_auth(data).json(&plain("e"));
        send(write).await.problem(403, "forbidden");
        let delete = server.anonymous(Method::DELETE, "layers/checkout_layer").bearer_auth(data).header("If-Match", "*");
        send(delete).await.problem(403, "forbidden");
        let report = server.anonymous(Method::POST, "reports").bearer_auth(data).json(&json!({
            "environment": server.made.environment_id, "generation": 1, "as_of": "2026-01-01T00:00:00Z", "reports": []
        }));
        assert_eq!(send(report).await.status, 200);
    }

    async fn a_token_of_one_project_sees_nothing_of_another(server) {
        catalogue(server).await;
        server.made("experiments", plain("secret")).await;
        server.made("projects", json!({ "name": "acme" })).await;
        let acme = token(server, json!({ "name": "acme-admin", "role": "admin", "project": "acme" })).await;
        let get = |path: &str| server.anonymous(Method::GET, path).bearer_auth(&acme);
        // Its own project needs no header.
        let environments = send(get("environments")).await;
        assert_eq!(environments.body["data"][0]["name"], "production");
        assert_eq!(send(get("experiments")).await.body["data"], json!([]));
        assert_eq!(send(get("projects")).await.body["data"].as_array().unwrap().len(), 1);
        for path in [
            "projects/default", "layers/checkout_layer", "experiments/secret",
            &format!("environments/{}", server.made.environment_id),
        ] {
            send(get(path)).await.problem(404, "not_found");
        }
        for path in ["layers", "experiments", "environments"] {
            send(get(path).header("X-Project", "default")).await.problem(404, "not_found");
        }
        send(get("experiments").header("X-Environment", &server.made.environment_id)).await.problem(404, "not_found");
        let create = server.anonymous(Method::POST, "projects").bearer_auth(&acme).json(&json!({ "name": "more" }));
        send(create).await.problem(403, "forbidden");
        let escalate = server.anonymous(Method::POST, "api-tokens").bearer_auth(&acme)
            .json(&json!({ "name": "x", "role": "admin", "project": "default" }));
        assert_eq!(send(escalate).await.problem(422, "invalid"), ["/project"]);
        let own = server.anonymous(Method::POST, "api-tokens").bearer_auth(&acme).json(&json!({ "name": "x", "role": "admin" }));
        assert_eq!(send(own).await.body["project"], "acme");
        let tokens = send(get("api-tokens")).await;
        assert_eq!(tokens.body["data"].as_array().unwrap().len(), 2, "{tokens:?}");
    }

    async fn a_token_of_one_environment_stays_in_it(server) {
        let staging = server.made("environments", json!({ "name": "staging" })).await;
        assert!(staging["id"].as_str().unwrap().starts_with("staging-"));
        let key = token(server, json!({ "name": "s", "role": "admin", "project": "default", "environment": "staging" })).await;
        catalogue(server).await;
        let create = server.anonymous(Method::POST, "experiments").bearer_auth(&key).json(&plain("e"));
        assert_eq!(send(create).await.status, 201);
        assert_eq!(server.get("experiments").await.body["data"], json!([]), "production has none");
        let there = server.request(Method::GET, "experiments").header("X-Environment", "staging");
        assert_eq!(send(there).await.body["data"][0]["name"], "e");
        let other = server.anonymous(Method::GET, "experiments").bearer_auth(&key).header("X-Environment", "production");
        send(other).await.problem(404, "not_found");
        let create = server.anonymous(Method::POST, "environments").bearer_auth(&key).json(&json!({ "name": "x" }));
        send(create).await.problem(403, "forbidden");
        let shared = server.anonymous(Method::POST, "layers").bearer_auth(&key).json(&json!({ "name": "x" }));
        send(shared).await.problem(403, "forbidden");
        let project = server.anonymous(Method::PATCH, "projects/default").bearer_auth(&key).header("If-Match", "*").json(&json!({ "requires_consent": true }));
        send(project).await.problem(403, "forbidden");
        let tokens = send(server.anonymous(Method::GET, "api-tokens").bearer_auth(&key)).await;
        assert_eq!(tokens.body["data"].as_array().unwrap().len(), 1, "its own: {tokens:?}");
    }

    async fn sdk_keys_name_their_environment_and_are_shown_once(server) {
        let made = server.made("sdk-keys", json!({ "kind": "client", "name": "web" })).await;
        let key = made["key"].as_str().unwrap();
        let start = format!("sk_client_{}_", server.made.environment_id);
        assert!(key.starts_with(&start) && key.len() == start.len() + 32, "{key}");
        let listed = server.get("sdk-keys").await;
        assert!(!listed.body.to_string().contains(&key[start.len()..]), "{listed:?}");
        let path = format!("sdk-keys/{}/revoke", made["id"].as_str().unwrap());
        assert!(server.post(&path, json!({})).await.body["revoked_at"].is_string());
    }

    async fn sdk_keys_expire_and_lists_of_keys_have_pages(server) {
        let past = json!({ "kind": "client", "expires_at": "2020-01-01T00:00:00Z" });
        assert_eq!(server.post("sdk-keys", past).await.problem(422, "invalid"), ["/expires_at"]);
        let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300)).to_string();
        let made = server.made("sdk-keys", json!({ "kind": "client", "name": "short-lived", "expires_at": soon })).await;
        let listed = async |query: &str| {
            let page = server.get(&format!("sdk-keys{query}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            page.body["data"].as_array().unwrap().clone()
        };
        let gone = async || listed("?q=SHORT").await[0]["revoked_at"].is_string();
        for _ in 0..600 {
            if gone().await {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(gone().await, "the scheduler takes it out");
        let db = control_plane::store::Db::connect(&server.settings.database_url).await.unwrap();
        let snapshot = control_plane::store::load_environment(&db, &server.made.environment_id).await.unwrap();
        db.close().await;
        assert_eq!(snapshot.sdk_keys.len(), 2, "edges are told of the other keys alone");
        let entry = server.get("audit?kind=sdk_key").await.body["data"][0].clone();
        assert_eq!((&entry["action"], &entry["actor"], &entry["resource_id"]), (&json!("expired"), &json!("scheduler"), &made["id"]));
        assert_eq!(listed("?status=revoked").await.len(), 1);
        assert_eq!(listed("?status=active").await.len(), 2);
        for path in ["sdk-keys", "api-tokens"] {
            let mut n_seen = 0;
            let mut next = Some(format!("{path}?limit=1"));
            while let Some(url) = next {
                let page = server.get(&url).await;
                n_seen += page.body["data"].as_array().unwrap().len();
                next = page.body["next_cursor"].as_str().map(|cursor| format!("{path}?limit=1&cursor={cursor}"));
            }
            assert_eq!(n_seen, if path == "sdk-keys" { 3 } else { 2 });
        }
    }
}
