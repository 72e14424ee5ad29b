//! The edge Worker on this machine: wrangler, which runs workerd, as a child process that is started
//! again when it ends by itself.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::console;

/// How long workerd may take to answer after its start.
pub(crate) const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long it may take to end when asked to.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// A Worker that ends sooner than this after its start is counted as failing.
const SHORT_LIFE: Duration = Duration::from_secs(30);
/// How many failures in a row end the platform.
const MAX_FAILURES: u32 = 3;

/// Runs its arguments as a child, and asks that child to end when standard input is closed: also when this
/// process dies without a word, nothing stays behind that keeps the port.
const LEASH: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill -TERM $child 2>/dev/null; } &
exec 3<&-
trap : TERM
wait $child
status=$?
while kill -0 $child 2>/dev/null; do wait $child; status=$?; done
exit $status
"#;

/// Where and how the Worker runs.
#[derive(Debug, Clone)]
pub(crate) struct WorkerProcess {
    /// Folder of the repository, with `wrangler.toml` and the built Worker.
    pub(crate) root: PathBuf,
    /// Folder for wrangler's state and for the log.
    pub(crate) state: PathBuf,
    /// Address to listen on.
    pub(crate) address: SocketAddr,
    /// What the Worker reads from its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl WorkerProcess {
    /// Starts it and keeps it running until cancelled; ends with an error when it fails again and again.
    pub(crate) async fn supervise(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut n_failures = 0;
        loop {
            let began = Instant::now();
            let mut running = self.start()?;
            let status = tokio::select! {
                status = running.child.wait() => status?,
                () = shutdown.cancelled() => return running.stop().await,
            };
            // What the child started in turn must not keep the port.
            let _ = kill_process_group(running.group, Signal::KILL);
            n_failures = if began.elapsed() < SHORT_LIFE { n_failures + 1 } else { 1 };
            if n_failures >= MAX_FAILURES {
                bail!(
                    "the edge Worker ended {n_failures} times in a row ({status}); its log ends with:\n{}",
                    self.log().end()
                );
            }
            tracing::warn!(%status, "the edge Worker ended; starting it again");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    fn start(&self) -> anyhow::Result<Running> {
        let wrangler = self.root.join("edge-worker/node_modules/wrangler/bin/wrangler.js");
        ensure!(
            wrangler.exists(),
            "{} is missing: `scripts/run` installs it (npm ci in edge-worker)",
            wrangler.display()
        );
        let folder = self.state.join("worker");
        std::fs::create_dir_all(&folder)?;
        let WorkerLog(log) = self.log();
        let log = File::create(&log).with_context(|| log.display().to_string())?;
        let mut command = Command::new("sh");
        command
            .args(["-c", LEASH, "edge-worker", "node", "--no-warnings"])
            .arg(wrangler)
            .args(["dev", "--local", "--config"])
            .arg(self.root.join("wrangler.toml"))
            .args(["--ip", &self.address.ip().to_string()])
            .args(["--port", &self.address.port().to_string(), "--inspector-port", "0"])
            .arg("--persist-to")
            .arg(&folder)
            .args(["--show-interactive-dev-session=false", "--log-level", "warn"])
            .arg("--env-file")
            .arg(self.write_variables(&folder)?)
            .current_dir(&self.root)
            // The Worker is built; no questions, no reports about use, no look for a newer version, no call
            // that asks Cloudflare where this machine is.
            .env("SORTITION_WORKER_PREBUILT", "1")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("CI", "1")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_SEND_ERROR_REPORTS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("WRANGLER_LOG_PATH", folder.join("logs"))
            .env("NO_UPDATE_NOTIFIER", "1")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A group of its own: Ctrl-C in the terminal reaches this process alone, which then ends the
            // Worker after the parts that it sends to.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().context("sh, which runs the edge Worker")?;
        let leash = child.stdin.take().context("a pipe was asked for")?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = group.context("the edge Worker ended at once")?;
        Ok(Running { child, group, _leash: leash })
    }

    /// The variables in a file that only this user reads: what stands on a command line, everybody on the machine sees.
    fn write_variables(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join("variables.env");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| path.display().to_string())?;
        for (name, value) in &self.variables {
            writeln!(file, "{name}=\"{value}\"")?;
        }
        Ok(path)
    }

    /// Where wrangler and workerd say what they do.
    pub(crate) fn log(&self) -> WorkerLog {
        WorkerLog(self.state.join("worker.log"))
    }
}

/// The log of the Worker's process.
pub(crate) struct WorkerLog(PathBuf);

impl WorkerLog {
    /// Its last lines.
    pub(crate) fn end(&self) -> String {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// The process, and everything that it started.
struct Running {
    child: Child,
    group: Pid,
    /// Closing it ends the process; it must live as long as this.
    _leash: ChildStdin,
}

impl Running {
    /// Asks all of them to end, and ends them if they do not.
    async fn stop(mut self) -> anyhow::Result<()> {
        let _ = kill_process_group(self.group, Signal::TERM);
        if tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await.is_err() {
            console::problem("the edge Worker does not end when asked to; ending it");
        }
        let _ = kill_process_group(self.group, Signal::KILL);
        self.child.wait().await?;
        Ok(())
    }
}
