//! `sortition analyze`: from the lake to reports.

use std::time::Duration;

use clap::Args;

use crate::commands::default_store;
use crate::console;
use crate::prometheus::{self, MetricsArgs};
use crate::shutdown;

/// Analyse: read the plans and the event lake, and hand reports in to the control plane, again and again.
#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// Object storage of plans and events: `file:///…` or `s3://bucket/prefix`. Default: the folder `.sortition/store` here.
    #[arg(long, env = "SORTITION_STORE", value_name = "URL")]
    store: Option<String>,

    /// Base URL of the control plane that takes the reports. Without it nothing is handed in.
    #[arg(long, env = "SORTITION_CONTROL_PLANE", value_name = "URL")]
    control_plane: Option<String>,

    /// API token of role `data`.
    #[arg(long, env = "SORTITION_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,

    /// Seconds between the starts of two cycles.
    #[arg(
        long,
        env = "SORTITION_ANALYSIS_INTERVAL",
        default_value_t = 300,
        value_name = "SECONDS"
    )]
    interval: u64,

    /// Only this project.
    #[arg(long, env = "SORTITION_PROJECT", value_name = "NAME")]
    project: Option<String>,

    /// Only the environment of this id.
    #[arg(long, env = "SORTITION_ENVIRONMENT", value_name = "ID")]
    environment: Option<String>,

    /// Threads that scan the lake.
    #[arg(long, env = "SORTITION_ANALYSIS_THREADS", default_value_t = 2, value_name = "NUMBER")]
    threads: usize,

    /// Run one cycle, print its reports as JSON lines, and end.
    #[arg(long)]
    once: bool,

    #[command(flatten)]
    metrics: MetricsArgs,
}

impl Analyze {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        let settings = analysis::Settings {
            store: self.store.map_or_else(default_store, Ok)?,
            control_plane: self.control_plane,
            token: self.token,
            interval: Duration::from_secs(self.interval),
            project: self.project,
            environment: self.environment,
            threads: self.threads,
        };
        if self.once {
            for report in analysis::run_once(&settings).await? {
                console::line(&serde_json::to_string(&report)?);
            }
            return Ok(());
        }
        prometheus::serve(&self.metrics, shutdown.clone()).await?;
        analysis::run(settings, shutdown).await
    }
}
