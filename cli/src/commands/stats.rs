//! `sortition stats`: the statistics of the results page as JSON lines.

use std::io::{BufWriter, ErrorKind, Write};

use anyhow::bail;
use clap::Args;

/// Compute statistics: one JSON object a line on standard input, one result a line on standard output.
///
/// It is the engine behind the results page, for notebooks, continuous integration and acceptance checks. A request that
/// cannot be computed answers with an `error` that names the field and the rule, and the next line is read.
#[derive(Debug, Args)]
pub(crate) struct Stats {
    /// Print the methods with their fields.
    #[arg(long, conflicts_with = "describe")]
    list: bool,

    /// Print formula, assumptions and reference of a method.
    #[arg(long, value_name = "METHOD")]
    describe: Option<String>,
}

impl Stats {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let done = if self.list {
            analysis::stats_cli::list(&mut out)
        } else if let Some(method) = &self.describe {
            match analysis::stats_cli::describe(method, &mut out) {
                Ok(false) => {
                    bail!("there is no method {method}; `sortition stats --list` prints them")
                }
                Ok(true) => Ok(()),
                Err(error) => Err(error),
            }
        } else {
            analysis::stats_cli::run(std::io::stdin().lock(), &mut out)
        };
        match done.and_then(|()| out.flush()) {
            // Whoever reads has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }
}
