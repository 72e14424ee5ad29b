//! Pseudonyms: what the lake stores in place of a unit's id.
//!
//! HMAC-SHA-256 with one key per project, so that ids can neither be guessed back nor be compared
//! across projects, and so that forgetting the key forgets every unit.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::event::Id;

/// The secret from which every project's key is derived: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PseudonymSecret([u8; 32]);

impl PseudonymSecret {
    /// The secret of its bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let bytes = hex::decode(text.trim()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for PseudonymSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymSecret(…)")
    }
}

/// The key of one project, with the padded key block hashed already.
#[derive(Clone)]
pub struct PseudonymKey(Hmac<Sha256>);

impl PseudonymKey {
    /// The key of a project.
    pub fn derive(secret: &PseudonymSecret, project: &str) -> Self {
        let mut derive = keyed(&secret.0);
        derive.update(b"pseudonym:");
        derive.update(project.as_bytes());
        Self(keyed(&derive.finalize().into_bytes()))
    }

    /// First 16 bytes of the HMAC of `{unit_type}:{unit_id}`.
    pub fn pseudonym(&self, unit_type: &str, unit_id: &str) -> Id {
        let mut mac = self.0.clone();
        mac.update(unit_type.as_bytes());
        mac.update(b":");
        mac.update(unit_id.as_bytes());
        let digest = mac.finalize().into_bytes();
        let mut pseudonym = Id::default();
        pseudonym.copy_from_slice(&digest[..16]);
        pseudonym
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey(…)")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// The keys of the projects seen so far.
#[derive(Debug)]
pub struct PseudonymKeys {
    secret: PseudonymSecret,
    keys: RwLock<HashMap<String, Arc<PseudonymKey>>>,
}

impl PseudonymKeys {
    /// Keys derived from a secret.
    pub fn new(secret: PseudonymSecret) -> Self {
        Self { secret, keys: RwLock::default() }
    }

    /// The key of a project. Projects come from published configs, so there are few.
    pub fn of(&self, project: &str) -> Arc<PseudonymKey> {
        if let Some(key) = self.keys.read().unwrap_or_else(PoisonError::into_inner).get(project) {
            return Arc::clone(key);
        }
        let key = Arc::new(PseudonymKey::derive(&self.secret, project));
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(keys.entry(project.to_owned()).or_insert(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac` module: `hmac.new(hmac.new(bytes(range(32)),
    /// b"pseudonym:default", "sha256").digest(), b"user_id:u-1", "sha256").digest()[:16]`.
    #[test]
    fn pseudonyms_agree_with_an_independent_implementation() {
        let secret = PseudonymSecret::new(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let key = PseudonymKey::derive(&secret, "default");
        assert_eq!(
            hex::encode(key.pseudonym("user_id", "u-1")),
            "c89a9a90f47e090379511bbb4fcab3d5"
        );
    }

    #[test]
    fn projects_and_unit_types_do_not_share_pseudonyms() {
        let keys = PseudonymKeys::new(PseudonymSecret::new([7; 32]));
        let one = keys.of("one").pseudonym("user_id", "u-1");
        assert_ne!(one, keys.of("two").pseudonym("user_id", "u-1"));
        assert_ne!(one, keys.of("one").pseudonym("anonymous_id", "u-1"));
        assert_eq!(one, keys.of("one").pseudonym("user_id", "u-1"));
    }
}
