//! `dev.json`: what a client of a platform on this machine needs to know.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

/// Name of the file in the state folder.
pub(crate) const FILE: &str = "dev.json";

/// Addresses and keys of a running platform; always of the project `default`, environment `production`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Description {
    /// Address of dashboard and API.
    pub(crate) control_plane: String,
    /// Address of the edge Worker.
    pub(crate) edge: String,
    /// Address of the collector.
    pub(crate) collector: String,
    /// Name of the project.
    pub(crate) project: String,
    /// Name of the environment.
    pub(crate) environment: String,
    /// API token of role `admin`, for all projects.
    pub(crate) admin_token: String,
    /// Server SDK key of the environment.
    pub(crate) server_sdk_key: String,
    /// Client SDK key of the environment.
    pub(crate) client_sdk_key: String,
}

impl Description {
    /// Reads the file that a running platform wrote.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("{} (written by `sortition dev` when it is ready)", path.display())
        })?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Writes the file whole or not at all, readable by its owner alone.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        write_private(path, &serde_json::to_vec_pretty(self)?)
    }
}

/// Replaces a file in one step; its owner alone may read it.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension("draft");
    let _ = std::fs::remove_file(&draft);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .with_context(|| draft.display().to_string())?;
    file.write_all(content)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&draft, path).with_context(|| path.display().to_string())
}

/// Which running platform a command talks to.
#[derive(Debug, Clone, Args)]
pub(crate) struct DescriptionArgs {
    /// Description of the running platform, as `sortition dev` writes it.
    #[arg(
        long,
        env = "SORTITION_DEV_JSON",
        default_value = ".sortition/dev.json",
        value_name = "FILE"
    )]
    platform: PathBuf,
}

impl DescriptionArgs {
    /// Path of another file in the same state folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.platform.with_file_name(name)
    }

    /// Reads the description.
    pub(crate) fn read(&self) -> anyhow::Result<Description> {
        Description::read(&self.platform)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::Description;

    #[test]
    fn what_is_written_is_read_again_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.json");
        let description = Description {
            control_plane: "http://127.0.0.1:8080".into(),
            edge: "http://127.0.0.1:8787".into(),
            collector: "http://127.0.0.1:8081".into(),
            project: "default".into(),
            environment: "production".into(),
            admin_token: "st_a".into(),
            server_sdk_key: "sk_server_production-k3v9x2mq_a".into(),
            client_sdk_key: "sk_client_production-k3v9x2mq_a".into(),
        };
        for _ in 0..2 {
            description.write(&path).unwrap();
            assert_eq!(Description::read(&path).unwrap(), description);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
