//! Every operation of the published document, tried with everything that can be wrong.

use crate::bodies::{catalogue, checkout, new_nav, plain};
use crate::document::operations;
use crate::harness::{Answer, Server, on_both_databases, send};
use control_plane::access::{Scope, rows};
use control_plane::routes::openapi;
use control_plane::store::Db;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// One operation with an acceptable request.
struct Case {
    method: Method,
    path: String,
    /// The path as published.
    route: String,
    /// Path with an id that nothing has; the same as `path` when there is none in it.
    unknown: String,
    media_type: Option<String>,
    schema: Option<&'static Value>,
    body: Option<Value>,
    needs_version: bool,
}

/// Something of each kind, so that every path has an id that exists.
async fn furnish(server: &Server) {
    catalogue(server).await;
    server.made("holdouts", json!({ "name": "global_2026", "size": 5, "scope": "listed" })).await;
    server.made("experiments", checkout()).await;
    server.made("flags", new_nav()).await;
    server.made("users", json!({ "email": "ada@example.org" })).await;
    server.made("schedules", sample("/api/v1/schedules", "post")).await;
    server.made("flags/new_nav/kill?propose=true", json!({})).await;
    server
        .made(
            "webhooks",
            json!({ "name": "hook", "url": "https://127.0.0.1:1/x", "enabled": false }),
        )
        .await;
}

async fn cases(server: &Server) -> Vec<Case> {
    let id_of = async |list: &str| {
        server.get(list).await.body["data"][0]["id"].as_str().unwrap().to_owned()
    };
    let ids = [
        ("/projects/", "default".to_owned()),
        ("/environments/", server.made.environment_id.clone()),
        ("/sdk-keys/", id_of("sdk-keys").await),
        ("/api-tokens/", id_of("api-tokens").await),
        ("/layers/", "checkout_layer".to_owned()),
        ("/holdouts/", "global_2026".to_owned()),
        ("/segments/", "returning_users".to_owned()),
        ("/metrics/", "revenue_per_user".to_owned()),
        ("/experiments/", id_of("experiments").await),
        ("/flags/", "new_nav".to_owned()),
        ("/publishes/", "1".to_owned()),
        ("/users/", id_of("users").await),
        ("/schedules/", "off".to_owned()),
        ("/webhooks/", "hook".to_owned()),
        ("/change-requests/", id_of("change-requests").await),
    ];
    let mut cases = Vec::new();
    for (route, method, operation) in operations() {
        if operation["security"] != json!([{ "token": [] }]) {
            continue;
        }
        let id = ids.iter().find(|(start, _)| route.contains(start)).map_or("", |(_, id)| id);
        let fill = |id: &str| {
            route
                .split('/')
                .map(|part| if part.starts_with('{') { id } else { part })
                .collect::<Vec<_>>()
                .join("/")
        };
        assert!(!route.contains('{') || !id.is_empty(), "the test knows no id for {route}");
        let content = operation["requestBody"]["content"].as_object();
        let (media_type, schema) = match content.and_then(|content| content.iter().next()) {
            None => (None, None),
            Some((media_type, content)) => {
                (Some(media_type.clone()), Some(resolve(&content["schema"])))
            }
        };
        let parameters = operation["parameters"].as_array().unwrap();
        cases.push(Case {
            method: method.to_uppercase().parse().unwrap(),
            path: fill(id),
            unknown: fill("no-such-thing"),
            body: media_type.as_ref().map(|_| sample(&route, &method)),
            route,
            media_type,
            schema,
            needs_version: parameters
                .iter()
                .any(|p| p["name"] == "If-Match" && p["required"] == true),
        });
    }
    assert!(cases.len() > 60, "{}", cases.len());
    cases
}

