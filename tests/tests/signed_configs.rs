//! Configs that a control plane signs, edges that check them, and a change of the key in between; all with the real program.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use platform_tests::platform::{binary, state_folder};
use serde_json::Value;

const OLD: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222222222222222222222222222";

/// A control plane's installation in a folder.
struct Installation<'f>(&'f Path);

impl Installation<'_> {
    fn store(&self) -> String {
        format!("file://{}", self.0.join("store").display())
    }

    /// Output of a command, signing with a key; its error text if it fails.
    fn run(&self, signing_key: &str, arguments: &[&str]) -> anyhow::Result<Result<String, String>> {
        let output = Command::new(binary()?)
            .args(arguments)
            .env("SORTITION_DATABASE_URL", format!("sqlite:{}", self.0.join("db").display()))
            .env("SORTITION_STORE", self.store())
            .env("SORTITION_SIGNING_KEY", signing_key)
            .output()?;
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        })
    }

    /// Makes new keys, which changes the config, and publishes it.
    fn publish(&self, signing_key: &str) -> anyhow::Result<Value> {
        let made = self.run(signing_key, &["bootstrap"])?.map_err(anyhow::Error::msg)?;
        Ok(serde_json::from_str(&made)?)
    }
}

/// A native edge; dropping it ends it.
struct Edge {
    process: Child,
    url: String,
}

impl Edge {
    fn start(environment: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let process = Command::new(binary()?)
            .args(["edge", "--listen", &address, "--metrics-listen", "127.0.0.1:0"])
            .args(["--environment", environment, "--refresh-interval-ms", "200"])
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, url: format!("http://{address}") })
    }

    /// What `/readyz` says, once it satisfies the condition.
    async fn ready_when(&self, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut last = Value::Null;
        while Instant::now() < deadline {
            if let Ok(answer) = reqwest::get(format!("{}/readyz", self.url)).await {
                last = answer.json().await?;
                if is_so(&last) {
                    return Ok(last);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("waited in vain; /readyz says {last}")
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_without_an_edge_losing_its_config() -> anyhow::Result<()> {
    let folder = state_folder();
    let installation = Installation(folder.path());
    let public_key = |key| installation.run(key, &["public-key"])?.map_err(anyhow::Error::msg);
    let (old, new) = (public_key(OLD)?, public_key(NEW)?);
    assert_ne!(old, new);
    let made = installation.publish(OLD)?;
    let environment = made["environment_id"].as_str().context("environment_id")?;
    let store = installation.store();
    let both = format!("{old},{new}");
    let store_setting = ("SORTITION_STORE", store.as_str());
    let prepared = Edge::start(environment, &[store_setting, ("SORTITION_PUBLIC_KEYS", &both)])?;
    let forgotten = Edge::start(environment, &[store_setting, ("SORTITION_PUBLIC_KEYS", &old)])?;
    let mut ids = Vec::new();
    for edge in [&prepared, &forgotten] {
        let ready = edge.ready_when(|ready| ready["config"] == "current").await?;
        ids.push(ready["environments"][0]["key_id"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    let first = prepared.ready_when(|_| true).await?["generation"].clone();

    installation.publish(NEW)?;
    let ready = prepared
        .ready_when(|ready| ready["generation"] != first && ready["config"] == "current")
        .await?;
    assert_eq!(ready["public_keys"][1], ready["environments"][0]["key_id"]);
    let ready = forgotten.ready_when(|ready| ready["config"] == "last-good").await?;
    assert_eq!((&ready["generation"], &ready["status"]), (&first, &"ready".into()));
    let reason = ready["environments"][0]["last_refused"]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("which this edge does not have"), "{reason}");

    let file = folder.path().join("configs.bundle");
    let file = file.to_str().context("a path in UTF-8")?;
    let bundle = |keys: &str| {
        installation.run(NEW, &["bundle", environment, "--out", file, "--public-keys", keys])
    };
    let refused = bundle(&old)?.expect_err("an unknown key is not bundled");
    assert!(refused.contains("which this edge does not have"), "{refused}");
    bundle(&new)?.map_err(anyhow::Error::msg)?;
    let settings = [
        // Nobody listens there.
        ("SORTITION_CONFIG_URL", "http://127.0.0.1:1"),
        ("SORTITION_BUNDLED_CONFIG", file),
        ("SORTITION_PUBLIC_KEYS", &new),
    ];
    let alone = Edge::start(environment, &settings)?;
    let ready = alone.ready_when(|ready| ready["config"] == "bundled").await?;
    assert_ne!(ready["generation"], first);
    Ok(())
}
