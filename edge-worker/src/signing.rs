//! Keys with which the edge signs what it hands to browsers: the identity cookie, deferred exposures, QA links.
//!
//! They derive from the edge's one secret, each environment and each purpose its own: HMAC-SHA-256(secret, label + environment id) with
//! the labels "cookie:", "exposure:" and "qa:". The key of unit-id lists has the label "list:", so that none of the four can stand in for
//! another. Tags are the first 16 bytes of HMAC-SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// A key of one environment and one purpose, ready to use.
#[derive(Clone)]
pub struct SigningKey {
    mac: Hmac<Sha256>,
    hash_seed: u64,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SigningKey")
    }
}

/// The signing keys of one environment.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    /// Signs the identity cookie.
    pub cookie: SigningKey,
    /// Signs the tokens of deferred exposures.
    pub exposure: SigningKey,
    /// Signs QA overrides of routed requests.
    pub qa: SigningKey,
}

impl SigningKeys {
    /// The keys of an environment.
    pub fn derive(secret: &[u8; 32], environment: &str) -> Self {
        Self {
            cookie: SigningKey::derive(secret, "cookie", environment),
            exposure: SigningKey::derive(secret, "exposure", environment),
            qa: SigningKey::derive(secret, "qa", environment),
        }
    }
}

impl SigningKey {
    fn derive(secret: &[u8; 32], purpose: &str, environment: &str) -> Self {
        let mac = hmac(&digest(&hmac(secret), format!("{purpose}:{environment}").as_bytes()));
        let hash_seed = digest(&mac, b"hash").first_chunk().copied().unwrap_or_default();
        Self { mac, hash_seed: u64::from_le_bytes(hash_seed) }
    }

    /// The tag of a message.
    pub fn tag(&self, message: &[u8]) -> [u8; TAG_BYTES] {
        let whole = digest(&self.mac, message);
        let mut tag = [0; TAG_BYTES];
        for (to, from) in tag.iter_mut().zip(whole) {
            *to = from;
        }
        tag
    }

    /// The message of `message ‖ tag`, if the tag is right. Takes the same time wherever the tags differ.
    pub fn open<'m>(&self, signed: &'m [u8]) -> Option<&'m [u8]> {
        let (message, tag) = signed.split_last_chunk::<TAG_BYTES>()?;
        bool::from(self.tag(message).ct_eq(tag)).then_some(message)
    }

    /// Appends the tag of what the buffer holds.
    pub fn seal(&self, message: &mut Vec<u8>) {
        let tag = self.tag(message);
        message.extend_from_slice(&tag);
    }

    /// Seed of hashes that nobody without the key can look up.
    pub(crate) fn hash_seed(&self) -> u64 {
        self.hash_seed
    }
}

#[inline(never)]
fn digest(mac: &Hmac<Sha256>, message: &[u8]) -> [u8; 32] {
    mac.clone().chain_update(message).finalize().into_bytes().into()
}

fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_documented_ones_and_all_differ() {
        // python3: k = hmac.new(b"\x11" * 32, b"cookie:production-k3v9x2mq", "sha256").digest()
        //          hmac.new(k, b"message", "sha256").hexdigest()[:32]
        let keys = SigningKeys::derive(&[0x11; 32], "production-k3v9x2mq");
        let hex = |key: &SigningKey| format!("{:032x}", u128::from_be_bytes(key.tag(b"message")));
        assert_eq!(hex(&keys.cookie), "ad2c1c98bb9dea921b4f38cdba2d0976");
        assert_eq!(hex(&keys.exposure), "a0fb8b50ca51160a3e964d1eda931128");
        let other = SigningKeys::derive(&[0x11; 32], "staging-k3v9x2mq");
        assert_ne!(hex(&keys.cookie), hex(&other.cookie));
    }

    #[test]
    fn a_message_opens_only_as_it_was_sealed() {
        let key = SigningKeys::derive(&[7; 32], "e").cookie;
        let mut sealed = b"message".to_vec();
        key.seal(&mut sealed);
        assert_eq!(key.open(&sealed), Some(&b"message"[..]));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(key.open(&forged), None, "byte {at}");
            assert_eq!(key.open(&sealed[..at]), None, "cut at {at}");
        }
    }
}
