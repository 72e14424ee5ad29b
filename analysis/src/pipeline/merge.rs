//! Merging the sorted files of one kind, unit by unit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use collector::lake::FileEntry;
use object_store::ObjectStore;
use tokio::runtime::Handle;

use super::cursor::{Columns, Cursor, ReadError};
use super::questions::Questions;

/// What a merge reads from.
pub(super) struct Source<'s> {
    pub(super) handle: &'s Handle,
    pub(super) store: &'s Arc<dyn ObjectStore>,
    pub(super) questions: &'s Questions,
}

/// A merge of files over a range of unit hashes. A file is opened when its first unit is due.
pub(super) struct UnitMerge<'s, C> {
    source: &'s Source<'s>,
    /// Files not opened yet, by falling first hash.
    pending: Vec<&'s FileEntry>,
    open: Vec<Option<Cursor<C>>>,
    /// (hash at the cursor, index in `open`), smallest hash first.
    heads: BinaryHeap<Reverse<(i64, usize)>>,
    /// Smallest hash that is still of interest.
    from: i64,
    to: i64,
    rows_read: u64,
}

impl<'s, C: Columns> UnitMerge<'s, C> {
    /// Merges `files` over the hashes `from..=to`.
    pub(super) fn new(source: &'s Source<'s>, files: &[&'s FileEntry], from: i64, to: i64) -> Self {
        let mut pending: Vec<&FileEntry> = files
            .iter()
            .copied()
            .filter(|file| file.rows > 0 && file.max_unit_hash >= from && file.min_unit_hash <= to)
            .collect();
        pending.sort_by(|a, b| (b.min_unit_hash, &b.path).cmp(&(a.min_unit_hash, &a.path)));
        Self { source, pending, open: Vec::new(), heads: BinaryHeap::new(), from, to, rows_read: 0 }
    }

    /// The smallest hash that has rows left; none at the end of the range.
    pub(super) fn next_hash(&mut self) -> Result<Option<i64>, ReadError> {
        loop {
            let head = self.heads.peek().map(|Reverse((hash, _))| *hash);
            let due = self.pending.last().map(|file| file.min_unit_hash.max(self.from));
            match (head, due) {
                (head, Some(due)) if head.is_none_or(|head| due <= head) => self.open_next()?,
                (Some(head), _) => return Ok((head <= self.to).then_some(head)),
                (None, None) => return Ok(None),
                // A pending file that is not due has a head before it: the first arm's guard.
                (None, Some(_)) => self.open_next()?,
            }
        }
    }

    /// Hands over the rows of a unit: of `hash`, which must not lie before any taken earlier. What
    /// lies before it is skipped.
    pub(super) fn take_unit(&mut self, hash: i64, rows: &mut Vec<C::Row>) -> Result<(), ReadError> {
        // Files and row groups that end before the unit need not be opened any more.
        self.from = self.from.max(hash);
        while let Some(next) = self.next_hash()? {
            if next > hash {
                return Ok(());
            }
            let Some(Reverse((_, index))) = self.heads.pop() else { return Ok(()) };
            let Some(cursor) = self.open[index].as_mut() else { continue };
            let (handle, questions) = (self.source.handle, self.source.questions);
            let more = if next < hash {
                cursor.seek(handle, questions, hash)?
            } else {
                cursor.take_unit(handle, questions, rows)?
            };
            if more {
                self.heads.push(Reverse((cursor.hash(), index)));
            } else {
                self.rows_read += cursor.rows_read();
                self.open[index] = None;
            }
        }
        Ok(())
    }

    /// Rows decoded, of closed and open files.
    pub(super) fn rows_read(&self) -> u64 {
        self.rows_read + self.open.iter().flatten().map(Cursor::rows_read).sum::<u64>()
    }

    fn open_next(&mut self) -> Result<(), ReadError> {
        let Some(file) = self.pending.pop() else { return Ok(()) };
        if file.max_unit_hash < self.from {
            return Ok(());
        }
        let Source { handle, store, questions } = self.source;
        if let Some(cursor) = Cursor::open(handle, store, file, questions, self.from)? {
            let hash = cursor.hash();
            let free = self.open.iter().position(Option::is_none);
            let index = free.unwrap_or(self.open.len());
            if free.is_some() {
                self.open[index] = Some(cursor);
            } else {
                self.open.push(Some(cursor));
            }
            self.heads.push(Reverse((hash, index)));
        }
        Ok(())
    }
}
