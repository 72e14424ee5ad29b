//! `sortition verify-audit`: whether the audit log is as it was written.

use anyhow::{Context, bail};
use clap::Args;
use control_plane::store::{Db, audit};

use crate::commands::serve::InstallationArgs;
use crate::console;

/// Check the audit log: that no entry was changed, removed, added or moved. Ends with an error if one was.
///
/// Prints the number and hash of the last entry. Kept elsewhere and given as `--expect` later, they show that
/// nothing up to there was rewritten, even by one who computed every hash anew.
#[derive(Debug, Args)]
pub(crate) struct VerifyAudit {
    /// Number and hash of an entry that was noted earlier.
    #[arg(long, value_name = "NUMBER:HASH")]
    expect: Option<String>,

    #[command(flatten)]
    installation: InstallationArgs,
}

impl VerifyAudit {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let anchor = self.expect.as_deref().map(anchor).transpose()?;
        let db = Db::connect(&self.installation.settings()?.database_url).await?;
        let mut tx = db.read().await?;
        let found = audit::verify(&mut tx, anchor).await.context("reading the audit log")?;
        drop(tx);
        db.close().await;
        if let (Some(at), Some(reason)) = (found.broken_at, found.reason) {
            bail!("the audit log is broken at entry {at}: {reason}");
        }
        console::line(&format!("{}:{}", found.n_entries, found.head));
        Ok(())
    }
}

/// `NUMBER:HASH`.
fn anchor(text: &str) -> anyhow::Result<(i64, &str)> {
    let (number, hash) = text.split_once(':').context("--expect is NUMBER:HASH")?;
    let number = number.parse().context("--expect begins with the number of an entry")?;
    if number < 1 || hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("--expect is the number of an entry and its hash of 64 hexadecimal digits");
    }
    Ok((number, hash))
}

#[cfg(test)]
mod tests {
    use super::anchor;

    #[test]
    fn an_anchor_is_a_number_and_a_hash() {
        let hash = "0".repeat(64);
        assert_eq!(anchor(&format!("7:{hash}")).unwrap(), (7, hash.as_str()));
        for wrong in ["", "7", "7:abc", "x:00", &format!("0:{hash}")] {
            assert!(anchor(wrong).is_err(), "{wrong}");
        }
    }
}
