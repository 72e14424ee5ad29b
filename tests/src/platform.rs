//! A whole platform for one test: `sortition dev` on free ports, with its state in a temporary folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tempfile::TempDir;

/// How long a platform may take until it is ready.
const START_PATIENCE: Duration = Duration::from_mins(3);
/// How long it may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// What `dev.json` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Description {
    /// Address of the control plane.
    pub control_plane: String,
    /// Address of the edge Worker.
    pub edge: String,
    /// Address of the collector.
    pub collector: String,
    /// Name of the project.
    pub project: String,
    /// Name of the environment.
    pub environment: String,
    /// API token of role `admin`.
    pub admin_token: String,
    /// Server SDK key.
    pub server_sdk_key: String,
    /// Client SDK key.
    pub client_sdk_key: String,
}

/// A running platform. Dropping it ends it; a test that failed then prints the end of its log.
pub struct Platform {
    process: Child,
    state: PathBuf,
    /// What clients need to know.
    pub description: Description,
}

/// A state folder that outlives the platforms started on it.
pub fn state_folder() -> TempDir {
    tempfile::Builder::new().prefix("sortition-test-").tempdir().expect("a temporary folder")
}

impl Platform {
    /// Starts a platform on the state folder and waits until it is ready.
    pub fn start(state: &Path) -> anyhow::Result<Self> {
        let description = state.join("dev.json");
        if description.exists() {
            std::fs::remove_file(&description)?;
        }
        let log = File::options().create(true).append(true).open(state.join("test.log"))?;
        let process = Command::new(binary()?)
            .args(["dev", "--no-demo", "--control-plane-port", "0", "--edge-port", "0"])
            .args(["--collector-port", "0", "--metrics-listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .current_dir(repository())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut platform = Self {
            process,
            state: state.to_owned(),
            description: Description {
                control_plane: String::new(),
                edge: String::new(),
                collector: String::new(),
                project: String::new(),
                environment: String::new(),
                admin_token: String::new(),
                server_sdk_key: String::new(),
                client_sdk_key: String::new(),
            },
        };
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if let Ok(text) = std::fs::read_to_string(&description) {
                platform.description = serde_json::from_str(&text).context("dev.json")?;
                return Ok(platform);
            }
            if let Some(status) = platform.process.try_wait()? {
                bail!("the platform ended before it was ready: {status}\n{}", platform.log_end());
            }
            if Instant::now() > deadline {
                bail!("the platform is not ready after {START_PATIENCE:?}\n{}", platform.log_end());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks the platform to end, as Ctrl-C does, and waits until it has; it must report success.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("the platform ended with {status}\n{}", self.log_end());
            }
            if Instant::now() > deadline {
                bail!("the platform did not end in {STOP_PATIENCE:?}\n{}", self.log_end());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the platform without a word, as a crash or `kill -9` does.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Runs another command of the binary against this platform and returns its output.
    pub fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(binary()?)
            .args(arguments)
            .env("SORTITION_DEV_JSON", self.state.join("dev.json"))
            .current_dir(repository())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "sortition {arguments:?}: {}\n{text}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text)
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
    }

    fn log_end(&self) -> String {
        ["test.log", "worker.log"]
            .map(|name| {
                let text = std::fs::read_to_string(self.state.join(name)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                format!("--- {name}\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
            })
            .join("\n")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.signal(Signal::TERM);
            let deadline = Instant::now() + STOP_PATIENCE;
            while matches!(self.process.try_wait(), Ok(None)) {
                if Instant::now() > deadline {
                    let _ = self.process.kill();
                    let _ = self.process.wait();
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if std::thread::panicking() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{}", self.log_end());
        }
    }
}

/// The repository's folder.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The binary that was built with this test, or the one that `SORTITION_BIN` names.
pub fn binary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("SORTITION_BIN") {
        return Ok(path.into());
    }
    let test = std::env::current_exe()?;
    let path = test
        .parent()
        .and_then(Path::parent)
        .context("the test is not in a target folder")?
        .join("sortition");
    if !path.exists() {
        bail!("{} is missing; build it with `cargo build -p sortition`", path.display());
    }
    Ok(path)
}
