//! `sortition collect`: the collector.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use collector::CompactionSettings;
use collector::pseudonym::PseudonymSecret;

use crate::commands::{Secret, default_store};
use crate::prometheus::{self, MetricsArgs};
use crate::shutdown;

/// Collect events: make them durable, count each once, write them to the lake.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Address to listen on.
    #[arg(
        long,
        env = "SORTITION_COLLECTOR_LISTEN",
        default_value = "127.0.0.1:8081",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,

    /// Object storage of the event lake, and of the configs unless `--config-url` is given: `file:///…` or
    /// `s3://bucket/prefix`. Default: the folder `.sortition/store` here.
    #[arg(long, env = "SORTITION_STORE", value_name = "URL")]
    store: Option<String>,

    /// Base URL under which `configs/{environment}/latest.json` is served. Default: configs are read from the store.
    #[arg(long, env = "SORTITION_CONFIG_URL", value_name = "URL")]
    config_url: Option<String>,

    /// Folder of the write-ahead log, on a disk of this machine; one collector at a time.
    #[arg(
        long,
        env = "SORTITION_WAL_DIR",
        default_value = ".sortition/wal",
        value_name = "FOLDER"
    )]
    wal_dir: PathBuf,

    /// Secret from which the projects' pseudonym keys are derived, 64 hexadecimal digits; every collector needs the same.
    #[arg(long, env = "SORTITION_PSEUDONYM_SECRET", hide_env_values = true, value_name = "HEX")]
    pseudonym_secret: Secret,

    /// Longest time that an acknowledged event stays in the log alone, in milliseconds.
    #[arg(long, env = "SORTITION_FLUSH_INTERVAL_MS", default_value_t = 60_000, value_name = "MS")]
    flush_interval_ms: u64,

    /// Size at which a log segment is flushed without waiting.
    #[arg(long, env = "SORTITION_FLUSH_BYTES", default_value_t = 64 * 1024 * 1024, value_name = "BYTES")]
    flush_bytes: u64,

    /// How long a sync of the log waits for more batches to share it, in milliseconds.
    #[arg(long, env = "SORTITION_GROUP_DELAY_MS", default_value_t = 5, value_name = "MS")]
    group_delay_ms: u64,

    /// Size of the log beyond which batches are refused.
    #[arg(long, env = "SORTITION_WAL_BYTES", default_value_t = 4 * 1024 * 1024 * 1024, value_name = "BYTES")]
    wal_bytes: u64,

    /// Memory for requests under way, and for batches that wait for the log.
    #[arg(long, env = "SORTITION_COLLECTOR_MEMORY_BYTES", default_value_t = 256 * 1024 * 1024, value_name = "BYTES")]
    memory_bytes: usize,

    /// Largest request body as sent.
    #[arg(long, env = "SORTITION_EVENTS_BODY_BYTES", default_value_t = 5 * 1024 * 1024, value_name = "BYTES")]
    body_bytes: usize,

    /// Largest request body once decompressed.
    #[arg(long, env = "SORTITION_EVENTS_DECODED_BYTES", default_value_t = 32 * 1024 * 1024, value_name = "BYTES")]
    decoded_bytes: usize,

    /// Event ids to remember at least, so that a retry within these is answered as a duplicate.
    #[arg(long, env = "SORTITION_DEDUP_IDS", default_value_t = 2_000_000, value_name = "NUMBER")]
    dedup_ids: usize,

    /// Time between two looks for newer configs, in milliseconds.
    #[arg(long, env = "SORTITION_REFRESH_INTERVAL_MS", default_value_t = 5000, value_name = "MS")]
    refresh_interval_ms: u64,

    /// Time between two merges of fresh files, in milliseconds; 0 leaves that to another collector.
    #[arg(
        long,
        env = "SORTITION_COMPACTION_INTERVAL_MS",
        default_value_t = 600_000,
        value_name = "MS"
    )]
    compaction_interval_ms: u64,

    /// How long stopping waits for requests and for the last flush, in milliseconds.
    #[arg(long, env = "SORTITION_SHUTDOWN_MS", default_value_t = 20_000, value_name = "MS")]
    shutdown_ms: u64,

    #[command(flatten)]
    metrics: MetricsArgs,
}

impl Collect {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        prometheus::serve(&self.metrics, shutdown.clone()).await?;
        let compaction = (self.compaction_interval_ms > 0).then(|| CompactionSettings {
            interval: Duration::from_millis(self.compaction_interval_ms),
            ..CompactionSettings::default()
        });
        let settings = collector::Settings {
            listen: self.listen,
            store_url: self.store.map_or_else(default_store, Ok)?,
            config_url: self.config_url,
            wal_dir: self.wal_dir,
            pseudonym_secret: Some(PseudonymSecret::new(self.pseudonym_secret.bytes())),
            flush_interval: Duration::from_millis(self.flush_interval_ms),
            flush_bytes: self.flush_bytes,
            group_delay: Duration::from_millis(self.group_delay_ms),
            wal_bytes: self.wal_bytes,
            memory_bytes: self.memory_bytes,
            body_bytes: self.body_bytes,
            decoded_bytes: self.decoded_bytes,
            dedup_ids: self.dedup_ids,
            refresh_interval: Duration::from_millis(self.refresh_interval_ms),
            compaction,
            shutdown_timeout: Duration::from_millis(self.shutdown_ms),
        };
        collector::run(settings, shutdown).await
    }
}
