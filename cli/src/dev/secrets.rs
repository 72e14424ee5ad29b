//! Secrets of a platform on this machine: made at the first start, kept in the state folder, handed to
//! every part.

use std::path::Path;

use anyhow::Context;
use control_plane::BootstrapSecrets;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::dev::description::write_private;

/// Characters of ids and keys.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Everything that must be the same after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Secrets {
    /// Secret from which list keys are derived, 32 bytes as hexadecimal digits.
    pub(crate) list_secret: String,
    /// Secret from which pseudonym keys are derived, 32 bytes as hexadecimal digits.
    pub(crate) pseudonym_secret: String,
    /// Ed25519 key that signs blobs, 32 bytes as hexadecimal digits.
    pub(crate) signing_key: String,
    /// Tokens and keys of the project `default`.
    pub(crate) bootstrap: BootstrapSecrets,
}

impl Secrets {
    /// Reads the secrets of a state folder, or makes and keeps them.
    pub(crate) fn load_or_create(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let secrets = Self::random();
                write_private(path, &serde_json::to_vec_pretty(&secrets)?)?;
                Ok(secrets)
            }
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    fn random() -> Self {
        let environment_id = format!("production-{}", text(8));
        Self {
            list_secret: hex::encode(rand::random::<[u8; 32]>()),
            pseudonym_secret: hex::encode(rand::random::<[u8; 32]>()),
            signing_key: hex::encode(rand::random::<[u8; 32]>()),
            bootstrap: BootstrapSecrets {
                admin_token: format!("st_{}", text(32)),
                data_token: format!("st_{}", text(32)),
                server_sdk_key: format!("sk_server_{environment_id}_{}", text(32)),
                client_sdk_key: format!("sk_client_{environment_id}_{}", text(32)),
                environment_id,
            },
        }
    }
}

/// 32 bytes from hexadecimal digits.
pub(crate) fn key(digits: &str) -> anyhow::Result<[u8; 32]> {
    let mut key = [0; 32];
    hex::decode_to_slice(digits.trim(), &mut key).context("expected 64 hexadecimal digits")?;
    Ok(key)
}

fn text(length: usize) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::{Secrets, key};

    #[test]
    fn secrets_survive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let first = Secrets::load_or_create(&path).unwrap();
        assert_eq!(Secrets::load_or_create(&path).unwrap(), first);
        assert_eq!(key(&first.list_secret).unwrap().len(), 32);
        let environment = &first.bootstrap.environment_id;
        assert!(first.bootstrap.server_sdk_key.starts_with(&format!("sk_server_{environment}_")));
    }
}
