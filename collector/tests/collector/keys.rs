//! Who may send events.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};

use crate::support::purchase;
use crate::support::server::{
    BATCH, CLIENT_KEY, Collector, ENVIRONMENT, Home, SERVER_KEY, publish,
};

const NEW_KEY: &str = "sk_server_production-k3v9x2mq_newnewnewnewnewnewnewnewnewnewne";

fn post(collector: &Collector) -> RequestBuilder {
    let url = format!("{}{BATCH}", collector.base);
    collector.client.post(url).body(purchase("u-1", 1.0).to_string())
}

async fn status_with(collector: &Collector, key: &str) -> StatusCode {
    post(collector).bearer_auth(key).send().await.unwrap().status()
}

#[tokio::test]
async fn a_key_travels_in_three_ways_and_nothing_else_is_let_in() {
    let home = Home::new();
    let collector = home.start().await;
    let url = |key: &str| format!("{}{BATCH}?x=1&key={key}", collector.base);
    let in_url = |key: &str| collector.client.post(url(key)).body(purchase("u-1", 1.0).to_string());
    let wrong_secret = SERVER_KEY.replace("abc", "xyz");
    let other_environment = SERVER_KEY.replace("k3v9x2mq", "aaaabbbb");
    for (request, status, code) in [
        (post(&collector).bearer_auth(SERVER_KEY), 202, None),
        (post(&collector).header("x-sdk-key", CLIENT_KEY), 202, None),
        (post(&collector).header("authorization", format!("bearer {SERVER_KEY}")), 202, None),
        (in_url(CLIENT_KEY), 202, None),
        (in_url(SERVER_KEY), 401, Some("secret_in_url")),
        (post(&collector), 401, Some("missing_key")),
        (post(&collector).bearer_auth(""), 401, Some("invalid_key")),
        (post(&collector).bearer_auth("nonsense"), 401, Some("invalid_key")),
        (post(&collector).header("authorization", SERVER_KEY), 401, Some("invalid_key")),
        (post(&collector).bearer_auth(wrong_secret), 401, Some("invalid_key")),
        (post(&collector).bearer_auth(other_environment), 401, Some("invalid_key")),
        (post(&collector).bearer_auth("sk_server_..%2f..%2fx_a"), 401, Some("invalid_key")),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{code:?}");
        if let Some(code) = code {
            assert_eq!(response.headers()["content-type"], "application/problem+json");
            assert_eq!(response.headers()["www-authenticate"], "Bearer");
            let problem: serde_json::Value = response.json().await.unwrap();
            assert_eq!(problem["code"], code);
        }
    }
    collector.stop().await;
}

#[tokio::test]
async fn new_keys_work_and_revoked_ones_stop_without_a_restart() {
    let home = Home::new();
    let collector = home.start().await;
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::ACCEPTED);
    assert_eq!(status_with(&collector, NEW_KEY).await, StatusCode::UNAUTHORIZED);
    publish(&home.store(), ENVIRONMENT, 2, &[NEW_KEY]);
    while status_with(&collector, NEW_KEY).await != StatusCode::ACCEPTED {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::UNAUTHORIZED);
    // An older generation, from a cache that lags, changes nothing.
    publish(&home.store(), ENVIRONMENT, 1, &[SERVER_KEY]);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status_with(&collector, NEW_KEY).await, StatusCode::ACCEPTED);
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::UNAUTHORIZED);
    collector.stop().await;
}

#[tokio::test]
async fn a_damaged_config_leaves_the_last_good_one_in_force() {
    let home = Home::new();
    let collector = home.start().await;
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::ACCEPTED);
    publish(&home.store(), ENVIRONMENT, 2, &[NEW_KEY]);
    let object = home.store().join(format!("configs/{ENVIRONMENT}/2.bin"));
    let mut blob = std::fs::read(&object).unwrap();
    *blob.last_mut().unwrap() ^= 1;
    std::fs::write(&object, blob).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::ACCEPTED);
    let latest = home.store().join(format!("configs/{ENVIRONMENT}/latest.json"));
    std::fs::write(latest, "{").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::ACCEPTED);
    collector.stop().await;
}

#[tokio::test]
async fn without_any_config_the_client_is_told_to_come_back() {
    let home = Home::new();
    let mut settings = home.settings();
    // Nobody listens there: port 1 needs privileges that no test server takes.
    settings.config_url = Some("http://127.0.0.1:1".to_owned());
    let collector = Collector::start(settings).await;
    let response = post(&collector).bearer_auth(SERVER_KEY).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!(problem["code"], "config_unavailable");
    collector.stop().await;
}

#[tokio::test]
async fn configs_are_read_over_http_too() {
    let home = Home::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}/objects/", listener.local_addr().unwrap());
    let store = home.store();
    let get = async move |axum::extract::Path(path): axum::extract::Path<String>| {
        std::fs::read(store.join(path)).map_err(|_| axum::http::StatusCode::NOT_FOUND)
    };
    let app = axum::Router::new().route("/objects/{*path}", axum::routing::get(get));
    tokio::spawn(axum::serve(listener, app).into_future());
    let mut settings = home.settings();
    settings.config_url = Some(origin);
    let collector = Collector::start(settings).await;
    assert_eq!(status_with(&collector, SERVER_KEY).await, StatusCode::ACCEPTED);
    assert_eq!(status_with(&collector, NEW_KEY).await, StatusCode::UNAUTHORIZED);
    let other = NEW_KEY.replace("production", "staging");
    assert_eq!(status_with(&collector, &other).await, StatusCode::UNAUTHORIZED);
    collector.stop().await;
}
