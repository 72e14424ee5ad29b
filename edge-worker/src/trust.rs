//! Whose configs this edge serves: those signed by a publisher whose public key it was given.
//!
//! A pointer carries the name of a key and an Ed25519 signature over the whole blob, header and body (RFC 8032). The name is the first 16
//! hexadecimal digits of the SHA-256 of the public key, so a list of public keys is all that an edge needs; during a change of keys it
//! holds the old one and the new one. The arithmetic is done by the shells (Web Crypto in a Worker, `ed25519-dalek` natively); what
//! has to be checked, and what follows, is decided here.

use sha2::{Digest, Sha256};

use crate::base64url;
use crate::config::{Pointer, Refusal};
use crate::service::parse_secret;

/// The public key of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    id: String,
    bytes: [u8; 32],
}

impl PublicKey {
    /// A key and its name.
    pub fn new(bytes: [u8; 32]) -> Self {
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        let digits = u64::from_be_bytes(digest.first_chunk().copied().unwrap_or_default());
        Self { id: format!("{digits:016x}"), bytes }
    }

    /// Its name, as manifests and pointers have it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The 32 bytes of the key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// The publishers that this edge trusts; everyone, unless it was given keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicKeys(Option<Vec<PublicKey>>);

impl PublicKeys {
    /// Takes every blob.
    pub const EVERYONE: Self = Self(None);
    /// Takes no blob: what an edge falls back to whose setting cannot be read.
    pub const NOBODY: Self = Self(Some(Vec::new()));

    /// Reads keys of 64 hexadecimal digits, separated by commas or spaces. An empty text asks for no signature.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ', '\n', '\t', '\r']).filter(|word| !word.is_empty());
        let keys: Vec<PublicKey> = words
            .enumerate()
            .map(|(at, word)| {
                parse_secret(word).map(PublicKey::new).ok_or_else(|| {
                    format!("key {} is not 64 hexadecimal digits, an Ed25519 public key", at + 1)
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(if keys.is_empty() { Self::EVERYONE } else { Self(Some(keys)) })
    }

    /// Whether blobs must be signed.
    pub fn is_required(&self) -> bool {
        self.0.is_some()
    }

    /// Names of the keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(PublicKey::id)
    }

    /// What must be checked of a pointer's blob before it may be taken; `None` when nothing must. Refuses a pointer whose blob cannot
    /// be taken whatever its bytes are.
    pub fn check(&self, pointer: &Pointer) -> Result<Option<Box<SignatureCheck>>, Refusal> {
        let Some(keys) = &self.0 else { return Ok(None) };
        let (Some(key_id), Some(signature)) = (&pointer.key_id, &pointer.signature) else {
            return Err(Refusal::Unsigned);
        };
        let Some(key) = keys.iter().find(|key| key.id == *key_id) else {
            return Err(Refusal::UnknownKey(key_id.clone()));
        };
        let signature =
            decode_signature(signature).ok_or_else(|| Refusal::Signature(key_id.clone()))?;
        Ok(Some(Box::new(SignatureCheck { key: key.clone(), signature })))
    }
}

/// A signature that a blob must bear out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureCheck {
    /// The key under which it was made.
    pub key: PublicKey,
    /// The signature, over the whole blob.
    pub signature: [u8; 64],
}

/// 64 bytes in standard base64 with padding.
fn decode_signature(text: &str) -> Option<[u8; 64]> {
    let text = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
    base64url::decode(&text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 8032, section 7.1, test 2.
    const KEY: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const SIGNATURE: &str =
        "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA==";

    fn pointer(key_id: Option<&str>, signature: Option<&str>) -> Pointer {
        Pointer {
            generation: 1,
            object: "configs/e/1-0.bin".to_owned(),
            key_id: key_id.map(ToOwned::to_owned),
            signature: signature.map(ToOwned::to_owned),
            ..Pointer::default()
        }
    }

    #[test]
    fn keys_are_named_by_their_hash_and_listed_side_by_side() {
        // python3: hashlib.sha256(bytes.fromhex(KEY)).hexdigest()[:16]
        let keys = PublicKeys::parse(&format!("{KEY}, {}\n", "00".repeat(32))).unwrap();
        assert_eq!(keys.ids().collect::<Vec<_>>(), ["39f713d0a644253f", "66687aadf862bd77"]);
        assert_eq!(PublicKeys::parse("  ").unwrap(), PublicKeys::EVERYONE);
        assert!(PublicKeys::parse(&format!("{KEY},abc")).unwrap_err().contains("key 2"));
    }

    #[test]
    fn only_blobs_signed_under_a_known_key_are_worth_fetching() {
        let keys = PublicKeys::parse(KEY).unwrap();
        let id = keys.ids().next().unwrap().to_owned();
        let check = keys.check(&pointer(Some(&id), Some(SIGNATURE))).unwrap().unwrap();
        assert_eq!((check.signature[0], check.signature[62]), (0x92, 0x0c));
        let refused = |key_id, signature| keys.check(&pointer(key_id, signature)).unwrap_err();
        assert!(matches!(refused(None, None), Refusal::Unsigned));
        assert!(matches!(refused(Some(&id), None), Refusal::Unsigned));
        assert!(matches!(refused(Some("0123"), Some(SIGNATURE)), Refusal::UnknownKey(_)));
        assert!(matches!(refused(Some(&id), Some("c2hvcnQ=")), Refusal::Signature(_)));
        assert_eq!(PublicKeys::EVERYONE.check(&pointer(None, None)).unwrap(), None);
        let nobody = PublicKeys::NOBODY.check(&pointer(Some(&id), Some(SIGNATURE)));
        assert!(matches!(nobody, Err(Refusal::UnknownKey(_))));
    }
}
