//! The native edge's copies of configs: a folder with what it served last, and the file that was deployed with it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use tokio::fs;
use tokio::io::AsyncWriteExt as _;

use super::settings::Settings;
use super::signature;
use crate::copies::ConfigCopy;
use crate::environments::Environment;
use crate::standing::Source;
use crate::trust::PublicKeys;

/// How files of the folder end.
const SUFFIX: &str = ".config";
/// How they end while they are written.
const UNFINISHED: &str = ".new";

/// Copies to fall back to.
#[derive(Debug, Default)]
pub(super) struct Copies {
    folder: Option<PathBuf>,
    bundle: Vec<u8>,
    n_written: AtomicU64,
}

impl Copies {
    /// Opens what the settings name. A bundle that is not whole is an error now rather than when it is needed.
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Self> {
        if let Some(folder) = &settings.config_cache {
            open_folder(folder)
                .with_context(|| format!("SORTITION_CONFIG_CACHE={}", folder.display()))?;
        }
        let bundle = match &settings.bundled_config {
            Some(path) => {
                let name = || format!("SORTITION_BUNDLED_CONFIG={}", path.display());
                let bundle = std::fs::read(path).with_context(name)?;
                let (_, problem) = ConfigCopy::read_all(&bundle);
                problem
                    .map_or(Ok(()), |problem| Err(anyhow::anyhow!(problem)))
                    .with_context(name)?;
                bundle
            }
            None => Vec::new(),
        };
        Ok(Self { folder: settings.config_cache.clone(), bundle, n_written: AtomicU64::new(0) })
    }

    /// Keeps a copy of what an environment holds. What was kept before stays until the new file is whole.
    pub(super) async fn keep(&self, environment: &Environment) {
        let (Some(folder), Some(copy)) = (&self.folder, environment.copy()) else { return };
        let written = self.write(folder, environment.id(), &copy).await;
        if let Err(error) = &written {
            tracing::error!(environment = environment.id(), %error, "no copy of the config kept");
        }
        environment.copied(written.map_err(|error| format!("{error:#}")));
    }

    async fn write(&self, folder: &Path, environment: &str, copy: &[u8]) -> anyhow::Result<()> {
        let number = self.n_written.fetch_add(1, Ordering::Relaxed);
        let unfinished = folder.join(format!("{environment}.{number}{UNFINISHED}"));
        let path = folder.join(format!("{environment}{SUFFIX}"));
        let written = async {
            let mut file = fs::File::create(&unfinished).await?;
            file.write_all(copy).await?;
            file.sync_all().await?;
            fs::rename(&unfinished, &path).await?;
            fs::File::open(folder).await?.sync_all().await
        };
        let written = written.await.with_context(|| path.display().to_string());
        if written.is_err() {
            let _ = fs::remove_file(&unfinished).await;
        }
        written
    }

    /// Serves the newest copy where the store gave nothing.
    pub(super) async fn fall_back(&self, environment: &Environment, keys: &PublicKeys) {
        let kept = match &self.folder {
            Some(folder) => {
                let path = folder.join(format!("{}{SUFFIX}", environment.id()));
                fs::read(path).await.unwrap_or_default()
            }
            None => Vec::new(),
        };
        for (file, source) in [(&kept, Source::Copy), (&self.bundle, Source::Bundle)] {
            match adopt(file, source, environment, keys) {
                Ok(Some(generation)) => tracing::warn!(
                    environment = environment.id(),
                    generation,
                    ?source,
                    "the store gives no config; a copy is served"
                ),
                Ok(None) => {}
                Err(reason) => tracing::error!(
                    environment = environment.id(),
                    ?source,
                    reason,
                    "the copy of a config is refused"
                ),
            }
        }
    }
}

/// The generation that is served now; `None` when the file has nothing newer.
fn adopt(
    file: &[u8],
    source: Source,
    environment: &Environment,
    keys: &PublicKeys,
) -> Result<Option<u64>, String> {
    let Some(copy) = ConfigCopy::find(file, environment.id())? else { return Ok(None) };
    let generation = copy.pointer.generation;
    if environment.held().is_some_and(|held| held.generation() >= generation) {
        return Ok(None);
    }
    let refused = |refusal: crate::config::Refusal| refusal.to_string();
    let candidate = environment.receive_copy(&copy, keys).map_err(refused)?;
    let is_authentic = signature::is_authentic(candidate.check.as_deref(), copy.blob);
    let is_new =
        environment.adopt(&candidate, copy.blob.to_vec(), is_authentic, source).map_err(refused)?;
    Ok(is_new.then_some(generation))
}

/// Makes the folder, and takes out of it what a process that was stopped had not finished.
fn open_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.ends_with(UNFINISHED)) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
