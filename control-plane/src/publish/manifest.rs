//! The manifest of a generation, and where everything of an environment lies in object storage.
//!
//! ```text
//! configs/{environment}/{generation}-{16 hex of blake3}.bin     the blob, content-addressed
//! configs/{environment}/{generation}-{16 hex}.client.bin        its client form, which the manifest names
//! configs/{environment}/manifests/{generation, 20 digits}.json  the claim, created once, never changed
//! configs/{environment}/latest.json                             the pointer: a copy of the highest manifest
//! plans/{environment}/{generation, 20 digits}-{16 hex}.json     the analysis plan, named by the manifest
//! ```

use object_store::path::Path;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Hex digits of the content hash that stand in an object's name.
const HASH_DIGITS: usize = 16;

/// What a generation is: the content of its numbered manifest and, while it is the newest, of
/// `latest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// The generation, a number that only grows within an environment.
    pub generation: u64,
    /// Key of the blob in object storage.
    pub object: String,
    /// BLAKE3 of the blob, 64 hex digits.
    pub blake3: String,
    /// Size of the blob in bytes.
    pub size: u64,
    /// When the blob was made, RFC 3339.
    pub published_at: String,
    /// Which key signed; absent when the control plane has no signing key.
    #[serde(default)]
    pub key_id: Option<String>,
    /// Ed25519 signature over the whole blob (header and body), base64.
    #[serde(default)]
    pub signature: Option<String>,
    /// The environment's id.
    pub environment: String,
    /// The project's name.
    pub project: String,
    /// Key of the analysis plan in object storage.
    #[serde(default)]
    pub plan: Option<String>,
    /// The client form of the blob; absent in manifests of before there were client forms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_form: Option<ClientFormObject>,
}

/// Where the client form of a generation lies: what browsers hold of it, a blob of the same format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientFormObject {
    /// Key in object storage.
    pub object: String,
    /// BLAKE3 of it, 64 hex digits.
    pub blake3: String,
    /// Size in bytes.
    pub size: u64,
    /// Ed25519 signature over the whole of it (header and body) by the manifest's key, base64.
    #[serde(default)]
    pub signature: Option<String>,
}

impl Manifest {
    /// Whether both name the same bytes: then a claim that was found taken is our own, repeated.
    pub fn same_content(&self, other: &Self) -> bool {
        self.generation == other.generation
            && self.object == other.object
            && self.blake3 == other.blake3
            && self.plan == other.plan
            && self.client_form == other.client_form
    }

    /// The bytes that are stored.
    #[expect(clippy::missing_panics_doc, reason = "cannot happen, as the message says")]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has string keys and plain values")
    }
}

/// Key of a blob.
pub fn object_path(environment: &str, generation: u64, blake3: &str) -> Path {
    Path::from(format!("configs/{environment}/{generation}-{}.bin", short(blake3)))
}

/// Key of the client form of a blob.
pub fn client_form_path(environment: &str, generation: u64, blake3: &str) -> Path {
    Path::from(format!("configs/{environment}/{generation}-{}.client.bin", short(blake3)))
}

/// Key of an analysis plan. Its hash stands in the name because the plan is written before the
/// generation is claimed: the loser of a claim must not overwrite the winner's plan.
pub fn plan_path(environment: &str, generation: u64, blake3: &str) -> Path {
    Path::from(format!("plans/{environment}/{generation:020}-{}.json", short(blake3)))
}

/// Folder of an environment's manifests.
pub fn manifests_path(environment: &str) -> Path {
    Path::from(format!("configs/{environment}/manifests"))
}

/// Key of one manifest. Twenty digits, so that names sort as numbers do.
pub fn manifest_path(environment: &str, generation: u64) -> Path {
    Path::from(format!("configs/{environment}/manifests/{generation:020}.json"))
}

/// Key of the pointer.
pub fn pointer_path(environment: &str) -> Path {
    Path::from(format!("configs/{environment}/latest.json"))
}

/// The generation that a manifest's key names.
pub fn generation_of(path: &Path) -> Option<u64> {
    path.filename()?.strip_suffix(".json")?.parse().ok()
}

fn short(blake3: &str) -> &str {
    blake3.get(..HASH_DIGITS).unwrap_or(blake3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_generations_do() {
        let keys = [9, 10, 99, 100, u64::MAX].map(|g| manifest_path("production-k3v9x2mq", g));
        assert!(keys.is_sorted());
        assert_eq!(
            keys[0].as_ref(),
            "configs/production-k3v9x2mq/manifests/00000000000000000009.json"
        );
        assert_eq!(keys.map(|key| generation_of(&key)), [9, 10, 99, 100, u64::MAX].map(Some));
    }

    #[test]
    fn names_of_other_files_are_no_generation() {
        for name in
            ["configs/e/manifests/x.json", "configs/e/manifests/7.bin", "configs/e/manifests"]
        {
            assert_eq!(generation_of(&Path::from(name)), None, "{name}");
        }
    }
}
