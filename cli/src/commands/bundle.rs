//! `sortition bundle`: configs in a file, for edges to fall back to.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use edge_worker::trust::PublicKeys;

use crate::commands::default_store;
use crate::console;

/// Write the newest config of each environment into a file that edges are deployed with.
///
/// A native edge reads it as `SORTITION_BUNDLED_CONFIG`; for a Worker the same variable is set while it is built or deployed. It is served where
/// the store gives nothing.
#[derive(Debug, Args)]
pub(crate) struct Bundle {
    /// Environment ids.
    #[arg(required = true, value_name = "ENVIRONMENT")]
    environments: Vec<String>,

    /// File to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Object storage to read configs from: `file:///…` or `s3://bucket/prefix`. Default: the folder `.sortition/store` here.
    #[arg(long, env = "SORTITION_STORE", value_name = "URL")]
    store: Option<String>,

    /// Base URL under which `configs/{environment}/latest.json` is served; used where no store is given.
    #[arg(long, env = "SORTITION_CONFIG_URL", value_name = "URL")]
    config_url: Option<String>,

    /// Public keys of publishers, separated by commas: only configs that one of them signed are bundled.
    #[arg(long, env = "SORTITION_PUBLIC_KEYS", default_value = "", hide_default_value = true, value_name = "LIST", value_parser = PublicKeys::parse)]
    public_keys: PublicKeys,
}

impl Bundle {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let store = match (self.store, &self.config_url) {
            (None, None) => Some(default_store()?),
            (store, _) => store,
        };
        let settings = edge_worker::Settings {
            store,
            config_url: self.config_url,
            public_keys: self.public_keys,
            ..edge_worker::Settings::default()
        };
        let mut file = Vec::new();
        for environment in &self.environments {
            file.extend(edge_worker::copy_of(&settings, environment).await?);
        }
        std::fs::write(&self.out, &file).with_context(|| self.out.display().to_string())?;
        console::line(&format!("{}: {} bytes", self.out.display(), file.len()));
        Ok(())
    }
}
