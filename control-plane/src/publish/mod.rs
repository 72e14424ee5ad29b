//! Publishing: load → validate → compile → encode → upload → record.

pub mod claim;
pub mod manifest;
pub mod prepared;
pub mod sign;
pub mod upload;
