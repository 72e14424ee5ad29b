//! The names of a client form.
//!
//! A name is the first 9 bytes of SHA-256(environment id, 0, sort, 0, name), written in base64url: 12 characters. The
//! environment id makes the hashes of two environments unlike; the sort keeps a key from being looked up as an attribute.

use sha2::{Digest, Sha256};

/// Length of a hashed name in bytes. 72 bits: among a million names two are alike with a probability of 10⁻¹⁰.
pub const NAME_HASH_BYTES: usize = 9;

/// A hashed name.
pub type NameHash = [u8; NAME_HASH_BYTES];

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Hashes the names of one environment.
#[derive(Clone, Debug)]
pub struct Names(Sha256);

impl Names {
    /// The names of an environment.
    pub fn new(environment: &str) -> Self {
        Self(Sha256::new().chain_update(environment).chain_update([0]))
    }

    /// A key under which clients ask.
    pub fn key(&self, key: &str) -> NameHash {
        self.hash(b'k', key)
    }

    /// The key of an experiment.
    #[cfg(feature = "client-forms")]
    pub(crate) fn experiment(&self, key: &str) -> String {
        text_of(&self.hash(b'e', key))
    }

    /// An attribute or unit type whose value is used as it is.
    pub fn attribute(&self, name: &str) -> String {
        text_of(&self.hash(b'a', name))
    }

    /// An attribute whose texts are compared by their hashes.
    pub fn compared_attribute(&self, name: &str) -> String {
        text_of(&self.hash(b'c', name))
    }

    /// A text that attributes are compared with.
    pub fn text(&self, text: &str) -> String {
        text_of(&self.hash(b't', text))
    }

    fn hash(&self, sort: u8, name: &str) -> NameHash {
        let whole = self.0.clone().chain_update([sort, 0]).chain_update(name).finalize();
        let mut first = [0; NAME_HASH_BYTES];
        for (to, from) in first.iter_mut().zip(whole) {
            *to = from;
        }
        first
    }
}

/// A hash as it stands in the tables.
pub(super) fn text_of(hash: &NameHash) -> String {
    let mut text = String::with_capacity(12);
    let (triples, _) = hash.as_chunks::<3>();
    for &[a, b, c] in triples {
        let bits = u32::from_be_bytes([0, a, b, c]);
        for shift in [18u32, 12, 6, 0] {
            let digit = bits.checked_shr(shift).unwrap_or(0) & 63;
            text.extend(ALPHABET.get(digit as usize).map(|&byte| char::from(byte)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_start_of_a_sha256_in_base64url() {
        // Python: base64.urlsafe_b64encode(hashlib.sha256(b"production-k3v9x2mq\0k\0checkout").digest()[:9])
        let names = Names::new("production-k3v9x2mq");
        assert_eq!(text_of(&names.key("checkout")), "-EC3j88ap6Vw");
        assert_ne!(names.attribute("checkout"), text_of(&names.key("checkout")));
        assert_ne!(Names::new("staging").attribute("plan"), names.attribute("plan"));
    }
}
