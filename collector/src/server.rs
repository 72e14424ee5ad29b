//! A running collector: its parts, how they start, and in which order they stop.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::compact::Compaction;
use crate::disk::{Disk, RealDisk};
use crate::flush::Flush;
use crate::http::{AppState, Limits};
use crate::keys::{ConfigKeys, ConfigSource, KeyDirectory};
use crate::lake::{Lake, open_store};
use crate::pseudonym::PseudonymKeys;
use crate::routes;
use crate::settings::Settings;
use crate::wal::{Recovered, Wal, WriterSettings, spawn_writer};

/// A group of this many bytes is synced without waiting for more.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Binds the address of the settings and serves until cancelled, then finishes cleanly.
pub async fn run(settings: Settings, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}", settings.listen))?;
    serve(listener, settings, shutdown).await
}

/// Serves on a bound listener until cancelled, then finishes cleanly: requests under way are
/// answered, and what they stored is brought into the lake.
pub async fn serve(
    listener: TcpListener,
    settings: Settings,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let store = open_store(&settings.store_url)?;
    let source = match &settings.config_url {
        Some(url) => ConfigSource::http(url),
        None => ConfigSource::Store(Arc::clone(&store)),
    };
    let configs = Arc::new(ConfigKeys::new(source));
    let refresh = configs.refresh_until(settings.refresh_interval, shutdown.clone());
    let parts = Parts {
        disk: Arc::new(RealDisk),
        lake: Arc::new(Lake::new(store)),
        keys: Arc::<ConfigKeys>::clone(&configs),
        configs: Some(Arc::clone(&configs)),
    };
    let (served, ()) = tokio::join!(serve_parts(listener, settings, parts, shutdown), refresh);
    served
}

/// What a collector is made of, so that tests can put in other parts.
#[derive(Debug)]
pub struct Parts {
    /// The disk of the write-ahead log.
    pub disk: Arc<dyn Disk>,
    /// The event lake.
    pub lake: Arc<Lake>,
    /// The valid keys.
    pub keys: Arc<dyn KeyDirectory>,
    /// The same keys, where they come from configs.
    pub configs: Option<Arc<ConfigKeys>>,
}

/// Serves with parts of the caller's making.
pub async fn serve_parts(
    listener: TcpListener,
    settings: Settings,
    parts: Parts,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let secret = settings.pseudonym_secret.context("SORTITION_PSEUDONYM_SECRET is not set")?;
    let (disk, dir) = (Arc::clone(&parts.disk), settings.wal_dir.clone());
    let _lock = lock(&dir)?;
    let Recovered { wal, segments } = Wal::open(disk, &dir, settings.dedup_ids)
        .with_context(|| format!("cannot open the write-ahead log in {}", dir.display()))?;
    let collector = wal.collector();
    tracing::info!(%collector, recovered = segments.len(), dir = %dir.display(), "log opened");

    let writer_settings = WriterSettings {
        group_delay: settings.group_delay,
        group_bytes: GROUP_BYTES,
        segment_bytes: settings.flush_bytes,
        segment_age: settings.flush_interval,
        queue_bytes: settings.memory_bytes,
        log_bytes: settings.wal_bytes,
    };
    let (log, segments, writer) = spawn_writer(wal, segments, writer_settings)?;
    let load = log.load();
    let give_up = CancellationToken::new();
    let flush = Flush {
        disk: parts.disk,
        dir,
        lake: Arc::clone(&parts.lake),
        collector: collector.simple().to_string(),
        recent_capacity: settings.dedup_ids,
    };
    let flushing = tokio::spawn({
        let (load, give_up) = (Arc::clone(&load), give_up.clone());
        async move { flush.run(segments, &load, give_up).await }
    });

    let compacting = settings.compaction.map(|compaction| {
        let (lake, shutdown) = (parts.lake, shutdown.clone());
        tokio::spawn(async move { Compaction::new(lake, compaction).run(shutdown).await })
    });

    let parallel = std::thread::available_parallelism().map_or(1, usize::from);
    let state = AppState {
        keys: parts.keys,
        configs: parts.configs,
        pseudonyms: Arc::new(PseudonymKeys::new(secret)),
        log,
        load,
        limits: Limits {
            body: settings.body_bytes,
            decoded: settings.decoded_bytes,
            wal: settings.wal_bytes,
        },
        memory: Arc::new(Semaphore::new(settings.memory_bytes / 1024)),
        parsing: Arc::new(Semaphore::new(parallel * 2)),
        shutdown: shutdown.clone(),
    };
    tracing::info!(address = %listener.local_addr()?, "collector listens");
    // Answers are small and wait for a sync anyway: they must not wait for company too.
    let listener = listener.tap_io(|connection| {
        connection.set_nodelay(true).ok();
    });
    let server = axum::serve(listener, routes::router(state))
        .with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let deadline = async {
        shutdown.cancelled().await;
        tokio::time::sleep(settings.shutdown_timeout).await;
    };
    tokio::select! {
        served = server => served?,
        () = deadline => tracing::warn!("connections were still open"),
    }

    // Every way into the log is gone with the server: the writer seals and ends, and then the
    // queue of segments does.
    tokio::pin!(flushing);
    if tokio::time::timeout(settings.shutdown_timeout, &mut flushing).await.is_err() {
        tracing::warn!("stopping before everything is in the lake; the rest stays in the log");
        give_up.cancel();
        flushing.await?;
    }
    tokio::task::spawn_blocking(move || writer.join())
        .await?
        .map_err(|_panic| anyhow::anyhow!("the log writer panicked"))?;
    if let Some(compacting) = compacting {
        compacting.await?;
    }
    tracing::info!("collector stopped");
    Ok(())
}

/// Keeps a second collector away from the same log; the lock goes with the process.
fn lock(dir: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(dir)?;
    let path = dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("another collector uses the write-ahead log in {}", dir.display())
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
