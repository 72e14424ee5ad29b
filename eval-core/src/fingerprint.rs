//! Unit-id lists without personal data: ids are kept as keyed hashes.
//!
//! A list entry is the first 16 bytes of HMAC-SHA-256(list key, unit type + ":" + unit id). The list key is a
//! secret of the edge and never in the blob, so that an archived blob identifies nobody.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A fingerprint of one unit id.
pub type Fingerprint = [u8; 16];

/// The list key of an environment: HMAC-SHA-256(list secret, "list:" + environment id).
pub fn list_key(secret: &[u8], environment: &str) -> [u8; 32] {
    hmac_sha256(secret, &[b"list:", environment.as_bytes()])
}

/// The fingerprint under which a unit id stands in lists.
pub fn unit_fingerprint(list_key: &[u8; 32], unit_type: &str, unit_id: &str) -> Fingerprint {
    let whole = hmac_sha256(list_key, &[unit_type.as_bytes(), b":", unit_id.as_bytes()]);
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(whole) {
        *to = from;
    }
    first
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length, so this is always `Ok`; the fallback keeps the crate free of panics.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_truncated_hmac_sha256() {
        // Python: hmac.new(b"k" * 32, b"user_id:12345", "sha256").hexdigest()[:32]
        let fingerprint = unit_fingerprint(&[b'k'; 32], "user_id", "12345");
        let hex = format!("{:032x}", u128::from_be_bytes(fingerprint));
        assert_eq!(hex, "61618f404d22486168181549921da4a8");
    }
}
