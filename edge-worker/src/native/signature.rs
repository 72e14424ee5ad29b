//! The publishers' signatures, checked natively.

use ed25519_dalek::{Signature, VerifyingKey};

use crate::trust::SignatureCheck;

/// Whether a blob bears out the signature; true where none is asked for. A megabyte takes some milliseconds.
pub(super) fn is_authentic(check: Option<&SignatureCheck>, blob: &[u8]) -> bool {
    check.is_none_or(|check| {
        VerifyingKey::from_bytes(check.key.bytes()).is_ok_and(|key| {
            key.verify_strict(blob, &Signature::from_bytes(&check.signature)).is_ok()
        })
    })
}
