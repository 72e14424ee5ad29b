//! `sortition dev`: the whole platform on this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::dev::platform::Platform;
use crate::prometheus::{self, MetricsArgs};
use crate::shutdown;

/// Run the whole platform on this machine, in the foreground: control plane with dashboard, edge Worker, collector,
/// analysis, and a demo.
///
/// `scripts/run` builds what is needed and calls this. State is kept in one folder, and the next start goes on with it.
/// `dev.json` in that folder says what a client needs: addresses, tokens, keys.
#[derive(Debug, Args)]
pub(crate) struct Dev {
    /// Folder of everything that is kept.
    #[arg(long, env = "SORTITION_STATE", default_value = ".sortition", value_name = "FOLDER")]
    state: PathBuf,

    /// Folder of the repository, with `wrangler.toml` and the built Worker.
    #[arg(long, env = "SORTITION_ROOT", default_value = ".", value_name = "FOLDER")]
    root: PathBuf,

    /// Address of all parts.
    #[arg(long, env = "SORTITION_IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "IP")]
    ip: IpAddr,

    /// Port of dashboard and API; 0: any free one.
    #[arg(long, env = "SORTITION_CONTROL_PLANE_PORT", default_value_t = 8080, value_name = "PORT")]
    control_plane_port: u16,

    /// Port of the edge Worker; 0: any free one.
    #[arg(long, env = "SORTITION_EDGE_PORT", default_value_t = 8787, value_name = "PORT")]
    edge_port: u16,

    /// Port of the collector; 0: any free one.
    #[arg(long, env = "SORTITION_COLLECTOR_PORT", default_value_t = 8081, value_name = "PORT")]
    collector_port: u16,

    /// Seconds between two analyses.
    #[arg(long, env = "SORTITION_DEV_ANALYSIS_S", default_value_t = 3.0, value_name = "SECONDS")]
    analysis_interval: f64,

    /// Longest time until an event stands in a file, in seconds.
    #[arg(long, env = "SORTITION_DEV_FLUSH_S", default_value_t = 2.0, value_name = "SECONDS")]
    flush_interval: f64,

    /// Start without the demo: project `default`, environment `production`, its keys, nothing else.
    #[arg(long)]
    no_demo: bool,

    /// Visitors a second of the demo.
    #[arg(long, env = "SORTITION_DEMO_RATE", default_value_t = 20.0, value_name = "NUMBER")]
    demo_rate: f64,

    #[command(flatten)]
    metrics: MetricsArgs,
}

impl Dev {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        std::fs::create_dir_all(&self.state)
            .with_context(|| format!("state folder {}", self.state.display()))?;
        let interval = |name: &str, seconds: f64| {
            Duration::try_from_secs_f64(seconds).with_context(|| format!("--{name}"))
        };
        let platform = Platform {
            root: self.root.canonicalize().context("--root")?,
            state: self.state.canonicalize().context("--state")?,
            ip: self.ip,
            control_plane_port: self.control_plane_port,
            edge_port: self.edge_port,
            collector_port: self.collector_port,
            analysis_interval: interval("analysis-interval", self.analysis_interval)?,
            flush_interval: interval("flush-interval", self.flush_interval)?,
            demo_rate: (!self.no_demo).then_some(self.demo_rate),
        };
        prometheus::serve(&self.metrics, shutdown.clone()).await?;
        platform.run(shutdown).await
    }
}
