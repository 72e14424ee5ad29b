//! New installations and restarts.

use crate::bodies::{catalogue, plain};
use crate::harness::on_both_databases;
use control_plane::bootstrap;
use serde_json::json;
use std::path::PathBuf;

fn published(settings: &control_plane::Settings, environment_id: &str) -> PathBuf {
    let store = settings.store_url.strip_prefix("file://").unwrap();
    PathBuf::from(store).join("configs").join(environment_id).join("latest.json")
}

on_both_databases! {
    async fn a_new_installation_is_usable_and_published(server) {
        let made = &server.made;
        assert_eq!((made.project.as_str(), made.environment.as_str()), ("default", "production"));
        assert!(made.environment_id.starts_with("production-") && made.environment_id.len() == 19);
        assert!(published(&server.settings, &made.environment_id).exists());
        let environments = server.get("environments").await.body;
        assert_eq!(environments["data"][0]["id"], made.environment_id);
        assert_eq!(server.get("projects").await.body["data"][0]["id"], "default");
    }

    async fn the_key_that_is_told_is_the_one_that_signs(server) {
        let told = server.get("public-keys").await.body;
        let [key] = &told["data"].as_array().unwrap()[..] else { panic!("one key: {told}") };
        assert_eq!((&key["active"], &key["in_use"]), (&json!(true), &json!(true)));
        let published = server.get("publishes").await.body["data"][0].clone();
        assert_eq!(key["key_id"], published["key_id"]);
        let path = format!("/objects/{}", published["object"].as_str().unwrap());
        let blob = server.anonymous(reqwest::Method::GET, &path).send().await.unwrap().bytes().await.unwrap();
        let [key, signature] = [&key["public_key"], &published["signature"]].map(|text| text.as_str().unwrap());
        assert!(control_plane::publish::sign::verify(key, &blob, signature));
    }

    async fn the_same_secrets_make_the_same_installation(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let again = bootstrap(&server.settings).await.unwrap();
        assert_eq!(again, server.made);
        assert_eq!(server.get("sdk-keys").await.body["data"].as_array().unwrap().len(), 2);
        assert_eq!(server.get("api-tokens").await.body["data"].as_array().unwrap().len(), 2);
        assert_eq!(server.get("experiments/e").await.status, 200);
    }

    async fn a_revoked_token_stays_revoked_after_a_restart(server) {
        let tokens = server.get("api-tokens").await.body;
        let data = tokens["data"].as_array().unwrap().iter().find(|token| token["role"] == "data").unwrap();
        let path = format!("api-tokens/{}/revoke", data["id"].as_str().unwrap());
        server.made(&path, json!({})).await;
        bootstrap(&server.settings).await.unwrap();
        let request = server.anonymous(reqwest::Method::GET, "projects").bearer_auth(&server.made.data_token);
        crate::harness::send(request).await.problem(401, "unauthorized");
    }

    async fn secrets_of_another_installation_are_refused(server) {
        let mut settings = server.settings.clone();
        let mut secrets = server.made.secrets();
        "production-aaaaaaaa".clone_into(&mut secrets.environment_id);
        settings.bootstrap = Some(secrets);
        let refused = bootstrap(&settings).await.unwrap_err().to_string();
        assert!(refused.contains("another installation"), "{refused}");
    }

    async fn every_change_reaches_the_store(server) {
        catalogue(server).await;
        server.made("experiments", plain("e")).await;
        let generation = || {
            let text = std::fs::read_to_string(published(&server.settings, &server.made.environment_id)).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["generation"].as_u64().unwrap()
        };
        let before = generation();
        server.start_experiment("e").await;
        for _ in 0..600 {
            if generation() > before {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the started experiment was never published");
    }
}
