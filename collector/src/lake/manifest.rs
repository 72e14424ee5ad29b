//! What the log of files says: manifests, and the snapshot that they add up to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::schema::Kind;

/// One Parquet file of the lake. Its rows are sorted by (`unit_hash`, `ts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Path relative to the root of the store.
    pub path: String,
    /// The project.
    pub tenant: String,
    /// The kind of all its rows.
    pub kind: Kind,
    /// Received day, `YYYY-MM-DD`.
    pub dt: String,
    /// Received hour of a fresh file; none once compacted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hr: Option<u8>,
    /// Unit buckets of a compacted file; none while fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ub: Option<UnitBuckets>,
    /// Environment ids that occur in it.
    pub environments: Vec<String>,
    /// Number of rows.
    pub rows: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Smallest `unit_hash`.
    pub min_unit_hash: i64,
    /// Largest `unit_hash`.
    pub max_unit_hash: i64,
    /// Smallest `ts`, microseconds since 1970.
    pub min_ts: i64,
    /// Largest `ts`, microseconds since 1970.
    pub max_ts: i64,
    /// Smallest `ts_received`, microseconds since 1970.
    pub min_ts_received: i64,
    /// Largest `ts_received`, microseconds since 1970.
    pub max_ts_received: i64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// The units of a compacted file, by the first byte of their pseudonym: `first..=last`.
///
/// The directory `ub=NNN` carries `first`. Ranges are aligned powers of two, so that a bucket can
/// be split without hashing anything again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitBuckets {
    /// First byte value of the range.
    pub first: u8,
    /// Last byte value of the range, inclusive.
    pub last: u8,
}

/// How far one collector's write-ahead log has been committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Id of the collector.
    pub collector: String,
    /// Its segments up to and including this one are in the lake.
    pub segment: u64,
}

/// One entry of the log of files, created once and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Its number; the first is 1.
    pub number: u64,
    /// When it was written, RFC 3339.
    pub committed_at: jiff::Timestamp,
    /// The write-ahead log segment that its files came from; none for a compaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// Files that readers see from now on.
    #[serde(default)]
    pub added: Vec<FileEntry>,
    /// Paths that readers see no longer.
    #[serde(default)]
    pub removed: Vec<String>,
}

/// A file that left the log and waits for its deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Path relative to the root of the store.
    pub path: String,
    /// When the manifest that removed it was written.
    pub removed_at: jiff::Timestamp,
}

/// The files of the lake after one manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Number of the last manifest; 0 is the empty lake.
    pub number: u64,
    /// Current files by path.
    #[serde(with = "files_as_list")]
    files: BTreeMap<String, FileEntry>,
    /// Last committed segment of every collector.
    sources: BTreeMap<String, u64>,
    /// Files that left the log, oldest first.
    removed: Vec<Removed>,
}

impl Snapshot {
    /// Every current file, by path.
    pub fn all_files(&self) -> impl Iterator<Item = &FileEntry> {
        self.files.values()
    }

    /// The current files of one project and kind. Together they hold every stored row once per
    /// acceptance; see [`crate::schema`] for counting an event once.
    pub fn files<'s>(
        &'s self,
        tenant: &'s str,
        kind: Kind,
    ) -> impl Iterator<Item = &'s FileEntry> + 's {
        self.all_files().filter(move |file| file.tenant == tenant && file.kind == kind)
    }

    /// The file of a path, if it is current.
    pub fn file(&self, path: &str) -> Option<&FileEntry> {
        self.files.get(path)
    }

    /// Last committed segment of a collector.
    pub fn committed_segment(&self, collector: &str) -> Option<u64> {
        self.sources.get(collector).copied()
    }

    /// Files that left the log, oldest first.
    pub fn removed(&self) -> &[Removed] {
        &self.removed
    }

    /// The snapshot after one more manifest.
    pub(crate) fn apply(&mut self, manifest: Manifest) {
        for path in manifest.removed {
            if self.files.remove(&path).is_some() {
                self.removed.push(Removed { path, removed_at: manifest.committed_at });
            }
        }
        for file in manifest.added {
            self.files.insert(file.path.clone(), file);
        }
        if let Some(source) = manifest.source {
            let segment = self.sources.entry(source.collector).or_default();
            *segment = source.segment.max(*segment);
        }
        self.number = manifest.number;
    }

    /// Forgets removed files that were removed before `horizon`.
    pub(crate) fn forget_removed_before(&mut self, horizon: jiff::Timestamp) {
        self.removed.retain(|removed| removed.removed_at >= horizon);
    }
}

/// The map of files as a list: the path is inside the entry already.
mod files_as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::FileEntry;

    pub(super) fn serialize<S: Serializer>(
        files: &BTreeMap<String, FileEntry>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(files.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, FileEntry>, D::Error> {
        let files = Vec::<FileEntry>::deserialize(deserializer)?;
        Ok(files.into_iter().map(|file| (file.path.clone(), file)).collect())
    }
}