/// A body that the operation accepts (as far as its fields go).
fn sample(route: &str, method: &str) -> Value {
    let last = route.rsplit('/').next().unwrap();
    if method == "patch" && route.contains("/users/") {
        return json!({ "name": "Ada" });
    }
    if method == "patch" {
        return json!({ "description": "d" });
    }
    match last {
        "rollback" => json!({ "version": 1 }),
        "start" | "freeze-enrolment" | "validate" => json!({ "acknowledge": [] }),
        "ship" => json!({ "variant": "control" }),
        "clone" => json!({ "name": "copy" }),
        "decision" => json!({ "decision": "kill", "reason": "r" }),
        "schedules" => json!({
            "name": "off", "flag": "new_nav", "steps": [{ "at": "2999-01-01T00:00:00Z", "patch": { "enabled": false } }]
        }),
        "import" => json!({ "sortition": 1, "layers": [{ "name": "imported" }] }),
        "webhooks" => json!({ "name": "w", "url": "https://127.0.0.1:1/x", "events": ["*"] }),
        "complete" => json!({ "ship": null }),
        "projects" => json!({ "name": "acme" }),
        "environments" => json!({ "name": "staging" }),
        "sdk-keys" => json!({ "kind": "server" }),
        "api-tokens" => json!({ "name": "ci", "role": "data" }),
        "users" => json!({ "email": "grace@example.org", "grants": [{ "role": "viewer" }] }),
        "password" => json!({ "password": "correct horse battery" }),
        "layers" => json!({ "name": "l" }),
        "holdouts" => json!({ "name": "h", "size": 1 }),
        "segments" => json!({ "key": "s", "include": ["u"] }),
        "metrics" => json!({ "name": "m", "kind": "mean", "event": "e" }),
        "experiments" => plain("e"),
        "flags" => {
            json!({ "key": "f", "type": "boolean", "variants": [{ "name": "on", "value": true }], "default_variant": "on", "off_variant": "on" })
        }
        "reports" => {
            json!({ "environment": "production-x", "generation": 1, "as_of": "2026-01-01T00:00:00Z", "reports": [] })
        }
        _ => panic!("the test has no body for {method} {route}"),
    }
}

/// A schema behind references, and the object behind `null | object`.
fn resolve(schema: &'static Value) -> &'static Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return resolve(openapi().pointer(reference.strip_prefix('#').unwrap()).unwrap());
    }
    let forms = schema["oneOf"].as_array().into_iter().flatten();
    forms.into_iter().find(|form| form["type"] != "null").map_or(schema, resolve)
}

impl Case {
    fn request(&self, server: &Server, path: &str) -> RequestBuilder {
        let request = server.request(self.method.clone(), path);
        if self.needs_version { request.header("If-Match", "*") } else { request }
    }

    async fn with_body(
        &self,
        server: &Server,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let media_type = self.media_type.as_deref().unwrap_or("application/json");
        send(self.request(server, path).header("Content-Type", media_type).body(body)).await
    }

    async fn with_json(&self, server: &Server, body: &Value) -> Answer {
        self.with_body(server, &self.path, body.to_string()).await
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.route)
    }

    fn is_transition(&self) -> bool {
        let last = self.route.rsplit('/').next().unwrap();
        ["start", "freeze-enrolment", "complete", "validate"].contains(&last)
    }
}

/// Number of changes ever made; equal before and after means that nothing was written.
async fn changes(server: &Server) -> Vec<i64> {
    let db = Db::connect(&server.settings.database_url).await.unwrap();
    let mut tx = db.read().await.unwrap();
    let mut counts = Vec::new();
    for table in [
        "versions",
        "projects",
        "environments",
        "layers",
        "holdouts",
        "segments",
        "metrics",
        "experiments",
        "flags",
        "sdk_keys",
        "api_tokens",
        "idempotency_keys",
        "reports",
        "decisions",
        "schedules",
        "webhooks",
        "webhook_deliveries",
        "change_requests",
    ] {
        let row = tx
            .fetch_optional(&format!("SELECT COUNT(*) AS n FROM {table}"), [])
            .await
            .unwrap()
            .unwrap();
        counts.push(row.int("n").unwrap());
    }
    drop(tx);
    db.close().await;
    counts
}

/// Checks that a request was refused for what it says, and names the field.
#[track_caller]
fn names(answer: &Answer, pointer: &str, what: &str) {
    let pointers = answer.problem(422, "invalid");
    assert!(
        pointers.iter().any(|found| found.starts_with(pointer)),
        "{what} should name {pointer}: {answer:?}"
    );
}

