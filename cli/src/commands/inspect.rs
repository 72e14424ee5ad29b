//! `sortition inspect`: what a blob says of itself, and what is in it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use eval_core::blob;
use serde_json::json;

use crate::console;

/// Print a blob's header and a summary of its content, as JSON.
///
/// Blobs are the files `configs/{environment}/{generation}-{hash}.bin` of the object storage, and what `GET /v1/config-bundle` answers.
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The blob.
    file: PathBuf,

    /// Also list every key under which clients can ask.
    #[arg(long)]
    keys: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let bytes = std::fs::read(&self.file).with_context(|| self.file.display().to_string())?;
        let (header, config) = blob::decode(&bytes)
            .with_context(|| format!("{} is no readable blob", self.file.display()))?;
        let created_at = jiff::Timestamp::from_millisecond(header.created_at_ms)?;
        let faults: Vec<_> = config
            .faults()
            .iter()
            .map(|fault| json!({"entry": fault.entry, "problem": fault.problem}))
            .collect();
        let mut summary = json!({
            "format_version": header.format_version,
            "environment": header.environment,
            "generation": header.generation,
            "created_at": created_at.to_string(),
            "size_bytes": bytes.len(),
            "body_bytes": header.body_len,
            "project": config.project(),
            "requires_consent": config.requires_consent(),
            "n_keys": config.n_keys(),
            "n_experiments": config.n_experiments(),
            "unit_types": config.unit_types().collect::<Vec<_>>(),
            "attributes": config.attributes().collect::<Vec<_>>(),
            "has_lists": config.has_lists(),
            "faults": faults,
        });
        if self.keys {
            summary["keys"] = config.keys().collect::<Vec<_>>().into();
        }
        console::line(&serde_json::to_string_pretty(&summary)?);
        Ok(())
    }
}
