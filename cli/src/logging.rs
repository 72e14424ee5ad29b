//! Logs: text when a person looks on, JSON lines when a machine collects them; always on standard error,
//! so that standard output holds results alone.

use std::fs::File;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::traces::Traces;

/// How to log.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// What to log: a level, or `target=level` pairs. Default: `info`, or `warn` for commands that talk to a person.
    #[arg(long = "log", env = "SORTITION_LOG", value_name = "FILTER", global = true)]
    filter: Option<String>,

    /// The form of the log.
    #[arg(long, env = "SORTITION_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto, global = true)]
    log_format: LogFormat,

    /// A file that gets the log too, as JSON lines at level `info`; replaced at each start.
    #[arg(long, env = "SORTITION_LOG_FILE", value_name = "FILE", global = true)]
    log_file: Option<PathBuf>,
}

/// Form of the log on standard error.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text.
    Text,
    /// JSON, one object a line.
    Json,
}

/// Installs the log for the whole process, and the way of spans to the traces.
pub(crate) fn start(
    args: &LogArgs,
    default_filter: &str,
    traces: Option<&Traces>,
) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(args.filter.as_deref().unwrap_or(default_filter))
        .context("--log is no filter")?;
    let json = match args.log_format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let on_stderr = if json {
        layer.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        layer.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
    };
    let in_file = match &args.log_file {
        None => None,
        Some(path) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let file =
                File::create(path).with_context(|| format!("log file {}", path.display()))?;
            Some(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(Mutex::new(file))
                    .with_filter(EnvFilter::new("info")),
            )
        }
    };
    tracing_subscriber::registry()
        .with(traces.map(Traces::layer))
        .with(on_stderr)
        .with(in_file)
        .init();
    Ok(())
}
