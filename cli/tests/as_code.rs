//! Experiments as code, as a person calls it: out of one project, planned and applied to another.

use std::process::{Command, Output};

use control_plane::{Settings, bootstrap};
use tokio_util::sync::CancellationToken;

fn sortition(arguments: &[&str], url: &str, token: &str, project: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sortition"))
        .args(arguments)
        .env_remove("SORTITION_SETTINGS")
        .env("SORTITION_URL", url)
        .env("SORTITION_TOKEN", token)
        .env("SORTITION_PROJECT", project)
        .output()
        .expect("the binary that was built with this test")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_is_planned_and_applied() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    std::fs::create_dir_all(&store).unwrap();
    let settings = Settings {
        database_url: format!("sqlite:{}", folder.path().join("definitions.db").display()),
        store_url: format!("file://{}", store.display()),
        ..Settings::default()
    };
    let token = bootstrap(&settings).await.unwrap().admin_token;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(control_plane::serve(listener, settings, shutdown.clone()));
    let post = async |path: &str, body: serde_json::Value| {
        let request = reqwest::Client::new().post(format!("{url}/api/v1/{path}"));
        let response = request.bearer_auth(&token).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
    };
    post("layers", serde_json::json!({ "name": "checkout" })).await;
    post("projects", serde_json::json!({ "name": "acme" })).await;

    let file = folder.path().join("sortition.yaml");
    let path = file.to_str().unwrap();
    let exported = sortition(&["export"], &url, &token, "default");
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    std::fs::write(&file, &exported.stdout).unwrap();
    let planned = sortition(&["plan", path], &url, &token, "acme");
    assert_eq!(text(&planned.stdout), "+ layer checkout\n1 to make, 0 to change.\n");
    let unasked = sortition(&["apply", path], &url, &token, "acme");
    assert!(!unasked.status.success() && text(&unasked.stderr).contains("--yes"));
    let applied = sortition(&["apply", "--yes", path], &url, &token, "acme");
    assert!(text(&applied.stdout).ends_with("Made 1, changed 0.\n"), "{applied:?}");
    let again = sortition(&["plan", path], &url, &token, "acme");
    assert_eq!(text(&again.stdout), "Nothing differs.\n");
    let exported_again = sortition(&["export"], &url, &token, "acme");
    assert_eq!(text(&exported_again.stdout), text(&exported.stdout));

    std::fs::write(&file, "sortition: 1\nlayers: [{ name: has space }]\n").unwrap();
    let refused = sortition(&["plan", path], &url, &token, "acme");
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("/layers/0/name: must match"), "{refused:?}");
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
