//! What edges and the analysis fetch after a change through the API.

use analysis::plan::{MetricKind, MetricRole, Plan, PlannedStatus};
use eval_core::{Context, Request};
use reqwest::Method;
use serde_json::json;

use crate::service::{ENVIRONMENT, Service, on_both_databases};

/// The status of a request whose path nobody has tidied up. What the dashboard answers for paths of
/// its own counts as 404: it is no object.
async fn raw_status(service: &Service, path: &str) -> u16 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let host = service.base.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    if status == 200 {
        assert!(answer.to_lowercase().contains("content-type: text/html"), "{path}: {answer}");
        return 404;
    }
    status
}

on_both_databases! {
    async fn a_started_experiment_reaches_the_edge(service) {
        let before = service.wait_for_generation(1).await["generation"].as_u64().unwrap();
        let experiment = service.start_checkout().await;
        let pointed = service.wait_for_generation(before + 1).await;

        // As an edge: the pointer, then the blob that it names.
        let mut blob = Vec::new();
        for _ in 0..200 {
            let path = format!(
                "/objects/{}",
                service.wait_for_generation(1).await["object"].as_str().unwrap()
            );
            blob = service.fetch(&path, None).await.bytes().await.unwrap().to_vec();
            if eval_core::blob::decode(&blob).unwrap().1.n_experiments() == 1 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let (header, config) = eval_core::blob::decode(&blob).unwrap();
        assert!(header.generation >= pointed["generation"].as_u64().unwrap());
        assert_eq!((config.environment(), config.project()), (ENVIRONMENT, "default"));

        // Each variant owns the buckets that the API says.
        let salt = experiment["salt"].as_str().unwrap();
        let now = jiff::Timestamp::now().as_millisecond();
        for unit in (0..500).map(|number| format!("u-{number}")) {
            let context = Context::new()
                .unit("user_id", unit.as_str())
                .attribute("country", "US")
                .attribute("platform", "web")
                .attribute("returning", true);
            let mut request = Request::new(&config, &context, None, now);
            let decision = request.evaluate("checkout_redesign_q1_2025");
            let bucket = u64::from(eval_core::bucket::bucket(salt, &unit));
            let owner = experiment["variants"].as_array().unwrap().iter().find(|variant| {
                variant["ranges"].as_array().unwrap().iter().any(|range| {
                    range[0].as_u64().unwrap() <= bucket && bucket < range[1].as_u64().unwrap()
                })
            });
            assert_eq!(decision.variant(), owner.unwrap()["name"].as_str());
            assert_eq!(decision.reason().as_str(), "split");
        }
    }

    async fn the_plan_says_what_to_analyse(service) {
        let experiment = service.start_checkout().await;
        let mut plan = None;
        for _ in 0..200 {
            let pointed = service.wait_for_generation(1).await;
            let path = service.folder.path().join("store").join(pointed["plan"].as_str().unwrap());
            let read: Plan = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            assert_eq!(Some(read.generation), pointed["generation"].as_u64());
            if !read.experiments.is_empty() {
                plan = Some(read);
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let plan = plan.expect("a plan with the experiment");
        assert_eq!((plan.project.as_str(), plan.environment.as_str()), ("default", ENVIRONMENT));
        let planned = &plan.experiments[0];
        assert_eq!(Some(planned.id.as_str()), experiment["id"].as_str());
        assert_eq!((planned.status, planned.phase), (PlannedStatus::Running, 1));
        assert_eq!(planned.phase_generation, plan.generation, "the phase begins with this generation");
        let shares: Vec<_> =
            planned.variants.iter().map(|variant| (variant.share, variant.control)).collect();
        assert_eq!(shares, [(5000, true), (2500, false), (2500, false)]);
        let required = planned.required_units_per_variant.as_ref().expect("there is a baseline");
        assert!(required["control"] > required["treatment_a"]);
        let (start, end) = (planned.started_at.unwrap(), planned.planned_end_at.unwrap());
        assert_eq!(end.duration_since(start).as_hours(), 14 * 24);

        let roles: Vec<_> =
            planned.metrics.iter().map(|metric| (metric.metric.as_str(), metric.role)).collect();
        assert_eq!(
            roles,
            [
                ("checkout_conversion_rate", MetricRole::Primary),
                ("p99_page_load", MetricRole::Guardrail),
                ("revenue_per_user", MetricRole::Guardrail),
            ]
        );
        let revenue = &planned.metrics[2];
        assert_eq!(revenue.kind, MetricKind::Mean { event: "purchase".to_owned() });
        assert_eq!((revenue.window_ms, revenue.cap), (Some(7 * 86_400_000), Some(1000.0)));
        assert_eq!(revenue.max_degradation, Some(0.05));
    }

    async fn the_config_is_answered_with_its_tag(service) {
        let pointed = service.wait_for_generation(1).await;
        for path in ["/api/v1/config", "/api/v1/config?customer_id=default"] {
            let response = service.send('d', Method::GET, path, None).await;
            assert_eq!(response.status(), 200);
            let tag = response.headers()["etag"].to_str().unwrap().to_owned();
            assert_eq!(response.headers()["content-type"], "application/octet-stream");
            let blob = response.bytes().await.unwrap();
            assert_eq!(eval_core::blob::decode(&blob).unwrap().0.environment, ENVIRONMENT);
            assert_eq!(tag, format!("\"{}\"", blake3::hash(&blob).to_hex()));

            let client = reqwest::Client::new();
            let again = client
                .get(format!("{}{path}", service.base))
                .bearer_auth(format!("st_{}", "d".repeat(32)))
                .header("if-none-match", &tag);
            let again = again.send().await.unwrap();
            assert_eq!(again.status(), 304);
            assert_eq!(again.headers()["x-config-generation"], pointed["generation"].to_string());
            assert!(again.bytes().await.unwrap().is_empty());
        }
        for (path, status) in [
            ("/api/v1/config?customer_id=nobody", 404),
            ("/api/v1/config?customer_id=%00", 404),
            ("/api/v1/config?customer=default", 400),
        ] {
            assert_eq!(service.send('a', Method::GET, path, None).await.status(), status, "{path}");
        }
        assert_eq!(service.send('-', Method::GET, "/api/v1/config", None).await.status(), 401);
    }

    async fn published_objects_are_public_and_nothing_else_is(service) {
        let pointed = service.wait_for_generation(1).await;
        let latest = format!("/objects/configs/{ENVIRONMENT}/latest.json");
        let response = service.fetch(&latest, None).await;
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(service.fetch(&latest, Some(&tag)).await.status(), 304);

        let blob = format!("/objects/{}", pointed["object"].as_str().unwrap());
        let response = service.fetch(&blob, None).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["cache-control"].to_str().unwrap().contains("immutable"));

        // What is beside the configs in the store stays there.
        std::fs::write(service.folder.path().join("store/secret.json"), "{}").unwrap();
        std::fs::write(service.folder.path().join("store/configs/secret.json"), "{}").unwrap();
        let plan = pointed["plan"].as_str().unwrap();
        for path in [
            &format!("/objects/{plan}"),
            "/objects/secret.json",
            "/objects/configs/secret.json",
            "/objects/configs/../secret.json",
            "/objects/configs/%2e%2e/secret.json",
            "/objects/configs/..%2fsecret.json",
            "/objects/configs/x/..%2f..%2f..%2fcontrol-plane.db",
            "/objects/configs/%2fetc%2fpasswd",
            "/objects/configs/",
            &format!("/objects/configs/{ENVIRONMENT}/"),
            &format!("/objects/configs/{ENVIRONMENT}/latest.json%00"),
            &format!("/objects/configs/{ENVIRONMENT}/manifests/00000000000000009999.json"),
        ] {
            let status = raw_status(service, path).await;
            assert!(status == 404 || status == 400, "{path}: {status}");
        }
        let put = service.send('a', Method::PUT, &latest, Some(json!({}))).await;
        assert_eq!(put.status(), 405, "read-only");
    }

    async fn publications_are_listed_and_rolled_back(service) {
        for key in ["nav_a", "nav_b", "nav_c"] {
            let before = service.wait_for_generation(1).await["generation"].as_u64().unwrap();
            service
                .post(
                    "/api/v1/flags",
                    json!({
                        "key": key, "type": "boolean",
                        "variants": [{"name": "on", "value": true}, {"name": "off", "value": false}],
                        "default_variant": "off", "off_variant": "off"
                    }),
                    201,
                )
                .await;
            service.wait_for_generation(before + 1).await;
        }
        let listed = service.get("/api/v1/publishes").await;
        let listed = listed["data"].as_array().unwrap();
        assert!(listed.len() >= 4, "{listed:?}");
        assert!(listed.is_sorted_by_key(|item| std::cmp::Reverse(item["generation"].as_u64())));
        assert!(listed.iter().all(|item| item["state"] == "live"), "{listed:?}");
        assert_eq!(listed[0]["author"], "bootstrap-admin");

        let page = service.get("/api/v1/publishes?limit=2").await;
        assert_eq!(page["data"].as_array().unwrap().len(), 2);
        let cursor = page["next_cursor"].as_str().unwrap();
        let next = service.get(&format!("/api/v1/publishes?limit=2&cursor={cursor}")).await;
        assert_eq!(next["data"][0], listed[2]);
        assert_eq!(service.get("/api/v1/publishes?status=pending").await["data"], json!([]));

        let generation = listed[1]["generation"].as_u64().unwrap();
        assert_eq!(service.get(&format!("/api/v1/publishes/{generation}")).await, listed[1]);
        let path = format!("/api/v1/publishes/{generation}/rollback");
        let rolled = service.ok(Method::POST, &path, None, 200).await;
        assert_eq!(rolled["rollback_of"], generation);
        let pointed = service.wait_for_generation(rolled["generation"].as_u64().unwrap()).await;
        let path = format!("/objects/{}", pointed["object"].as_str().unwrap());
        let blob = service.fetch(&path, None).await.bytes().await.unwrap();
        let (_, config) = eval_core::blob::decode(&blob).unwrap();
        assert_eq!(config.keys().collect::<Vec<_>>(), ["nav_a", "nav_b"]);

        for (method, path, status) in [
            (Method::GET, "/api/v1/publishes/999999", 404),
            (Method::GET, "/api/v1/publishes/none", 404),
            (Method::GET, "/api/v1/publishes/18446744073709551615", 404),
            (Method::POST, "/api/v1/publishes/999999/rollback", 404),
            (Method::GET, "/api/v1/publishes?status=lost", 400),
            (Method::GET, "/api/v1/publishes?cursor=bm9uZQ", 400),
            (Method::GET, "/api/v1/publishes?q=a", 400),
        ] {
            let response = service.send('a', method, path, None).await;
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        }
    }
}
