//! The commands, one file for each.

mod edge;
mod stats;
mod inspect;
mod demo;
mod replay_nsw;
mod secret;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::logging::LogArgs;

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

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Edge(edge::Edge),
    Stats(stats::Stats),
    Inspect(inspect::Inspect),
    Demo(demo::Demo),
    ReplayNsw(replay_nsw::ReplayNsw),
}

impl Command {
    /// What is logged when nobody says: services log at `info`, commands that talk to a person at `warn`.
    pub(crate) fn default_log_filter(&self) -> &'static str {
        match self {
            Self::Edge(_) => "info",
            Self::Stats(_) | Self::Inspect(_) | Self::Demo(_) | Self::ReplayNsw(_) => "warn",
        }
    }

    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Edge(command) => command.run().await,
            Self::Stats(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Demo(command) => command.run().await,
            Self::ReplayNsw(command) => command.run().await,
        }
    }
}
