//! Settings of the collector.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::compact::CompactionSettings;
use crate::pseudonym::PseudonymSecret;

/// How a collector runs. `Default` is the embedded installation, but for the secret.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen on. `SORTITION_COLLECTOR_LISTEN`, default `127.0.0.1:8081`.
    pub listen: SocketAddr,
    /// Object storage of the event lake, and of the configs unless `config_url` is set: `file:///…` or `s3://bucket/prefix`.
    /// `SORTITION_STORE`, default the folder `.sortition/store` below the working directory.
    pub store_url: String,
    /// Base URL under which `configs/{environment}/latest.json` is served. `SORTITION_CONFIG_URL`, default none: configs are read from the store.
    pub config_url: Option<String>,
    /// Folder of the write-ahead log, on a disk of this machine; one collector at a time. `SORTITION_WAL_DIR`, default `.sortition/wal`.
    pub wal_dir: PathBuf,
    /// Secret from which the projects' pseudonym keys are derived, 32 bytes. `SORTITION_PSEUDONYM_SECRET` (hex), no default.
    pub pseudonym_secret: Option<PseudonymSecret>,
    /// Longest time that an acknowledged event stays in the log alone. `SORTITION_FLUSH_INTERVAL_MS` (milliseconds), default 60 s.
    pub flush_interval: Duration,
    /// Size at which a log segment is flushed without waiting. `SORTITION_FLUSH_BYTES`, default 64 MiB.
    pub flush_bytes: u64,
    /// How long a sync of the log waits for more batches to share it. `SORTITION_GROUP_DELAY_MS` (milliseconds), default 5 ms.
    pub group_delay: Duration,
    /// Size of the log beyond which batches are refused, because the object store does not take them. `SORTITION_WAL_BYTES`, default 4 GiB.
    pub wal_bytes: u64,
    /// Memory for requests under way, and for batches that wait for the log. `SORTITION_COLLECTOR_MEMORY_BYTES`, default 256 MiB.
    pub memory_bytes: usize,
    /// Largest request body as sent. `SORTITION_EVENTS_BODY_BYTES`, default 5 MiB.
    pub body_bytes: usize,
    /// Largest request body once decompressed. `SORTITION_EVENTS_DECODED_BYTES`, default 32 MiB.
    pub decoded_bytes: usize,
    /// Event ids to remember at least, 18 to 36 bytes each: a retry within these is answered as a duplicate. `SORTITION_DEDUP_IDS`, default 2 million.
    pub dedup_ids: usize,
    /// Time between two looks for newer configs, and so for new and revoked SDK keys. `SORTITION_REFRESH_INTERVAL_MS` (milliseconds), default 5 s.
    pub refresh_interval: Duration,
    /// When and how fresh files are merged; none leaves that to another process. `SORTITION_COMPACTION_INTERVAL_MS` (milliseconds, 0 for none), default 10 min.
    pub compaction: Option<CompactionSettings>,
    /// How long stopping waits for requests and for the last flush; what is not flushed then stays in the log. `SORTITION_SHUTDOWN_MS` (milliseconds), default 20 s.
    pub shutdown_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            store_url: format!("file://{}", here.join(".sortition/store").display()),
            config_url: None,
            wal_dir: here.join(".sortition/wal"),
            pseudonym_secret: None,
            flush_interval: Duration::from_mins(1),
            flush_bytes: 64 * 1024 * 1024,
            group_delay: Duration::from_millis(5),
            wal_bytes: 4 * 1024 * 1024 * 1024,
            memory_bytes: 256 * 1024 * 1024,
            body_bytes: 5 * 1024 * 1024,
            decoded_bytes: 32 * 1024 * 1024,
            dedup_ids: 2_000_000,
            refresh_interval: Duration::from_secs(5),
            compaction: Some(CompactionSettings::default()),
            shutdown_timeout: Duration::from_secs(20),
        }
    }
}
