//! `sortition public-key`: what edges verify configs with.

use clap::Args;

use crate::commands::serve::InstallationArgs;
use crate::console;

/// Print the Ed25519 public key of the key that signs configs, 64 hexadecimal digits: an entry of an edge's `SORTITION_PUBLIC_KEYS`.
///
/// With --signing-key it is that key's; else it is the one that is kept in the database, which is made if there is none.
#[derive(Debug, Args)]
pub(crate) struct PublicKey {
    #[command(flatten)]
    installation: InstallationArgs,
}

impl PublicKey {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let settings = self.installation.settings()?;
        console::line(&control_plane::publish::public_key(&settings).await?);
        Ok(())
    }
}
