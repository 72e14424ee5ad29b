//! The commands, one file for each.

mod serve;
mod edge;
mod collect;
mod analyze;
mod dev;
mod bootstrap;
mod public_key;
mod bundle;
mod stats;
mod simulate;
mod openapi;
mod inspect;
mod demo;
mod replay_nsw;
mod verify_audit;
mod migrate;
mod export;
mod plan;
mod apply;
mod secret;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::logging::LogArgs;
use crate::traces::TraceArgs;

pub(crate) use secret::Secret;

/// An experimentation platform: experiments and flags, decided at the edge, analysed with care.
#[derive(Debug, Parser)]
#[command(name = "sortition", version, about, propagate_version = true)]
pub(crate) struct Cli {
    /// File of settings, one `SORTITION_NAME=value` a line. Flags win over the environment, the environment over the file.
    #[arg(long, env = "SORTITION_SETTINGS", value_name = "FILE", global = true)]
    settings: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) logging: LogArgs,

    #[command(flatten)]
    pub(crate) traces: TraceArgs,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::Serve),
    Edge(edge::Edge),
    Collect(collect::Collect),
    Analyze(analyze::Analyze),
    Dev(dev::Dev),
    Bootstrap(bootstrap::Bootstrap),
    PublicKey(public_key::PublicKey),
    Bundle(bundle::Bundle),
    VerifyAudit(verify_audit::VerifyAudit),
    Migrate(migrate::Migrate),
    Export(export::Export),
    Plan(plan::Plan),
    Apply(apply::Apply),
    Stats(stats::Stats),
    Simulate(simulate::Simulate),
    #[command(name = "openapi")]
    OpenApi(openapi::OpenApi),
    Inspect(inspect::Inspect),
    Demo(demo::Demo),
    ReplayNsw(replay_nsw::ReplayNsw),
}

impl Command {
    /// What is logged when nobody says: services log at `info`, commands that talk to a person at `warn`.
    pub(crate) fn default_log_filter(&self) -> &'static str {
        match self {
            Self::Serve(_) | Self::Edge(_) | Self::Collect(_) | Self::Analyze(_) => "info",
            _ => "warn",
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Serve(command) => command.run().await,
            Self::Edge(command) => command.run().await,
            Self::Collect(command) => command.run().await,
            Self::Analyze(command) => command.run().await,
            Self::Dev(command) => command.run().await,
            Self::Bootstrap(command) => command.run().await,
            Self::PublicKey(command) => command.run().await,
            Self::Bundle(command) => command.run().await,
            Self::VerifyAudit(command) => command.run().await,
            Self::Migrate(command) => command.run().await,
            Self::Export(command) => command.run().await,
            Self::Plan(command) => command.run().await,
            Self::Apply(command) => command.run().await,
            Self::Stats(command) => command.run(),
            Self::Simulate(command) => command.run(),
            Self::OpenApi(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Demo(command) => command.run().await,
            Self::ReplayNsw(command) => command.run().await,
        }
    }
}

/// The object storage of an installation without settings: a folder here.
fn default_store() -> anyhow::Result<String> {
    let here = std::env::current_dir()?;
    Ok(format!("file://{}", here.join(".sortition/store").display()))
}
