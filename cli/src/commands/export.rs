//! `sortition export`: what people defined in an environment, as one document.

use clap::{Args, ValueEnum};

use crate::as_code::TargetArgs;
use crate::console;

/// Print everything that is defined in an environment as YAML, for `sortition plan` and `sortition apply`.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// How it is written.
    #[arg(long, value_enum, default_value = "yaml")]
    format: Format,

    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

impl Export {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let api = self.target.api()?;
        match self.format {
            Format::Yaml => {
                let document = api.get("/export?format=yaml").await?;
                console::line(document.as_str().unwrap_or_default().trim_end());
            }
            Format::Json => {
                let document = api.get("/export").await?;
                console::line(&serde_json::to_string_pretty(&document)?);
            }
        }
        Ok(())
    }
}
