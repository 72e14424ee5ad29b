//! `sortition migrate`: the tables of the database, forward or back.

use clap::Args;
use control_plane::store::Db;

use crate::commands::serve::InstallationArgs;

/// Bring the database's tables to a version, forward or back. A control plane does the former by itself when it
/// starts; the latter, before an older program is installed again, drops what later versions added.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Number of a migration; the newest when absent.
    #[arg(long, value_name = "NUMBER")]
    to: Option<i64>,

    #[command(flatten)]
    installation: InstallationArgs,
}

impl Migrate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let db = Db::connect(&self.installation.settings()?.database_url).await?;
        db.migrate_to(self.to.unwrap_or(i64::MAX)).await?;
        db.close().await;
        Ok(())
    }
}
