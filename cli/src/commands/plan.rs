//! `sortition plan`: what applying a document would change.

use std::path::PathBuf;

use clap::Args;

use crate::as_code::{Document, TargetArgs, describe};
use crate::console;

/// Show what `sortition apply` would make and change, and change nothing.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// The document: YAML, or JSON if its name ends in `.json`.
    file: PathBuf,

    #[command(flatten)]
    target: TargetArgs,
}

impl Plan {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let plan = Document::read(&self.file)?.plan(&self.target.api()?).await?;
        console::line(describe(&plan).trim_end());
        Ok(())
    }
}
