//! A control plane in a process of its own, which can be killed: this test binary, started again.

use control_plane::{BootstrapSecrets, Settings};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What a replica is told to do.
const VARIABLE: &str = "SORTITION_TEST_REPLICA";

/// Name of the test that is the replica.
const TEST: &str = "harness::replica::serves_until_it_is_killed";

/// A second control plane on the database and store of another; killed when it is dropped.
pub struct Replica(Child);

impl Replica {
    /// Starts one and waits until it listens.
    pub fn start(settings: &Settings) -> Self {
        let told = json!({
            "database_url": settings.database_url, "store_url": settings.store_url,
            "bootstrap": settings.bootstrap,
            "networks": settings.webhook_networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        });
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--ignored", "--nocapture"])
            .env(VARIABLE, told.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = lines.any(|line| line.is_ok_and(|line| line.contains("replica listens")));
        assert!(ready, "the replica ended before it listened");
        // Whatever else it says is read, so that its pipe never fills.
        std::thread::spawn(move || lines.count());
        Self(child)
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "is the process of a replica; does nothing by itself"]
async fn serves_until_it_is_killed() {
    let Ok(told) = std::env::var(VARIABLE) else { return };
    let told: Value = serde_json::from_str(&told).unwrap();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let secrets: BootstrapSecrets = serde_json::from_value(told["bootstrap"].clone()).unwrap();
    let networks = told["networks"].as_array().unwrap();
    let networks = networks.iter().map(|n| n.as_str().unwrap().parse().unwrap()).collect();
    let settings = Settings {
        database_url: text("database_url"),
        store_url: text("store_url"),
        list_secret: Some([7; 32]),
        bootstrap: Some(secrets),
        webhook_networks: networks,
        ..Settings::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("replica listens");
    control_plane::serve(listener, settings, CancellationToken::new()).await.unwrap();
}
