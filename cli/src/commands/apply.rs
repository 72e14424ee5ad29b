//! `sortition apply`: an environment as a document says.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use crate::as_code::{Document, TargetArgs, describe};
use crate::console;

/// Make what is missing of a document and change what differs, after showing it. What the document does not name stays.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The document: YAML, or JSON if its name ends in `.json`.
    file: PathBuf,

    /// Do not ask before changing anything.
    #[arg(long)]
    yes: bool,

    #[command(flatten)]
    target: TargetArgs,
}

impl Apply {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (document, api) = (Document::read(&self.file)?, self.target.api()?);
        let plan = document.plan(&api).await?;
        console::line(describe(&plan).trim_end());
        if plan["changes"].as_array().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        if !self.yes && !agreed()? {
            bail!("nothing was changed");
        }
        let done = document.apply(&api).await?;
        let n = |list: &str| done[list].as_array().map_or(0, Vec::len);
        console::line(&format!("Made {}, changed {}.", n("created"), n("updated")));
        Ok(())
    }
}

fn agreed() -> anyhow::Result<bool> {
    let input = std::io::stdin();
    if !input.is_terminal() {
        bail!("nobody can be asked here; --yes applies without asking");
    }
    console::line("Apply? Only `yes` does.");
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}
