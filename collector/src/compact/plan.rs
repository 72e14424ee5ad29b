//! Which files to merge.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::CompactionSettings;
use crate::lake::{FileEntry, Snapshot};
use crate::schema::Kind;

/// Most files of one job: each is held open, with a row group in memory.
const MAX_FILES: usize = 32;

/// Files below this size count as equally small.
const SMALL_BYTES: u64 = 1024 * 1024;

/// In a running day a file may be this many times as large as all smaller ones together; a larger
/// one waits until they have grown, so that a row is rewritten a logarithmic number of times.
const SIZE_RATIO: u64 = 2;

/// A day is over this long after midnight UTC: late flushes have come by then.
const DAY_SLACK: SignedDuration = SignedDuration::from_hours(2);

/// Files to be merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) tenant: String,
    pub(super) kind: Kind,
    pub(super) dt: String,
    pub(super) files: Vec<FileEntry>,
}

/// The jobs of now, at most one for each project, kind and day.
pub(super) fn jobs(snapshot: &Snapshot, settings: &CompactionSettings, now: Timestamp) -> Vec<Job> {
    let mut groups: BTreeMap<(&str, Kind, &str), Vec<&FileEntry>> = BTreeMap::new();
    for file in snapshot.all_files() {
        groups.entry((&file.tenant, file.kind, &file.dt)).or_default().push(file);
    }
    let running_day = now.saturating_sub(DAY_SLACK).unwrap_or(now);
    let running_day = running_day.to_zoned(TimeZone::UTC).date().to_string();
    groups
        .into_iter()
        .filter_map(|((tenant, kind, dt), files)| {
            let files = select(files, settings, dt < running_day.as_str());
            let files = files.into_iter().cloned().collect();
            let job = Job { tenant: tenant.to_owned(), kind, dt: dt.to_owned(), files };
            (!job.files.is_empty()).then_some(job)
        })
        .collect()
}

fn select<'s>(
    mut files: Vec<&'s FileEntry>,
    settings: &CompactionSettings,
    day_is_over: bool,
) -> Vec<&'s FileEntry> {
    // A compacted file of half the target is as good as it gets; a fresh one still lies under its
    // hour, over all units.
    files.retain(|file| file.ub.is_none() || file.bytes < settings.target_bytes / 2);
    files.sort_by(|a, b| (a.bytes, &a.path).cmp(&(b.bytes, &b.path)));
    if day_is_over {
        files.truncate(MAX_FILES);
        let has_fresh = files.iter().any(|file| file.ub.is_none());
        let is_worth_it = has_fresh || files.len() > buckets(&files, settings.target_bytes);
        return if is_worth_it { files } else { Vec::new() };
    }
    let mut total = 0;
    let run = files
        .iter()
        .take(MAX_FILES)
        .take_while(|file| {
            let fits = file.bytes <= SMALL_BYTES.max(total * SIZE_RATIO);
            total += file.bytes;
            fits
        })
        .count();
    files.truncate(run);
    if files.len() < settings.min_files.max(2) { Vec::new() } else { files }
}

/// How many unit buckets a merge of files should have: a power of two, so that buckets of different
/// merges nest.
pub(super) fn bucket_count(total_bytes: u64, target_bytes: u64) -> u16 {
    let wanted = total_bytes.div_ceil(target_bytes.max(1)).clamp(1, 256);
    u16::try_from(wanted.next_power_of_two()).unwrap_or(256)
}

fn buckets(files: &[&FileEntry], target_bytes: u64) -> usize {
    bucket_count(files.iter().map(|file| file.bytes).sum(), target_bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::UnitBuckets;

    const MIB: u64 = 1024 * 1024;

    fn file(index: usize, bytes: u64, is_compacted: bool) -> FileEntry {
        FileEntry {
            path: format!("{index:04}"),
            tenant: "default".to_owned(),
            kind: Kind::Metric,
            dt: "2026-11-20".to_owned(),
            hr: (!is_compacted).then_some(7),
            ub: is_compacted.then_some(UnitBuckets { first: 0, last: 255 }),
            environments: Vec::new(),
            rows: 1,
            bytes,
            min_unit_hash: 0,
            max_unit_hash: 0,
            min_ts: 0,
            max_ts: 0,
            min_ts_received: 0,
            max_ts_received: 0,
            sha256: String::new(),
        }
    }

    #[track_caller]
    fn check(fresh: &[u64], compacted: &[u64], day_is_over: bool, expected: usize) {
        let settings = CompactionSettings { min_files: 4, ..CompactionSettings::default() };
        let fresh = fresh.iter().enumerate().map(|(i, bytes)| file(i, *bytes, false));
        let compacted = compacted.iter().enumerate().map(|(i, bytes)| file(100 + i, *bytes, true));
        let files: Vec<FileEntry> = fresh.chain(compacted).collect();
        let selected = select(files.iter().collect(), &settings, day_is_over);
        assert_eq!(selected.len(), expected, "{selected:?}");
    }

    #[test]
    fn a_running_day_waits_for_enough_files_of_similar_size() {
        check(&[MIB; 3], &[], false, 0);
        check(&[MIB; 4], &[], false, 4);
        check(&[MIB; 4], &[50 * MIB], false, 4);
        check(&[MIB; 4], &[6 * MIB], false, 5);
        check(&[MIB; 2], &[50 * MIB; 3], false, 0);
        check(&[MIB; 100], &[], false, MAX_FILES);
    }

    #[test]
    fn a_day_that_is_over_keeps_no_fresh_and_no_needless_files() {
        check(&[MIB], &[], true, 1);
        check(&[], &[MIB], true, 0);
        check(&[], &[MIB, 2 * MIB], true, 2);
        check(&[], &[100 * MIB, 100 * MIB], true, 0);
    }

    #[test]
    fn the_number_of_buckets_follows_the_size() {
        for (total, expected) in [(0, 1), (1, 1), (10, 1), (11, 2), (21, 4), (41, 8), (9999, 256)] {
            assert_eq!(bucket_count(total, 10), expected, "{total}");
        }
    }
}
