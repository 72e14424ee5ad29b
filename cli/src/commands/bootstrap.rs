//! `sortition bootstrap`: the first tokens and keys of an installation.

use clap::Args;
use serde_json::json;

use crate::commands::serve::InstallationArgs;
use crate::console;

/// Make what a new installation lacks (project `default`, environment `production`, its first config), and print new tokens
/// and keys for it, as JSON.
///
/// They are shown this once: only their hashes are kept. Calling it again makes further ones and takes none away.
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    installation: InstallationArgs,
}

impl Bootstrap {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let made = control_plane::bootstrap(&self.installation.settings()?).await?;
        let shown = json!({
            "project": made.project,
            "environment": made.environment,
            "environment_id": made.environment_id,
            "admin_token": made.admin_token,
            "data_token": made.data_token,
            "server_sdk_key": made.server_sdk_key,
            "client_sdk_key": made.client_sdk_key,
        });
        console::line(&serde_json::to_string_pretty(&shown)?);
        Ok(())
    }
}
