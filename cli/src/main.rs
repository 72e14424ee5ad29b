//! The `sortition` binary: every part of the platform in one program.
//!
//! One file in [`commands`] for each command. Each is a thin shell: it turns flags and environment
//! variables into the settings of one part and runs that part until it is told to stop. [`dev`] runs
//! all parts together on one machine; [`nsw`] sends a real experiment through them.
//!
//! Not here: anything that a part does.
#![forbid(unsafe_code)]

mod console;
mod logging;
mod traces;
mod prometheus;
mod settings_file;
mod shutdown;
mod client;
mod as_code;
mod commands;
mod dev;
mod demo;
mod nsw;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::commands::Cli;
use crate::traces::Traces;

/// Scans of the lake allocate and free large buffers on many threads; the system's allocator keeps
/// them apart and its memory only grows.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::problem(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let command = settings_file::apply(Cli::command(), std::env::args_os())?;
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let traces = {
        let _inside = runtime.enter();
        Traces::start(&cli.traces)?
    };
    logging::start(&cli.logging, cli.command.default_log_filter(), traces.as_ref())?;
    runtime.block_on(cli.command.run())
}
