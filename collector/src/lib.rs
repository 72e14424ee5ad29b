//! Events made durable: schema, write-ahead log, duplicates, and the event lake on object storage.

pub mod schema;
pub mod lake;
pub mod clock;
pub mod disk;
pub mod event;
pub mod pseudonym;
pub mod wal;
pub mod flush;