/// A value of another type than the schema's.
fn of_wrong_type(schema: &Value) -> Option<Value> {
    let schema_type = &schema["type"];
    let admits = |word: &str| {
        *schema_type == word
            || schema_type.as_array().is_some_and(|words| words.contains(&json!(word)))
    };
    if schema.get("type").is_none() && schema.get("enum").is_none() {
        return None;
    }
    [
        ("string", json!("x")),
        ("object", json!({ "x": 1 })),
        ("array", json!([[[]]])),
        ("boolean", json!(true)),
        ("number", json!(1.5)),
    ]
    .into_iter()
    .find(|(word, _)| !admits(word) && (*word != "number" || !admits("integer")))
    .map(|(_, value)| value)
}

on_both_databases! {
    async fn every_operation_refuses_whoever_has_no_token(server) {
        furnish(server).await;
        let before = changes(server).await;
        for case in cases(server).await {
            let body = case.body.clone().unwrap_or(json!({}));
            let bare = server.anonymous(case.method.clone(), &case.path).header("If-Match", "*").json(&body);
            send(bare.try_clone().unwrap()).await.problem(401, "unauthorized");
            send(bare.try_clone().unwrap().bearer_auth("st_aaaaaaaabbbbbbbbccccccccdddddddd")).await.problem(401, "unauthorized");
            send(bare.try_clone().unwrap().bearer_auth(&server.made.server_sdk_key)).await.problem(401, "unauthorized");
            let open = [
                "/api/v1/reports", "/api/v1/session/end", "/api/v1/users/{id}/password", "/api/v1/experiments/{id}/validate",
            ];
            if case.method != Method::GET && !open.contains(&case.route.as_str()) {
                send(bare.bearer_auth(&server.made.data_token)).await.problem(403, "forbidden");
            }
        }
        assert_eq!(changes(server).await, before);
    }

    async fn every_operation_refuses_what_does_not_exist(server) {
        furnish(server).await;
        let before = changes(server).await;
        for case in cases(server).await {
            let body = case.body.clone().map_or(String::new(), |body| body.to_string());
            if case.unknown != case.path {
                for path in [case.unknown.clone(), case.unknown.replace("no-such-thing", "%00"), case.unknown.replace("no-such-thing", &"x".repeat(5000))] {
                    let answer = case.with_body(server, &path, body.clone()).await;
                    answer.problem(404, "not_found");
                }
                let answer = case.with_body(server, &case.unknown.replace("no-such-thing", "%ff"), body.clone()).await;
                answer.problem(400, "invalid_parameter");
            }
            let scoped = !case.route.starts_with("/api/v1/projects") && rows().any(|row| row.path == case.route && row.scope == Scope::Project);
            if scoped {
                let media_type = case.media_type.as_deref().unwrap_or("application/json");
                let request = case.request(server, &case.path).header("Content-Type", media_type).body(body.clone());
                send(request.try_clone().unwrap().header("X-Project", "nobody")).await.problem(404, "not_found");
                send(request.try_clone().unwrap().header("X-Project", "\u{fc}")).await.problem(400, "invalid_parameter");
            }
            let queried = case.with_body(server, &format!("{}?dry_rnu=true", case.path), body).await;
            assert_eq!(queried.problem(400, "invalid_parameter"), ["dry_rnu"], "{}", case.name());
        }
        assert_eq!(changes(server).await, before);
    }

    async fn every_body_is_refused_at_its_wrong_fields(server) {
        furnish(server).await;
        let before = changes(server).await;
        for case in cases(server).await.iter().filter(|case| case.body.is_some()) {
            let name = case.name();
            let sound = case.body.clone().unwrap();
            for malformed in ["{", "{\"a\":}", "nope", "[1,]", "\u{feff}{}", "{\"a\":1e999}", "{} {}", &"[".repeat(5000)] {
                let answer = case.with_body(server, &case.path, malformed.to_owned()).await;
                answer.problem(400, "malformed_json");
            }
            case.with_body(server, &case.path, vec![b'{', 0xff, b'}']).await.problem(400, "malformed_json");
            let optional = case.is_transition();
            if !optional {
                case.with_body(server, &case.path, "").await.problem(400, "malformed_json");
            }
            let plain_text = case.request(server, &case.path).header("Content-Type", "text/plain").body(sound.to_string());
            send(plain_text).await.problem(415, "unsupported_media_type");
            let untyped = case.request(server, &case.path).body(sound.to_string());
            send(untyped).await.problem(415, "unsupported_media_type");
            for other in [json!([]), json!("x"), json!(1), json!(null), json!(true)] {
                names(&case.with_json(server, &other).await, "", &name);
            }
            if !["/api/v1/reports", "/api/v1/import"].contains(&case.route.as_str()) {
                let large = format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
                case.with_body(server, &case.path, large).await.problem(413, "body_too_large");
            }

            let schema = case.schema.unwrap();
            let mut unknown = sound.clone();
            unknown["no/such~field"] = json!(1);
            names(&case.with_json(server, &unknown).await, "/no~1such~0field", &name);
            for required in schema["required"].as_array().into_iter().flatten() {
                let field = required.as_str().unwrap();
                let mut missing = sound.clone();
                missing.as_object_mut().unwrap().remove(field);
                names(&case.with_json(server, &missing).await, &format!("/{field}"), &name);
            }
            for (field, property) in schema["properties"].as_object().unwrap() {
                let property = resolve(property);
                let pointer = format!("/{field}");
                let mut broken = Vec::new();
                broken.extend(of_wrong_type(property));
                if let Some(max) = property["maxLength"].as_u64() {
                    broken.push(json!("x".repeat(usize::try_from(max).unwrap() + 1)));
                    broken.push(json!("nul\u{0}"));
                }
                if let Some(max) = property["maxItems"].as_u64().filter(|max| *max <= 1000) {
                    broken.push(json!(vec!["x"; usize::try_from(max).unwrap() + 1]));
                }
                if let Some(max) = property["maximum"].as_f64() {
                    broken.push(json!(max + 1.0));
                }
                if property.get("enum").is_some() {
                    broken.push(json!("no such word"));
                }
                for value in broken {
                    let mut body = sound.clone();
                    body[field] = value;
                    names(&case.with_json(server, &body).await, &pointer, &name);
                }
            }
        }
        assert_eq!(changes(server).await, before);
    }

    async fn whatever_is_sent_the_answer_is_never_a_server_error(server) {
        furnish(server).await;
        let seed = std::env::var("SORTITION_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
        println!("SORTITION_TEST_SEED={seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let all = cases(server).await;
        let bodies: Vec<&Case> = all.iter().filter(|case| case.body.is_some()).collect();
        for _ in 0..400 {
            let case = bodies[rng.random_range(0..bodies.len())];
            let mut body = if rng.random_bool(0.3) { if case.route.contains("flags") { new_nav() } else { checkout() } } else { case.body.clone().unwrap() };
            for _ in 0..rng.random_range(1..4) {
                mutate(&mut body, &mut rng);
            }
            let answer = case.with_json(server, &body).await;
            assert!(!answer.status.is_server_error(), "{} {body}: {answer:?}", case.name());
            if answer.status.is_client_error() {
                let code = answer.body["code"].as_str().unwrap_or("none").to_owned();
                answer.problem(answer.status.as_u16(), &code);
            }
        }
    }
}

/// Replaces, removes or adds something at a random place.
fn mutate(value: &mut Value, rng: &mut StdRng) {
    let odd = [
        json!(null),
        json!(""),
        json!("x"),
        json!("\u{0}"),
        json!("checkout_layer"),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.1),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "all": [] }),
        json!({ "not": { "segment": "returning_users" } }),
        json!(true),
        json!("2026-01-01T00:00:00Z"),
        json!("P1D"),
        json!("9999-12-31T23:59:59Z"),
        json!("y".repeat(300)),
        json!("\u{1F600}"),
    ];
    let stop = rng.random_bool(0.3);
    match value {
        Value::Object(members) if !stop && !members.is_empty() => {
            let name = members.keys().nth(rng.random_range(0..members.len())).unwrap().clone();
            if rng.random_bool(0.15) {
                members.remove(&name);
            } else if let Some(member) = members.get_mut(&name) {
                mutate(member, rng);
            }
        }
        Value::Array(items) if !stop && !items.is_empty() => {
            let index = rng.random_range(0..items.len());
            match rng.random_range(0..6) {
                0 => {
                    items.remove(index);
                }
                1 => {
                    let copy = items[index].clone();
                    items.push(copy);
                }
                _ => mutate(&mut items[index], rng),
            }
        }
        other => *other = odd[rng.random_range(0..odd.len())].clone(),
    }
}
