//! Signing of blobs: Ed25519 over header and body.
//!
//! The signature is deterministic (RFC 8032), so a retry of a publication signs the same bytes the
//! same way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, Verifier as _, VerifyingKey};
use sha2::{Digest, Sha256};

/// Signs what is published.
#[derive(Clone)]
pub struct Signer {
    key: SigningKey,
    key_id: String,
}

impl Signer {
    /// A signer of the 32 secret bytes of an Ed25519 key.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let key_id = key_id(&key.verifying_key());
        Self { key, key_id }
    }

    /// The key's name: the first 16 hex digits of the SHA-256 of the public key.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public key, hex; what an edge is given to verify with.
    pub fn public_key(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }

    /// The signature of a blob, base64.
    pub fn sign(&self, blob: &[u8]) -> String {
        STANDARD.encode(self.key.sign(blob).to_bytes())
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Whether `signature` (base64) is the one of `blob` by `public_key` (hex).
pub fn verify(public_key: &str, blob: &[u8], signature: &str) -> bool {
    let Some(key) = hex::decode(public_key)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
        .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
    else {
        return false;
    };
    STANDARD
        .decode(signature)
        .ok()
        .and_then(|bytes| Signature::from_slice(&bytes).ok())
        .is_some_and(|signature| key.verify(blob, &signature).is_ok())
}

fn key_id(key: &VerifyingKey) -> String {
    let mut id = hex::encode(Sha256::digest(key.as_bytes()));
    id.truncate(16);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_verifies_and_a_changed_blob_does_not() {
        let signer = Signer::from_seed(&[7; 32]);
        let signature = signer.sign(b"blob");
        assert!(verify(&signer.public_key(), b"blob", &signature));
        assert!(!verify(&signer.public_key(), b"blub", &signature));
        assert!(!verify(&Signer::from_seed(&[8; 32]).public_key(), b"blob", &signature));
        assert!(!verify("no key", b"blob", &signature));
        assert!(!verify(&signer.public_key(), b"blob", "no signature"));
    }

    #[test]
    fn signing_twice_gives_the_same_signature() {
        let signer = Signer::from_seed(&[7; 32]);
        assert_eq!(signer.sign(b"blob"), signer.sign(b"blob"));
        assert_eq!(signer.key_id().len(), 16);
    }

    // RFC 8032, section 7.1, test 2.
    #[test]
    fn the_signature_is_the_one_of_the_standard() {
        let seed: [u8; 32] =
            hex::decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
                .unwrap()
                .try_into()
                .unwrap();
        let signer = Signer::from_seed(&seed);
        assert_eq!(
            signer.public_key(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        assert_eq!(
            hex::encode(STANDARD.decode(signer.sign(&[0x72])).unwrap()),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
             085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        );
    }
}
