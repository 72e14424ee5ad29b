//! The client form beside the fixture's blob.

use eval_core::CompileError;
use eval_core::source::ConfigSource;

/// The client form of a source, of the same generation and time as its blob.
pub(crate) fn encode(
    source: &ConfigSource,
    generation: u64,
    created_at_ms: i64,
) -> Result<Vec<u8>, CompileError> {
    let form = eval_core::client::form(&eval_core::compile(source)?);
    Ok(eval_core::blob::encode(&form, generation, created_at_ms))
}
